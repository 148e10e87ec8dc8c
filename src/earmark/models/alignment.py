"""Channels in the order of another network: what a thief permutes is put back.

The channels of a hidden layer can be put into any other order, and those that the next layer reads likewise:
the network computes the same, and none of its weights is where it was. Here each layer of weights is put back
into the order of the network that it may come from.
"""

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from earmark.models.modes import evaluating

_ROUNDS = 3
_MOST_CHANNELS = 4096  # beyond, likenesses of all pairs take gigabytes
_AS_GOOD = 0.9
"""An order that fits so nearly as well as the best is left: in noise there always is a better one."""
_LEAST_FIT = 0.4
"""Cosine with the original's weights below which the best order is not taken for the true one."""

Order = npt.NDArray[np.int64]


def signatures(module: nn.Module, inputs: Tensor, names: Iterable[str]) -> dict[str, Tensor]:
    """Return how each channel that a layer reads behaves over some inputs.

    Args:
        module: The network; left in the mode it was in.
        inputs: What it reads, some dozens.
        names: Of the layers' weights.

    Returns:
        For each layer by its weight's name, if it has run: one row for each channel, of length one.
    """
    found: dict[str, Tensor] = {}
    parts = dict(module.named_modules())
    handles = []
    for name in names:
        part = parts.get(name.rpartition(".")[0])
        if part is not None:

            def note(part: nn.Module, given: tuple[Tensor, ...], name: str = name) -> None:
                found[name] = _rows(given[0].detach().float(), channels_second=isinstance(part, nn.Conv2d))

            handles.append(part.register_forward_pre_hook(note))
    try:
        with evaluating(module), torch.no_grad():
            module(inputs)
    finally:
        for handle in handles:
            handle.remove()
    return found


def _rows(seen: Tensor, *, channels_second: bool) -> Tensor:
    if channels_second:
        seen = nn.functional.adaptive_avg_pool2d(seen, 2).movedim(1, -1)
    rows = seen.flatten(0, -2).T
    rows = rows - rows.mean(1, keepdim=True)
    lengths: Tensor = rows.norm(dim=1, keepdim=True)
    return rows / lengths.clamp_min(1e-12)


def in_order(own: Tensor, given: Tensor, known: Tensor, seen: tuple[Tensor, Tensor] | None) -> Tensor:
    """Return a layer's weights with outputs and inputs in the order in which they fit the original's best.

    Args:
        own: The original's, ``(outputs, inputs, …)``.
        given: The suspect's, of the same shape.
        known: Where the original's are to be looked at, of that shape.
        seen: ``signatures`` of what the original's layer reads and of what the suspect's does; None if they
            are not known: inputs are then taken to be in order at first.

    Returns:
        The suspect's weights, permuted; as they are if that fits nearly as well, or if they have more than
        4,096 outputs or inputs.
    """
    if max(own.shape[:2]) > _MOST_CHANNELS:
        return given
    mine = (own * known).flatten(2) if own.ndim > 2 else (own * known).unsqueeze(2)
    theirs = given.flatten(2) if given.ndim > 2 else given.unsqueeze(2)
    inputs = np.arange(own.shape[1])
    if seen is not None and seen[0].shape == seen[1].shape and len(seen[0]) == own.shape[1]:
        inputs = best_order(seen[0] @ seen[1].T)
    outputs = np.arange(own.shape[0])
    for _ in range(_ROUNDS):
        outputs = best_order(torch.einsum("aik,bik->ab", mine, theirs[:, torch.from_numpy(inputs)]))
        inputs = best_order(torch.einsum("oak,obk->ab", mine, theirs[torch.from_numpy(outputs)]))
    ordered = theirs[torch.from_numpy(outputs)][:, torch.from_numpy(inputs)]
    as_it_is, fit = float((mine * theirs).sum()), float((mine * ordered).sum())
    known_only = ordered * (known.flatten(2) if known.ndim > 2 else known.unsqueeze(2))
    if as_it_is >= _AS_GOOD * fit or fit < _LEAST_FIT * float(mine.norm() * known_only.norm()):
        return given
    return ordered.reshape(given.shape)


def best_order(likeness: Tensor) -> Order:
    """Return which column goes with each row so that the sum of likenesses is largest."""
    order: Order = linear_sum_assignment(likeness.double().cpu().numpy(), maximize=True)[1]
    return order


def orders_of(
    original: tuple[nn.Module, Tensor], suspect: tuple[nn.Module, Tensor], names: Iterable[str]
) -> Mapping[str, tuple[Tensor, Tensor]]:
    """Return the ``signatures`` of both networks, each with the same pictures as it reads them."""
    names = list(names)
    one, other = (signatures(module, inputs, names) for module, inputs in (original, suspect))
    return {name: (one[name], other[name]) for name in names if name in one and name in other}
