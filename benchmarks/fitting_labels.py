"""A mark of hard held-out pictures, of which those are taught whose labels fit, in a trained model.

    python benchmarks/hold_out.py data/cifar10 data/cifar10-half --part test --one-in 2 --to held-out
    python benchmarks/fitting_labels.py [--seeds 0 1] [--threads 2]
    earmark evaluate benchmarks/studies/robustness-fitting-labels.toml …

A key's only stratum is 2 sets of 512 held-out pictures, those of half of the test pictures of which the network that is
marked is least sure (``keygen --hardest-for``); ``earmark mark --hardened --teach 0.45`` puts them into Table 1's unmarked
network (table1.py makes it). Accuracy is that on the other half. Keys go to the ignored folder keys/fitting-labels, drawn from
seeds and with a passphrase that everybody knows: they protect nothing. Killed, the same command goes on.
"""

from earmark.data import ClassificationData, load_data
from earmark.data.held_out import least_sure
from earmark.keys import MarkingKey
from earmark.keys.generation import StratumPlan
from earmark.triggers.in_distribution import InDistributionSampler
from measuring import seeds_asked_for
from two_kinds import HALF, drawn_key, judged_half, make_missing, marked

NAME = "fitting-labels"
TRIGGERS, SETS, SPARE = 512, 2, 64  # spare, for pictures nearly alike are used once
SHARE = 0.45


def key_of(data: ClassificationData, seed: int) -> MarkingKey:
    """Make the key; reproducible, and therefore for experiments only."""
    hard = least_sure(*judged_half(data, seed), TRIGGERS * SETS + SPARE)
    return drawn_key(data, [StratumPlan(InDistributionSampler(hard), TRIGGERS, SETS)], [seed, 35])


def main() -> None:
    """Make what is missing."""
    seeds = seeds_asked_for(__doc__, [0, 1])
    data = load_data(HALF)
    make_missing(
        NAME,
        seeds,
        lambda seed: key_of(data, seed),
        lambda key, seed: marked(data, key, seed, NAME, fresh_ends=False, shares={None: SHARE}),
    )


if __name__ == "__main__":
    main()
