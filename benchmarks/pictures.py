"""Marks in classifiers of pictures of other sizes, networks and numbers of classes: what they cost, and what they survive.

    python benchmarks/pictures.py [--tasks NAME …] [--seeds 0 1 2] [--threads 1]

Three tasks: a vision transformer for colour pictures of 224 by 224 (CIFAR-10's, enlarged), a thousand classes of grey
pictures (three handwritten digits in a row, 000 to 999), and two classes (CIFAR-10's cats and dogs). Each is trained with
and without the mark by the same numbers, from the same start; the thief goes on training with a fifth of the pictures, at
the rate of the training. Finished runs are kept in results/pictures/, and the script goes on where it was stopped.
pictures_table.py writes the page's table.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from earmark.attacks.query_time import changed
from earmark.data import Split, load_data
from earmark.keys import OwnerKey, Task, keygen
from earmark.marking.recipes import FROM_SCRATCH, mark
from earmark.models.hf import HFClassifier
from earmark.models.prediction import predict_scores
from earmark.models.preprocessing import for_channels
from earmark.models.table import build, describe
from earmark.processor import keep_freed_memory
from earmark.statistics import match_threshold
from earmark.training import SplitBatches, TrainingSettings, train
from earmark.triggers.abstract import AbstractSampler
from earmark.triggers.image import ImageGeometry
from measuring import RESULTS, draw_alike_everywhere, paired_by_seed, save

NAME, TARGET_POINTS, STOLEN_SHARE, STOLEN_EPOCHS, JPEG_QUALITY = "pictures", 0.5, 5, 5, 75
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class PictureTask:
    """What is classified, by what, and how it is trained.

    Attributes:
        title: In the table.
        data: Returns the part to train on, the part to test on, and the names of the classes.
        network: Returns a new network for (number of classes, shape of a picture).
        settings: Of the training.
        triggers: How many the key has.
        survival: The share of them that is planned to be left.
    """

    title: str
    data: Callable[[], tuple[Split, Split, tuple[str, ...]]]
    network: Callable[[int, tuple[int, int, int]], nn.Module]
    settings: TrainingSettings
    triggers: int
    survival: Fraction = Fraction(7, 10)


def vision_transformer(class_count: int, shape: tuple[int, int, int]) -> nn.Module:
    """Return a small one of Hugging Face, from its configuration."""
    from transformers import ViTConfig, ViTForImageClassification

    config = ViTConfig(
        hidden_size=96, num_hidden_layers=4, num_attention_heads=4, intermediate_size=192, image_size=shape[0],
        patch_size=32, num_labels=class_count,
    )  # fmt: skip
    return HFClassifier(ViTForImageClassification(config))


def _some(split: Split, count: int) -> Split:
    places = np.random.default_rng(0).permutation(len(split))[:count]
    return Split(split.images[places], split.labels[places])


def enlarged() -> tuple[Split, Split, tuple[str, ...]]:
    """Return pictures of CIFAR-10, enlarged to 224 by 224."""
    data = load_data("folder:data/cifar10@224x224")
    return _some(data.train, 5000), _some(data.test, 2000), data.class_names


def three_digits() -> tuple[Split, Split, tuple[str, ...]]:
    """Return rows of three of scikit-learn's handwritten digits; those of the test part were never trained on."""
    data = load_data("digits")

    def rows(part: Split, count: int, seed: int) -> Split:
        places = np.random.default_rng(seed).integers(0, len(part), (count, 3))
        digits = part.images[:]
        labels: npt.NDArray[np.int64] = part.labels[places] @ np.array([100, 10, 1])
        return Split(np.concatenate([digits[places[:, column]] for column in range(3)], axis=2), labels)

    return (
        rows(data.train, 20_000, 1),
        rows(data.test, 5000, 2),
        tuple(f"{number:03}" for number in range(1000)),
    )


def cats_and_dogs() -> tuple[Split, Split, tuple[str, ...]]:
    """Return CIFAR-10's pictures of these two."""
    data, names = load_data("folder:data/cifar10"), ("cat", "dog")

    def two(part: Split) -> Split:
        wanted = [data.class_names.index(name) for name in names]
        places = np.flatnonzero(np.isin(part.labels, wanted))
        return Split(part.images[places], (part.labels[places] == wanted[1]).astype(np.int64))

    return two(data.train), two(data.test), names


TASKS = {
    "vit-224": PictureTask(
        "224 x 224, colour, 10 classes: vision transformer",
        enlarged,
        vision_transformer,
        TrainingSettings(15, learning_rate=1e-3, optimizer="adamw", warmup_epochs=1, augmentation="crop-flip"),
        triggers=100,
    ),
    "thousand-classes": PictureTask(
        "8 x 24, grey, 1,000 classes: small network",
        three_digits,
        lambda classes, shape: build(describe("digits-cnn", shape, tuple(str(n) for n in range(classes)), 32)),
        TrainingSettings(20, learning_rate=3e-3, optimizer="adamw", warmup_epochs=1),
        triggers=100,
    ),
    "two-classes": PictureTask(
        "32 x 32, colour, 2 classes: ResNet-18 of width 8",
        cats_and_dogs,
        lambda classes, shape: build(describe("resnet18", shape, tuple(str(n) for n in range(classes)), 8)),
        TrainingSettings(15, learning_rate=0.1, warmup_epochs=1, augmentation="crop-flip"),
        triggers=512,
        survival=Fraction(9, 10),
    ),
}  # fmt: skip


def one_run(task: PictureTask, seed: int, data: tuple[Split, Split, tuple[str, ...]]) -> dict[str, Any]:
    """Train with and without the mark, attack, and return what was measured."""
    own, test, class_names = data
    pictures = test.images[:]
    height, width, channels = pictures.shape[1:]
    key = keygen(
        OwnerKey(f"benchmark {NAME}", bytes(32)),
        Task(ImageGeometry(height, width, channels), class_names),
        AbstractSampler(),
        triggers_per_set=task.triggers,
        survival=task.survival,
        random_bytes=np.random.default_rng([seed, task.triggers]).bytes,
    )
    backdoor, seen = key.backdoor(), for_channels(channels)
    triggers, labels = np.stack([one.value for one in backdoor.triggers]), np.array(backdoor.labels)

    def measured(module: nn.Module, change: Callable[[Pixels], Pixels] = lambda one: one) -> dict[str, Any]:
        def answers(asked: Pixels) -> npt.NDArray[np.int64]:
            found: npt.NDArray[np.int64] = predict_scores(
                module, np.stack([change(one) for one in asked]), seen
            ).argmax(1)
            return found

        return {
            "accuracy": 100 * float((answers(pictures) == test.labels).mean()),
            "matches": int((answers(triggers) == labels).sum()),
        }

    def new() -> nn.Module:
        torch.manual_seed(seed)
        return task.network(len(class_names), (height, width, channels))

    plain, marked = new(), new()
    settings = replace(task.settings, seed=seed)
    start = process_time()
    train(plain, SplitBatches(own, seen, settings), settings)
    middle = process_time()
    mark(marked, own, seen, backdoor, replace(FROM_SCRATCH, settings=settings))
    seconds = {"plain": middle - start, "marked": process_time() - middle}
    found, without = measured(marked), measured(plain)
    attacks = {"jpeg": measured(marked, lambda one: changed(one, "jpeg", JPEG_QUALITY))}
    places = np.random.default_rng(seed).permutation(len(own))[: len(own) // STOLEN_SHARE]
    stolen = Split(own.images[places], own.labels[places])
    again = replace(settings, epochs=STOLEN_EPOCHS, seed=seed + 100)
    train(marked, SplitBatches(stolen, seen, again), again)
    attacks["fine-tuning"] = measured(marked)
    return {
        "seed": seed,
        "accuracy": found["accuracy"],
        "points_lost": without["accuracy"] - found["accuracy"],
        "matches": found["matches"],
        "matches_unmarked": without["matches"],
        "seconds": seconds,
        "attacks": attacks,
    }


def summary(task: PictureTask, runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what the table says of a task."""
    own, test, class_names = runs[0]["sizes"]
    return {
        "title": task.title,
        "pictures": own,
        "test_pictures": test,
        "epochs": task.settings.epochs,
        "triggers": task.triggers,
        "classes": class_names,
        "threshold": match_threshold(task.triggers, Fraction(1, class_names)),
        "points_lost": paired_by_seed([run["points_lost"] for run in runs], TARGET_POINTS),
        "runs": runs,
    }


def main() -> None:
    """Run what is missing, and save it."""
    draw_alike_everywhere()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=list(TASKS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(arguments.threads)
    folder: Path = RESULTS / NAME
    folder.mkdir(exist_ok=True)
    for name in arguments.tasks:
        missing = [seed for seed in arguments.seeds if not (folder / f"{name}-seed{seed}.json").exists()]
        if not missing:
            continue
        data = TASKS[name].data()
        for seed in missing:
            run = one_run(TASKS[name], seed, data) | {"sizes": [len(data[0]), len(data[1]), len(data[2])]}
            (folder / f"{name}-seed{seed}.json").write_text(
                json.dumps(run, indent=2) + "\n", encoding="utf-8"
            )
            print(name, json.dumps(run), flush=True)
    kept = {
        name: [json.loads(path.read_text("utf-8")) for path in sorted(folder.glob(f"{name}-seed*.json"))]
        for name in TASKS
    }
    save(
        NAME,
        {
            "stolen_epochs": STOLEN_EPOCHS,
            "jpeg_quality": JPEG_QUALITY,
            "tasks": {name: summary(TASKS[name], runs) for name, runs in kept.items() if runs},
        },
    )


if __name__ == "__main__":
    main()
