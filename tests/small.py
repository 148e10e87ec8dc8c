"""Small real things that many tests need: a key, a network, digits. Kept here so that they exist once."""

from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np

from earmark.commitment import Stream
from earmark.data import ClassificationData, load_data
from earmark.keys import MarkingKey, OwnerKey, SetId, StratumPlan, Task, keygen, random_labels
from earmark.triggers.abstract import AbstractSampler
from earmark.triggers.image import ImageGeometry
from earmark.triggers.noise import NoiseSampler

ONLY_SET = SetId(0, 0)
DIGITS = tuple(str(digit) for digit in range(10))


def new_key(
    seed: int = 0, *, triggers: int = 100, sets: int = 1, choose_labels=None, revival=None
) -> MarkingKey:
    """A real key for 8x8 grey pictures in 10 classes, reproducible."""
    randomness = np.random.default_rng(seed)
    return keygen(
        OwnerKey("Test owner", bytes(range(32))),
        Task(ImageGeometry(8, 8, 1), DIGITS),
        AbstractSampler(),
        triggers_per_set=triggers,
        set_count=sets,
        choose_labels=choose_labels,
        revival=revival,
        random_bytes=randomness.bytes,
    )


@cache
def chosen_key() -> MarkingKey:
    """A key as in the paper: its owner chose the labels."""
    return new_key(choose_labels=random_labels(10, np.random.default_rng(1).bytes))


@cache
def small_key() -> MarkingKey:
    return new_key()


@cache
def digits() -> ClassificationData:
    return load_data("digits")


class MemoryJournal:
    """A journal that forgets."""

    def __init__(self, exposed=()):
        self._exposed = frozenset(exposed)
        self.methods = {}
        self.shown = {}
        self.asked = {}

    def sets_shown_to(self, suspect):
        return frozenset(self.shown.get(suspect, ()))

    def show_set(self, set_id, suspect, set_ids):
        self._exposed |= {set_id}
        self.shown.setdefault(suspect, set()).add(set_id)

    def replies(self, suspect):
        return dict(self.asked.get(suspect, {}))

    def record_asked(self, suspect, set_id, places):
        for place in places:
            assert (set_id, place) not in self.asked.setdefault(suspect, {})
            self.asked[suspect][set_id, place] = None

    def record_replies(self, suspect, set_id, replies):
        for place, reply in replies.items():
            assert self.asked[suspect][set_id, place] is None
            self.asked[suspect][set_id, place] = reply

    def exposed_sets(self) -> frozenset[SetId]:
        return self._exposed

    def record_method(self, suspect, method):
        known = self.methods.setdefault(suspect, [])
        if dict(method) not in known:
            known.append(dict(method))
        return len(known)


class ScriptedSuspect:
    """Answers what it is told to, and remembers what it was asked."""

    def __init__(self, answers, class_names=DIGITS, class_count=10):
        self.name, self.identity, self.preprocessing = "a scripted suspect", "sha256:00", "none"
        self.class_names, self.class_count = class_names, class_count
        self._answers = answers
        self.asked = []

    def answer(self, inputs, on_answer=lambda count: None):
        self.asked.append(list(inputs))
        return self._answers(inputs) if callable(self._answers) else list(self._answers)


def picture_folder(root: Path, *, classes=("cat", "dog"), size=(12, 10), per_class=6, mode="RGB") -> Path:
    """A real folder of PNG files: train/ and test/ by class."""
    from PIL import Image

    randomness = np.random.default_rng(0)
    for part in ("train", "test"):
        for label, name in enumerate(classes):
            folder = root / part / name
            folder.mkdir(parents=True)
            for number in range(per_class):
                shape = (*size, 3) if mode == "RGB" else size
                pixels = (randomness.integers(0, 64, shape) + 120 * label).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")
    return root


@cache
def two_kinds() -> MarkingKey:
    """Return a key of two sets of 70 abstract pictures, and one of 80 noise pictures, for digits."""
    return keygen(
        OwnerKey("two kinds", bytes(32)),
        Task(ImageGeometry(8, 8, 1), DIGITS),
        AbstractSampler(),
        triggers_per_set=70,
        set_count=2,
        further_strata=[StratumPlan(NoiseSampler(), 80)],
        survival=Fraction(1),
        random_bytes=Stream("two kinds").read,
    )
