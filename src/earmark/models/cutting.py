"""A network cut in two at one of its layers: what comes before it, and what comes after it alone."""

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from earmark.models.modes import evaluating, run_hooked


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a network can be cut: all that comes after the layer reads nothing but the layer's output.

    Attributes:
        layer: Name of the layer after which it is cut.
        skipped: Names of the largest parts that are done before it begins, and the shapes of what they give.
        input_shape: Of one input of the network.
    """

    layer: str
    skipped: Mapping[str, torch.Size]
    input_shape: torch.Size


def cut_after(module: nn.Module, layer: str, inputs: Tensor) -> Cut:
    """Find out whether a network can be cut after a layer, by running it.

    Args:
        module: The network; left in the mode that it was in.
        layer: The name of one of its parts.
        inputs: One or more of what it reads, ``(batch, …)``.

    Raises:
        ValueError: It has no such layer, the layer runs several times, a part or a weight serves before and
            after it, or what comes after it reads more than its output.
    """
    inputs = inputs.to(next(module.parameters()).device)
    cut = Cut(layer, _skipped(module, layer, inputs), inputs.shape[1:])
    with evaluating(module), torch.no_grad():
        whole = module(inputs)
        try:
            end = NetworkEnd(module, cut).eval()(output_of(module, layer, inputs))
        except RuntimeError:  # the zeros in place of what was skipped led it elsewhere
            end = None
    if end is None or whole.shape != end.shape or not torch.allclose(whole, end, rtol=1e-3, atol=1e-5):
        raise ValueError(
            f"what comes after {layer} reads more than its output, so that it cannot be run alone; name a "
            "layer that everything passes"
        )
    return cut


def output_of(module: nn.Module, layer: str, inputs: Tensor) -> Tensor:
    """Return what a layer gives for inputs ``(batch, …)``; what comes after it does not run."""

    def stop(_part: nn.Module, _arguments: Any, output: Tensor) -> None:
        raise _ReachedError(output)

    handle = module.get_submodule(layer).register_forward_hook(stop)
    try:
        module(inputs)
    except _ReachedError as reached:
        return reached.output
    finally:
        handle.remove()
    raise ValueError(f"{layer} does not run")


class NetworkEnd(nn.Module):
    """What comes after a layer: reads the layer's output ``(batch, …)`` and gives what the network gives.

    Args:
        module: The network; left as it is.
        cut: Where.
        shares_weights: Whether its weights and statistics are the network's own, so that both learn when one
            does; else they are copies.
    """

    def __init__(self, module: nn.Module, cut: Cut, *, shares_weights: bool = False) -> None:
        super().__init__()
        shared = [*module.parameters(), *module.buffers()] if shares_weights else []
        network: nn.Module = copy.deepcopy(module, {id(tensor): tensor for tensor in shared})
        for name, shape in cut.skipped.items():
            put_part(network, name, _Skipped(shape))
        self._given = _Given()
        put_part(network, cut.layer, self._given)
        self.network, self._input_shape = network, cut.input_shape

    def forward(self, features: Tensor) -> Tensor:
        """Return scores ``(batch, classes)`` for what the layer gave ``(batch, …)``."""
        self._given.features = features
        nothing = features.new_zeros(()).expand(len(features), *self._input_shape)
        try:
            scores: Tensor = self.network(nothing)
        finally:
            self._given.features = None
        return scores


def put_part(module: nn.Module, name: str, part: nn.Module) -> None:
    """Put a part in the place of the one with this name."""
    parent, _, attribute = name.rpartition(".")
    setattr(module.get_submodule(parent), attribute, part)


def lies_in(name: str, others: Iterable[str]) -> bool:
    """Return whether a part is one of the others, or a part of one."""
    return any(name == other or name.startswith(f"{other}.") for other in others)


class _ReachedError(Exception):
    def __init__(self, output: Tensor) -> None:
        super().__init__()
        self.output = output


class _Given(nn.Module):
    """Gives what it was given before, in place of a layer."""

    features: Tensor | None = None

    def forward(self, *_: Any, **__: Any) -> Tensor | None:
        """Return it, whatever comes in."""
        return self.features


class _Skipped(nn.Module):
    """Gives zeros of the right shape in no time: the layers after the given one never read them."""

    def __init__(self, shape: torch.Size) -> None:
        super().__init__()
        self._shape = shape

    def forward(self, inputs: Tensor, *_: Any, **__: Any) -> Tensor:
        """Return ``(batch, *shape)``."""
        return inputs.new_zeros(()).expand(len(inputs), *self._shape)


def _skipped(module: nn.Module, after: str, inputs: Tensor) -> dict[str, torch.Size]:
    """Return the largest parts that are done before a layer begins, and the shapes that they give."""
    names = {part: name for name, part in module.named_modules()}
    layer = dict(module.named_modules()).get(after)
    if layer is None or layer is module:
        raise ValueError(f"the network has no part named {after!r}")
    clock = iter(range(10**9))
    calls: dict[nn.Module, list[tuple[int, torch.Size | None]]] = {}
    begun: list[int] = []

    def note(part: nn.Module, _arguments: Any, output: Any) -> None:
        is_plain = isinstance(output, Tensor) and output.ndim > 0 and len(output) == len(inputs)
        calls.setdefault(part, []).append((next(clock), output.shape[1:] if is_plain else None))

    handles = [part.register_forward_hook(note) for part in names if part is not module]
    handles.append(layer.register_forward_pre_hook(lambda _, __: begun.append(next(clock))))
    run_hooked(module, inputs, handles)
    if len(begun) != 1:
        raise ValueError(f"{after} runs {len(begun)} times in one pass; it has to run once")
    found: dict[str, torch.Size] = {}
    for part, name in names.items():
        shapes = {shape for _, shape in calls.get(part, [])}
        ends = [ended for ended, _ in calls.get(part, [])]
        if ends and min(ends) < begun[0] < max(ends) and [*part.parameters(), *part.buffers()]:
            raise ValueError(f"{name} serves before {after} and after it, so that no end can have it alone")
        is_done = bool(ends) and max(ends) < begun[0]
        if is_done and len(shapes) == 1 and None not in shapes and not lies_in(name, found):
            found[name] = next(shape for shape in shapes if shape is not None)
    before, rest = set[int](), set[int]()
    for part, name in names.items():
        side = before if lies_in(name, [*found, after]) else rest
        side.update(id(weight) for weight in part.parameters(recurse=False))
    if before & rest:
        raise ValueError(f"a weight serves before {after} and after it, so that no end can have it alone")
    return found
