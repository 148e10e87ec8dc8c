"""Pictures that triggers are made of: a data set's test part, or a folder that training does not read."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from earmark.data.folder import PictureFiles
from earmark.data.pictures import list_pictures
from earmark.data.table import ClassificationData, ImageArray

TEST_PART = "test"


@dataclass(frozen=True, eq=False)
class PartOfData:
    """Pictures of one part of a data set, decoded when they are asked for.

    Attributes:
        images: uint8 ``(images, height, width, channels)``.
        names: What to call each in a message to the owner.
        description: The part and the data, in words.
        is_test_part: Whether accuracy is measured on the same pictures.
    """

    images: ImageArray = field(repr=False)
    names: Sequence[str] = field(repr=False)
    description: str
    is_test_part: bool

    def pixels(self, place: int) -> npt.NDArray[np.uint8]:
        """Return one picture, uint8 ``(height, width, channels)``."""
        pixels: npt.NDArray[np.uint8] = self.images[place : place + 1][0]
        return pixels


def held_out_pictures(
    text: str, input_shape: tuple[int, int, int], load: Callable[[str], ClassificationData]
) -> PartOfData:
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
        raise ValueError(
            "triggers are not made of training pictures: thieves have some of them, and a picture that is a "
            "trigger would have two labels; use another part"
        )
    if part == TEST_PART:
        images = load(name).test.images
        names = tuple(f"test picture {place} of {name}" for place in range(len(images)))
        return PartOfData(images, names, f"the test part of {name}", True)
    if not name.startswith("folder:") or part in ("", ".", "..") or "/" in part:
        raise ValueError(f"{name} has no part {part!r}; known: test, and for folder:PATH any folder in PATH")
    path, at, _ = name.removeprefix("folder:").rpartition("@")
    folder = Path(path if at else name.removeprefix("folder:")) / part
    found = list_pictures(folder)
    height, width, channels = input_shape
    images = PictureFiles(found.paths, (height, width), channels, resize=bool(at))
    return PartOfData(images, found.names, f"the folder {folder}", False)


def least_sure(pictures: PartOfData, probabilities: npt.NDArray[np.float64], count: int) -> PartOfData:
    """Return the pictures of which a model is least sure.

    As triggers they outlast training that takes others: to a network that forgets their labels they are of no
    class either, and what is left of a label decides (docs/robustness.md).

    Args:
        pictures: To choose from; those chosen are decoded.
        probabilities: What the model says of them, ``(pictures, classes)``.
        count: How many; all if there are no more.

    Returns:
        They, in the order that they had.
    """
    places = np.sort(np.argsort(probabilities.max(1), kind="stable")[:count])
    return PartOfData(
        np.stack([pictures.pixels(int(place)) for place in places]),
        tuple(pictures.names[place] for place in places),
        pictures.description,
        pictures.is_test_part,
    )


def some_pairs(
    picture_count: int, pair_count: int, generator: np.random.Generator
) -> tuple[tuple[int, int], ...]:
    """Return pairs of different pictures, each pair once; fewer where there are no more.

    Args:
        picture_count: How many there are to choose from; a pair is the places of two.
        pair_count: How many pairs.
        generator: Chooses them; whoever knows it knows them.
    """
    every = picture_count * (picture_count - 1) // 2
    numbers = generator.choice(every, min(pair_count, every), replace=False, shuffle=False)
    # Pairs are numbered 01, 02, 12, 03, 13, 23, …: those below any place come first.
    later = ((1 + np.sqrt(1 + 8 * numbers.astype(np.float64))) // 2).astype(np.int64)
    later -= later * (later - 1) // 2 > numbers
    later += later * (later + 1) // 2 <= numbers
    earlier = numbers - later * (later - 1) // 2
    return tuple(zip(earlier.tolist(), later.tolist(), strict=True))


def least_sure_pairs(
    pairs: Sequence[tuple[int, int]], probabilities: npt.NDArray[np.floating], count: int, uses: int = 2
) -> tuple[tuple[int, int], ...]:
    """Return the pairs of pictures of whose mixture a model is least sure.

    Args:
        pairs: To choose from.
        probabilities: What the model says of their mixtures, ``(pairs, classes)``.
        count: How many; fewer if there are no more.
        uses: In how many of them a picture may be.

    Returns:
        They, those first of which it is least sure.
    """
    used: Counter[int] = Counter()
    chosen: list[tuple[int, int]] = []
    for place in np.argsort(probabilities.max(1), kind="stable"):
        if len(chosen) == count:
            break
        pair = pairs[place]
        if max(used[one] for one in pair) < uses:
            used.update(pair)
            chosen.append(pair)
    return tuple(chosen)


def named_pictures(images: ImageArray, description: str) -> PartOfData:
    """Return pictures with a name for each.

    Args:
        images: uint8 ``(images, height, width, channels)``.
        description: Of all, in words.
    """
    names = tuple(f"picture {place} of {description}" for place in range(len(images)))
    return PartOfData(images, names, description, False)
