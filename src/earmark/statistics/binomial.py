"""The exact binomial tail, and the numbers of matches and triggers that follow from it."""

from fractions import Fraction
from math import ceil, floor

from earmark.statistics.penalties import GRINDING_BITS, LOOKING_BITS, OWNED_BITS, strength_bits

_SEARCH_LIMIT = 1 << 16


def match_tail(question_count: int, match_count: int, chance: Fraction) -> Fraction:
    """Return P[Bin(n, p) >= K] exactly.

    Args:
        question_count: n, at least 0.
        match_count: K; 0 or fewer gives 1, more than n gives 0.
        chance: p, the chance of one match, 0 < p <= 1: 1/C for C classes.

    Returns:
        The probability as a fraction.

    Raises:
        ValueError: An argument is out of range.

    Source:
        textbook; the null hypothesis is ours (docs/mathematics/verdict.md)

    Example:
        >>> match_tail(2, 1, Fraction(1, 10))
        Fraction(19, 100)
    """
    _check(question_count, chance)
    if match_count <= 0:
        return Fraction(1)
    # Terms j = n, n-1, … K of C(n, j) a^j b^(n-j), with p = a / (a + b), over (a + b)^n. Each is made from
    # the one before it, exactly: powers computed anew would take minutes for tens of thousands of questions.
    hit, total = chance.numerator, chance.denominator
    miss = total - hit
    term, numerator = hit**question_count, 0
    for matches in range(question_count, match_count - 1, -1):
        numerator += term
        term = term * (matches * miss) // ((question_count - matches + 1) * hit)
    return Fraction(numerator, total**question_count)


def match_threshold(
    question_count: int,
    chance: Fraction,
    required_bits: int = OWNED_BITS + GRINDING_BITS + LOOKING_BITS,
) -> int | None:
    """Return the fewest matches whose tail is at most 2^-required_bits.

    Args:
        question_count: n, at least 1.
        chance: Chance of one match, 1/C.
        required_bits: Bits before penalties, at least 0.

    Returns:
        1 to n, to be compared with ``>=``; None if even n of n falls short.

    Source:
        ours (docs/mathematics/verdict.md)

    Example:
        >>> match_threshold(100, Fraction(1, 10)), match_threshold(256, Fraction(1, 2))
        (69, 232)
        >>> match_threshold(20, Fraction(1, 10)) is None
        True
    """
    return fewest_matches(question_count, chance, Fraction(1, 2**required_bits))


def fewest_matches(question_count: int, chance: Fraction, limit: Fraction) -> int | None:
    """Return the fewest matches whose tail is at most a given probability.

    Args:
        question_count: n, at least 1.
        chance: Chance of one match, 1/C.
        limit: The probability, above 0.

    Returns:
        1 to n, to be compared with ``>=``; None if even n of n falls short.

    Example:
        >>> fewest_matches(2, Fraction(1, 10), Fraction(19, 100))
        1
    """
    _check(question_count, chance)
    hit, total = chance.numerator, chance.denominator
    miss = total - hit
    scaled_limit = floor(total**question_count * limit)
    term, numerator, threshold = hit**question_count, 0, None
    for matches in range(question_count, 0, -1):
        numerator += term
        if numerator > scaled_limit:
            break
        threshold = matches
        term = term * (matches * miss) // ((question_count - matches + 1) * hit)
    return threshold


def triggers_needed(
    chance: Fraction,
    survival: Fraction,
    required_bits: int = OWNED_BITS + GRINDING_BITS + LOOKING_BITS,
) -> int:
    """Return how many triggers a set needs so that the planned survivors alone show the mark.

    Args:
        chance: Chance of one match, 1/C.
        survival: Share of triggers expected still to match after attacks, chance < survival <= 1.
        required_bits: Bits before penalties.

    Returns:
        The smallest such count found by doubling and bisection; every larger one tried holds too.

    Raises:
        ValueError: The survival is out of range, or needs more than 65,536 triggers.

    Example:
        >>> triggers_needed(Fraction(1, 10), Fraction(7, 10))
        96
    """
    if not chance < survival <= 1:
        raise ValueError(f"survival must be above chance ({chance}) and at most 1, not {survival}")

    def enough(trigger_count: int) -> bool:
        threshold = match_threshold(trigger_count, chance, required_bits)
        return threshold is not None and threshold <= floor(survival * trigger_count)

    high = max(1, ceil(required_bits / strength_bits(chance)))
    while not enough(high):
        high *= 2
        if high > _SEARCH_LIMIT:
            raise ValueError(f"more than {_SEARCH_LIMIT} triggers are needed at survival {survival}")
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _check(question_count: int, chance: Fraction) -> None:
    if question_count < 0:
        raise ValueError(f"question_count must not be negative, not {question_count}")
    if not 0 < chance <= 1:
        raise ValueError(f"chance must be above 0 and at most 1, not {chance}")
