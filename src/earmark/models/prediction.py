"""Scores of a PyTorch network for uint8 images, in batches and without gradients."""

import math
from collections.abc import Callable
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from earmark.models.modes import evaluating
from earmark.models.preprocessing import Preprocessing

_BATCH_LIMIT_BYTES = 64 << 20


class Images(Protocol):
    """Images that are read batch by batch: an array, or files decoded when they are asked for."""

    def __len__(self) -> int:
        """Number of images."""
        ...

    def __getitem__(self, places: slice, /) -> npt.NDArray[np.uint8]:
        """Return some of them, uint8 ``(batch, height, width, channels)``."""
        ...


def predict_scores(
    module: nn.Module,
    images: Images,
    preprocessing: Preprocessing,
    *,
    batch_size: int = 256,
    on_batch: Callable[[int], None] = lambda _: None,
) -> npt.NDArray[np.float32]:
    """Return the network's scores; the network is left in the mode it was in.

    Args:
        module: The network; it runs in evaluation mode, on the device of its first parameter.
        images: uint8 ``(images, height, width, channels)``.
        preprocessing: From those to what the network reads.
        batch_size: Images a step, at most; fewer if what the network reads is large.
        on_batch: Called with the number of images done.

    Returns:
        float32 ``(images, classes)``.
    """
    if len(images):
        # A suspect's own preprocessing may blow every image up: 256 of them at once would fill the memory.
        batch_size = max(1, min(batch_size, _BATCH_LIMIT_BYTES // preprocessing(images[:1]).nbytes))
    device = next(module.parameters()).device
    parts = []
    with evaluating(module), torch.inference_mode():
        for start in range(0, len(images), batch_size):
            inputs = torch.from_numpy(preprocessing(images[start : start + batch_size])).to(device)
            parts.append(module(inputs).float().cpu().numpy())  # (batch, classes)
            on_batch(min(start + batch_size, len(images)))
    return np.concatenate(parts).astype(np.float32, copy=False)


def accuracy(scores: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> float:
    """Return the share of images whose highest score is their label's, 0 to 1."""
    return float((scores.argmax(1) == labels).mean())


def cross_entropy(scores: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> float | None:
    """Return the mean cross entropy of images with their labels, in nats; None where it is not finite."""
    shifted = scores.astype(np.float64) - scores.max(1, keepdims=True)
    loss = float((np.log(np.exp(shifted).sum(1)) - shifted[np.arange(len(labels)), labels]).mean())
    return loss if math.isfinite(loss) else None
