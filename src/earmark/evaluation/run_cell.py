"""One cell, in a worker: attack, judge, count."""

import json
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

import earmark
from earmark.attacks.protocol import ModelAttack, StolenModel, SuspectAttack, Thief, Watch
from earmark.data import Split
from earmark.errors import EarmarkError, FormatError, SuspectError
from earmark.evaluation.attacked_models import AttackedModel, AttackedModels
from earmark.evaluation.cells import Cell, digest_of
from earmark.evaluation.code import study_code
from earmark.evaluation.costs import Clock, forget_peak_memory, peak_memory_bytes
from earmark.evaluation.judging import RESTORED, count_matches, judge, judge_restored, question_count
from earmark.evaluation.study import Step, Study, StudyModel, describe_step
from earmark.evaluation.thief import StudyData, read_study_data, thief_for
from earmark.files import read_bounded, write_replacing
from earmark.formats import marking_key_v1
from earmark.keys import MarkingKey
from earmark.models.description import ModelDescription
from earmark.models.last_layer import restore_last_layer
from earmark.models.prediction import accuracy, cross_entropy, predict_scores
from earmark.models.weights import LoadedModel, load_weights
from earmark.processor import keep_freed_memory
from earmark.suspects import Suspect
from earmark.suspects.clean_check import clean_accuracy
from earmark.suspects.torch import TorchSuspect

OnProgress = Callable[[int, int], None]
_REFERENCE_LIMIT_BYTES = 1 << 20


@dataclass(frozen=True)
class Setup:
    """What a worker is given once.

    Attributes:
        study: The study.
        folder: Of its results.
        data_root: Where ``torchvision:`` data lies.
        passphrases: Of the models' keys, by the model's name.
        data_digest: Of all data, as the plan has it.
        threads: Of PyTorch.
        code: A digest of the code of every step, as the plan has it.
    """

    study: Study
    folder: Path
    data_root: Path
    passphrases: Mapping[str, str] = field(repr=False)
    data_digest: str
    threads: int
    code: Mapping[Step, str]


def read_key(model: StudyModel, passphrase: str) -> MarkingKey:
    """Open the key of a model.

    Raises:
        FormatError: It is missing or malformed, or the passphrase is wrong.
        InvalidKeyError: It contradicts itself.
    """
    return marking_key_v1.read(
        read_bounded(model.key, marking_key_v1.SIZE_LIMIT_BYTES, f"key of {model.name}"), passphrase
    )


@dataclass(frozen=True)
class _Case:
    cell: Cell
    model: StudyModel
    key: MarkingKey
    steps: tuple[Step, ...]
    thief: Thief

    @property
    def wrappers(self) -> list[SuspectAttack]:
        attacks = [step.attack() for step in self.steps]
        return [attack for attack in attacks if isinstance(attack, SuspectAttack)]


class Worker:
    """Runs cells one after the other; data and keys are read once.

    Args:
        setup: What all cells have in common.
    """

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._study = setup.study
        self._models = {model.name: model for model in setup.study.models}
        self._attacks = {attack.name: attack for attack in setup.study.attacks}
        self._keys: dict[str, MarkingKey] = {}
        self._kept = AttackedModels(setup.folder / "attacked")
        keep_freed_memory()
        torch.set_num_threads(setup.threads)
        self._data: StudyData | None = None
        # Loads every attack as well: what is edited from here on is not what this process runs.
        self._is_as_planned = study_code(setup.study) == dict(setup.code)

    def run(self, cell: Cell, on_progress: OnProgress = lambda done, total: None) -> dict[str, Any]:
        """Run a cell.

        Args:
            cell: One of the plan.
            on_progress: Called with steps done and in all, of whatever is being done.

        Returns:
            What is recorded (docs/formats/study-v1.md), as values that JSON can hold.

        Raises:
            EarmarkError: A file is missing or malformed, the code of an attack was edited since the study was
                planned, or an attack or verification refuses.
            ValueError: The thief lacks what an attack needs.
        """
        if not self._is_as_planned:
            raise EarmarkError(
                "the code of an attack was edited after this study had begun; run it again with --resume"
            )
        forget_peak_memory()
        case = self._case(cell)
        made = self._attacked(case, on_progress)
        released = self._load(made[-1].path if made else case.model.weights)
        deployed, questioning = list[Clock](), Clock()
        total = question_count(case.key, case.model.stratum)
        with questioning.running():
            verdicts = judge(
                case.key,
                lambda: self._deploy(case, released, deployed),
                self._study.epsilon,
                lambda done: on_progress(done, total),
                case.model.stratum,
            )
        questioning.wall_seconds -= sum(clock.wall_seconds for clock in deployed)
        if made and not case.wrappers:
            verdicts[RESTORED] = self._restored(case, made[-1])
        task, test = self._test(released.description)
        suspect = self._deploy(case, released, deployed)
        right = self._right(suspect, test, released.description.class_names, on_progress)
        return {
            "format": "earmark/cell/v1",
            **self._compared(case, task, [right, len(test)], verdicts, made),
            "passes": _numbered(made),
            "costs": self._costs(made, deployed, questioning),
            "configuration": [dict(describe_step(step)) for step in case.steps],
            "environment": environment(),
        }

    def _deploy(self, case: "_Case", released: LoadedModel, clocks: list[Clock]) -> Suspect:
        """Return the suspect as a thief deploys it, and add what that took."""
        suspect: Suspect = TorchSuspect(released, f"{case.cell.model} after {case.cell.attack}")
        clocks.append(Clock())
        with clocks[-1].running():
            for attack in case.wrappers:
                suspect = attack.wrap(suspect, case.thief, case.cell.seed)
        return suspect

    def _case(self, cell: Cell) -> "_Case":
        model, steps = self._models[cell.model], self._attacks[cell.attack].steps
        key = self._key(model)
        thief = thief_for(
            self.data,
            {need for step in steps for need in step.attack().card.needs},
            cell.image_count,
            cell.seed,
            augmentation=self._study.augmentation,
            owner=key,
        )
        return _Case(cell, model, key, steps, thief)

    def _compared(
        self,
        case: "_Case",
        task: str,
        after: list[int],
        verdicts: Mapping[str, Any],
        made: Sequence[AttackedModel],
    ) -> dict[str, Any]:
        """Return accuracy, verdicts and digests beside those of the models that nobody attacked."""
        model, key = case.model, case.key
        before = self._reference(model.weights, case)
        unmarked = None if model.unmarked is None else self._reference(model.unmarked, case)
        return {
            "accuracy": {
                "task": task,
                "compared": task == self.data.task.name,
                "before": before["accuracy"],
                "after": after,
                "unmarked": None if unmarked is None else unmarked["accuracy"],
            },
            "verdicts": {
                "before": before["verdict"],
                "unmarked": None if unmarked is None else unmarked["verdict"],
                **verdicts,
            },
            "digests": {
                "model": before["digest"],
                "attacked": made[-1].digest if made else None,
                "unmarked": None if unmarked is None else unmarked["digest"],
                "root": key.transcript.root.hex(),
                "data": self._setup.data_digest,
            },
        }

    @property
    def data(self) -> StudyData:
        """The study's data, read when first needed."""
        if self._data is None:
            study = self._study
            self._data = read_study_data(
                study.data, study.other_pictures, study.other_task, self._setup.data_root
            )
        return self._data

    def _key(self, model: StudyModel) -> MarkingKey:
        if model.name not in self._keys:
            self._keys[model.name] = read_key(model, self._setup.passphrases[model.name])
        return self._keys[model.name]

    def _load(self, path: Path) -> LoadedModel:
        loaded = load_weights(path)
        loaded.module.to(self._study.device)
        return loaded

    def _attacked(self, case: "_Case", on_progress: OnProgress) -> list[AttackedModel]:
        """Run the chain's model attacks, beginning where another cell left off."""
        made: list[AttackedModel] = []
        current: LoadedModel | None = None
        for step in case.steps:
            attack = step.attack()
            if not isinstance(attack, ModelAttack):
                break
            current = current or self._load(case.model.weights)
            address = self._address(current.digest, step, case)
            with self._kept.alone_with(address):
                found = self._kept.find(address)
                if found is None:
                    found = self._attack(address, attack, current, case, on_progress)
            made.append(found)
            current = self._load(found.path)
        return made

    def _address(self, digest: str, step: Step, case: "_Case") -> str:
        return digest_of(
            {
                "format": "earmark/attacked-model/v1",
                # What was seen after each pass is kept with the model.
                **(case.model.asked() if self._study.epoch_images else {}),
                "model": digest,
                "step": {**describe_step(step), "code": self._setup.code[step]},
                "image_count": case.cell.image_count,
                "seed": case.cell.seed,
                "data": self._setup.data_digest,
                "root": case.key.transcript.root.hex(),
                "augmentation": self._study.augmentation,
                "epoch_images": self._study.epoch_images,
                "device": self._study.device,
            }
        )

    def _attack(
        self,
        address: str,
        attack: ModelAttack,
        victim: LoadedModel,
        case: "_Case",
        on_progress: OnProgress,
    ) -> AttackedModel:
        clock, passes = Clock(), list[Mapping[str, Any]]()

        def on_epoch(number: int, stolen: StolenModel) -> None:
            if self._study.epoch_images:
                with clock.held():
                    passes.append({"pass": number, **self._look(case, stolen)})

        model = StolenModel(victim.module, victim.description)
        with clock.running():
            stolen = attack.run(model, case.thief, case.cell.seed, Watch(on_progress, on_epoch))
        return self._kept.keep(address, stolen, clock.wall_seconds, clock.processor_seconds, tuple(passes))

    def _look(self, case: "_Case", stolen: StolenModel) -> dict[str, Any]:
        suspect = TorchSuspect(LoadedModel(stolen.module, stolen.description, ""), "a model being attacked")
        found = count_matches(case.key, suspect, case.model.stratum)
        _, test = self._test(stolen.description, self._study.epoch_images)
        scores = predict_scores(stolen.module, test.images, stolen.description.preprocessing)
        return {
            "matches": found["matches"],
            "claim_bits": found["claim_bits"],
            "accuracy": accuracy(scores, test.labels),
            "loss": cross_entropy(scores, test.labels),
        }

    def _test(self, description: ModelDescription, count: int | None = None) -> tuple[str, Split]:
        """Return the task that a model is for, and pictures to test it on."""
        count = count or self._study.test_images
        other = self.data.other_task
        if set(description.class_names) == set(self.data.task.class_names):
            task = self.data.task
        elif other is not None and set(description.class_names) == set(other.class_names):
            task = other
        else:
            raise FormatError("the model's classes are those of no data of the study")
        split = task.test.spread(count)
        # Labels are places in the model's own classes.
        places = np.array([description.class_names.index(name) for name in task.class_names])
        return task.name, Split(split.images, places[split.labels])

    def _right(
        self, suspect: Suspect, test: Split, class_names: Sequence[str], on_progress: OnProgress
    ) -> int:
        """Return how many test pictures a suspect answers rightly."""
        chunk, right = 500, 0
        for start in range(0, len(test), chunk):
            images, labels = test.images[start : start + chunk], test.labels[start : start + chunk]
            right += round(len(labels) * clean_accuracy(suspect, images, labels, class_names))
            on_progress(start + len(labels), len(test))
        return right

    def _reference(self, path: Path, case: "_Case") -> dict[str, Any]:
        """Return accuracy and verdict of a model that nobody attacked, measured once for the whole study."""
        model = self._load(path)
        _, test = self._test(model.description)
        key, stratum = case.key, case.model.stratum
        address = digest_of(
            {
                "format": "earmark/reference/v1",
                **case.model.asked(),
                "model": model.digest,
                "root": key.transcript.root.hex(),
                "data": self._setup.data_digest,
                "test_images": self._study.test_images,
                "device": self._study.device,
            }
        )
        file = self._setup.folder / "references" / f"{address}.json"
        if file.is_file():
            found: dict[str, Any] = json.loads(read_bounded(file, _REFERENCE_LIMIT_BYTES, "reference"))
            return found
        suspect = TorchSuspect(model, f"weights {path.name}")
        right = self._right(suspect, test, model.description.class_names, lambda done, total: None)
        found = {
            "digest": model.digest,
            "accuracy": [right, len(test)],
            "verdict": count_matches(key, suspect, stratum),
        }
        file.parent.mkdir(parents=True, exist_ok=True)
        write_replacing(file, json.dumps(found, allow_nan=False).encode())
        return found

    def _restored(self, case: "_Case", made: AttackedModel) -> dict[str, Any] | None:
        try:
            whole = restore_last_layer(self._load(made.path), self._load(case.model.weights))
        except SuspectError:
            return None  # another architecture: the owner's layer is none of its
        suspect = TorchSuspect(whole, RESTORED)
        return judge_restored(case.key, suspect, case.model.weights.name, case.model.stratum)

    def _costs(self, made: list[AttackedModel], deployed: list[Clock], questioning: Clock) -> dict[str, Any]:
        # A thief deploys once; we do so for each kind of question. The longest is what it takes:
        # models that he trains for it are kept from the first time.
        wrapping = max(deployed, key=lambda clock: clock.wall_seconds)
        wall = sum(step.wall_seconds for step in made) + wrapping.wall_seconds
        processor = sum(step.processor_seconds for step in made) + wrapping.processor_seconds
        return {
            "wall_seconds": wall,
            "processor_seconds": processor,
            "questioning_seconds": questioning.wall_seconds,
            "peak_memory_bytes": peak_memory_bytes(),
            "threads": self._setup.threads,
            "reused_steps": sum(step.was_kept for step in made),
            "process": os.getpid(),
        }


def environment() -> dict[str, str]:
    """Return the versions that numbers may depend on, and the platform."""
    return {
        "earmark": earmark.__version__,
        "torch": version("torch"),
        "python": platform.python_version(),
        "platform": platform.platform(),
    }


def _numbered(made: Sequence[AttackedModel]) -> list[dict[str, Any]]:
    """Return the passes of all steps, numbered through."""
    passes = [{"step": place, **found} for place, step in enumerate(made, 1) for found in step.passes]
    return [{**found, "pass": number} for number, found in enumerate(passes, 1)]
