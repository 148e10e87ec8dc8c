"""Triggers from a pool of pictures: every picture at most once in a key, and no two nearly alike."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from earmark.commitment import Stream
from earmark.errors import SimilarTriggersError
from earmark.triggers.image import IMAGE, ImageGeometry, Pixels
from earmark.triggers.trigger import Geometry, Trigger

_NAMED_PAIRS = 5
_CENTRE = 127.5  # about zero the sums stay small, and with them their rounding errors


class Dealer:
    """One key's way through a pool: each call takes a picture that was not taken before.

    Each picture is an exactly uniform draw from those that are left, so which pictures are used, and in
    which order, follows from the streams alone. A picture nearly like one already dealt is left out.

    Args:
        names: What to call each picture of the pool in a message to the owner.
        pixels: Returns the picture at a place, uint8 ``(height, width, channels)``, all of one shape.
    """

    def __init__(self, names: Sequence[str], pixels: Callable[[int], Pixels]) -> None:
        self._names = names
        self._pixels = pixels
        self._left = list(range(len(names)))
        self._dealt: list[tuple[int, npt.NDArray[np.float32], float]] = []  # place, values, their squares
        self._alike: list[tuple[int, int]] = []

    def __call__(self, randomness: Stream) -> Trigger:
        """Deal one picture.

        Args:
            randomness: Read once for every picture looked at.

        Returns:
            A picture that differs from all dealt before.

        Raises:
            SimilarTriggersError: None is left; the message names those that were left out.
        """
        while self._left:
            place = self._left.pop(randomness.uniform(len(self._left)))
            picture = self._pixels(place)
            values = picture.reshape(-1).astype(np.float32) - np.float32(_CENTRE)
            square = float(values @ values)
            twin = self._twin(values, square)
            if twin is None:
                self._dealt.append((place, values, square))
                return Trigger(IMAGE.name, IMAGE.encode(picture))
            self._alike.append((place, twin))
        raise SimilarTriggersError(self._why_empty())

    def _twin(self, values: npt.NDArray[np.float32], square: float) -> int | None:
        near = IMAGE.too_near**2 * len(values)
        for place, other, other_square in self._dealt:
            if square + other_square - 2 * float(values @ other) < near:
                return place
        return None

    def _why_empty(self) -> str:
        words = f"the pool of {len(self._names)} pictures is used up after {len(self._dealt)} triggers"
        if self._alike:
            pairs = [f"{self._names[one]} like {self._names[two]}" for one, two in self._alike[:_NAMED_PAIRS]]
            more = len(self._alike) - len(pairs)
            words += f"; {len(self._alike)} left out as nearly alike: {', '.join(pairs)}"
            words += f" and {more} more" if more else ""
        return words + "; add pictures, or ask for fewer triggers or sets"


def image_geometry(geometry: Geometry, what: str) -> ImageGeometry:
    """Return the geometry of pictures; ValueError if it is another kind's."""
    if not isinstance(geometry, ImageGeometry):
        raise ValueError(f"{what} need an image geometry, not {geometry}")
    return geometry
