"""Weights in safetensors as a suspect: architecture, classes and preprocessing from their metadata.

The transcript's preprocessing is never used for them: weights without a description cannot be loaded at
all, and a description always holds a preprocessing.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from earmark.errors import FormatError, SuspectError
from earmark.models.prediction import predict_scores
from earmark.models.preprocessing import Preprocessing
from earmark.models.weights import LoadedModel, file_digest, load_weights
from earmark.suspects.deadline import QUESTION_SECONDS, within
from earmark.suspects.scoring import AnswersFromScores, Said

_BATCH_LIMIT = 64


class TorchSuspect(AnswersFromScores):
    """A PyTorch network with its description.

    Args:
        model: The network, its description and the digest of its file.
        name: In words.
        preprocessing: In place of the description's, picked by the checker and paid for; or None.
        question_seconds: For each question.
        identity: Where the digest of the model's file does not name all of it; else None.
    """

    def __init__(
        self,
        model: LoadedModel,
        name: str,
        preprocessing: Preprocessing | None = None,
        *,
        question_seconds: float = QUESTION_SECONDS,
        identity: str | None = None,
    ) -> None:
        self._model = model
        self._preprocessing = preprocessing or model.description.preprocessing
        self._question_seconds = question_seconds
        source = "picked by the checker" if preprocessing else "from the suspect's own metadata"
        self.name = name
        self.identity = identity or f"sha256:{model.digest}"
        self.class_names: tuple[str, ...] | None = model.description.class_names
        self.class_count = len(model.description.class_names)
        self.preprocessing = f"{source}: {self._preprocessing}"

    @property
    def model(self) -> LoadedModel:
        """The network and its description, for whoever has its weights anyway."""
        return self._model

    def _question(self, inputs: Sequence[Any]) -> Iterator[Said]:
        for start in range(0, len(inputs), _BATCH_LIMIT):
            batch = inputs[start : start + _BATCH_LIMIT]
            yield from within(self._question_seconds * len(batch), self.name, lambda: self._scores(batch))  # noqa: B023 - called before the next turn

    def _scores(self, batch: Sequence[Any]) -> npt.NDArray[np.float32]:
        try:
            scores = predict_scores(self._model.module, np.stack(batch), self._preprocessing)
        except (RuntimeError, ValueError, IndexError) as error:
            raise SuspectError(f"{self.name} cannot read inputs of this shape: {error}") from error
        if scores.ndim != 2 or scores.shape[1] != self.class_count:
            raise FormatError(f"{self.name} does not answer with one score for each of its classes")
        return scores


def open_weights(
    path: Path,
    *,
    preprocessing: Preprocessing | None = None,
    architecture: str | None = None,
    trust_code: bool = False,
) -> TorchSuspect:
    """Return the suspect in a safetensors file; see ``load_weights`` for what is refused.

    Where code is the architecture it decides as much as the weights do, and the identity names both.
    """
    model = load_weights(path, architecture=architecture, trust_code=trust_code)
    identity = None if architecture is None else identity_in_code(model.digest, architecture)
    return TorchSuspect(model, f"weights {path.name}", preprocessing, identity=identity)


def identity_in_code(digest: str, architecture: str) -> str:
    """Return the identity of weights whose architecture is code.

    It is of another scheme than that of files: what the code imports and reads is not in it, so it names no
    whole model.

    Args:
        digest: Of the weights, or what names them.
        architecture: ``FILE.py:FACTORY``.
    """
    code, _, factory = architecture.rpartition(":")
    return f"python:sha256:{digest} in code sha256:{file_digest(Path(code))}:{factory}"
