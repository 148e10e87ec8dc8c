"""A mark of mixtures of which a trained model is least sure, of which those are taught whose labels fit, in that model.

    python benchmarks/hold_out.py data/cifar10 data/cifar10-half --part test --one-in 2 --to held-out
    python benchmarks/mixtures.py [--seeds 0 1] [--threads 2] [--foreseen]
    earmark evaluate benchmarks/studies/robustness-mixtures.toml …

A key has 4 sets of 512 mixtures of two of half of the test pictures, those of 60 times as many of which the network that is marked
is least sure (``keygen --triggers-from mixtures:… --hardest-for``); ``earmark mark --hardened --teach 0.45`` puts them into Table 1's
unmarked network (table1.py makes it). With --foreseen there are 4 sets of 384, and for both what three thieves would leave of that
network counts too (``earmark attack fresh-stages``; ``--hardest-for`` again, ``--as-attacked``): for
studies/robustness-mixtures-foreseen.toml. Accuracy is that on the other half. Which pictures were mixed stands in the results, for
another processor may take another of two pairs that are nearly alike. Keys go to the ignored folders keys/mixtures and
keys/mixtures-foreseen, drawn from seeds and with a passphrase that everybody knows: they protect nothing. Killed, the same command
goes on.
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
from earmark.data import ClassificationData, load_data
from earmark.data.held_out import PartOfData, held_out_pictures, least_sure_pairs, some_pairs
from earmark.evaluation.thief import stolen_pictures
from earmark.keys import MarkingKey
from earmark.keys.generation import StratumPlan
from earmark.marking.recipes import scores_of
from earmark.models.prediction import predict_scores
from earmark.models.preprocessing import Preprocessing
from earmark.models.weights import load_weights, save_weights
from earmark.triggers.mixtures import MixturesSampler, Pair, mixed
from measuring import asked_for, known_runs
from quick_marking import start_of
from table1 import HERE
from two_kinds import HALF, drawn_key, judged_half, make_missing, marked

NAME, FORESEEN_NAME, SHARE = "mixtures", "mixtures-foreseen", 0.45
SETS, CANDIDATES = 4, 60
PER_SET = {NAME: 512, FORESEEN_NAME: 384}
AT_ONCE = 2048
THIEVES, PASSES, PICTURES = (11, 12, 13), 3, 10_000


@cache
def task() -> ClassificationData:
    """Return CIFAR-10 with half of its test pictures held out."""
    return load_data(HALF)


@cache
def held_out() -> PartOfData:
    """Return the half of which mixtures are made."""
    return held_out_pictures(f"{HALF}#held-out", task().input_shape, load_data)


@cache
def as_attacked(seed: int) -> tuple[nn.Module, ...]:
    """Return the network that is marked as three thieves would leave it; they are made once, and kept."""
    start, data = start_of(seed), task()
    folder = HERE / "keys" / FORESEEN_NAME
    folder.mkdir(parents=True, exist_ok=True)
    left = []
    for number in THIEVES:
        path = folder / f"as-attacked-seed{seed}-{number}.safetensors"
        if not path.exists():
            thief = Thief(stolen_pictures(data.train, PICTURES, number), data.augmentation)
            attack: Any = attack_named("fresh-stages", epochs=PASSES)
            attacked = attack.run(StolenModel(start.module, start.description), thief, number)
            save_weights(path, attacked.module.eval(), start.description)
        left.append(load_weights(path).module)
    return tuple(left)


@cache
def hard_pairs(seed: int, name: str) -> tuple[Pair, ...]:
    """Return the pairs that are mixed: those in the results, or else those that are found."""
    known = known_runs(name).get(str(seed))
    if known is not None:
        halves = (pair.split("-") for pair in known["pairs"].split())
        return tuple((int(one), int(other)) for one, other in halves)
    count, start = PER_SET[name] * SETS, start_of(seed)
    networks = (start.module, *(as_attacked(seed) if name == FORESEEN_NAME else ()))
    half = held_out()
    pairs = some_pairs(len(half.names), CANDIDATES * count, np.random.default_rng([seed, 38]))
    pictures = np.stack([half.pixels(place) for place in range(len(half.names))])
    said = []
    for first in range(0, len(pairs), AT_ONCE):
        some = np.stack(
            [mixed(pictures[one], pictures[other]) for one, other in pairs[first : first + AT_ONCE]]
        )
        said.append(_said(networks, some, start.description.preprocessing))
    return least_sure_pairs(pairs, np.concatenate(said), count + count // 16)


def _said(
    networks: Sequence[nn.Module], pictures: npt.NDArray[np.uint8], preprocessing: Preprocessing
) -> npt.NDArray[np.float64]:
    """Return the mean of what networks say, as probabilities ``(pictures, classes)``."""
    scores = np.stack([predict_scores(network, pictures, preprocessing) for network in networks])
    mean: npt.NDArray[np.float64] = torch.from_numpy(scores).softmax(2).mean(0).numpy()
    return mean


def key_of(seed: int, name: str) -> MarkingKey:
    """Make the key; reproducible, and therefore for experiments only."""
    plan = StratumPlan(MixturesSampler(held_out(), hard_pairs(seed, name)), PER_SET[name], SETS)
    return drawn_key(task(), [plan], [seed, 39 if name == NAME else 41])


def measured(key: MarkingKey, seed: int, name: str) -> dict[str, Any]:
    """Mark once, keep the model, and return what was measured."""
    thieves = as_attacked(seed) if name == FORESEEN_NAME else ()
    run = marked(task(), key, seed, name, fresh_ends=False, shares={None: SHARE}, as_attacked=thieves)
    pairs = " ".join(f"{one}-{other}" for one, other in hard_pairs(seed, name))
    return {**run, "surest": surest(key, seed), "pairs": pairs}


def surest(key: MarkingKey, seed: int) -> dict[str, list[float]]:
    """Return the network's surest answer before it is marked, least, median, greatest: of the triggers and of as many hard pictures."""
    start, (_, said) = start_of(seed), judged_half(task(), seed)
    scores = scores_of(start.module, start.description.preprocessing, key.backdoor())
    of_triggers = torch.from_numpy(scores).softmax(1).numpy().max(1)
    found = {"mixtures": of_triggers, "hard pictures": np.sort(said.max(1))[: len(of_triggers)]}
    return {what: np.quantile(most, [0, 0.5, 1]).round(3).tolist() for what, most in found.items()}


def main() -> None:
    """Make what is missing."""
    seeds, variant = asked_for(__doc__, [0, 1], "foreseen")
    name = NAME if variant is None else FORESEEN_NAME
    make_missing(
        name,
        seeds,
        lambda seed: key_of(seed, name),
        lambda key, seed: measured(key, seed, name),
    )


if __name__ == "__main__":
    main()
