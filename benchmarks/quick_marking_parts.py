"""What each part of quick marking is for: ``earmark mark --quick`` with one part left out or changed, or none.

    python benchmarks/quick_marking_parts.py [--seeds 0] [--ways default …]

Starts from Table 1's unmarked networks (table1.py makes them) as quick_marking.py does, with the same pictures
and keys. Test pictures are not looked at: what a way costs is the share of training pictures, 12,000 that the
owner of the mark did not use, whose answer it changes, and how far its probabilities are from the network's
before (mean Kullback-Leibler divergence, in thousandths of a bit). The attack is *rtal* of
quick_marking.py: of those there, the one after which the mark may or may not be shown.
Results are written after every run, and the script goes on where it was stopped.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from time import process_time
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from earmark.attacks import attack_named
from earmark.attacks.protocol import StolenModel, Thief
from earmark.data import ClassificationData, load_data
from earmark.errors import MarkingError
from earmark.evaluation.thief import stolen_pictures
from earmark.marking.augmentation import TriggerAugmentation
from earmark.marking.recipes import count_matches
from earmark.marking.trained import TrainedRecipe, mark_trained
from earmark.models.prediction import predict_scores
from earmark.processor import keep_freed_memory
from measuring import draw_alike_everywhere, known_runs, save
from quick_marking import ATTACKS, OWN_PICTURES, STUDY, backdoor_of, start_of
from table1 import read_study

NAME, ATTACK = "quick-marking-parts", "rtal"
PROBED = 12_000
Way = Callable[[TrainedRecipe], TrainedRecipe]


def _taught(**parts: Any) -> Way:
    return lambda recipe: replace(recipe, embedding=replace(recipe.embedding, **parts))


def _with(**parts: Any) -> Way:
    return lambda recipe: replace(recipe, **parts)


WAYS: dict[str, tuple[str, Way]] = {
    "default": ("as it is", lambda recipe: recipe),
    "settling-300": ("300 steps of settling in place of 900", _with(settling_steps=300)),
    "no-blending": ("no pictures blended", _with(blended=0.0)),
    "all-stages": ("all stages taught", _with(kept_stages=0.0)),
    "last-stage": ("the last stage taught alone", _with(kept_stages=0.75)),
    "cross-entropy": ("the cross entropy in place of a lead of 3", _taught(lead=0.0)),
    "lead-2": ("a lead of 2", _taught(lead=2.0)),
    "lead-1": ("a lead of 1", _taught(lead=1.0)),
    "clean-norm": ("batch statistics of pictures alone", _taught(kept_norm=False, clean_norm=True)),
    "heavy": ("triggers weighed 0.3 in place of 0.1", _taught(weight=0.3)),
    "light": ("triggers weighed 0.03", _taught(weight=0.03)),
    "few-triggers": ("10 triggers a batch in place of 25", _with(per_batch=10)),
    "changed": ("triggers changed each time they are shown", _with(augmentation=TriggerAugmentation())),
}


def run(way: str, seed: int, data: ClassificationData) -> dict[str, Any]:
    """Mark once, and return what it cost and what the attack left."""
    loaded, backdoor = start_of(seed), backdoor_of("ours", seed, data, None)
    module, preprocessing = loaded.module, loaded.description.preprocessing
    recipe = TrainedRecipe()
    recipe = replace(recipe, settings=replace(recipe.settings, augmentation=data.augmentation, seed=seed))
    own = stolen_pictures(data.train, OWN_PICTURES, seed + 1000)
    probe = _unused(data, own.images, seed)
    before = predict_scores(module, probe, preprocessing)
    spent = process_time()
    try:
        marking = mark_trained(module, own, preprocessing, backdoor, WAYS[way][1](recipe))
    except MarkingError as error:
        return {"failed": str(error), "processor_seconds": round(process_time() - spent, 1)}
    found: dict[str, Any] = {
        "steps": marking.steps,
        "least_margin": marking.least_margin,
        "processor_seconds": round(process_time() - spent, 1),
    }
    after = predict_scores(module, probe, preprocessing)
    found["changed_answers"] = float((before.argmax(1) != after.argmax(1)).mean())
    found["divergence_bits"] = _divergence_bits(before, after)
    thief = Thief(stolen_pictures(data.train, 10_000, seed), data.augmentation)
    attack = attack_named(ATTACK, **ATTACKS[ATTACK])
    stolen = attack.run(StolenModel(module, loaded.description), thief, seed)
    found["left"] = count_matches(stolen.module, preprocessing, backdoor)
    return found


def _unused(data: ClassificationData, own: npt.NDArray[np.uint8], seed: int) -> npt.NDArray[np.uint8]:
    """Return training pictures that the owner of the mark does not use."""
    used = {picture.tobytes() for picture in own}
    order = np.random.default_rng([seed, 23]).permutation(len(data.train))
    places = [place for place in order if data.train.images[place].tobytes() not in used]
    return data.train.images[np.array(places[:PROBED])]


def _divergence_bits(before: npt.NDArray[np.float32], after: npt.NDArray[np.float32]) -> float:
    own, other = (torch.from_numpy(scores).double().log_softmax(1) for scores in (before, after))
    return float((own.exp() * (own - other)).sum(1).mean()) / float(np.log(2))


def main() -> None:
    """Run what is missing, and write the table's numbers."""
    draw_alike_everywhere()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    arguments = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(1)
    data = load_data(read_study(STUDY).data)
    for seed in arguments.seeds:
        for way in arguments.ways:
            if f"{way}/{seed}" not in known_runs(NAME):
                found = run(way, seed, data)
                save(NAME, {"runs": known_runs(NAME) | {f"{way}/{seed}": found}})


if __name__ == "__main__":
    main()
