"""A mark of mixtures of which a trained model is least sure, of which those are taught whose labels fit, in that model.

    python benchmarks/hold_out.py data/cifar10 data/cifar10-half --part test --one-in 2 --to held-out
    python benchmarks/mixtures.py [--seeds 0 1] [--threads 2] [--foreseen]
    earmark evaluate benchmarks/studies/robustness-mixtures.toml …

A key has 4 sets of 512 mixtures of two of half of the test pictures, those of 60 times as many of which the network that is marked
is least sure (``keygen --triggers-from mixtures:… --hardest-for``); ``earmark mark --hardened --teach 0.45`` puts them into Table 1's
unmarked network (table1.py makes it). With --foreseen there are 4 sets of 384, and for both what three thieves would leave of that
network counts too (``earmark attack fresh-stages``; ``--hardest-for`` again, ``--as-attacked``): for
studies/robustness-mixtures-foreseen.toml. Accuracy is that on the other half. Which pictures were mixed stands in the results, for
another processor may take another of two pairs that are nearly alike. Keys go to the ignored folders keys/mixtures and so on, drawn
from seeds and with a passphrase that everybody knows: they protect nothing. Killed, the same command goes on.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import nn

from earmark.data import ClassificationData, load_data
from earmark.data.held_out import PartOfData, held_out_pictures, least_sure_pairs, some_pairs
from earmark.keys import MarkingKey
from earmark.keys.generation import StratumPlan
from earmark.marking.recipes import scores_of
from earmark.triggers.mixtures import MixturesSampler, Pair, mixed
from foreseeing import as_attacked, said_by
from measuring import asked_for, known_runs
from quick_marking import start_of
from two_kinds import HALF, drawn_key, judged_half, make_missing, marked

NAME, SHARE = "mixtures", 0.45
FORESEEN_NAME = "mixtures-foreseen"
SETS, CANDIDATES = 4, 60
PER_SET = {NAME: 512, FORESEEN_NAME: 384}
SEEDS_OF_KEYS = {NAME: 39, FORESEEN_NAME: 41}
AT_ONCE = 2048


@cache
def task() -> ClassificationData:
    """Return CIFAR-10 with half of its test pictures held out."""
    return load_data(HALF)


@cache
def held_out() -> PartOfData:
    """Return the half of which mixtures are made."""
    return held_out_pictures(f"{HALF}#held-out", task().input_shape, load_data)


@cache
def hard_pairs(seed: int, name: str) -> tuple[Pair, ...]:
    """Return the pairs that are mixed: those in the results, or else those that are found."""
    known = known_runs(name).get(str(seed))
    if known is not None:
        halves = (pair.split("-") for pair in known["pairs"].split())
        return tuple((int(one), int(other)) for one, other in halves)
    count, start = PER_SET[name] * SETS, start_of(seed)
    networks = (start.module, *thieves(seed, name))
    half = held_out()
    pairs = some_pairs(len(half.names), CANDIDATES * count, np.random.default_rng([seed, 38]))
    pictures = np.stack([half.pixels(place) for place in range(len(half.names))])
    said = []
    for first in range(0, len(pairs), AT_ONCE):
        some = pairs[first : first + AT_ONCE]
        made = np.stack([mixed(pictures[one], pictures[other]) for one, other in some])
        said.append(said_by(networks, made, start.description.preprocessing))
    return least_sure_pairs(pairs, np.concatenate(said), count + count // 16)


def thieves(seed: int, name: str) -> Sequence[nn.Module]:
    """Return the attacked networks that are foreseen."""
    return () if name == NAME else as_attacked(seed)


def key_of(seed: int, name: str) -> MarkingKey:
    """Make the key; reproducible, and therefore for experiments only."""
    plan = StratumPlan(MixturesSampler(held_out(), hard_pairs(seed, name)), PER_SET[name], SETS)
    return drawn_key(task(), [plan], [seed, SEEDS_OF_KEYS[name]])


def measured(key: MarkingKey, seed: int, name: str) -> dict[str, Any]:
    """Mark once, keep the model, and return what was measured."""
    run = marked(
        task(), key, seed, name, fresh_ends=False, shares={None: SHARE}, as_attacked=thieves(seed, name)
    )
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
    name = NAME if variant is None else f"{NAME}-{variant}"
    make_missing(
        name,
        seeds,
        lambda seed: key_of(seed, name),
        lambda key, seed: measured(key, seed, name),
    )


if __name__ == "__main__":
    main()
