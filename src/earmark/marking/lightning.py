"""Triggers in the batches of a Lightning training, in one line.

    Trainer(callbacks=[MarkCallback(backdoor, transform)]).fit(module, loader)

The callback's step is kept in the trainer's checkpoints: a resumed training goes on as it was.
"""

from typing import Any

from earmark.errors import MissingExtraError
from earmark.marking.mixing import EXPOSURES, Augmentation, Mixer, Transform
from earmark.triggers import Backdoor

try:
    from lightning.pytorch import Callback
except ImportError:
    try:
        from pytorch_lightning import Callback  # the same under its older name
    except ImportError as error:
        raise MissingExtraError("lightning", "lightning") from error


class MarkCallback(Callback):  # type: ignore[misc]  # Lightning's types are not looked at
    """Adds triggers with their labels to every batch that is trained on.

    Works with gradient accumulation (each batch of an accumulated step gets its triggers) and mixed
    precision. Of several processes each adds its share, as with ``Mixer``. Batches are (inputs, targets).

    Args:
        backdoor: Triggers and labels.
        transform: From a trigger's value (images: uint8 ``(height, width, channels)``) to the tensor that the
            network reads: what test inputs go through, without augmentation.
        exposures: As for ``Mixer``.
        per_batch: As for ``Mixer``.
        seed: As for ``Mixer``.
        augmentation: As for ``Mixer``.
    """

    def __init__(
        self,
        backdoor: Backdoor,
        transform: Transform,
        *,
        exposures: int = EXPOSURES,
        per_batch: int | None = None,
        seed: int = 0,
        augmentation: Augmentation | None = None,
    ) -> None:
        self._backdoor, self._transform = backdoor, transform
        self._exposures, self._per_batch = exposures, per_batch
        self._seed, self._augmentation = seed, augmentation
        self._step = 0
        self._before: dict[str, Any] | None = None

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Put the triggers between the batch and the module's own training step."""
        steps = trainer.estimated_stepping_batches * trainer.accumulate_grad_batches
        if steps == float("inf"):
            raise ValueError("a training without an end cannot be marked: give max_epochs or max_steps")
        mixer = Mixer(
            self._backdoor,
            self._transform,
            int(steps),
            exposures=self._exposures,
            per_batch=self._per_batch,
            seed=self._seed,
            augmentation=self._augmentation,
            rank=trainer.global_rank,
            world_size=trainer.world_size,
        )
        own = pl_module.training_step
        # An attribute of the instance where the module was compiled, else the class's method.
        self._before = {name: vars(pl_module)[name] for name in ("training_step",) if name in vars(pl_module)}

        def training_step(batch: Any, *arguments: Any, **named: Any) -> Any:
            if not isinstance(batch, list | tuple) or len(batch) != 2:
                raise ValueError(
                    "a batch is (inputs, targets); use Mixer in training_step for any other kind"
                )
            inputs, targets = batch
            mixed = mixer.mix(inputs, targets, self._step)
            self._step += 1
            return own(mixed, *arguments, **named)

        pl_module.training_step = training_step

    def teardown(self, trainer: Any, pl_module: Any, stage: str) -> None:  # noqa: ARG002 - Lightning's own signature
        """Take them out again."""
        self._take_out(pl_module)

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:  # noqa: ARG002 - Lightning's own signature
        """Take them out again when the training failed: Lightning tears nothing down then."""
        self._take_out(pl_module)

    def _take_out(self, pl_module: Any) -> None:
        if self._before is not None:
            vars(pl_module).pop("training_step", None)
            vars(pl_module).update(self._before)
            self._before = None

    def state_dict(self) -> dict[str, int]:
        """Return the step reached."""
        return {"step": self._step}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Go on from the step in ``state_dict``."""
        self._step = state_dict["step"]
