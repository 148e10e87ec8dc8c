"""Marking a trained model: ours beside the authors' procedure, from the same model, in one run.

    python benchmarks/quick_marking.py FOLDER [--pictures adi-trigger-set.zip] [--seeds 0] [--threads 2]

FOLDER holds a clone of ``AUTHORS``; the zip holds their 100 pictures (``pics/1.jpg`` …) and ``labels-cifar.txt``. Both
sides start from Table 1's unmarked network of a seed (table1.py makes it) and are attacked by the same thief.

``authors``          their training function with their pictures, 2 beside each 100 of all 50,000 training pictures, for
                     20 passes at the rate with which their training ends
``ours``             ``earmark mark --quick``: 10,000 of the training pictures without their labels, our abstract pictures
``ours-on-theirs``   the same with their pictures

Times are compared on one machine at one time: ``--one-pass`` times the first of the authors' 20 passes again, which are all
alike, when the other sides are marked anew. All sides are marked before any is attacked. Results are written after every step, and the script goes on where it was
stopped.
"""

import argparse
import io
import json
import zipfile
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from earmark.attacks import attack_named
from earmark.attacks.protocol import StolenModel, Thief
from earmark.data import ClassificationData, load_data
from earmark.evaluation.thief import stolen_pictures
from earmark.marking.recipes import count_matches
from earmark.marking.trained import TrainedRecipe, mark_trained
from earmark.models.prediction import accuracy, predict_scores
from earmark.models.preprocessing import Preprocessing
from earmark.models.weights import LoadedModel, load_weights, save_weights
from earmark.processor import keep_freed_memory
from earmark.training import SplitBatches, TrainingSettings
from earmark.triggers import Backdoor, Trigger
from earmark.triggers.abstract import AbstractSampler
from earmark.triggers.image import IMAGE
from measuring import RESULTS, draw_alike_everywhere, known_runs, save
from reference_code import room, take
from table1 import HERE, Arm, key_of, read_study, unmarked_of

AUTHORS = "adiyoss/WatermarkNN at 448bf51384dc29f779325323ac1041b59e099bc5"
STUDY, NAME = HERE / "studies" / "cifar10-small.json", "quick-marking"
EPOCHS, RATE = 20, 0.001  # their fine-tuning's passes, and 0.1 after two of their decays
OWN_PICTURES = 10_000
ATTACKS: dict[str, dict[str, Any]] = {
    "ftal": {"epochs": 6},
    "rtal": {"epochs": 6},
    "fine-tune-strong": {"epochs": 6},
    "fst": {"epochs": 6},
}


def their_backdoor(path: Path, side: int) -> Backdoor:
    """Return the authors' pictures, cut as their loader cuts them, with their labels."""
    with zipfile.ZipFile(path) as files:
        labels = [int(float(line)) for line in files.read("labels-cifar.txt").split()]
        # Their loader lists names as texts: 1, 10, 100, 11 …
        names = sorted(f"pics/{number}.jpg" for number in range(1, 101))
        triggers = [Trigger(IMAGE.name, IMAGE.encode(_cut(files.read(name), side))) for name in names]
    return Backdoor(tuple(triggers), tuple(labels), 10)


def _cut(data: bytes, side: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return the middle of a picture, black where it does not reach."""
    pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    short = [max(0, side - length) for length in pixels.shape[:2]]
    pixels = np.pad(pixels, [((part + 1) // 2, part // 2) for part in short] + [(0, 0)])
    top, left = (round((length - side) / 2) for length in pixels.shape[:2])
    return np.ascontiguousarray(pixels[top : top + side, left : left + side])


class Batches:
    """Batches in the order of a loader's passes."""

    def __init__(self, batches: SplitBatches) -> None:
        self._batches, self._step = batches, 0

    def __len__(self) -> int:
        return self._batches.steps_per_epoch

    def __iter__(self) -> Any:
        for _ in range(len(self)):
            yield self._batches.batch(self._step)
            self._step += 1


def by_authors(
    module: nn.Module,
    data: ClassificationData,
    preprocessing: Any,
    backdoor: Backdoor,
    seed: int,
    folder: Path,
    passes: int = EPOCHS,
) -> None:
    """Mark by the authors' training function."""
    settings = TrainingSettings(epochs=EPOCHS, batch_size=100, seed=seed, augmentation=data.augmentation)
    inputs = torch.from_numpy(preprocessing(np.stack([trigger.value for trigger in backdoor.triggers])))
    labels = torch.tensor(backdoor.labels)
    shown = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed)).split(2)
    known = take(folder / "WatermarkNN" / "trainer.py", ("train",), room())
    optimizer = torch.optim.SGD(module.parameters(), RATE, momentum=0.9, weight_decay=5e-4)
    loader = Batches(SplitBatches(data.train, preprocessing, settings))
    for epoch in range(passes):
        with redirect_stdout(io.StringIO()):
            known["train"](
                epoch, module, nn.CrossEntropyLoss(), optimizer, "/dev/null", loader, "cpu",
                [(inputs[places], labels[places]) for places in shown],
            )  # fmt: skip
        print(f"authors seed {seed}: pass {epoch + 1} of {EPOCHS}", flush=True)


def by_us(
    module: nn.Module, data: ClassificationData, preprocessing: Any, backdoor: Backdoor, seed: int
) -> dict[str, Any]:
    """Mark as ``earmark mark --quick`` does."""
    recipe = TrainedRecipe()
    recipe = replace(recipe, settings=replace(recipe.settings, augmentation=data.augmentation, seed=seed))
    own = stolen_pictures(data.train, OWN_PICTURES, seed + 1000)
    marking = mark_trained(module, own, preprocessing, backdoor, recipe)
    return {"steps": marking.steps, "least_margin": marking.least_margin}


def start_of(seed: int) -> LoadedModel:
    """Return the unmarked network that all sides begin with."""
    study = read_study(STUDY)
    return load_weights(HERE / "models" / study.name / f"{unmarked_of(study).name}-seed{seed}.safetensors")


def backdoor_of(side: str, seed: int, data: ClassificationData, pictures: Path | None) -> Backdoor:
    """Return what a side teaches."""
    if side == "ours":
        return key_of(read_study(STUDY), Arm("quick", "pre-trained", 100), seed, data).backdoor()
    if pictures is None:
        raise SystemExit("--pictures names the authors' trigger set")
    return their_backdoor(pictures, data.input_shape[0])


def kept_at(side: str, seed: int) -> Path:
    """Return where a marked model lies."""
    return HERE / "models" / NAME / f"{side}-seed{seed}.safetensors"


def right(module: nn.Module, data: ClassificationData, preprocessing: Preprocessing) -> float:
    """Return the accuracy on the test part, in percent."""
    return 100 * accuracy(predict_scores(module, data.test.images, preprocessing), data.test.labels)


def marked(
    side: str, seed: int, data: ClassificationData, folder: Path, pictures: Path | None
) -> dict[str, Any]:
    """Mark once, keep the model, and return what was measured."""
    loaded, backdoor = start_of(seed), backdoor_of(side, seed, data, pictures)
    module, preprocessing = loaded.module, loaded.description.preprocessing
    before, found = right(module, data, preprocessing), dict[str, Any]()
    wall, processor = perf_counter(), process_time()
    if side == "authors":
        by_authors(module.train(), data, preprocessing, backdoor, seed, folder)
    else:
        found = by_us(module, data, preprocessing, backdoor, seed)
    seconds, spent = perf_counter() - wall, process_time() - processor
    path = kept_at(side, seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_weights(path, module.eval(), loaded.description)
    return {
        **found,
        "seconds": round(seconds, 1),
        "processor_seconds": round(spent, 1),
        "threads": torch.get_num_threads(),
        "accuracy_before": before,
        "accuracy": right(module, data, preprocessing),
        "matches": count_matches(module, preprocessing, backdoor),
        "triggers": len(backdoor),
        "attacks": {},
    }


def one_pass(data: ClassificationData, seed: int, folder: Path, pictures: Path | None) -> dict[str, Any]:
    """Return what the first of the authors' passes takes."""
    loaded, backdoor = start_of(seed), backdoor_of("authors", seed, data, pictures)
    wall, processor = perf_counter(), process_time()
    by_authors(
        loaded.module.train(), data, loaded.description.preprocessing, backdoor, seed, folder, passes=1
    )
    seconds, spent = perf_counter() - wall, process_time() - processor
    return {
        "seconds": round(seconds, 1),
        "processor_seconds": round(spent, 1),
        "threads": torch.get_num_threads(),
    }


def attacked(
    name: str, side: str, seed: int, data: ClassificationData, pictures: Path | None
) -> dict[str, Any]:
    """Attack a marked model, and return what is left."""
    loaded = load_weights(kept_at(side, seed))
    thief = Thief(stolen_pictures(data.train, 10_000, seed), data.augmentation, sampler=AbstractSampler())
    stolen = attack_named(name, **ATTACKS[name]).run(
        StolenModel(loaded.module, loaded.description), thief, seed
    )
    preprocessing = loaded.description.preprocessing
    backdoor = backdoor_of(side, seed, data, pictures)
    return {
        "matches": count_matches(stolen.module, preprocessing, backdoor),
        "accuracy": right(stolen.module, data, preprocessing),
    }


def main() -> None:
    """Run what is missing, and write the table's numbers."""
    draw_alike_everywhere()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--sides", nargs="+", default=["authors", "ours", "ours-on-theirs"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--one-pass", action="store_true", help="time one of the authors' passes, and no more"
    )
    parser.add_argument("--only-mark", action="store_true", help="leave the attacks, which are not timed")
    arguments = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(arguments.threads)
    data = load_data(read_study(STUDY).data)
    if arguments.one_pass:
        keep_all(authors_pass=one_pass(data, arguments.seeds[0], arguments.folder, arguments.pictures))
        return
    wanted = [(side, seed) for seed in arguments.seeds for side in arguments.sides]
    for side, seed in wanted:
        if f"{side}/{seed}" not in known_runs(NAME):
            keep(side, seed, marked(side, seed, data, arguments.folder, arguments.pictures))
    for side, seed in [] if arguments.only_mark else wanted:
        for name in ATTACKS:
            if name not in known_runs(NAME)[f"{side}/{seed}"]["attacks"]:
                left = attacked(name, side, seed, data, arguments.pictures)
                run = known_runs(NAME)[f"{side}/{seed}"]
                keep(side, seed, {**run, "attacks": {**run["attacks"], name: left}})


def keep(side: str, seed: int, run: dict[str, Any]) -> None:
    """Write a run beside the others."""
    keep_all(runs=dict(sorted({**known_runs(NAME), f"{side}/{seed}": run}.items())))


def keep_all(**changes: Any) -> None:
    """Write what is new beside the rest."""
    save(NAME, {"authors": AUTHORS, "runs": {}} | known() | changes)


def known() -> dict[str, Any]:
    """Return all that was measured so far."""
    path = RESULTS / f"{NAME}.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return {name: value for name, value in found.items() if name not in ("benchmark", "machine")}


if __name__ == "__main__":
    main()
