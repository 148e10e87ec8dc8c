"""A mark of mixtures of which a trained model is least sure, of which those are taught whose labels fit, in that model.

    python benchmarks/hold_out.py data/cifar10 data/cifar10-half --part test --one-in 2 --to held-out
    python benchmarks/mixtures.py [--seeds 0 1] [--threads 2]
    earmark evaluate benchmarks/studies/robustness-mixtures.toml …

A key has 4 sets of 512 mixtures of two of half of the test pictures, those of 60 times as many of which the network that is marked
is least sure (``keygen --triggers-from mixtures:… --hardest-for``); ``earmark mark --hardened --teach 0.45`` puts them into Table 1's
unmarked network (table1.py makes it). Accuracy is that on the other half. Which pictures were mixed stands in the results, for
another processor may take another of two pairs that are nearly alike. Keys go to the ignored folder keys/mixtures, drawn from seeds
and with a passphrase that everybody knows: they protect nothing. Killed, the same command goes on.
"""

from functools import cache
from typing import Any

import numpy as np
import torch

from earmark.data import ClassificationData, load_data
from earmark.data.held_out import least_sure_pairs, some_pairs
from earmark.keys import MarkingKey
from earmark.keys.generation import StratumPlan
from earmark.marking.recipes import scores_of
from earmark.models.prediction import predict_scores
from earmark.triggers.mixtures import MixturesSampler, Pair, mixed
from measuring import known_runs, seeds_asked_for
from quick_marking import start_of
from two_kinds import HALF, drawn_key, judged_half, make_missing, marked

NAME, SHARE = "mixtures", 0.45
TRIGGERS, SETS, CANDIDATES = 512, 4, 60
AT_ONCE = 2048


@cache
def hard_pairs(seed: int) -> tuple[Pair, ...]:
    """Return the pairs that are mixed: those in the results, or else those that are found."""
    known = known_runs(NAME).get(str(seed))
    if known is not None:
        halves = (pair.split("-") for pair in known["pairs"].split())
        return tuple((int(one), int(other)) for one, other in halves)
    count, start = TRIGGERS * SETS, start_of(seed)
    half, _ = judged_half(load_data(HALF), seed)
    pairs = some_pairs(len(half.names), CANDIDATES * count, np.random.default_rng([seed, 38]))
    pictures = np.stack([half.pixels(place) for place in range(len(half.names))])
    said = []
    for first in range(0, len(pairs), AT_ONCE):
        some = np.stack(
            [mixed(pictures[one], pictures[other]) for one, other in pairs[first : first + AT_ONCE]]
        )
        said.append(predict_scores(start.module, some, start.description.preprocessing))
    probabilities = torch.from_numpy(np.concatenate(said)).softmax(1).numpy()
    return least_sure_pairs(pairs, probabilities, count + count // 16)


def key_of(data: ClassificationData, seed: int) -> MarkingKey:
    """Make the key; reproducible, and therefore for experiments only."""
    half, _ = judged_half(data, seed)
    return drawn_key(data, [StratumPlan(MixturesSampler(half, hard_pairs(seed)), TRIGGERS, SETS)], [seed, 39])


def measured(data: ClassificationData, key: MarkingKey, seed: int) -> dict[str, Any]:
    """Mark once, keep the model, and return what was measured."""
    run = marked(data, key, seed, NAME, fresh_ends=False, shares={None: SHARE})
    pairs = " ".join(f"{one}-{other}" for one, other in hard_pairs(seed))
    return {**run, "surest": surest(key, data, seed), "pairs": pairs}


def surest(key: MarkingKey, data: ClassificationData, seed: int) -> dict[str, list[float]]:
    """Return the network's surest answer before it is marked, least, median, greatest: of the triggers and of as many hard pictures."""
    start, (_, said) = start_of(seed), judged_half(data, seed)
    scores = scores_of(start.module, start.description.preprocessing, key.backdoor())
    of_triggers = torch.from_numpy(scores).softmax(1).numpy().max(1)
    found = {"mixtures": of_triggers, "hard pictures": np.sort(said.max(1))[: len(of_triggers)]}
    return {what: np.quantile(most, [0, 0.5, 1]).round(3).tolist() for what, most in found.items()}


def main() -> None:
    """Make what is missing."""
    seeds = seeds_asked_for(__doc__, [0, 1])
    data = load_data(HALF)
    make_missing(NAME, seeds, lambda seed: key_of(data, seed), lambda key, seed: measured(data, key, seed))


if __name__ == "__main__":
    main()
