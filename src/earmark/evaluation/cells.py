"""The plan of a study: its cells, and what tells them from each other."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from earmark.attacks.protocol import Need
from earmark.evaluation.study import Step, Study, StudyAttack, StudyModel, describe_step

_OF_THE_TASK = {Need.LABELLED, Need.UNLABELLED}


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What a model's files are.

    Attributes:
        marked: SHA-256 of the marked model's file, hexadecimal.
        unmarked: The same of the unmarked one, or None.
        root: Of the key, hexadecimal.
        question_count: Triggers of the key that are asked.
    """

    marked: str
    unmarked: str | None
    root: str
    question_count: int


@dataclass(frozen=True, slots=True)
class Facts:
    """What a study's files are: with it, everything that numbers follow from is known.

    Attributes:
        models: By name.
        data: SHA-256 over all data, hexadecimal.
        image_count: Pictures in the training part.
    """

    models: Mapping[str, ModelFacts]
    data: str
    image_count: int


@dataclass(frozen=True, slots=True)
class Cell:
    """One model, one attack, one number of pictures, one seed.

    Attributes:
        id: SHA-256 over everything that its numbers follow from, hexadecimal.
        model: Name of the model.
        attack: Name of the attack.
        image_count: Pictures of the task that the thief has.
        image_share: The same as a share of the training part.
        seed: All randomness follows from it.
    """

    id: str
    model: str
    attack: str
    image_count: int
    image_share: float
    seed: int

    def __str__(self) -> str:
        return f"{self.model}, {self.attack}, {self.image_count} pictures, seed {self.seed}"


def plan(study: Study, facts: Facts, code: Mapping[Step, str]) -> tuple[Cell, ...]:
    """Return the cells of a study, in the order in which they are run.

    Attacks stand outside of models: what a study is stopped for, it is stopped for with every attack begun.

    Args:
        study: The study.
        facts: What its files are.
        code: A digest of the code of every step, taken once for the whole study.

    Returns:
        The cells; all different.

    Raises:
        ValueError: More pictures are asked for than the training part has, or two cells are the same.
    """
    counts = image_counts(study, facts.image_count)
    cells: dict[str, Cell] = {}
    for attack in study.attacks:
        for count in counts if needs_pictures(attack) else (0,):
            for model in study.models:
                for seed in model.seeds:
                    identity = digest_of(_origin(study, model, attack, facts, code, count, seed))
                    cell = Cell(identity, model.name, attack.name, count, count / facts.image_count, seed)
                    if identity in cells:
                        raise ValueError(
                            f"two cells of the study are the same: {cells[identity]}; and {cell}"
                        )
                    cells[identity] = cell
    return tuple(cells.values())


def image_counts(study: Study, available: int) -> tuple[int, ...]:
    """Return how many pictures the thief has, each number once.

    Raises:
        ValueError: A number is larger than what there is.
    """
    counts = study.image_counts or tuple(max(1, round(share * available)) for share in study.shares)
    if max(counts) > available:
        raise ValueError(f"the study asks for {max(counts)} pictures; the training part has {available}")
    return tuple(dict.fromkeys(counts))


def needs_pictures(attack: StudyAttack) -> bool:
    """Say whether any step needs pictures of the task."""
    return any(step.attack().card.needs & _OF_THE_TASK for step in attack.steps)


def digest_of(value: Any) -> str:
    """Return SHA-256 over JSON with sorted keys, hexadecimal."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _origin(
    study: Study,
    model: StudyModel,
    attack: StudyAttack,
    facts: Facts,
    code: Mapping[Step, str],
    image_count: int,
    seed: int,
) -> dict[str, Any]:
    files = facts.models[model.name]
    return {
        **model.asked(),
        "format": "earmark/cell/v1",
        "models": [files.marked, files.unmarked],
        "root": files.root,
        "steps": [{**describe_step(step), "code": code[step]} for step in attack.steps],
        "data": facts.data,
        "image_count": image_count,
        "seed": seed,
        "test_images": study.test_images,
        "epoch_images": study.epoch_images,
        "epsilon": None if study.epsilon is None else str(study.epsilon),
        "device": study.device,
        "augmentation": study.augmentation,
    }
