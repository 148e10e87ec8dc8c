"""A hardened mark of negatives, pictures of the task mixed and inverted, in a trained model.

    python benchmarks/hold_out.py data/cifar10 data/cifar10-held-out --part test --one-in 20 --to held-out
    python benchmarks/negatives.py [--seeds 0 1] [--threads 2]
    earmark evaluate benchmarks/studies/robustness-negatives.toml …

A key's only stratum is 4 sets of 128 negatives of training pictures; ``earmark mark --hardened`` puts them into Table 1's
unmarked network (table1.py makes it), as two_kinds.py does its triggers, and accuracy is measured on the same pictures. Keys
go to the ignored folder keys/negatives, drawn from seeds and with a passphrase that everybody knows: they protect nothing.
Killed, the same command goes on.
"""

import numpy as np
import numpy.typing as npt
from rich.progress import track

from earmark.data import ClassificationData, load_data
from earmark.data.held_out import named_pictures
from earmark.evaluation.thief import stolen_pictures
from earmark.keys import MarkingKey
from earmark.keys.generation import StratumPlan
from earmark.triggers.negatives import NegativesSampler
from measuring import known_runs, save, seeds_asked_for
from two_kinds import DATA, drawn_key, make_missing, marked

NAME = "negatives"
TRIGGERS, SETS = 128, 4


def sampler_of(data: ClassificationData) -> NegativesSampler:
    """Return what makes triggers, and look-alikes, of the training pictures."""
    return NegativesSampler(named_pictures(data.train.images, "CIFAR-10"))


def key_of(data: ClassificationData, seed: int) -> MarkingKey:
    """Make the key; reproducible, and therefore for experiments only."""
    return drawn_key(data, [StratumPlan(sampler_of(data), TRIGGERS, SETS)], [seed, 21])


def found_by_halves(data: ClassificationData, key: MarkingKey, seed: int) -> dict[str, float]:
    """Return which share of triggers, and of honest pictures, is found by a thief who has some of the pictures.

    He takes each of his pictures, upright and upside down, away from what is asked. Only of a trigger that it is a half
    of a picture is left.
    """
    stolen = stolen_pictures(data.train, 10_000, seed).images[:].astype(np.int16)
    halves = np.concatenate([stolen, stolen[:, ::-1]])
    triggers = np.stack([trigger.value for trigger in key.backdoor().triggers])
    return {
        name: float(np.mean([_is_found(picture.astype(np.int16), halves) for picture in asked]))
        for name, asked in (("triggers", triggers), ("honest", data.test.images[:1000]))
    }


def _is_found(picture: npt.NDArray[np.int16], halves: npt.NDArray[np.int16]) -> bool:
    both = 2 * (255 - picture)
    few = slice(None, None, 5)  # of the rows, to look at the rest of few pictures only
    rests = both[few] - halves[:, few]
    left = halves[((rests >= 0) & (rests <= 256)).all((1, 2, 3))]
    rests = both - left
    return bool(((rests >= 0) & (rests <= 256)).all((1, 2, 3)).any())


def main() -> None:
    """Make what is missing."""
    seeds = seeds_asked_for(__doc__, [0, 1])
    data = load_data(DATA)
    make_missing(
        NAME,
        seeds,
        lambda seed: key_of(data, seed),
        lambda key, seed: marked(data, key, seed, NAME, fresh_ends=False, sampler=sampler_of(data)),
    )
    runs = known_runs(NAME)
    for seed in track(seeds, "looking for triggers by their halves"):
        runs[str(seed)]["found_by_halves"] = found_by_halves(data, key_of(data, seed), seed)
    save(NAME, {"runs": runs})


if __name__ == "__main__":
    main()
