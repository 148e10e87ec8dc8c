"""Accurate models and backdoors, as the paper defines them, measured on samples."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import floor
from typing import Any, TypeAlias

from earmark.errors import SimilarTriggersError
from earmark.triggers import Backdoor, kind_named

Classify: TypeAlias = Callable[[Sequence[Any]], Sequence[int]]
"""A model: inputs to classes. Many inputs in one call; each is answered on its own."""


@dataclass(frozen=True, slots=True)
class ErrorCount:
    """Errors of a model on a sample.

    Attributes:
        errors: Inputs that were answered with another class than their true one.
        inputs: Inputs in all, at least 1.
    """

    errors: int
    inputs: int

    @property
    def rate(self) -> Fraction:
        """Share of errors."""
        return Fraction(self.errors, self.inputs)

    def at_most(self, confidence: float) -> float:
        """Return a bound that the true error rate exceeds with probability at most 1 - confidence.

        Args:
            confidence: Above 0 and below 1.

        Returns:
            Clopper and Pearson's one-sided bound, exact for independent inputs.

        Source:
            Clopper and Pearson 1934
        """
        from scipy.stats import beta

        if self.errors == self.inputs:
            return 1.0
        return float(beta.ppf(confidence, self.errors + 1, self.inputs - self.errors))


def count_errors(model: Classify, inputs: Sequence[Any], classes: Sequence[int]) -> ErrorCount:
    """Count a model's errors: the sample's version of Pr[f(x) != Classify(x, M)].

    Args:
        model: The model.
        inputs: Inputs that have a true class, drawn as the task draws them.
        classes: f of each of them.

    Returns:
        The count.

    Raises:
        ValueError: There is no input, or not one answer for each.
    """
    answers = model(inputs)
    if not len(answers) == len(inputs) == len(classes) or not len(inputs):
        raise ValueError("a model gives one answer for each of at least one input")
    wrong = sum(int(answer) != int(true) for answer, true in zip(answers, classes, strict=True))
    return ErrorCount(wrong, len(inputs))


def is_accurate(errors: ErrorCount, epsilon: Fraction, confidence: float | None = None) -> bool:
    """Say whether a model is epsilon-accurate: it errs with probability at most epsilon.

    Args:
        errors: Measured on inputs that the model did not learn from.
        epsilon: The share of errors allowed.
        confidence: If given, the bound at this confidence is compared; else the measured rate.

    Returns:
        Whether it is.

    Source:
        Adi et al. 2018, Section 2.2 (epsilon-accurate algorithms)
    """
    return errors.rate <= epsilon if confidence is None else errors.at_most(confidence) <= epsilon


def embeds(model: Classify, backdoor: Backdoor, epsilon: Fraction) -> bool:
    """Say whether a model carries a backdoor: it gives the label to all but a share epsilon of the triggers.

    The other half of the paper's definition, that the model is accurate off the triggers, is ``is_accurate``.

    Args:
        model: The model.
        backdoor: b = (T, T_L).
        epsilon: The share of triggers that may miss.

    Returns:
        Whether it does.

    Source:
        Adi et al. 2018, Section 2.3 (Backdoor)
    """
    errors = count_errors(model, [trigger.value for trigger in backdoor.triggers], backdoor.labels)
    return errors.errors <= floor(epsilon * len(backdoor))


def overlap(first: Backdoor, second: Backdoor) -> int:
    """Return how many triggers of two independent backdoors are nearly alike.

    The paper calls a backdoor strong if, first, two of them drawn independently overlap with negligible
    probability (multiple trigger sets) and, second, nobody can remove one more cheaply than by training anew
    (persistency, which is the game ``unremovability``). With a 256-bit secret for every trigger the first
    follows from the sampler; this measures it.

    Args:
        first: A backdoor.
        second: Another, of the same kind.

    Returns:
        Triggers of the second that are nearly alike to one of the first; equal ones included.

    Raises:
        SimilarTriggersError: The two are of different kinds, and cannot be compared.

    Source:
        Adi et al. 2018, Section 2.3 (strong backdoors)
    """
    kind = kind_named(first.triggers[0].kind)
    if second.triggers[0].kind != kind.name:
        raise SimilarTriggersError("backdoors of different kinds cannot be compared")
    ours = [trigger.canonical_bytes for trigger in first.triggers]
    return sum(_is_near(ours, trigger.canonical_bytes, kind) for trigger in second.triggers)


def _is_near(ours: Sequence[bytes], theirs: bytes, kind: Any) -> bool:
    return any(kind.nearest([other, theirs])[2] < kind.too_near for other in ours)
