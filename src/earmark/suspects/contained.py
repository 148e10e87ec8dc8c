"""Suspects in a child process: hostile files, so loaded and run only where they can do no harm.

    1  the child is started with limits on memory, processor time, files and core dumps
    2  it reads the file once, at most so many bytes; its digest is the suspect's identity
    3  nothing in the file may reach beyond it: each kind of file has its own look, before anything is loaded
    4  the child gives up opening files and sockets, then loads the model
    5  one input: a picture's, or a row of numbers; the scores are the first that the kind of file defines
    6  preprocessing: picked by the checker, else from the file's own metadata, else from the transcript
    7  questions are put one at a time, each with a deadline

One at a time, because a suspect that is asked in batches can tell a judge from a customer: a graph can
read its batch size, and answer one way alone and another in company.
"""

import importlib.util
import json
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from earmark.commitment.reading import Fields
from earmark.errors import FormatError, MissingExtraError, SuspectError
from earmark.files import shown
from earmark.models.description import ModelDescription
from earmark.models.preprocessing import AsTheyAre, InputPreparation, Preprocessing
from earmark.suspects.child import Child
from earmark.suspects.frames import (
    CLASS_LIMIT,
    DIMENSIONS,
    FORMAT_ERROR,
    HEADER,
    HEADER_LIMIT_BYTES,
    QUESTION_ERROR,
    SCORES,
    VALUE_LIMIT,
)
from earmark.suspects.release import choose_preparation, stated_description
from earmark.suspects.scoring import AnswersFromScores, Failed, Said

_THREAD_LIMIT = 4


@dataclass(frozen=True, slots=True)
class Limits:
    """What a hostile file may use up.

    Attributes:
        file_bytes: Largest file.
        memory_bytes: Address space of the child, beside its libraries and four times the file.
        load_seconds: To start the child, read and load.
        question_seconds: For each answer.
        cpu_seconds: Processor time of the child in all.
    """

    file_bytes: int = 2 << 30
    memory_bytes: int = 4 << 30
    load_seconds: float = 120
    question_seconds: float = 30
    cpu_seconds: int = 24 * 3600


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of file.

    Attributes:
        words: What it is called, e.g. ``"ONNX file"``.
        child: The module of this package whose ``main()`` the child runs.
        packages: What the child imports; all of them come with the extra.
        extra: The extra that installs them.
        flattens: Whether it reads pictures too as one row of numbers.
    """

    words: str
    child: str
    packages: tuple[str, ...]
    extra: str
    flattens: bool = False


class ContainedSuspect(AnswersFromScores):
    """A model in a child process.

    Args:
        path: The file.
        kind: What kind of file it is.
        preprocessing: Picked by the checker and paid for; or None.
        fallback: The transcript's, for files that name none, or that of tables; or None.
        limits: What the file may use up.

    Raises:
        FormatError: The file is not a classifier that can be questioned safely, or nothing says how to
            preprocess its inputs.
        SuspectError: It crashed, or exceeded a limit.
        MissingExtraError: What reads it is not installed.
    """

    def __init__(
        self,
        path: Path,
        kind: Kind,
        preprocessing: Preprocessing | None,
        fallback: InputPreparation | None,
        limits: Limits,
    ) -> None:
        self.name = f"{kind.words} {shown(Path(path.name))}"
        self._limits = limits
        self._child = _start(path, kind, self.name, limits)
        try:
            header = _read_header(self._child, limits)
            # Rows and recordings need no preprocessing: a description may say what it likes of one.
            is_optional = preprocessing is not None or isinstance(fallback, AsTheyAre)
            description = stated_description(header.description, header.class_count, is_optional=is_optional)
            _check_dimensions(header, fallback, kind)
            self._preprocessing, source = choose_preparation(description, preprocessing, fallback)
            self._header = header
            _check_fit(header, self._preprocessing)
            self.class_count = _class_count(header, description)
        except (FormatError, SuspectError) as error:
            self._child.close()
            text = str(error)
            raise type(error)(text if self.name in text else f"{self.name}: {text}") from error
        self.identity = f"sha256:{header.digest}"
        self.class_names: tuple[str, ...] | None = (
            description.class_names if description else header.class_names
        )
        self.preprocessing = f"{source}: {self._preprocessing}"

    @property
    def reads(self) -> Preprocessing:
        """How pictures become what the model reads; FormatError if it is put other inputs."""
        if isinstance(self._preprocessing, AsTheyAre):
            raise FormatError(f"{self.name} is put other inputs than pictures")
        return self._preprocessing

    @property
    def pid(self) -> int:
        """The number of the child process."""
        return self._child.pid

    def close(self) -> None:
        """End the child process; it also ends with the suspect."""
        self._child.close()

    def _question(self, inputs: Sequence[Any]) -> Iterator[Said]:
        for value in inputs:
            yield self._ask(value)

    def _ask(self, value: Any) -> Said:
        try:
            question = self._preprocessing(np.asarray(value)[None])
        except ValueError as error:
            raise SuspectError(f"{self.name} cannot read inputs of this shape: {error}") from error
        question = question.reshape(1, 1, *question.shape) if question.ndim == 2 else question
        self._check_shape(question.shape)
        seconds = self._limits.question_seconds
        self._child.send(DIMENSIONS.pack(*question.shape) + question.astype("<f4").tobytes(), seconds)
        kind, payload = self._child.receive(8 * CLASS_LIMIT, seconds)
        if kind == SCORES and len(payload) == 8 * self.class_count:
            return np.frombuffer(payload, "<f8")
        if kind == QUESTION_ERROR:
            return Failed(payload.decode(errors="replace"))
        return Failed(f"it does not give one score for each of {self.class_count} classes")

    def _check_shape(self, shape: tuple[int, ...]) -> None:
        wanted, found = self._header.input_shape[1:], shape[1:]
        if len(wanted) == 1:
            found = (int(np.prod(found)),)  # it reads its inputs flattened
        fits = all(side in (None, other) for side, other in zip(wanted, found, strict=True))
        if not fits or int(np.prod(found)) > VALUE_LIMIT:
            expected = "x".join("?" if side is None else str(side) for side in wanted)
            raise SuspectError(
                f"{self.name} reads inputs of {expected}, not {'x'.join(map(str, found))}; "
                "its release must say how inputs are resized"
            )


@dataclass(frozen=True, slots=True)
class _Header:
    digest: str
    description: str | None
    dtype: str
    input_shape: tuple[int | None, ...]
    class_count: int | None
    class_names: tuple[str, ...] | None


def _start(path: Path, kind: Kind, name: str, limits: Limits) -> Child:
    folders = []
    for package in (*kind.packages, "numpy"):
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            raise MissingExtraError(package, kind.extra)
        folders.append(Path(spec.origin).parents[1])
    try:
        # Not blocking: a pipe in the file's place would otherwise be waited for without end.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise FormatError(f"cannot read {shown(path)}: {error.strerror}") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise FormatError(f"{shown(path)} is not a file")
        if status.st_size > limits.file_bytes:
            raise FormatError(f"{shown(Path(path.name))} is larger than {limits.file_bytes} bytes")
        arguments = {
            "file": descriptor,
            "file_bytes": status.st_size,
            "memory_bytes": limits.memory_bytes + 4 * status.st_size,
            "cpu_seconds": limits.cpu_seconds,
            "threads": min(_THREAD_LIMIT, os.cpu_count() or 1),
        }
        return Child(kind.child, json.dumps(arguments), folders, [descriptor], name)
    finally:
        os.close(descriptor)


def _read_header(child: Child, limits: Limits) -> _Header:
    kind, payload = child.receive(HEADER_LIMIT_BYTES, limits.load_seconds)
    if kind != HEADER:
        error = FormatError if kind == FORMAT_ERROR else SuspectError
        raise error(payload[:400].decode(errors="replace"))
    # A child that was taken over from inside the model may write anything.
    try:
        fields = Fields(json.loads(payload), "header")
        shape = fields.list("input_shape", 2, 4)
        description: Any = fields.take("description")
        count: Any = fields.take("class_count")
        names: Any = fields.take("class_names")
        digest, dtype = fields.hex("digest", 32).hex(), fields.text("dtype", 20)
    except (ValueError, RecursionError, FormatError) as error:
        raise SuspectError("its process did not answer in the agreed form") from error
    well_formed = (
        (description is None or isinstance(description, str))
        and len(shape) in (2, 4)
        and all(number is None or type(number) is int for number in (*shape, count))
        and (names is None or _are_names(names, count))
    )
    if not well_formed:
        raise SuspectError("its process did not answer in the agreed form")
    return _Header(digest, description, dtype, tuple(shape), count, None if names is None else tuple(names))


def _are_names(names: Any, count: int | None) -> bool:
    return (
        isinstance(names, list)
        and all(isinstance(name, str) and 0 < len(name) <= 200 for name in names)
        and len(set(names)) == len(names) == count
    )


def _check_dimensions(header: _Header, fallback: InputPreparation | None, kind: Kind) -> None:
    if isinstance(fallback, AsTheyAre):
        if len(header.input_shape) == 4:
            raise FormatError("it reads pictures, and the key's inputs are none")
    elif len(header.input_shape) == 2 and not kind.flattens:
        raise FormatError("it reads rows of numbers; an image classifier reads a tensor of four dimensions")


def _check_fit(header: _Header, preprocessing: InputPreparation) -> None:
    if isinstance(preprocessing, AsTheyAre):
        return
    if len(header.input_shape) == 4:
        place = 1 if preprocessing.layout == "NCHW" else 3
        if header.input_shape[place] not in (None, preprocessing.channels):
            raise FormatError(
                f"its input {list(header.input_shape)} does not fit the preprocessing, which makes "
                f"{preprocessing.channels} channel(s) in the order {preprocessing.layout}"
            )
    is_raw = {preprocessing.divisor, *preprocessing.std} == {"1"} and set(preprocessing.mean) == {"0"}
    if header.dtype == "uint8" and not is_raw:
        raise FormatError("its input takes pixels 0 to 255 as they are; only a 'raw' preprocessing fits it")


def _class_count(header: _Header, description: ModelDescription | None) -> int:
    count = header.class_count
    if count is None:
        count = 0 if description is None else len(description.class_names)
    if not 2 <= count <= CLASS_LIMIT:
        raise FormatError("it does not say how many classes it has, or has fewer than two")
    return count
