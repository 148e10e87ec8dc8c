"""Grafts: a suspect's weights at secret places, put into the network that it may come from.

An attack on a mark changes all weights, by training them or by noise. At a small share of them, and in a
network that is otherwise as it was before any attack, the change is small too: what was learned at those
places can be read there when the suspect itself answers no trigger any more.
"""

import copy
from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from earmark.commitment import Stream
from earmark.errors import SuspectError
from earmark.models.alignment import put_back, signatures_of_both
from earmark.models.last_layer import last_layer
from earmark.models.preprocessing import Preprocessing

CODE = "earmark/graft/v1"
DEFAULT_SHARE = 32
_PARTS_OF_ONE = 256
_LEAST_SHARE = 0.25
"""A layer in which the original's weights are a smaller share than this was not taken over but made anew."""
_LEAST_MULTIPLE = 0.25
_MEDIAN_OF_SQUARE = 0.455  # of a standard normal variable's
_SPREAD = 0.25
"""How far, as a share, rows are expected to be scaled differently."""

Places = Mapping[str, Tensor]


class _Images(Protocol):
    def __len__(self) -> int: ...

    def __getitem__(self, places: npt.NDArray[np.int64], /) -> npt.NDArray[np.uint8]: ...


def places_of(module: nn.Module, seed: bytes, share: int) -> dict[str, Tensor]:
    """Return the places: which weights of a network a mark may use and a graft takes over.

    They lie in the matrices of weights, one row for each output, but for the last layer's: classes may be
    replaced.

    Args:
        module: The network, or one of its architecture.
        seed: 32 secret bytes. Whoever knows the places can make all that they hold anew.
        share: How many of 256 weights are chosen, 1 to 255.

    Returns:
        For each tensor by its name, where the places are.

    Raises:
        ValueError: The share is none, or the network has no such layers.
    """
    if not 1 <= share < _PARTS_OF_ONE:
        raise ValueError(f"the share of places is 1 to 255 of 256, not {share}")
    try:
        last = id(last_layer(module)[1].weight)
    except ValueError:
        last = 0
    found = {}
    for name, weight in module.named_parameters():
        if weight.ndim >= 2 and id(weight) != last:
            drawn = np.frombuffer(Stream(CODE, seed, name).read(weight.numel()), np.uint8)
            found[name] = torch.from_numpy(drawn < share).view(weight.shape)
    if not found:
        raise ValueError("the network has no layer of weights before its last: nothing can be grafted")
    return found


def graft(
    original: nn.Module, suspect: nn.Module, places: Places, inputs: Tensor | None = None
) -> tuple[nn.Module, int]:
    """Return the original with a suspect's weights at the places.

    What was done to whole layers is undone first. By the weights that are not at the places, where the
    original's are known, channels are put back into its order, scale and sign (``put_back``); then rows and
    columns of the suspect's are taken for multiples of the original's, near to one, and all rows for having
    got a multiple of the mean one. A layer that has nothing of the original's stays as it was there.

    Args:
        original: Left as it is.
        suspect: Left as it is.
        places: Of the original.
        inputs: Clean pictures as the original reads them, to tell by what channels do which is which; None
            where they are known to be as they were.

    Returns:
        A copy, in evaluation mode, with the original's own statistics of batches; and how many of the layers
        with places were taken over.

    Raises:
        SuspectError: Fewer than half of those layers have the suspect's name and shape.
    """
    given = dict(suspect.named_parameters())
    fitting = [name for name in places if name in given and given[name].shape == places[name].shape]
    if 2 * len(fitting) < len(places):
        raise SuspectError(
            f"{len(fitting)} of {len(places)} layers have the original's name and shape: the suspect is "
            "another network, and nothing can be grafted"
        )
    grafted = copy.deepcopy(original).eval().requires_grad_(False)
    own = dict(grafted.named_parameters())
    seen = {} if inputs is None else signatures_of_both(original, suspect, inputs, fitting)
    taken = 0
    for name in fitting:
        layer = [
            part.detach().flatten(2) if part.ndim > 2 else part.detach().unsqueeze(2)
            for part in (own[name], given[name], ~places[name])
        ]
        rows, found, known = layer[0].double(), layer[1].double(), layer[2]
        if inputs is not None:
            found = put_back(rows, found, known, seen.get(name))
        restored = _restored(rows, found, known)
        if restored is not None:
            own[name].copy_(restored.view_as(own[name]))
            taken += 1
    return grafted, taken


@torch.no_grad()
def _restored(rows: Tensor, found: Tensor, known: Tensor) -> Tensor | None:
    """Return the original's weights where they are known, else the suspect's, rid of what was done to all.

    Each is ``(outputs, inputs, places of a filter)``. None for a layer that has nothing of the original's.
    """
    mean = rows.mean(0, keepdim=True).expand_as(rows)
    about = torch.stack([rows[known], mean[known]], 1)
    inner = about.T @ about
    inner += 1e-9 * inner.diagonal().mean().clamp_min(1e-300) * torch.eye(2, dtype=inner.dtype)
    scale, shift = torch.linalg.solve(inner, about.T @ found[known])
    if not float(scale * rows[known].norm()) > _LEAST_SHARE * float(found[known].norm()):
        return None
    rest = (found - shift * mean) / scale
    for axes in ((1, 2), (0, 2)):
        rest = rest / _multiples(rows * known, rest * known, known, axes)
    return torch.where(known, rows, rest)


def _multiples(own: Tensor, found: Tensor, known: Tensor, axes: tuple[int, int]) -> Tensor:
    """Return what multiples of the original's the rows, or columns, are: 1 or -1 as far as noise hides it.

    The size of the noise is a median, so that a few that are far off do not speak for all.
    """
    likeness, size = (own * found).sum(axes, keepdim=True), own.square().sum(axes, keepdim=True)
    signs = torch.where(likeness < -0.5 * size, -1.0, 1.0).double()
    noise = (found * signs - own)[known].square().median() / _MEDIAN_OF_SQUARE
    trust = noise / _SPREAD**2
    multiples = (likeness * signs + trust) / (size + trust).clamp_min(1e-300)
    return signs * multiples.clamp_min(_LEAST_MULTIPLE)


def settle_norms(
    module: nn.Module,
    images: _Images,
    preprocessing: Preprocessing,
    *,
    order: npt.NDArray[np.int64],
    batch_size: int = 100,
    on_step: Callable[[int, int], None] = lambda step, total: None,
) -> None:
    """Let batch normalisations learn their statistics anew, in place; a network without them stays as it is.

    Args:
        module: The network; left in evaluation mode.
        images: Clean ones, ``(count, height, width, channels)``.
        preprocessing: From them to what the network reads.
        order: Places of the images to be used, batch after batch.
        batch_size: Images in each; what is left over for the last is not used if there are others.
        on_step: Called after each batch with the batches done and in all.
    """
    norms = [part for part in module.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]
    module.eval()
    for norm in norms:
        if norm.track_running_stats:
            norm.reset_running_stats()
            norm.momentum = None  # the mean over all batches
        norm.train()
    count = max(1, len(order) // batch_size)
    with torch.no_grad():
        for step in range(count):
            chosen = order[step * batch_size : (step + 1) * batch_size]
            module(torch.from_numpy(preprocessing(images[chosen])))
            on_step(step + 1, count)
    module.eval()
