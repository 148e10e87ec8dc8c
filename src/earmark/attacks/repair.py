"""Repairing a model in place: a clean teacher, features moved away from the old last layer, hardening."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from earmark.attacks.protocol import SILENT, Access, Card, Need, StolenModel, Thief, Watch, require
from earmark.attacks.training import (
    WithExtras,
    copied,
    fresh_last_layer,
    frozen_copy,
    input_range,
    network_inputs,
    retrain,
    soft_targets,
)
from earmark.models.last_layer import last_layer
from earmark.models.stages import stage_ends
from earmark.training import SplitBatches, TrainingSettings

_LABELLED = frozenset({Need.LABELLED})


@dataclass(frozen=True, slots=True)
class AttentionDistillation:
    """Fine-tune a teacher, then let the model look where the teacher looks.

    A stage is what gives maps of one size. Its attention is the sum of its squared channels at each place,
    scaled to length 1.

    Attributes:
        card: What it is.
        settings: Of both trainings; the seed is replaced.
        weights: Of the last stages' attention losses, the last stage last.
    """

    card: Card
    settings: TrainingSettings
    weights: tuple[float, ...] = (500.0, 1000.0, 1000.0)

    def run(self, model: StolenModel, thief: Thief, seed: int, watch: Watch = SILENT) -> StolenModel:
        """Attack a model; see ``ModelAttack``."""
        require(thief, self.card)
        settings = replace(self.settings, seed=seed, augmentation=thief.augmentation)
        taught = copied(model)
        retrain(taught, thief.split, settings, Watch(watch.on_step))
        teacher, stolen = frozen_copy(taught.module), copied(model)
        stages = _stages(stolen, thief)[-len(self.weights) :]
        weights = self.weights[-len(stages) :]

        def loss(module: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
            scores, own = _with_attention(module, stages, inputs)
            with torch.no_grad():
                _, shown = _with_attention(teacher, stages, inputs)
            total = nn.functional.cross_entropy(scores, targets)
            for weight, mine, theirs in zip(weights, own, shown, strict=True):
                total = total + weight * nn.functional.mse_loss(mine, theirs)
            return total

        retrain(stolen, thief.split, settings, watch, loss_function=loss)
        return stolen


@dataclass(frozen=True, slots=True)
class AwayFromOldLayer:
    """Give the model a new last layer and train it away from the old one, so that features shift.

    Attributes:
        card: What it is.
        settings: Of the training loop; the seed is replaced.
        alpha: Weight of the inner product of the new last layer with the old one.
        keeps_norm: Whether the new layer is held at the old one's norm.
        boundary_pictures: Pictures pushed over the decision boundary and shown with wrong classes.
        boundary_step: Length of the one signed step that pushes them, as a share of the range from black to
            white.
        boundary_group: How many pictures are pushed towards one and the same random class.
    """

    card: Card
    settings: TrainingSettings
    alpha: float
    keeps_norm: bool = False
    boundary_pictures: int = 0
    boundary_step: float = 0.4
    boundary_group: int = 32

    def run(self, model: StolenModel, thief: Thief, seed: int, watch: Watch = SILENT) -> StolenModel:
        """Attack a model; see ``ModelAttack``."""
        require(thief, self.card)
        stolen = copied(model)
        old = last_layer(stolen.module)[1].weight.detach().clone()
        settings = replace(self.settings, seed=seed, augmentation=thief.augmentation)
        batches = SplitBatches(thief.split, stolen.description.preprocessing, settings)
        data: SplitBatches | WithExtras = batches
        if self.boundary_pictures:
            inputs, targets = self._pushed(stolen, thief, seed)
            per_batch = max(1, round(len(inputs) / batches.steps_per_epoch))
            data = WithExtras(batches, inputs, targets, per_batch, seed)
        layer = fresh_last_layer(stolen, seed)

        def loss(module: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
            if self.keeps_norm:
                with torch.no_grad():
                    layer.weight.mul_(old.norm() / layer.weight.norm().clamp_min(1e-12))
            clean = nn.functional.cross_entropy(module(inputs), targets)
            return clean + self.alpha * (layer.weight * old).sum()

        retrain(stolen, data, settings, watch, loss_function=loss)
        return stolen

    def _pushed(self, stolen: StolenModel, thief: Thief, seed: int) -> tuple[Tensor, Tensor]:
        module = frozen_copy(stolen.module)
        device = next(module.parameters()).device
        randomness = np.random.default_rng([seed, 3])
        places = randomness.permutation(len(thief.split))[: self.boundary_pictures]
        pictures, labels = thief.split.images[places], thief.split.labels[places]
        low, high = (end.to(device) for end in input_range(stolen, pictures.shape[1:]))
        class_count = len(stolen.description.class_names)
        pushed = []
        for inputs in torch.split(network_inputs(stolen, pictures).to(device), self.boundary_group):
            towards = int(randomness.integers(class_count))
            start = inputs.detach().requires_grad_(True)
            slope = torch.autograd.grad(module(start)[:, towards].sum(), start)[0]
            moved = inputs + self.boundary_step * (high - low) * slope.sign()
            pushed.append(torch.minimum(torch.maximum(moved, low), high).cpu())
        wrong = (labels + randomness.integers(1, class_count, len(labels))) % class_count
        return torch.cat(pushed), soft_targets(torch.from_numpy(wrong), class_count)


@dataclass(frozen=True, slots=True)
class AdversarialTraining:
    """Fine-tune on pictures changed against the model (projected gradients), with their true class.

    Attributes:
        card: What it is.
        settings: Of the training loop; the seed is replaced.
        radius: Greatest change of a pixel, as a share of the range from black to white.
        attack_steps: Steps of the attacker for each batch.
        attack_step: His step, as a share of the radius.
    """

    card: Card
    settings: TrainingSettings
    radius: float = 8 / 255
    attack_steps: int = 3
    attack_step: float = 0.5

    def run(self, model: StolenModel, thief: Thief, seed: int, watch: Watch = SILENT) -> StolenModel:
        """Attack a model; see ``ModelAttack``."""
        require(thief, self.card)
        stolen = copied(model)
        shape = thief.split.images[:1].shape[1:]
        low, high = (end.to(next(stolen.module.parameters()).device) for end in input_range(stolen, shape))
        radius = self.radius * (high - low)

        def loss(module: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
            start = inputs + (torch.rand_like(inputs) * 2 - 1) * radius
            for _ in range(self.attack_steps):
                start = start.detach().requires_grad_(True)
                found = torch.autograd.grad(nn.functional.cross_entropy(module(start), targets), start)[0]
                moved = start + self.attack_step * radius * found.sign()
                moved = torch.minimum(torch.maximum(moved, inputs - radius), inputs + radius)
                start = torch.minimum(torch.maximum(moved, low), high)
            return nn.functional.cross_entropy(module(start.detach()), targets)

        settings = replace(self.settings, seed=seed, augmentation=thief.augmentation)
        retrain(stolen, thief.split, settings, watch, loss_function=loss)
        return stolen


def _stages(stolen: StolenModel, thief: Thief) -> list[str]:
    """Return the parts of the network whose attention is compared."""
    found = stage_ends(stolen.module, network_inputs(stolen, thief.split.images[:1]))
    if not found:
        raise ValueError("no part of the network gives maps; there is no attention to compare")
    return found


def _with_attention(module: nn.Module, stages: list[str], inputs: Tensor) -> tuple[Tensor, list[Tensor]]:
    maps: dict[str, Tensor] = {}
    handles = [
        module.get_submodule(name).register_forward_hook(
            lambda _, __, output, name=name: maps.__setitem__(name, output)
        )
        for name in stages
    ]
    try:
        scores: Tensor = module(inputs)
    finally:
        for handle in handles:
            handle.remove()
    return scores, [nn.functional.normalize((maps[name] ** 2).sum(1).flatten(1), dim=1) for name in stages]


NAD = AttentionDistillation(
    Card(
        "Neural attention distillation",
        "repair",
        Access.WEIGHTS,
        _LABELLED,
        "Li et al. 2021 (NAD)",
        "weights 500, 1000, 1000 of the last three stages as in the authors' code; 10 epochs each of teacher "
        "and student at 0.02 in batches of 100, weight decay 0.0005: Gan et al. 2023, who turn it against "
        "marks. The authors' own code has 0.1, batches of 64 and 0.0001",
    ),
    TrainingSettings(epochs=10, learning_rate=0.02),
)
FST = AwayFromOldLayer(
    Card(
        "Feature shift tuning",
        "repair",
        Access.WEIGHTS,
        _LABELLED,
        "Min et al. 2023 (FST)",
        "α = 0.2, 10 epochs at 0.01 falling to 0 without weight decay, the old norm kept, as in the authors' "
        "code",
    ),
    TrainingSettings(epochs=10, learning_rate=0.01, weight_decay=0.0),
    alpha=0.2,
    keeps_norm=True,
)
WRK = AwayFromOldLayer(
    Card(
        "WRK: boundary pictures and a new last layer",
        "repair",
        Access.WEIGHTS,
        _LABELLED,
        "WRK (AAAI 2026) and the authors' code at commit bbd8fc3",
        "128 pictures pushed by one step and shown with random wrong classes, α = 0.01, 10 epochs in batches "
        "of 32 at 0.001 falling to 0 without weight decay, as there; the step, 2 deviations of a pixel "
        "there, is 0.4 of the range",
    ),
    TrainingSettings(epochs=10, batch_size=32, learning_rate=0.001, weight_decay=0.0),
    alpha=0.01,
    boundary_pictures=128,
)
ADVERSARIAL_TRAINING = AdversarialTraining(
    Card(
        "Adversarial training",
        "repair",
        Access.WEIGHTS,
        _LABELLED,
        "Madry et al. 2018; as an attack on marks: Lukas et al. 2022 (SoK)",
        "radius 8/255, 3 steps of half of it, 10 epochs at 0.01 falling to 0: smaller, for two cores",
    ),
    TrainingSettings(epochs=10, learning_rate=0.01),
)
