"""Ordinary inputs among the questions, so that a service cannot tell by rhythm which of them matter."""

import secrets
from collections.abc import Sequence
from typing import Any

_RANDOM = secrets.SystemRandom()


class OrdinaryInputs:
    """Draws ordinary inputs, each once before any comes again.

    Args:
        inputs: To draw from.
        share: What share of all questions they are to be, on average.
    """

    def __init__(self, inputs: Sequence[Any], share: float) -> None:
        self._inputs, self._share = inputs, share
        self._places: list[int] = []
        self._has_drawn = False

    def draw(self, question_count: int) -> list[Any]:
        """Return what is to be put among so many questions; with the first of all at least one.

        For each question the number is geometric: what came so far says nothing about what comes next.
        """
        if not self._share:
            return []
        count = 0
        for _ in range(question_count):
            while _RANDOM.random() < self._share:
                count += 1
        count = max(count, 0 if self._has_drawn else 1)
        self._has_drawn = True
        return [self._inputs[self._next_place()] for _ in range(count)]

    @staticmethod
    def among(question_count: int, ordinary_count: int) -> list[bool]:
        """Return an order that chance draws: for each place whether a question stands there."""
        order = [True] * question_count + [False] * ordinary_count
        _RANDOM.shuffle(order)
        return order

    def _next_place(self) -> int:
        if not self._places:
            self._places = list(range(len(self._inputs)))
            _RANDOM.shuffle(self._places)
        return self._places.pop()
