"""A suspect behind something: what stands between a stolen model and whoever questions it."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from earmark.attacks.protocol import SuspectAttack
from earmark.attacks.table import configuration
from earmark.suspects import Answer, Miss, ScoringSuspect, Suspect


@dataclass(frozen=True, slots=True)
class Front:
    """What stands before a suspect.

    Attributes:
        words: For people.
        settings: Every number of it and the seed, as JSON: whatever answers otherwise is another suspect, and
            what was asked of the one was not asked of the other.
    """

    words: str
    settings: str


def front_of(attack: SuspectAttack, seed: int, words: str = "") -> Front:
    """Return what an attack puts before a suspect.

    Args:
        attack: The configured attack.
        seed: Of all its randomness.
        words: For people, in place of its title.
    """
    settings = json.dumps([configuration(attack), seed], sort_keys=True)
    return Front(words or attack.card.title, settings)


class Deployed:
    """A suspect whose answers are made from another's.

    Args:
        inner: The marked model.
        front: What stands before it.
        judge: From questions to answers.
    """

    def __init__(self, inner: Suspect, front: Front, judge: Callable[[Sequence[Any]], list[Answer]]) -> None:
        self._judge = judge
        self.name = f"{inner.name}, behind: {front.words}"
        told = f"{inner.identity} {front.words} {front.settings}"
        self.identity = f"deployed:{hashlib.sha256(told.encode()).hexdigest()}"
        self.class_names = inner.class_names
        self.class_count = inner.class_count
        self.preprocessing = inner.preprocessing
        # As remote as what it stands before: what it does itself follows from seed and question.
        self.is_remote = bool(getattr(inner, "is_remote", False))

    def answer(
        self, inputs: Sequence[Any], on_answer: Callable[[int], None] = lambda count: None
    ) -> list[Answer]:
        """Answer questions; see ``Suspect``."""
        answers: list[Answer] = []
        for start in range(0, len(inputs), _AT_ONCE):
            answers += self._judge(inputs[start : start + _AT_ONCE])
            on_answer(len(answers))
        return answers


class ScoringDeployed(Deployed):
    """The same with probabilities, where they are made as the answers are.

    Args:
        inner: The marked model.
        front: What stands before it.
        judge: From questions to answers.
        score: From questions to probabilities.
    """

    def __init__(
        self,
        inner: Suspect,
        front: Front,
        judge: Callable[[Sequence[Any]], list[Answer]],
        score: Callable[[Sequence[Any]], list[tuple[float, ...] | Miss]],
    ) -> None:
        super().__init__(inner, front, judge)
        self._score = score

    def probabilities(
        self, inputs: Sequence[Any], on_answer: Callable[[int], None] = lambda count: None
    ) -> list[tuple[float, ...] | Miss]:
        """Answer questions with probabilities; see ``ScoringSuspect``."""
        rows: list[tuple[float, ...] | Miss] = []
        for start in range(0, len(inputs), _AT_ONCE):
            rows += self._score(inputs[start : start + _AT_ONCE])
            on_answer(len(rows))
        return rows


_AT_ONCE = 64


def change_inputs(inner: Suspect, front: Front, change: Callable[[Any], Any]) -> Suspect:
    """Return a suspect that sees changed questions; it gives probabilities if the inner one does.

    Args:
        inner: The marked model.
        front: What stands before it.
        change: From a question to what the model sees.

    Returns:
        The suspect.
    """

    def judge(inputs: Sequence[Any]) -> list[Answer]:
        return inner.answer([change(value) for value in inputs])

    if not isinstance(inner, ScoringSuspect):
        return Deployed(inner, front, judge)
    scoring: ScoringSuspect = inner
    return ScoringDeployed(
        inner, front, judge, lambda inputs: scoring.probabilities([change(value) for value in inputs])
    )
