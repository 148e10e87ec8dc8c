"""What mixing costs: training with and without triggers, in one process, alternating; k = 2 of 100.

Every pair is one step with triggers and one without on the same batch, which comes first alternates; an epoch
is nothing but such steps. Alternating whole epochs would measure the machine's drift as well.

    python benchmarks/mixing_cost.py [--pairs 300]
"""

import argparse
import math
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
from earmark.processor import keep_freed_memory
from earmark.training import Batches, SplitBatches, TrainingSettings, train
from earmark.triggers.abstract import AbstractSampler
from earmark.triggers.image import ImageGeometry
from measuring import median_interval, save, verdict_on

TARGET = 1.03
WARM_UP = 10  # pairs that are not counted; even, so that the order of what follows is the same


class Alternating:
    """Each batch twice, with and without triggers, in the order plain, mixed, mixed, plain.

    Args:
        plain: Without.
        mixed: With.
        pairs: How many batches.
    """

    def __init__(self, plain: Batches, mixed: Batches, pairs: int) -> None:
        self._parts = (plain, mixed)
        self.steps_per_epoch = 2 * pairs

    def batch(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return inputs and targets of a step."""
        return self._parts[is_mixed(step)].batch(step // 2)


def is_mixed(step: int) -> bool:
    """Say whether a step has triggers in it."""
    return step % 4 in (1, 2)


def study(architecture: str, width: int, split: Split, shape: tuple[int, int, int], pairs: int) -> dict:
    """Return the median ratio of the times of a step, with its interval."""
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
    moments = [perf_counter()]
    train(
        module,
        Alternating(plain, mixed, pairs + WARM_UP),
        settings,
        on_step=lambda step, total: moments.append(perf_counter()),
    )
    seconds = np.diff(moments)[2 * WARM_UP :]
    logs = []
    for pair in range(0, 2 * pairs, 2):
        first, second = seconds[pair : pair + 2]
        logs.append(math.log(first / second) if is_mixed(pair) else math.log(second / first))
    interval = median_interval(logs)
    ratio, low, high = (math.exp(interval[name]) for name in ("median", "low", "high"))
    return {
        "ratio": ratio, "low": low, "high": high, "target": TARGET, "verdict": verdict_on(low, high, TARGET),
    }  # fmt: skip


def main() -> None:
    """Run the study."""
    parser = argparse.ArgumentParser(description=__doc__)
    keep_freed_memory()
    parser.add_argument("--pairs", type=int, default=300)
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
