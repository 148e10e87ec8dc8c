"""Triggers among the pictures of their label inside the network, not at its end alone.

A thief who draws a new last layer and drives it away from the old one moves the features of all pictures that
he trains on. A trigger moves along if, some layers before, the network holds it for one of them.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

_SHARPNESS = 10.0  # of the similarities, between -1 and 1, as scores
_TINY = 1e-6


@contextmanager
def watched(module: nn.Module, layers: Sequence[str], *, averages: bool = True) -> Iterator[list[Tensor]]:
    """Collect what layers give while the network runs.

    Args:
        module: The network.
        layers: Names of its parts.
        averages: Whether it is averaged over places.

    Yields:
        A list that grows whenever one of them runs: by ``(batch, features)``, by ``(batch, …)`` if not.

    Raises:
        AttributeError: The network has no such part.
    """
    seen: list[Tensor] = []

    def note(_part: nn.Module, _arguments: Any, output: Any) -> None:
        given = output[0] if isinstance(output, tuple) else output
        if averages and given.ndim > 2:
            # (batch, channels, height, width) or (batch, tokens, features)
            given = given.flatten(2).mean(2) if given.ndim > 3 else given.mean(1)
        seen.append(given.float() if averages else given)

    handles = [module.get_submodule(name).register_forward_hook(note) for name in layers]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def entanglement(clean: Tensor, triggers: Tensor, classes: Tensor, labels: Tensor) -> Tensor:
    """Return how far triggers lie from the clean pictures of their label, among those of all classes.

    Each class present in the batch stands for itself by the mean of its pictures; similarity is the cosine
    from the middle of these means, in deviations of each feature; the loss is the cross-entropy over classes.

    Args:
        clean: ``(clean, features)``; nothing is learned from them here.
        triggers: ``(triggers, features)``.
        classes: Class numbers ``(clean,)``.
        labels: Class numbers ``(triggers,)``; triggers whose class is not in the batch do not count.

    Returns:
        A number; 0 if no trigger counts.

    Source:
        ours, after the soft nearest neighbours of Jia et al. 2021 (USENIX Security, EWE)
    """
    clean = clean.detach()
    present, places = torch.unique(classes, return_inverse=True)
    counts = torch.bincount(places, minlength=len(present)).unsqueeze(1)
    sums = torch.zeros(len(present), clean.shape[1], dtype=clean.dtype, device=clean.device)
    means = sums.index_add(0, places, clean) / counts
    middle, spread = means.mean(0), clean.std(0) + _TINY
    own = nn.functional.normalize((triggers - middle) / spread, dim=1)
    theirs = nn.functional.normalize((means - middle) / spread, dim=1)
    is_present = (labels.unsqueeze(1) == present).any(1)
    if len(present) < 2 or not bool(is_present.any()):
        return triggers.sum() * 0.0
    targets = torch.searchsorted(present, labels[is_present])
    return nn.functional.cross_entropy(_SHARPNESS * own[is_present] @ theirs.T, targets)
