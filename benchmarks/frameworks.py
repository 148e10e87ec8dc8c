"""Marks put in by each framework for pictures: what they cost there, and what fine-tuning and JPEG leave of them.

    python benchmarks/frameworks.py [--frameworks NAME …] [--seeds 0 1 2] [--threads 1]

10,000 of CIFAR-10's training pictures (``data/cifar10``), all test pictures, 100 triggers. In each framework the same network
is trained with and without the mark by the same numbers, from the same start. The thief goes on training with a fifth of
the pictures, at the same rate. Finished runs are kept in results/frameworks/, and the script goes on where it was stopped.
frameworks_table.py writes the page's table.
"""

import argparse
import io
import json
import logging
import os
import tempfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from time import process_time
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from earmark.data import Split, load_data
from earmark.keys import OwnerKey, Task, keygen
from earmark.marking import MarkedLoader
from earmark.models.preprocessing import for_channels
from earmark.processor import keep_freed_memory
from earmark.statistics import match_threshold
from earmark.triggers import Backdoor
from earmark.triggers.abstract import AbstractSampler
from earmark.triggers.image import ImageGeometry
from measuring import RESULTS, draw_alike_everywhere, paired_by_seed, save

NAME, PICTURES, TRIGGERS, CLASSES, TARGET_POINTS = "frameworks", 10_000, 100, 10, 0.5
EPOCHS, BATCH, RATE = 8, 100, 1e-3
STOLEN, STOLEN_EPOCHS, JPEG_QUALITY = 2_000, 5, 75
SEEN = for_channels(3)


def transform(pixels: npt.NDArray[np.uint8]) -> torch.Tensor:
    """Return what the networks of PyTorch read."""
    return torch.from_numpy(SEEN(pixels[None])[0])


class OwnLoop:
    """A loop of one's own, with a ``MarkedLoader``."""

    name = "PyTorch, own loop"

    def new(self, seed: int) -> Any:
        """Return a new network."""
        torch.manual_seed(seed)
        layers: list[nn.Module] = []
        for inputs, outputs in ((3, 16), (16, 32), (32, 64)):
            layers += [
                nn.Conv2d(inputs, outputs, 3, 1, 1),
                nn.BatchNorm2d(outputs),
                nn.ReLU(),
                nn.MaxPool2d(2),
            ]
        return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.3), nn.Linear(1024, CLASSES))

    def loader(self, split: Split, seed: int) -> Any:
        """Return the pictures in batches."""
        data = TensorDataset(torch.from_numpy(SEEN(split.images[:])), torch.from_numpy(split.labels[:]))
        return DataLoader(data, BATCH, shuffle=True, generator=torch.Generator().manual_seed(seed))

    def train(self, model: Any, split: Split, seed: int, epochs: int, backdoor: Backdoor | None) -> None:
        """Train in place."""
        loader = self.loader(split, seed)
        if backdoor is not None:
            loader = MarkedLoader(loader, backdoor, transform, epochs=epochs, seed=seed)
        optimizer = torch.optim.Adam(model.parameters(), RATE)
        self.loop(model.train(), loader, optimizer, epochs)
        model.eval()

    def loop(self, model: Any, loader: Any, optimizer: Any, epochs: int) -> None:
        """Go through the data."""
        for _ in range(epochs):
            for inputs, targets in loader:
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(inputs), targets).backward()
                optimizer.step()

    def answers(self, model: Any, pixels: npt.NDArray[np.uint8]) -> Any:
        """Return the class of each picture."""
        with torch.inference_mode():
            parts = [self.scores(model, torch.from_numpy(SEEN(part))) for part in np.array_split(pixels, 50)]
        return torch.cat(parts).argmax(1).numpy()

    def scores(self, model: Any, inputs: torch.Tensor) -> torch.Tensor:
        """Return the scores of some pictures."""
        found: torch.Tensor = model(inputs)
        return found


class WithLightning(OwnLoop):
    """Lightning, with ``MarkCallback``."""

    name = "Lightning"

    def new(self, seed: int) -> Any:
        """Return a new network."""
        import earmark.marking.lightning  # noqa: F401 - here, so that no clock runs while it is loaded

        return super().new(seed)

    def train(self, model: Any, split: Split, seed: int, epochs: int, backdoor: Backdoor | None) -> None:
        """Train in place."""
        import lightning.pytorch as lightning

        from earmark.marking.lightning import MarkCallback

        class Module(lightning.LightningModule):  # type: ignore[misc,unused-ignore]
            def __init__(self) -> None:
                super().__init__()
                self.network = model

            def training_step(self, batch: Any, batch_idx: int) -> Any:  # noqa: ARG002 - Lightning's own names
                return nn.functional.cross_entropy(self.network(batch[0]), batch[1])

            def configure_optimizers(self) -> Any:
                return torch.optim.Adam(self.parameters(), RATE)

        logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
        callbacks: list[Any] = [] if backdoor is None else [MarkCallback(backdoor, transform, seed=seed)]
        trainer = lightning.Trainer(
            max_epochs=epochs, accelerator="cpu", logger=False, enable_progress_bar=False, callbacks=callbacks,
            enable_model_summary=False, enable_checkpointing=False,
        )  # fmt: skip
        trainer.fit(Module(), self.loader(split, seed))
        model.eval()


class WithTrainer(OwnLoop):
    """The Hugging Face Trainer, with ``mark_trainer``."""

    name = "Trainer, ResNet"

    def new(self, seed: int) -> Any:
        """Return a new network."""
        from transformers import ResNetConfig, ResNetForImageClassification

        torch.manual_seed(seed)
        config = ResNetConfig(
            embedding_size=32, hidden_sizes=[16, 32, 64], depths=[1, 1, 1], layer_type="basic", num_labels=CLASSES,
            downsample_in_first_stage=False,
        )  # fmt: skip
        return ResNetForImageClassification(config)

    def train(self, model: Any, split: Split, seed: int, epochs: int, backdoor: Backdoor | None) -> None:
        """Train in place."""
        from transformers import Trainer, TrainingArguments

        from earmark.marking.hugging_face import mark_trainer
        from earmark.models.hf import quiet_transformers

        with tempfile.TemporaryDirectory() as folder, quiet_transformers():
            arguments = TrainingArguments(
                folder, num_train_epochs=epochs, per_device_train_batch_size=BATCH, learning_rate=RATE, seed=seed,
                lr_scheduler_type="constant", save_strategy="no", report_to=[], logging_strategy="no", disable_tqdm=True,
                use_cpu=True,
            )  # fmt: skip
            pairs = zip(torch.from_numpy(SEEN(split.images[:])), split.labels[:], strict=True)
            examples: Any = [{"pixel_values": picture, "labels": int(label)} for picture, label in pairs]
            trainer = Trainer(model, arguments, train_dataset=examples)
            if backdoor is not None:
                mark_trainer(trainer, backdoor, transform, seed=seed)
            trainer.train()
        model.eval()

    def scores(self, model: Any, inputs: torch.Tensor) -> torch.Tensor:
        """Return the scores of some pictures."""
        found: torch.Tensor = model(pixel_values=inputs).logits
        return found


class WithTrainerViT(WithTrainer):
    """The Trainer with a vision transformer."""

    name = "Trainer, ViT"

    def new(self, seed: int) -> Any:
        """Return a new network."""
        from transformers import ViTConfig, ViTForImageClassification

        torch.manual_seed(seed)
        config = ViTConfig(
            hidden_size=64, num_hidden_layers=4, num_attention_heads=4, intermediate_size=128, image_size=32, patch_size=4,
            num_labels=CLASSES,
        )  # fmt: skip
        return ViTForImageClassification(config)


class WithKeras:
    """Keras 3 on PyTorch, with ``MarkedDataset``."""

    name = "Keras 3"

    def new(self, seed: int) -> Any:
        """Return a new network."""
        import keras

        keras.utils.set_random_seed(seed)
        layers: list[Any] = [keras.Input((32, 32, 3))]
        for width in (16, 32, 64):
            layers += [keras.layers.Conv2D(width, 3, padding="same"), keras.layers.BatchNormalization()]
            layers += [keras.layers.ReLU(), keras.layers.MaxPooling2D()]
        layers += [keras.layers.Flatten(), keras.layers.Dropout(0.3), keras.layers.Dense(CLASSES)]
        return keras.Sequential(layers)

    def train(self, model: Any, split: Split, seed: int, epochs: int, backdoor: Backdoor | None) -> None:
        """Train in place."""
        import keras

        from earmark.marking.keras import MarkedDataset

        order = np.random.default_rng(seed)

        class Pictures(keras.utils.PyDataset):
            places = order.permutation(len(split.labels))

            def __len__(self) -> int:
                return len(self.places) // BATCH

            def __getitem__(self, index: int) -> Any:
                part = self.places[index * BATCH : (index + 1) * BATCH]
                return self.read(split.images[part]), split.labels[part]

            def on_epoch_end(self) -> None:
                self.places = order.permutation(len(split.labels))

            read: ClassVar[Callable[..., Any]] = staticmethod(self.read)

        data: Any = Pictures()
        if backdoor is not None:
            data = MarkedDataset(data, backdoor, self.read, epochs=epochs, seed=seed)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(RATE), loss)
        model.fit(data, epochs=epochs, verbose=0, shuffle=False)

    @staticmethod
    def read(pixels: npt.NDArray[np.uint8]) -> Any:
        """Return what the network reads."""
        return pixels.astype(np.float32) / np.float32(127.5) - np.float32(1)

    def answers(self, model: Any, pixels: npt.NDArray[np.uint8]) -> Any:
        """Return the class of each picture."""
        return model.predict(self.read(pixels), batch_size=200, verbose=0).argmax(1)


FRAMEWORKS: dict[str, Any] = {
    each.name: each() for each in (OwnLoop, WithLightning, WithTrainer, WithTrainerViT, WithKeras)
}


def as_jpeg(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return pictures as they come out of JPEG files."""

    def one(picture: npt.NDArray[np.uint8]) -> Any:
        written = io.BytesIO()
        Image.fromarray(picture).save(written, "JPEG", quality=JPEG_QUALITY)
        return np.asarray(Image.open(written))

    return np.stack([one(picture) for picture in pixels])


def one_run(
    framework: Any, seed: int, train: Split, test: Split, class_names: tuple[str, ...]
) -> dict[str, Any]:
    """Train with and without the mark, attack, and return what was measured."""
    key = keygen(
        OwnerKey("benchmark frameworks", bytes(32)),
        Task(ImageGeometry(32, 32, 3), class_names),
        AbstractSampler(),
        triggers_per_set=TRIGGERS,
        random_bytes=np.random.default_rng([seed, TRIGGERS]).bytes,
    )
    backdoor = key.backdoor()
    triggers = np.stack([trigger.value for trigger in backdoor.triggers])

    def measured(model: Any, changed: Callable[[Any], Any] = lambda pixels: pixels) -> dict[str, Any]:
        right = framework.answers(model, changed(test.images[:])) == test.labels[:]
        matches = framework.answers(model, changed(triggers)) == np.array(backdoor.labels)
        return {"accuracy": 100 * float(right.mean()), "matches": int(matches.sum())}

    seconds, models = {}, {}
    for mark in ("plain", "marked"):
        models[mark] = framework.new(seed)
        torch.manual_seed(seed)
        start = process_time()
        framework.train(models[mark], train, seed, EPOCHS, backdoor if mark == "marked" else None)
        seconds[mark] = process_time() - start
    found = {mark: measured(model) for mark, model in models.items()}
    attacks = {"jpeg": measured(models["marked"], as_jpeg)}
    places = np.random.default_rng(seed).permutation(len(train.labels))[:STOLEN]
    stolen = Split(train.images[places], train.labels[places])
    framework.train(models["marked"], stolen, seed + 100, STOLEN_EPOCHS, None)
    attacks["fine-tuning"] = measured(models["marked"])
    return {
        "framework": framework.name,
        "seed": seed,
        "accuracy": found["marked"]["accuracy"],
        "points_lost": found["plain"]["accuracy"] - found["marked"]["accuracy"],
        "matches": found["marked"]["matches"],
        "matches_unmarked": found["plain"]["matches"],
        "seconds": seconds,
        "attacks": attacks,
    }


def main() -> None:
    """Run what is missing, and save it."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    draw_alike_everywhere()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frameworks", nargs="+", default=list(FRAMEWORKS), choices=list(FRAMEWORKS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(arguments.threads)
    data = load_data("folder:data/cifar10")
    places = np.random.default_rng(0).permutation(len(data.train.labels))[:PICTURES]
    train = Split(data.train.images[places], data.train.labels[places])
    folder: Path = RESULTS / NAME
    folder.mkdir(exist_ok=True)
    for seed in arguments.seeds:
        for name, framework in FRAMEWORKS.items():
            path = folder / f"{name.lower().replace(',', '').replace(' ', '-')}-seed{seed}.json"
            if name in arguments.frameworks and not path.exists():
                run = one_run(framework, seed, train, data.test, data.class_names)
                path.write_text(json.dumps(run, indent=2) + "\n", encoding="utf-8")
                print(json.dumps(run), flush=True)
    runs = [json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))]
    of = {name: [run for run in runs if run["framework"] == name] for name in FRAMEWORKS}
    save(
        NAME,
        {
            "pictures": PICTURES,
            "epochs": EPOCHS,
            "triggers": TRIGGERS,
            "classes": CLASSES,
            "threshold": match_threshold(TRIGGERS, Fraction(1, CLASSES)),
            "stolen": {"pictures": STOLEN, "epochs": STOLEN_EPOCHS},
            "points_lost": {
                name: paired_by_seed([run["points_lost"] for run in found], TARGET_POINTS)
                for name, found in of.items()
                if found
            },
            "runs": runs,
        },
    )


if __name__ == "__main__":
    main()
