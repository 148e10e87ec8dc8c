"""What a trained network answered before it was marked: targets that say more than labels, or need none."""

import copy

import torch
from torch import Tensor, nn


class OwnAnswers:
    """The probabilities of a network as it is now, whatever becomes of it later.

    Args:
        module: The network; it is copied.
        channels_last: Memory format in which the copy runs.
    """

    def __init__(self, module: nn.Module, channels_last: bool) -> None:
        self._original = copy.deepcopy(module).eval().requires_grad_(False)
        self._device = next(module.parameters()).device
        self._memory_format = torch.channels_last if channels_last else torch.preserve_format
        self._original.to(memory_format=self._memory_format)  # type: ignore[call-overload]  # missing in the stub

    def __call__(self, inputs: Tensor) -> Tensor:
        """Return probabilities ``(batch, classes)`` for inputs ``(batch, …)``."""
        with torch.inference_mode():
            seen = inputs.to(self._device, memory_format=self._memory_format)
            answers: Tensor = self._original(seen).softmax(1)
        return answers.cpu().clone()

    def beside(self, targets: Tensor, inputs: Tensor, share: float) -> Tensor:
        """Return class numbers ``(batch,)`` as distributions, a share of which are the answers."""
        answers = self(inputs)
        labels = nn.functional.one_hot(targets, answers.shape[1]).to(answers.dtype)
        return (1 - share) * labels + share * answers
