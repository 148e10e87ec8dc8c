"""Invert and unlearn: find inputs that a mark or a backdoor answers to, and train the answers away."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from earmark.attacks.protocol import SILENT, Access, Card, Need, StolenModel, Thief, Watch, require
from earmark.attacks.training import (
    WithExtras,
    copied,
    features_of,
    frozen_copy,
    input_range,
    network_inputs,
    retrain,
    soft_targets,
)
from earmark.models.last_layer import last_layer
from earmark.training import SplitBatches, TrainingSettings

_LABELLED = frozenset({Need.LABELLED})
_MAD_TO_DEVIATION = 1.4826


@dataclass(frozen=True, slots=True)
class PatchUnlearning:
    """Find for each class the smallest patch that sends pictures to it, and unlearn those that are too small.

    Classes whose patch is smaller than the median by more than so many deviations are suspicious; if none is,
    the one with the smallest patch counts. The patches are put on clean pictures that keep their class.

    Attributes:
        card: What it is.
        settings: Of the unlearning; the seed is replaced.
        steps: Steps of the search for each class.
        search_batch: Pictures in each of them.
        size_weight: Weight of the patch's size in the search.
        outlier: Deviations (of the median absolute deviation) from which a class is suspicious.
        stamped_share: Share of the thief's pictures that are shown with a patch.
        prune_share: Share of the features before the last layer that is pruned first, those that the patches
            raise most; 0 for none.
    """

    card: Card
    settings: TrainingSettings
    steps: int = 100
    search_batch: int = 64
    size_weight: float = 0.01
    outlier: float = 2.0
    stamped_share: float = 0.2
    prune_share: float = 0.0

    def run(self, model: StolenModel, thief: Thief, seed: int, watch: Watch = SILENT) -> StolenModel:
        """Attack a model; see ``ModelAttack``."""
        require(thief, self.card)
        stolen = copied(model)
        patches = self.patches(stolen, thief, seed)
        stamped, labels = self._stamped(
            stolen, thief, [patches[name] for name in self.suspicious(patches)], seed
        )
        if self.prune_share:
            self._prune(stolen, thief, stamped)
        settings = replace(self.settings, seed=seed, augmentation=thief.augmentation)
        batches = SplitBatches(thief.split, stolen.description.preprocessing, settings)
        per_batch = max(1, len(stamped) // batches.steps_per_epoch)
        retrain(stolen, WithExtras(batches, stamped, labels, per_batch, seed), settings, watch)
        return stolen

    def patches(self, stolen: StolenModel, thief: Thief, seed: int) -> dict[int, tuple[Tensor, Tensor]]:
        """Return for each class mask ``(1, 1, height, width)`` and pattern ``(1, channels, height, width)``.

        Args:
            stolen: The model.
            thief: Whose pictures are used.
            seed: Of the order of the pictures.
        """
        count = len(stolen.description.class_names)
        return {target: self._search(stolen, thief, target, seed) for target in range(count)}

    def suspicious(self, patches: dict[int, tuple[Tensor, Tensor]]) -> list[int]:
        """Return the classes whose patch is much smaller than the others'; at least one."""
        sizes = np.array([float(mask.sum()) for mask, _ in patches.values()])
        middle = float(np.median(sizes))
        deviation = _MAD_TO_DEVIATION * float(np.median(np.abs(sizes - middle)))
        found = [
            target
            for target, size in zip(patches, sizes, strict=True)
            if middle - size > self.outlier * deviation
        ]
        return found or [list(patches)[int(sizes.argmin())]]

    def _search(self, stolen: StolenModel, thief: Thief, target: int, seed: int) -> tuple[Tensor, Tensor]:
        module = frozen_copy(stolen.module)
        device = next(module.parameters()).device
        low, high = (end.to(device) for end in input_range(stolen, thief.split.images[:1].shape[1:]))
        mask = torch.full_like(low[:, :1], -4.0).requires_grad_(True)
        pattern = torch.zeros_like(low).requires_grad_(True)
        optimizer = torch.optim.Adam([mask, pattern], lr=0.1, betas=(0.5, 0.9))
        randomness = np.random.default_rng([seed, target])
        for _ in range(self.steps):
            places = randomness.integers(0, len(thief.split), min(self.search_batch, len(thief.split)))
            inputs = network_inputs(stolen, thief.split.images[places]).to(device)
            shape, drawn = mask.sigmoid(), low + (high - low) * pattern.sigmoid()
            scores = module((1 - shape) * inputs + shape * drawn)
            wanted = torch.full((len(inputs),), target, device=device)
            loss = nn.functional.cross_entropy(scores, wanted) + self.size_weight * shape.sum()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch's own stub lacks it
            optimizer.step()
        with torch.no_grad():
            return mask.sigmoid(), low + (high - low) * pattern.sigmoid()

    def _stamped(
        self, stolen: StolenModel, thief: Thief, patches: list[tuple[Tensor, Tensor]], seed: int
    ) -> tuple[Tensor, Tensor]:
        count = max(1, round(self.stamped_share * len(thief.split)))
        places = np.random.default_rng([seed, 1]).permutation(len(thief.split))[:count]
        inputs = network_inputs(stolen, thief.split.images[places])
        for place in range(count):
            mask, drawn = (part.cpu() for part in patches[place % len(patches)])
            inputs[place] = ((1 - mask) * inputs[place] + mask * drawn)[0]
        labels = torch.from_numpy(thief.split.labels[places])
        return inputs, soft_targets(labels, len(stolen.description.class_names))

    def _prune(self, stolen: StolenModel, thief: Thief, stamped: Tensor) -> None:
        layer = last_layer(stolen.module)[1]
        plain = network_inputs(stolen, thief.split.images[: len(stamped)])
        raised = _mean_features(stolen, stamped) - _mean_features(stolen, plain)
        chosen = raised.argsort(descending=True, stable=True)[: int(self.prune_share * len(raised))]
        with torch.no_grad():
            layer.weight[:, chosen] = 0


@dataclass(frozen=True, slots=True)
class UniversalUnlearning:
    """Minimax: a disturbance common to all pictures that does most harm, and a model that bears it.

    The model's gradient takes into account that the disturbance would follow: the implicit hypergradient, by
    fixed points of the disturbance's own gradient steps.

    Attributes:
        card: What it is.
        rounds: Of disturbance and repair, each once over the thief's pictures.
        batch_size: Pictures in a batch.
        search_rate: Length of the search's steps for the disturbance, in gradients.
        penalty: Weight of the disturbance's squared norm.
        disturbed_share: Of each batch that is repaired; one picture at least.
        outer_rate: Rate of the model's optimiser (Adam).
        fixed_points: Terms of the implicit gradient.
        inner_rate: Length of the one inner step whose fixed point is taken.
    """

    card: Card
    rounds: int = 5
    batch_size: int = 100
    search_rate: float = 10.0
    penalty: float = 0.001
    disturbed_share: float = 0.01
    outer_rate: float = 1e-3
    fixed_points: int = 5
    inner_rate: float = 0.1

    def run(self, model: StolenModel, thief: Thief, seed: int, watch: Watch = SILENT) -> StolenModel:
        """Attack a model; see ``ModelAttack``."""
        require(thief, self.card)
        stolen = copied(model)
        settings = TrainingSettings(
            epochs=self.rounds,
            batch_size=min(self.batch_size, len(thief.split)),
            seed=seed,
            augmentation=thief.augmentation,
        )
        batches = SplitBatches(thief.split, stolen.description.preprocessing, settings)
        optimizer = torch.optim.Adam(stolen.module.parameters(), lr=self.outer_rate)
        # Fixed statistics: the loss is then a function of weights and disturbance alone.
        module = stolen.module.eval()
        device = next(module.parameters()).device
        total = self.rounds * batches.steps_per_epoch
        for step in range(total):
            inputs, labels = (part.to(device) for part in batches.batch(step))
            if step % batches.steps_per_epoch == 0:
                disturbance = self.worst(module, batches, step, device)
            self._repair(module, optimizer, disturbance, inputs, labels)
            watch.on_step(step + 1, total)
            if (step + 1) % batches.steps_per_epoch == 0:
                watch.on_epoch((step + 1) // batches.steps_per_epoch, stolen)
        return stolen

    def worst(self, module: nn.Module, batches: SplitBatches, first: int, device: torch.device) -> Tensor:
        """Return the disturbance ``(1, channels, height, width)`` that one pass of the search finds."""
        disturbance = torch.zeros_like(batches.batch(first)[0][:1], device=device)
        for step in range(batches.steps_per_epoch):
            inputs = batches.batch(first + step)[0].to(device)
            with torch.no_grad():
                answers = module(inputs).argmax(1)
            disturbance.requires_grad_(True)
            slope = torch.autograd.grad(self._inner(module, disturbance, inputs, answers), disturbance)[0]
            disturbance = disturbance.detach() - self.search_rate * slope
        return disturbance

    def _inner(self, module: nn.Module, disturbance: Tensor, inputs: Tensor, labels: Tensor) -> Tensor:
        harm = nn.functional.cross_entropy(module(inputs + disturbance), labels)
        return self.penalty * (disturbance**2).sum() - harm

    def _repair(
        self,
        module: nn.Module,
        optimizer: torch.optim.Optimizer,
        disturbance: Tensor,
        inputs: Tensor,
        labels: Tensor,
    ) -> None:
        parameters = list(module.parameters())
        moved = disturbance.detach().requires_grad_(True)
        # Batches come in random order: their first pictures are as good a draw as any.
        is_disturbed = torch.arange(len(inputs)) < max(1, int(len(inputs) * self.disturbed_share))
        share = is_disturbed.to(inputs)[:, None, None, None]
        outer = nn.functional.cross_entropy(module(inputs + share * moved), labels)
        *direct, first = torch.autograd.grad(outer, [*parameters, moved])
        # One step of the inner descent as a map; its transposed derivative is applied again and again.
        slope = torch.autograd.grad(self._inner(module, moved, inputs, labels), moved, create_graph=True)[0]
        stepped = moved - self.inner_rate * slope
        term, total = first, first
        for _ in range(self.fixed_points - 1):
            term = torch.autograd.grad(stepped, moved, term, retain_graph=True)[0]
            # Terms that grow are no series: without this a steep loss would throw the model away.
            term = term * torch.clamp(first.norm() / term.norm().clamp_min(1e-12), max=1.0)
            total = total + term
        implicit = torch.autograd.grad(stepped, parameters, total, allow_unused=True, materialize_grads=True)
        for parameter, own, through in zip(parameters, direct, implicit, strict=True):
            parameter.grad = own + through
        optimizer.step()


@dataclass(frozen=True, slots=True)
class ClassInversion:
    """Invert every class: inputs made from noise that the model is sure of. Then unlearn them.

    What a model answers with confidence and was never shown by its task is what it has learned by heart. The
    inverted inputs are trained towards uniform answers, beside clean pictures.

    Attributes:
        card: What it is.
        settings: Of the unlearning; the seed is replaced.
        per_class: Inverted inputs for each class.
        steps: Of each inversion.
        inversion_rate: Rate of its optimiser (Adam).
        smoothness: Weight of the differences between neighbouring pixels.
        per_batch: Inverted inputs beside each batch of clean pictures.
    """

    card: Card
    settings: TrainingSettings
    per_class: int = 50
    steps: int = 100
    inversion_rate: float = 0.1
    smoothness: float = 0.01
    per_batch: int = 32

    def run(self, model: StolenModel, thief: Thief, seed: int, watch: Watch = SILENT) -> StolenModel:
        """Attack a model; see ``ModelAttack``."""
        require(thief, self.card)
        stolen = copied(model)
        inverted = self.inverted(stolen, thief, seed)
        class_count = len(stolen.description.class_names)
        settings = replace(self.settings, seed=seed, augmentation=thief.augmentation)
        batches = WithExtras(
            SplitBatches(thief.split, stolen.description.preprocessing, settings),
            inverted,
            torch.full((len(inverted), class_count), 1 / class_count),
            self.per_batch,
            seed,
        )
        retrain(stolen, batches, settings, watch)
        return stolen

    def inverted(self, stolen: StolenModel, thief: Thief, seed: int) -> Tensor:
        """Return inverted inputs of every class ``(classes * per_class, channels, height, width)``."""
        module = frozen_copy(stolen.module)
        device = next(module.parameters()).device
        low, high = (end.to(device) for end in input_range(stolen, thief.split.images[:1].shape[1:]))
        generator = torch.Generator().manual_seed(seed)
        made = []
        for target in range(len(stolen.description.class_names)):
            noise = torch.randn((self.per_class, *low.shape[1:]), generator=generator).to(device)
            drawn = noise.requires_grad_(True)
            optimizer = torch.optim.Adam([drawn], lr=self.inversion_rate)
            wanted = torch.full((self.per_class,), target, device=device)
            for _ in range(self.steps):
                inputs = low + (high - low) * drawn.sigmoid()
                rough = (inputs.diff(dim=2).abs().mean() + inputs.diff(dim=3).abs().mean()) * self.smoothness
                loss = nn.functional.cross_entropy(module(inputs), wanted) + rough
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]  # torch's own stub lacks it
                optimizer.step()
            made.append((low + (high - low) * drawn.detach().sigmoid()).cpu())
        return torch.cat(made)


def _mean_features(stolen: StolenModel, inputs: Tensor) -> Tensor:
    extract = features_of(stolen.module.eval())
    device = next(stolen.module.parameters()).device
    with torch.no_grad():
        parts = [extract(part.to(device))[0].sum(0) for part in torch.split(inputs, 256)]
    return torch.stack(parts).sum(0) / len(inputs)


def _patch_card(title: str, source: str, defaults: str) -> Card:
    return Card(title, "invert and unlearn", Access.WEIGHTS, _LABELLED, source, defaults)


_UNLEARN = TrainingSettings(epochs=5, learning_rate=0.01)
NEURAL_CLEANSE = PatchUnlearning(
    _patch_card(
        "Neural Cleanse",
        "Wang et al. 2019",
        "a class is suspicious from 2 deviations, a fifth of the pictures are stamped, as there; the patch's "
        "size weighs 0.01 throughout, where theirs is raised and lowered during the search; 100 steps of "
        "search and 5 epochs at 0.01 are ours",
    ),
    _UNLEARN,
)
LAUNDERING = PatchUnlearning(
    _patch_card(
        "Neural network laundering",
        "Aiken et al. 2021, from its description",
        "as Neural Cleanse, after a fifth of the features was pruned; its second threshold, for "
        "convolutions, is left out",
    ),
    _UNLEARN,
    prune_share=0.2,
)
I_BAU = UniversalUnlearning(
    Card(
        "Implicit universal unlearning (I-BAU)",
        "invert and unlearn",
        Access.WEIGHTS,
        _LABELLED,
        "Zeng et al. 2022",
        "5 rounds at 0.001, a pass of search at rate 10, 1% of a batch disturbed, 5 fixed points and fixed "
        "statistics of batch normalisation as in the authors' code; that no fixed point outgrows the first "
        "is ours",
    )
)
DEHYDRA = ClassInversion(
    Card(
        "Class inversion and unlearning (Dehydra)",
        "invert and unlearn",
        Access.WEIGHTS,
        _LABELLED,
        "Lu et al. 2024 (CCS), from its description",
        "class by class, then unlearning, as there; the inversion's loss, the uniform answers and all "
        "numbers are inferred",
    ),
    TrainingSettings(epochs=10, learning_rate=0.01),
)
