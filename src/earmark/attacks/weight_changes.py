"""Changes of all weights at once, without or with little training: quantisation, noise, shifting."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from earmark.attacks.protocol import SILENT, Access, Card, Need, StolenModel, Thief, Watch, require
from earmark.attacks.training import copied, retrain
from earmark.training import TrainingSettings

_NOTHING: frozenset[Need] = frozenset()


@dataclass(frozen=True, slots=True)
class WeightQuantisation:
    """Round the weights of convolutions and linear layers to a few levels, symmetric about zero.

    The result computes with floats that lie on those levels, as a quantised network's weights do.

    Attributes:
        card: What it is.
        bits: Of each weight, 2 to 16; the scale is that of the largest weight of its output channel.
    """

    card: Card
    bits: int

    def __post_init__(self) -> None:
        if not 2 <= self.bits <= 16:
            raise ValueError(f"bits must be 2 to 16, not {self.bits}")

    def run(self, model: StolenModel, thief: Thief, seed: int, watch: Watch = SILENT) -> StolenModel:
        """Attack a model; see ``ModelAttack``."""
        stolen = copied(model)
        levels = 2 ** (self.bits - 1) - 1
        with torch.no_grad():
            for weight in _weights(stolen.module):
                rows = weight.flatten(1)  # (outputs, weights of each)
                scale = rows.abs().amax(1, keepdim=True).clamp_min(torch.finfo(rows.dtype).tiny) / levels
                weight.copy_((torch.round(rows / scale).clamp(-levels, levels) * scale).view_as(weight))
        return StolenModel(stolen.module.eval(), stolen.description)


@dataclass(frozen=True, slots=True)
class WeightNoise:
    """Add noise to the weights of convolutions and linear layers.

    Attributes:
        card: What it is.
        strength: Standard deviation of the noise, in standard deviations of the layer's weights.
    """

    card: Card
    strength: float

    def run(self, model: StolenModel, thief: Thief, seed: int, watch: Watch = SILENT) -> StolenModel:
        """Attack a model; see ``ModelAttack``."""
        stolen = copied(model)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for weight in _weights(stolen.module):
                noise = torch.randn(weight.shape, generator=generator).to(weight.device, weight.dtype)
                weight.add_(noise * (self.strength * weight.std(correction=0)))
        return StolenModel(stolen.module.eval(), stolen.description)


@dataclass(frozen=True, slots=True)
class WeightShifting:
    """Move every filter against its layer's mean filter, add noise, then fine-tune.

    Attributes:
        card: What it is.
        settings: Of the fine-tuning; the seed is replaced.
        strength: λ: how many times the mean filter is subtracted.
        noise: Standard deviation of the noise, in standard deviations of the layer's weights.
    """

    card: Card
    settings: TrainingSettings
    strength: float = 1.5
    noise: float = 1.0

    def run(self, model: StolenModel, thief: Thief, seed: int, watch: Watch = SILENT) -> StolenModel:
        """Attack a model; see ``ModelAttack``."""
        require(thief, self.card)
        stolen = copied(model)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for part in stolen.module.modules():
                if isinstance(part, nn.Conv2d):
                    weight = part.weight
                    noise = torch.randn(weight.shape, generator=generator).to(weight.device, weight.dtype)
                    noise *= self.noise * weight.std()
                    weight.sub_(self.strength * weight.mean(0, keepdim=True) + noise)
        settings = replace(self.settings, seed=seed, augmentation=thief.augmentation)
        retrain(stolen, thief.split, settings, watch)
        return stolen


def _weights(module: nn.Module) -> Iterator[Tensor]:
    return (part.weight for part in module.modules() if isinstance(part, nn.Conv2d | nn.Linear))


def _quantised(bits: int) -> WeightQuantisation:
    card = Card(
        f"Weights of {bits} bits",
        "weights",
        Access.WEIGHTS,
        _NOTHING,
        "Krishnamoorthi 2018 (per-channel, symmetric)",
        "one scale for each output channel; activations stay as they are",
    )
    return WeightQuantisation(card, bits)


INT8, INT4 = _quantised(8), _quantised(4)
NOISE = WeightNoise(
    Card(
        "Noise on weights",
        "weights",
        Access.WEIGHTS,
        _NOTHING,
        "ours",
        "a fifth of each layer's standard deviation; a study tries other strengths",
    ),
    strength=0.2,
)
SHIFTING = WeightShifting(
    Card(
        "Weight shifting",
        "weights",
        Access.WEIGHTS,
        frozenset({Need.LABELLED}),
        "Lukas et al. 2022 (SoK) and its toolbox",
        "λ = 1.5 and noise of one deviation as there; the fine-tuning of 10 epochs at 0.01 falling to 0 is "
        "ours",
    ),
    TrainingSettings(epochs=10, learning_rate=0.01),
)
