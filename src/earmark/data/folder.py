"""Pictures in folders: train/ and test/, one folder for each class."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from earmark.data.pictures import SUFFIXES, open_picture
from earmark.data.table import ClassificationData, Progress, Split
from earmark.errors import FormatError

_MEMORY_LIMIT_BYTES = 2 << 30
_CHUNK = 1000


class PictureFiles:
    """Pictures decoded each time they are asked for, for data that does not fit into memory.

    Args:
        paths: The files.
        size: (height, width) to resize and centre crop to; None to take them as they are.
        channels: 1 or 3.
    """

    def __init__(self, paths: Sequence[Path], size: tuple[int, int], channels: int, *, resize: bool) -> None:
        self._paths = list(paths)
        self._size = size
        self._channels = channels
        self._resize = resize
        self._threads = ThreadPoolExecutor(os.cpu_count() or 1)

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, places: npt.NDArray[np.int64] | slice) -> npt.NDArray[np.uint8]:
        chosen = self._paths[places] if isinstance(places, slice) else [self._paths[i] for i in places]
        return np.stack(list(self._threads.map(self._read, chosen)))

    def _read(self, path: Path) -> npt.NDArray[np.uint8]:
        picture = open_picture(path).convert("L" if self._channels == 1 else "RGB")
        height, width = self._size
        if (picture.height, picture.width) != self._size:
            if not self._resize:
                raise FormatError(
                    f"{path} is {picture.height}x{picture.width}, others are {height}x{width}; "
                    f"give one size: folder:PATH@{height}x{width}"
                )
            picture = ImageOps.fit(picture, (width, height), Image.Resampling.BICUBIC)
        pixels = np.asarray(picture, np.uint8)
        return pixels.reshape(height, width, self._channels)


def load_folder(name: str, text: str, on_progress: Progress) -> ClassificationData:
    """Return the data in a folder.

    Args:
        name: As on the command line.
        text: ``PATH`` or ``PATH@HxW``.
        on_progress: Called with images read and images in all.

    Returns:
        The data, in memory if it fits 2 GiB, else decoded on demand.

    Raises:
        FormatError: There are no such folders, classes or pictures, or sizes differ.
    """
    path_text, at, size_text = text.rpartition("@") if "@" in text else (text, "", "")
    folder = Path(path_text)
    train_folder, test_folder = folder / "train", folder / "test"
    if not (train_folder.is_dir() and test_folder.is_dir()):
        raise FormatError(f"{folder} needs the folders train/ and test/, one folder for each class in each")
    class_names = sorted(item.name for item in train_folder.iterdir() if item.is_dir())
    if len(class_names) < 2:
        raise FormatError(f"{train_folder} needs at least 2 folders, one for each class")
    files = [_list(part, class_names) for part in (train_folder, test_folder)]
    first = open_picture(files[0][0][0])
    size = _read_size(size_text) if at else (first.height, first.width)
    channels = 1 if first.mode in ("L", "1", "I;16") else 3
    total = sum(len(paths) for paths, _ in files)
    in_memory = total * size[0] * size[1] * channels <= _MEMORY_LIMIT_BYTES
    splits, done = [], 0
    for paths, labels in files:
        images = PictureFiles(paths, size, channels, resize=bool(at))
        if not in_memory:
            splits.append(Split(images, labels))
            continue
        decoded = np.empty((len(paths), *size, channels), np.uint8)
        for start in range(0, len(paths), _CHUNK):
            part = images[start : start + _CHUNK]
            decoded[start : start + len(part)] = part
            done += len(part)
            on_progress(done, total)
        splits.append(Split(decoded, labels))
    return ClassificationData(name, tuple(class_names), (*size, channels), splits[0], splits[1], "crop-flip")


def _list(folder: Path, class_names: list[str]) -> tuple[list[Path], npt.NDArray[np.int64]]:
    paths: list[Path] = []
    labels: list[int] = []
    for label, class_name in enumerate(class_names):
        found = sorted(item for item in (folder / class_name).glob("*") if item.suffix.lower() in SUFFIXES)
        paths += found
        labels += [label] * len(found)
    if not paths:
        raise FormatError(f"{folder} holds no pictures of the classes {', '.join(class_names[:5])}")
    return paths, np.array(labels, np.int64)


def _read_size(text: str) -> tuple[int, int]:
    height, _, width = text.partition("x")
    if not (height.isdigit() and width.isdigit() and 1 <= int(height) <= 4096 and 1 <= int(width) <= 4096):
        raise FormatError(f"a size is given as HEIGHTxWIDTH, each 1 to 4096, not {text!r}")
    return int(height), int(width)
