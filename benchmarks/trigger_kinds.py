"""What kinds of triggers cost, and how they fare: abstract pictures, noise, held-out pictures, negatives, on real digits.

For each seed the 1,797 digits are divided into 1,077 for training, 360 that held-out triggers are taken from, and
360 on which accuracy is measured; so a held-out trigger is in no training and in no accuracy.

Negatives are of the images for training.

- *cost*: points of accuracy lost against a network of the same seed without a mark;
- *copied by answers*: matches of a new network trained on the marked one's answers to the training images;
- *filter*: share of triggers farther from every training image than all but 1 in 100 real test images.

    python benchmarks/trigger_kinds.py [--seeds 5]
"""

import argparse
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from sklearn.model_selection import train_test_split

from earmark.data import Split
from earmark.data.table import digits_images
from earmark.keys import MarkingKey, OwnerKey, Task, keygen
from earmark.marking.recipes import FROM_SCRATCH, mark
from earmark.models.prediction import accuracy, predict_scores
from earmark.models.table import build, describe
from earmark.training import SMALL_DATA_SETTINGS, SplitBatches, train
from earmark.triggers import Sampler
from earmark.triggers.abstract import AbstractSampler
from earmark.triggers.image import ImageGeometry
from earmark.triggers.in_distribution import InDistributionSampler
from earmark.triggers.negatives import NegativesSampler
from earmark.triggers.noise import NoiseSampler
from measuring import mean_interval, paired_by_seed, save

CLASSES = tuple(str(digit) for digit in range(10))
DESCRIPTION = describe("digits-cnn", (8, 8, 1), CLASSES)
TARGET_POINTS = 0.3
REFUSED_REAL_SHARE = 0.01


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Images as a pool of triggers."""

    images: npt.NDArray[np.uint8]

    @property
    def names(self) -> tuple[str, ...]:
        """What to call them."""
        return tuple(f"held-out digit {place}" for place in range(len(self.images)))

    def pixels(self, place: int) -> npt.NDArray[np.uint8]:
        """Return one."""
        return self.images[place]


def new_key(sampler: Sampler, seed: int) -> MarkingKey:
    """Make a key of 100 triggers; reproducible, and therefore for experiments only."""
    return keygen(
        OwnerKey("benchmark", bytes(32)),
        Task(ImageGeometry(8, 8, 1), CLASSES),
        sampler,
        triggers_per_set=100,
        random_bytes=np.random.default_rng(seed).bytes,
    )


def divided(every: Split, seed: int) -> tuple[Split, Split, Split]:
    """Return what is trained on, what triggers are taken from, and what accuracy is measured on."""
    places = np.arange(len(every))
    rest, tested = train_test_split(places, test_size=360, stratify=every.labels, random_state=seed)
    used, kept = train_test_split(rest, test_size=360, stratify=every.labels[rest], random_state=seed)
    split, held_out, test = (Split(every.images[part], every.labels[part]) for part in (used, kept, tested))
    return split, held_out, test


def trained(split: Split, seed: int, key: MarkingKey | None = None) -> torch.nn.Module:
    """Return a network trained on the data, with the key's mark if there is one."""
    settings = replace(SMALL_DATA_SETTINGS, seed=seed)
    torch.manual_seed(seed)
    module = build(DESCRIPTION)
    if key is None:
        train(module, SplitBatches(split, DESCRIPTION.preprocessing, settings), settings)
    else:
        recipe = replace(FROM_SCRATCH, settings=settings)
        mark(module, split, DESCRIPTION.preprocessing, key.backdoor(), recipe)
    return module


def answers(module: torch.nn.Module, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Return the class that the network gives each image."""
    return predict_scores(module, images, DESCRIPTION.preprocessing).argmax(1)


def distances(images: npt.NDArray[np.uint8], known: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Return the root mean square difference of each image to the nearest known one."""
    one, other = (part.reshape(len(part), -1).astype(np.float64) for part in (images, known))
    squares = ((one[:, None] - other[None]) ** 2).mean(2)  # (images, known)
    return np.sqrt(squares.min(1))


def main() -> None:
    """Run the study."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    every = digits_images()
    samplers = ("abstract", "noise", "noise-gaussian", "in-distribution", "negatives")
    found = {name: {"lost": [], "matches": [], "copied": [], "refused": []} for name in samplers}
    for seed in range(arguments.seeds):
        split, held_out, test = divided(every, seed)
        limit = np.quantile(distances(test.images, split.images), 1 - REFUSED_REAL_SHARE)
        clean = trained(split, seed)
        clean_accuracy = accuracy(predict_scores(clean, test.images, DESCRIPTION.preprocessing), test.labels)
        made = {
            "abstract": AbstractSampler(),
            "noise": NoiseSampler(),
            "noise-gaussian": NoiseSampler("gaussian"),
            "in-distribution": InDistributionSampler(HeldOut(held_out.images)),
            "negatives": NegativesSampler(HeldOut(split.images)),
        }
        for name, sampler in made.items():
            key = new_key(sampler, seed)
            backdoor = key.backdoor()
            triggers = np.stack([trigger.value for trigger in backdoor.triggers])
            labels = np.array(backdoor.labels)
            module = trained(split, seed, key)
            right = (answers(module, test.images) == test.labels).mean()
            copy = trained(Split(split.images, answers(module, split.images)), seed + 1000)
            result = found[name]
            result["lost"].append(100 * float(clean_accuracy - right))
            result["matches"].append(int((answers(module, triggers) == labels).sum()))
            result["copied"].append(int((answers(copy, triggers) == labels).sum()))
            result["refused"].append(float((distances(triggers, split.images) > limit).mean()))
            print(seed, name, {part: values[-1] for part, values in result.items()}, flush=True)
    save(
        "trigger-kinds",
        {
            "seeds": arguments.seeds,
            "kinds": {
                name: {
                    "points_lost_by_marking": paired_by_seed(result["lost"], TARGET_POINTS),
                    "matches_of_100": {"least": min(result["matches"])},
                    "matches_of_100_copied_by_answers": mean_interval(result["copied"]),
                    "share_refused_by_filter": mean_interval(result["refused"]),
                }
                for name, result in found.items()
            },
        },
    )


if __name__ == "__main__":
    main()
