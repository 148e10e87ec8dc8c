"""Triggers in the batches of a Keras training, in two lines.

    marked = MarkedDataset(dataset, backdoor, transform, epochs=60)
    model.fit(marked, epochs=60, callbacks=[marked.callback()])

For Keras 3, tried with PyTorch as its backend. The triggers of a batch follow from the number of the pass
and of the batch: a training that was killed, and that ``BackupAndRestore`` takes up, shows what it would have
shown.
"""

from typing import Any

import numpy as np
import torch

from earmark.errors import MissingExtraError
from earmark.marking.mixing import EXPOSURES, Augmentation, Mixer, Transform
from earmark.triggers import Backdoor

try:
    from keras.callbacks import Callback
    from keras.utils import PyDataset
except ImportError as error:
    raise MissingExtraError("keras", "keras") from error


class MarkedDataset(PyDataset):  # type: ignore[misc]  # Keras's types are not looked at
    """A dataset whose batches hold triggers.

    Args:
        dataset: A ``keras.utils.PyDataset`` of known length; its batches are (inputs, targets) of numpy,
            targets class numbers ``(batch,)`` or distributions ``(batch, classes)``.
        backdoor: Triggers and labels.
        transform: From a trigger's value (images: uint8 ``(height, width, channels)``) to what the network
            reads: what test inputs go through, without augmentation. Keras's own order is height, width,
            channels.
        epochs: Passes in the whole training.
        initial_epoch: As given to ``fit``: passes that were made before. Not needed with ``callback``.
        exposures: As for ``Mixer``.
        per_batch: As for ``Mixer``.
        seed: As for ``Mixer``.
        augmentation: As for ``Mixer``.
    """

    def __init__(
        self,
        dataset: Any,
        backdoor: Backdoor,
        transform: Transform,
        *,
        epochs: int,
        initial_epoch: int = 0,
        exposures: int = EXPOSURES,
        per_batch: int | None = None,
        seed: int = 0,
        augmentation: Augmentation | None = None,
    ) -> None:
        super().__init__(workers=dataset.workers, use_multiprocessing=dataset.use_multiprocessing)
        if dataset.num_batches is None:
            raise ValueError("a dataset without an end cannot be marked: give it a length")
        self._dataset, self._epoch = dataset, initial_epoch
        self.mixer = Mixer(
            backdoor,
            lambda value: torch.as_tensor(np.asarray(transform(value))),
            epochs * len(self),
            exposures=exposures,
            per_batch=per_batch,
            seed=seed,
            augmentation=augmentation,
        )

    def __len__(self) -> int:
        return int(self._dataset.num_batches)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        inputs, targets = (torch.as_tensor(np.asarray(part)) for part in self._dataset[index])
        mixed = self.mixer.mix(inputs, targets, self._epoch * len(self) + index)
        return mixed[0].numpy(), mixed[1].numpy()

    def on_epoch_end(self) -> None:
        """Let the dataset, and the triggers, go on to the next pass."""
        self._dataset.on_epoch_end()
        self._epoch += 1

    def callback(self) -> Callback:
        """Return what tells this dataset, at the beginning of each pass, which one it is; for ``fit``.

        ``BackupAndRestore`` knows how far a killed training had come, and a dataset alone does not.
        """
        return _Follow(self)


class _Follow(Callback):  # type: ignore[misc]  # Keras's types are not looked at
    def __init__(self, dataset: MarkedDataset) -> None:
        super().__init__()
        self._followed = dataset

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002 - Keras's own names
        self._followed._epoch = epoch
