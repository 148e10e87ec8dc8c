"""The paper's non-interactive cut-and-choose, for keys whose labels were chosen by their owner.

Of all pairs (trigger, label) that the key commits to, half are opened; which half, the hash of the
transcript says. Whoever has the public key file sees that their labels are wrong, as a backdoor's must be.
Then, but for a chance that ``undetected`` gives exactly, most labels of the hidden half are wrong as well,
and nobody saw them.

With derived labels none of this is needed: nobody chose them.

Source:
    Adi et al. 2018, Section 4.3 (from private to public verifiability); the choice and the numbers are ours
    (docs/mathematics/cut-and-choose.md)
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import comb

from earmark.commitment import Stream, commit, path_root
from earmark.errors import ClaimError, EarmarkError, InvalidKeyError
from earmark.keys import MarkingKey, SetId, VerificationKey
from earmark.keys.labels import permutation
from earmark.keys.pair import commit_label, label_salt
from earmark.statistics import GRINDING_BITS, LOOKING_BITS, OWNED_BITS
from earmark.triggers import Trigger, kind_named
from earmark.verification.paper_rule import GroundTruth

_LABEL = "earmark/cut-and-choose/v1"


@dataclass(frozen=True, slots=True)
class OpenedPair:
    """One pair of trigger and label, with what opens both commitments.

    Attributes:
        set_id: Its set.
        place: In the set, from 0.
        canonical_bytes: Of the trigger.
        salt: Of the trigger's commitment, 32 bytes.
        siblings: Of the trigger's Merkle path, 32 bytes each, the neighbour first.
        label: The chosen label, a class of the key.
        label_salt: Of the label's commitment, 32 bytes.
        label_siblings: Of the label's Merkle path.
    """

    set_id: SetId
    place: int
    canonical_bytes: bytes = field(repr=False)
    salt: bytes = field(repr=False)
    siblings: tuple[bytes, ...] = field(repr=False)
    label: int
    label_salt: bytes = field(repr=False)
    label_siblings: tuple[bytes, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class HiddenHalf:
    """What an opened half shows of the other.

    Attributes:
        opened_count: Pairs that were opened; no label of them is its trigger's true class.
        places: The pairs that stay hidden.
        stated_by: Who says what the true classes are.
    """

    opened_count: int
    places: tuple[tuple[SetId, int], ...]
    stated_by: str

    def undetected(self, right_count: int) -> Fraction:
        """Return the exact chance that so many hidden labels are right, for one try at the transcript's hash.

        Args:
            right_count: Labels that are their trigger's true class, so that every good model gives them.
        """
        return undetected(self.opened_count + len(self.places), self.opened_count, right_count)


def undetected(pair_count: int, opened_count: int, right_count: int) -> Fraction:
    """Return the chance that none of some bad pairs is among those that are opened.

    Args:
        pair_count: All pairs that the key commits to.
        opened_count: How many of them are opened, drawn without replacement.
        right_count: Bad pairs.

    Returns:
        C(N - k, m) / C(N, m), exactly; at most 2^-k if half are opened.

    Raises:
        ValueError: A number is out of range.

    Example:
        >>> undetected(4, 2, 1)
        Fraction(1, 2)
    """
    if not 0 <= opened_count <= pair_count or not 0 <= right_count <= pair_count:
        raise ValueError("of N pairs, 0 to N are opened and 0 to N are bad")
    return Fraction(comb(pair_count - right_count, opened_count), comb(pair_count, opened_count))


def pairs_needed(bits: int, epsilon: Fraction) -> int:
    """Return how many pairs leave a cheat at most 2^-bits.

    He wins if the hidden half holds so many labels that any good model gives that the paper's rule accepts:
    all but a share epsilon.

    Args:
        bits: At least 1; besides the assurance, what he may spend on hashing again (80 bits elsewhere).
        epsilon: Share of misses that the paper's rule allows, 0 to below 1.

    Returns:
        The fewest pairs, an even number.

    Raises:
        ValueError: An argument is out of range.

    Source:
        docs/mathematics/cut-and-choose.md

    Example:
        >>> pairs_needed(128, Fraction(1, 10))
        170
    """
    if bits < 1 or not 0 <= epsilon < 1:
        raise ValueError("bits are at least 1, and epsilon is at least 0 and below 1")
    half = 1
    while undetected(2 * half, half, half - int(epsilon * half)) > Fraction(1, 1 << bits):
        half += 1
    return 2 * half


def opened_places(key: VerificationKey) -> tuple[tuple[SetId, int], ...]:
    """Return which pairs are opened: half of all, rounded down, by the hash of the transcript.

    Args:
        key: With chosen labels.

    Returns:
        The pairs by set and place, in that order.

    Raises:
        InvalidKeyError: The labels of the key were not chosen.
    """
    if key.transcript.labels["rule"] != "chosen":
        raise InvalidKeyError("the labels of this key are derived: nobody chose them, and no half is opened")
    every = _places(key)
    order = permutation(Stream(_LABEL, key.transcript.root), len(every))
    return tuple(every[place] for place in sorted(order[: len(every) // 2]))


def open_half(key: MarkingKey) -> tuple[OpenedPair, ...]:
    """Open the half that the hash of the transcript names. What is opened is worth nothing for later claims.

    Args:
        key: With chosen labels; the owner's.

    Returns:
        The pairs, to be published beside the key.

    Raises:
        InvalidKeyError: The labels of the key were not chosen.
    """
    return tuple(
        OpenedPair(
            set_id,
            place,
            key.triggers[set_id][place].canonical_bytes,
            key.opening(set_id, place),
            key.path(set_id, place),
            key.labels(set_id)[place],
            label_salt(key.secrets[set_id][place]),
            key.label_path(set_id, place),
        )
        for set_id, place in opened_places(key.verification_key)
    )


LEAST_PAIRS = pairs_needed(OWNED_BITS + GRINDING_BITS + LOOKING_BITS, Fraction(1, 10))
"""What ``check_half`` asks for: with fewer, hashing again and again costs a cheat nothing but time."""


def check_half(
    key: VerificationKey, pairs: Sequence[OpenedPair], truth: GroundTruth, *, least_pairs: int = LEAST_PAIRS
) -> HiddenHalf:
    """Check an opened half.

    1  the key commits to enough pairs, and it is the half that the hash of the transcript names
    2  every trigger and every label was committed to at its place
    3  no label is its trigger's true class

    Args:
        key: The public key file that the checker has.
        pairs: What the owner published.
        truth: The true class of every opened trigger, or who attests that no label is one.
        least_pairs: How many pairs the key must commit to, both halves together: as from ``pairs_needed``.
            The default fits the paper's rule with at most a tenth of misses. Whoever says fewer is content
            with less, and asks ``HiddenHalf.undetected`` how much that is.

    Returns:
        What this shows of the hidden half.

    Raises:
        InvalidKeyError: The labels of the key were not chosen.
        ClaimError: A step refuses.
    """
    named, count = opened_places(key), len(_places(key))
    if count < least_pairs:
        raise ClaimError(
            1,
            f"the key commits to {count} pairs, and {least_pairs} are needed: with few of them a cheat "
            "finds by trying a transcript that hides what is wrong",
        )
    if tuple((pair.set_id, pair.place) for pair in pairs) != named:
        raise ClaimError(1, "the opened pairs are not the half that the hash of the transcript names")
    for pair in pairs:
        _check_opening(key, pair)
    if truth.classes is not None:
        for pair in pairs:
            where = (pair.set_id, pair.place)
            if where not in truth.classes:
                raise ClaimError(3, f"the true class of trigger {pair.place} is missing")
            if truth.classes[where] == pair.label:
                raise ClaimError(3, f"the label of trigger {pair.place} is its true class")
    opened = frozenset((pair.set_id, pair.place) for pair in pairs)
    hidden = tuple(where for where in _places(key) if where not in opened)
    return HiddenHalf(len(pairs), hidden, truth.stated_by)


def triggers_of(key: VerificationKey, pairs: Sequence[OpenedPair]) -> tuple[Trigger, ...]:
    """Return the opened triggers, for a person to look at."""
    kind = kind_named(key.transcript.task.geometry.kind)
    return tuple(Trigger(kind.name, pair.canonical_bytes) for pair in pairs)


def _places(key: VerificationKey) -> list[tuple[SetId, int]]:
    return [
        (set_id, place)
        for set_id in key.set_ids
        for place in range(key.transcript.strata[set_id.stratum].triggers_per_set)
    ]


def _check_opening(key: VerificationKey, pair: OpenedPair) -> None:
    transcript = key.transcript
    stratum = transcript.strata[pair.set_id.stratum]
    kind = kind_named(transcript.task.geometry.kind)
    roots = transcript.labels["roots"]
    if not isinstance(roots, list):
        raise ClaimError(2, "the transcript holds no commitments to labels")
    label_root = roots[key.set_ids.index(pair.set_id)]
    try:
        fits = kind.fits(pair.canonical_bytes, transcript.task.geometry)
        leaves = commit(pair.canonical_bytes, pair.salt), commit_label(pair.label, pair.label_salt)
        found = [
            path_root(leaf, pair.place, stratum.triggers_per_set, path)
            for leaf, path in zip(leaves, (pair.siblings, pair.label_siblings), strict=True)
        ]
    except (EarmarkError, ValueError, OverflowError) as error:
        raise ClaimError(2, f"pair {pair.place} does not open: {error}") from error
    if not fits:
        raise ClaimError(2, f"trigger {pair.place} does not have the geometry of the task")
    if not 0 <= pair.label < transcript.class_count:
        raise ClaimError(2, f"the label of trigger {pair.place} is not a class of the key")
    if found[0] != stratum.set_roots[pair.set_id.number] or found[1].hex() != label_root:
        raise ClaimError(2, f"pair {pair.place} is not the one that was committed to")
