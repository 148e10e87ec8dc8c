"""Small networks that really read digits, trained in seconds, and adversarial pictures made with their gradients."""

import numpy as np
import torch
from torch import nn

from earmark.models.digits_cnn import DigitsCNN
from earmark.models.preprocessing import for_channels
from earmark.models.table import describe
from earmark.models.weights import LoadedModel
from earmark.suspects.torch import TorchSuspect
from small import DIGITS, digits

PREPROCESSING = for_channels(1)
WIDTH = 8


def trained(seed: int, part: slice) -> nn.Module:
    """A network trained on a part of the digits; another seed and another part make an independent one."""
    split = digits().train
    inputs = torch.from_numpy(PREPROCESSING(split.images[part]))  # (pictures, 1, 8, 8)
    targets = torch.from_numpy(split.labels[part])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = DigitsCNN(10, 1, WIDTH).train()
        optimizer = torch.optim.Adam(module.parameters(), 3e-3)
        for _ in range(10):
            for places in torch.randperm(len(targets)).split(64):
                optimizer.zero_grad()
                nn.functional.cross_entropy(module(inputs[places]), targets[places]).backward()
                optimizer.step()
    return module.eval()


def suspect(module: nn.Module, digest: str) -> TorchSuspect:
    described = describe("digits-cnn", (8, 8, 1), DIGITS, WIDTH)
    return TorchSuspect(LoadedModel(module, described, digest), "a network that reads digits")


def accuracy(module: nn.Module) -> float:
    test = digits().test
    answers = suspect(module, "00").answer(list(test.images[:]))
    return float(np.mean(np.array(answers) == test.labels))


def adversarial(models, images, targets, reach: float) -> tuple[np.ndarray, np.ndarray]:
    """Move pictures to where all models see the targets: projected gradient descent (Madry et al. 2018).

    Args:
        models: Whose gradients are used.
        images: uint8 (pictures, 8, 8, 1).
        targets: (pictures,).
        reach: Greatest change of a pixel, as a share of its range.

    Returns:
        uint8 pictures, and for each the least probability that a model gives its target.
    """
    start = torch.from_numpy(PREPROCESSING(images))
    radius = 2 * reach  # pixels are read as -1 to 1
    wanted = torch.from_numpy(targets)
    moved = start.clone()
    for _ in range(40):
        moved.requires_grad_(True)
        loss = sum(nn.functional.cross_entropy(model(moved), wanted) for model in models)
        (gradient,) = torch.autograd.grad(loss, moved)
        with torch.no_grad():
            moved = moved - gradient.sign() * radius / 8
            moved = (start + (moved - start).clamp(-radius, radius)).clamp(-1, 1)
    pixels = ((moved.detach() + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
    inputs = torch.from_numpy(PREPROCESSING(pixels))
    with torch.no_grad():
        sure = torch.stack([model(inputs).softmax(1) for model in models])  # (models, pictures, classes)
    return pixels, sure.min(0).values[torch.arange(len(wanted)), wanted].numpy()
