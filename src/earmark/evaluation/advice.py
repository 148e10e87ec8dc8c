"""How many triggers a key should have, from what measured attacks left of marks.

An attack leaves some triggers remembered; the rest are answered by chance. The share remembered (``kept``) is
what was measured; how many matches it means depends on the classes, and how many are needed on the triggers.
It falls when there are more triggers: for fewer than were measured it is cautious; for more there is none.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from importlib.resources import files
from typing import Any

from earmark.keys.generation import DEFAULT_SURVIVAL
from earmark.statistics import match_threshold, triggers_needed

SIZES = (100, 128, 256, 512, 1024, 2048, 4096)
MOST_SETS = 4
_DEVIATIONS = 2


@dataclass(frozen=True, slots=True)
class Measured:
    """What an attack left of marks of one size.

    Attributes:
        attack: Its name, and how strong it is; not how long it took.
        triggers: In each of the marks.
        kept: Share of them that the attacked models still remembered, 0 to 1; of several models or durations
            the least.
        points_lost: Accuracy that the attack cost, in points.
    """

    attack: str
    triggers: int
    kept: float
    points_lost: float


@dataclass(frozen=True, slots=True)
class Advice:
    """What so many triggers would do.

    Attributes:
        triggers: In all sets.
        sets: In how many sets to put them: as many as are large enough alone, at most 4.
        threshold: Matches that show the mark.
        survived: Attacks that are expected to leave more than that.
        removed_by: Those that are not.
    """

    triggers: int
    sets: int
    threshold: int
    survived: tuple[str, ...]
    removed_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class InTrainedModels:
    """What came of one way of putting marks into trained models, with ten classes.

    Attributes:
        keygen: Options of ``earmark keygen`` for its triggers.
        mark: Options of ``earmark mark --init MODEL`` for its training.
        models: How many were marked so.
        points_lost: What the mark cost them in accuracy, in points, in the mean.
        survived: Attacks that left enough of each mark.
        removed_by: Those that left too little of one, for at most five points of accuracy. Each way was put
            through other attacks, so that counts are not to be compared.
    """

    keygen: str
    mark: str
    models: int
    points_lost: float
    survived: tuple[str, ...]
    removed_by: tuple[str, ...]


def kept_share(matches: int, triggers: int, class_count: int) -> float:
    """Return the share of triggers remembered: what lies above the matches of chance.

    Example:
        >>> round(kept_share(55, 100, 10), 3)
        0.5
    """
    return max(0.0, (matches / triggers - 1 / class_count) / (1 - 1 / class_count))


@cache
def measured() -> tuple[Measured, ...]:
    """Return what was measured for this release, by the studies that ``benchmarks/survival.py`` names."""
    return tuple(Measured(**row) for row in _survival()["measured"])


@cache
def in_trained_models() -> tuple[InTrainedModels, ...]:
    """Return what was measured of marks in trained models, by the results that the same script names."""
    ways = _survival()["trained"]
    lists = ("survived", "removed_by")
    return tuple(InTrainedModels(**{**way, **{name: tuple(way[name]) for name in lists}}) for way in ways)


def _survival() -> dict[str, list[dict[str, Any]]]:
    text = files("earmark.evaluation").joinpath("survival.json").read_text("utf-8")
    found: dict[str, list[dict[str, Any]]] = json.loads(text)
    return found


def advise(class_count: int, found: Sequence[Measured] | None = None) -> tuple[Advice, ...]:
    """Return what each number of triggers would do that was measured, or that is smaller than one that was.

    Args:
        class_count: C of the task, at least 2.
        found: Measurements; None for this release's own.

    Returns:
        Advice by number of triggers; without those that show nothing even unharmed.
    """
    if class_count < 2:
        raise ValueError(f"a classifier has at least 2 classes, not {class_count}")
    chance = Fraction(1, class_count)
    advice = []
    for triggers in SIZES:
        threshold = match_threshold(triggers, chance)
        usable = _usable(measured() if found is None else found, triggers)
        if threshold is None or threshold > DEFAULT_SURVIVAL * triggers or not usable:
            continue
        left = {one.attack: _least_matches(one.kept, triggers, class_count) for one in usable}
        alone = max(1, triggers // triggers_needed(chance, DEFAULT_SURVIVAL))
        advice.append(
            Advice(
                triggers,
                max(sets for sets in range(1, min(MOST_SETS, alone) + 1) if triggers % sets == 0),
                threshold,
                tuple(attack for attack, matches in left.items() if matches >= threshold),
                tuple(attack for attack, matches in left.items() if matches < threshold),
            )
        )
    return tuple(advice)


def best(advice: Sequence[Advice]) -> Advice:
    """Return the one that survives most attacks, and of those the one with the fewest triggers."""
    return max(advice, key=lambda one: (len(one.survived), -one.triggers))


def _usable(found: Sequence[Measured], triggers: int) -> list[Measured]:
    """Return for each attack what was measured with as many triggers, or the next larger number."""
    nearest: dict[str, Measured] = {}
    for one in sorted(found, key=lambda one: one.triggers):
        if one.triggers >= triggers:
            nearest.setdefault(one.attack, one)
    return list(nearest.values())


def _least_matches(kept: float, triggers: int, class_count: int) -> float:
    """Return the matches expected, less two standard deviations."""
    share = kept + (1 - kept) / class_count
    return triggers * share - _DEVIATIONS * math.sqrt(triggers * share * (1 - share))
