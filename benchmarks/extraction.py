"""Whether a mark of the task's own pictures passes into a copy that learned a marked model's answers, on CIFAR-10.

512 of the training pictures are triggers, and no longer training pictures; they are put into Table 1's unmarked network by four
passes. Then a thief has half of all training pictures, and so about half of the triggers, as if they had been public: he asks the
marked model about each, and trains a new network on the probabilities (``extract-soft``). What his copy says is counted apart for
the triggers that he asked about and for those that he never had.

    python benchmarks/extraction.py [--pictures 25000] [--epochs 24] [--seeds 0] [--threads 2]

Results are written after every model; the script goes on where it was stopped. Table 1's unmarked models first (table1.py).
"""

import argparse
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np
import torch

from earmark.attacks import attack_named
from earmark.attacks.protocol import StolenModel, Thief
from earmark.data import ClassificationData, Split, load_data
from earmark.evaluation.thief import stolen_pictures
from earmark.keys import MarkingKey, OwnerKey, Task, keygen
from earmark.marking.augmentation import TriggerAugmentation
from earmark.marking.embedding import Embedding
from earmark.marking.recipes import PRE_TRAINED, count_matches, mark
from earmark.models.prediction import accuracy, predict_scores
from earmark.processor import keep_freed_memory
from earmark.triggers import Backdoor
from earmark.triggers.image import ImageGeometry
from earmark.triggers.in_distribution import InDistributionSampler
from measuring import claim_bits, draw_alike_everywhere, known_runs, save
from quick_marking import STUDY, start_of
from table1 import read_study
from trigger_kinds import HeldOut

NAME, TRIGGERS, SETS = "extraction", 128, 4
PER_BATCH, EPOCHS, RATE, OWN_ANSWERS = 12, 4, 0.04, 0.5
MIRRORED = TriggerAugmentation(share=1.0, shift=0.0, colour=0.0, noise=0.0, jpeg=0)


def key_of(data: ClassificationData, seed: int) -> MarkingKey:
    """Make a key of training pictures; reproducible, and therefore for experiments only."""
    places = np.random.default_rng([seed, TRIGGERS]).permutation(len(data.train))[: 2 * TRIGGERS * SETS]
    return keygen(
        OwnerKey("benchmark", bytes(32)),
        Task(ImageGeometry(*data.input_shape), data.class_names),
        InDistributionSampler(HeldOut(data.train.images[places])),
        triggers_per_set=TRIGGERS,
        set_count=SETS,
        random_bytes=np.random.default_rng(seed).bytes,
    )


def without(split: Split, backdoor: Backdoor) -> Split:
    """Return the pictures that are no triggers."""
    taken = {trigger.value.tobytes() for trigger in backdoor.triggers}
    rest = np.array([place for place, image in enumerate(split.images) if image.tobytes() not in taken])
    return Split(split.images[rest], split.labels[rest])


def measured(data: ClassificationData, seed: int, pictures: int, epochs: int) -> dict[str, Any]:
    """Mark once, copy once, and return what was found."""
    backdoor = key_of(data, seed).backdoor()
    loaded = start_of(seed)
    module, preprocessing = loaded.module, loaded.description.preprocessing

    def right(network: torch.nn.Module) -> float:
        return 100 * accuracy(predict_scores(network, data.test.images, preprocessing), data.test.labels)

    found: dict[str, Any] = {"triggers": len(backdoor), "accuracy_before": right(module)}
    start = perf_counter()
    recipe = replace(
        PRE_TRAINED,
        settings=replace(read_study(STUDY).settings, epochs=EPOCHS, learning_rate=RATE, seed=seed),
        per_batch=PER_BATCH,
        embedding=Embedding(weight=None, clean_norm=False),
        augmentation=MIRRORED,
        own_answers=OWN_ANSWERS,
    )
    rest = without(data.train, backdoor)
    mark(module, rest, preprocessing, backdoor, recipe, on_epoch=lambda epoch: print(epoch, flush=True))
    found |= {
        "accuracy": right(module),
        "matches": count_matches(module, preprocessing, backdoor),
        "seconds": round(perf_counter() - start),
    }
    print(found, flush=True)
    stolen_split = stolen_pictures(data.train, pictures, seed)
    thief = Thief(stolen_split, data.augmentation)
    attack = attack_named("extract-soft", epochs=epochs)
    copy = attack.run(StolenModel(module, loaded.description), thief, seed).module
    scores = predict_scores(
        copy, np.stack([trigger.value for trigger in backdoor.triggers]), preprocessing
    ).argmax(1)
    his = {image.tobytes() for image in stolen_split.images}
    asked = np.array([trigger.value.tobytes() in his for trigger in backdoor.triggers])
    matches = scores == np.array(backdoor.labels)
    return found | {
        "accuracy_of_copy": right(copy),
        "matches_of_copy": int(matches.sum()),
        "claim_bits": claim_bits(len(backdoor), int(matches.sum()), len(data.class_names)),
        "asked": int(asked.sum()),
        "matches_of_asked": int(matches[asked].sum()),
        "matches_of_others": int(matches[~asked].sum()),
    }


def main() -> None:
    """Run what is missing."""
    draw_alike_everywhere()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=25_000)
    parser.add_argument("--epochs", type=int, default=24)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(arguments.threads)
    data = load_data(read_study(STUDY).data)
    for seed in arguments.seeds:
        name = f"{arguments.pictures} pictures, {arguments.epochs} passes, seed {seed}"
        if name not in known_runs(NAME):
            run = measured(data, seed, arguments.pictures, arguments.epochs)
            save(NAME, {"runs": dict(sorted({**known_runs(NAME), name: run}.items()))})


if __name__ == "__main__":
    main()
