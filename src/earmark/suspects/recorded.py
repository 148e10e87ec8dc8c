"""Answers that a person wrote down, as a suspect.

Class names first, then numbers, and numbers only if no class is called a number: a file of digits "7"
must mean one thing, or whoever reads it could choose the reading that matches more labels.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

from earmark.errors import SuspectError
from earmark.suspects.protocol import Answer, Miss

REFUSED = "REFUSED"
_NUMBER = re.compile(r"0|[1-9][0-9]{0,8}")


class RecordedSuspect:
    """Recorded answers.

    Args:
        answers: In the order of the questions.
        class_names: The key's, in order.
        name: In words, for the report.
        identity: The digest of what was recorded.
    """

    def __init__(self, answers: Sequence[str], class_names: Sequence[str], name: str, identity: str) -> None:
        self._answers = [read_answer(text, class_names) for text in answers]
        self.name = name
        self.identity = identity
        self.class_names: tuple[str, ...] | None = tuple(class_names)
        self.class_count = len(class_names)
        self.preprocessing = "the suspect's own, out of sight: the answers were recorded"

    def answer(
        self, inputs: Sequence[Any], on_answer: Callable[[int], None] = lambda count: None
    ) -> list[Answer]:
        """Return what was recorded; the inputs are the questions that were asked, in the same order.

        Raises:
            SuspectError: There is not one recorded answer for each question.
        """
        if len(inputs) != len(self._answers):
            raise SuspectError(
                f"{self.name}: {len(inputs)} questions, but {len(self._answers)} recorded answers"
            )
        on_answer(len(inputs))
        return list(self._answers)


def read_answer(text: str, class_names: Sequence[str]) -> Answer:
    """Return what a recorded text means, by a rule that leaves no choice.

    Args:
        text: A class name, exactly; else a class number from 0; else "REFUSED" in any case.
        class_names: The key's, in order.

    Returns:
        The class, or why there is none.

    Example:
        >>> [read_answer(text, ["cat", "dog"]) for text in ("dog", "0", "refused", "Dog")]
        [1, 0, <Miss.REFUSED: 'refused'>, <Miss.UNKNOWN_CLASS: 'unknown class'>]
    """
    if text in class_names:
        return list(class_names).index(text)
    if text.upper() == REFUSED:
        return Miss.REFUSED
    are_numbers = any(_NUMBER.fullmatch(name) for name in class_names)
    if not are_numbers and _NUMBER.fullmatch(text) and int(text) < len(class_names):
        return int(text)
    return Miss.UNKNOWN_CLASS
