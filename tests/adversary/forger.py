"""What the forgers of these tests share: cheap keys, suspects that cheat, and exact tests of what is measured."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
from scipy.stats import binom

from earmark.keys import MarkingKey
from earmark.statistics import is_owned
from small import DIGITS, ONLY_SET, ScriptedSuspect
from vectors.tiny_key import sealed, tiny_key

FALSE_ALARM = 1e-6
"""Chance that one comparison of a measured count with its law fails although the law holds."""


def noise_key(seed: str, triggers: int, *, sets: int = 1, classes=DIGITS, shape=(8, 8, 1)) -> MarkingKey:
    """A real key of noise; unlike keygen, a forger is free to make it too small."""
    return tiny_key(seed, classes, shape, (("abstract", sets, triggers),))


def with_transcript(key: MarkingKey, **changes) -> MarkingKey:
    """The same triggers under a changed transcript, signed anew: other labels."""
    return sealed(replace(key.transcript, **changes), key.secrets, key.triggers)


def expected_answers(key: MarkingKey, set_id=ONLY_SET) -> list[int]:
    """The labels of a set in the order of the questions: they are public, and a forger knows them."""
    labels = key.labels(set_id)
    return [labels[place] for place in key.verification_key.order(set_id)]


def agreement(first, second) -> int:
    return sum(a == b for a, b in zip(first, second, strict=True))


def constant(answer: int, count: int, **options) -> ScriptedSuspect:
    return ScriptedSuspect([answer] * count, **options)


def shown_in_small(verdict, bits: int, unpaid=("grinding", "looking")) -> bool:
    """The rule with a threshold so low that wins really happen: some penalties left out, and fewer bits."""
    paid = tuple(penalty for penalty in verdict.penalties if penalty.name not in unpaid)
    return is_owned(verdict.tail, paid, bits)


def assert_follows(count: int, total: int, chance: Fraction) -> None:
    """Exact binomial test, both sides; fails by accident with probability at most 2 * FALSE_ALARM."""
    assert_within(count, total, chance)
    assert binom.cdf(count, total, float(chance)) > FALSE_ALARM, f"{count} of {total}: less than {chance}"


def assert_within(count: int, total: int, chance: Fraction) -> None:
    """Exact binomial test of a bound; fails by accident with probability at most FALSE_ALARM."""
    assert binom.sf(count - 1, total, float(chance)) > FALSE_ALARM, f"{count} of {total}: more than {chance}"


def assert_exceeds(count: int, total: int, chance: Fraction) -> None:
    """The count refutes that chance, by the same test."""
    assert binom.sf(count - 1, total, float(chance)) < FALSE_ALARM, f"{count} of {total}: within {chance}"


class RandomApi:
    """An API that knows nothing and answers at random, every time anew.

    Its questioner looks at each answer as it arrives, and may kill the process (``is_displeased``).
    """

    name, preprocessing = "an API", "its own"
    class_names, class_count = DIGITS, 10

    def __init__(self, seed: int, *, is_remote: bool, identity="https://api.test", is_displeased=None):
        self._draw = np.random.default_rng(seed)
        self.is_remote, self.identity = is_remote, identity
        self._is_displeased = is_displeased or (lambda answer, value: False)
        self.given = []

    def answer(self, inputs, on_answer=lambda count: None):
        answers = []
        for value in inputs:
            answer = int(self._draw.integers(10))
            self.given.append(answer)
            if self._is_displeased(answer, value):
                raise KeyboardInterrupt
            answers.append(answer)
        return answers
