"""Triggers from a pool of pictures: every picture at most once in a key, and no two triggers nearly alike."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from earmark.commitment import Stream
from earmark.errors import SimilarTriggersError
from earmark.triggers.image import IMAGE, ImageGeometry, Pixels
from earmark.triggers.trigger import Geometry, Trigger

_Places: TypeAlias = tuple[int, ...]
_NAMED_PAIRS = 5
_CENTRE = 127.5  # about zero the sums stay small, and with them their rounding errors


class TaskPictures(Protocol):
    """Pictures of the task's own data."""

    @property
    def names(self) -> Sequence[str]:
        """What to call each picture in a message to the owner."""
        ...

    def pixels(self, place: int) -> Pixels:
        """Return one picture as the task's models get it, uint8 ``(height, width, channels)``."""
        ...


class Dealer:
    """One key's way through a pool: each call takes pictures that were not taken before.

    Each picture is an exactly uniform draw from those that are left, so which pictures are used, and in
    which order, follows from the streams alone. What is nearly like something already dealt is left out.

    Args:
        names: What to call each picture of the pool in a message to the owner.
        pixels: From the places of as many pictures as are taken at a time to what is dealt, uint8
            ``(height, width, channels)``, all of one shape.
        at_a_time: How many that is.
    """

    def __init__(self, names: Sequence[str], pixels: Callable[..., Pixels], at_a_time: int = 1) -> None:
        self._names = names
        self._pixels = pixels
        self._at_a_time = at_a_time
        self._left = list(range(len(names)))
        # Places, values, their squares.
        self._dealt: list[tuple[_Places, npt.NDArray[np.float32], float]] = []
        self._alike: list[tuple[_Places, _Places]] = []

    def __call__(self, randomness: Stream) -> Trigger:
        """Deal one trigger.

        Args:
            randomness: Read once for every picture looked at.

        Returns:
            A picture that differs from all dealt before.

        Raises:
            SimilarTriggersError: Too few are left; the message names those that were left out.
        """
        while len(self._left) >= self._at_a_time:
            places = tuple(
                self._left.pop(randomness.uniform(len(self._left))) for _ in range(self._at_a_time)
            )
            picture = self._pixels(*places)
            values = picture.reshape(-1).astype(np.float32) - np.float32(_CENTRE)
            square = float(values @ values)
            twin = self._twin(values, square)
            if twin is None:
                self._dealt.append((places, values, square))
                return Trigger(IMAGE.name, IMAGE.encode(picture))
            self._alike.append((places, twin))
        raise SimilarTriggersError(self._why_empty())

    def _twin(self, values: npt.NDArray[np.float32], square: float) -> _Places | None:
        near = IMAGE.too_near**2 * len(values)
        for places, other, other_square in self._dealt:
            if square + other_square - 2 * float(values @ other) < near:
                return places
        return None

    def _named(self, places: _Places) -> str:
        return " and ".join(self._names[place] for place in places)

    def _why_empty(self) -> str:
        words = f"the pool of {len(self._names)} pictures is used up after {len(self._dealt)} triggers"
        if self._alike:
            pairs = [f"{self._named(one)} like {self._named(two)}" for one, two in self._alike[:_NAMED_PAIRS]]
            more = len(self._alike) - len(pairs)
            words += f"; {len(self._alike)} left out as nearly alike: {', '.join(pairs)}"
            words += f" and {more} more" if more else ""
        return words + "; add pictures, or ask for fewer triggers or sets"


def two_places(count: int, randomness: Stream) -> tuple[int, int]:
    """Return two of so many pictures, as a dealer's first would be, without a list of all of them.

    Raises:
        SimilarTriggersError: There are fewer than two pictures.
    """
    if count < 2:
        raise SimilarTriggersError(f"to mix two pictures there must be two, not {count}")
    one, other = randomness.uniform(count), randomness.uniform(count - 1)
    return one, other + (other >= one)


def image_geometry(geometry: Geometry, what: str) -> ImageGeometry:
    """Return the geometry of pictures; ValueError if it is another kind's."""
    if not isinstance(geometry, ImageGeometry):
        raise ValueError(f"{what} need an image geometry, not {geometry}")
    return geometry


def pixels_at(pictures: TaskPictures, geometry: ImageGeometry, place: int) -> Pixels:
    """Return one of the task's pictures; ValueError if it is not of the geometry that the task reads."""
    pixels = pictures.pixels(place)
    if pixels.shape != (geometry.height, geometry.width, geometry.channels):
        sides = "x".join(str(side) for side in pixels.shape)
        raise ValueError(f"{pictures.names[place]} is image:{sides}, but the task reads {geometry}")
    return pixels
