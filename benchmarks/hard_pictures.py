"""Held-out pictures as triggers: those of which the model is least sure, beside others, marked plainly and trained strongly.

    python benchmarks/hold_out.py data/cifar10 data/cifar10-half --part test --one-in 2 --to held-out
    python benchmarks/hard_pictures.py [--counts 256] [--seed 0] [--threads 2]

So many of the half that is held out are put, with drawn labels, into Table 1's unmarked network (table1.py makes it): the
hardest for it (``keygen --hardest-for``), or any. Then a thief with a fifth of the training pictures trains it strongly.
Accuracy is that on the other half of the test pictures. Beside it, what is left if five honest questions in a hundred are
refused: those that the network itself is least sure of, or those of which a clean one is (Table 1's of another seed, trained
on all training pictures, as no thief has). Killed, the same command goes on with what is missing.
"""

import argparse
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np
import torch

from earmark.attacks import attack_named
from earmark.attacks.protocol import ModelAttack, StolenModel, Thief
from earmark.data import ClassificationData, load_data
from earmark.data.held_out import least_sure
from earmark.evaluation.thief import stolen_pictures
from earmark.marking.augmentation import TriggerAugmentation
from earmark.marking.recipes import PRE_TRAINED, count_matches, mark, pre_trained_settings
from earmark.models.prediction import accuracy, predict_scores
from earmark.processor import keep_freed_memory
from earmark.triggers import Backdoor, Trigger
from earmark.triggers.image import IMAGE
from measuring import draw_alike_everywhere, known_runs, save
from quick_marking import STUDY, start_of
from table1 import read_study
from two_kinds import HALF, judged_half

NAME, BATCHES, PASSES, RATE = "hard-pictures", 500, 4, 0.05
EXPOSURES = 62.5
THIEFS_PICTURES, THIEFS_PASSES = 10_000, 5
REFUSED = 0.05


def triggers_of(data: ClassificationData, which: str, count: int, seed: int) -> Backdoor:
    """Return pictures with drawn labels."""
    half, probabilities = judged_half(data, seed)
    randomness = np.random.default_rng([seed, 34])
    if which == "any":
        # As if the model were sure of each by chance.
        probabilities = randomness.random((len(probabilities), 1))
    pictures = least_sure(half, probabilities, count)
    triggers = tuple(Trigger(IMAGE.name, IMAGE.encode(pixels)) for pixels in pictures.images[:])
    labels = tuple(int(label) for label in randomness.integers(len(data.class_names), size=count))
    return Backdoor(triggers, labels, len(data.class_names))


def trained_strongly(stolen: StolenModel, data: ClassificationData, seed: int) -> torch.nn.Module:
    """Return what strong fine-tuning makes of a model, by a thief with a fifth of the training pictures."""
    thief = Thief(stolen_pictures(data.train, THIEFS_PICTURES, seed), data.augmentation)
    attack = attack_named("fine-tune-strong", epochs=THIEFS_PASSES)
    if not isinstance(attack, ModelAttack):
        raise TypeError("an attack on models is needed")
    return attack.run(stolen, thief, seed).module


def measured(data: ClassificationData, which: str, count: int, seed: int) -> dict[str, Any]:
    """Mark once, train strongly, and return what was measured."""
    start, began = start_of(seed), perf_counter()
    module, description = start.module, start.description
    backdoor = triggers_of(data, which, count, seed)

    clean = start_of((seed + 1) % 3).module
    asked = np.stack([trigger.value for trigger in backdoor.triggers])

    def right(model: torch.nn.Module) -> float:
        scores = predict_scores(model, data.test.images, description.preprocessing)
        return 100 * accuracy(scores, data.test.labels)

    def left(model: torch.nn.Module, judge: torch.nn.Module) -> int:
        sure, honest = (
            torch.from_numpy(predict_scores(judge, images, description.preprocessing)).softmax(1).amax(1)
            for images in (asked, data.test.images)
        )
        answers = predict_scores(model, asked, description.preprocessing).argmax(1)
        is_match = torch.from_numpy(answers) == torch.tensor(backdoor.labels)
        return int((is_match & (sure >= honest.quantile(REFUSED))).sum())

    before, chance = right(module), count_matches(module, description.preprocessing, backdoor)
    settings = pre_trained_settings(replace(read_study(STUDY).settings, seed=seed))
    recipe = replace(
        PRE_TRAINED,
        settings=replace(settings, learning_rate=RATE, epochs=PASSES),
        per_batch=round(EXPOSURES * count / (BATCHES * PASSES)),
        own_answers=0.5,
        augmentation=TriggerAugmentation(share=1.0, shift=0.0, colour=0.0, noise=0.0, jpeg=0),
    )
    mark(module, data.train, description.preprocessing, backdoor, recipe)
    marked = right(module), count_matches(module, description.preprocessing, backdoor)
    doubted = left(module, module), left(module, clean)
    trained = trained_strongly(StolenModel(module, description), data, seed)
    return {
        "pictures": which,
        "triggers": count,
        "seed": seed,
        "accuracy_before": before,
        "accuracy": marked[0],
        "matches_before": chance,
        "matches": marked[1],
        "matches_after_training": count_matches(trained, description.preprocessing, backdoor),
        "accuracy_after_training": right(trained),
        "left_by_own_doubts": doubted[0],
        "left_by_a_clean_networks_doubts": doubted[1],
        "left_by_own_doubts_after_training": left(trained, trained),
        "left_by_a_clean_networks_doubts_after_training": left(trained, clean),
        "seconds": round(perf_counter() - began),
    }


def main() -> None:
    """Make what is missing."""
    draw_alike_everywhere()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--counts", type=int, nargs="+", default=[256])
    parser.add_argument("--which", nargs="+", default=["hard", "any"], choices=["hard", "any"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(arguments.threads)
    data = load_data(HALF)
    for count in arguments.counts:
        for which in arguments.which:
            place = f"{which} {count}, seed {arguments.seed}"
            if place not in known_runs(NAME):
                run = measured(data, which, count, arguments.seed)
                save(NAME, {"runs": dict(sorted({**known_runs(NAME), place: run}.items()))})


if __name__ == "__main__":
    main()
