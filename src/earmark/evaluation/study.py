"""What a study is, and its strict reader (docs/formats/study-v1.md)."""

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from earmark.attacks import attack_named, configuration
from earmark.attacks.protocol import ModelAttack, SuspectAttack
from earmark.commitment.reading import Fields, read_version
from earmark.errors import FormatError
from earmark.training import AUGMENTATIONS

FORMAT = "earmark/study/v1"
SIZE_LIMIT_BYTES = 1 << 20
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_TEXT_LIMIT = 400
_SEED_LIMIT, _SEEDS_LIMIT = 2**31 - 1, 1000
_IMAGES_LIMIT = 1 << 31
_SECONDS_LIMIT = 10**8
_CELL_SECONDS = 86_400.0
_MODELS_LIMIT, _ATTACKS_LIMIT, _STEPS_LIMIT, _SHARES_LIMIT = 100, 1000, 10, 100


@dataclass(frozen=True, slots=True)
class StudyModel:
    """A marked model.

    Attributes:
        name: Unique in the study.
        weights: The marked model's file.
        key: Its marking key's file.
        passphrase_file: Its first line opens the key; None for what the command was given.
        unmarked: Weights of the same task without the mark; None if there are none.
        training_seconds: What training from scratch took, if known.
        seeds: One cell for each.
        stratum: Name of the only stratum of the key whose sets are asked; None for all of them.
    """

    name: str
    weights: Path
    key: Path
    passphrase_file: Path | None
    unmarked: Path | None
    training_seconds: float | None
    seeds: tuple[int, ...]
    stratum: str | None = None

    def asked(self) -> dict[str, str]:
        """Return what says which sets are asked, in whatever follows from it; nothing where all are."""
        return {} if self.stratum is None else {"stratum": self.stratum}


@dataclass(frozen=True, slots=True)
class Step:
    """One configured attack of a chain.

    Attributes:
        name: In the table of attacks.
        changes: Attributes with other values than the defaults, by name, sorted.
    """

    name: str
    changes: tuple[tuple[str, Any], ...] = ()

    def attack(self) -> ModelAttack | SuspectAttack:
        """Return the configured value."""
        return attack_named(self.name, **dict(self.changes))

    def __str__(self) -> str:
        changes = ", ".join(f"{name}={_plain(value)}" for name, value in self.changes)
        return f"{self.name} ({changes})" if changes else self.name


@dataclass(frozen=True, slots=True)
class StudyAttack:
    """A chain of attacks.

    Attributes:
        name: Unique in the study.
        steps: Model attacks one after the other, then suspect attacks.
    """

    name: str
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Study:
    """A study file.

    Attributes:
        name: Of the study.
        data: The models' own task.
        models: The marked models.
        attacks: What is done to each of them.
        shares: Of the training part that the thief has, above 0 to 1; empty if counts are given.
        image_counts: How many pictures he has; empty if shares are given.
        test_images: Test pictures for accuracy; None for all.
        epoch_images: The same after each pass; 0 to look at no pass.
        cell_seconds: A cell that takes longer has failed.
        epsilon: For the paper's rule; None to leave it out.
        device: Where models are trained and questioned.
        augmentation: Of the thief's training; None for the data's own.
        other_pictures: Data of another kind; None if the thief has none.
        other_task: Data of another task; None if the thief has none.
        text: The file's text, for the report.
    """

    name: str
    data: str
    models: tuple[StudyModel, ...]
    attacks: tuple[StudyAttack, ...]
    shares: tuple[float, ...]
    image_counts: tuple[int, ...]
    test_images: int | None
    epoch_images: int
    cell_seconds: float
    epsilon: Fraction | None
    device: str
    augmentation: str | None
    other_pictures: str | None
    other_task: str | None
    text: str


def read_study(data: bytes, folder: Path) -> Study:
    """Read a study file.

    Args:
        data: The file's bytes.
        folder: What its paths are relative to.

    Returns:
        The study; every attack in it exists and has the attributes that it changes.

    Raises:
        FormatError: It is not such a file; the message names the field.
        UnsupportedVersionError: It is another version.
    """
    if len(data) > SIZE_LIMIT_BYTES:
        raise FormatError(f"the study is larger than {SIZE_LIMIT_BYTES} bytes")
    try:
        text = data.decode()
        value = tomllib.loads(text)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise FormatError(f"the study is not TOML: {error}") from error
    read_version(value, FORMAT)
    fields = Fields(value, "study")
    fields.skip("format")
    seeds = _integers(fields, "seeds", 0, _SEED_LIMIT, _SEEDS_LIMIT)
    shares, counts = _amounts(fields)

    def text_of(field: str) -> str:
        return fields.text(field, _TEXT_LIMIT)

    study = Study(
        name=_name(fields),
        data=text_of("data"),
        models=_models(fields, folder, seeds),
        attacks=_attacks(fields),
        shares=shares,
        image_counts=counts,
        test_images=_optional(fields, "test_images", lambda name: fields.integer(name, 1, _IMAGES_LIMIT)),
        epoch_images=_optional(
            fields, "epoch_images", lambda name: fields.integer(name, 0, _IMAGES_LIMIT), 1000
        ),
        cell_seconds=_optional(
            fields, "cell_seconds", lambda name: _seconds(fields, "study", name), _CELL_SECONDS
        ),
        epsilon=_optional(fields, "epsilon", lambda name: _epsilon(fields.text(name, 40))),
        device=_optional(fields, "device", text_of, "cpu"),
        augmentation=_optional(fields, "augmentation", lambda name: fields.choice(name, AUGMENTATIONS)),
        other_pictures=_optional(fields, "other_pictures", text_of),
        other_task=_optional(fields, "other_task", text_of),
        text=text,
    )
    fields.finish()
    return study


def _optional(fields: Fields, name: str, read: Callable[[str], Any], default: Any = None) -> Any:
    return read(name) if name in fields.values else default


def _name(fields: Fields) -> str:
    name = fields.text("name", 100)
    if not _NAME.fullmatch(name):
        raise FormatError("study: name is 1 to 100 letters, digits and -_. and begins with none of these")
    return name


def _amounts(fields: Fields) -> tuple[tuple[float, ...], tuple[int, ...]]:
    if ("shares" in fields.values) == ("image_counts" in fields.values):
        raise FormatError("study: give shares or image_counts, and only one of them")
    if "image_counts" in fields.values:
        return (), _integers(fields, "image_counts", 1, _IMAGES_LIMIT, _SHARES_LIMIT)
    shares = fields.list("shares", 1, _SHARES_LIMIT)
    if not all(type(share) in (int, float) and 0 < share <= 1 for share in shares):
        raise FormatError("study: shares are numbers above 0 to 1")
    if len(set(shares)) != len(shares):
        raise FormatError("study: a share stands in shares twice")
    return tuple(float(share) for share in shares), ()


def _integers(fields: Fields, name: str, low: int, high: int, most: int) -> tuple[int, ...]:
    values = fields.list(name, 1, most)
    if not all(type(value) is int and low <= value <= high for value in values):
        raise FormatError(f"study: {name} are integers from {low} to {high}")
    if len(set(values)) != len(values):
        raise FormatError(f"study: a number stands in {name} twice")
    return tuple(values)


def _seconds(fields: Fields, where: str, name: str) -> float:
    value = fields.take(name)
    if type(value) not in (int, float) or not 0 < value <= _SECONDS_LIMIT:
        raise FormatError(f"{where}: {name} is a number of seconds above 0")
    return float(value)


def _epsilon(text: str) -> Fraction:
    try:
        value = Fraction(text)
    except (ValueError, ZeroDivisionError) as error:
        raise FormatError('study: epsilon is a text such as "0.06"') from error
    if not 0 <= value < 1:
        raise FormatError("study: epsilon is at least 0 and below 1")
    return value


def _models(study: Fields, folder: Path, seeds: tuple[int, ...]) -> tuple[StudyModel, ...]:
    values = study.list("models", 1, _MODELS_LIMIT)
    models = tuple(
        _model(Fields(value, f"model {number}"), f"model {number}", folder, seeds)
        for number, value in enumerate(values, 1)
    )
    _unique([model.name for model in models], "models")
    return models


def _model(fields: Fields, where: str, folder: Path, seeds: tuple[int, ...]) -> StudyModel:
    def path(name: str) -> Path:
        return folder / fields.text(name, _TEXT_LIMIT)

    model = StudyModel(
        fields.text("name", 100),
        path("weights"),
        path("key"),
        _optional(fields, "passphrase_file", path),
        _optional(fields, "unmarked", path),
        _optional(fields, "training_seconds", lambda name: _seconds(fields, where, name)),
        _optional(fields, "seeds", lambda name: _integers(fields, name, 0, _SEED_LIMIT, _SEEDS_LIMIT), seeds),
        _optional(fields, "stratum", lambda name: fields.text(name, 100)),
    )
    fields.finish()
    return model


def _attacks(study: Fields) -> tuple[StudyAttack, ...]:
    attacks = tuple(
        _chain(Fields(value, f"attack {number}"), f"attack {number}")
        for number, value in enumerate(study.list("attacks", 1, _ATTACKS_LIMIT), 1)
    )
    _unique([attack.name for attack in attacks], "attacks")
    return attacks


def _chain(fields: Fields, where: str) -> StudyAttack:
    steps = tuple(
        read_step(step, f"{where}, step {place}")
        for place, step in enumerate(fields.list("steps", 1, _STEPS_LIMIT), 1)
    )
    stands_last = [isinstance(step.attack(), SuspectAttack) for step in steps]
    if stands_last != sorted(stands_last):
        raise FormatError(f"{where}: attacks on models stand before attacks on suspects")
    name = _optional(fields, "name", lambda name: fields.text(name, 200))
    fields.finish()
    return StudyAttack(name or ", then ".join(str(step) for step in steps), steps)


def read_step(value: Any, where: str) -> Step:
    """Read one step of a chain: the name of an attack and the attributes to change.

    Args:
        value: A table with ``attack`` and attributes of that attack.
        where: What to call it in messages.

    Returns:
        The step; the attack exists, has these attributes, and accepts the values.

    Raises:
        FormatError: It does not.
    """
    fields = Fields(value, where)
    name = fields.text("attack", 100)
    changes = {key: _hashable(item) for key, item in value.items() if key != "attack"}
    if "seed" in changes:
        raise FormatError(f"{where}: the seed is not an attack's own; all randomness follows from the cell's")
    try:
        known = attributes(attack_named(name))
        for key, item in changes.items():
            if key not in known:
                raise FormatError(
                    f"{where}: the attack {name} has no {key!r}; it has {', '.join(sorted(known))}"
                )
            if not _has_type_of(item, known[key]):
                wanted = type(known[key]).__name__
                raise FormatError(f"{where}: {key} of {name} is of type {wanted}, not {type(item).__name__}")
        step = Step(name, tuple(sorted(changes.items())))
        step.attack()
    except (ValueError, TypeError) as error:
        raise FormatError(f"{where}: {error}") from error
    return step


def attributes(attack: ModelAttack | SuspectAttack) -> dict[str, Any]:
    """Return the attributes that a step can change, with their values; nested settings by their own name."""
    values = configuration(attack)
    found = {name: value for name, value in values.items() if not isinstance(value, dict)}
    for name in sorted(values.keys() - found.keys()):
        found |= {inner: value for inner, value in values[name].items() if inner not in values}
    return {name: value for name, value in sorted(found.items()) if name != "seed"}


def _hashable(value: Any) -> Any:
    return tuple(_hashable(item) for item in value) if isinstance(value, list) else value


def _has_type_of(value: Any, default: Any) -> bool:
    if default is None:
        return True
    if isinstance(default, float):
        return type(value) in (int, float)
    return isinstance(value, str) if isinstance(default, str) else type(value) is type(default)


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _unique(names: list[str], what: str) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise FormatError(f"study: two {what} are called {twice[0]!r}")


def describe_step(step: Step) -> Mapping[str, Any]:
    """Return a step for records: its name, its title and every number of it."""
    attack = step.attack()
    return {"attack": step.name, "title": attack.card.title, "configuration": configuration(attack)}
