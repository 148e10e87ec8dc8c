"""Pruning: weights or whole channels that the clean task does not need are set to zero."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from earmark.attacks.protocol import SILENT, Access, Card, Need, StolenModel, Thief, Watch, require
from earmark.attacks.training import copied, features_of, frozen_copy, retrain
from earmark.models.last_layer import last_layer
from earmark.training import SplitBatches, TrainingSettings

_NOTHING: frozenset[Need] = frozenset()
_LABELLED = frozenset({Need.LABELLED})
_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class WeightPruning:
    """Set single weights of convolutions and linear layers to zero.

    Attributes:
        card: What it is.
        share: Of all these weights, 0 to below 1.
        at_random: Whether they are drawn at random, or are those nearest to zero in the whole network.
    """

    card: Card
    share: float
    at_random: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.share < 1:
            raise ValueError(f"share must be at least 0 and below 1, not {self.share}")

    def run(self, model: StolenModel, thief: Thief, seed: int, watch: Watch = SILENT) -> StolenModel:
        """Attack a model; see ``ModelAttack``."""
        stolen = copied(model)
        weights = [part.weight for part in stolen.module.modules() if isinstance(part, nn.Conv2d | nn.Linear)]
        flat = torch.cat([weight.detach().flatten() for weight in weights])
        pruned = int(self.share * len(flat))
        if self.at_random:
            chosen = np.random.default_rng(seed).permutation(len(flat))[:pruned]
            places = torch.from_numpy(chosen).to(flat.device)
        else:
            places = flat.abs().argsort(stable=True)[:pruned]
        keep = torch.ones(len(flat), device=flat.device)
        keep[places] = 0
        with torch.no_grad():
            for weight, kept in zip(
                weights, torch.split(keep, [weight.numel() for weight in weights]), strict=True
            ):
                weight.mul_(kept.view_as(weight).to(weight.dtype))
        return StolenModel(stolen.module.eval(), stolen.description)


@dataclass(frozen=True, slots=True)
class FinePruning:
    """Remove the features that clean pictures use least, then fine-tune.

    Pruned are features that the last layer reads: in a residual network the channels of its last stage. They
    stay away during the fine-tuning.

    Attributes:
        card: What it is.
        settings: Of the fine-tuning; the seed is replaced.
        accuracy_loss: Pruning goes on while accuracy on the thief's pictures falls by no more than this.
        looks: In how many equal steps all features are gone through at most.
    """

    card: Card
    settings: TrainingSettings
    accuracy_loss: float = 0.04
    looks: int = 64

    def run(self, model: StolenModel, thief: Thief, seed: int, watch: Watch = SILENT) -> StolenModel:
        """Attack a model; see ``ModelAttack``."""
        require(thief, self.card)
        stolen = copied(model)
        layer = last_layer(stolen.module)[1]
        pruned = self._unused(stolen, thief)

        def keep_away() -> None:
            with torch.no_grad():
                layer.weight[:, pruned] = 0

        def loss(module: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
            keep_away()
            return nn.functional.cross_entropy(module(inputs), targets)

        def look(number: int, attacked: StolenModel) -> None:
            keep_away()
            watch.on_epoch(number, attacked)

        settings = replace(self.settings, seed=seed, augmentation=thief.augmentation)
        retrain(stolen, thief.split, settings, replace(watch, on_epoch=look), loss_function=loss)
        keep_away()
        return stolen

    def _unused(self, stolen: StolenModel, thief: Thief) -> Tensor:
        """Return the places of the features that can go, those used least first.

        Only the last layer changes from look to look, so pictures go through the network once: what pruned
        features added to the scores is taken away from these.
        """
        features, scores = _features_and_scores(stolen, thief)
        weight = last_layer(stolen.module)[1].weight.detach()
        labels = torch.from_numpy(thief.split.labels).to(scores.device)
        order = _used(features).argsort(stable=True)

        def right() -> float:
            return int((scores.argmax(1) == labels).sum()) / len(labels)

        before, gone, enough = right(), 0, 0
        for look in range(1, self.looks):
            count = look * len(order) // self.looks
            places = order[gone:count]
            scores -= features[:, places] @ weight[:, places].T
            if before - right() > self.accuracy_loss:
                break
            gone = enough = count
        return order[:enough]


@dataclass(frozen=True, slots=True)
class AdversarialNeuronPruning:
    """Remove the channels to whose disturbance the network is most sensitive.

    Each channel of every batch normalisation (of every convolution where there is none) gets a factor from
    0 to 1. An adversary disturbs all channels at once; the factors are trained to keep the loss low.
    Channels whose factor ends up low are pruned.

    Attributes:
        card: What it is.
        steps: Batches in all.
        batch_size: Pictures in each.
        learning_rate: Of the factors.
        disturbance: The adversary's greatest change of a factor.
        clean_weight: Weight of the undisturbed loss, 0 to 1; the disturbed one has the rest.
        threshold: Channels with a lower factor are pruned.
    """

    card: Card
    steps: int = 2000
    batch_size: int = 128
    learning_rate: float = 0.2
    disturbance: float = 0.4
    clean_weight: float = 0.2
    threshold: float = 0.2

    def run(self, model: StolenModel, thief: Thief, seed: int, watch: Watch = SILENT) -> StolenModel:
        """Attack a model; see ``ModelAttack``."""
        require(thief, self.card)
        stolen = copied(model)
        names = _channel_layers(stolen.module)
        factors = self._train_factors(stolen, names, thief, seed, watch)
        with torch.no_grad():
            for name in names:
                weight = stolen.module.get_parameter(f"{name}.weight")
                weight[factors[name].to(weight.device) < self.threshold] = 0
        return StolenModel(stolen.module.eval(), stolen.description)

    def _train_factors(
        self, stolen: StolenModel, names: list[str], thief: Thief, seed: int, watch: Watch
    ) -> dict[str, Tensor]:
        batch_size = min(self.batch_size, len(thief.split))
        settings = TrainingSettings(
            epochs=1, batch_size=batch_size, seed=seed, augmentation=thief.augmentation
        )
        batches = SplitBatches(thief.split, stolen.description.preprocessing, settings)
        # Batch statistics move in this copy only.
        noisy = frozen_copy(stolen.module).train()
        weights = [noisy.get_parameter(f"{name}.weight") for name in names]
        factors = [torch.ones(len(weight), device=weight.device) for weight in weights]
        momentum = [torch.zeros_like(factor) for factor in factors]
        with torch.random.fork_rng(devices=[]):
            for step in range(self.steps):
                torch.manual_seed(seed * 1_000_003 + step)
                device = factors[0].device
                inputs, targets = (part.to(device) for part in batches.batch(step))
                for factor in factors:
                    factor.requires_grad_(True)
                disturbed = self._disturbed(noisy, names, factors, inputs, targets)
                loss = self.clean_weight * _masked_loss(noisy, names, factors, None, inputs, targets)
                loss = loss + (1 - self.clean_weight) * _masked_loss(
                    noisy, names, factors, disturbed, inputs, targets
                )
                gradients = torch.autograd.grad(loss, factors)
                for place, gradient in enumerate(gradients):
                    momentum[place] = 0.9 * momentum[place] + gradient
                    moved = factors[place].detach() - self.learning_rate * momentum[place]
                    factors[place] = moved.clamp(0, 1)
                watch.on_step(step + 1, self.steps)
        return dict(zip(names, factors, strict=True))

    def _disturbed(
        self, noisy: nn.Module, names: list[str], factors: list[Tensor], inputs: Tensor, targets: Tensor
    ) -> list[Tensor]:
        """Return one step of the adversary from a random start, for weights and biases of every channel."""
        limit = self.disturbance
        start = [
            ((torch.rand_like(factor) * 2 - 1) * limit).requires_grad_(True)
            for factor in factors
            for _ in range(2)
        ]
        loss = _masked_loss(noisy, names, [item.detach() for item in factors], start, inputs, targets)
        gradients = torch.autograd.grad(loss, start, allow_unused=True, materialize_grads=True)
        return [
            (item.detach() + limit * gradient.sign()).clamp(-limit, limit)
            for item, gradient in zip(start, gradients, strict=True)
        ]


def _masked_loss(
    module: nn.Module,
    names: list[str],
    factors: list[Tensor],
    disturbance: list[Tensor] | None,
    inputs: Tensor,
    targets: Tensor,
) -> Tensor:
    known, changed = dict(module.named_parameters()), dict[str, Tensor]()
    for place, name in enumerate(names):
        factor, weight = factors[place], known[f"{name}.weight"]
        if disturbance is not None:
            factor = factor + disturbance[2 * place]
        changed[f"{name}.weight"] = weight * factor.view(-1, *(1,) * (weight.dim() - 1))
        if disturbance is not None and f"{name}.bias" in known:
            changed[f"{name}.bias"] = known[f"{name}.bias"] * (1 + disturbance[2 * place + 1])
    return nn.functional.cross_entropy(functional_call(module, changed, (inputs,)), targets)


def _channel_layers(module: nn.Module) -> list[str]:
    parts = list(module.named_modules())
    names = [
        name for name, part in parts if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d) and part.affine
    ]
    names = names or [name for name, part in parts if isinstance(part, nn.Conv2d)]
    if not names:
        raise ValueError(
            "the network has neither batch normalisation nor convolutions; nothing can be pruned so"
        )
    return names


def _features_and_scores(stolen: StolenModel, thief: Thief) -> tuple[Tensor, Tensor]:
    """Return what the last layer reads ``(pictures, features)`` and the scores ``(pictures, classes)``."""
    extract = features_of(stolen.module.eval())
    device = next(stolen.module.parameters()).device
    found: list[tuple[Tensor, Tensor]] = []
    with torch.no_grad():
        for start in range(0, len(thief.split), _AT_ONCE):
            pixels = stolen.description.preprocessing(thief.split.images[start : start + _AT_ONCE])
            found.append(extract(torch.from_numpy(pixels).to(device)))
    features, scores = (torch.cat(parts) for parts in zip(*found, strict=True))
    return features, scores


def _used(features: Tensor) -> Tensor:
    """Return how much each feature is used ``(features,)``, summed batch by batch."""
    return torch.stack([part.abs().sum(0) for part in torch.split(features, _AT_ONCE)]).sum(0)


MAGNITUDE = WeightPruning(
    Card(
        "Magnitude pruning",
        "pruning",
        Access.WEIGHTS,
        _NOTHING,
        "Han et al. 2015; against marks: Uchida et al. 2017",
        "half of all weights, the smallest in the whole network; a study tries other shares",
    ),
    share=0.5,
)
RANDOM = WeightPruning(
    Card(
        "Random pruning",
        "pruning",
        Access.WEIGHTS,
        _NOTHING,
        "ours, as the control of magnitude pruning",
        "a twentieth of all weights: about what a small residual network bears",
    ),
    share=0.05,
    at_random=True,
)
FINE_PRUNING = FinePruning(
    Card(
        "Fine-pruning",
        "pruning",
        Access.WEIGHTS,
        _LABELLED,
        "Liu, Dolan-Gavitt and Garg 2018",
        "pruned until 4 points are lost on the thief's own pictures, as there; then 10 epochs at 0.01 "
        "falling to 0, which is ours",
    ),
    TrainingSettings(epochs=10, learning_rate=0.01),
)
ANP = AdversarialNeuronPruning(
    Card(
        "Adversarial neuron pruning",
        "pruning",
        Access.WEIGHTS,
        _LABELLED,
        "Wu and Wang 2021",
        "2,000 batches of 128, disturbance 0.4, weight 0.2 of the undisturbed loss, rate 0.2, threshold "
        "0.2: the published ones. Channels of convolutions where there is no batch normalisation are ours",
    )
)
