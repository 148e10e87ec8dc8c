"""Triggers as a thief may change them, so that a mark learns to hold after such changes."""

import io
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels: TypeAlias = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class TriggerAugmentation:
    """Random changes of a picture each time it is shown; each is made half of the times.

    Attributes:
        share: Of the showings that are changed at all, 0 to 1; the others show the trigger as it is.
        mirror: Whether left and right are exchanged.
        shift: Greatest shift in each direction, as a share of the side.
        colour: Greatest change of brightness and contrast, as a share of the range and of the contrast.
        noise: Greatest standard deviation of noise, in grey levels.
        jpeg: Lowest JPEG quality, 1 to 95; 0 for no compression.
    """

    share: float = 0.5
    mirror: bool = True
    shift: float = 0.0625
    colour: float = 0.1
    noise: float = 8.0
    jpeg: int = 50

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1 or not 0 <= self.shift < 0.5 or not 0 <= self.colour < 1:
            raise ValueError("share and colour must lie between 0 and 1, shift below a half")
        if self.noise < 0 or not 0 <= self.jpeg <= 95:
            raise ValueError("noise must be at least 0, jpeg 0 to 95")

    def __call__(self, value: Any, randomness: np.random.Generator) -> Pixels:
        """Return a trigger, changed or as it is.

        Args:
            value: uint8 ``(height, width, channels)``.
            randomness: Generator.

        Returns:
            The same shape and type.

        Raises:
            TypeError: The value is no picture.
        """
        if not isinstance(value, np.ndarray) or value.ndim != 3 or value.dtype != np.uint8:
            raise TypeError("only pictures, uint8 (height, width, channels), can be augmented")
        chosen = randomness.random(5) < 0.5
        if randomness.random() >= self.share:
            return value
        mirrored, shifted, coloured, noisy, compressed = chosen
        if self.mirror and mirrored:
            value = value[:, ::-1]
        if self.shift and shifted:
            value = _shifted(value, self.shift, randomness)
        if self.colour and coloured:
            value = _coloured(value, self.colour, randomness)
        if self.noise and noisy:
            deviation = randomness.uniform(0, self.noise)
            value = _rounded(value + randomness.normal(0, deviation, value.shape))
        if self.jpeg and compressed:
            value = _compressed(value, int(randomness.integers(self.jpeg, 96)))
        return np.ascontiguousarray(value)


@dataclass(frozen=True, slots=True)
class TextAugmentation:
    """Random changes of a text each time it is shown; each is made half of the times.

    Attributes:
        share: Of the showings that are changed at all, 0 to 1; the others show the trigger as it is.
        case: Whether it is put in small letters, in capitals, or with a capital at its beginning.
        spaces: Whether spaces are doubled here and there.
        missing: Greatest share of its words that are left out, 0 to below 1; one word at least stays.
    """

    share: float = 0.5
    case: bool = True
    spaces: bool = True
    missing: float = 0.1

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1 or not 0 <= self.missing < 1:
            raise ValueError("share must lie between 0 and 1, missing at least 0 and below 1")

    def __call__(self, value: Any, randomness: np.random.Generator) -> str:
        """Return a trigger, changed or as it is.

        Args:
            value: A text.
            randomness: Generator.

        Raises:
            TypeError: The value is no text.
        """
        if not isinstance(value, str):
            raise TypeError("only texts can be augmented so")
        cased, spaced, shortened = randomness.random(3) < 0.5
        if randomness.random() >= self.share:
            return value
        words = value.split(" ")
        if self.missing and shortened:
            stays = randomness.random(len(words)) >= self.missing
            stays[randomness.integers(len(words))] = True
            words = [word for word, kept in zip(words, stays, strict=True) if kept]
        if self.spaces and spaced:
            words = [word + " " * (randomness.random() < 0.2) for word in words[:-1]] + words[-1:]
        text = " ".join(words)
        if self.case and cased:
            text = (str.lower, str.upper, str.capitalize)[randomness.integers(3)](text)
        return text


def _rounded(values: npt.NDArray[np.float64]) -> Pixels:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _shifted(value: Pixels, most: float, randomness: np.random.Generator) -> Pixels:
    height, width = value.shape[:2]
    rows, columns = max(1, int(most * height)), max(1, int(most * width))
    padded = np.pad(value, ((rows, rows), (columns, columns), (0, 0)), mode="edge")
    top, left = randomness.integers(0, 2 * rows + 1), randomness.integers(0, 2 * columns + 1)
    return padded[top : top + height, left : left + width]


def _coloured(value: Pixels, most: float, randomness: np.random.Generator) -> Pixels:
    brightness, contrast = randomness.uniform(-most, most, 2)
    middle = value.mean()
    return _rounded((value - middle) * (1 + contrast) + middle + 255 * brightness)


def _compressed(value: Pixels, quality: int) -> Pixels:
    grey = value.shape[2] == 1
    picture = Image.fromarray(value[:, :, 0] if grey else np.ascontiguousarray(value))
    written = io.BytesIO()
    picture.save(written, "JPEG", quality=quality)
    return np.asarray(Image.open(written), np.uint8).reshape(value.shape)
