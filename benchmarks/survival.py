"""Write what ``earmark keygen --advise`` goes by: the share of triggers that attacks left remembered.

    python benchmarks/survival.py [--check]

From the committed results of the robustness studies: marks put in from scratch, attacks that cost at most five points
of accuracy with at most a fifth of the training data, or none at all.
"""

import csv
import json
import re
import sys
from collections import defaultdict
from pathlib import Path
from statistics import fmean

from earmark.evaluation.advice import kept_share
from written import ROOT

OUT = ROOT / "src" / "earmark" / "evaluation" / "survival.json"
STUDIES = ("tier1", "tier2", "tier3", "chains", "shares", "ensemble", "plain")
CLASSES, MOST_POINTS, MOST_SHARE = 10, 5.0, 0.2
OTHER_TASK = "transfer"


def without_durations(attack: str) -> str:
    """Return an attack without the numbers of its passes, rounds and steps: studies differ in them."""
    parts = re.sub(r"\b(strong_)?(epochs|rounds|steps)=\d+(, )?", "", attack)
    return parts.replace(", )", ")").replace(" ()", "")


def survival() -> str:
    """Return the file's text."""
    cells: dict[tuple[str, int], list[tuple[float, float]]] = defaultdict(list)
    for study in STUDIES:
        path = ROOT / "benchmarks" / "results" / f"robustness-{study}.csv"
        with path.open(encoding="utf-8") as file:
            for row in csv.DictReader(file):
                is_usual = row["model"].startswith("from-scratch") and OTHER_TASK not in row["attack"]
                if is_usual and float(row["image_share"] or 0) <= MOST_SHARE:
                    triggers = int(row["questions"])
                    kept = kept_share(int(row["matches"]), triggers, CLASSES)
                    cells[without_durations(row["attack"]), triggers].append(
                        (kept, float(row["points_lost"]))
                    )
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
    return json.dumps({"about": about, "measured": measured}, indent=1) + "\n"


def main(path: Path = OUT) -> None:
    """Write the file, or with ``--check`` end with an error if it is another."""
    text = survival()
    if "--check" not in sys.argv:
        path.write_text(text, encoding="utf-8")
    elif path.read_text(encoding="utf-8") != text:
        sys.exit(f"{path.relative_to(ROOT)} is out of date: run python benchmarks/survival.py")


if __name__ == "__main__":
    main()
