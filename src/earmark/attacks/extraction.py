"""Extraction: a new network learns the marked one's answers; the marked weights are thrown away."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from earmark.attacks.protocol import SILENT, Access, Card, Need, StolenModel, Thief, Watch, require
from earmark.attacks.training import frozen_copy, retrain, soft_cross_entropy
from earmark.data import Split
from earmark.data.table import ImageArray
from earmark.models.prediction import predict_scores
from earmark.models.table import build, describe
from earmark.training import SplitBatches, TrainingSettings

_SETTINGS = TrainingSettings(epochs=30, learning_rate=0.1, warmup_epochs=1)
_DEFAULTS = "30 epochs at 0.1 falling to 0: what 10,000 pictures need is ours; every picture is asked once"


@dataclass(frozen=True, slots=True)
class Extraction:
    """Train a new network on the marked one's answers to pictures of the thief's.

    Attributes:
        card: What it is.
        settings: Of the training; the seed is replaced.
        soft: Whether the answers are probabilities or classes alone.
        temperature: Scores are divided by it before they become probabilities; 1 unless weights are known.
        other_pictures: Whether the pictures are of another kind than the task's (Knockoff).
        architecture: Of the new network, a name in the table of architectures; "" for the marked one's.
        width: Of the new network, if it has one; 0 for its default.
    """

    card: Card
    settings: TrainingSettings
    soft: bool = True
    temperature: float = 1.0
    other_pictures: bool = False
    architecture: str = ""
    width: int = 0

    def run(self, model: StolenModel, thief: Thief, seed: int, watch: Watch = SILENT) -> StolenModel:
        """Attack a model; see ``ModelAttack``."""
        require(thief, self.card)
        description = model.description
        if self.architecture:
            description = describe(
                self.architecture, description.input_shape, description.class_names, self.width or None
            )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            module = build(description)
        student = StolenModel(module.to(next(model.module.parameters()).device), description)
        pictures = thief.other if self.other_pictures and thief.other is not None else thief.split.images
        answers = self._answers(model, pictures)
        settings = replace(self.settings, seed=seed, augmentation=thief.augmentation)
        batches = _Answered(pictures, answers, student, settings)
        retrain(student, batches, settings, watch, loss_function=soft_cross_entropy(self.temperature))
        return student

    def _answers(self, model: StolenModel, pictures: ImageArray) -> Tensor:
        """Return a target for each picture ``(pictures, classes)``."""
        scores = predict_scores(frozen_copy(model.module), pictures, model.description.preprocessing)
        if not self.soft:
            return torch.eye(scores.shape[1])[torch.from_numpy(scores.argmax(1))]
        return torch.from_numpy(scores / self.temperature).softmax(1)


class _Answered:
    """Shuffled, augmented pictures with the answers that the marked model gave to them as they are."""

    def __init__(
        self, pictures: ImageArray, answers: Tensor, student: StolenModel, settings: TrainingSettings
    ) -> None:
        # The loop's labels are the pictures' numbers: so augmentation and order are the usual ones.
        numbered = Split(pictures, np.arange(len(pictures)))
        self._batches = SplitBatches(numbered, student.description.preprocessing, settings)
        self._answers = answers

    @property
    def steps_per_epoch(self) -> int:
        return self._batches.steps_per_epoch

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        inputs, numbers = self._batches.batch(step)
        return inputs, self._answers[numbers]


def _card(title: str, access: Access, needs: Need, source: str, differs: str = "") -> Card:
    return Card(title, "extraction", access, frozenset({needs}), source, _DEFAULTS + differs)


_TRAMER = "Tramèr et al. 2016; as an attack on marks: Lukas et al. 2022 (SoK), retraining"
SOFT = Extraction(_card("Extraction from probabilities", Access.SCORES, Need.UNLABELLED, _TRAMER), _SETTINGS)
HARD = Extraction(
    _card("Extraction from classes", Access.ANSWERS, Need.UNLABELLED, _TRAMER), _SETTINGS, soft=False
)
DISTILLATION = Extraction(
    _card(
        "Distillation, temperature 3",
        Access.WEIGHTS,
        Need.UNLABELLED,
        "Hinton et al. 2015; Lukas et al. 2022",
    ),
    _SETTINGS,
    temperature=3.0,
)
CROSS_ARCHITECTURE = Extraction(
    _card("Extraction into another architecture", Access.SCORES, Need.UNLABELLED, _TRAMER),
    _SETTINGS,
    architecture="digits-cnn",
    width=32,
)
KNOCKOFF = Extraction(
    _card(
        "Knockoff with other pictures",
        Access.SCORES,
        Need.OTHER,
        "Orekondy, Schiele and Fritz 2019",
        ". All pictures, as in its random selection; the selection that learns which to ask is left out",
    ),
    _SETTINGS,
    other_pictures=True,
)
