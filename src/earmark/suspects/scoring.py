"""From what a suspect says to answers and probabilities: one way for every suspect that knows scores."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from earmark.errors import SuspectError
from earmark.suspects.protocol import Answer, Miss, top_answers

_SUM_ERROR = 1e-3


@dataclass(frozen=True, slots=True)
class Failed:
    """A question that a suspect stumbled over: a miss.

    Attributes:
        reason: Why, for the message if it never answers anything.
    """

    reason: str


Said: TypeAlias = npt.NDArray[np.floating[Any]] | int | Miss | Failed
"""What comes of one question: scores (classes,), a class, a miss, or a failure."""


class AnswersFromScores(ABC):
    """The two ways to ask, for suspects that say what comes of each question.

    Attributes:
        name: See ``Suspect``.
        class_count: See ``Suspect``.
        gives_probabilities: Whether its scores are probabilities whatever they look like; otherwise scores
            are if they look like it, and logits if not.
    """

    name: str
    class_count: int
    gives_probabilities = False
    _has_answered = False

    @abstractmethod
    def _question(self, inputs: Sequence[Any]) -> Iterator[Said]:
        """Yield what comes of each question, in their order."""

    def answer(
        self, inputs: Sequence[Any], on_answer: Callable[[int], None] = lambda count: None
    ) -> list[Answer]:
        """Answer questions from the highest score; a failed question is a miss.

        Raises:
            SuspectError: It cannot be questioned, or has failed on every question so far.
        """
        return [
            top_answers(said[None])[0] if isinstance(said, np.ndarray) else said
            for said in self._replies(inputs, on_answer)
        ]

    def probabilities(
        self, inputs: Sequence[Any], on_answer: Callable[[int], None] = lambda count: None
    ) -> list[tuple[float, ...] | Miss]:
        """Answer questions with probabilities; a failed question is a miss.

        Raises:
            SuspectError: It cannot be questioned, gives classes without scores, or has failed on every
                question so far.
        """
        return [self._as_probabilities(said) for said in self._replies(inputs, on_answer)]

    def _replies(
        self, inputs: Sequence[Any], on_answer: Callable[[int], None]
    ) -> list[npt.NDArray[np.floating[Any]] | Answer]:
        replies: list[npt.NDArray[np.floating[Any]] | Answer] = []
        reason = ""
        for said in self._question(inputs):
            if isinstance(said, np.ndarray) and said.shape != (self.class_count,):
                said = Failed(f"it does not give one score for each of {self.class_count} classes")  # noqa: PLW2901 - read as what it is
            if isinstance(said, Failed):
                reason = reason or said.reason
                replies.append(Miss.ERROR)
            else:
                # Remembered beyond this call: asked one by one, a suspect that fails once must not be
                # taken for one that never answers, or it could end a verification that goes against it.
                self._has_answered = True
                replies.append(said)
            on_answer(len(replies))
        if reason and not self._has_answered:
            raise SuspectError(f"{self.name} answers nothing: {reason}")
        return replies

    def _as_probabilities(self, said: npt.NDArray[np.floating[Any]] | Answer) -> tuple[float, ...] | Miss:
        if isinstance(said, Miss):
            return said
        if isinstance(said, int):
            raise SuspectError(f"{self.name} answers with classes, not with probabilities")
        scores = said.astype(np.float64)
        if self.gives_probabilities or _are_probabilities(scores):
            is_sound = bool(np.isfinite(scores).all() and (scores >= 0).all())
            return tuple(scores.tolist()) if is_sound else Miss.NOT_A_NUMBER
        return softmax(scores)


def softmax(scores: npt.NDArray[np.floating[Any]]) -> tuple[float, ...] | Miss:
    """Return the probabilities that logits stand for, in float64.

    Args:
        scores: ``(classes,)``.

    Returns:
        Numbers that add up to 1; a miss if the scores do not say them.

    Example:
        >>> softmax(np.array([0.0, 0.0]))
        (0.5, 0.5)
        >>> softmax(np.array([0.0, np.inf]))
        <Miss.NOT_A_NUMBER: 'not a number'>
    """
    highest = scores.max()
    if np.isnan(scores).any() or not np.isfinite(highest):
        return Miss.NOT_A_NUMBER
    powers = np.exp(scores.astype(np.float64) - highest)
    return tuple((powers / powers.sum()).tolist())


def _are_probabilities(scores: npt.NDArray[np.float64]) -> bool:
    # A network that ends in a softmax is not to be flattened by a second one. Nobody chooses: the rule is
    # the same for every suspect, and a verdict stays right whatever a suspect makes up.
    return bool((scores >= 0).all() and abs(scores.sum() - 1) <= _SUM_ERROR)
