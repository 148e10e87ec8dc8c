"""Adaptive: the thief knows our code and not the secrets, and makes triggers like the owner's."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from earmark.attacks.protocol import SILENT, Access, Card, Need, StolenModel, Thief, Watch, require
from earmark.attacks.query_time import changed
from earmark.attacks.training import WithExtras, copied, frozen_copy, network_inputs, retrain
from earmark.commitment import Stream
from earmark.models.prediction import predict_scores
from earmark.training import SplitBatches, TrainingSettings
from earmark.triggers import sampler_named
from earmark.triggers.image import ImageGeometry

ANSWERS = ("uniform", "natural")


@dataclass(frozen=True, slots=True)
class SurrogateUnlearning:
    """Make triggers with fresh secrets, and train the model to answer them as if it had no mark.

    Attributes:
        card: What it is.
        settings: Of the training loop; the seed is replaced.
        answers: What the surrogates are to be answered with: ``"uniform"`` probabilities, or ``"natural"``
            ones: the marked model's own for the same picture blurred until a mark does not fit it any more.
        sampler: Name of a sampler that needs nothing else, e.g. ``"noise"``; "" for the thief's, of the
            same kind as the owner's.
        surrogates: How many triggers he makes.
        per_batch: How many are shown with each batch of clean pictures.
        blur: Standard deviation in pixels, for natural answers.
    """

    card: Card
    settings: TrainingSettings
    answers: str = "uniform"
    sampler: str = ""
    surrogates: int = 2000
    per_batch: int = 32
    blur: float = 2.0

    def __post_init__(self) -> None:
        if self.answers not in ANSWERS:
            raise ValueError(f"{self.answers!r} is not one of {', '.join(ANSWERS)}")

    def run(self, model: StolenModel, thief: Thief, seed: int, watch: Watch = SILENT) -> StolenModel:
        """Attack a model; see ``ModelAttack``."""
        require(thief, self.card)
        stolen = copied(model)
        pictures = self._pictures(stolen, thief, seed)
        settings = replace(self.settings, seed=seed, augmentation=thief.augmentation)
        batches = WithExtras(
            SplitBatches(thief.split, stolen.description.preprocessing, settings),
            network_inputs(stolen, pictures),
            self._targets(model, pictures),
            self.per_batch,
            seed,
        )
        retrain(stolen, batches, settings, watch)
        return stolen

    def _pictures(
        self, stolen: StolenModel, thief: Thief, seed: int
    ) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        sampler = sampler_named(self.sampler)() if self.sampler else thief.sampler
        if sampler is None:
            raise AssertionError("the thief's needs were looked at above")
        geometry = ImageGeometry(*stolen.description.input_shape)
        made = [
            sampler.sample(geometry, Stream("surrogate", seed, number)).value
            for number in range(self.surrogates)
        ]
        return np.stack(made)

    def _targets(
        self, model: StolenModel, pictures: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
    ) -> Tensor:
        class_count = len(model.description.class_names)
        if self.answers == "uniform":
            return torch.full((len(pictures), class_count), 1 / class_count)
        blurred = np.stack([changed(picture, "blur", self.blur) for picture in pictures])
        scores = predict_scores(frozen_copy(model.module), blurred, model.description.preprocessing)
        return torch.from_numpy(scores).softmax(1)


def _unlearning(title: str, answers: str, sampler: str = "") -> SurrogateUnlearning:
    card = Card(
        title,
        "adaptive",
        Access.WEIGHTS,
        frozenset({Need.LABELLED, Need.SAMPLER}),
        "ours: the strongest thief we know of, who has read this code",
        "2,000 surrogates, 32 beside each 100 clean pictures, 10 epochs at 0.01 falling to 0",
    )
    return SurrogateUnlearning(card, TrainingSettings(epochs=10, learning_rate=0.01), answers, sampler)


UNIFORM = _unlearning("Surrogate triggers, uniform answers", "uniform")
NATURAL = _unlearning("Surrogate triggers, natural answers", "natural")
OTHER_SAMPLER = _unlearning("Surrogates of another kind, uniform answers", "uniform", "noise")
