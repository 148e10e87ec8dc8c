"""Hugging Face text-classification folders as suspects, with their own tokenizer."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from earmark.errors import FormatError, SuspectError
from earmark.models.hf import class_names, has_own_names, quiet_transformers
from earmark.models.hf_folder import one_line, read_folder, shown_name
from earmark.models.hf_text import load_text_classifier
from earmark.suspects.deadline import QUESTION_SECONDS, within
from earmark.suspects.scoring import AnswersFromScores, Said

_BATCH_LIMIT = 32
_BATCH_TOKENS = 1 << 14


class TextFolderSuspect(AnswersFromScores):
    """A Hugging Face classifier of texts with its tokenizer.

    Args:
        folder: See ``earmark.models.hf_folder.read_folder`` for what is refused.

    Raises:
        FormatError: The folder is refused, or holds no classifier of texts with a tokenizer.
        MissingExtraError: transformers is not installed.
    """

    def __init__(self, folder: Path) -> None:
        read = read_folder(folder)
        self._classifier = load_text_classifier(read)
        names = class_names(self._classifier.config)
        self.name = f"Hugging Face folder {shown_name(folder)}"
        self.identity = f"sha256:{read.digest}"
        self.class_names: tuple[str, ...] | None = names if has_own_names(names) else None
        self.class_count = len(names)
        self.preprocessing = (
            f"the suspect's own tokenizer, {type(self._classifier.tokenizer).__name__}, at most "
            f"{self._classifier.longest} tokens"
        )

    def _question(self, inputs: Sequence[Any]) -> Iterator[Said]:
        at_once = max(1, min(_BATCH_LIMIT, _BATCH_TOKENS // self._classifier.longest))
        if not self._classifier.pads:
            at_once = 1
        for first in range(0, len(inputs), at_once):
            texts = [str(text) for text in inputs[first : first + at_once]]
            yield from within(QUESTION_SECONDS * len(texts), self.name, lambda: self._scores(texts))  # noqa: B023 - called before the next turn

    def _scores(self, texts: list[str]) -> npt.NDArray[np.float32]:
        try:
            with quiet_transformers():
                scores: npt.NDArray[np.float32] = self._classifier.scores(texts).numpy()
        except Exception as error:  # whatever its tokenizer or network stumbles over
            raise SuspectError(f"{self.name} cannot read its inputs: {one_line(error)}") from error
        if scores.shape != (len(texts), self.class_count):
            raise FormatError(f"{self.name} does not answer with one score for each of its classes")
        return scores
