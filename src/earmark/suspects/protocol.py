"""What a suspect is to whoever verifies: something that answers each question once.

No framework is imported here: a suspect may be anything that answers.
"""

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt


class Miss(StrEnum):
    """Why a question has no answer. Every one of them counts as "no match"."""

    REFUSED = "refused"
    ERROR = "error"
    TIE = "tie"
    NOT_A_NUMBER = "not a number"
    UNKNOWN_CLASS = "unknown class"


Answer: TypeAlias = int | Miss
"""The suspect's own class number, from 0, or why there is none."""


class Suspect(Protocol):
    """A model under test, with its preprocessing.

    One that may answer differently when it is asked again, or could keep what it is asked, has the attribute
    ``is_remote = True``: it is questioned one by one through the journal, and its first answers count. It may
    also have ``window``, how many questions are put to it at once, and ``prepare(inputs)``, which is called
    before these questions are written down, and raises SuspectError if they cannot be put.
    """

    @property
    def name(self) -> str:
        """What it is, in words for the report, e.g. ``"weights suspect.safetensors"``."""
        ...

    @property
    def identity(self) -> str:
        """What stays the same when it is questioned again: ``"sha256:…"`` of its release."""
        ...

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """Its class names in the order of its answers, or None if its release does not say."""
        ...

    @property
    def class_count(self) -> int:
        """Number of its classes."""
        ...

    @property
    def preprocessing(self) -> str:
        """Its preprocessing and where that came from, in words."""
        ...

    def answer(
        self, inputs: Sequence[Any], on_answer: Callable[[int], None] = lambda count: None
    ) -> list[Answer]:
        """Answer questions, each once and in the given order.

        Args:
            inputs: Trigger values, e.g. uint8 pixels ``(height, width, channels)``.
            on_answer: Called with the number of questions answered so far.

        Returns:
            One answer per input.

        Raises:
            SuspectError: The suspect cannot be questioned at all.
        """
        ...


@runtime_checkable
class ScoringSuspect(Suspect, Protocol):
    """A suspect that also says how sure it is."""

    def probabilities(
        self, inputs: Sequence[Any], on_answer: Callable[[int], None] = lambda count: None
    ) -> list[tuple[float, ...] | Miss]:
        """Answer questions with a probability for each class, each once and in the given order.

        Args:
            inputs: As for ``answer``.
            on_answer: As for ``answer``.

        Returns:
            One tuple per input, a number for each class; or why there is none.

        Raises:
            SuspectError: The suspect cannot be questioned at all.
        """
        ...


def top_answers(scores: npt.NDArray[np.floating[Any]]) -> list[Answer]:
    """Return the class of the highest score of each row.

    Ties are misses: a model that answers everything with equal scores must not be given the label by
    the accident of an argmax. A row with NaN is a miss too.

    Args:
        scores: ``(questions, classes)``.

    Returns:
        One answer per row.

    Example:
        >>> top_answers(np.array([[0.1, 0.9], [0.5, 0.5], [np.nan, 1.0]]))
        [1, <Miss.TIE: 'tie'>, <Miss.NOT_A_NUMBER: 'not a number'>]
    """
    answers: list[Answer] = []
    for row in scores:
        if bool(np.isnan(row).any()):
            answers.append(Miss.NOT_A_NUMBER)
        elif int((row == row.max()).sum()) > 1:
            answers.append(Miss.TIE)
        else:
            answers.append(int(row.argmax()))
    return answers
