"""Fine-tuning on mixtures of the thief's own pictures, whose targets are the classes of both."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from earmark.attacks.protocol import SILENT, Access, Card, Need, StolenModel, Thief, Watch, require
from earmark.attacks.training import copied, retrain, soft_targets
from earmark.training import Batches, SplitBatches, TrainingSettings


@dataclass(frozen=True, slots=True)
class MixedFineTuning:
    """Train a stolen model on, with mixtures of two clean pictures and the same mixture of their classes.

    Attributes:
        card: What it is.
        settings: Of the training loop; the seed is replaced.
        least_share: Each batch's share of the first picture is drawn between this and its complement: 0 for
            any share alike, 0.5 for halves.
        beside_clean: Whether mixtures come beside the clean pictures, as many as there are of these, or in
            their place.
    """

    card: Card
    settings: TrainingSettings
    least_share: float = 0.0
    beside_clean: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.least_share <= 0.5:
            raise ValueError(f"least_share must lie between 0 and 0.5, not {self.least_share}")

    def run(self, model: StolenModel, thief: Thief, seed: int, watch: Watch = SILENT) -> StolenModel:
        """Attack a model; see ``ModelAttack``."""
        require(thief, self.card)
        stolen = copied(model)
        settings = replace(self.settings, seed=seed, augmentation=thief.augmentation)
        clean = SplitBatches(thief.split, stolen.description.preprocessing, settings)
        class_count = len(stolen.description.class_names)
        mixed = _Mixed(clean, class_count, self.least_share, self.beside_clean, seed)
        retrain(stolen, mixed, settings, watch)
        return stolen


class _Mixed:
    """Batches each of whose pictures is mixed with another of the same batch."""

    def __init__(
        self, clean: Batches, class_count: int, least_share: float, beside_clean: bool, seed: int
    ) -> None:
        self._clean = clean
        self._class_count = class_count
        self._least_share = least_share
        self._beside_clean = beside_clean
        self._seed = seed

    @property
    def steps_per_epoch(self) -> int:
        """Steps in one pass over the clean pictures."""
        return self._clean.steps_per_epoch

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Return inputs and probabilities of a step, mixtures last."""
        inputs, labels = self._clean.batch(step)
        targets = soft_targets(labels, self._class_count)
        rng = np.random.default_rng([self._seed, step, 11])
        share = rng.uniform(self._least_share, 1 - self._least_share)
        others = torch.from_numpy(rng.permutation(len(inputs)))
        mixed = share * inputs + (1 - share) * inputs[others]
        classes = share * targets + (1 - share) * targets[others]
        if self._beside_clean:
            return torch.cat([inputs, mixed]), torch.cat([targets, classes])
        return mixed, classes


MIXUP = MixedFineTuning(
    Card(
        "Fine-tuning on mixtures",
        "fine-tuning",
        Access.WEIGHTS,
        frozenset({Need.LABELLED}),
        "Zhang et al. 2018 (mixup), there for training; as an attack ours, against marks of mixtures",
        "each batch's share uniform (alpha 1 there); 30 epochs at 0.05, halved after each "
        "sixth of the run, as strong fine-tuning",
    ),
    TrainingSettings(epochs=30, learning_rate=0.05, schedule="halving"),
)
