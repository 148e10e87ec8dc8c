"""What revival brings back: the models in which a study's attacks left no mark to be shown, revived and asked again.

    python benchmarks/revival.py [--study robustness-tier3] [--runs runs/tier3]

The runs are those of ``earmark evaluate`` (docs/how-to/attack-and-evaluate.md): what the attacks made lies there. The clean
data are the owner's training pictures, the procedure is what ``keygen --revivable`` commits to unless told otherwise.
Unmarked models are revived and asked too: what they answer must stay chance. Finished models are kept, and the script goes on
where it was stopped. robustness_table.py writes the page's table.
"""

import argparse
import csv
import json
from pathlib import Path
from typing import Any

import torch
from rich.progress import track

from earmark.data import load_data
from earmark.marking.recipes import count_matches
from earmark.models.prediction import accuracy, predict_scores
from earmark.models.weights import load_weights
from earmark.processor import keep_freed_memory
from earmark.revival import RevivalPlan, data_digest, revive
from measuring import RESULTS, claim_bits, draw_alike_everywhere, save
from table1 import HERE, key_of, read_study

NAME = "revival"
MODELS = "cifar10-small"
CHOICE_BITS = 1  # the verdict on the suspect itself, or on the revived one


def lost_cells(study: str) -> list[dict[str, str]]:
    """Return the cells of a study in which the mark is not shown."""
    with (RESULTS / f"{study}.csv").open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row["outcome"] in ("removed", "too costly")]


def files_by_digest(runs: Path) -> dict[str, Path]:
    """Return where each attacked model lies."""
    described = (runs / "attacked").glob("*.json")
    return {
        json.loads(path.read_text("utf-8"))["digest"]: path.with_suffix(".safetensors") for path in described
    }


def main() -> None:
    """Revive what is missing, and save it."""
    draw_alike_everywhere()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", default="robustness-tier3")
    parser.add_argument("--runs", type=Path, default=Path("runs/tier3"))
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(arguments.threads)
    study = read_study(HERE / "studies" / f"{MODELS}.json")
    data = load_data(study.data)
    plan = RevivalPlan(data_digest(data.train, data.class_names))
    test = data.test.images[:]
    arms = {arm.name: arm for arm in study.arms}
    files = files_by_digest(arguments.runs)
    path = RESULTS / f"{NAME}.json"
    cells: dict[str, Any] = json.loads(path.read_text("utf-8"))["cells"] if path.exists() else {}

    def measured(module: Any, preprocessing: Any, backdoor: Any) -> dict[str, Any]:
        matches = count_matches(module, preprocessing, backdoor)
        right = accuracy(predict_scores(module, test, preprocessing), data.test.labels)
        return {"matches": matches, "accuracy": 100 * right, "bits": claim_bits(len(backdoor), matches, 10)}

    def add(name: str, file: Path, model: str, outcome: str) -> None:
        if name in cells:
            return
        arm, _, seed = model.rpartition("-seed")
        backdoor = key_of(study, arms[arm], int(seed), data).backdoor()
        loaded = load_weights(file)
        preprocessing = loaded.description.preprocessing
        revived = revive(loaded, data.train, data.class_names, plan)
        after = measured(revived.module, preprocessing, backdoor)
        after["bits"] -= CHOICE_BITS
        cells[name] = {
            "outcome": outcome,
            "triggers": len(backdoor),
            "before": measured(loaded.module, preprocessing, backdoor),
            "after": after,
        }
        save(NAME, {"study": arguments.study, "plan": plan.to_json(), "cells": cells})

    for row in track(lost_cells(arguments.study), "reviving"):
        add(f"{row['model']}, {row['attack']}", files[row["digest_attacked"]], row["model"], row["outcome"])
    for seed in study.seeds:
        file = HERE / "models" / MODELS / f"unmarked-seed{seed}.safetensors"
        add(f"unmarked, seed {seed}", file, f"from-scratch-512-seed{seed}", "unmarked")


if __name__ == "__main__":
    main()
