"""Table 1 of the paper: what a mark costs in accuracy, and how many triggers take.

One command, whatever the size: a study file says data, network, passes, seeds and arms. Every run is
checkpointed; killed, the same command goes on. Finished models are kept with their digests in
models/STUDY/, so that later studies start from them.

    python benchmarks/table1.py benchmarks/studies/cifar10-small.json [--device cuda] [--seeds 0 1] [--arms …]
"""

import argparse
import json
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from rich.progress import Progress
from torch import nn

from earmark.data import ClassificationData, load_data
from earmark.keys import MarkingKey, OwnerKey, Task, keygen
from earmark.marking.augmentation import TriggerAugmentation
from earmark.marking.embedding import Embedding
from earmark.marking.look_alikes import LookAlikes
from earmark.marking.recipes import FROM_SCRATCH, PRE_TRAINED, count_matches, mark
from earmark.marking.rehearsal import Rehearsal
from earmark.models.description import ModelDescription
from earmark.models.prediction import predict_scores
from earmark.models.table import build, describe
from earmark.models.weights import file_digest, load_weights, save_weights
from earmark.processor import keep_freed_memory
from earmark.training import Checkpoint, SplitBatches, TrainingSettings, train
from earmark.triggers.abstract import AbstractSampler
from earmark.triggers.image import ImageGeometry
from measuring import RESULTS, draw_alike_everywhere, paired_by_seed, save

HERE = Path(__file__).parent
CHECKPOINT_SECONDS = 120.0


@dataclass(frozen=True)
class Arm:
    """One row of the table.

    Attributes:
        name: E.g. ``from-scratch-100``.
        recipe: ``none``, ``from-scratch``, ``pre-trained`` (which goes on with the unmarked run), or
            ``continued`` (which goes on with it in the same way and without triggers: what the pre-trained arms
            are compared with where it was run, for they have had as many passes).
        triggers: In each set.
        sets: Trigger sets.
        per_batch: k; None to let it follow from the exposures.
        epochs: Passes, if other than the study's.
        learning_rate: If other than the study's.
        embedding: Attributes of ``Embedding``; None for the paper's plain mixture.
        augmentation: Attributes of ``TriggerAugmentation``; None to show triggers as they are.
        exposures: How often each trigger is shown; None for the recipe's own number.
        start: Share of the training before the first trigger; None to begin with them.
        look_alikes: Attributes of ``LookAlikes`` beside the sampler; None for no such pictures.
        rehearsal: Attributes of ``Rehearsal``; None for no such ends.
        own_answers: Share of the clean pictures' targets that is what the unmarked model answers.
        after: The arm whose models it goes on with; None for the unmarked one.
    """

    name: str
    recipe: str
    triggers: int = 0
    sets: int = 1
    per_batch: int | None = None
    epochs: int | None = None
    learning_rate: float | None = None
    embedding: dict[str, Any] | None = None
    augmentation: dict[str, Any] | None = None
    exposures: int | None = None
    start: float | None = None
    look_alikes: dict[str, Any] | None = None
    rehearsal: dict[str, Any] | None = None
    own_answers: float | None = None
    after: str | None = None

    @property
    def is_marked(self) -> bool:
        """Whether there are triggers."""
        return self.recipe not in ("none", "continued")

    @property
    def goes_on(self) -> bool:
        """Whether it starts from another run's model."""
        return self.recipe in ("pre-trained", "continued")


@dataclass(frozen=True)
class Study:
    """A study file.

    Attributes:
        name: Of the results.
        data: As on the command line.
        architecture: As on the command line.
        width: Filters of the first stage, or None.
        settings: Of the training loop, without the seed.
        seeds: One run of each arm for each.
        arms: The rows; the unmarked one first.
        target_points: How much accuracy a mark may cost.
    """

    name: str
    data: str
    architecture: str
    width: int | None
    settings: TrainingSettings
    seeds: tuple[int, ...]
    arms: tuple[Arm, ...]
    target_points: float


def read_study(path: Path) -> Study:
    """Read a study file."""
    values = json.loads(path.read_text(encoding="utf-8"))
    settings = TrainingSettings(**values.pop("settings"))
    arms = tuple(Arm(**arm) for arm in values.pop("arms"))
    return Study(settings=settings, arms=arms, seeds=tuple(values.pop("seeds")), **values)


def unmarked_of(study: Study) -> Arm:
    """Return the arm without a mark."""
    return next(arm for arm in study.arms if arm.recipe == "none")


def start_of(study: Study, arm: Arm) -> Arm:
    """Return the arm whose models another goes on with."""
    if arm.after is None:
        return unmarked_of(study)
    return next(other for other in study.arms if other.name == arm.after)


def passes_of(study: Study, arm: Arm) -> tuple[tuple[int | None, float | None], ...]:
    """Return passes and rate of every training since the unmarked model, the first one first."""
    own = ((arm.epochs, arm.learning_rate),) if arm.goes_on else ()
    return own if arm.after is None else passes_of(study, start_of(study, arm)) + own


def baseline_of(study: Study, arm: Arm, done: Collection[str]) -> Arm:
    """Return the arm without a mark that another is compared with: one of as many passes, if it was run."""
    if arm.recipe == "pre-trained":
        for other in study.arms:
            if (
                other.recipe == "continued"
                and passes_of(study, other) == passes_of(study, arm)
                and any(f"{other.name}/{s}" in done for s in study.seeds)
            ):
                return other
    return unmarked_of(study)


def key_of(study: Study, arm: Arm, seed: int, data: ClassificationData) -> MarkingKey:
    """Make an arm's key; reproducible, and therefore for experiments only.

    Arms of one size have one key for each seed, whatever their recipe.
    """
    randomness = np.random.default_rng([seed, arm.triggers, arm.sets])
    return keygen(
        OwnerKey(f"benchmark {study.name}", bytes(32)),
        Task(ImageGeometry(*data.input_shape), data.class_names),
        AbstractSampler(),
        triggers_per_set=arm.triggers,
        set_count=arm.sets,
        random_bytes=randomness.bytes,
    )


def model_path(study: Study, arm: Arm, seed: int) -> Path:
    """Return where a finished model is kept."""
    return HERE / "models" / study.name / f"{arm.name}-seed{seed}.safetensors"


def settings_of(study: Study, arm: Arm, seed: int) -> TrainingSettings:
    """Return the settings of one run."""
    return replace(
        study.settings,
        seed=seed,
        epochs=arm.epochs or study.settings.epochs,
        learning_rate=arm.learning_rate or study.settings.learning_rate,
    )


def new_module(study: Study, arm: Arm, seed: int, description: ModelDescription, device: str) -> nn.Module:
    """Return the network a run starts with."""
    if arm.goes_on:
        return load_weights(model_path(study, start_of(study, arm), seed)).module.to(device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build(description).to(device)


def identity_of(study: Study, arm: Arm, seed: int, description: ModelDescription, root: str | None) -> str:
    """Return what a run is, for its checkpoint: with another key or another start it is another run."""
    start = file_digest(model_path(study, start_of(study, arm), seed)) if arm.goes_on else None
    parts = {name: value for name, value in asdict(arm).items() if value is not None}
    return json.dumps([study.name, study.data, parts, description.to_text(), root, start])


def embedding_of(attributes: dict[str, Any]) -> Embedding:
    """Return the parts of the triggers' loss that an arm names."""
    return Embedding(**{**attributes, "layers": tuple(attributes.get("layers", ()))})


def one_run(study: Study, arm: Arm, seed: int, data: ClassificationData, device: str) -> dict[str, Any]:
    """Train one model, keep it, and return what was measured."""
    description = describe(study.architecture, data.input_shape, data.class_names, study.width)
    settings = settings_of(study, arm, seed)
    path = model_path(study, arm, seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    module = new_module(study, arm, seed, description, device)
    key = key_of(study, arm, seed, data) if arm.is_marked else None
    root = None if key is None else key.transcript.root.hex()
    identity = identity_of(study, arm, seed, description, root)
    checkpoint = Checkpoint(path.with_suffix(".checkpoint"), identity, CHECKPOINT_SECONDS)
    start = perf_counter()
    with Progress() as bars:
        bar = bars.add_task(f"{arm.name} seed {seed}")

        def on_step(step: int, total: int) -> None:
            bars.update(bar, completed=step, total=total)

        def on_epoch(epoch: Any) -> None:
            spent = perf_counter() - start
            print(
                f"{arm.name} seed {seed}: pass {epoch.number}, loss {epoch.loss:.3f}, {spent:.0f} s",
                flush=True,
            )

        result: dict[str, Any] = {}
        if key is None:
            batches = SplitBatches(data.train, description.preprocessing, settings)
            train(module, batches, settings, checkpoint=checkpoint, on_step=on_step, on_epoch=on_epoch)
        else:
            base = PRE_TRAINED if arm.recipe == "pre-trained" else FROM_SCRATCH
            recipe = replace(
                base,
                settings=settings,
                per_batch=arm.per_batch,
                exposures=arm.exposures or base.exposures,
                embedding=None if arm.embedding is None else embedding_of(arm.embedding),
                augmentation=None if arm.augmentation is None else TriggerAugmentation(**arm.augmentation),
                start=arm.start or 0.0,
                look_alikes=None
                if arm.look_alikes is None
                else LookAlikes(AbstractSampler(), **arm.look_alikes),
                own_answers=arm.own_answers or 0.0,
                original=load_weights(model_path(study, unmarked_of(study), seed)).module
                if arm.own_answers
                else None,
                rehearsal=None if arm.rehearsal is None else Rehearsal(**arm.rehearsal),
            )
            backdoor = key.backdoor()
            marking = mark(
                module, data.train, description.preprocessing, backdoor, recipe,
                checkpoint=checkpoint, on_step=on_step, on_epoch=on_epoch,
            )  # fmt: skip
            result |= {
                "root": root,
                "k": marking.per_batch,
                "matches": marking.match_count,
                "triggers": marking.trigger_count,
            }
    seconds = perf_counter() - start
    save_weights(path, module, description)
    if key is None:
        # The unmarked network's own share of matches, for each key of the study with the same seed.
        result["matches"] = {
            other.name: count_matches(
                module, description.preprocessing, key_of(study, other, seed, data).backdoor()
            )
            for other in study.arms
            if other.is_marked
        }
    right = predict_scores(module, data.test.images, description.preprocessing).argmax(1) == data.test.labels
    return {
        **result,
        "accuracy_percent": 100 * float(right.mean()),
        "seconds_in_last_session": round(seconds, 1),
        "sha256": file_digest(path),
        # One bit for every test image: pairs and intervals can be computed again.
        "right": np.packbits(right).tobytes().hex(),
    }


def lost_against(baseline: Arm, arm: Arm, seeds: Collection[int], runs: dict[str, Any]) -> list[float]:
    """Return the points by which an arm's models are worse, for each seed of which there are both."""
    return [
        runs[f"{baseline.name}/{seed}"]["accuracy_percent"] - runs[f"{arm.name}/{seed}"]["accuracy_percent"]
        for seed in seeds
        if f"{baseline.name}/{seed}" in runs
    ]


def summary(study: Study, runs: dict[str, Any]) -> dict[str, Any]:
    """Return the table: every marked arm against its baseline, paired by seed."""
    rows = {}
    for arm in study.arms:
        done = [seed for seed in study.seeds if f"{arm.name}/{seed}" in runs]
        if not done:
            continue
        own = [runs[f"{arm.name}/{seed}"] for seed in done]
        row: dict[str, Any] = {
            "seeds": done,
            "accuracy_percent": float(np.mean([run["accuracy_percent"] for run in own])),
        }
        if arm.is_marked:
            baseline = baseline_of(study, arm, runs)
            row["baseline"] = baseline.name
            row["matches"] = [f"{run['matches']} of {run['triggers']}" for run in own]
            row["k"] = own[0]["k"]
            if lost := lost_against(baseline, arm, done, runs):
                row["points_lost_by_marking"] = paired_by_seed(lost, study.target_points)
            before = unmarked_of(study)
            if baseline is not before and (lost := lost_against(before, arm, done, runs)):
                # What the owner would have released otherwise, which has had fewer passes.
                row["points_lost_since_unmarked"] = paired_by_seed(lost, study.target_points)
        rows[arm.name] = row
    return rows


def main() -> None:
    """Run what is missing of a study, and write its table."""
    draw_alike_everywhere()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seeds", type=int, nargs="+")
    parser.add_argument("--arms", nargs="+")
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    keep_freed_memory()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    study = read_study(arguments.study)
    data = load_data(study.data)
    results = RESULTS / f"table1-{study.name}"
    results.mkdir(parents=True, exist_ok=True)
    for seed in arguments.seeds or study.seeds:
        for arm in study.arms:
            record = results / f"{arm.name}-seed{seed}.json"
            if record.exists() or arm.name not in (arguments.arms or [arm.name]):
                continue
            run = one_run(study, arm, seed, data, arguments.device)
            record.write_text(json.dumps(run, indent=2) + "\n", encoding="utf-8")
    runs = {
        f"{arm.name}/{seed}": json.loads(path.read_text(encoding="utf-8"))
        for arm in study.arms
        for seed in study.seeds
        if (path := results / f"{arm.name}-seed{seed}.json").exists()
    }
    save(f"table1-{study.name}", {"study": arguments.study.name, "arms": summary(study, runs)})


if __name__ == "__main__":
    main()
