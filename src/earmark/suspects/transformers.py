"""Hugging Face image-classification folders as suspects, with their own image processor.

Folders of text classifiers are in ``transformers_text``.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from earmark.errors import FormatError, SuspectError
from earmark.models.hf import (
    channel_count,
    class_names,
    has_own_names,
    load_classifier,
    quiet_transformers,
)
from earmark.models.hf_folder import PROCESSOR, one_line, read_folder, shown_name
from earmark.models.preprocessing import AsTheyAre, InputPreparation, Preprocessing
from earmark.suspects.deadline import QUESTION_SECONDS, within
from earmark.suspects.scoring import AnswersFromScores, Said

_BATCH_LIMIT = 32
_BATCH_LIMIT_BYTES = 64 << 20


class TransformersSuspect(AnswersFromScores):
    """A Hugging Face classifier with its image processor.

    Args:
        folder: See ``earmark.models.hf_folder.read_folder`` for what is refused.
        preprocessing: In place of its own image processor, picked by the checker and paid for; or None.
        fallback: The transcript's, for folders without an image processor; or None.

    Raises:
        FormatError: The folder is refused, or nothing says how to preprocess its inputs.
        MissingExtraError: transformers is not installed.
    """

    def __init__(
        self,
        folder: Path,
        *,
        preprocessing: Preprocessing | None = None,
        fallback: Preprocessing | None = None,
    ) -> None:
        read = read_folder(folder)
        self._module, self._processor = load_classifier(read)
        self._channels = channel_count(self._module)
        self._preprocessing = preprocessing
        names = class_names(self._module.config)
        self.name = f"Hugging Face folder {shown_name(folder)}"
        self.identity = f"sha256:{read.digest}"
        self.class_names: tuple[str, ...] | None = names if has_own_names(names) else None
        self.class_count = len(names)
        if preprocessing is not None:
            self.preprocessing = f"picked by the checker: {preprocessing}"
        elif self._processor is not None:
            kind = type(self._processor).__name__
            self.preprocessing = f"from the suspect's own image processor: {kind}"
        elif fallback is not None:
            self._preprocessing = fallback
            self.preprocessing = f"fixed in the transcript: {fallback}"
        else:
            raise FormatError(
                f"{shown_name(folder)} holds no {PROCESSOR}, and the transcript fixes no preprocessing; pick "
                "one of the catalogue with --preprocessing NAME (the choice is paid for)"
            )

    def _question(self, inputs: Sequence[Any]) -> Iterator[Said]:
        done = 0
        while done < len(inputs):
            rest = inputs[done : done + _BATCH_LIMIT]
            scores = within(QUESTION_SECONDS * len(rest), self.name, lambda: self._scores(rest))  # noqa: B023 - called before the next turn
            done += len(scores)
            yield from scores

    def _scores(self, inputs: Sequence[Any]) -> npt.NDArray[np.float32]:
        """Return the scores of the first of these inputs, as many as memory allows."""
        try:
            with torch.inference_mode(), quiet_transformers():
                batch = self._prepared(inputs)
                scores: npt.NDArray[np.float32] = self._module(torch.from_numpy(batch)).float().numpy()
        except Exception as error:  # whatever its image processor or network stumbles over
            raise SuspectError(f"{self.name} cannot read its inputs: {one_line(error)}") from error
        if scores.shape != (len(batch), self.class_count):
            raise FormatError(f"{self.name} does not answer with one score for each of its classes")
        return scores

    def _prepared(self, inputs: Sequence[Any]) -> npt.NDArray[np.float32]:
        """Return the first of these inputs as the network reads them, as many as memory allows."""
        first = self._one(inputs[0])
        count = max(1, min(len(inputs), _BATCH_LIMIT_BYTES // first.nbytes))
        return np.concatenate([first, *(self._one(item) for item in inputs[1:count])])

    def _one(self, value: Any) -> npt.NDArray[np.float32]:
        pixels = np.asarray(value)
        if self._preprocessing is not None:
            return self._preprocessing(pixels[None])
        picture = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
        if self._channels != 1:
            prepared = self._processor(images=[picture.convert("RGB")], return_tensors="np")
        else:
            # Image processors of transformers up to 5.0 read no picture of two dimensions.
            grey = np.asarray(picture.convert("L"))[:, :, None]
            prepared = self._processor(images=[grey], return_tensors="np", input_data_format="channels_last")
        return np.ascontiguousarray(prepared["pixel_values"], np.float32)


def open_folder(
    folder: Path, *, preprocessing: Preprocessing | None = None, fallback: InputPreparation | None = None
) -> AnswersFromScores:
    """Return the suspect in a Hugging Face folder: of texts if that is what is asked, else of images.

    Args:
        folder: See ``TransformersSuspect`` and ``TextFolderSuspect``.
        preprocessing: Picked by the checker; or None.
        fallback: The transcript's, or how inputs are read that are no pictures; or None.
    """
    if isinstance(fallback, AsTheyAre):
        from earmark.suspects.transformers_text import TextFolderSuspect

        return TextFolderSuspect(folder)
    return TransformersSuspect(folder, preprocessing=preprocessing, fallback=fallback)
