"""Which triggers training leaves: those whose labels the model before the mark would have given first.

    python benchmarks/label_ranks.py [--seeds 0 1] [--threads 2]

Kept marks of 512 abstract and 256 hard held-out pictures (``two_kinds.py --hard``), all of them taught, are attacked as
``earmark evaluate`` attacks them, by a thief with a fifth of the training pictures. Triggers are counted by the place that
their label has among the ten answers of the unmarked network, the likeliest first. Killed, the same command goes on.
"""

import argparse
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from earmark.attacks import attack_named
from earmark.attacks.protocol import ModelAttack, StolenModel, Thief
from earmark.data import ClassificationData, load_data
from earmark.evaluation.thief import stolen_pictures
from earmark.models.prediction import predict_scores
from earmark.models.weights import load_weights
from earmark.processor import keep_freed_memory
from earmark.triggers import Backdoor
from earmark.verification.measurement import of_stratum
from measuring import draw_alike_everywhere, known_runs, save
from quick_marking import start_of
from table1 import HERE
from two_kinds import HALF, HARD_NAME, hard_key_of

NAME = "label-ranks"
ATTACKS = {"fine-tune-strong": 5}
THIEFS_PICTURES = 10_000


def ranks_of(backdoor: Backdoor, scores: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
    """Return the place of each label among a network's answers, 0 for the likeliest."""
    of_labels = scores[np.arange(len(backdoor)), np.array(backdoor.labels)]
    return np.asarray((scores > of_labels[:, None]).sum(1), np.int64)


def measured(data: ClassificationData, seed: int) -> dict[str, Any]:
    """Attack one model, and count what is left by rank."""
    key, start = hard_key_of(data, seed), start_of(seed)
    loaded = load_weights(HERE / "models" / HARD_NAME / f"two-kinds-seed{seed}.safetensors")
    kinds = {stratum.name: key.backdoor(of_stratum(key, stratum.name)) for stratum in key.transcript.strata}

    def scores(module: torch.nn.Module, backdoor: Backdoor) -> npt.NDArray[np.floating]:
        images = np.stack([trigger.value for trigger in backdoor.triggers])
        return predict_scores(module, images, start.description.preprocessing)

    ranks = {name: ranks_of(backdoor, scores(start.module, backdoor)) for name, backdoor in kinds.items()}
    thief = Thief(stolen_pictures(data.train, THIEFS_PICTURES, seed), data.augmentation)
    counts = {name: np.bincount(found, minlength=10).tolist() for name, found in ranks.items()}
    left: dict[str, dict[str, list[int]]] = {}
    for attack_name, epochs in ATTACKS.items():
        attack = attack_named(attack_name, epochs=epochs)
        if not isinstance(attack, ModelAttack):
            raise TypeError("an attack on models is needed")
        module = attack.run(StolenModel(loaded.module, loaded.description), thief, seed).module
        left[attack_name] = {
            name: np.bincount(
                ranks[name][scores(module, backdoor).argmax(1) == np.array(backdoor.labels)], minlength=10
            ).tolist()
            for name, backdoor in kinds.items()
        }
    return {"triggers": counts, "left": left}


def main() -> None:
    """Make what is missing."""
    draw_alike_everywhere()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(arguments.threads)
    data = load_data(HALF)
    for seed in arguments.seeds:
        if str(seed) not in known_runs(NAME):
            run = measured(data, seed)
            save(NAME, {"runs": dict(sorted({**known_runs(NAME), str(seed): run}.items()))})


if __name__ == "__main__":
    main()
