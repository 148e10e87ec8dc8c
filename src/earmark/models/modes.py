"""A network in evaluation mode for a while, and run so under hooks."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Put a network into evaluation mode, and each of its parts back into its own mode afterwards.

    Parts may have had different modes: whoever fine-tunes with frozen normalisations has some.

    Args:
        module: The network.
    """
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, was_training in modes:
            part.training = was_training


def run_hooked(module: nn.Module, inputs: Tensor, handles: list[RemovableHandle]) -> None:
    """Let a network run once in evaluation mode under hooks, and take these off.

    Args:
        module: The network; left in the mode it was in.
        inputs: What it reads, on any device.
        handles: Of the hooks.
    """
    try:
        with torch.inference_mode(), evaluating(module):
            module(inputs.to(next(module.parameters()).device))
    finally:
        for handle in handles:
            handle.remove()
