"""A mark of hard held-out pictures, of which those are taught whose labels fit, in a trained model.

    python benchmarks/hold_out.py data/cifar10 data/cifar10-half --part test --one-in 2 --to held-out
    python benchmarks/fitting_labels.py [--seeds 0 1] [--threads 2]
    earmark evaluate benchmarks/studies/robustness-fitting-labels.toml …

A key's only stratum is 2 sets of 512 held-out pictures, those of half of the test pictures of which the network that is
marked is least sure (``keygen --hardest-for``); ``earmark mark --hardened --teach 0.45`` puts them into Table 1's unmarked
network (table1.py makes it). Accuracy is that on the other half. Keys go to the ignored folder keys/fitting-labels, drawn from
seeds and with a passphrase that everybody knows: they protect nothing. Killed, the same command goes on.
"""

import argparse

import numpy as np
import torch

from earmark.data import ClassificationData, load_data
from earmark.data.held_out import least_sure
from earmark.keys import MarkingKey, OwnerKey, Task, keygen
from earmark.processor import keep_freed_memory
from earmark.triggers.image import ImageGeometry
from earmark.triggers.in_distribution import InDistributionSampler
from measuring import draw_alike_everywhere
from two_kinds import HALF, judged_half, make_missing, marked

NAME = "fitting-labels"
TRIGGERS, SETS, SPARE = 512, 2, 64  # spare, for pictures nearly alike are used once
SHARE = 0.45


def key_of(data: ClassificationData, seed: int) -> MarkingKey:
    """Make the key; reproducible, and therefore for experiments only."""
    return keygen(
        OwnerKey("benchmark", bytes(32)),
        Task(ImageGeometry(*data.input_shape), data.class_names),
        InDistributionSampler(least_sure(*judged_half(data, seed), TRIGGERS * SETS + SPARE)),
        triggers_per_set=TRIGGERS,
        set_count=SETS,
        random_bytes=np.random.default_rng([seed, 35]).bytes,
    )


def main() -> None:
    """Make what is missing."""
    draw_alike_everywhere()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(arguments.threads)
    data = load_data(HALF)
    make_missing(
        NAME,
        arguments.seeds,
        lambda seed: key_of(data, seed),
        lambda key, seed: marked(data, key, seed, NAME, fresh_ends=False, share=SHARE),
    )


if __name__ == "__main__":
    main()
