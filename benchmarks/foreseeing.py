"""What an owner who plays the thief before he marks knows.

How three thieves would leave the network, and what all of these say; and which mixtures services would take for honest pictures that
learned to tell mixtures.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from earmark.attacks import attack_named
from earmark.attacks.adaptive import SAMPLED
from earmark.attacks.protocol import StolenModel, Thief
from earmark.data import ClassificationData, Split, load_data
from earmark.evaluation.thief import stolen_pictures
from earmark.models.prediction import predict_scores
from earmark.models.preprocessing import Preprocessing
from earmark.models.table import build, describe
from earmark.models.weights import load_weights, save_weights
from earmark.training import SplitBatches, train
from earmark.triggers.mixtures import mixed
from quick_marking import start_of
from table1 import HERE
from two_kinds import HALF

THIEVES, PASSES, PICTURES = (11, 12, 13), 3, 10_000
SERVICES = 101, 102
Pixels = npt.NDArray[np.uint8]


@cache
def as_attacked(seed: int) -> tuple[nn.Module, ...]:
    """Return Table 1's unmarked network as three thieves would leave it (``earmark attack fresh-stages``); made once, and kept."""
    start, data = start_of(seed), load_data(HALF)
    folder = HERE / "keys" / "as-attacked"
    folder.mkdir(parents=True, exist_ok=True)
    left = []
    for number in THIEVES:
        path = folder / f"seed{seed}-{number}.safetensors"
        if not path.exists():
            thief = Thief(stolen_pictures(data.train, PICTURES, number), data.augmentation)
            attack: Any = attack_named("fresh-stages", epochs=PASSES)
            attacked = attack.run(StolenModel(start.module, start.description), thief, number)
            save_weights(path, attacked.module.eval(), start.description)
        left.append(load_weights(path).module)
    return tuple(left)


def said_by(
    networks: Sequence[nn.Module], pictures: Pixels, preprocessing: Preprocessing
) -> npt.NDArray[np.float64]:
    """Return the mean of what networks say, as probabilities ``(pictures, classes)``."""
    scores = np.stack([predict_scores(network, pictures, preprocessing) for network in networks])
    mean: npt.NDArray[np.float64] = torch.from_numpy(scores).softmax(2).mean(0).numpy()
    return mean


class Service:
    """Who deploys a copy, and learned to tell mixtures from pictures, as the attack ``refuse-sampled`` does.

    Args:
        data: Of whose training pictures he has 10,000: from one half he learns, by the other he knows what is usual.
        number: Which ones; a seed.
    """

    def __init__(self, data: ClassificationData, number: int) -> None:
        pictures = stolen_pictures(data.train, PICTURES, number).images[:]
        own, usual = pictures[::2], pictures[1::2]
        places = np.random.default_rng(number).integers(0, len(own), (2, len(own)))
        made = mixed(own[places[0]], own[places[1]])
        both = Split(np.concatenate([own, made]), np.repeat([0, 1], [len(own), len(made)]))
        self._description = describe("digits-cnn", own.shape[1:], ("own", "mixed"), SAMPLED.width)
        settings = replace(SAMPLED.settings, seed=number)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(number)
            self._network = build(self._description)
        train(self._network, SplitBatches(both, self._description.preprocessing, settings), settings)
        self._usual = np.sort(self._likeness(usual))

    def usual_share(self, pictures: Pixels) -> npt.NDArray[np.float64]:
        """Return the share of honest pictures that look less like mixtures than each does, ``(pictures,)``."""
        return np.searchsorted(self._usual, self._likeness(pictures)) / len(self._usual)

    def _likeness(self, pictures: Pixels) -> npt.NDArray[np.float32]:
        scores = predict_scores(self._network, pictures, self._description.preprocessing)
        return scores[:, 1] - scores[:, 0]


@cache
def services() -> tuple[Service, ...]:
    """Return two services that know mixtures."""
    return tuple(Service(load_data(HALF), number) for number in SERVICES)
