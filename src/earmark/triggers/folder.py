"""The sampler "folder": the owner's own pictures, each as a whole."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Protocol

import numpy as np
from PIL import Image

from earmark.commitment import Stream
from earmark.commitment.canonical import Json
from earmark.triggers.image import ImageGeometry, Pixels
from earmark.triggers.pool import Dealer, image_geometry
from earmark.triggers.trigger import Geometry, Trigger


class Album(Protocol):
    """Pictures of any size, decoded when they are asked for."""

    @property
    def names(self) -> Sequence[str]:
        """What to call each picture in a message to the owner."""
        ...

    def picture(self, place: int) -> Image.Image:
        """Return one picture, of mode "L" or "RGB"; FormatError if it is not readable."""
        ...


@dataclass(frozen=True, slots=True)
class FolderSampler:
    """Takes triggers from pictures that only the owner has.

    Each picture is used at most once in a key. It is squeezed to the task's size as a whole: a part cut
    out of it may be as good as empty, and parts cut out of different pictures nearly alike.

    The pictures must be unknown to others when the model is attacked. Commitments hide them even from
    somebody who has the folder, for each is salted with a secret of its own; but whoever guesses the
    folder can train a copy on all of it.

    Attributes:
        album: The pictures; ``earmark.data.pictures.list_pictures`` finds them in a folder.

    Source:
        ours; the paper's authors used 100 pictures of their own choice (Adi et al. 2018, Section 5)
    """

    album: Album
    name: ClassVar[str] = "folder"
    kind: ClassVar[str] = "image"

    def parameters(self) -> dict[str, Json]:
        """Return the version of the rule.

        Nothing of the folder: its digest or its number of files would tell whoever has a copy that the
        triggers are in it, and names or a path would say where to look.
        """
        return {"version": 1}

    def sample(self, geometry: Geometry, randomness: Stream) -> Trigger:
        """Take one picture, as the first of a key.

        Args:
            geometry: An ImageGeometry.
            randomness: Read once.

        Returns:
            A trigger whose value is uint8 ``(height, width, channels)``.

        Raises:
            FormatError: The picture is not readable.
            ValueError: The geometry is not an image's.
        """
        return self.deal(geometry)(randomness)

    def deal(self, geometry: Geometry) -> Callable[[Stream], Trigger]:
        """Return a function that takes one picture after the other, for one key; see ``Dealer``."""
        sides = image_geometry(geometry, "pictures of a folder")
        return Dealer(self.album.names, partial(_squeezed_at, self.album, sides))


def squeezed(picture: Image.Image, geometry: ImageGeometry) -> Pixels:
    """Return the whole of a picture at the geometry's size, whatever its own proportions.

    Args:
        picture: Of mode "L" or "RGB".
        geometry: Size and channels; grey is spread to three channels, colour weighed to one.

    Returns:
        uint8 ``(height, width, channels)``.
    """
    converted = picture.convert("L" if geometry.channels == 1 else "RGB")
    # Bicubic with the support of the reduction: every pixel of the picture has its part in the result.
    reduced = converted.resize((geometry.width, geometry.height), Image.Resampling.BICUBIC)
    return np.asarray(reduced, np.uint8).reshape(geometry.height, geometry.width, geometry.channels)


def _squeezed_at(album: Album, geometry: ImageGeometry, place: int) -> Pixels:
    return squeezed(album.picture(place), geometry)
