"""The tables of docs/mathematics/games.md: what each adversary of the tests achieves in the quick world.

python benchmarks/games.py; games_table.py writes them.
"""

import re
import sys
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))  # its adversaries are those of the tests

from adversary import test_games as played
from adversary.quick_learner import fresh, quick_world
from earmark.commitment.linear import RANDOM_BYTES
from earmark.games import (
    Outcome,
    World,
    correctness,
    exact_rule,
    functionality_preserving,
    non_trivial_ownership,
    try_persistency,
    unforgeability,
    unremovability,
)
from earmark.keys import SetId
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
            "provable_key": _judged(correctness(replace(world, keygen=played.provable_key), 1)),
            "non_trivial_ownership": _claims(world),
            "unremovability": _removals(world),
            "persistency": _unlearning(world),
            "unforgeability": _forgeries(world),
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
    truth = played.CommitsToTheTruth()
    rows.append(
        {
            "claimant": "CommitsToTheTruth",
            "key_after_model": False,
            "paper": _judged(non_trivial_ownership(world, truth, 2, played.CHECKED)),
            "paper_without_f": _judged(non_trivial_ownership(world, truth, 2, played.ATTESTED)),
            "exact": _judged(non_trivial_ownership(world, truth, 2)),
        }
    )
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
    listed = unremovability(_listed(world), played.ThrowsTheListAway(), 4, work_share=Fraction(0))
    rows.append(
        {
            "adversary": "throws a list of triggers away",
            "work": listed.work,
            "of": listed.training_work,
            **_judged(listed),
            **_compared(listed),
        }
    )
    return rows


def _listed(world: World) -> World:
    """A world whose mark is a list of triggers beside the model."""
    return replace(world, mark=lambda model, inputs, classes, backdoor, seed: played.Table(model, backdoor))


def _unlearning(world: World) -> list[dict[str, Any]]:
    algorithms: dict[str, tuple[World, Any]] = {
        "throws a list of triggers away": (_listed(world), played.ThrowsTheListAway()),
        "goes on training, 4 passes": (world, played.GoesOnTraining(world, 4)),
        "trains anew on its first call": (world, played.TrainsAnewOnItsFirstCall(world, 1200)),
    }
    rows = []
    for name, (place, algorithm) in algorithms.items():
        trial = try_persistency(place, algorithm, 4, others=[fresh(5), fresh(6)], epsilon=Fraction(1, 10))
        rows.append(
            {
                "algorithm": name,
                "removes": trial.removes,
                "errors": trial.errors.errors,
                "errors_from_others": [errors.errors for errors in trial.errors_from_others],
                "inputs": trial.errors.inputs,
                "works": trial.works,
                "of": trial.training_work,
                "refutes": trial.refutes,
            }
        )
    return rows


def _forgeries(world: World) -> list[dict[str, Any]]:
    """The step that refuses each forger, by rule and kind of commitment; None if he is accepted."""
    worlds = {"world": world, "provable": replace(world, keygen=played.cache(played.provable_key))}
    rows: dict[str, dict[str, Any]] = {}
    for scheme, place in worlds.items():
        own, two = played.own_key_like(scheme), replace(world, keygen=played.TWO_SETS[scheme])
        size = RANDOM_BYTES if scheme == "provable" else None
        first, second = SetId(0, 0), SetId(0, 1)
        plays: dict[str, tuple[World, Any, list[SetId]]] = {
            forge.__name__: (place, played.Forger(partial(forge, own=own)), []) for forge in played.FORGERIES
        }
        plays |= {
            "knows_all_triggers": (place, played.KnowsAllTriggers(place.keygen(5).triggers, size), []),
            "shows_an_opened_set_twice": (two, played.SwapsSets(own, True), [first]),
            "adds_an_opened_set_to_his_own": (two, played.SwapsSets(own, False), [first]),
            "was_given_every_set": (two, played.ShowsWhatWasOpened(), [first, second]),
        }
        for name, (where, forger, opened) in plays.items():
            row = rows.setdefault(name, {"adversary": name})
            for words, rule in (("exact", exact_rule), ("paper", played.ATTESTED)):
                outcome = unforgeability(where, forger, 5, rule, opened=opened)
                row[f"{'salted' if scheme == 'world' else 'linear'}, {words}"] = _step(outcome)
    return list(rows.values())


def _step(outcome: Outcome) -> int | None:
    if outcome.broken:
        return None
    found = re.match(r"step (\d)", outcome.judgement.refused or "")
    return int(found[1]) if found else 0


def _judged(outcome: Outcome) -> dict[str, Any]:
    return {
        "matches": outcome.judgement.match_count,
        "broken": outcome.broken,
        "lost_because": list(outcome.lost_because),
        "refused": outcome.judgement.refused,
    }


def _compared(outcome: Outcome) -> dict[str, Any]:
    return {
        "lost": outcome.comparison.lost,
        "gained": outcome.comparison.gained,
        "inputs": outcome.comparison.inputs,
    }


if __name__ == "__main__":
    main()
