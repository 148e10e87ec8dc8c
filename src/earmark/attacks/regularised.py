"""Fine-tuning with a bound or a pull: regularise first, and REFIT with elastic weights."""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from earmark.attacks.protocol import SILENT, Access, Card, Need, StolenModel, Thief, Watch, require
from earmark.attacks.training import copied, frozen_copy, network_inputs, retrain
from earmark.training import TrainingSettings

_LABELLED = frozenset({Need.LABELLED})


@dataclass(frozen=True, slots=True)
class RegularisedFirst:
    """Train with a strong penalty on the weights, then fine-tune without it.

    Attributes:
        card: What it is.
        settings: Of the fine-tuning; the seed is replaced.
        strong_epochs: Passes with the penalty.
        penalty: The weight decay of those passes.
    """

    card: Card
    settings: TrainingSettings
    strong_epochs: int = 5
    penalty: float = 0.1

    def run(self, model: StolenModel, thief: Thief, seed: int, watch: Watch = SILENT) -> StolenModel:
        """Attack a model; see ``ModelAttack``."""
        require(thief, self.card)
        stolen = copied(model)
        settings = replace(self.settings, seed=seed, augmentation=thief.augmentation)
        strong = replace(settings, epochs=self.strong_epochs, weight_decay=self.penalty, schedule="constant")
        retrain(stolen, thief.split, strong, watch)
        retrain(stolen, thief.split, settings, watch, first_epoch=self.strong_epochs)
        return stolen


@dataclass(frozen=True, slots=True)
class ElasticFineTuning:
    """Fine-tune fast, while weights that the clean task depends on are pulled back to where they were.

    The importance of a weight is its diagonal entry of the Fisher information, the greatest of the network
    being 1, and at most 1 / (pull x learning rate): beyond that a step would overshoot where it pulls to.

    Attributes:
        card: What it is.
        settings: Of the training loop; the seed is replaced.
        pull: Weight of the pull.
        importance_pictures: How many pictures the importance is measured on, at most.
    """

    card: Card
    settings: TrainingSettings
    pull: float = 10.0
    importance_pictures: int = 1000

    def run(self, model: StolenModel, thief: Thief, seed: int, watch: Watch = SILENT) -> StolenModel:
        """Attack a model; see ``ModelAttack``."""
        require(thief, self.card)
        stolen = copied(model)
        before = dict(frozen_copy(model.module).named_parameters())
        importance = self._importance(stolen, thief, seed)

        def loss(module: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
            total = nn.functional.cross_entropy(module(inputs), targets)
            for name, parameter in module.named_parameters():
                total = total + self.pull / 2 * (importance[name] * (parameter - before[name]) ** 2).sum()
            return total

        settings = replace(self.settings, seed=seed, augmentation=thief.augmentation)
        retrain(stolen, thief.split, settings, watch, loss_function=loss)
        return stolen

    def _importance(self, stolen: StolenModel, thief: Thief, seed: int) -> dict[str, Tensor]:
        module = stolen.module.eval()
        device = next(module.parameters()).device
        parameters = dict(module.named_parameters())
        sums = {name: torch.zeros_like(parameter) for name, parameter in parameters.items()}
        generator = torch.Generator().manual_seed(seed)
        places = torch.randperm(len(thief.split), generator=generator)[: self.importance_pictures].numpy()
        for place in places:
            inputs = network_inputs(stolen, thief.split.images[place : place + 1]).to(device)
            scores = module(inputs)
            # Labels as the model itself would give them, which makes the mean square the Fisher information.
            drawn = torch.multinomial(scores.detach().softmax(1).cpu(), 1, generator=generator)[0]
            loss = nn.functional.cross_entropy(scores, drawn.to(device))
            gradients = torch.autograd.grad(loss, list(parameters.values()))
            for name, gradient in zip(parameters, gradients, strict=True):
                sums[name] += gradient**2
        greatest = torch.stack([total.max() for total in sums.values()]).max().clamp_min(1e-30)
        most = 1 / (self.pull * self.settings.learning_rate) if self.pull else math.inf
        return {name: (total / greatest).clamp(max=most) for name, total in sums.items()}


REGULARISED = RegularisedFirst(
    Card(
        "Regularise, then fine-tune",
        "fine-tuning",
        Access.WEIGHTS,
        _LABELLED,
        "Shafieinejad et al. 2021",
        "a penalty of 0.1 as there, for 5 epochs at 0.01, then 15 epochs at 0.01 falling to 0: ours",
    ),
    TrainingSettings(epochs=15, learning_rate=0.01),
)
REFIT = ElasticFineTuning(
    Card(
        "REFIT: fast fine-tuning with elastic weights",
        "fine-tuning",
        Access.WEIGHTS,
        _LABELLED,
        "Chen et al. 2021 (REFIT), without its unlabelled pictures from elsewhere",
        "0.15, plain momentum, a pull of 10 and the importance as in the authors' code, there measured on "
        "10,000 pictures; that the rate falls to 0 in 20 epochs is ours (there by a tenth an epoch, for 60)",
    ),
    TrainingSettings(epochs=20, learning_rate=0.15, optimizer="momentum"),
)
