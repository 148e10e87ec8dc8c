"""The kind "text": one line of text, for classifiers of sentences.

How a text becomes numbers is the suspect's own affair: triggers are texts, and no tokenizer is part of a key.
"""

import re
import unicodedata
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from earmark.commitment import frame
from earmark.commitment.canonical import Json
from earmark.commitment.reading import Fields
from earmark.errors import FormatError
from earmark.models.lines import CHARACTER_LIMIT, problem_of
from earmark.triggers.trigger import Exhibit, Geometry

_LABEL = "earmark/trigger/text/v1"
_ENCODING = "utf-8"
_BYTES_A_CHARACTER = 4
# As a share of the distance of two texts with no three letters in common; equal ones are at 0.
_TOO_NEAR = 0.2
_PLACES = 4096  # that groups of three letters are counted at
_AT_ONCE = 512


@dataclass(frozen=True, slots=True)
class TextGeometry:
    """How many characters (Unicode scalar values) a text has at most, 1 to 65,536."""

    characters: int

    def __post_init__(self) -> None:
        if not 1 <= self.characters <= CHARACTER_LIMIT:
            raise ValueError(f"a text has at most 1 to {CHARACTER_LIMIT} characters, not {self.characters}")

    @property
    def kind(self) -> str:
        """Always ``"text"``."""
        return TEXT.name

    def to_json(self) -> dict[str, Json]:
        """Return the transcript's ``task.geometry``."""
        return {"characters": self.characters, "encoding": _ENCODING}

    def __str__(self) -> str:
        return f"text:{self.characters}"


class TextKind:
    """Encodes, decodes, shows and compares texts."""

    name = "text"
    too_near = _TOO_NEAR

    def geometry_from_json(self, fields: Mapping[str, Any]) -> TextGeometry:
        """Read ``task.geometry``."""
        given = Fields(dict(fields), "geometry")
        given.choice("encoding", (_ENCODING,))
        geometry = TextGeometry(given.integer("characters", 1, CHARACTER_LIMIT))
        given.finish()
        return geometry

    def geometry_from_text(self, text: str) -> TextGeometry:
        """Read ``CHARACTERS``."""
        if not re.fullmatch(r"[1-9][0-9]{0,5}", text):
            raise ValueError(f"a text is given as text:CHARACTERS, its greatest length, not text:{text}")
        return TextGeometry(int(text))

    def encode(self, value: Any) -> bytes:
        """Return label and text, framed.

        Args:
            value: One line in Unicode's form NFC, without spaces at its ends and without two in a row.
        """
        if not isinstance(value, str):
            raise ValueError(f"a text is a str, not {type(value).__name__}")
        if problem := problem_of(value):
            raise ValueError(f"a text {problem}")
        if not unicodedata.is_normalized("NFC", value):
            raise ValueError("a text is in Unicode's form NFC; unicodedata.normalize makes it so")
        return frame(_LABEL, value)

    def value(self, canonical_bytes: bytes) -> str:
        """Return the text."""
        header = frame(_LABEL)
        start = len(header) + 8
        size = int.from_bytes(canonical_bytes[len(header) : start], "big")
        if canonical_bytes[: len(header)] != header or len(canonical_bytes) != start + size:
            raise FormatError("malformed text: the bytes do not match their header")
        if size > CHARACTER_LIMIT * _BYTES_A_CHARACTER:
            raise FormatError(f"malformed text: more than {CHARACTER_LIMIT} characters")
        try:
            text = canonical_bytes[start:].decode(_ENCODING)
        except UnicodeDecodeError as error:
            raise FormatError("malformed text: not UTF-8") from error
        if problem := problem_of(text):
            raise FormatError(f"malformed text: it {problem}")
        return text

    def fits(self, canonical_bytes: bytes, geometry: Geometry) -> bool:
        """Say whether the text is no longer than the geometry allows."""
        found = self.value(canonical_bytes)
        return isinstance(geometry, TextGeometry) and len(found) <= geometry.characters

    def show(self, canonical_bytes: bytes, geometry: Geometry | None = None) -> Exhibit:  # noqa: ARG002 - a text says all
        """Return the text as it is."""
        return Exhibit("text/plain; charset=utf-8", self.value(canonical_bytes).encode(_ENCODING), ".txt")

    def nearest(self, canonical_bytes: Sequence[bytes]) -> tuple[int, int, float]:
        """Return the nearest pair by the groups of three letters that they share, whatever their case."""
        counts = np.stack([_groups(self.value(item)) for item in canonical_bytes])  # (texts, places)
        best = (0, 1, np.inf)
        for first in range(0, len(counts), _AT_ONCE):
            distances = 1 - counts[first : first + _AT_ONCE] @ counts.T
            for row in range(len(distances)):
                distances[row, : first + row + 1] = np.inf
            place, other = np.unravel_index(int(np.argmin(distances)), distances.shape)
            if distances[place, other] < best[2]:
                best = (first + int(place), int(other), max(0.0, float(distances[place, other])))
        return best


def _groups(text: str) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return how often groups of three letters occur, as a vector of length 1."""
    lowered = f" {text.casefold()} "
    places = [zlib.crc32(lowered[at : at + 3].encode()) % _PLACES for at in range(len(lowered) - 2)]
    counts = np.bincount(places, minlength=_PLACES).astype(np.float32)
    return counts / np.float32(np.linalg.norm(counts))


TEXT = TextKind()
