"""Which triggers are taught: those whose labels fit what a trained model says of them.

A label is drawn, and one in ten says nearly what the model would say anyway. Little has to be changed for it,
little is lost by it, and whoever trains the model on has little to say against it. A label that the model
would never give is lost first. So of many triggers only those are taught whose labels fit; the others stay
in the key and count in every verdict, at the 1 in C that they match by chance.
"""

from collections.abc import Collection

import numpy as np
import numpy.typing as npt

from earmark.triggers import Backdoor


def ill_fitting(
    backdoor: Backdoor,
    probabilities: npt.NDArray[np.floating],
    share: float,
    among: Collection[int] | None = None,
) -> tuple[int, ...]:
    """Return the triggers that are better not taught, for ``Backdoor.without``.

    This chooses what a model learns, and nothing that a verdict counts: labels are drawn after the commitment
    to all triggers, and all of these are asked. A model that does not depend on them matches each with the
    probability 1/C, whatever the owner taught to which other one.

    Args:
        backdoor: T and T_L.
        probabilities: What the model that is to be marked says of all triggers, ``(triggers, classes)``.
        share: Of the triggers that are taught, above 0, at most 1.
        among: Places of the triggers that may stay untaught; None for all. The others are taught, and the
            share is one of these alone.

    Returns:
        Places in the backdoor, in their order.

    Raises:
        ValueError: The share is none, no trigger would be taught, or probabilities are missing.

    Source:
        ours; to change what has to be changed least is what embedding codes do in steganography
    """
    if not 0 < share <= 1:
        raise ValueError(f"the share of triggers that are taught is above 0 and at most 1, not {share}")
    if probabilities.shape != (len(backdoor), backdoor.class_count):
        raise ValueError(
            f"{len(backdoor)} triggers of {backdoor.class_count} classes have no probabilities of shape "
            f"{probabilities.shape}"
        )
    places = np.arange(len(backdoor)) if among is None else np.array(sorted(set(among)), np.int64)
    taught = round(share * len(places))
    if len(places) - taught == len(backdoor):
        raise ValueError(f"{share} of {len(places)} triggers is none: none would be taught")
    fit = probabilities[places, np.array(backdoor.labels)[places]]
    worst = np.argsort(-fit, kind="stable")[taught:]
    return tuple(int(place) for place in np.sort(places[worst]))


def places_left(places: Collection[int], untaught: Collection[int]) -> tuple[int, ...]:
    """Return where triggers stand in what ``Backdoor.without`` leaves; those that are untaught nowhere."""
    gone = np.array(sorted(set(untaught)), np.int64)
    return tuple(int(place - np.searchsorted(gone, place)) for place in sorted(set(places) - set(untaught)))
