"""How often a trigger must be shown: matches and accuracy against exposures, on digits.

Accuracy is on a validation part of the training data; the test part is not looked at.

    python benchmarks/exposures.py [--seeds 3]
"""

import argparse
from contextlib import suppress
from dataclasses import replace

import numpy as np
import torch
from sklearn.model_selection import train_test_split

from digits import CLASSES, new_key
from earmark.data import Split, load_data
from earmark.errors import MarkingError
from earmark.marking.recipes import FROM_SCRATCH, count_matches, mark
from earmark.models.prediction import accuracy, predict_scores
from earmark.models.table import build, describe
from earmark.training import SMALL_DATA_SETTINGS
from measuring import save

EXPOSURES = (5, 10, 20, 30, 40, 60, 90, 120, 180)


def main() -> None:
    """Run the study."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    data = load_data("digits").train
    fit, hold = train_test_split(np.arange(len(data)), test_size=0.3, stratify=data.labels, random_state=0)
    train_part, validation = Split(data.images[fit], data.labels[fit]), data.images[hold]
    description = describe("digits-cnn", (8, 8, 1), CLASSES)
    rows = []
    for exposures in EXPOSURES:
        matches, accuracies = [], []
        for seed in range(arguments.seeds):
            torch.manual_seed(seed)
            module, backdoor = build(description), new_key(seed).backdoor()
            recipe = replace(
                FROM_SCRATCH, settings=replace(SMALL_DATA_SETTINGS, seed=seed), exposures=exposures
            )
            with suppress(MarkingError):  # too few exposures are what this looks for
                mark(module, train_part, description.preprocessing, backdoor, recipe)
            matches.append(count_matches(module, description.preprocessing, backdoor))
            scores = predict_scores(module, validation, description.preprocessing)
            accuracies.append(100 * accuracy(scores, data.labels[hold]))
        rows.append(
            {"exposures": exposures, "matches_of_100": matches, "validation_accuracy_percent": accuracies}
        )
        print(rows[-1], flush=True)
    save("exposures", {"seeds": arguments.seeds, "rows": rows})


if __name__ == "__main__":
    main()
