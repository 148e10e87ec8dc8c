"""Labels and the order of questions, both derived from the root.

All labels depend on all triggers: one changed pixel or nonce changes the root and redraws every label.
(Hashing each picture on its own would be fatal: about n·C tries would forge a key.)
"""

from earmark.commitment import Stream

_LABEL = "earmark/label/v1"
_ORDER = "earmark/order/v1"


def derive_labels(
    root: bytes,
    stratum: int,
    set_index: int,
    trigger_count: int,
    class_count: int,
    beacon_value: bytes | None = None,
) -> tuple[int, ...]:
    """Return T_L for one trigger set: an exactly uniform draw for each trigger.

    In the random-oracle model the labels are uniform and independent of everything fixed before the
    root, above all of the triggers and of any model made without them.

    Args:
        root: Hash of the transcript, 32 bytes.
        stratum: Place of the stratum in the transcript.
        set_index: Place of the set in the stratum.
        trigger_count: Triggers in the set.
        class_count: Number of classes, C.
        beacon_value: The beacon's value, if the transcript names a beacon.

    Returns:
        One label per trigger, 0 to class_count - 1.

    Source:
        ours (docs/formats/transcript-v1.md, "Labels")

    Example:
        >>> derive_labels(bytes(32), 0, 0, 8, 10)
        (7, 3, 4, 4, 9, 2, 9, 4)
    """
    suffix = () if beacon_value is None else (beacon_value,)
    return tuple(
        Stream(_LABEL, root, stratum, set_index, index, *suffix).uniform(class_count)
        for index in range(trigger_count)
    )


def question_order(root: bytes, stratum: int, set_index: int, trigger_count: int) -> tuple[int, ...]:
    """Return the order in which the triggers of a set are asked.

    Whoever may choose the order puts the lucky ones first: a model that does not know the key matches
    about n/C triggers, and those alone would convince a sequential test. So the order is a function of
    the root: Fisher-Yates, from the last place down, with exactly uniform draws.

    Args:
        root: Hash of the transcript, 32 bytes.
        stratum: Place of the stratum in the transcript.
        set_index: Place of the set in the stratum.
        trigger_count: Triggers in the set.

    Returns:
        A permutation of 0 to trigger_count - 1.

    Source:
        Durstenfeld 1964; derivation ours (docs/formats/transcript-v1.md, "Order")

    Example:
        >>> sorted(question_order(bytes(32), 0, 0, 5))
        [0, 1, 2, 3, 4]
    """
    return permutation(Stream(_ORDER, root, stratum, set_index), trigger_count)


def permutation(draws: Stream, count: int) -> tuple[int, ...]:
    """Return a uniform permutation of 0 to count - 1: Fisher-Yates, from the last place down."""
    order = list(range(count))
    for last in range(count - 1, 0, -1):
        chosen = draws.uniform(last + 1)
        order[last], order[chosen] = order[chosen], order[last]
    return tuple(order)
