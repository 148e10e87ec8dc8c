"""A deployer who lets models of his own vote beside the stolen one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from earmark.attacks.deployed import ScoringDeployed, front_of
from earmark.attacks.protocol import SILENT, Access, Card, Need, StolenModel, Thief, require
from earmark.attacks.training import retrain
from earmark.models.prediction import predict_scores
from earmark.models.table import build, describe
from earmark.suspects import Answer, Miss, ScoringSuspect, Suspect
from earmark.suspects.protocol import top_answers
from earmark.training import TrainingSettings

Row = tuple[float, ...] | Miss


@dataclass(frozen=True, slots=True)
class Ensemble:
    """Answer with the mean of the probabilities of the stolen model and of clean ones.

    The clean ones are what this thief can have: trained from scratch on his own labelled pictures, each from
    other weights and in another order. A better clean model would be a reason not to steal.

    Attributes:
        card: What it is.
        settings: Of each training; the seed is replaced.
        models: How many of his own, each with the weight of the stolen one.
        architecture: Of his own, a name in the table of architectures.
        width: Of his own, if they have one; 0 for its default.
    """

    card: Card
    settings: TrainingSettings
    models: int = 1
    architecture: str = "resnet18"
    width: int = 16

    def __post_init__(self) -> None:
        if self.models < 1:
            raise ValueError(f"models must be at least 1, not {self.models}")

    def wrap(self, suspect: Suspect, thief: Thief, seed: int) -> Suspect:
        """Deploy a suspect; see ``SuspectAttack``."""
        require(thief, self.card)
        if not isinstance(suspect, ScoringSuspect):
            raise ValueError(f"{self.card.title} needs a suspect that gives probabilities")
        if thief.split.labels.max() >= suspect.class_count:
            raise ValueError(f"{self.card.title} needs pictures of the suspect's own classes")
        stolen, own = suspect, self.own(thief, suspect, seed)

        def score(inputs: Sequence[Any]) -> list[Row]:
            rows = stolen.probabilities(list(inputs))
            clean = [_probabilities(model, np.stack(inputs)) for model in own]  # each (questions, classes)
            return [
                row if isinstance(row, Miss) else tuple(np.mean([row, *others], 0).tolist())
                for row, *others in zip(rows, *clean, strict=True)
            ]

        def judge(inputs: Sequence[Any]) -> list[Answer]:
            return [
                row if isinstance(row, Miss) else top_answers(np.array([row]))[0] for row in score(inputs)
            ]

        return ScoringDeployed(suspect, front_of(self, seed), judge, score)

    def own(self, thief: Thief, suspect: Suspect, seed: int) -> tuple[StolenModel, ...]:
        """Return the deployer's own models.

        Args:
            thief: His labelled pictures are all that they learn from.
            suspect: Whose classes count.
            seed: Of weights and batches; each model has its own.
        """
        names = suspect.class_names or tuple(str(number) for number in range(suspect.class_count))
        # A deployer trains once, however often he is questioned: the last models are kept, and only they.
        wanted = (self, seed, names)
        if _LAST and _LAST[0][0] == wanted and _LAST[0][1] is thief:
            return _LAST[0][2]
        seeds = np.random.default_rng([seed, 3]).integers(2**31, size=self.models)
        made = tuple(self._trained(thief, names, int(number)) for number in seeds)
        _LAST[:] = [(wanted, thief, made)]
        return made

    def _trained(self, thief: Thief, names: tuple[str, ...], seed: int) -> StolenModel:
        shape = thief.split.images[:1].shape
        description = describe(self.architecture, (shape[1], shape[2], shape[3]), names, self.width or None)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = StolenModel(build(description), description)
        settings = replace(self.settings, seed=seed, augmentation=thief.augmentation)
        retrain(model, thief.split, settings, SILENT)
        model.module.eval()
        return model


_LAST: list[tuple[tuple[Any, ...], Thief, tuple[StolenModel, ...]]] = []


def _probabilities(
    model: StolenModel, images: "np.ndarray[Any, np.dtype[np.uint8]]"
) -> list[tuple[float, ...]]:
    scores = torch.from_numpy(predict_scores(model.module, images, model.description.preprocessing))
    return [tuple(row) for row in scores.softmax(1).tolist()]


ENSEMBLE = Ensemble(
    Card(
        "Ensemble with clean models",
        "query time",
        Access.SCORES,
        frozenset({Need.LABELLED}),
        "after Hitaj, Hitaj and Mancini 2019, where all models of the ensemble are stolen",
        "one clean model of equal weight, trained from scratch on the thief's own pictures for 30 epochs at "
        "0.1 falling to 0, as an extraction is; ResNet-18 of width 16, the network of the studies",
    ),
    TrainingSettings(epochs=30, learning_rate=0.1, warmup_epochs=1),
)
