"""ONNX files as suspects: hostile until shown otherwise, so loaded and run in a child process only.

    1  the child is started with limits on memory, processor time, files and core dumps
    2  it reads the file once, at most so many bytes; its digest is the suspect's identity
    3  nothing in the file may reach beyond it: external data, operators that are not built in
    4  the child gives up opening files and sockets, then loads the model
    5  one image-like input; the scores are the first output of floats (batch, classes) in the file's order
    6  preprocessing: picked by the checker, else from the file's own metadata, else from the transcript
    7  questions are put one at a time, each with a deadline

One at a time, because a suspect that is asked in batches can tell a judge from a customer: a graph can
read its batch size, and answer one way alone and another in company.
"""

import importlib.util
import json
import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from earmark.commitment.reading import Fields
from earmark.errors import FormatError, MissingExtraError, SuspectError
from earmark.files import shown
from earmark.models.description import ModelDescription
from earmark.models.preprocessing import Preprocessing
from earmark.suspects.child import Child
from earmark.suspects.onnx_child import (
    CLASS_LIMIT,
    DIMENSIONS,
    FORMAT_ERROR,
    HEADER,
    HEADER_LIMIT_BYTES,
    QUESTION_ERROR,
    SCORES,
    VALUE_LIMIT,
)
from earmark.suspects.protocol import Answer, Miss, top_answers

_MODULE = "onnx_child"
_THREAD_LIMIT = 4


@dataclass(frozen=True, slots=True)
class Limits:
    """What a hostile file may use up.

    Attributes:
        file_bytes: Largest file; protobuf itself ends at 2 GiB.
        memory_bytes: Address space of the child, beside four times the file.
        load_seconds: To start the child, read and load.
        question_seconds: For each answer.
        cpu_seconds: Processor time of the child in all.
    """

    file_bytes: int = 2 << 30
    memory_bytes: int = 4 << 30
    load_seconds: float = 120
    question_seconds: float = 30
    cpu_seconds: int = 24 * 3600


class OnnxSuspect:
    """An ONNX model in a child process.

    Args:
        path: The file.
        preprocessing: Picked by the checker and paid for; or None.
        fallback: The transcript's, for files that name none; or None.
        limits: What the file may use up.

    Raises:
        FormatError: The file is not an ONNX image classifier that can be questioned safely, or nothing
            says how to preprocess its inputs.
        SuspectError: It crashed, or exceeded a limit.
        MissingExtraError: onnxruntime is not installed.
    """

    def __init__(
        self,
        path: Path,
        *,
        preprocessing: Preprocessing | None = None,
        fallback: Preprocessing | None = None,
        limits: Limits = Limits(),
    ) -> None:
        self.name = f"ONNX file {shown(Path(path.name))}"
        self._limits = limits
        self._child = _start(path, self.name, limits)
        try:
            header = _read_header(self._child, limits)
            description = _description(header, preprocessing is not None)
            self._preprocessing, source = _choose(description, preprocessing, fallback)
            self._header = header
            _check_fit(header, self._preprocessing)
            self.class_count = _class_count(header, description)
        except (FormatError, SuspectError) as error:
            self._child.close()
            text = str(error)
            raise type(error)(text if self.name in text else f"{self.name}: {text}") from error
        self.identity = f"sha256:{header.digest}"
        self.class_names: tuple[str, ...] | None = description.class_names if description else None
        self.preprocessing = f"{source}: {self._preprocessing}"

    @property
    def pid(self) -> int:
        """The number of the child process."""
        return self._child.pid

    def answer(
        self, inputs: Sequence[Any], on_answer: Callable[[int], None] = lambda count: None
    ) -> list[Answer]:
        """Answer questions from the highest score, one at a time; a failed question is a miss.

        Raises:
            SuspectError: It crashed, was too slow, or failed on every question.
        """
        answers: list[Answer] = []
        reasons: list[str] = []
        for value in inputs:
            scores = self._ask(value, reasons)
            answers.append(Miss.ERROR if scores is None else top_answers(scores[None])[0])
            on_answer(len(answers))
        if answers and len(reasons) == len(answers):
            raise SuspectError(f"{self.name} answers nothing: {reasons[0]}")
        return answers

    def close(self) -> None:
        """End the child process; it also ends with the suspect."""
        self._child.close()

    def _ask(self, value: Any, reasons: list[str]) -> npt.NDArray[np.float32] | None:
        try:
            question = self._preprocessing(np.asarray(value)[None])
        except ValueError as error:
            raise SuspectError(f"{self.name} cannot read inputs of this shape: {error}") from error
        fits = all(
            wanted in (None, side)
            for wanted, side in zip(self._header.input_shape[1:], question.shape[1:], strict=True)
        )
        if not fits or question.size > VALUE_LIMIT:
            expected = "x".join("?" if side is None else str(side) for side in self._header.input_shape[1:])
            found = "x".join(str(side) for side in question.shape[1:])
            raise SuspectError(
                f"{self.name} reads inputs of {expected}, not {found}; "
                "its release must say how inputs are resized"
            )
        seconds = self._limits.question_seconds
        self._child.send(DIMENSIONS.pack(*question.shape) + question.astype("<f4").tobytes(), seconds)
        kind, payload = self._child.receive(4 * CLASS_LIMIT, seconds)
        if kind == SCORES and len(payload) == 4 * self.class_count:
            return np.frombuffer(payload, "<f4")
        reasons.append(
            payload.decode(errors="replace")
            if kind == QUESTION_ERROR
            else f"it does not give one score for each of {self.class_count} classes"
        )
        return None


def open_onnx(
    path: Path, *, preprocessing: Preprocessing | None = None, fallback: Preprocessing | None = None
) -> OnnxSuspect:
    """Return the suspect in an ONNX file; see ``OnnxSuspect``."""
    return OnnxSuspect(path, preprocessing=preprocessing, fallback=fallback)


@dataclass(frozen=True, slots=True)
class _Header:
    digest: str
    description: str | None
    dtype: str
    input_shape: tuple[int | None, ...]
    class_count: int | None


def _start(path: Path, name: str, limits: Limits) -> Child:
    folders = []
    for package in ("onnxruntime", "numpy"):
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            raise MissingExtraError(package, "onnx")
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
        return Child(_MODULE, json.dumps(arguments), folders, [descriptor], name)
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
        shape = fields.list("input_shape", 4, 4)
        description: Any = fields.take("description")
        count: Any = fields.take("class_count")
        header = _Header(
            fields.hex("digest", 32).hex(), description, fields.text("dtype", 20), tuple(shape), count
        )
    except (ValueError, RecursionError, FormatError) as error:
        raise SuspectError("its process did not answer in the agreed form") from error
    well_formed = description is None or isinstance(description, str)
    if not well_formed or not all(number is None or type(number) is int for number in (*shape, count)):
        raise SuspectError("its process did not answer in the agreed form")
    return header


def _description(header: _Header, is_optional: bool) -> ModelDescription | None:
    if header.description is None:
        return None
    try:
        description = ModelDescription.from_text(header.description)
        count = len(description.class_names)
        if header.class_count not in (None, count):
            raise FormatError(f"it has {header.class_count} outputs, but its description {count} classes")
    except FormatError:
        # A thief can write anything there. Then it is as if nothing stood there, once the checker has
        # picked a preprocessing; otherwise a spoilt description would keep a file from being questioned.
        if is_optional:
            return None
        raise
    return description


def _choose(
    description: ModelDescription | None, picked: Preprocessing | None, fallback: Preprocessing | None
) -> tuple[Preprocessing, str]:
    if picked is not None:
        return picked, "picked by the checker"
    if description is not None:
        return description.preprocessing, "from the suspect's own metadata"
    if fallback is not None:
        return fallback, "fixed in the transcript"
    raise FormatError(
        "its release does not say how its inputs are preprocessed, and neither does the transcript; "
        "pick one of the catalogue with --preprocessing NAME (the choice is paid for)"
    )


def _check_fit(header: _Header, preprocessing: Preprocessing) -> None:
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
