"""Which triggers training leaves: those whose labels the model before the mark would have given first.

    python benchmarks/label_ranks.py [--seeds 0 1] [--threads 2]

Kept marks of 512 abstract and 256 hard held-out pictures (``two_kinds.py --hard``), all of them taught, are trained strongly,
as hard_pictures.py does it, by a thief with a fifth of the training pictures. Triggers are counted by the place that
their label has among the ten answers of the unmarked network, the likeliest first. Killed, the same command goes on.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from earmark.attacks.protocol import StolenModel
from earmark.data import ClassificationData, load_data
from earmark.marking.recipes import scores_of
from earmark.models.weights import load_weights
from earmark.triggers import Backdoor
from earmark.verification.measurement import of_stratum
from hard_pictures import trained_strongly
from measuring import known_runs, save, seeds_asked_for
from quick_marking import start_of
from table1 import HERE
from two_kinds import HALF, HARD_NAME, hard_key_of

NAME = "label-ranks"


def ranks_of(backdoor: Backdoor, scores: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
    """Return the place of each label among a network's answers, 0 for the likeliest."""
    of_labels = scores[np.arange(len(backdoor)), np.array(backdoor.labels)]
    return np.asarray((scores > of_labels[:, None]).sum(1), np.int64)


def measured(data: ClassificationData, seed: int) -> dict[str, Any]:
    """Train one model strongly, and count by rank the triggers that there are, and those that are left."""
    key, start = hard_key_of(data, seed), start_of(seed)
    preprocessing = start.description.preprocessing
    loaded = load_weights(HERE / "models" / HARD_NAME / f"two-kinds-seed{seed}.safetensors")
    trained = trained_strongly(StolenModel(loaded.module, loaded.description), data, seed)
    found: dict[str, Any] = {"triggers": {}, "left": {}}
    for stratum in key.transcript.strata:
        backdoor = key.backdoor(of_stratum(key, stratum.name))
        ranks = ranks_of(backdoor, scores_of(start.module, preprocessing, backdoor))
        is_left = ranks_of(backdoor, scores_of(trained, preprocessing, backdoor)) == 0
        found["triggers"][stratum.name] = np.bincount(ranks, minlength=10).tolist()
        found["left"][stratum.name] = np.bincount(ranks[is_left], minlength=10).tolist()
    return found


def main() -> None:
    """Make what is missing."""
    seeds = seeds_asked_for(__doc__, [0, 1])
    data = load_data(HALF)
    for seed in seeds:
        if str(seed) not in known_runs(NAME):
            run = measured(data, seed)
            save(NAME, {"runs": dict(sorted({**known_runs(NAME), str(seed): run}.items()))})


if __name__ == "__main__":
    main()
