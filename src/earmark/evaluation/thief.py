"""What the adversary of a study holds: pictures of the task, and what else an attack needs."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from earmark.attacks.protocol import Need, Thief
from earmark.commitment import frame
from earmark.data import ClassificationData, Split, load_data
from earmark.data.held_out import named_pictures
from earmark.data.table import ImageArray, Progress
from earmark.keys import MarkingKey, OwnerKey, Task, keygen
from earmark.triggers import Sampler
from earmark.triggers.abstract import AbstractSampler
from earmark.triggers.tables import sampler_of_a_thief

_CHUNK = 1000


@dataclass(frozen=True)
class StudyData:
    """The data of a study, in memory.

    Attributes:
        task: The models' own.
        other_pictures: uint8 pictures of another kind, of the models' size; None if there are none.
        other_task: Another task, its pictures of the models' size; None if there is none.
    """

    task: ClassificationData
    other_pictures: npt.NDArray[np.uint8] | None = None
    other_task: ClassificationData | None = None

    def digest(self) -> str:
        """Return SHA-256 over every picture and label, hexadecimal."""
        hasher = hashlib.sha256()
        for data in (self.task, self.other_task):
            if data is not None:
                hasher.update(frame(*data.class_names, data.augmentation))
                _hash_split(hasher.update, data.train)
                _hash_split(hasher.update, data.test)
        if self.other_pictures is not None:
            _hash_images(hasher.update, self.other_pictures)
        return hasher.hexdigest()


def read_study_data(
    task: str,
    other_pictures: str | None,
    other_task: str | None,
    root: Path,
    on_progress: Progress = lambda done, total: None,
) -> StudyData:
    """Load the data of a study.

    Args:
        task: Name of the models' own data.
        other_pictures: Name of the data whose training pictures are of another kind, or None.
        other_task: Name of the data of another task, or None.
        root: Where ``torchvision:`` data lies.
        on_progress: For each of them: pictures read and in all.

    Returns:
        The data.

    Raises:
        FormatError: A folder's contents are not as described.
        ValueError: There is no such name, or the other task has classes of the models' own.
    """
    own = load_data(task, root=root, on_progress=on_progress)
    pictures = other = None
    if other_pictures is not None:
        loaded = load_data(other_pictures, root=root, on_progress=on_progress)
        pictures = fitted(loaded.train.images, own.input_shape)
    if other_task is not None:
        loaded = load_data(other_task, root=root, on_progress=on_progress)
        if set(loaded.class_names) & set(own.class_names):
            raise ValueError(
                f"the other task {other_task} has classes of {task}: they could not be told apart"
            )
        train, test = (
            Split(fitted(split.images, own.input_shape), split.labels)
            for split in (loaded.train, loaded.test)
        )
        other = ClassificationData(
            other_task, loaded.class_names, own.input_shape, train, test, loaded.augmentation
        )
    return StudyData(own, pictures, other)


def fitted(images: ImageArray, shape: tuple[int, int, int]) -> npt.NDArray[np.uint8]:
    """Return pictures cut and scaled to a size, in grey or colour.

    Args:
        images: uint8 ``(images, height, width, channels)``.
        shape: (height, width, channels) to come out.

    Returns:
        uint8 ``(images, *shape)``.
    """
    height, width, channels = shape
    found = np.empty((len(images), *shape), np.uint8)
    for start in range(0, len(images), _CHUNK):
        for place, pixels in enumerate(images[start : start + _CHUNK], start):
            if pixels.shape == shape:
                found[place] = pixels
                continue
            picture = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
            picture = picture.convert("L" if channels == 1 else "RGB")
            fit = ImageOps.fit(picture, (width, height), Image.Resampling.BICUBIC)
            found[place] = np.asarray(fit, np.uint8).reshape(shape)
    return found


def stolen_pictures(train: Split, count: int, seed: int) -> Split:
    """Return the thief's pictures: the first of a permutation that the seed draws.

    More pictures contain the fewer of the same seed, and all attacks of a seed have the same ones.
    """
    places = np.random.default_rng([seed, 1]).permutation(len(train))[:count]
    if count == 0:
        return Split(np.empty((0, *train.images[:1].shape[1:]), np.uint8), np.empty(0, np.int64))
    return Split(train.images[places], train.labels[places])


def thief_for(
    data: StudyData,
    needs: Iterable[Need],
    image_count: int,
    seed: int,
    *,
    augmentation: str | None = None,
    owner: MarkingKey | None = None,
    pirate: MarkingKey | None = None,
) -> Thief:
    """Return a thief with what attacks need, as far as a study has it.

    Args:
        data: Of the study.
        needs: What the attacks need beside the model.
        image_count: Pictures of the task.
        seed: Draws them, and the pirate's key.
        augmentation: None for the data's own.
        owner: The marked model's key. Only its task, its counts and what its transcript says of its
            samplers are looked at.
        pirate: The pirate's own key; None for one like the owner's.

    Returns:
        The thief. What the study does not have he lacks, and the attack says so.
    """
    needs = set(needs)
    other = data.other_task
    if Need.BACKDOOR in needs and pirate is None and owner is not None:
        pirate = pirate_key(owner, seed)
    stolen = stolen_pictures(data.task.train, image_count, seed)
    return Thief(
        stolen,
        augmentation or data.task.augmentation,
        data.other_pictures,
        None if other is None else other.train,
        () if other is None else other.class_names,
        None if pirate is None else pirate.backdoor(),
        _sampler(owner, stolen) if Need.SAMPLER in needs else None,
    )


def pirate_key(owner: MarkingKey, seed: int) -> MarkingKey:
    """Return a key of the pirate's own, with as many triggers as the owner's first kind; for experiments.

    The owner's key of an experiment may be drawn alike: one that has a trigger of the owner's is drawn anew.
    """
    stratum = owner.transcript.strata[0]
    owners = _values(owner)
    keys = (
        pirate_key_for(
            owner.transcript.task,
            seed,
            sampler=_sampler(owner),
            triggers_per_set=stratum.triggers_per_set,
            set_count=len(stratum.set_roots),
            draw=draw,
        )
        for draw in count()
    )
    return next(key for key in keys if owners.isdisjoint(_values(key)))


def _values(key: MarkingKey) -> set[bytes]:
    return {trigger.canonical_bytes for trigger in key.backdoor().triggers}


def pirate_key_for(
    task: Task,
    seed: int,
    *,
    triggers_per_set: int,
    set_count: int = 1,
    sampler: Sampler | None = None,
    draw: int = 0,
) -> MarkingKey:
    """Return a key of the pirate's own, of whose victim only the task is known; for experiments only.

    Args:
        task: Of the model that he has.
        seed: All secrets follow from it.
        triggers_per_set: At least what a key needs.
        set_count: Number of sets.
        sampler: Makes the triggers; None for the default one.
        draw: Each number is another key of the same seed.

    Raises:
        ValueError: Too few triggers.
    """
    return keygen(
        OwnerKey("A pirate", bytes(31) + b"\1"),
        task,
        sampler or _sampler(None),
        triggers_per_set=triggers_per_set,
        set_count=set_count,
        random_bytes=np.random.default_rng([seed, 2, draw]).bytes,
    )


def _sampler(owner: MarkingKey | None, stolen: Split | None = None) -> Sampler:
    """Return a sampler like the owner's, where it needs pictures of the task of those that were stolen."""
    if owner is None:
        return AbstractSampler()
    pictures = None if stolen is None else named_pictures(stolen.images, "what was stolen")
    kinds = [(stratum.sampler, stratum.parameters) for stratum in owner.transcript.strata]
    return sampler_of_a_thief(kinds, pictures) or AbstractSampler()


def _hash_split(update: Callable[[bytes], None], split: Split) -> None:
    _hash_images(update, split.images)
    update(split.labels.astype("<i8").tobytes())


def _hash_images(update: Callable[[bytes], None], images: ImageArray) -> None:
    update(frame(len(images), *images[:1].shape[1:]))
    for start in range(0, len(images), _CHUNK):
        update(np.ascontiguousarray(images[start : start + _CHUNK]).tobytes())
