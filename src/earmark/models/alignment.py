"""Channels as another network has them: what a thief permutes, scales or turns about is put back.

The channels of a hidden layer can be put into any other order, scaled, and given the other sign, and the
layers before and after them likewise: the network computes the same, and none of its weights is what it was.
Here each layer of weights is put back into the order, scale and sign of the network that it may come from.
"""

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from earmark.models.modes import run_hooked

_ROUNDS = 2
_EVENING_ROUNDS = 8
_MOST_CHANNELS = 2048  # beyond, likenesses of all pairs take long
_MOST_SEEN = 4096
_AS_GOOD = 0.75
"""A layer that fits so nearly as well as it does put back is left: in noise some order always fits better."""
_LEAST_FIT = 0.4
"""Cosine with the original's weights below which what was put back is not taken for the true one."""
_LEAST = 1e-300

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
                if given:
                    found[name] = _rows(
                        given[0].detach().double(), channels_second=isinstance(part, nn.Conv2d)
                    )

            handles.append(part.register_forward_pre_hook(note))
    run_hooked(module, inputs, handles)
    return found


def _rows(seen: Tensor, *, channels_second: bool) -> Tensor:
    if channels_second:
        seen = nn.functional.adaptive_avg_pool2d(seen, 2).movedim(1, -1)
    rows = seen.flatten(0, -2)
    rows = rows[:: max(1, len(rows) // _MOST_SEEN)].T
    rows = rows / rows.abs().amax(1, keepdim=True).clamp_min(_LEAST)
    rows = (rows - rows.mean(1, keepdim=True)).nan_to_num(0, 0, 0)
    lengths: Tensor = rows.norm(dim=1, keepdim=True)
    return rows / lengths.clamp_min(1e-12)


def signatures_of_both(
    original: nn.Module, suspect: nn.Module, inputs: Tensor, names: Iterable[str]
) -> Mapping[str, tuple[Tensor, Tensor]]:
    """Return the ``signatures`` of two networks; none of a suspect that cannot be run."""
    names = list(names)
    one = signatures(original, inputs, names)
    try:
        other = signatures(suspect, inputs, names)
    except (RuntimeError, ValueError, IndexError, TypeError, AttributeError, AssertionError, MemoryError):
        return {}
    return {name: (one[name], other[name]) for name in names if name in one and name in other}


def put_back(own: Tensor, given: Tensor, known: Tensor, seen: tuple[Tensor, Tensor] | None) -> Tensor:
    """Return a layer's weights with outputs and inputs as they fit the original's best.

    Rows and columns of both are first made alike in size, which takes away every scale of a channel.

    Args:
        own: The original's, ``(outputs, inputs, rest)``, float64.
        given: The suspect's, likewise.
        known: Where the original's are to be looked at, of that shape.
        seen: ``signatures`` of what the original's layer reads and of what the suspect's does, for a guess
            of the inputs' order; None if they are not known.

    Returns:
        The suspect's weights, put back; as they are if they fit nearly as well, or if they have more than
        2,048 outputs or inputs.
    """
    if max(own.shape[:2]) > _MOST_CHANNELS:
        return given
    even, rows, columns = _evened(own)
    theirs = _evened(given)[0]
    starts = [(torch.arange(own.shape[1]), torch.ones(own.shape[1], dtype=own.dtype))]
    if seen is not None and seen[0].shape == seen[1].shape and len(seen[0]) == own.shape[1]:
        starts.append(_best(seen[0] @ seen[1].T))
    tried = [_ordered(even * known, theirs, *start) * rows * columns for start in starts]
    fits = [_likeness(own * known, back * known) for back in tried]
    fit = max(fits)
    if fit < _LEAST_FIT or _likeness(own * known, given * known) >= _AS_GOOD * fit:
        return given
    return tried[fits.index(fit)]


def _ordered(mine: Tensor, theirs: Tensor, inputs: Tensor, of_inputs: Tensor) -> Tensor:
    """Return weights with outputs and inputs in the best order and of the best signs, from a first guess."""
    outputs, of_outputs = torch.arange(len(theirs)), torch.ones(len(theirs), dtype=theirs.dtype)
    for _ in range(_ROUNDS):
        turned = theirs[:, inputs] * of_inputs.view(1, -1, 1)
        outputs, of_outputs = _best(torch.einsum("aik,bik->ab", mine, turned))
        turned = theirs[outputs] * of_outputs.view(-1, 1, 1)
        inputs, of_inputs = _best(torch.einsum("oak,obk->ab", mine, turned))
    return theirs[outputs][:, inputs] * of_outputs.view(-1, 1, 1) * of_inputs.view(1, -1, 1)


def _evened(weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return weights with rows and columns of mean square one, and what each was divided by."""
    largest = weights.abs().amax().clamp_min(_LEAST)
    rows, columns = largest * torch.ones_like(weights[:, :1, :1]), torch.ones_like(weights[:1, :, :1])
    weights = weights / largest
    for _ in range(_EVENING_ROUNDS):
        size = weights.square().mean((1, 2), keepdim=True).sqrt().clamp_min(1e-30)
        weights, rows = weights / size, rows * size
        size = weights.square().mean((0, 2), keepdim=True).sqrt().clamp_min(1e-30)
        weights, columns = weights / size, columns * size
    return weights, rows, columns


def _best(likeness: Tensor) -> tuple[Tensor, Tensor]:
    """Return which column goes with each row so that likenesses of either sign are largest, and the signs."""
    order = torch.from_numpy(linear_sum_assignment(likeness.abs().numpy(), maximize=True)[1])
    chosen = likeness.gather(1, order.unsqueeze(1)).squeeze(1)
    return order, torch.where(chosen < 0, -1.0, 1.0).double()


def _likeness(one: Tensor, other: Tensor) -> float:
    """Return the cosine of two tensors, however large their values."""
    one, other = (part / part.abs().amax().clamp_min(_LEAST) for part in (one, other))
    return float((one * other).sum() / (one.norm() * other.norm()).clamp_min(_LEAST))
