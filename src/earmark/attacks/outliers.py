"""A deployer who looks at what the stolen network itself makes of a question before he lets it answer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.covariance import LedoitWolf
from torch import Tensor, nn

from earmark.attacks.deployed import front_of
from earmark.attacks.protocol import Access, Card, Need, Thief, require
from earmark.attacks.query_time import refusing
from earmark.models.last_layer import last_layer
from earmark.models.prediction import Images, predict_scores
from earmark.models.stages import stage_ends
from earmark.models.weights import LoadedModel
from earmark.suspects import Suspect
from earmark.suspects.torch import TorchSuspect


@dataclass(frozen=True, slots=True)
class FeatureDetector:
    """Refuse questions whose features lie far from those of the thief's pictures.

    Features are what the last part of each stage says, its mean over every map, all stages in a row; for a
    network without maps what its last layer reads. The distance is Mahalanobis's from their mean, with a
    covariance shrunk as Ledoit and Wolf do, so that it serves with few pictures too.

    Attributes:
        card: What it is.
        limit: The most pictures of the thief's that are used.
        false_alarms: Share of honest questions that are refused. The threshold is where that share of every
            second picture of the thief's is refused; mean and covariance are those of the other half.
    """

    card: Card
    limit: int = 10_000
    false_alarms: float = 0.05

    def __post_init__(self) -> None:
        if not 0 < self.false_alarms < 1:
            raise ValueError(f"false_alarms must lie between 0 and 1, not {self.false_alarms}")
        if self.limit < 4:
            raise ValueError(f"limit must be at least 4, not {self.limit}")

    def wrap(self, suspect: Suspect, thief: Thief, seed: int) -> Suspect:
        """Deploy a suspect; see ``SuspectAttack``."""
        require(thief, self.card)
        if not isinstance(suspect, TorchSuspect):
            raise ValueError(f"{self.card.title} needs the network itself, with nothing before it")
        own = thief.split.images[: self.limit]
        if len(own) < 4:
            raise ValueError(f"{self.card.title} needs four pictures or more: to learn from, and to measure")
        read = _reader(suspect.model, own[:1])
        seen = LedoitWolf().fit(read(own[::2]))
        threshold = float(np.quantile(seen.mahalanobis(read(own[1::2])), 1 - self.false_alarms))
        return refusing(
            suspect,
            front_of(self, seed),
            lambda values: seen.mahalanobis(read(np.stack(values))) > threshold,
        )


def _reader(model: LoadedModel, one: Images) -> Callable[[Images], npt.NDArray[np.float64]]:
    """Return what reads ``(pictures, features)`` of pictures."""
    module, preprocessing = model.module, model.description.preprocessing
    parts = dict(module.named_modules())
    stages = [parts[name] for name in stage_ends(module, torch.from_numpy(preprocessing(one[:1])))]

    def read(pictures: Images) -> npt.NDArray[np.float64]:
        said: list[list[Tensor]] = [[] for _ in stages or [module]]

        def note_maps(place: int) -> Callable[[nn.Module, Any, Tensor], None]:
            return lambda _, __, output: said[place].append(output.mean((2, 3)))

        def note_read(_: nn.Module, inputs: Sequence[Tensor]) -> None:
            said[0].append(inputs[0].flatten(1))

        handles = [part.register_forward_hook(note_maps(place)) for place, part in enumerate(stages)]
        if not stages:
            handles.append(last_layer(module)[1].register_forward_pre_hook(note_read))
        try:
            predict_scores(module, pictures, preprocessing)
        finally:
            for handle in handles:
                handle.remove()
        return torch.cat([torch.cat(batches) for batches in said], 1).double().cpu().numpy()

    return read


OUTLIERS = FeatureDetector(
    Card(
        "Refuses what has strange features",
        "query time",
        Access.WEIGHTS,
        frozenset({Need.UNLABELLED}),
        "after Lee et al. 2018 (Mahalanobis distance), without classes and without steps on the question",
        "threshold at 5% of half of up to 10,000 pictures of the thief's, mean and covariance of the others",
    )
)
