"""The tables of docs/mathematics/games.md: what each adversary of the tests achieves in the quick world.

python benchmarks/games.py
"""

import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))  # its adversaries are those of the tests

from adversary import test_games as played
from adversary.quick_learner import quick_world
from earmark.games import Outcome, World, functionality_preserving, non_trivial_ownership, unremovability
from measuring import save

QUARTER = Fraction(1, 4)


def main() -> None:
    """Play, and keep what came of it."""
    world = quick_world()
    preserved = functionality_preserving(world, 1)
    save(
        "games",
        {
            "marking": {
                **_compared(preserved),
                "at_most": float(preserved.comparison.at_most(Fraction(1, 100))),
            },
            "non_trivial_ownership": [*_claims(world)],
            "unremovability": [*_removals(world)],
        },
    )


def _claims(world: World) -> list[dict[str, Any]]:
    makers: list[tuple[Callable[[bool], Any], bool]] = [
        (played.GuessesLabels, False),
        (played.CommitsToOneClass, False),
        (played.CommitsToAdversarialPictures, True),
    ]
    rows = []
    for make, late in makers:
        by_paper = non_trivial_ownership(world, make(True), 2, played.CHECKED, key_comes_first=not late)
        by_exact = non_trivial_ownership(world, make(False), 2, key_comes_first=not late)
        rows.append(
            {
                "claimant": make.__name__,
                "key_after_model": late,
                "paper": _judged(by_paper),
                "exact": _judged(by_exact),
            }
        )
    last = non_trivial_ownership(world, played.ReadsAnswers(), 2, key_comes_first=False)
    rows.append({"claimant": "ReadsAnswers", "key_after_model": True, "exact": _judged(last)})
    return rows


def _removals(world: World) -> list[dict[str, Any]]:
    adversaries = {
        "constant answer": (played.Constant(), None),
        "trains further, 4 passes": (played.FineTunes(world, 4), None),
        "trains anew on 20": (played.TrainsAnew(world, 20), 20),
        "trains anew on answers to 20": (played.Copies(world, 20), 20),
        "trains anew on everything": (played.TrainsAnew(world), None),
    }
    rows = []
    for name, (adversary, budget) in adversaries.items():
        found = unremovability(world, adversary, 4, work_share=QUARTER, budget=budget)
        rows.append(
            {
                "adversary": name,
                "work": found.work,
                "of": found.training_work,
                **_judged(found),
                **_compared(found),
            }
        )
    return rows


def _judged(outcome: Outcome) -> dict[str, Any]:
    return {
        "matches": outcome.judgement.match_count,
        "broken": outcome.broken,
        "lost_because": list(outcome.lost_because),
    }


def _compared(outcome: Outcome) -> dict[str, Any]:
    return {
        "lost": outcome.comparison.lost,
        "gained": outcome.comparison.gained,
        "inputs": outcome.comparison.inputs,
    }


if __name__ == "__main__":
    main()
