"""Where the stages of a convolutional network end, and what comes after."""

import torch
from torch import Tensor, nn

from earmark.models.modes import run_hooked


def stage_ends(module: nn.Module, inputs: Tensor) -> list[str]:
    """Return the convolution or block that ends each stage, in order: the last before maps get smaller.

    Args:
        module: The network; left in the mode it was in.
        inputs: One or more of what it reads, ``(batch, channels, height, width)``.

    Returns:
        Names of its parts, none for a network without maps.
    """
    ends: dict[torch.Size, str] = {}

    def note(name: str, output: object) -> None:
        if isinstance(output, Tensor) and output.dim() == 4 and output.shape[2] * output.shape[3] > 1:
            ends[output.shape[2:]] = name

    handles = [
        part.register_forward_hook(lambda _, __, output, name=name: note(name, output))
        for name, part in module.named_modules()
        if name and any(isinstance(inner, nn.Conv2d) for inner in part.modules())
    ]
    run_hooked(module, inputs, handles)
    return list(ends.values())


def parts_after(module: nn.Module, layer: str, inputs: Tensor) -> list[nn.Module]:
    """Return the innermost parts that run only after a layer has run, in their order.

    Args:
        module: The network; left in the mode it was in.
        layer: Name of one of its parts.
        inputs: One or more of what it reads.

    Raises:
        AttributeError: The network has no such part.
    """
    before: list[nn.Module] = []
    after: list[nn.Module] = []
    is_done = False

    def end(*_: object) -> None:
        nonlocal is_done
        is_done = True

    def note(part: nn.Module, *_: object) -> None:
        (after if is_done else before).append(part)

    handles = [
        part.register_forward_hook(note)
        for part in module.modules()
        if not any(True for _ in part.children())
    ]
    handles.append(module.get_submodule(layer).register_forward_hook(end))
    run_hooked(module, inputs, handles)
    return [part for part in dict.fromkeys(after) if part not in before]
