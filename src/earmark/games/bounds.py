"""The bounds of docs/mathematics/theorem.md as fractions: what is proven in the random-oracle model."""

from fractions import Fraction

_OUTPUT_BITS = 256


def secrets_bound(trigger_count: int, evaluations: int) -> Fraction:
    """Bound the chance that somebody who has vk and M̂ ever hits what vk hides.

    It is the whole chance of winning unforgeability, and what knowing vk adds in unremovability.

    Args:
        trigger_count: N, triggers whose secrets are unknown.
        evaluations: q, evaluations of a hash.

    Returns:
        (N + 1) · q / 2^255.

    Source:
        ours (docs/mathematics/theorem.md, "What vk tells")

    Example:
        >>> secrets_bound(100, 2**80) < Fraction(1, 2**168)
        True
    """
    _check(trigger_count, evaluations)
    return Fraction((trigger_count + 1) * evaluations, 1 << (_OUTPUT_BITS - 1))


def ownership_bound(
    false_acceptance: Fraction, *, transcripts: int, evaluations: int, owner_trigger_count: int
) -> Fraction:
    """Bound the chance of winning non-trivial ownership against the exact rule.

    Args:
        false_acceptance: P[Bin(n, 1/C) >= threshold], see ``Judgement.false_acceptance``.
        transcripts: t, transcripts that the claimant hashes.
        evaluations: q >= t, evaluations of a hash by all players.
        owner_trigger_count: N, triggers of the owner's key.

    Returns:
        t · P[Bin(n, 1/C) >= threshold] + q² / 2^255 + (N + 1) · q / 2^255.

    Raises:
        ValueError: A number is negative, or there are more transcripts than evaluations.

    Source:
        ours (docs/mathematics/theorem.md, "Non-trivial ownership")

    Example:
        >>> from earmark.statistics import match_tail
        >>> one_try = match_tail(100, 69, Fraction(1, 10))
        >>> ownership_bound(
        ...     one_try, transcripts=2**80, evaluations=2**80, owner_trigger_count=100
        ... ) < Fraction(1, 2**64)
        True
    """
    if not 0 <= transcripts <= evaluations:
        raise ValueError(f"{evaluations} evaluations cannot hash {transcripts} transcripts")
    collisions = Fraction(evaluations**2, 1 << (_OUTPUT_BITS - 1))
    return transcripts * false_acceptance + collisions + secrets_bound(owner_trigger_count, evaluations)


def _check(trigger_count: int, evaluations: int) -> None:
    if trigger_count < 1 or evaluations < 0:
        raise ValueError("there is at least one trigger, and no negative number of evaluations")
