"""After one set was opened: a thief makes the model forget it. How far do the other sets follow?

python benchmarks/opened_set.py benchmarks/studies/cifar10-small.json [--threads 1]

Two models of Table 1 (512 triggers in 4 sets of 128, from scratch and pre-trained, seed 0). The thief has 10,000
clean pictures and set 0, which a claim opened. He trains 5 passes with 32 opened triggers beside each 100
pictures, to be answered evenly ("uniform") or with another class than their label ("another class"), at two
learning rates. Beside each stands the same training without the triggers. The result is written after every run;
the script goes on where it was stopped.
"""

import argparse
import json
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch

from earmark.attacks.protocol import StolenModel, Watch
from earmark.attacks.training import WithExtras, copied, network_inputs, retrain, soft_targets
from earmark.data import ClassificationData, Split, load_data
from earmark.keys import MarkingKey, SetId
from earmark.models.prediction import accuracy, predict_scores
from earmark.models.weights import load_weights
from earmark.statistics import match_tail, strength_bits
from earmark.training import SplitBatches, TrainingSettings
from measuring import RESULTS, draw_alike_everywhere, save
from table1 import HERE, key_of, read_study

ARMS = ("from-scratch-512", "pre-trained-512")
RATES = (0.01, 0.05)
WAYS = ("without triggers", "uniform", "another class")
OPENED = SetId(0, 0)
PASSES, PICTURES, TEST_PICTURES, PER_BATCH = 5, 10_000, 2_000, 32
_NAME = "opened-set"


@dataclass(frozen=True)
class Case:
    """One run."""

    arm: str
    way: str
    rate: float


def main() -> None:
    """Run what is missing."""
    draw_alike_everywhere()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    study = read_study(arguments.study)
    data = load_data(study.data)
    path = RESULTS / f"{_NAME}.json"
    rows: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))["rows"] if path.exists() else []
    done = {Case(row["model"], row["way"], row["learning_rate"]) for row in rows}
    for arm in ARMS:
        key = key_of(study, next(item for item in study.arms if item.name == arm), 0, data)
        weights = load_weights(HERE / "models" / study.name / f"{arm}-seed0.safetensors")
        model = StolenModel(weights.module, weights.description)
        for case in (Case(arm, way, rate) for rate in RATES for way in WAYS):
            if case in done:
                continue
            rows.append(run(case, model, key, data))
            save(_NAME, {"pictures": PICTURES, "per_batch": PER_BATCH, "set_size": 128, "rows": rows})


def run(case: Case, model: StolenModel, key: MarkingKey, data: ClassificationData) -> dict[str, Any]:
    """Train once; look after every pass."""
    stolen = copied(model)
    chosen = np.random.default_rng(0).permutation(len(data.train.labels))[:PICTURES]
    split = Split(data.train.images[np.sort(chosen)], data.train.labels[np.sort(chosen)])
    settings = TrainingSettings(
        epochs=PASSES, batch_size=100, learning_rate=case.rate, weight_decay=5e-4, augmentation="crop-flip"
    )
    clean = SplitBatches(split, stolen.description.preprocessing, settings)
    looks = [look(0, stolen, key, data)]

    def on_epoch(number: int, now: StolenModel) -> None:
        looks.append(look(number, now, key, data))
        print(case, looks[-1], flush=True)

    batches = (
        clean if case.way == WAYS[0] else WithExtras(clean, *targets_of(case, stolen, key), PER_BATCH, 0)
    )
    retrain(stolen, batches, settings, Watch(on_epoch=on_epoch))
    return {"model": case.arm, "way": case.way, "learning_rate": case.rate, "passes": looks}


def targets_of(case: Case, stolen: StolenModel, key: MarkingKey) -> tuple[torch.Tensor, torch.Tensor]:
    """What the opened triggers are to be answered with."""
    count = len(stolen.description.class_names)
    pictures = np.stack([trigger.value for trigger in key.triggers[OPENED]])
    labels = torch.tensor(key.labels(OPENED))
    if case.way == "uniform":
        wanted = torch.full((len(labels), count), 1 / count)
    else:
        shifts = torch.from_numpy(np.random.default_rng(1).integers(1, count, len(labels)))
        wanted = soft_targets((labels + shifts) % count, count)
    return network_inputs(stolen, pictures), wanted


def look(number: int, stolen: StolenModel, key: MarkingKey, data: ClassificationData) -> dict[str, Any]:
    """Count matches in every set, and accuracy on the first test pictures."""
    preprocess, classes = stolen.description.preprocessing, len(stolen.description.class_names)
    matches = []
    for set_id in key.verification_key.set_ids:
        pictures = np.stack([trigger.value for trigger in key.triggers[set_id]])
        answers = predict_scores(stolen.module, pictures, preprocess).argmax(1)
        matches.append(int((answers == np.array(key.labels(set_id))).sum()))
    part = slice(0, len(data.test.labels), max(1, len(data.test.labels) // TEST_PICTURES))
    right = accuracy(
        predict_scores(stolen.module, data.test.images[part], preprocess), data.test.labels[part]
    )
    others = sum(matches[1:])
    asked = sum(len(key.triggers[set_id]) for set_id in key.verification_key.set_ids[1:])
    bits = strength_bits(match_tail(asked, others, Fraction(1, classes)))
    return {
        "pass": number,
        "matches": matches,
        "others_bits": round(bits, 1),
        "accuracy_percent": round(100 * float(right), 2),
    }


if __name__ == "__main__":
    main()
