"""Any Python callable as a suspect: for models that no other kind reads, and for code that asks elsewhere.

``FILE.py:NAME`` names an object in a file that is run, so only when the person at the keyboard trusts it.
It is called with a copy of its own of one input, for one question at a time: a picture, uint8 (height, width,
channels), a row, float32 (columns,), a recording, int16 (samples,), or a text, str. It returns one of these:

    an integer          the class's number, from 0
    a text              the class's name, if it has the attribute ``class_names``
    a vector            one probability (or any score) for each class
    None                it refuses to answer

Its attribute ``class_names`` names its classes, or ``class_count`` counts them. Exceptions are misses. As
nobody can see what it does with a question, it counts as one that keeps them (``is_remote``) unless its
attribute ``is_remote`` is False: then its author says that it keeps nothing and always answers alike.

Its identity, ``python:sha256:…``, is the SHA-256 of the file that was run, and of nothing else: the weights
that the file reads, the modules that it imports and the servers that it asks can change, and the identity
stays the same. So it names no whole model, as ``sha256:…`` does, and no stamp over it dates the suspect.
"""

import hashlib
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from earmark.errors import FormatError, SuspectError
from earmark.files import read_bounded, shown
from earmark.models.hf_folder import one_line
from earmark.suspects.deadline import QUESTION_SECONDS, within
from earmark.suspects.frames import CLASS_LIMIT
from earmark.suspects.protocol import Miss
from earmark.suspects.scoring import AnswersFromScores, Failed, Said

_SIZE_LIMIT_BYTES = 16 << 20


class CallableSuspect(AnswersFromScores):
    """A Python callable.

    Args:
        function: Answers one question; see above.
        name: In words.
        identity: What stays the same when it is questioned again.
        question_seconds: For each question.

    Raises:
        FormatError: It does not say how many classes it has.
    """

    gives_probabilities = True

    def __init__(
        self,
        function: Callable[[Any], Any],
        name: str,
        identity: str,
        *,
        question_seconds: float = QUESTION_SECONDS,
    ) -> None:
        self._function = function
        self._question_seconds = question_seconds
        self.name = name
        self.identity = identity
        self.class_names = _class_names(function, name)
        self.class_count = _class_count(function, self.class_names, name)
        self.is_remote = bool(getattr(function, "is_remote", True))
        self.preprocessing = "the suspect's own, inside its code"

    def _question(self, inputs: Sequence[Any]) -> Iterator[Said]:
        for value in inputs:
            # A copy, or it could change the question that another suspect is asked.
            question = value if isinstance(value, str) else np.array(value)
            try:
                # Called in a thread of its own before the next turn of the loop.
                result = within(self._question_seconds, self.name, lambda: self._function(question))  # noqa: B023
            except SuspectError:
                raise
            except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever its code does: with
                # SystemExit it would choose the exit code of this program, and 0 means "owned".
                yield Failed(f"{type(error).__name__}: {one_line(error)}")
            else:
                yield self._read(result)

    def _read(self, result: Any) -> Said:
        if result is None:
            return Miss.REFUSED
        if isinstance(result, str):
            names = self.class_names or ()
            return names.index(result) if result in names else Miss.UNKNOWN_CLASS
        if isinstance(result, (int, np.integer)) and not isinstance(result, bool):
            return int(result) if 0 <= result < self.class_count else Miss.UNKNOWN_CLASS
        try:
            scores = np.asarray(result)
        except Exception as error:  # noqa: BLE001 - whatever its result does when it is read
            return Failed(f"its result cannot be read: {one_line(error)}")
        is_numbers = scores.dtype.kind in "fiu"
        return scores.astype(np.float64) if is_numbers else Failed("its result is no class and no scores")


def open_callable(name: str, *, trust_code: bool = False) -> CallableSuspect:
    """Return the suspect that a Python file defines.

    Args:
        name: ``FILE.py:NAME``.
        trust_code: Allow the file to run.

    Raises:
        ValueError: Code is not trusted, or there is no such callable in the file.
        FormatError: There is no such file, or the callable does not say how many classes it has.
        SuspectError: The file raises when it is run.
    """
    file_name, _, attribute = name.rpartition(":")
    path = Path(file_name)
    if not trust_code:
        raise ValueError(
            f"{shown(path)} is code that would run on this machine; add --trust-code if you trust it"
        )
    data = read_bounded(path, _SIZE_LIMIT_BYTES, "Python file")
    function = getattr(_run(path, data), attribute, None)
    if not callable(function):
        raise ValueError(f"{shown(path)} has no callable {attribute!r}")
    words = f"Python callable {attribute} of {shown(Path(path.name))}"
    return CallableSuspect(function, words, f"python:sha256:{hashlib.sha256(data).hexdigest()}")


def _run(path: Path, data: bytes) -> ModuleType:
    # Not by the import system: the bytes whose digest is the identity are the bytes that run, and no
    # compiled file beside them is taken in their place.
    module = ModuleType(f"earmark_suspect_{path.stem}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # dataclasses look their module up
    try:
        exec(compile(data, str(path), "exec"), module.__dict__)  # noqa: S102 - the person at the keyboard trusts it
    except (Exception, SystemExit) as error:
        raise SuspectError(f"{shown(path)} cannot be run: {one_line(error)}") from error
    return module


def _class_names(function: Any, name: str) -> tuple[str, ...] | None:
    names = getattr(function, "class_names", None)
    if names is None:
        return None
    if isinstance(names, str) or not all(isinstance(item, str) and item for item in names):
        raise FormatError(f"{name}: class_names are texts, one for each class")
    if len(set(names)) != len(names):
        raise FormatError(f"{name}: two classes have the same name")
    return tuple(names)


def _class_count(function: Any, names: tuple[str, ...] | None, name: str) -> int:
    count = getattr(function, "class_count", None if names is None else len(names))
    if type(count) is not int or not 2 <= count <= CLASS_LIMIT:
        raise FormatError(
            f"{name} does not say how many classes it has; give it the attribute class_names, or class_count"
        )
    if names is not None and len(names) != count:
        raise FormatError(f"{name} has {len(names)} class_names, but a class_count of {count}")
    return count
