"""How a suspect's classes are read as the key's, when they are renamed, moved or replaced.

``by name``          the suspect names the key's classes: free
``by order``         it names none, and has as many: free
``from clean data``  the checker's own clean inputs say what each class means: free, the triggers play no part
``split``            each question is read with the map that fits all questions before it best: free
``best``             the map that fits all questions best: paid for by the number of maps

A map that does not depend on the labels leaves the chance of a match at exactly 1/C, whatever it is. So does
one that depends on labels of earlier questions only, for labels are independent of each other. Only a map
fitted to the very answers it is judged by is to be paid for, and it must not send many labels to one class:
"every label means class 3" would match a constant model.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from earmark.commitment import digest
from earmark.errors import VerificationError
from earmark.statistics import most_labels_per_output

AUTO, BEST, SPLIT = "auto", "best", "split"
BY_NAME, BY_ORDER, FROM_CLEAN_DATA = "by name", "by order", "from clean data"
_PLACES_LABEL = "earmark/label-map/v1"
_NO_PLACE = 1 << 32


class LabelMap(Protocol):
    """How one question's answer is read, before its label is looked at."""

    @property
    def name(self) -> str:
        """One of the names above."""
        ...

    @property
    def identity(self) -> str:
        """What tells it from other maps, for the journal."""
        ...

    def read(self, output: int) -> int | None:
        """Return the class of the key that an output stands for; None if none."""
        ...

    def learn(self, output: int, label: int) -> None:
        """Take in a question that has been counted."""
        ...


@dataclass(frozen=True, slots=True)
class FixedMap:
    """A map that no label had a part in.

    Attributes:
        name: Where it comes from.
        places: For every output the class of the key, or None.
    """

    name: str
    places: tuple[int | None, ...]

    @property
    def identity(self) -> str:
        """The name; with a digest where the name does not say it all."""
        if self.name != FROM_CLEAN_DATA:
            return self.name
        places = (_NO_PLACE if place is None else place for place in self.places)
        return f"{self.name} {digest(_PLACES_LABEL, *places).hex()}"

    def read(self, output: int) -> int | None:
        """Return the class of an output."""
        return self.places[output] if 0 <= output < len(self.places) else None

    def learn(self, output: int, label: int) -> None:
        """Learn nothing."""


@dataclass(slots=True)
class SplitMap:
    """The map that fits all questions before this one best.

    For every output it is the label that most often came with it. What the classes' names or order say has
    one vote, so that nothing is lost where nothing was renamed.

    Attributes:
        votes_before: For every output the class by name or order, or None.
    """

    votes_before: tuple[int | None, ...]
    _seen: defaultdict[int, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))

    name = SPLIT
    identity = SPLIT

    def read(self, output: int) -> int | None:
        """Return the class that has the most votes; the smallest number among equals."""
        votes = Counter(self._seen[output])
        before = self.votes_before[output] if 0 <= output < len(self.votes_before) else None
        if before is not None:
            votes[before] += 1
        return min(votes, key=lambda label: (-votes[label], label), default=None)

    def learn(self, output: int, label: int) -> None:
        """Count a vote."""
        self._seen[output][label] += 1


def stated_map(
    key_names: Sequence[str], suspect_names: Sequence[str] | None, output_count: int
) -> FixedMap | None:
    """Return the map that the suspect's own release states.

    Args:
        key_names: Classes of the key.
        suspect_names: Classes of the suspect in the order of its outputs, or None.
        output_count: How many outputs it has.

    Returns:
        By name if it has a class of every name of the key; else by order if it has as many classes; else
        None: it says nothing.
    """
    if suspect_names is not None and set(key_names) <= set(suspect_names):
        numbers = {name: number for number, name in enumerate(key_names)}
        return FixedMap(BY_NAME, tuple(numbers.get(name) for name in suspect_names))
    if output_count == len(key_names):
        return FixedMap(BY_ORDER, tuple(range(output_count)))
    return None


def map_from_clean_data(outputs: Sequence[int | None], labels: Sequence[int], output_count: int) -> FixedMap:
    """Return the map that clean inputs show: for every output the class that it is most often given for.

    Args:
        outputs: The suspect's answers to clean inputs; None for a miss.
        labels: Their true classes, as numbers of the key.
        output_count: How many outputs the suspect has.

    Returns:
        The map; an output that never occurs stands for nothing.
    """
    seen: defaultdict[int, Counter[int]] = defaultdict(Counter)
    for output, label in zip(outputs, labels, strict=True):
        if output is not None:
            seen[output][label] += 1
    places = (
        min(seen[output], key=lambda label, votes=seen[output]: (-votes[label], label), default=None)  # type: ignore[misc]
        for output in range(output_count)
    )
    return FixedMap(FROM_CLEAN_DATA, tuple(places))


def best_map(
    pairs: Mapping[tuple[int, int], int], class_count: int, output_count: int
) -> dict[int, frozenset[int]]:
    """Return the map from labels to outputs with the most matches; see ``map_count`` for what it costs.

    Args:
        pairs: How often each (label, output) occurred.
        class_count: Classes of the key.
        output_count: Classes of the suspect.

    Returns:
        For every output the labels sent to it: at most one if there is an output for each class, else at
        most ``most_labels_per_output``.

    Source:
        linear assignment (Kuhn 1955), by SciPy
    """
    from scipy.optimize import linear_sum_assignment

    slots = most_labels_per_output(class_count, output_count)
    weights = np.zeros((class_count, output_count * slots))
    for (label, output), count in pairs.items():
        weights[label, output * slots : (output + 1) * slots] = count
    labels, columns = linear_sum_assignment(weights, maximize=True)
    sent: defaultdict[int, set[int]] = defaultdict(set)
    for label, column in zip(labels.tolist(), columns.tolist(), strict=True):
        sent[column // slots].add(label)
    return {output: frozenset(found) for output, found in sent.items()}


def label_map_for(
    choice: "str | FixedMap",
    key_names: Sequence[str],
    suspect_names: Sequence[str] | None,
    output_count: int,
) -> LabelMap:
    """Return the map of a method, before the first question.

    Args:
        choice: ``"auto"``, ``"split"``, or a map made from clean data.
        key_names: Classes of the key.
        suspect_names: Classes of the suspect, or None.
        output_count: How many outputs it has.

    Returns:
        The map.

    Raises:
        VerificationError: The suspect does not say what its classes mean, and no way to find out was chosen.
        ValueError: There is no such choice.
    """
    if isinstance(choice, FixedMap):
        if len(choice.places) != output_count:
            raise ValueError(f"the label map has {len(choice.places)} outputs, the suspect {output_count}")
        return choice
    stated = stated_map(key_names, suspect_names, output_count)
    if choice == SPLIT:
        return SplitMap(stated.places if stated else (None,) * output_count)
    if choice != AUTO:
        raise ValueError(f"unknown label map {choice!r}; known: {AUTO}, {SPLIT}, {BEST}")
    if stated is None:
        raise VerificationError(
            4,
            f"the suspect has {output_count} classes, the key {len(key_names)}, and their names do not say "
            "which is which; choose a label map: split, best, or data",
        )
    return stated
