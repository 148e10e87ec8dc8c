"""A mark of hard held-out pictures, of which those are taught whose labels fit, in a trained model.

    python benchmarks/hold_out.py data/cifar10 data/cifar10-half --part test --one-in 2 --to held-out
    python benchmarks/fitting_labels.py [--seeds 0 1] [--threads 2] [--foreseen]
    earmark evaluate benchmarks/studies/robustness-fitting-labels.toml …

A key's only stratum is 2 sets of 512 held-out pictures, those of half of the test pictures of which the network that is
marked is least sure (``keygen --hardest-for``); ``earmark mark --hardened --teach 0.45`` puts them into Table 1's unmarked
network (table1.py makes it). With --foreseen there are 2 sets of 640, and for both what three thieves would leave of that network
counts too (``earmark attack fresh-stages``; ``--hardest-for`` again, ``--as-attacked``): for
studies/robustness-fitting-labels-foreseen.toml. Accuracy is that on the other half. Keys go to the ignored folders
keys/fitting-labels and keys/fitting-labels-foreseen, drawn from seeds and with a passphrase that everybody knows: they protect
nothing. Killed, the same command goes on.
"""

from collections.abc import Sequence

from torch import nn

from earmark.data import ClassificationData, load_data
from earmark.data.held_out import held_out_pictures, least_sure
from earmark.keys import MarkingKey
from earmark.keys.generation import StratumPlan
from earmark.triggers.in_distribution import InDistributionSampler
from foreseeing import as_attacked, said_by
from measuring import asked_for
from quick_marking import start_of
from two_kinds import HALF, drawn_key, make_missing, marked

NAME, FORESEEN_NAME, SHARE = "fitting-labels", "fitting-labels-foreseen", 0.45
SETS, SPARE = 2, 64  # spare, for pictures nearly alike are used once
PER_SET = {NAME: 512, FORESEEN_NAME: 640}


def key_of(data: ClassificationData, seed: int, name: str) -> MarkingKey:
    """Make the key; reproducible, and therefore for experiments only."""
    start = start_of(seed)
    half = held_out_pictures(f"{HALF}#held-out", data.input_shape, load_data)
    said = said_by((start.module, *thieves(seed, name)), half.images[:], start.description.preprocessing)
    hard = least_sure(half, said, PER_SET[name] * SETS + SPARE)
    plan = StratumPlan(InDistributionSampler(hard), PER_SET[name], SETS)
    return drawn_key(data, [plan], [seed, 35 if name == NAME else 43])


def thieves(seed: int, name: str) -> Sequence[nn.Module]:
    """Return the attacked networks that are foreseen."""
    return as_attacked(seed) if name == FORESEEN_NAME else ()


def main() -> None:
    """Make what is missing."""
    seeds, variant = asked_for(__doc__, [0, 1], "foreseen")
    data, name = load_data(HALF), NAME if variant is None else FORESEEN_NAME
    make_missing(
        name,
        seeds,
        lambda seed: key_of(data, seed, name),
        lambda key, seed: marked(
            data, key, seed, name, fresh_ends=False, shares={None: SHARE}, as_attacked=thieves(seed, name)
        ),
    )


if __name__ == "__main__":
    main()
