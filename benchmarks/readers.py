"""Where in a network a mark lies: what linear readers see of the triggers after each block.

A reader is a logistic regression on a block's maps, averaged over places, fitted to training pictures alone. It never
sees a trigger; how many it reads as their label says what the network has made of them so far.

    python benchmarks/readers.py [--seeds 0 1 2]

Models and keys as for the studies of robustness: table1.py benchmarks/studies/cifar10-small.json.
"""

import argparse

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from earmark.data import ClassificationData, load_data
from earmark.marking.entanglement import watched
from earmark.models.weights import load_weights
from measuring import draw_alike_everywhere, save
from table1 import HERE, Arm, Study, key_of, model_path, read_study

STUDY = HERE / "studies" / "cifar10-small.json"
KEY_ARM = "from-scratch-512"  # whose triggers the unmarked model is asked
ARMS = ("unmarked", KEY_ARM, "hardened-settled-512", "rehearsed-settled-256")
BLOCKS = tuple(f"blocks.{number}" for number in range(8))
FITTED, ASKED = 8000, 2000


def features(
    arm: Arm, study: Study, seed: int, images: "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]"
) -> list["np.ndarray[tuple[int, ...], np.dtype[np.float32]]"]:
    """Return what each block of a finished model gives ``(images, channels)``, averaged over places."""
    loaded = load_weights(model_path(study, arm, seed))
    inputs = torch.from_numpy(loaded.description.preprocessing(images))
    with torch.inference_mode(), watched(loaded.module.eval(), BLOCKS) as seen:
        for part in inputs.split(500):
            loaded.module(part)
    return [torch.cat(seen[place :: len(BLOCKS)]).numpy() for place in range(len(BLOCKS))]


def read(arm: Arm, study: Study, seed: int, data: ClassificationData) -> dict[str, dict[str, float]]:
    """Return for each block what readers get right of clean pictures, in percent, and how many triggers."""
    keyed = next(other for other in study.arms if other.name == (arm.name if arm.is_marked else KEY_ARM))
    backdoor = key_of(study, keyed, seed, data).backdoor()
    places = np.random.default_rng([seed, 3]).permutation(len(data.train))[: FITTED + ASKED]
    labels = data.train.labels[places]
    images = np.concatenate(
        [data.train.images[places], np.stack([trigger.value for trigger in backdoor.triggers])]
    )
    found = {}
    for block, given in zip(BLOCKS, features(arm, study, seed, images), strict=True):
        reader = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=300))
        reader.fit(given[:FITTED], labels[:FITTED])
        answers = reader.predict(given[FITTED:])
        found[block] = {
            "clean_percent": 100 * float((answers[:ASKED] == labels[FITTED:]).mean()),
            "triggers": int((answers[ASKED:] == np.array(backdoor.labels)).sum()),
            "of": len(backdoor),
        }
    return found


def main() -> None:
    """Read every model that there is."""
    draw_alike_everywhere()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()
    study = read_study(STUDY)
    data = load_data(study.data)
    models: dict[str, dict[str, dict[str, float]]] = {}
    for arm in (arm for arm in study.arms if arm.name in ARMS):
        for seed in arguments.seeds:
            if not model_path(study, arm, seed).exists():
                print(f"{arm.name}, seed {seed}: no model yet")
                continue
            models[f"{arm.name}/{seed}"] = read(arm, study, seed, data)
            print(
                arm.name,
                seed,
                {block: value["triggers"] for block, value in models[f"{arm.name}/{seed}"].items()},
            )
    save("readers", {"models": models})


if __name__ == "__main__":
    main()
