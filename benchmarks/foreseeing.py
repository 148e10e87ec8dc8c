"""What an owner who plays the thief before he marks knows.

How three thieves would leave the network, and what all of these say.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from earmark.attacks import attack_named
from earmark.attacks.protocol import StolenModel, Thief
from earmark.data import load_data
from earmark.evaluation.thief import stolen_pictures
from earmark.models.prediction import predict_scores
from earmark.models.preprocessing import Preprocessing
from earmark.models.weights import load_weights, save_weights
from quick_marking import start_of
from table1 import HERE
from two_kinds import HALF

THIEVES, PASSES, PICTURES = (11, 12, 13), 3, 10_000
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
