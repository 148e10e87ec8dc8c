"""Opening triggers: what a stranger needs to see that they were committed to, and no more than was asked.

The triggers that were asked are the first of the set's derived order. Each is opened by itself, with its salt
and its Merkle path. So the others stay secret, and nobody can open the lucky ones only: which places there
must be follows from how many there are.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from earmark.commitment import path_root
from earmark.errors import ClaimError, EarmarkError
from earmark.keys import MarkingKey, SetId, VerificationKey
from earmark.keys.pair import leaf_of
from earmark.triggers import Trigger, kind_named


@dataclass(frozen=True, slots=True)
class OpenedTrigger:
    """One opened commitment.

    Attributes:
        place: In the set, from 0.
        canonical_bytes: Of the trigger.
        salt: 32 bytes; for a linear commitment its randomness, 1,272 bytes.
        siblings: Of its Merkle path, 32 bytes each, the neighbour first.
    """

    place: int
    canonical_bytes: bytes = field(repr=False)
    salt: bytes = field(repr=False)
    siblings: tuple[bytes, ...] = field(repr=False)


def open_asked(key: MarkingKey, set_id: SetId, count: int) -> tuple[OpenedTrigger, ...]:
    """Open the first triggers of a set, in the order in which they are asked.

    Args:
        key: The owner's.
        set_id: Which set.
        count: How many were asked, at least 1.

    Returns:
        One opening for each. The secrets of the triggers are not in them: a salt does not tell its secret.

    Raises:
        ValueError: The set has fewer triggers.
    """
    order = key.verification_key.order(set_id)
    if not 1 <= count <= len(order):
        raise ValueError(f"of {len(order)} triggers, 1 to {len(order)} can be opened, not {count}")
    triggers = key.triggers[set_id]
    return tuple(
        OpenedTrigger(
            place,
            triggers[place].canonical_bytes,
            key.opening(set_id, place),
            key.path(set_id, place),
        )
        for place in order[:count]
    )


def check_opened(key: VerificationKey, set_id: SetId, opened: Sequence[OpenedTrigger]) -> tuple[Trigger, ...]:
    """Step 4: the places are the first of the order, and every trigger leads to the root of its set.

    Args:
        key: The public key file that the checker has.
        set_id: Which set; one of the key's.
        opened: In the order asked.

    Returns:
        The triggers, in the order asked.

    Raises:
        ClaimError: One of them was not committed to at its place, or another comes before it.
    """
    transcript = key.transcript
    stratum = transcript.strata[set_id.stratum]
    order = key.order(set_id)[: len(opened)]
    if tuple(item.place for item in opened) != order:
        raise ClaimError(4, "the opened triggers are not the first of the order in which the set is asked")
    kind = kind_named(transcript.task.geometry.kind)
    for item in opened:
        try:
            fits = kind.fits(item.canonical_bytes, transcript.task.geometry)
            leaf = leaf_of(transcript.commitment, Trigger(kind.name, item.canonical_bytes), item.salt)
            root = path_root(leaf, item.place, stratum.triggers_per_set, item.siblings)
        except (EarmarkError, ValueError) as error:
            raise ClaimError(4, f"trigger {item.place} does not open: {error}") from error
        if not fits:
            raise ClaimError(4, f"trigger {item.place} does not have the geometry of the task")
        if root != stratum.set_roots[set_id.number]:
            raise ClaimError(4, f"trigger {item.place} is not the one that was committed to")
    return tuple(Trigger(kind.name, item.canonical_bytes) for item in opened)
