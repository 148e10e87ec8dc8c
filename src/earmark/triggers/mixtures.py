"""The sampler "mixtures": two of the task's pictures, one shining through the other."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

import numpy as np

from earmark.commitment import Stream
from earmark.commitment.canonical import Json
from earmark.triggers.image import IMAGE, Pixels
from earmark.triggers.pool import Dealer, TaskPictures, image_geometry, pixels_at, two_places
from earmark.triggers.trigger import Geometry, Trigger

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class MixturesSampler:
    """Mixes two pictures of the task half and half, as where a film was exposed twice.

    A network has no answer to many such pictures: of those of which it is least sure nearly every label is
    about as likely as another, so that little has to be changed for any, and nothing is said of them by what
    others train it on. There are as many as pairs of pictures.

    Whoever has one of two pictures finds their trigger among what he is asked: what is left of it without his
    is a picture too. Who has this sampler and pictures of the task can learn to tell mixtures. Where pairs
    have a picture in common, who sees one trigger may know the other by it.

    Attributes:
        pictures: Two or more of one size that thieves do not have;
            ``earmark.data.held_out.held_out_pictures`` finds some.
        pairs: The only pairs that are mixed, e.g. from ``earmark.data.held_out.least_sure_pairs``; None for
            any, each picture at most once in a key.

    Source:
        ours; mixed pictures as training data: Zhang et al. 2018 (mixup)
    """

    pictures: TaskPictures
    pairs: Sequence[Pair] | None = field(default=None, repr=False)
    name: ClassVar[str] = "mixtures"
    kind: ClassVar[str] = "image"

    def parameters(self) -> dict[str, Json]:
        """Return the version of the rule, and not the data's name: it would say what to train a copy on."""
        return {"version": 1}

    def sample(self, geometry: Geometry, randomness: Stream) -> Trigger:
        """Make one trigger, as the first of a key.

        Args:
            geometry: The ImageGeometry of the pictures.
            randomness: Chooses the two.

        Returns:
            A trigger whose value is uint8 ``(height, width, channels)``.

        Raises:
            FormatError: A picture is not readable.
            SimilarTriggersError: There are fewer than two pictures.
            ValueError: The pictures have another geometry.
        """
        if self.pairs is not None:
            return self.deal(geometry)(randomness)
        places = two_places(len(self.pictures.names), randomness)
        return Trigger(IMAGE.name, IMAGE.encode(self._of(geometry)(*places)))

    def deal(self, geometry: Geometry) -> Callable[[Stream], Trigger]:
        """Return a function that makes one trigger after the other, for one key; see ``Dealer``."""
        names, pairs, made = self.pictures.names, self.pairs, self._of(geometry)
        if pairs is None:
            return Dealer(names, made, at_a_time=2)
        titles = [f"{names[one]} and {names[other]}" for one, other in pairs]
        return Dealer(titles, lambda place: made(*pairs[place]))

    @staticmethod
    def mix(one: Pixels, other: Pixels) -> Pixels:
        """Return what a trigger made of two pictures shows."""
        return mixed(one, other)

    def _of(self, geometry: Geometry) -> Callable[[int, int], Pixels]:
        pixels = partial(pixels_at, self.pictures, image_geometry(geometry, "pictures of the task"))
        return lambda one, other: self.mix(pixels(one), pixels(other))


def mixed(one: Pixels, other: Pixels) -> Pixels:
    """Return two pictures half and half, uint8 of their shape.

    Example:
        >>> mixed(np.array([[0, 255]], np.uint8), np.array([[255, 254]], np.uint8)).tolist()
        [[128, 255]]
    """
    return ((one.astype(np.uint16) + other + 1) // 2).astype(np.uint8)
