"""Triggers in the batches of a Hugging Face Trainer, in one line.

    trainer = Trainer(model, arguments, train_dataset=…)
    mark_trainer(trainer, backdoor, transform)
    trainer.train()

For texts the transform is what made the dataset's features of its texts, e.g. ``tokenizer``.

The step is read from the trainer's own state, which its checkpoints hold: a resumed training goes on as it
was.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from earmark.marking.mixing import EXPOSURES, Augmentation, Mixer, Showing
from earmark.triggers import Backdoor

_Mix = Callable[[Mapping[str, Any], int], dict[str, Any]]


def mark_trainer(
    trainer: Any,
    backdoor: Backdoor,
    transform: Callable[[Any], Any],
    *,
    exposures: int = EXPOSURES,
    per_batch: int | None = None,
    seed: int = 0,
    augmentation: Augmentation | None = None,
    input_name: str = "pixel_values",
    label_name: str = "labels",
) -> None:
    """Let a Trainer add triggers with their labels to every batch that it trains on.

    Works with label smoothing, gradient accumulation (each batch of an accumulated step gets its triggers)
    and mixed precision. Of several processes each adds its share, as with ``Mixer``.

    Args:
        trainer: A ``transformers.Trainer``, before ``train()``; its method ``training_step`` is replaced.
        backdoor: Triggers and labels.
        transform: What test inputs go through, without augmentation. Images: from uint8 ``(height, width,
            channels)`` to the tensor that the model reads as ``input_name``. Texts: from a text to features
            by name, as in the dataset, e.g. ``lambda text: tokenizer(text, truncation=True)``; the trainer's
            collator makes a batch of them, padded with its tokenizer's numbers to the length of the others.
        exposures: As for ``Mixer``.
        per_batch: As for ``Mixer``.
        seed: As for ``Mixer``.
        augmentation: As for ``Mixer``.
        input_name: Under which name batches hold the inputs; not for texts, whose features have names.
        label_name: Under which name they hold class numbers.

    Raises:
        ValueError: A number is out of range, or the model is no classifier that gives one class.

    Example:
        >>> mark_trainer(object(), backdoor=None, transform=None)  # doctest: +IGNORE_EXCEPTION_DETAIL
        Traceback (most recent call last):
        AttributeError: 'object' object has no attribute 'training_step'
    """
    task = getattr(getattr(getattr(trainer, "model", None), "config", None), "problem_type", None)
    if task not in (None, "single_label_classification"):
        raise ValueError(
            f"the model's problem_type is {task}: only classifiers that give one class are marked"
        )

    def make_mix() -> _Mix:
        how: dict[str, Any] = {
            "total_steps": trainer.state.max_steps * trainer.args.gradient_accumulation_steps,
            "exposures": exposures,
            "per_batch": per_batch,
            "seed": seed,
            "augmentation": augmentation,
            "rank": trainer.args.process_index,
            "world_size": trainer.args.world_size,
        }
        if isinstance(transform(backdoor.triggers[0].value), Mapping):
            return _Collated(trainer, Showing(backdoor, **how), transform, label_name)
        return _Stacked(Mixer(backdoor, transform, **how), input_name, label_name)

    trainer.training_step = _MarkedStep(trainer, make_mix)


class _MarkedStep:
    """One batch of a Trainer, with triggers."""

    def __init__(self, trainer: Any, make_mix: Callable[[], _Mix]) -> None:
        self._own: Callable[..., Tensor] = trainer.training_step
        self._trainer, self._make_mix = trainer, make_mix
        self._mix: _Mix | None = None
        self._accumulated = (-1, 0)

    def __call__(self, model: Any, inputs: Any, *arguments: Any, **named: Any) -> Tensor:
        if self._mix is None:
            self._mix = self._make_mix()  # only a training that has begun knows how long it is
        return self._own(model, self._mix(inputs, self._step()), *arguments, **named)

    def _step(self) -> int:
        """Return how many batches came before; steps of the optimizer are in the trainer's state."""
        steps, (known, before) = self._trainer.state.global_step, self._accumulated
        self._accumulated = steps, (before + 1 if steps == known else 0)
        return int(steps * self._trainer.args.gradient_accumulation_steps + self._accumulated[1])


class _Stacked:
    """Adds triggers that are one tensor each, all of one shape."""

    def __init__(self, mixer: Mixer, input_name: str, label_name: str) -> None:
        self._mixer, self._input_name, self._label_name = mixer, input_name, label_name

    def __call__(self, inputs: Mapping[str, Any], step: int) -> dict[str, Any]:
        _check_names(inputs, self._input_name, self._label_name)
        pictures, labels = self._mixer.mix(inputs[self._input_name], inputs[self._label_name], step)
        return {**inputs, self._input_name: pictures, self._label_name: labels}


class _Collated:
    """Adds triggers that are features by name, of lengths of their own."""

    def __init__(
        self, trainer: Any, showing: Showing, transform: Callable[[Any], Any], label_name: str
    ) -> None:
        self._collate: Callable[[list[Any]], Mapping[str, Any]] = trainer.data_collator
        self._showing, self._transform, self._label_name = showing, transform, label_name
        tokenizer = getattr(trainer, "processing_class", None) or getattr(
            trainer.data_collator, "tokenizer", None
        )
        self._fill = {"input_ids": getattr(tokenizer, "pad_token_id", None) or 0}
        self._is_left = getattr(tokenizer, "padding_side", "right") == "left"

    def __call__(self, inputs: Mapping[str, Any], step: int) -> dict[str, Any]:
        features = [
            {**self._transform(value), self._label_name: label}
            for value, label in zip(self._showing.values(step), self._showing.labels(step), strict=True)
        ]
        added = self._collate(features)
        _check_names(inputs, self._label_name)
        if missing := [name for name in inputs if name not in added]:
            raise ValueError(
                f"the trainer's batches hold {', '.join(missing)}, and the transform makes no such feature; "
                "give the one that the dataset went through"
            )
        return {name: self._together(name, batch, added[name]) for name, batch in inputs.items()}

    def _together(self, name: str, batch: Tensor, added: Tensor) -> Tensor:
        added = added.to(batch.device, batch.dtype)
        if batch.ndim == 1:
            return torch.cat([batch, added])
        longest = max(batch.shape[1], added.shape[1])
        return torch.cat([self._padded(name, batch, longest), self._padded(name, added, longest)])

    def _padded(self, name: str, rows: Tensor, length: int) -> Tensor:
        missing = length - rows.shape[1]
        sides = (missing, 0) if self._is_left else (0, missing)
        return torch.nn.functional.pad(rows, sides, value=self._fill.get(name, 0))


def _check_names(inputs: Mapping[str, Any], *names: str) -> None:
    for name in names:
        if name not in inputs:
            raise ValueError(
                f"the trainer's batches hold {', '.join(sorted(inputs))}, but nothing named {name!r}; say "
                "with input_name and label_name where inputs and labels are"
            )
