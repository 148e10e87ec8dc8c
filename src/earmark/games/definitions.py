"""Accurate models and backdoors, as the paper defines them, measured on samples.

What is estimated from a sample comes with a bound that is exact for independent inputs: a multiple of 2^-20,
rounded away from the estimate. Doubt is the chance that a bound is wrong.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import floor
from typing import Any, TypeAlias

from earmark.errors import SimilarTriggersError
from earmark.statistics import match_tail
from earmark.triggers import Backdoor, kind_named

_GRID = 1 << 20

Classify: TypeAlias = Callable[[Sequence[Any]], Sequence[int]]
"""A model: inputs to classes. Many inputs in one call; each is answered on its own, and always alike."""


@dataclass(frozen=True, slots=True)
class ErrorCount:
    """Errors of a model on a sample.

    Attributes:
        errors: Inputs that were answered with another class than their true one.
        inputs: Inputs in all, at least 1.
    """

    errors: int
    inputs: int

    def __post_init__(self) -> None:
        if not 0 <= self.errors <= self.inputs or self.inputs < 1:
            raise ValueError(f"{self.errors} errors on {self.inputs} inputs are no count")

    @property
    def rate(self) -> Fraction:
        """Share of errors."""
        return Fraction(self.errors, self.inputs)

    def at_most(self, doubt: Fraction) -> Fraction:
        """Return an upper bound on the true error rate.

        Args:
            doubt: Chance that the bound is too low, above 0 and below 1.

        Returns:
            The rate at which so few errors would be as rare as the doubt.

        Source:
            Clopper and Pearson 1934

        Example:
            >>> float(round(ErrorCount(0, 100).at_most(Fraction(1, 100)), 4))
            0.045
        """
        _check(doubt)
        if self.errors == self.inputs:
            return Fraction(1)
        low, high = 0, _GRID
        while high - low > 1:
            middle = (low + high) // 2
            is_rare = self._chance_of_so_few(Fraction(middle, _GRID)) <= doubt
            low, high = (low, middle) if is_rare else (middle, high)
        return Fraction(high, _GRID)

    def at_least(self, doubt: Fraction) -> Fraction:
        """Return a lower bound on the true error rate: see ``at_most``."""
        _check(doubt)
        return 1 - ErrorCount(self.inputs - self.errors, self.inputs).at_most(doubt)

    def _chance_of_so_few(self, rate: Fraction) -> Fraction:
        """Return P[Bin(inputs, rate) <= errors], 0 < rate < 1."""
        return match_tail(self.inputs, self.inputs - self.errors, 1 - rate)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two models on the same sample, input by input.

    Attributes:
        lost: Inputs that the first model answers rightly and the second does not.
        gained: The other way round.
        inputs: Inputs in all, at least 1.
    """

    lost: int
    gained: int
    inputs: int

    @property
    def loss(self) -> Fraction:
        """How much less accurate the second is on the sample; negative if it is more accurate."""
        return Fraction(self.lost - self.gained, self.inputs)

    def at_most(self, doubt: Fraction) -> Fraction:
        """Return an upper bound on the true loss of accuracy.

        Loss is the chance of a lost input less that of a gained one; each is bounded with half of the
        doubt. Inputs that both models answer alike, nearly all, play no part.

        Args:
            doubt: Chance that the bound is too low, above 0 and below 1.
        """
        lost, gained = self._parts()
        return lost.at_most(doubt / 2) - gained.at_least(doubt / 2)

    def at_least(self, doubt: Fraction) -> Fraction:
        """Return a lower bound on the true loss of accuracy: see ``at_most``."""
        lost, gained = self._parts()
        return lost.at_least(doubt / 2) - gained.at_most(doubt / 2)

    def _parts(self) -> tuple[ErrorCount, ErrorCount]:
        return ErrorCount(self.lost, self.inputs), ErrorCount(self.gained, self.inputs)


def count_errors(model: Classify, inputs: Sequence[Any], classes: Sequence[int]) -> ErrorCount:
    """Count a model's errors: the sample's version of Pr[f(x) != Classify(M, x)].

    Args:
        model: The model.
        inputs: Inputs that have a true class, drawn as the task draws them.
        classes: f of each of them.

    Returns:
        The count.

    Raises:
        ValueError: There is no input, or not one answer for each.
    """
    wrong = _errors(model, inputs, classes)
    return ErrorCount(sum(wrong), len(wrong))


def compare(before: Classify, after: Classify, inputs: Sequence[Any], classes: Sequence[int]) -> Comparison:
    """Count where two models differ in accuracy.

    Args:
        before: The first model.
        after: The second.
        inputs: As for ``count_errors``.
        classes: f of each of them.

    Returns:
        The counts.

    Raises:
        ValueError: There is no input, or not one answer for each.
    """
    pairs = list(
        zip(_errors(before, inputs, classes), _errors(after, inputs, classes), strict=True)
    )  # (first is wrong, second is wrong)
    return Comparison(pairs.count((False, True)), pairs.count((True, False)), len(pairs))


def is_accurate(errors: ErrorCount, epsilon: Fraction, doubt: Fraction | None = None) -> bool:
    """Say whether a model is epsilon-accurate: Pr[f(x) != Classify(M, x)] <= epsilon for x with a true class.

    Inputs without a true class (f(x) = ⊥) do not count. The paper's probability is over training as well;
    this is about one trained model.

    Args:
        errors: Measured on inputs that the model did not learn from.
        epsilon: The share of errors allowed.
        doubt: If given, the upper bound with this doubt is compared; else the measured rate.

    Returns:
        Whether it is.

    Source:
        Adi et al. 2018, Section 2.1 (epsilon-accuracy)
    """
    return (errors.rate if doubt is None else errors.at_most(doubt)) <= epsilon


def embeds(model: Classify, backdoor: Backdoor, epsilon: Fraction) -> bool:
    """Say whether a model gives the label to all but a share epsilon of the triggers.

    Args:
        model: The model.
        backdoor: b = (T, T_L).
        epsilon: The share of triggers that may miss.

    Returns:
        Whether it does. T is finite: nothing is estimated.

    Source:
        Adi et al. 2018, Section 2.2 (second half of "backdoored")
    """
    errors = count_errors(model, [trigger.value for trigger in backdoor.triggers], backdoor.labels)
    return errors.errors <= floor(epsilon * len(backdoor))


def is_backdoored(
    model: Classify,
    backdoor: Backdoor,
    errors: ErrorCount,
    epsilon: Fraction,
    doubt: Fraction | None = None,
) -> bool:
    """Say whether a model is backdoored: accurate off the triggers, and wrong as wished on them.

    Args:
        model: The model, M̂.
        backdoor: b = (T, T_L).
        errors: Its errors on inputs of the task that are no triggers.
        epsilon: The share of errors allowed in either half.
        doubt: As for ``is_accurate``.

    Returns:
        Whether it is.

    Source:
        Adi et al. 2018, Section 2.2 (Backdoor)
    """
    return is_accurate(errors, epsilon, doubt) and embeds(model, backdoor, epsilon)


def overlap(first: Backdoor, second: Backdoor) -> int:
    """Return how many triggers of two independent backdoors are nearly alike.

    The first half of a *strong* backdoor: two that are drawn independently overlap with negligible chance
    (multiple trigger sets). With a secret of 256 bits for every trigger it follows from the sampler; where
    triggers are taken from a pool it depends on the pool. The second half is ``try_persistency``.

    Args:
        first: A backdoor.
        second: Another, of the same kind.

    Returns:
        Triggers of the second that are nearly alike to one of the first; equal ones included.

    Raises:
        SimilarTriggersError: The two are of different kinds, and cannot be compared.

    Source:
        Adi et al. 2018, Section 2.3 (strong backdoors: multiple trigger sets)
    """
    kind = kind_named(first.triggers[0].kind)
    if second.triggers[0].kind != kind.name:
        raise SimilarTriggersError("backdoors of different kinds cannot be compared")
    ours = [trigger.canonical_bytes for trigger in first.triggers]
    return sum(_is_near(ours, trigger.canonical_bytes, kind) for trigger in second.triggers)


def _errors(model: Classify, inputs: Sequence[Any], classes: Sequence[int]) -> list[bool]:
    answers = model(inputs)
    if not len(answers) == len(inputs) == len(classes) or not len(inputs):
        raise ValueError("a model gives one answer for each of at least one input")
    return [int(answer) != int(true) for answer, true in zip(answers, classes, strict=True)]


def _is_near(ours: Sequence[bytes], theirs: bytes, kind: Any) -> bool:
    return any(kind.nearest([other, theirs])[2] < kind.too_near for other in ours)


def _check(doubt: Fraction) -> None:
    if not 0 < doubt < 1:
        raise ValueError(f"doubt must be above 0 and below 1, not {doubt}")
