"""The one training loop: seeded, checkpointed, resumable; it knows nothing of marks.

Every batch is a function of the seed and the step, and every random number drawn in a step comes from
that step's seed. So a run that was killed and resumed gives the same weights as one that was not.
"""

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from earmark.data import Split
from earmark.data.augmentation import augmented
from earmark.errors import FormatError, MarkingError
from earmark.files import replacing
from earmark.models.preprocessing import Preprocessing

_CHECKPOINT_FORMAT = "earmark/checkpoint/v1"
OPTIMIZERS = ("sgd", "momentum", "adamw")
SCHEDULES = ("cosine", "steps", "halving", "constant")
AUGMENTATIONS = ("none", "crop", "crop-flip")


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """How to train.

    Attributes:
        epochs: Passes over the data, at least 1.
        batch_size: Images a step.
        learning_rate: At its highest.
        optimizer: ``"sgd"`` (Nesterov momentum 0.9), ``"momentum"`` (the same without Nesterov's look ahead)
            or ``"adamw"``.
        weight_decay: Of the optimizer.
        schedule: ``"cosine"`` to zero, ``"steps"`` (a tenth after each third, as in the paper),
            ``"halving"`` (a half after each sixth, as strong fine-tuning does) or ``"constant"``.
        warmup_epochs: Linear rise at the start.
        label_smoothing: Share of the target spread over all classes, 0 to below 1.
        augmentation: ``"none"``, ``"crop"`` (shift by up to an eighth of the side) or ``"crop-flip"``.
        seed: Of batches, augmentation and dropout.
        channels_last: Memory format; faster for wide convolutional networks on most processors.
    """

    epochs: int
    batch_size: int = 100
    learning_rate: float = 0.1
    optimizer: str = "sgd"
    weight_decay: float = 5e-4
    schedule: str = "cosine"
    warmup_epochs: float = 0.0
    label_smoothing: float = 0.0
    augmentation: str = "none"
    seed: int = 0
    channels_last: bool = True

    def __post_init__(self) -> None:
        for value, allowed in (
            (self.optimizer, OPTIMIZERS),
            (self.schedule, SCHEDULES),
            (self.augmentation, AUGMENTATIONS),
        ):
            if value not in allowed:
                raise ValueError(f"{value!r} is not one of {', '.join(allowed)}")
        if self.epochs < 1 or self.batch_size < 1:
            raise ValueError("epochs and batch_size must be at least 1")
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning_rate must be positive, not {self.learning_rate}")


DEFAULT_SETTINGS = TrainingSettings(epochs=60, schedule="steps", augmentation="crop-flip")
"""The paper's: 60 epochs, batches of 100, 0.1 and a tenth of it after each third."""

SMALL_DATA_SETTINGS = TrainingSettings(
    epochs=20, batch_size=64, learning_rate=0.05, warmup_epochs=1.0, augmentation="crop"
)
"""For a few thousand small pictures; chosen on the digits' training part (benchmarks/digits.py)."""


class Batches(Protocol):
    """Where batches come from: a function of the step."""

    @property
    def steps_per_epoch(self) -> int:
        """Steps in one pass over the data."""
        ...

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Return inputs ``(batch, channels, height, width)`` and targets ``(batch,)`` of a step."""
        ...


class SplitBatches:
    """Shuffled, augmented batches of a split.

    Args:
        split: Images and labels.
        preprocessing: From those images to what the network reads.
        settings: Batch size, augmentation and seed.
    """

    def __init__(self, split: Split, preprocessing: Preprocessing, settings: TrainingSettings) -> None:
        self._split = split
        self._preprocessing = preprocessing
        self._settings = settings
        self._order: tuple[int, npt.NDArray[np.int64]] = (-1, np.empty(0, np.int64))

    @property
    def steps_per_epoch(self) -> int:
        """Steps in one pass; the last, smaller batch is dropped unless it is the only one."""
        return max(1, len(self._split) // self._settings.batch_size)

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Return inputs and targets of a step."""
        epoch, place = divmod(step, self.steps_per_epoch)
        if self._order[0] != epoch:
            shuffle = np.random.default_rng([self._settings.seed, epoch])
            self._order = (epoch, shuffle.permutation(len(self._split)))
        size = self._settings.batch_size
        chosen = self._order[1][place * size : (place + 1) * size]
        images = self._split.images[chosen]  # uint8 (batch, height, width, channels)
        images = augmented(
            images, self._settings.augmentation, np.random.default_rng([self._settings.seed, step, 1])
        )
        targets = torch.from_numpy(self._split.labels[chosen])
        return torch.from_numpy(self._preprocessing(images)), targets


@dataclass(frozen=True, slots=True)
class Epoch:
    """What one pass over the data gave.

    Attributes:
        number: From 1.
        loss: Mean training loss.
        learning_rate: At the end of the pass.
    """

    number: int
    loss: float
    learning_rate: float


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a run keeps its state.

    Attributes:
        path: A safetensors file; absent at the start, removed at the end.
        identity: What the run is: another run's checkpoint is refused.
        interval_seconds: Time between two savings; a run shorter than this saves nothing.
    """

    path: Path
    identity: str
    interval_seconds: float = 30.0


Loss: TypeAlias = Callable[[nn.Module, Tensor, Tensor], Tensor]
"""From the network, the inputs and the targets of a step to the number that is made small."""


@runtime_checkable
class LearningLoss(Protocol):
    """A loss that learns something itself, which a checkpoint keeps with the rest."""

    def state_dict(self) -> dict[str, Tensor]:
        """Return what it has learned."""
        ...

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on from there."""
        ...


def train(
    module: nn.Module,
    batches: Batches,
    settings: TrainingSettings,
    *,
    loss_function: Loss | None = None,
    checkpoint: Checkpoint | None = None,
    on_step: Callable[[int, int], None] = lambda step, total: None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    until: Callable[[Epoch], bool] = lambda epoch: False,
    keeps_checkpoint: bool = False,
) -> tuple[Epoch, ...]:
    """Train a network in place.

    Args:
        module: The network; left in evaluation mode.
        batches: Inputs and targets of every step.
        settings: How. Parameters that need no gradient stay as they are.
        loss_function: What is made small; None for the cross-entropy with the settings' label smoothing. The
            checkpoint holds the state of one that is a ``LearningLoss`` too.
        checkpoint: Where to keep the state, and to resume from; None to keep nothing.
        on_step: Called after each step with the steps done and in all.
        on_epoch: Called after each pass.
        until: Asked after each pass; training ends when it says so.
        keeps_checkpoint: Leave the end of the training in the checkpoint, for a caller who has more to do
            before it can be removed: taken up again, such a training is at its end at once.

    Returns:
        The passes made in this call.

    Raises:
        FormatError: The checkpoint belongs to another run, or is malformed.
        MarkingError: The loss became infinite or NaN.
    """
    optimizer = _optimizer(module, settings)
    learning = learning_loss(loss_function)
    total = settings.epochs * batches.steps_per_epoch
    start = 0
    if checkpoint is not None and checkpoint.path.exists():
        start = _load_checkpoint(checkpoint, settings, module, optimizer, learning)
    if settings.channels_last:
        module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's own stub lacks it
    device = next(module.parameters()).device
    module.train()
    history: list[Epoch] = []
    losses: list[Tensor] = []
    saved_at = monotonic()
    with torch.random.fork_rng(devices=[]):
        for step in range(start, total):
            torch.manual_seed(settings.seed * 1_000_003 + step)
            rate = _learning_rate(settings, step, total, batches.steps_per_epoch)
            for group in optimizer.param_groups:
                group["lr"] = rate
            inputs, targets = (part.to(device, non_blocking=True) for part in batches.batch(step))
            if settings.channels_last:
                inputs = inputs.contiguous(memory_format=torch.channels_last)
            loss = (loss_function or cross_entropy(settings))(module, inputs, targets)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]  # torch's own stub lacks it
            optimizer.step()
            losses.append(loss.detach())
            on_step(step + 1, total)
            if (step + 1) % batches.steps_per_epoch == 0:
                number = (step + 1) // batches.steps_per_epoch
                history.append(Epoch(number, _mean_loss(losses, number), rate))
                on_epoch(history[-1])
                losses = []
                if until(history[-1]):
                    break
            if checkpoint is not None and monotonic() - saved_at >= checkpoint.interval_seconds:
                # A training that is lost is not worth the rest of a pass, nor a checkpoint.
                _mean_loss([*losses, loss.detach()], step // batches.steps_per_epoch + 1)
                _save_checkpoint(checkpoint, settings, module, optimizer, step + 1, learning)
                saved_at = monotonic()
    module.eval()
    if checkpoint is not None:
        _end_checkpoint(checkpoint, settings, module, optimizer, total if keeps_checkpoint else None)
    return tuple(history)


def learning_loss(loss: object) -> LearningLoss | None:
    """Return a loss that learns something itself as one; None if it does not."""
    return loss if isinstance(loss, LearningLoss) else None


def cross_entropy(settings: TrainingSettings) -> Loss:
    """Return the usual loss: the cross-entropy with the settings' label smoothing."""

    def loss(module: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        return nn.functional.cross_entropy(module(inputs), targets, label_smoothing=settings.label_smoothing)

    return loss


def _mean_loss(losses: list[Tensor], epoch: int) -> float:
    mean = float(torch.stack(losses).mean())
    if not math.isfinite(mean):
        raise MarkingError(f"the training loss became {mean} in epoch {epoch}; use a lower learning rate")
    return mean


def _optimizer(module: nn.Module, settings: TrainingSettings) -> torch.optim.Optimizer:
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay)
    return torch.optim.SGD(
        parameters,
        lr=settings.learning_rate,
        momentum=0.9,
        nesterov=settings.optimizer == "sgd",
        weight_decay=settings.weight_decay,
    )


def _learning_rate(settings: TrainingSettings, step: int, total: int, steps_per_epoch: int) -> float:
    warmup = round(settings.warmup_epochs * steps_per_epoch)
    if step < warmup:
        return settings.learning_rate * (step + 1) / warmup
    done = (step - warmup) / max(1, total - warmup)
    if settings.schedule == "cosine":
        return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * done))
    if settings.schedule == "steps":
        return settings.learning_rate * 0.1 ** int(3 * done)
    if settings.schedule == "halving":
        return settings.learning_rate * 0.5 ** int(6 * done)
    return settings.learning_rate


def _end_checkpoint(
    checkpoint: Checkpoint,
    settings: TrainingSettings,
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    kept_at: int | None,
) -> None:
    if kept_at is None:
        checkpoint.path.unlink(missing_ok=True)
    else:
        _save_checkpoint(checkpoint, settings, module, optimizer, kept_at)


def _run_identity(checkpoint: Checkpoint, settings: TrainingSettings) -> str:
    return json.dumps({"identity": checkpoint.identity, "settings": asdict(settings)}, sort_keys=True)


def _save_checkpoint(
    checkpoint: Checkpoint,
    settings: TrainingSettings,
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    step: int,
    learning: LearningLoss | None = None,
) -> None:
    tensors = {f"model.{name}": tensor.contiguous() for name, tensor in module.state_dict().items()}
    if learning is not None:
        tensors |= {f"loss.{name}": tensor.contiguous() for name, tensor in learning.state_dict().items()}
    scalars: dict[str, float] = {}
    for place, state in optimizer.state_dict()["state"].items():
        for name, value in state.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer.{place}.{name}"] = value.contiguous()
            elif value is not None:
                scalars[f"optimizer.{place}.{name}"] = value
    metadata = {
        "format": _CHECKPOINT_FORMAT,
        "run": _run_identity(checkpoint, settings),
        "step": str(step),
        "scalars": json.dumps(scalars),
    }
    with replacing(checkpoint.path) as temporary:
        save_file(tensors, temporary, metadata)


def _load_checkpoint(
    checkpoint: Checkpoint,
    settings: TrainingSettings,
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    learning: LearningLoss | None,
) -> int:
    try:
        with safe_open(checkpoint.path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        step, scalars = int(metadata["step"]), json.loads(metadata["scalars"])
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise FormatError(f"{checkpoint.path} is not a checkpoint: {error}; remove it") from error
    if metadata.get("run") != _run_identity(checkpoint, settings):
        raise FormatError(
            f"{checkpoint.path} belongs to a run with other settings, data or key; "
            "repeat that run to go on with it, or remove the file to start anew"
        )
    module.load_state_dict(_named("model.", tensors))
    if learning is not None:
        learning.load_state_dict(_named("loss.", tensors))
    state: dict[int, dict[str, Tensor | float]] = {}
    for name, value in [*tensors.items(), *scalars.items()]:
        if name.startswith("optimizer."):
            _, place, field = name.split(".", 2)
            state.setdefault(int(place), {})[field] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    return step


def _named(start: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return what begins with a name, without it."""
    return {name.removeprefix(start): item for name, item in tensors.items() if name.startswith(start)}
