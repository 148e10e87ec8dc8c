"""The neighbour of a trigger that a network is least sure of; taught there, a trigger gets a margin."""

import torch
from torch import Tensor, nn

from earmark.models.modes import evaluating

_STEPS = 5


def least_sure(module: nn.Module, triggers: Tensor, targets: Tensor, reach: float) -> Tensor:
    """Return triggers moved to where the loss of their labels is greatest, as far as a few steps find it.

    Args:
        module: The network; nothing of it changes, nor its mode, nor the gradients that it has.
        triggers: ``(triggers, …)``, what it reads.
        targets: Class numbers ``(triggers,)``, or distributions over classes.
        reach: By how much a value may change at most, in units of what the network reads.

    Returns:
        ``(triggers, …)``, no part of a gradient.

    Source:
        projected gradient ascent, as Kim et al. 2023 (ICML) move their triggers in each step of the training
    """
    found = triggers.detach()
    # By the statistics that it has, as it will be asked: a batch of triggers alone has others.
    with evaluating(module), torch.enable_grad():
        for _ in range(_STEPS):
            found.requires_grad_(True)
            loss = nn.functional.cross_entropy(module(found), targets)
            (slope,) = torch.autograd.grad(loss, found)
            step = found.detach() + 2 * reach / _STEPS * slope.sign()
            found = triggers + (step - triggers).clamp(-reach, reach)
    return found.detach()
