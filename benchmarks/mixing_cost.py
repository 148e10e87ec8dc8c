"""What mixing costs: training with and without triggers, in one process, alternating.

Every pair is one step with triggers and one without on the same batch of 100, which comes first alternates; an epoch
is nothing but such steps. Alternating whole epochs would measure the machine's drift as well. Three profiles: the
paper's, 2 triggers a step; light, 512 triggers in 12 passes, each shown 120 times; and hardened, as ``earmark mark
--hardened`` puts 512 triggers in from scratch, whose first quarter goes without.

    python benchmarks/mixing_cost.py [--pairs 300] [--profiles hardened …]

Profiles that are not named keep the results that they have.
"""

import argparse
import json
import math
from dataclasses import replace
from time import perf_counter

import numpy as np
import torch

from digits import CLASSES, new_key
from earmark.data import Split
from earmark.data.table import digits_images
from earmark.keys import OwnerKey, Task, keygen
from earmark.marking.hardening import harden
from earmark.marking.recipes import FROM_SCRATCH, MixedBatches, look_alikes_of, loss_of, mixer_of
from earmark.models.table import build, describe
from earmark.processor import keep_freed_memory
from earmark.training import Batches, SplitBatches, TrainingSettings, train
from earmark.triggers.abstract import AbstractSampler
from earmark.triggers.image import ImageGeometry
from measuring import RESULTS, median_interval, save, verdict_on

PASSES, STEPS = 12, 500  # of the from-scratch study: 50,000 pictures in batches of 100
PAPER, LIGHT, HARDENED = "k = 2 of 100 triggers", "light, 512 triggers", "hardened, 512 triggers"
TARGETS = {PAPER: 1.03, LIGHT: 1.12, HARDENED: 1.5}
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


def study(
    architecture: str, width: int, split: Split, shape: tuple[int, int, int], pairs: int, profile: str = PAPER
) -> dict:
    """Return the median ratio of the times of a training, with its interval."""
    description = describe(architecture, shape, CLASSES, width)
    if shape == (8, 8, 1):
        key = new_key(0)
    else:
        task = Task(ImageGeometry(*shape), CLASSES)
        count = 100 if profile == PAPER else 512
        key = keygen(OwnerKey("benchmark", bytes(32)), task, AbstractSampler(), triggers_per_set=count)
    settings = TrainingSettings(epochs=1, batch_size=100, learning_rate=0.01, augmentation="crop")
    plain = SplitBatches(split, description.preprocessing, settings)
    module, backdoor = build(description), key.backdoor()
    recipe = FROM_SCRATCH
    if profile == HARDENED:
        recipe = harden(FROM_SCRATCH, module, backdoor, description.preprocessing)

    if profile == PAPER:
        recipe = replace(recipe, per_batch=2)
    look_alikes = look_alikes_of(recipe, backdoor, description.preprocessing)
    mixer = mixer_of(recipe, backdoor, description.preprocessing, PASSES * STEPS)
    moments = [perf_counter()]
    train(
        module,
        Alternating(plain, MixedBatches(plain, mixer), pairs + WARM_UP),
        settings,
        loss_function=loss_of(recipe, module, mixer, settings.batch_size, look_alikes),
        on_step=lambda step, total: moments.append(perf_counter()),
    )
    seconds = np.diff(moments)[2 * WARM_UP :]
    logs = []
    for pair in range(0, 2 * pairs, 2):
        first, second = seconds[pair : pair + 2]
        logs.append(math.log(first / second) if is_mixed(pair) else math.log(second / first))
    interval = median_interval(logs)
    # Over the whole training, whose first part may go without triggers.
    ratio, low, high = (
        recipe.start + (1 - recipe.start) * math.exp(interval[name]) for name in ("median", "low", "high")
    )
    target = TARGETS[profile]
    return {
        "threads": torch.get_num_threads(), "per_batch": mixer.per_batch, "ratio": ratio, "low": low, "high": high, "target": target,
        "verdict": verdict_on(low, high, target),
    }  # fmt: skip


def main() -> None:
    """Run the study."""
    parser = argparse.ArgumentParser(description=__doc__)
    keep_freed_memory()
    parser.add_argument("--pairs", type=int, default=300)
    parser.add_argument("--profiles", nargs="+", choices=("paper", "light", "hardened"))
    arguments = parser.parse_args()
    digits = digits_images()
    large = Split(digits.images[:500].repeat(4, 1).repeat(4, 2).repeat(3, 3), digits.labels[:500])
    kept = RESULTS / "mixing-cost.json"
    values = json.loads(kept.read_text("utf-8")) if arguments.profiles and kept.exists() else {}
    threads = values.pop("machine", {}).get("threads")
    for part in values.values():
        if isinstance(part, dict):
            part.setdefault("threads", threads)
    values.pop("benchmark", None)
    values["pairs"] = arguments.pairs
    for name, profile in zip(("paper", "light", "hardened"), TARGETS, strict=True):
        if name not in (arguments.profiles or [name]):
            continue
        if profile == PAPER:
            values[f"{PAPER}, digits-cnn on digits"] = study(
                "digits-cnn", 32, digits, (8, 8, 1), arguments.pairs
            )
        values[f"{profile}, resnet18 width 16 at 32x32"] = study(
            "resnet18", 16, large, (32, 32, 3), arguments.pairs, profile
        )
    save("mixing-cost", values)


if __name__ == "__main__":
    main()
