"""Weights in safetensors as a suspect: architecture, classes and preprocessing from their metadata."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from earmark.errors import FormatError, SuspectError
from earmark.models.prediction import predict_scores
from earmark.models.preprocessing import Preprocessing
from earmark.models.weights import LoadedModel, load_weights
from earmark.suspects.protocol import Answer, top_answers


class TorchSuspect:
    """A PyTorch network with its description.

    Args:
        model: The network, its description and the digest of its file.
        name: In words.
        preprocessing: In place of the description's, picked by the checker and paid for; or None.
    """

    def __init__(self, model: LoadedModel, name: str, preprocessing: Preprocessing | None = None) -> None:
        self._model = model
        self._preprocessing = preprocessing or model.description.preprocessing
        source = "picked by the checker" if preprocessing else "from the suspect's own metadata"
        self.name = name
        self.identity = f"sha256:{model.digest}"
        self.class_names: tuple[str, ...] | None = model.description.class_names
        self.class_count = len(model.description.class_names)
        self.preprocessing = f"{source}: {self._preprocessing}"

    def answer(
        self, inputs: Sequence[Any], on_answer: Callable[[int], None] = lambda count: None
    ) -> list[Answer]:
        """Answer questions from the network's highest score."""
        try:
            scores = predict_scores(
                self._model.module, np.stack(inputs), self._preprocessing, on_batch=on_answer
            )
        except (RuntimeError, ValueError, IndexError) as error:
            raise SuspectError(f"{self.name} cannot read inputs of this shape: {error}") from error
        if scores.ndim != 2 or scores.shape[1] != self.class_count:
            raise FormatError(f"{self.name} does not answer with one score for each of its classes")
        return top_answers(scores)


def open_weights(
    path: Path,
    *,
    preprocessing: Preprocessing | None = None,
    architecture: str | None = None,
    trust_code: bool = False,
) -> TorchSuspect:
    """Return the suspect in a safetensors file; see ``load_weights`` for what is refused."""
    model = load_weights(path, architecture=architecture, trust_code=trust_code)
    return TorchSuspect(model, f"weights {path.name}", preprocessing)
