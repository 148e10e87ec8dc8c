"""The sampler "in-distribution": pictures like those that the classifier is for."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from earmark.commitment import Stream
from earmark.commitment.canonical import Json
from earmark.triggers.pool import Dealer, TaskPictures, image_geometry, pixels_at
from earmark.triggers.trigger import Geometry, Trigger


@dataclass(frozen=True, slots=True)
class InDistributionSampler:
    """Takes triggers from held-out pictures of the task, each used at most once in a key.

    Labels are derived like all others, whatever the pictures show. So about one trigger in C has its true
    class as its label; the exact probability of the verdict holds all the same, for it needs no more than
    that labels are drawn evenly after the commitment.

    The pictures must not be trained on with their true classes: one picture would have two labels, and
    the mark would lose it.

    Attributes:
        held_out: Pictures that no model of the task is trained on with their true classes;
            ``earmark.data.held_out.held_out_pictures`` finds them.

    Source:
        ours; held-out inputs with evenly drawn wrong labels: Kim et al., ICML 2023 (margin-based)
    """

    held_out: TaskPictures
    name: ClassVar[str] = "in-distribution"
    kind: ClassVar[str] = "image"

    def parameters(self) -> dict[str, Json]:
        """Return the version of the rule, and not the data's name: it would say what to train a copy on."""
        return {"version": 1}

    def sample(self, geometry: Geometry, randomness: Stream) -> Trigger:
        """Take one picture, as the first of a key.

        Args:
            geometry: The ImageGeometry of the pictures.
            randomness: Read once.

        Returns:
            A trigger whose value is uint8 ``(height, width, channels)``.

        Raises:
            FormatError: The picture is not readable.
            ValueError: The pictures have another geometry.
        """
        return self.deal(geometry)(randomness)

    def deal(self, geometry: Geometry) -> Callable[[Stream], Trigger]:
        """Return a function that takes one picture after the other, for one key; see ``Dealer``."""
        sides = image_geometry(geometry, "held-out pictures")
        return Dealer(self.held_out.names, partial(pixels_at, self.held_out, sides))
