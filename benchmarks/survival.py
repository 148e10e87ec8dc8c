"""Write what ``earmark keygen --advise`` goes by: the share of triggers that attacks left remembered.

    python benchmarks/survival.py [--check]

From the committed results of the robustness studies: marks put in from scratch, attacks that cost at most five points
of accuracy with at most a fifth of the training data, or none at all. And of marks put into trained models, which of such
attacks left too little of one of them, and what they cost.
"""

import csv
import json
import re
import sys
from collections import defaultdict
from pathlib import Path
from statistics import fmean
from typing import Any

from earmark.evaluation.advice import kept_share
from written import ROOT

OUT = ROOT / "src" / "earmark" / "evaluation" / "survival.json"
STUDIES = ("tier1", "tier2", "tier3", "chains", "shares", "ensemble", "plain")
TRAINED = (
    (
        "two-kinds",
        ("two-kinds", "two-kinds-tier1", "two-kinds-tier2", "two-kinds-refusing"),
        "--triggers-from abstract --triggers 128 --sets 4 --triggers-from in-distribution:DATA#PART --triggers 128 --sets 1",
        "--hardened --fresh-ends",
    ),
    (
        "fitting-labels",
        ("fitting-labels", "fitting-labels-tier1", "fitting-labels-refusing"),
        "--triggers-from in-distribution:DATA#PART --hardest-for MODEL --triggers 512 --sets 2",
        "--hardened --teach 0.45",
    ),
    (
        "mixtures-foreseen",
        ("mixtures-foreseen", "mixtures-foreseen-tier1"),
        "--triggers-from mixtures:DATA#PART --hardest-for MODEL --hardest-for ATTACKED … --triggers 384 --sets 4",
        "--hardened --teach 0.45 --as-attacked ATTACKED …",
    ),
    (
        "mixtures",
        ("mixtures",),
        "--triggers-from mixtures:DATA#PART --hardest-for MODEL --triggers 512 --sets 4",
        "--hardened --teach 0.45",
    ),
)
CLASSES, MOST_POINTS, MOST_SHARE = 10, 5.0, 0.2
OTHER_TASK = "transfer"


def without_durations(attack: str) -> str:
    """Return an attack without the numbers of its passes, rounds and steps: studies differ in them."""
    parts = re.sub(r"\b(strong_)?(epochs|rounds|steps)=\d+(, )?", "", attack)
    return parts.replace(", )", ")").replace(" ()", "")


def rows_of(study: str) -> list[dict[str, str]]:
    """Return a study's cells, but for those of whoever has more data or another task."""
    path = ROOT / "benchmarks" / "results" / f"robustness-{study}.csv"
    with path.open(encoding="utf-8") as file:
        return [
            row
            for row in csv.DictReader(file)
            if OTHER_TASK not in row["attack"] and float(row["image_share"] or 0) <= MOST_SHARE
        ]


def survival() -> str:
    """Return the file's text."""
    cells: dict[tuple[str, int], list[tuple[float, float]]] = defaultdict(list)
    for study in STUDIES:
        for row in rows_of(study):
            if row["model"].startswith("from-scratch"):
                triggers = int(row["questions"])
                kept = kept_share(int(row["matches"]), triggers, CLASSES)
                cells[without_durations(row["attack"]), triggers].append((kept, float(row["points_lost"])))
    measured = [
        {
            "attack": attack,
            "triggers": triggers,
            "kept": round(min(kept for kept, _ in found), 3),
            "points_lost": round(fmean(points for _, points in found), 1),
        }
        for (attack, triggers), found in sorted(cells.items())
        if fmean(points for _, points in found) <= MOST_POINTS
    ]
    about = "CIFAR-10, ResNet-18 of width 16, marked from scratch in 12 passes; see docs/robustness.md"
    trained = [in_trained_model(*one) for one in TRAINED]
    return json.dumps({"about": about, "measured": measured, "trained": trained}, indent=1) + "\n"


def in_trained_model(name: str, studies: tuple[str, ...], keygen: str, mark: str) -> dict[str, Any]:
    """Return what came of one way of marking trained models; a mark is shown where any of its kinds is."""
    runs = json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text(encoding="utf-8"))["runs"]
    shown: dict[tuple[str, str], bool] = {}
    for row in (row for study in studies for row in rows_of(study)):
        if float(row["points_lost"]) <= MOST_POINTS:
            cell = without_durations(row["attack"]), row["model"][-1]
            shown[cell] = shown.get(cell, False) or row["owned"] == "True"
    removed = {attack for (attack, _), is_shown in shown.items() if not is_shown}
    return {
        "keygen": keygen,
        "mark": mark,
        "models": len(runs),
        "points_lost": round(fmean(run["accuracy_before"] - run["accuracy"] for run in runs.values()), 1),
        "survived": sorted({attack for attack, _ in shown} - removed),
        "removed_by": sorted(removed),
    }


def main(path: Path = OUT) -> None:
    """Write the file, or with ``--check`` end with an error if it is another."""
    text = survival()
    if "--check" not in sys.argv:
        path.write_text(text, encoding="utf-8")
    elif path.read_text(encoding="utf-8") != text:
        sys.exit(f"{path.relative_to(ROOT)} is out of date: run python benchmarks/survival.py")


if __name__ == "__main__":
    main()
