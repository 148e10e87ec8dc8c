"""From a response to an answer, or why there is none. Every rule is fixed before anything is asked."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from earmark.suspects.http.transport import Response, Silence
from earmark.suspects.protocol import Miss
from earmark.suspects.scoring import Said

_OK = range(200, 300)
_REDIRECTS = range(300, 400)
_REFUSALS = range(400, 500)
_JSON_TYPES = ("application/json", "text/json")


@dataclass(frozen=True, slots=True)
class Unusable:
    """A response without an answer, which may come from asking wrongly.

    Attributes:
        miss: What it counts as.
        reason: Why, without anything that the service wrote.
    """

    miss: Miss
    reason: str


@dataclass(frozen=True, slots=True)
class Document:
    """The JSON value of a response."""

    value: Any


Read: TypeAlias = Said | Unusable


def document(outcome: Response | Silence) -> Document | Unusable:
    """Return a response's JSON value, or why there is none."""
    if isinstance(outcome, Silence):
        return Unusable(Miss.ERROR, outcome.reason)
    kind = outcome.content_type
    if outcome.status not in _OK:
        return _without_answer(outcome)
    if not outcome.whole:
        return Unusable(Miss.ERROR, "its response broke off, or is too long")
    if kind not in _JSON_TYPES and not kind.endswith("+json"):
        return Unusable(Miss.ERROR, "its response is not JSON")
    try:
        return Document(json.loads(outcome.body))
    except (ValueError, RecursionError):
        return Unusable(Miss.ERROR, "its response says it is JSON, and is none")


def _without_answer(response: Response) -> Unusable:
    status = response.status
    if status in _REDIRECTS:
        # Without saying where to: an address that the service wrote could hold what it was sent.
        return Unusable(Miss.ERROR, f"it redirects (HTTP {status}), and redirects are not followed")
    miss = Miss.REFUSED if status in _REFUSALS else Miss.ERROR
    return Unusable(miss, f"it answers HTTP {status}")


def from_label(value: Any, classes: Sequence[str]) -> Read:
    """Return the class of that name."""
    if value is None:
        return Miss.REFUSED
    if not isinstance(value, str):
        return Unusable(Miss.ERROR, "what stands where the class name should is no text")
    return classes.index(value) if value in classes else Miss.UNKNOWN_CLASS


def from_number(value: Any, class_count: int) -> Read:
    """Return the class of that number."""
    if value is None:
        return Miss.REFUSED
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
        return Unusable(Miss.ERROR, "what stands where the class number should is no whole number")
    return int(value) if 0 <= value < class_count else Miss.UNKNOWN_CLASS


def from_scores(value: Any, class_count: int) -> Read:
    """Return one score for each class, in the service's order."""
    if value is None:
        return Miss.REFUSED
    if not isinstance(value, list) or len(value) != class_count:
        return Unusable(Miss.ERROR, f"it does not give one score for each of {class_count} classes")
    return _as_scores(value)


def from_named_scores(names: Any, scores: Any, classes: Sequence[str]) -> Read:
    """Return scores by class from two lists; see ``from_pairs``."""
    if names is None and scores is None:
        return Miss.REFUSED
    if not isinstance(names, list) or not isinstance(scores, list) or len(names) != len(scores):
        return Unusable(Miss.ERROR, "it does not give a score for each class name")
    return from_pairs(list(zip(names, scores, strict=True)), classes)


def from_pairs(pairs: Sequence[tuple[Any, Any]], classes: Sequence[str]) -> Read:
    """Return scores by class from (name, score) pairs.

    Classes that are not named get the least that can be: nothing if all scores could be probabilities, else
    less than every other. The highest score decides; if its class is unknown, so is the answer.
    """
    if not pairs:
        return Miss.REFUSED
    if len({name for name, _ in pairs if isinstance(name, str)}) != len(pairs):
        return Unusable(Miss.ERROR, "it names a class twice, or one that is no text")
    given = _as_scores([score for _, score in pairs])
    if isinstance(given, np.ndarray):
        return _of_known_classes([name for name, _ in pairs], given, classes)
    return given


def _of_known_classes(names: Sequence[str], given: npt.NDArray[np.float64], classes: Sequence[str]) -> Read:
    if np.isnan(given).any():
        return Miss.NOT_A_NUMBER
    tops = [name for name, score in zip(names, given, strict=True) if score == given.max()]
    if not all(name in classes for name in tops):
        return Miss.TIE if len(tops) > 1 else Miss.UNKNOWN_CLASS
    found = np.full(len(classes), 0.0 if given.min() >= 0 else -np.inf)
    places = {name: place for place, name in enumerate(classes)}
    for name, score in zip(names, given, strict=True):
        if name in places:
            found[places[name]] = score
    return found


def _as_scores(values: list[Any]) -> npt.NDArray[np.float64] | Miss:
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in values):
        # "NaN" in quotes, null, text: numbers that are none.
        return Miss.NOT_A_NUMBER
    try:
        return np.array([float(value) for value in values])
    except OverflowError:
        return Miss.NOT_A_NUMBER
