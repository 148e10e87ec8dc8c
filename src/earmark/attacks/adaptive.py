"""Adaptive: the thief knows our code and not the secrets, and makes triggers like the owner's."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from earmark.attacks.deployed import front_of
from earmark.attacks.protocol import SILENT, Access, Card, Need, StolenModel, Thief, Watch, require
from earmark.attacks.query_time import changed, refusing
from earmark.attacks.training import WithExtras, copied, frozen_copy, network_inputs, retrain
from earmark.commitment import Stream
from earmark.data import Split
from earmark.models.prediction import predict_scores
from earmark.models.preprocessing import Preprocessing
from earmark.models.table import build, describe
from earmark.suspects import Suspect
from earmark.training import Batches, SplitBatches, TrainingSettings, train
from earmark.triggers import Sampler, sampler_named
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

    def _pictures(self, stolen: StolenModel, thief: Thief, seed: int) -> npt.NDArray[np.uint8]:
        sampler = sampler_named(self.sampler)() if self.sampler else thief.sampler
        if sampler is None:
            raise AssertionError("the thief's needs were looked at above")
        geometry = ImageGeometry(*stolen.description.input_shape)
        return _sampled(sampler, geometry, "surrogate", seed, range(self.surrogates))

    def _targets(self, model: StolenModel, pictures: npt.NDArray[np.uint8]) -> Tensor:
        class_count = len(model.description.class_names)
        if self.answers == "uniform":
            return torch.full((len(pictures), class_count), 1 / class_count)
        blurred = np.stack([changed(picture, "blur", self.blur) for picture in pictures])
        scores = predict_scores(frozen_copy(model.module), blurred, model.description.preprocessing)
        return torch.from_numpy(scores).softmax(1)


@dataclass(frozen=True, slots=True)
class SampledDetector:
    """Learn to tell pictures like the triggers from one's own, and refuse what looks like them.

    A network learns it from every second picture of the thief's, and as many that his sampler makes.

    Attributes:
        card: What it is.
        settings: Of the training loop; the seed is replaced.
        limit: The most pictures of the thief's that are used.
        width: Filters of the network's first stage.
        false_alarms: Share of honest questions that are refused. The threshold is where that share of the
            pictures that the network did not learn from is refused.
        architecture: Of the network, by its name in the table of models.
        afresh: Whether the sampler makes others for every batch, so that none is shown twice and the network
            learns the rule rather than its pictures. Only without augmentation: that would change one's own
            pictures alone, and be learned in place of the rule.
    """

    card: Card
    settings: TrainingSettings
    limit: int = 10_000
    width: int = 16
    false_alarms: float = 0.05
    architecture: str = "digits-cnn"
    afresh: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.false_alarms < 1:
            raise ValueError(f"false_alarms must lie between 0 and 1, not {self.false_alarms}")
        if self.limit < 2:
            raise ValueError(f"limit must be at least 2, not {self.limit}")
        if self.afresh and self.settings.augmentation != "none":
            raise ValueError(f"augmentation must be none with afresh, not {self.settings.augmentation}")

    def wrap(self, suspect: Suspect, thief: Thief, seed: int) -> Suspect:
        """Deploy a suspect; see ``SuspectAttack``."""
        require(thief, self.card)
        own = thief.split.images[: self.limit]
        if len(own) < 2 or thief.sampler is None:
            raise ValueError(f"{self.card.title} needs two pictures or more: to learn from, and to measure")
        likeness = self._learned(own[::2], thief.sampler, seed)
        threshold = float(np.quantile(likeness(own[1::2]), 1 - self.false_alarms))
        return refusing(suspect, front_of(self, seed), lambda values: likeness(np.stack(values)) > threshold)

    def _learned(
        self, own: npt.NDArray[np.uint8], sampler: Sampler, seed: int
    ) -> Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float64]]:
        """Return how much pictures look like the sampler's rather than like one's own."""
        shape = own.shape[1], own.shape[2], own.shape[3]
        description = describe(self.architecture, shape, ("own", "sampled"), self.width)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = build(description)
        settings = replace(self.settings, seed=seed)
        batches: Batches
        if self.afresh:
            batches = _MadeAfresh(own, sampler, description.preprocessing, settings)
        else:
            made = _sampled(sampler, ImageGeometry(*shape), "detector", seed, range(len(own)))
            both = Split(np.concatenate([own, made]), np.repeat([0, 1], [len(own), len(made)]))
            batches = SplitBatches(both, description.preprocessing, settings)
        train(network, batches, settings)
        network.eval()

        def likeness(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
            scores = predict_scores(network, images, description.preprocessing)
            return np.asarray(scores[:, 1] - scores[:, 0], np.float64)

        return likeness


class _MadeAfresh:
    """Batches of one's own pictures, and after them as many that a sampler makes for this batch alone."""

    def __init__(
        self,
        own: npt.NDArray[np.uint8],
        sampler: Sampler,
        preprocessing: Preprocessing,
        settings: TrainingSettings,
    ) -> None:
        self._own = SplitBatches(Split(own, np.zeros(len(own), np.int64)), preprocessing, settings)
        self._sampler, self._geometry = sampler, ImageGeometry(*own.shape[1:])
        self._preprocessing, self._seed = preprocessing, settings.seed

    @property
    def steps_per_epoch(self) -> int:
        """Steps in one pass over one's own pictures."""
        return self._own.steps_per_epoch

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Return inputs and classes of a step."""
        inputs, labels = self._own.batch(step)
        numbers = range(step * len(inputs), (step + 1) * len(inputs))
        made = _sampled(self._sampler, self._geometry, "detector, afresh", self._seed, numbers)
        return torch.cat([inputs, torch.from_numpy(self._preprocessing(made))]), torch.cat(
            [labels, torch.ones_like(labels)]
        )


def _sampled(
    sampler: Sampler, geometry: ImageGeometry, label: str, seed: int, numbers: range
) -> npt.NDArray[np.uint8]:
    return np.stack([sampler.sample(geometry, Stream(label, seed, number)).value for number in numbers])


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
SAMPLED = SampledDetector(
    Card(
        "Refuses what the sampler makes",
        "adaptive",
        Access.ANSWERS,
        frozenset({Need.UNLABELLED, Need.SAMPLER}),
        "ours: a deployer who has read this code",
        "a small network taught by half of up to 10,000 pictures and as many of the sampler's, 6 epochs at "
        "0.05 falling to 0; threshold at 5% of the other half",
    ),
    TrainingSettings(epochs=6, learning_rate=0.05, augmentation="none"),
)
