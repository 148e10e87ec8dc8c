"""What mixing costs: epochs with and without triggers, in one process, alternating; k = 2 of 100.

python benchmarks/mixing_cost.py [--pairs 20]
"""

import argparse
import math
import statistics
from time import perf_counter

import numpy as np
import torch

from digits import CLASSES, new_key
from earmark.data import Split
from earmark.data.table import digits_images
from earmark.keys import OwnerKey, Task, keygen
from earmark.marking import Mixer
from earmark.marking.recipes import MixedBatches
from earmark.models.table import build, describe
from earmark.training import Batches, SplitBatches, TrainingSettings, train
from earmark.triggers.abstract import AbstractSampler
from earmark.triggers.image import ImageGeometry
from measuring import Z95, save, verdict_on

TARGET = 1.03


def epoch_seconds(module: torch.nn.Module, batches: Batches, settings: TrainingSettings) -> float:
    """Train one pass and return its time."""
    start = perf_counter()
    train(module, batches, settings)
    return perf_counter() - start


def study(architecture: str, width: int, split: Split, shape: tuple[int, int, int], pairs: int) -> dict:
    """Return the ratio of the times with its interval."""
    description = describe(architecture, shape, CLASSES, width)
    if shape == (8, 8, 1):
        key = new_key(0)
    else:
        task = Task(ImageGeometry(*shape), CLASSES)
        key = keygen(OwnerKey("benchmark", bytes(32)), task, AbstractSampler(), triggers_per_set=100)
    settings = TrainingSettings(epochs=1, batch_size=100, learning_rate=0.01, augmentation="crop")
    plain = SplitBatches(split, description.preprocessing, settings)

    def transform(pixels: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(description.preprocessing(pixels[None])[0])

    mixed = MixedBatches(plain, Mixer(key.backdoor(), transform, plain.steps_per_epoch, per_batch=2))
    module = build(description)
    for batches in (plain, mixed):
        epoch_seconds(module, batches, settings)
    logs = []
    for pair in range(pairs):
        order = (plain, mixed) if pair % 2 else (mixed, plain)
        seconds = {id(batches): epoch_seconds(module, batches, settings) for batches in order}
        logs.append(math.log(seconds[id(mixed)] / seconds[id(plain)]))
    mean, half = statistics.fmean(logs), Z95 * statistics.stdev(logs) / math.sqrt(pairs)
    low, high = math.exp(mean - half), math.exp(mean + half)
    return {
        "ratio": math.exp(mean), "median": math.exp(statistics.median(logs)), "low": low, "high": high,
        "target": TARGET, "verdict": verdict_on(low, high, TARGET),
    }  # fmt: skip


def main() -> None:
    """Run the study."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=20)
    arguments = parser.parse_args()
    digits = digits_images()
    large = Split(digits.images[:500].repeat(4, 1).repeat(4, 2).repeat(3, 3), digits.labels[:500])
    save(
        "mixing-cost",
        {
            "pairs": arguments.pairs,
            "k": 2,
            "digits-cnn on digits": study("digits-cnn", 32, digits, (8, 8, 1), arguments.pairs),
            "resnet18 width 16 at 32x32": study("resnet18", 16, large, (32, 32, 3), arguments.pairs),
        },
    )


if __name__ == "__main__":
    main()
