"""The revival test: change a suspect as the key committed it, and question what comes of it.

Attacks that remove a mark often only cover it. Two procedures can bring it back, one to a key:

- *training*: a few steps on clean pictures, without a trigger;
- *grafting*: the suspect's weights at secret places are put into the network that the owner had before he
  marked it. Models that were marked for this (``earmark.marking.grafts``) show it again after attacks from
  which training brings nothing back.

The procedure is fixed in the transcript before labels exist and uses no trigger's label: what comes out
depends on the suspect, the clean data, the network before the mark, what opens the triggers' commitments, and
the procedure. So the verdict on the revived suspect is as exact as that on the suspect itself, and the choice
between the two is paid for.

The suspect's weights are needed, and whoever revives a model must have the committed data.
"""

import copy
import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from earmark.commitment import Stream, digest, frame
from earmark.commitment.canonical import Json, canonical_json
from earmark.commitment.reading import Fields
from earmark.data import Split
from earmark.errors import FormatError, MarkingError, SuspectError
from earmark.models.grafting import DEFAULT_SHARE, graft, places_of, settle_norms
from earmark.models.weights import LoadedModel
from earmark.training import SplitBatches, TrainingSettings, train

CODE = "earmark/revival/v1"
GRAFT_CODE = "earmark/revival-graft/v1"
_STEPS_LIMIT = 100_000
_GRAFT_LIMIT = 1000
_PICTURES_FOR_ORDER = 100
_BATCH_LIMIT_BYTES = 2 << 30  # of inputs: 170 pictures of 1,024 by 1,024 in colour
_CHUNK = 1000


@dataclass(frozen=True, slots=True)
class RevivalPlan:
    """How a suspect is trained before it is questioned.

    Attributes:
        data: SHA-256 over the clean data (``data_digest``), hexadecimal.
        steps: Batches, 1 to 100,000.
        batch_size: Pictures in each.
        learning_rate: A decimal text.
        weight_decay: A decimal text.
        augmentation: ``"none"``, ``"crop"`` or ``"crop-flip"``.
        seed: Of batches and augmentation.
    """

    data: str
    steps: int = 150
    batch_size: int = 100
    learning_rate: str = "0.01"
    weight_decay: str = "0.0005"
    augmentation: str = "none"
    seed: int = 0

    def __post_init__(self) -> None:
        _check_digest("data", self.data)
        if not 1 <= self.steps <= _STEPS_LIMIT or not 1 <= self.batch_size <= _STEPS_LIMIT:
            raise ValueError(f"steps and batch_size must be 1 to {_STEPS_LIMIT:,}")
        if not 0 <= self.seed < 2**32:
            raise ValueError("seed must be 0 to 2^32 - 1")
        self.settings()

    def settings(self) -> TrainingSettings:
        """Return the training loop's settings."""
        rate, decay = (_number(text) for text in (self.learning_rate, self.weight_decay))
        return TrainingSettings(
            epochs=1,
            batch_size=self.batch_size,
            learning_rate=rate,
            weight_decay=decay,
            schedule="constant",
            augmentation=self.augmentation,
            seed=self.seed,
        )

    def to_json(self) -> dict[str, Json]:
        """Return what stands in the transcript."""
        return {
            "code": CODE,
            "data": self.data,
            "head": "kept",
            "optimiser": {
                "name": "sgd, Nesterov momentum 0.9",
                "learning_rate": self.learning_rate,
                "weight_decay": self.weight_decay,
            },
            "order": {"batch_size": self.batch_size, "augmentation": self.augmentation},
            "schedule": "constant",
            "seed": self.seed,
            "steps": self.steps,
        }

    @classmethod
    def from_json(cls, value: Any) -> "RevivalPlan":
        """Read a transcript's revival.

        Raises:
            FormatError: It is malformed, or of another kind than this program knows.
        """
        fields = Fields(value, "revival")
        if fields.text("code", 64) != CODE:
            raise FormatError(f"the key's revival is not {CODE}: a newer Earmark may know it")
        optimiser, order = fields.object("optimiser"), fields.object("order")
        with _named_errors():
            plan = cls(
                data=fields.text("data", 64),
                steps=fields.integer("steps", 1, _STEPS_LIMIT),
                batch_size=order.integer("batch_size", 1, _STEPS_LIMIT),
                learning_rate=optimiser.text("learning_rate", 32),
                weight_decay=optimiser.text("weight_decay", 32),
                augmentation=order.text("augmentation", 16),
                seed=fields.integer("seed", 0, 2**32 - 1),
            )
        _check_whole(plan.to_json(), value)
        return plan

    @property
    def identity(self) -> str:
        """SHA-256 of the plan, hexadecimal."""
        return digest(CODE, canonical_json(self.to_json())).hex()


def data_digest(split: Split, class_names: tuple[str, ...]) -> str:
    """Return SHA-256 over clean data, hexadecimal.

    Args:
        split: Pictures and labels, in their order.
        class_names: In the order of the labels.
    """
    hasher = hashlib.sha256(frame(CODE, *class_names))
    hasher.update(frame(len(split), *split.images[:1].shape[1:]))
    for start in range(0, len(split), _CHUNK):
        hasher.update(np.ascontiguousarray(split.images[start : start + _CHUNK]).tobytes())
    hasher.update(split.labels.astype("<i8").tobytes())
    return hasher.hexdigest()


def revive(
    suspect: LoadedModel,
    split: Split,
    class_names: tuple[str, ...],
    plan: RevivalPlan,
    on_step: Callable[[int, int], None] = lambda step, total: None,
) -> LoadedModel:
    """Return the suspect after the committed procedure; the suspect itself stays as it is.

    Args:
        suspect: The model in question.
        split: The clean data.
        class_names: In the order of its labels.
        plan: The transcript's.
        on_step: Called after each step with the steps done and in all.

    Returns:
        The revived model. Its digest names the suspect's and the plan's.

    Raises:
        FormatError: The data is not the committed one.
        SuspectError: The suspect has other classes, reads other pictures, or cannot be trained.

    Source:
        purified models that learn their backdoor again from little: Min et al. 2024 (NeurIPS); marks that
        come back with clean data: arXiv 2501.02704. That the procedure is committed, which makes the verdict
        exact, is ours.
    """
    if data_digest(split, class_names) != plan.data:
        raise FormatError("the clean data is not what the key committed for its revival")
    places = _places(suspect.description.class_names, class_names)
    own = Split(split.images, places[split.labels])
    settings, preprocessing = plan.settings(), suspect.description.preprocessing
    module = copy.deepcopy(suspect.module).requires_grad_(True)
    try:
        # The size of what is read is the suspect's word: a file may ask for any.
        size = settings.batch_size * preprocessing(own.images[:1]).nbytes
        if size > _BATCH_LIMIT_BYTES:
            raise ValueError(f"a batch of {settings.batch_size} of what it reads would take {size:,} bytes")
        batches = _Steps(SplitBatches(own, preprocessing, settings), plan.steps)
        train(module, batches, settings, on_step=on_step)
    except (RuntimeError, ValueError, MemoryError, MarkingError) as error:
        raise SuspectError(f"the suspect cannot be revived: {error}") from error
    return LoadedModel(
        module.eval(), suspect.description, f"{suspect.digest} revived by sha256:{plan.identity}"
    )


class _Steps:
    """Batches of a split as one pass of so many steps."""

    def __init__(self, batches: SplitBatches, steps: int) -> None:
        self._batches, self.steps_per_epoch = batches, steps

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Return inputs and targets of a step."""
        return self._batches.batch(step)


def _places(own: tuple[str, ...], given: tuple[str, ...]) -> "np.ndarray[Any, np.dtype[np.int64]]":
    if set(own) != set(given):
        raise SuspectError("the suspect's classes are not those of the committed data; it cannot be revived")
    return np.array([own.index(name) for name in given], np.int64)


def _number(text: str) -> float:
    try:
        number = Decimal(text)
    except ArithmeticError as error:
        raise ValueError(f"{text!r} is not a decimal number") from error
    if not number.is_finite() or not 0 <= number <= 10**6:
        raise ValueError(f"{text} is not a number from 0 to 10^6")
    return float(number)


@dataclass(frozen=True, slots=True)
class GraftPlan:
    """What of a suspect is put into which network before that is questioned.

    Attributes:
        data: SHA-256 over the clean data (``data_digest``), hexadecimal.
        original: SHA-256 of the weights file of the network before it was marked, hexadecimal.
        share: How many of 256 weights are places, 1 to 255 (``places_of``).
        steps: Batches by which batch normalisations learn their statistics anew, 1 to 1,000.
        batch_size: Pictures in each, 1 to 1,000.
        seed: Of their choice.
    """

    data: str
    original: str
    share: int = DEFAULT_SHARE
    steps: int = 20
    batch_size: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("data", "original"):
            _check_digest(name, getattr(self, name))
        for name, most in (("share", 255), ("steps", _GRAFT_LIMIT), ("batch_size", _GRAFT_LIMIT)):
            if not 1 <= getattr(self, name) <= most:
                raise ValueError(f"{name} must be 1 to {most:,}")
        if not 0 <= self.seed < 2**32:
            raise ValueError("seed must be 0 to 2^32 - 1")

    def to_json(self) -> dict[str, Json]:
        """Return what stands in the transcript."""
        return {
            "code": GRAFT_CODE,
            "data": self.data,
            "head": {"original": self.original, "share": self.share},
            "optimiser": None,
            "order": {"batch_size": self.batch_size},
            "schedule": None,
            "seed": self.seed,
            "steps": self.steps,
        }

    @classmethod
    def from_json(cls, value: Any) -> "GraftPlan":
        """Read a transcript's revival by grafting.

        Raises:
            FormatError: It is malformed.
        """
        fields = Fields(value, "revival")
        head = fields.object("head")
        with _named_errors():
            plan = cls(
                data=fields.text("data", 64),
                original=head.text("original", 64),
                share=head.integer("share", 1, 255),
                steps=fields.integer("steps", 1, _GRAFT_LIMIT),
                batch_size=fields.object("order").integer("batch_size", 1, _GRAFT_LIMIT),
                seed=fields.integer("seed", 0, 2**32 - 1),
            )
        _check_whole(plan.to_json(), value)
        return plan

    @property
    def identity(self) -> str:
        """SHA-256 of the plan, hexadecimal."""
        return digest(GRAFT_CODE, canonical_json(self.to_json())).hex()


def revive_by_graft(
    suspect: LoadedModel,
    original: LoadedModel,
    split: Split,
    class_names: tuple[str, ...],
    plan: GraftPlan,
    seed: bytes,
    on_step: Callable[[int, int], None] = lambda step, total: None,
) -> LoadedModel:
    """Return the original with the suspect's weights at the key's places; both stay as they are.

    Args:
        suspect: The model in question; its classes, its last layer and its preprocessing do not matter.
        original: The network before it was marked.
        split: The clean data.
        class_names: In the order of its labels.
        plan: The transcript's.
        seed: Of the places: the marking key's, for ``CODE`` of ``earmark.models.grafting``.
        on_step: Called after each batch of clean data with the batches done and in all.

    Returns:
        The graft, with the original's classes and preprocessing. Its digest names the suspect's and the
        plan's.

    Raises:
        FormatError: The data or the original are not the committed ones.
        SuspectError: The suspect is another network, or has nothing of the original's weights.

    Source:
        ours
    """
    if data_digest(split, class_names) != plan.data:
        raise FormatError("the clean data is not what the key committed for its revival")
    if original.digest != plan.original:
        raise FormatError("the weights to graft onto are not those that the key committed")
    if set(class_names) != set(original.description.class_names):
        raise FormatError("the clean data's classes are not those of the weights to graft onto")
    places = places_of(original.module, seed, plan.share)
    preprocessing = original.description.preprocessing
    order = _order(plan, len(split))
    inputs = torch.from_numpy(preprocessing(split.images[order[:_PICTURES_FOR_ORDER]]))
    module, taken = graft(original.module, suspect.module, places, inputs)
    if 3 * taken < len(places):
        raise SuspectError(
            f"{len(places) - taken} of {len(places)} layers have nothing of the original's weights: the "
            "suspect does not come from them"
        )
    settle_norms(
        module,
        split.images,
        preprocessing,
        order=order[: plan.steps * plan.batch_size],
        batch_size=plan.batch_size,
        on_step=on_step,
    )
    digest_of_both = f"{suspect.digest} grafted by sha256:{plan.identity}"
    return LoadedModel(module, original.description, digest_of_both)


def _order(plan: GraftPlan, count: int) -> npt.NDArray[np.int64]:
    """Return the order in which clean pictures are used: that of numbers drawn for each of them."""
    drawn = np.frombuffer(Stream(GRAFT_CODE, plan.seed).read(8 * count), ">u8")
    return np.argsort(drawn, kind="stable")


def committed_plan(revival: Mapping[str, Json] | None) -> RevivalPlan | GraftPlan:
    """Return a transcript's plan.

    Raises:
        ValueError: It has none.
        FormatError: It is of a kind that this program does not know.
    """
    if revival is None:
        raise ValueError("the key commits no revival; it would have to be fixed before the labels were")
    kind = GraftPlan if revival.get("code") == GRAFT_CODE else RevivalPlan
    return kind.from_json(dict(revival))


@contextmanager
def _named_errors() -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise FormatError(f"revival: {error}") from error


def _check_whole(understood: Json, given: Any) -> None:
    if canonical_json(understood) != canonical_json(given):
        raise FormatError("the key's revival has fields or values that this program does not know")


def _check_digest(name: str, value: str) -> None:
    if len(value) != 64 or set(value) - set("0123456789abcdef"):
        raise ValueError(f"{name} must be a SHA-256, hexadecimal")
