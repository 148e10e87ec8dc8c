"""Write the tables in docs/table-1.md from the results of table1.py: the paper's Table 1, ours beside it.

python benchmarks/table1_table.py [--check]
"""

import json
import sys
from pathlib import Path
from typing import Any

from written import ROOT, result, write_part

PAGE = ROOT / "docs" / "table-1.md"
STUDY = "cifar10-small"
PAPER = {
    "none": ("none", 93.42, "7"),
    "from-scratch": ("from scratch", 93.81, "100"),
    "pre-trained": ("pre-trained", 93.65, "100"),
}
"""Adi et al. 2018, Table 1, CIFAR-10: accuracy and triggers of 100, ResNet-18 of full width."""


def study(name: str = STUDY) -> dict[str, Any]:
    """Return a study file, with the paper's ways of marking: hardened marks stand on docs/robustness.md."""
    value: dict[str, Any] = json.loads((ROOT / "benchmarks" / "studies" / f"{name}.json").read_text("utf-8"))
    arms = [arm for arm in value["arms"] if "embedding" not in arm and "after" not in arm]
    shown = {_training(arm) for arm in arms if arm["recipe"] == "pre-trained"}
    value["arms"] = [arm for arm in arms if arm["recipe"] != "continued" or _training(arm) in shown]
    return value


def _training(arm: dict[str, Any]) -> tuple[Any, Any]:
    return arm.get("epochs"), arm.get("learning_rate")


def passes(arm: dict[str, Any], settings: dict[str, Any]) -> str:
    """Return in words how many passes a model of this arm has had: those of the model it goes on from first."""
    own = arm.get("epochs", settings["epochs"])
    return f"{settings['epochs']} + {own}" if arm["recipe"] in ("pre-trained", "continued") else str(own)


def _runs(name: str) -> list[dict[str, Any]]:
    folder = ROOT / "benchmarks" / "results" / f"table1-{STUDY}"
    found = [folder / f"{name}-seed{seed}.json" for seed in study()["seeds"]]
    return [json.loads(path.read_text("utf-8")) for path in found if path.exists()]


def accuracy() -> str:
    """Return one row for each arm that was run, with every seed."""
    arms, seeds, settings = study()["arms"], study()["seeds"], study()["settings"]
    lines = [
        f"| mark | triggers | k | epochs | accuracy, seeds {', '.join(map(str, seeds))} | mean | the paper's, 100 triggers |",
        "|---|---|---|---|---|---|---|",
    ]
    for arm in arms:
        runs, count = _runs(arm["name"]), arm.get("triggers", 0) * arm.get("sets", 1)
        if not runs:
            continue
        values = [run["accuracy_percent"] for run in runs]
        theirs = f"{PAPER[arm['recipe']][1]:.2f}" if count in (0, 100) and arm["recipe"] in PAPER else ""
        way = PAPER[arm["recipe"]][0] if arm["recipe"] in PAPER else "none, trained on"
        lines.append(
            f"| {way} | {count or ''} | {runs[0].get('k', '')} | {passes(arm, settings)} | "
            f"{', '.join(f'{value:.2f}' for value in values)} | {sum(values) / len(values):.2f} | {theirs} |"
        )
    return "\n".join(lines) + "\n"


def differences() -> str:
    """Return one row for each marked arm: what it lost against the model without a mark, and what matches."""
    table, arms, settings = (
        result(f"table1-{STUDY}")["arms"],
        {a["name"]: a for a in study()["arms"]},
        study()["settings"],
    )
    unmarked = _runs("unmarked")
    lines = [
        "| mark | triggers | compared with | points lost, by seed | mean, 95% interval | at most 0.5 points? | triggers that take, by seed | "
        "the unmarked model's own matches |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, arm in arms.items():
        row = table.get(name, {})
        if "points_lost_by_marking" not in row:
            continue
        # Results from before the continued arm existed were compared with the model that it goes on from.
        baseline = row.get("baseline", "unmarked")
        pairs = zip(_runs(baseline), _runs(name), strict=True)
        lost = ", ".join(
            f"{before['accuracy_percent'] - after['accuracy_percent']:.2f}" for before, after in pairs
        )
        found = row["points_lost_by_marking"]
        own = ", ".join(str(run["matches"][name]) for run in unmarked)
        lines.append(
            f"| {PAPER[arm['recipe']][0]} | {arm['triggers'] * arm.get('sets', 1)} | none, {passes(arms[baseline], settings)} epochs | "
            f"{lost} | {found['mean']:.2f}, {found['low']:.2f} to {found['high']:.2f} | {found['verdict']} | "
            f"{', '.join(row['matches'])} | {own} |"
        )
    return "\n".join(lines) + "\n"


def papers() -> str:
    """Return the paper's table."""
    lines = ["| mark | accuracy | triggers of 100 |", "|---|---|---|"]
    lines += [f"| {way} | {percent:.2f} | {triggers} |" for way, percent, triggers in PAPER.values()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    for part in (accuracy, differences, papers):
        write_part(PAGE, f"table1-{part.__name__}", part(), "--check" in sys.argv, Path(__file__).name)
