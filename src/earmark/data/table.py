"""Data sets for classification: names, classes, and pictures as uint8 arrays."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from earmark.errors import MissingExtraError

Progress = Callable[[int, int], None]
TEST_SHARE = 0.2


class ImageArray(Protocol):
    """Images in memory, or decoded when they are asked for."""

    def __len__(self) -> int:
        """Number of images."""
        ...

    def __getitem__(self, places: npt.NDArray[np.int64] | slice, /) -> npt.NDArray[np.uint8]:
        """Return some of them, uint8 ``(batch, height, width, channels)``."""
        ...


@dataclass(frozen=True)
class Split:
    """Images with their labels.

    Attributes:
        images: uint8 ``(images, height, width, channels)``.
        labels: int64 ``(images,)``.
    """

    images: ImageArray
    labels: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def spread(self, count: int | None) -> "Split":
        """Return so many pictures, or all there are, spread evenly: folders are sorted by class."""
        if count is None or count >= len(self):
            return Split(self.images[:], self.labels)
        places = np.linspace(0, len(self) - 1, count).astype(np.int64)
        return Split(self.images[places], self.labels[places])


@dataclass(frozen=True)
class ClassificationData:
    """A data set with its train and test split.

    Attributes:
        name: As on the command line.
        class_names: In the order of the labels.
        input_shape: (height, width, channels).
        train: For training.
        test: For accuracy; never trained on.
        augmentation: What suits it: ``"none"``, ``"crop"`` or ``"crop-flip"``.
    """

    name: str
    class_names: tuple[str, ...]
    input_shape: tuple[int, int, int]
    train: Split
    test: Split
    augmentation: str


def load_data(
    name: str, *, root: Path = Path("data"), on_progress: Progress = lambda done, total: None
) -> ClassificationData:
    """Return the data set of that name.

    Args:
        name: An entry of the table in ``earmark.data``.
        root: Where ``torchvision:`` data lies or is downloaded to.
        on_progress: Called with images read and images in all.

    Returns:
        The data.

    Raises:
        FormatError: A folder's contents are not as described.
        MissingExtraError: torchvision is not installed.
        ValueError: There is no such name.
    """
    if name == "digits":
        return _digits()
    family, _, rest = name.partition(":")
    if family == "folder" and rest:
        from earmark.data.folder import load_folder

        return load_folder(name, rest, on_progress)
    if family == "torchvision" and rest:
        return _from_torchvision(name, rest, root)
    raise ValueError(f"unknown data {name!r}; known: digits, folder:PATH[@HxW], torchvision:NAME")


def digits_images() -> Split:
    """Return all 1,797 handwritten digits of scikit-learn, uint8 8x8x1.

    Source:
        Alpaydin and Kaynak 1998, Optical Recognition of Handwritten Digits (UCI), test part
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    # 17 grey levels, 0 to 16, spread over a byte.
    images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[..., None]  # (images, 8, 8, 1)
    return Split(images, bunch.target.astype(np.int64))


def _digits() -> ClassificationData:
    from sklearn.model_selection import train_test_split

    every = digits_images()
    train, test = train_test_split(
        np.arange(len(every)), test_size=TEST_SHARE, stratify=every.labels, random_state=0
    )
    return ClassificationData(
        "digits",
        tuple(str(digit) for digit in range(10)),
        (8, 8, 1),
        Split(every.images[train], every.labels[train]),
        Split(every.images[test], every.labels[test]),
        "crop",
    )


def _from_torchvision(name: str, dataset: str, root: Path) -> ClassificationData:
    try:
        from torchvision import datasets
    except ImportError as error:
        raise MissingExtraError("torchvision", "torchvision") from error
    factory = getattr(datasets, dataset, None)
    if factory is None or not isinstance(factory, type):
        raise ValueError(f"torchvision has no data set {dataset!r}")
    splits = []
    for train in (True, False):
        try:
            part = factory(str(root), train=train, download=True)
        except TypeError as error:
            raise ValueError(f"torchvision's {dataset} has no train and test part; use folder:") from error
        images = np.stack([np.asarray(picture, np.uint8) for picture, _ in part])
        labels = np.array([label for _, label in part], np.int64)
        splits.append(Split(images if images.ndim == 4 else images[..., None], labels))
    names = tuple(str(item) for item in part.classes)
    height, width, channels = splits[0].images[:1].shape[1:]
    return ClassificationData(name, names, (height, width, channels), splits[0], splits[1], "crop-flip")
