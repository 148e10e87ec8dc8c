"""The sampler "negatives": the negative of two of the task's pictures, mixed."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from earmark.commitment import Stream
from earmark.commitment.canonical import Json
from earmark.triggers.image import IMAGE, ImageGeometry, Pixels
from earmark.triggers.mixtures import mixed
from earmark.triggers.pool import Dealer, TaskPictures, image_geometry, pixels_at, two_places
from earmark.triggers.trigger import Geometry, Trigger


@dataclass(frozen=True, slots=True)
class NegativesSampler:
    """Mixes two pictures of the task, one of them upside down, and takes the negative.

    To a network such a picture is of no class, as an abstract one; but its colours, edges and contrasts are
    those of the task's pictures, so that who refuses what looks strange refuses few of them. Who has this
    sampler and such pictures can learn to tell them all the same.

    Each picture is used at most once in a key. Whoever has one of two pictures finds their trigger among what
    he is asked: take away from it what is his, and what is left is a picture too, as it hardly ever is of
    others.

    Attributes:
        pictures: Two or more of one size that thieves do not have;
            ``earmark.data.held_out.held_out_pictures`` finds some.

    Source:
        ours
    """

    pictures: TaskPictures
    name: ClassVar[str] = "negatives"
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
        sides = image_geometry(geometry, "pictures of the task")
        places = two_places(len(self.pictures.names), randomness)
        return Trigger(IMAGE.name, IMAGE.encode(_negative_of(self.pictures, sides, *places)))

    def deal(self, geometry: Geometry) -> Callable[[Stream], Trigger]:
        """Return a function that makes one trigger after the other, for one key; see ``Dealer``."""
        sides = image_geometry(geometry, "pictures of the task")
        return Dealer(self.pictures.names, partial(_negative_of, self.pictures, sides), at_a_time=2)


def _negative_of(pictures: TaskPictures, geometry: ImageGeometry, upright: int, turned: int) -> Pixels:
    one, other = (pixels_at(pictures, geometry, place) for place in (upright, turned))
    return 255 - mixed(one, other[::-1])
