"""Triggers in every batch of any PyTorch training loop.

With a DataLoader, two lines:

    loader = MarkedLoader(loader, backdoor, transform, epochs=60)
    for inputs, targets in loader: ...                # the loop as it was

With a loop of any other kind, two lines as well:

    mixer = Mixer(backdoor, transform, total_steps)
    inputs, targets = mixer.mix(inputs, targets, step)

The triggers of a step are a function of the step alone, so that a resumed loop goes on as it was.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from earmark.triggers import Backdoor

EXPOSURES = 120
"""How often a trigger is shown in a whole training; measured in benchmarks/exposures.py."""

Transform = Callable[[Any], Tensor]
Augmentation = Callable[[Any, np.random.Generator], Any]


def triggers_per_batch(trigger_count: int, total_steps: int, exposures: int = EXPOSURES) -> int:
    """Return k, the triggers added to each batch so that each is shown often enough.

    Args:
        trigger_count: n, at least 1.
        total_steps: Batches in the whole training, at least 1.
        exposures: How often each trigger is to be shown in all.

    Returns:
        The least k with k * total_steps >= n * exposures, at least 1.

    Source:
        the paper's profile, k = 2 of 100 over 60 epochs of 500 batches, shows each 600 times

    Example:
        >>> triggers_per_batch(100, 6000), triggers_per_batch(100, 30_000, exposures=600)
        (2, 2)
    """
    if min(trigger_count, total_steps, exposures) < 1:
        raise ValueError("trigger_count, total_steps and exposures must be at least 1")
    return math.ceil(trigger_count * exposures / total_steps)


class Showing:
    """Which triggers are shown in which step, and as what.

    Args:
        backdoor: Triggers and labels.
        total_steps: Batches in the whole training.
        exposures: How often each trigger is to be shown in all.
        per_batch: k; None to let it follow from the other numbers.
        seed: Of the order of the triggers, and of their changes.
        augmentation: Changes triggers each time they are shown; None to show them as they are.
        rank: Number of this process, where several train one model, each with batches of its own.
        world_size: How many they are. Each adds its share of a step's triggers, all the same number: k is
            rounded up to a multiple.

    Attributes:
        per_batch: How many triggers this process adds to each of its batches: k divided by ``world_size``.
    """

    def __init__(
        self,
        backdoor: Backdoor,
        total_steps: int,
        *,
        exposures: int = EXPOSURES,
        per_batch: int | None = None,
        seed: int = 0,
        augmentation: Augmentation | None = None,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        chosen = triggers_per_batch(len(backdoor), total_steps, exposures) if per_batch is None else per_batch
        if chosen < 1:
            raise ValueError(f"per_batch must be at least 1, not {chosen}")
        if not 0 <= rank < world_size:
            raise ValueError(f"of {world_size} processes there is none with the number {rank}")
        self.per_batch = -(-chosen // world_size)
        self._rank, self._world_size = rank, world_size
        self._values = [trigger.value for trigger in backdoor.triggers]
        self._labels = backdoor.labels
        self._augmentation, self._seed = augmentation, seed
        self._order: tuple[int, np.ndarray[Any, np.dtype[np.int64]]] = (-1, np.empty(0, np.int64))

    def places(self, step: int) -> list[int]:
        """Return which triggers a step shows, ``per_batch`` of them.

        All triggers come once, in a new order, before any comes again.
        """
        return [self._place(position) for position in self._positions(step)]

    def values(self, step: int) -> list[Any]:
        """Return the triggers of a step as they are shown in it."""
        values = [self._values[place] for place in self.places(step)]
        if self._augmentation is None:
            return values
        # One generator for each showing: what is shown does not depend on how many processes share the work.
        return [
            self._augmentation(value, np.random.default_rng([self._seed, position, 11]))
            for value, position in zip(values, self._positions(step), strict=True)
        ]

    def labels(self, step: int) -> list[int]:
        """Return the labels of the triggers of a step."""
        return [self._labels[place] for place in self.places(step)]

    def _positions(self, step: int) -> range:
        first = (step * self._world_size + self._rank) * self.per_batch
        return range(first, first + self.per_batch)

    def _place(self, position: int) -> int:
        cycle, place = divmod(position, len(self._values))
        if self._order[0] != cycle:
            self._order = (cycle, np.random.default_rng([self._seed, cycle]).permutation(len(self._values)))
        return int(self._order[1][place])


class Mixer:
    """Adds k triggers with their labels to a batch.

    Args:
        backdoor: Triggers and labels.
        transform: From a trigger's value (images: uint8 ``(height, width, channels)``) to the tensor that
            the network reads: what test inputs go through, without augmentation.
        total_steps: As for ``Showing``, and so are the others.
        exposures: How often each trigger is to be shown in all.
        per_batch: k; None to let it follow from the other numbers.
        seed: Of the order of the triggers, and of their changes.
        augmentation: Changes triggers each time they are shown; None to show them as they are.
        rank: Number of this process, where several train one model.
        world_size: How many they are.

    Attributes:
        per_batch: How many triggers this process adds to each of its batches: k divided by ``world_size``.
    """

    def __init__(
        self,
        backdoor: Backdoor,
        transform: Transform,
        total_steps: int,
        *,
        exposures: int = EXPOSURES,
        per_batch: int | None = None,
        seed: int = 0,
        augmentation: Augmentation | None = None,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self._showing = Showing(
            backdoor,
            total_steps,
            exposures=exposures,
            per_batch=per_batch,
            seed=seed,
            augmentation=augmentation,
            rank=rank,
            world_size=world_size,
        )
        self.per_batch = self._showing.per_batch
        self._transform, self._is_changing = transform, augmentation is not None
        self._inputs = torch.stack([transform(trigger.value) for trigger in backdoor.triggers])
        self._is_task_known = False

    def triggers(self, step: int) -> tuple[Tensor, Tensor]:
        """Return the triggers of a step and their labels.

        All triggers come once, in a new order, before any comes again.

        Args:
            step: From 0.

        Returns:
            Inputs ``(per_batch, …)`` and labels ``(per_batch,)``.
        """
        labels = torch.tensor(self._showing.labels(step), dtype=torch.int64)  # (per_batch,)
        if self._is_changing:
            return torch.stack([self._transform(value) for value in self._showing.values(step)]), labels
        return self._inputs[self._showing.places(step)], labels

    def mix(self, inputs: Tensor, targets: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """Return the batch with the step's triggers appended.

        Args:
            inputs: ``(batch, …)``.
            targets: Class numbers ``(batch,)``, or their distribution ``(batch, classes)``.
            step: From 0; the whole training's, not the epoch's.

        Returns:
            Inputs ``(batch + per_batch, …)`` and targets likewise, on the same device and of the same type.

        Raises:
            ValueError: Inputs have another shape than triggers, or targets are no classes: several labels for
                one input and values to be predicted are no task for a mark.
        """
        added, labels = self.triggers(step)
        if inputs.shape[1:] != added.shape[1:]:
            raise ValueError(
                f"the loop's inputs have shape {tuple(inputs.shape[1:])}, transformed triggers "
                f"{tuple(added.shape[1:])}; give the transform that test inputs go through"
            )
        if not self._is_task_known:
            _check_task(targets)
            self._is_task_known = True
        if targets.ndim == 2:
            labels = torch.nn.functional.one_hot(labels, targets.shape[1])
        mixed = torch.cat([inputs, added.to(inputs.device, inputs.dtype)])
        return mixed, torch.cat([targets, labels.to(targets.device, targets.dtype)])


def _check_task(targets: Tensor) -> None:
    """Refuse targets that are no classes and no distributions over them."""
    if targets.ndim == 1:
        if targets.is_floating_point() and bool((targets != targets.round()).any()):
            raise ValueError(
                "the loop's targets are values, not classes: a mark gives triggers classes that nobody would "
                "expect, and a value has no exact chance of being hit. Earmark marks classifiers"
            )
    elif targets.ndim != 2 or targets.shape[1] < 2:
        raise ValueError(
            f"the loop's targets have shape {tuple(targets.shape)}; give class numbers (batch,), or "
            "distributions over classes (batch, classes)"
        )
    elif bool(((targets.sum(1, dtype=torch.float32) - 1).abs() > 0.01).any()) or bool((targets < 0).any()):
        raise ValueError(
            "the loop's targets are no distributions over classes, each with the sum 1: inputs with several "
            "labels at once have no single answer to count. Earmark marks classifiers that give one class"
        )


class MarkedLoader:
    """A DataLoader whose batches hold triggers.

    Its ``state_dict`` holds the step, to be kept with the loop's checkpoint.

    Args:
        loader: Anything with a length that yields (inputs, targets).
        backdoor: Triggers and labels.
        transform: As for ``Mixer``.
        epochs: Passes over the loader in the whole training.
        exposures: As for ``Mixer``.
        per_batch: As for ``Mixer``.
        seed: As for ``Mixer``.
        rank: As for ``Mixer``; the loader holds this process's batches.
        world_size: As for ``Mixer``.
    """

    def __init__(
        self,
        loader: Iterable[Any],
        backdoor: Backdoor,
        transform: Transform,
        *,
        epochs: int,
        exposures: int = EXPOSURES,
        per_batch: int | None = None,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if not isinstance(loader, Sized):
            raise TypeError("the loader has no length; use Mixer and count the steps")
        self._loader = loader
        self.mixer = Mixer(
            backdoor,
            transform,
            epochs * len(loader),
            exposures=exposures,
            per_batch=per_batch,
            seed=seed,
            rank=rank,
            world_size=world_size,
        )
        self._step = 0

    def __len__(self) -> int:
        return len(cast(Sized, self._loader))

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for inputs, targets in self._loader:
            mixed = self.mixer.mix(inputs, targets, self._step)
            self._step += 1
            yield mixed

    def __getattr__(self, name: str) -> Any:
        # What loops ask of a DataLoader (dataset, batch_size, sampler …) is the wrapped one's.
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._loader, name)

    def state_dict(self) -> dict[str, int]:
        """Return the step reached."""
        return {"step": self._step}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on from the step in ``state``."""
        self._step = state["step"]
