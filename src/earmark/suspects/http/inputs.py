"""What an input becomes on the wire, whatever its kind: one of a few forms, and nothing to tune."""

from typing import Any

import numpy as np
import numpy.typing as npt

from earmark.commitment import digest
from earmark.errors import FormatError
from earmark.models import preprocessing
from earmark.models.columns import Column, shortest
from earmark.models.preprocessing import AsTheyAre
from earmark.models.sounds import wave_file
from earmark.suspects.http.pictures import JPEG, NUMBERS, PNG, picture_file

PICTURE, TEXT, ROW, RECORDING = "picture", "text", "row", "recording"
PLAIN, LIST, NAMED, WAV = "plain", "list", "named", "wav"
FORMS = {
    PICTURE: (PNG, JPEG, NUMBERS),
    TEXT: (PLAIN,),
    ROW: (LIST, NAMED),
    RECORDING: (WAV, NUMBERS),
}
FORM_COUNTS = {PICTURE: 7, TEXT: 1, ROW: 2, RECORDING: 2}
"""Forms to choose from; of pictures: png, jpeg, two ranges in two layouts, the transcript's."""
FILES = {PNG: "image/png", JPEG: "image/jpeg", WAV: "audio/wav"}
_KINDS = {preprocessing.TEXT: TEXT, preprocessing.ROWS: ROW, preprocessing.AUDIO: RECORDING}
_ARRAYS = {PICTURE: ("u1", 3), TEXT: ("U", 0), ROW: ("f4", 1), RECORDING: ("i2", 1)}
_INPUT_LABEL = "earmark/api-input/v1"


def kind_for(preparation: object) -> str:
    """Return the kind of input that a suspect is asked with, by how its inputs are prepared."""
    return _KINDS[preparation.kind] if isinstance(preparation, AsTheyAre) else PICTURE


def check_kind(kind: str, value: npt.NDArray[Any]) -> None:
    """Raise ValueError unless an input is of the kind that a service is asked with."""
    dtype, dimensions = _ARRAYS[kind]
    if value.ndim != dimensions or value.dtype.str[1:].rstrip("0123456789" if dtype == "U" else "") != dtype:
        raise ValueError(
            f"the service is sent a {kind} each time, and {value.dtype} of {value.ndim} dimensions is none; "
            "for inputs that are no pictures a suspect is opened with fallback=AsTheyAre(KIND)"
        )


def check_form(form: str, preparation: object) -> None:
    """Raise FormatError unless enough is known of the inputs to put them so."""
    if form == NAMED and not getattr(preparation, "columns", ()):
        raise FormatError("it is sent columns by name, and nothing says what they are called")
    if form == WAV and not getattr(preparation, "rate", 0):
        raise FormatError("it is sent sound files, and nothing says how many samples a second they have")


def file_of(value: npt.NDArray[Any], form: str, preparation: object) -> bytes:
    """Return an input as a file.

    Args:
        value: A picture, uint8 ``(height, width, channels)``; or a recording, int16 ``(samples,)``.
        form: ``png``, ``jpeg`` or ``wav``.
        preparation: For recordings: ``AsTheyAre`` with their rate.
    """
    return wave_file(value, getattr(preparation, "rate", 0)) if form == WAV else picture_file(value, form)


def row_of(value: npt.NDArray[np.float32], form: str, columns: tuple[Column, ...]) -> Any:
    """Return a row as JSON.

    Args:
        value: float32 ``(columns,)``.
        form: ``list`` for its numbers in order; ``named`` for an object of column names and what they hold.
        columns: What they are; empty if not known, which ``named`` cannot do without.
    """
    if form == NAMED:
        return {column.name: column.shown(number) for column, number in zip(columns, value, strict=True)}
    if not columns:
        return [shortest(number) for number in value]
    pairs = zip(columns, value, strict=True)
    return [int(number) if column.is_whole else shortest(number) for column, number in pairs]


def input_digest(value: npt.NDArray[Any]) -> str:
    """Return the digest of an input for the record, hexadecimal.

    Args:
        value: uint8 ``(height, width, channels)``, float32 ``(columns,)``, int16 ``(samples,)``, or a text.
    """
    if value.ndim == 0:
        return digest(_INPUT_LABEL, str(value)).hex()
    stored = np.ascontiguousarray(value.astype(value.dtype.newbyteorder(">")))
    return digest(_INPUT_LABEL, *value.shape, stored.tobytes()).hex()
