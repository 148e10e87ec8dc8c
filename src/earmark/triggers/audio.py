"""The kind "audio": a mono recording of fixed length, 16-bit samples."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from earmark.commitment import frame
from earmark.commitment.canonical import Json
from earmark.commitment.reading import Fields
from earmark.errors import FormatError
from earmark.models.sounds import wave_file
from earmark.triggers.trigger import Exhibit, Geometry

_LABEL = "earmark/trigger/audio/v1"
_DTYPE = "int16"
_STORED = ">i2"
SAMPLE_LIMIT = 1 << 24
RATE_LIMIT = 384_000
# As a share of the distance of two unrelated sounds as loud; equal ones are at 0.
_TOO_NEAR = 0.3

Waveform = npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class AudioGeometry:
    """How many samples a recording has (1 to 2^24), and how many a second it has (1 to 384,000)."""

    samples: int
    rate: int

    def __post_init__(self) -> None:
        if not 1 <= self.samples <= SAMPLE_LIMIT:
            raise ValueError(f"a recording has 1 to {SAMPLE_LIMIT} samples, not {self.samples}")
        if not 1 <= self.rate <= RATE_LIMIT:
            raise ValueError(f"the rate is 1 to {RATE_LIMIT} samples a second, not {self.rate}")

    @property
    def kind(self) -> str:
        """Always ``"audio"``."""
        return AUDIO.name

    def to_json(self) -> dict[str, Json]:
        """Return the transcript's ``task.geometry``."""
        return {"samples": self.samples, "rate": self.rate, "dtype": _DTYPE}

    def __str__(self) -> str:
        return f"audio:{self.samples}@{self.rate}"


class AudioKind:
    """Encodes, decodes, shows and compares recordings."""

    name = "audio"
    too_near = _TOO_NEAR

    def geometry_from_json(self, fields: Mapping[str, Any]) -> AudioGeometry:
        """Read ``task.geometry``."""
        given = Fields(dict(fields), "geometry")
        given.choice("dtype", (_DTYPE,))
        geometry = AudioGeometry(
            given.integer("samples", 1, SAMPLE_LIMIT), given.integer("rate", 1, RATE_LIMIT)
        )
        given.finish()
        return geometry

    def geometry_from_text(self, text: str) -> AudioGeometry:
        """Read ``SAMPLES@RATE``."""
        found = re.fullmatch(r"(\d{1,9})@(\d{1,6})", text)
        if not found:
            raise ValueError(f"a recording is given as audio:SAMPLES@RATE, not audio:{text}")
        return AudioGeometry(int(found[1]), int(found[2]))

    def encode(self, value: Any, rate: int | None = None) -> bytes:
        """Return label, samples, rate, dtype and the samples, framed.

        Args:
            value: A ``Recording``; or int16 ``(samples,)`` with its ``rate``.
            rate: Samples a second.
        """
        if isinstance(value, Recording):
            value, rate = value.view(np.ndarray), value.rate
        if not isinstance(value, np.ndarray) or value.dtype != np.int16 or value.ndim != 1 or rate is None:
            raise ValueError("a recording is an int16 array (samples,) with its rate")
        geometry = AudioGeometry(len(value), rate)
        return frame(_LABEL, geometry.samples, geometry.rate, _DTYPE, value.astype(_STORED).tobytes())

    def value(self, canonical_bytes: bytes) -> "Recording":
        """Return the samples, int16 ``(samples,)``, read-only, with their rate."""
        start = len(frame(_LABEL)) + 8
        samples, rate = (
            int.from_bytes(canonical_bytes[place : place + 8], "big") for place in (start, start + 16)
        )
        try:
            geometry = AudioGeometry(samples, rate)
        except ValueError as error:
            raise FormatError(f"malformed recording: {error}") from error
        header = frame(_LABEL, geometry.samples, geometry.rate, _DTYPE) + (2 * samples).to_bytes(8, "big")
        # The header is rebuilt and compared whole, so exactly one byte string stands for a recording.
        if canonical_bytes[: len(header)] != header or len(canonical_bytes) != len(header) + 2 * samples:
            raise FormatError("malformed recording: the bytes do not match their header")
        stored = np.frombuffer(canonical_bytes, _STORED, offset=len(header)).astype(np.int16)
        found = stored.view(Recording)
        found.rate = rate
        found.flags.writeable = False
        return found  # (samples,)

    def fits(self, canonical_bytes: bytes, geometry: Geometry) -> bool:
        """Say whether the recording has this length and rate."""
        found = self.value(canonical_bytes)
        return isinstance(geometry, AudioGeometry) and (len(found), found.rate) == (
            geometry.samples,
            geometry.rate,
        )

    def show(self, canonical_bytes: bytes, geometry: Geometry | None = None) -> Exhibit:  # noqa: ARG002 - samples say all
        """Return the recording as a WAVE file."""
        found = self.value(canonical_bytes)
        return Exhibit("audio/wav", wave_file(found, found.rate), ".wav")

    def nearest(self, canonical_bytes: Sequence[bytes]) -> tuple[int, int, float]:
        """Return the nearest pair by the loudness of their difference, as a share of both together."""
        sounds = np.stack([self.value(item).astype(np.float32) for item in canonical_bytes])
        squares = np.einsum("ij,ij->i", sounds, sounds, dtype=np.float64)
        together = squares[:, None] + squares[None, :]
        apart = np.maximum(0, together - 2 * (sounds @ sounds.T))  # (sounds, sounds)
        distances = apart / np.maximum(together, 1)
        np.fill_diagonal(distances, np.inf)
        first, second = np.unravel_index(int(np.argmin(distances)), distances.shape)
        return int(first), int(second), float(distances[first, second]) ** 0.5


class Recording(np.ndarray[tuple[int], np.dtype[np.int16]]):
    """An int16 array ``(samples,)`` that knows its rate, in samples a second."""

    rate: int = 0

    def __array_finalize__(self, source: Any) -> None:
        self.rate = getattr(source, "rate", 0)


AUDIO = AudioKind()
