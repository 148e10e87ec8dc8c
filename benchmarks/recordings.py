"""Marks in a classifier of recordings: what they cost, and what they survive.

    python benchmarks/recordings.py FOLDER [--seeds 0 1 2] [--threads 1]

FOLDER holds the Free Spoken Digit Dataset's wave files, DIGIT_SPEAKER_NUMBER.wav at 8,000 samples a second; numbers
below 5 are for testing, as its authors say. A small network of spectrograms is trained with and without a mark by the
same numbers; the thief has a fifth of the training recordings. recordings_table.py writes the page's tables.
"""

import argparse
import wave
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from rich.progress import track
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from earmark.keys import OwnerKey, Task, keygen
from earmark.marking.mixing import MarkedLoader
from earmark.statistics import match_threshold
from earmark.triggers import Backdoor
from earmark.triggers.audio import AudioGeometry
from earmark.triggers.sounds import SoundSampler
from measuring import draw_alike_everywhere, paired_by_seed, save

NAME, SAMPLES, RATE, CLASSES, TRIGGERS = "recordings", 5000, 8000, 10, 256
EPOCHS, BATCH, TARGET_POINTS = 20, 50, 0.5


class Spectrogram(nn.Module):
    """Loudness by pitch and time: a Fourier transform written as a convolution."""

    def __init__(self, size: int = 128, step: int = 64) -> None:
        super().__init__()
        turns = torch.arange(size // 2)[:, None] * torch.arange(size) / size
        waves = torch.cat([torch.cos(2 * torch.pi * turns), torch.sin(2 * torch.pi * turns)])
        self.register_buffer("waves", (waves * torch.hann_window(size))[:, None])
        self.step = step

    def forward(self, samples: Tensor) -> Tensor:
        """Return ``(batch, 1, pitches, times)`` for ``(batch, samples)``."""
        waves: Any = self.waves
        real, imaginary = nn.functional.conv1d(samples[:, None], waves, stride=self.step).chunk(2, 1)
        return torch.log(real**2 + imaginary**2 + 1e-4)[:, None]


def network(seed: int) -> nn.Module:
    """Return a new network."""
    torch.manual_seed(seed)

    def layer(inputs: int, outputs: int) -> nn.Module:
        return nn.Sequential(nn.Conv2d(inputs, outputs, 3, 2, 1), nn.BatchNorm2d(outputs), nn.ReLU())

    module = nn.Sequential(
        Spectrogram(), layer(1, 32), layer(32, 64), layer(64, 128), layer(128, 128), nn.Flatten(),
        nn.Dropout(0.2), nn.LazyLinear(CLASSES),
    )  # fmt: skip
    module(torch.zeros(2, SAMPLES))
    return module


def read(folder: Path) -> tuple[TensorDataset, TensorDataset]:
    """Return recordings to train on and to test on, the middle of each, with silence where it is shorter."""
    parts: dict[bool, tuple[list[Any], list[int]]] = {False: ([], []), True: ([], [])}
    for path in sorted(folder.rglob("*.wav")):
        digit, _, number = path.stem.split("_")
        with wave.open(str(path)) as file:
            found = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        start = max(0, (len(found) - SAMPLES) // 2)
        found = found[start : start + SAMPLES]
        padded = np.pad(found, ((SAMPLES - len(found)) // 2, (SAMPLES - len(found) + 1) // 2))
        inputs, labels = parts[int(number) < 5]
        inputs.append(padded)
        labels.append(int(digit))

    def split(is_test: bool) -> TensorDataset:
        inputs, labels = parts[is_test]
        return TensorDataset(read_by_model(np.stack(inputs)), torch.tensor(labels))

    return split(False), split(True)


def read_by_model(samples: npt.NDArray[np.int16]) -> Tensor:
    """Return what the network reads."""
    return torch.from_numpy(np.asarray(samples, np.float32) / 32768)


def train(
    module: nn.Module,
    data: TensorDataset,
    seed: int,
    *,
    epochs: int,
    rate: float,
    backdoor: Backdoor | None = None,
) -> float:
    """Train in place, and return the processor seconds that it took."""
    order = torch.Generator().manual_seed(seed)
    loader: Any = DataLoader(data, BATCH, shuffle=True, drop_last=True, generator=order)
    if backdoor is not None:
        loader = MarkedLoader(loader, backdoor, read_by_model, epochs=epochs, seed=seed)
    optimizer = torch.optim.AdamW(module.parameters(), rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    start = process_time()
    module.train()
    torch.manual_seed(seed)
    for _ in range(epochs):
        for inputs, labels in loader:
            optimizer.zero_grad()
            # Louder and softer, for the speakers are few.
            louder = torch.exp(torch.empty(len(inputs), 1).uniform_(-0.7, 0.7))
            nn.functional.cross_entropy(module(inputs * louder), labels).backward()
            optimizer.step()
        schedule.step()
    module.eval()
    return process_time() - start


def answers(module: nn.Module, inputs: Tensor) -> Tensor:
    """Return the class of each recording."""
    with torch.inference_mode():
        return torch.cat([module(part).argmax(1) for part in inputs.split(200)])


def resampled(inputs: Tensor, share: float) -> Tensor:
    """Return recordings taken at a lower rate, and back."""
    fewer = nn.functional.interpolate(inputs[:, None], scale_factor=share, mode="linear")
    return nn.functional.interpolate(fewer, size=inputs.shape[1], mode="linear")[:, 0]


def attacks_on(
    module: nn.Module, known: TensorDataset, seed: int
) -> dict[str, tuple[nn.Module, Callable[[Tensor], Tensor]]]:
    """Return what a thief deploys: a network, and what he does with each recording before it."""

    def same(inputs: Tensor) -> Tensor:
        return inputs

    def noisy(inputs: Tensor) -> Tensor:
        draws = torch.Generator().manual_seed(seed)
        return inputs + 0.01 * torch.randn(inputs.shape, generator=draws)

    def copy_of(trained: nn.Module) -> nn.Module:
        copied = network(seed)
        copied.load_state_dict(trained.state_dict())
        return copied

    tuned, harder, extracted = copy_of(module), copy_of(module), network(seed + 100)
    train(tuned, known, seed, epochs=10, rate=0.0005)
    train(harder, known, seed, epochs=20, rate=0.005)
    learned = TensorDataset(known.tensors[0], answers(module, known.tensors[0]))
    train(extracted, learned, seed, epochs=EPOCHS * 3, rate=0.002)
    return {
        "fine-tuning at 0.0005": (tuned, same),
        "fine-tuning at 0.005": (harder, same),
        "a new model of its answers": (extracted, same),
        "resampled to 5,333 a second": (module, lambda inputs: resampled(inputs, 2 / 3)),
        "resampled to 4,000 a second": (module, lambda inputs: resampled(inputs, 1 / 2)),
        "noise, a hundredth of the range": (module, noisy),
        "softer by half": (module, lambda inputs: inputs / 2),
    }


def one_run(training: TensorDataset, test: TensorDataset, seed: int) -> dict[str, Any]:
    """Train twice, attack the marked one, and return what was measured."""
    key = keygen(
        OwnerKey("benchmark recordings", bytes(32)),
        Task(AudioGeometry(SAMPLES, RATE), tuple(str(digit) for digit in range(CLASSES))),
        SoundSampler(),
        triggers_per_set=TRIGGERS,
        random_bytes=np.random.default_rng([seed, TRIGGERS]).bytes,
    )
    backdoor = key.backdoor()
    triggers = read_by_model(np.stack([np.asarray(one.value) for one in backdoor.triggers]))
    labels = torch.tensor(backdoor.labels)
    plain, marked = network(seed), network(seed)
    unmarked_seconds = train(plain, training, seed, epochs=EPOCHS, rate=0.002)
    seconds = train(marked, training, seed, epochs=EPOCHS, rate=0.002, backdoor=backdoor)
    places = np.random.default_rng(seed).permutation(len(training))[: len(training) // 5]
    known = TensorDataset(*(part[places] for part in training.tensors))

    def share(module: nn.Module, change: Callable[[Tensor], Tensor]) -> float:
        return 100 * float((answers(module, change(test.tensors[0])) == test.tensors[1]).float().mean())

    def matches(module: nn.Module, change: Callable[[Tensor], Tensor]) -> int:
        return int((answers(module, change(triggers)) == labels).sum())

    def same(inputs: Tensor) -> Tensor:
        return inputs

    before = share(marked, same)
    return {
        "seed": seed,
        "accuracy_unmarked": share(plain, same),
        "accuracy": before,
        "matches": matches(marked, same),
        "matches_unmarked": matches(plain, same),
        "time_ratio": seconds / unmarked_seconds,
        "attacks": {
            name: {"matches": matches(module, change), "points_lost": before - share(module, change)}
            for name, (module, change) in attacks_on(marked, known, seed).items()
        },
    }


def main() -> None:
    """Run everything, and save it."""
    draw_alike_everywhere()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    training, test = read(arguments.folder)
    runs = [one_run(training, test, seed) for seed in track(arguments.seeds, description="seeds")]
    lost = [run["accuracy_unmarked"] - run["accuracy"] for run in runs]
    save(
        NAME,
        {
            "recordings": {"training": len(training), "test": len(test)},
            "triggers": TRIGGERS,
            "threshold": match_threshold(TRIGGERS, Fraction(1, CLASSES)),
            "points_lost": paired_by_seed(lost, TARGET_POINTS),
            "runs": runs,
        },
    )


if __name__ == "__main__":
    main()
