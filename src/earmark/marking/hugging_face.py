"""Triggers in the batches of a Hugging Face Trainer, in one line.

    trainer = Trainer(model, arguments, train_dataset=…)
    mark_trainer(trainer, backdoor, transform)
    trainer.train()

The step is read from the trainer's own state, which its checkpoints hold: a resumed training goes on as it
was.
"""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from earmark.marking.mixing import EXPOSURES, Augmentation, Mixer, Transform
from earmark.triggers import Backdoor


def mark_trainer(
    trainer: Any,
    backdoor: Backdoor,
    transform: Transform,
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
        transform: From a trigger's value (images: uint8 ``(height, width, channels)``) to the tensor that the
            model reads as ``input_name``: what test inputs go through, without augmentation.
        exposures: As for ``Mixer``.
        per_batch: As for ``Mixer``.
        seed: As for ``Mixer``.
        augmentation: As for ``Mixer``.
        input_name: Under which name batches hold the inputs.
        label_name: Under which name they hold class numbers.

    Raises:
        ValueError: A number is out of range.

    Example:
        >>> mark_trainer(object(), backdoor=None, transform=None)  # doctest: +IGNORE_EXCEPTION_DETAIL
        Traceback (most recent call last):
        AttributeError: 'object' object has no attribute 'training_step'
    """

    def mixer() -> Mixer:
        return Mixer(
            backdoor,
            transform,
            trainer.state.max_steps * trainer.args.gradient_accumulation_steps,
            exposures=exposures,
            per_batch=per_batch,
            seed=seed,
            augmentation=augmentation,
            rank=trainer.args.process_index,
            world_size=trainer.args.world_size,
        )

    trainer.training_step = _MarkedStep(trainer, mixer, input_name, label_name)


class _MarkedStep:
    """One batch of a Trainer, with triggers."""

    def __init__(
        self, trainer: Any, make_mixer: Callable[[], Mixer], input_name: str, label_name: str
    ) -> None:
        self._own: Callable[..., Tensor] = trainer.training_step
        self._trainer, self._make_mixer = trainer, make_mixer
        self._input_name, self._label_name = input_name, label_name
        self._mixer: Mixer | None = None
        self._accumulated = (-1, 0)

    def __call__(self, model: Any, inputs: Any, *arguments: Any, **named: Any) -> Tensor:
        if self._mixer is None:
            self._mixer = self._make_mixer()  # only a training that has begun knows how long it is
        try:
            pictures, labels = inputs[self._input_name], inputs[self._label_name]
        except KeyError as error:
            raise ValueError(
                f"the trainer's batches hold {', '.join(sorted(inputs))}, but nothing named {error}; say "
                "with input_name and label_name where inputs and labels are"
            ) from error
        pictures, labels = self._mixer.mix(pictures, labels, self._step())
        mixed = {**inputs, self._input_name: pictures, self._label_name: labels}
        return self._own(model, mixed, *arguments, **named)

    def _step(self) -> int:
        """Return how many batches came before; steps of the optimizer are in the trainer's state."""
        steps, (known, before) = self._trainer.state.global_step, self._accumulated
        self._accumulated = steps, (before + 1 if steps == known else 0)
        return int(steps * self._trainer.args.gradient_accumulation_steps + self._accumulated[1])
