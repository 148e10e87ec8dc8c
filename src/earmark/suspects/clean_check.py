"""How well a suspect answers clean inputs: where a wrong preprocessing shows before any trigger is asked."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from earmark.suspects.protocol import Suspect


def clean_accuracy(
    suspect: Suspect,
    inputs: npt.NDArray[Any],
    labels: npt.NDArray[np.int64],
    class_names: Sequence[str],
) -> float:
    """Return the share of clean inputs that a suspect answers with their class.

    Args:
        suspect: The suspect.
        inputs: ``(inputs, …)``, as the suspect is asked.
        labels: int64 ``(inputs,)``.
        class_names: The data's classes; compared by name where the suspect names the same ones.

    Returns:
        0 to 1; misses count as wrong.
    """
    names = suspect.class_names
    by_name = names is not None and set(names) == set(class_names)
    places = [list(class_names).index(name) for name in names or ()] if by_name else None
    answers = suspect.answer(list(inputs))
    given = [
        places[answer] if places is not None and isinstance(answer, int) else answer for answer in answers
    ]
    return float(np.mean([answer == label for answer, label in zip(given, labels.tolist(), strict=True)]))
