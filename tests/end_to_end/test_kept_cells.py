"""Kept cells of the studies are those of today's attacks: one with other values would be of another attack."""

import csv
import json
from pathlib import Path

import pytest

from earmark.evaluation.study import describe_step, read_study

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
STUDIES = [
    path
    for path in sorted((BENCHMARKS / "studies").glob("*.toml"))
    if (BENCHMARKS / "results" / f"{path.stem}.csv").exists()
]


def is_part(kept, today):
    """Whether all that was kept is as it is today; what an attack got later is not among it."""
    if isinstance(kept, dict) and isinstance(today, dict):
        return all(name in today and is_part(value, today[name]) for name, value in kept.items())
    return kept == today


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_a_kept_cell_is_of_an_attack_as_the_study_asks_it_today(path):
    study = read_study(path.read_bytes(), path.parent)
    asked = [json.loads(json.dumps([dict(describe_step(step)) for step in a.steps])) for a in study.attacks]
    with (BENCHMARKS / "results" / f"{path.stem}.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["configuration"]]
    assert rows
    for row in rows:
        kept = json.loads(row["configuration"])
        assert any(len(kept) == len(steps) and all(map(is_part, kept, steps)) for steps in asked), (
            f"{row['attack']} of {row['model']} is of another attack than today's: {row['configuration']}"
        )
