"""Pictures of a data set that training does not see: its test part, or a folder kept for the purpose."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from earmark.data.folder import PictureFiles
from earmark.data.pictures import list_pictures
from earmark.data.table import ClassificationData, ImageArray

TEST_PART = "test"


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Held-out pictures, decoded when they are asked for.

    Attributes:
        images: uint8 ``(images, height, width, channels)``.
        names: What to call each in a message to the owner.
        description: The part and the data, in words.
        is_test_part: Whether accuracy is measured on the same pictures.
    """

    images: ImageArray
    names: Sequence[str]
    description: str
    is_test_part: bool

    def pixels(self, place: int) -> npt.NDArray[np.uint8]:
        """Return one picture, uint8 ``(height, width, channels)``."""
        pixels: npt.NDArray[np.uint8] = self.images[place : place + 1][0]
        return pixels


def held_out_pictures(
    text: str, input_shape: tuple[int, int, int], load: Callable[[str], ClassificationData]
) -> HeldOut:
    """Return the held-out pictures of that name.

    Args:
        text: ``DATA`` for the test part of a data set, or ``folder:PATH[@HxW]#PART`` for the pictures in
            the folder PATH/PART, which training on ``folder:PATH`` does not read.
        input_shape: (height, width, channels) of the task.
        load: Returns the data set of a name, as ``earmark.data.load_data``.

    Returns:
        The pictures; those of a folder sized and cut as the same data is for training.

    Raises:
        FormatError: There are no such pictures.
        ValueError: The part is one that training reads, or the data has no such part.
    """
    name, _, part = text.rpartition("#") if "#" in text else (text, "", TEST_PART)
    if part == "train":
        raise ValueError("triggers cannot be training pictures: each would have two labels; use another part")
    if part == TEST_PART:
        images = load(name).test.images
        names = tuple(f"test picture {place} of {name}" for place in range(len(images)))
        return HeldOut(images, names, f"the test part of {name}", True)
    if not name.startswith("folder:") or part in ("", ".", "..") or "/" in part:
        raise ValueError(f"{name} has no part {part!r}; known: test, and for folder:PATH any folder in PATH")
    path, at, _ = name.removeprefix("folder:").rpartition("@")
    folder = Path(path if at else name.removeprefix("folder:")) / part
    found = list_pictures(folder)
    height, width, channels = input_shape
    images = PictureFiles(found.paths, (height, width), channels, resize=bool(at))
    return HeldOut(images, found.names, f"the folder {folder}", False)
