"""The kind "image": uint8 pixels, height x width x channels, grey or colour."""

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from earmark.commitment import frame
from earmark.commitment.canonical import Json
from earmark.errors import FormatError
from earmark.triggers.trigger import Exhibit, Geometry

_LABEL = "earmark/trigger/image/v1"
_DTYPE = "uint8"
_SIDE_LIMIT = 4096
_CHANNELS = (1, 3)
# Two pictures at a root mean square difference under 25 of 255 look alike at thumbnail size; independent
# uniform noise is at about 104, and the nearest pair of the authors' 100 cropped pictures at 4.2.
_TOO_NEAR_RMS = 25.0

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class ImageGeometry:
    """Height and width in pixels (1 to 4096) and channels (1 grey, 3 red-green-blue)."""

    height: int
    width: int
    channels: int

    def __post_init__(self) -> None:
        if not (1 <= self.height <= _SIDE_LIMIT and 1 <= self.width <= _SIDE_LIMIT):
            raise ValueError(f"sides must be 1 to {_SIDE_LIMIT}, not {self.height}x{self.width}")
        if self.channels not in _CHANNELS:
            raise ValueError(f"channels must be 1 or 3, not {self.channels}")

    @property
    def kind(self) -> str:
        """Always ``"image"``."""
        return IMAGE.name

    def to_json(self) -> dict[str, Json]:
        """Return the transcript's ``task.geometry``."""
        return {
            "height": self.height,
            "width": self.width,
            "channels": self.channels,
            "dtype": _DTYPE,
        }

    def __str__(self) -> str:
        return f"image:{self.height}x{self.width}x{self.channels}"


class ImageKind:
    """Encodes, decodes, shows and compares images."""

    name = "image"
    too_near = _TOO_NEAR_RMS

    def geometry_from_json(self, fields: Mapping[str, Any]) -> ImageGeometry:
        """Read ``task.geometry``."""
        if set(fields) != {"height", "width", "channels", "dtype"} or fields["dtype"] != _DTYPE:
            raise FormatError("an image geometry has height, width, channels and dtype uint8")
        sides = [fields[name] for name in ("height", "width", "channels")]
        if not all(type(side) is int for side in sides):
            raise FormatError("height, width and channels of an image are integers")
        try:
            return ImageGeometry(*sides)
        except ValueError as error:
            raise FormatError(str(error)) from error

    def geometry_from_text(self, text: str) -> ImageGeometry:
        """Read ``HEIGHTxWIDTHxCHANNELS``."""
        found = re.fullmatch(r"(\d{1,5})x(\d{1,5})x(\d)", text)
        if not found:
            raise ValueError(f"an image is given as image:HEIGHTxWIDTHxCHANNELS, not image:{text}")
        return ImageGeometry(*(int(side) for side in found.groups()))

    def encode(self, value: Any) -> bytes:
        """Return label, sides, dtype and pixels (row by row, channels innermost), framed."""
        if not isinstance(value, np.ndarray) or value.dtype != np.uint8 or value.ndim != 3:
            raise ValueError("an image trigger is a uint8 array (height, width, channels)")
        geometry = ImageGeometry(*value.shape)
        sides = (geometry.height, geometry.width, geometry.channels)
        return frame(_LABEL, *sides, _DTYPE, np.ascontiguousarray(value).tobytes())

    def value(self, canonical_bytes: bytes) -> Pixels:
        """Return the pixels, uint8 ``(height, width, channels)``, read-only."""
        prefix = len(frame(_LABEL))
        sides = [
            int.from_bytes(canonical_bytes[start + 8 : start + 16], "big")
            for start in range(prefix, prefix + 48, 16)
        ]
        try:
            geometry = ImageGeometry(*sides)
        except ValueError as error:
            raise FormatError(f"malformed image trigger: {error}") from error
        size_bytes = geometry.height * geometry.width * geometry.channels
        header = frame(_LABEL, *sides, _DTYPE) + size_bytes.to_bytes(8, "big")
        # The header is rebuilt and compared whole, so exactly one byte string stands for an image.
        if canonical_bytes[: len(header)] != header or len(canonical_bytes) != len(header) + size_bytes:
            raise FormatError("malformed image trigger: the bytes do not match their header")
        pixels = np.frombuffer(canonical_bytes, np.uint8, offset=len(header))
        return pixels.reshape(sides)  # (height, width, channels)

    def fits(self, canonical_bytes: bytes, geometry: Geometry) -> bool:
        """Say whether the image has this geometry."""
        return isinstance(geometry, ImageGeometry) and self.value(canonical_bytes).shape == (
            geometry.height,
            geometry.width,
            geometry.channels,
        )

    def show(self, canonical_bytes: bytes, geometry: Geometry | None = None) -> Exhibit:  # noqa: ARG002 - pixels say all
        """Return the image as PNG."""
        pixels = self.value(canonical_bytes)
        picture = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
        buffer = io.BytesIO()
        picture.save(buffer, "PNG", optimize=True)
        return Exhibit("image/png", buffer.getvalue(), ".png")

    def nearest(self, canonical_bytes: Sequence[bytes]) -> tuple[int, int, float]:
        """Return the nearest pair by root mean square difference of pixels, 0 to 255."""
        flat = np.stack([self.value(item).reshape(-1) for item in canonical_bytes]).astype(np.float32)
        squares = np.einsum("ij,ij->i", flat, flat)
        distances = squares[:, None] + squares[None, :] - 2 * (flat @ flat.T)  # (images, images)
        np.fill_diagonal(distances, np.inf)
        first, second = np.unravel_index(int(np.argmin(distances)), distances.shape)
        mean_square = max(0.0, float(distances[first, second])) / flat.shape[1]
        return int(first), int(second), mean_square**0.5


IMAGE = ImageKind()
