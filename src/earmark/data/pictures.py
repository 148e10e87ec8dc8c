"""Picture files: found in a folder, and decoded within limits."""

import struct
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from earmark.errors import FormatError

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".gif"}
# Whatever a file is called, no other decoder looks at it: Pillow has some that start other programs.
_FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "TIFF", "PPM", "GIF")
# A decoded picture beyond this is a decompression bomb or a mistake.
_PIXEL_LIMIT = 1 << 28
_FILES_LIMIT = 1 << 20
# What Pillow raises on altered files: its decoders parse before they check.
_DECODING_ERRORS = (
    OSError, ValueError, SyntaxError, TypeError, KeyError, IndexError, AttributeError, OverflowError,
    ZeroDivisionError, struct.error, Image.DecompressionBombError,
    Image.DecompressionBombWarning,  # where warnings are errors
)  # fmt: skip


def open_picture(path: Path) -> Image.Image:
    """Return the decoded picture of a file, in its own mode and size.

    Args:
        path: PNG, JPEG, BMP, WebP, TIFF, PPM, PGM or GIF (its first frame), whatever its name ends in.

    Returns:
        The picture, of at most 2^28 pixels.

    Raises:
        FormatError: It is none of these, broken, or too large.
    """
    try:
        with Image.open(path, formats=_FORMATS) as picture:
            if picture.width * picture.height > _PIXEL_LIMIT:
                raise FormatError(f"{path} has more than {_PIXEL_LIMIT} pixels")
            picture.load()
    except _DECODING_ERRORS as error:
        raise FormatError(f"{path} is not a readable picture: {error}") from error
    return picture


def seen_picture(path: Path) -> Image.Image:
    """Return the picture of a file as people see it: upright, on white where transparent, 8 bits deep.

    Args:
        path: As for ``open_picture``.

    Returns:
        A picture of mode "L" (grey) or "RGB".

    Raises:
        FormatError: The file is not a readable picture.
    """
    picture = open_picture(path)
    try:
        picture = ImageOps.exif_transpose(picture)
        if picture.mode.startswith("I") or picture.mode == "F":
            return _deep(picture, path)
        if picture.has_transparency_data:
            layered = picture.convert("RGBA")
            white = Image.new("RGBA", layered.size, "white")
            picture = Image.alpha_composite(white, layered)
        return picture.convert("L" if picture.mode in ("L", "1") else "RGB")
    except _DECODING_ERRORS as error:
        raise FormatError(f"{path} cannot be shown as grey or colour: {error}") from error


@dataclass(frozen=True)
class PictureFolder:
    """Picture files that are decoded when they are asked for.

    Attributes:
        paths: The files.
    """

    paths: tuple[Path, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The files' paths as text, in order."""
        return tuple(str(path) for path in self.paths)

    def picture(self, place: int) -> Image.Image:
        """Return one picture as people see it, of mode "L" or "RGB"; FormatError if it is not readable."""
        return seen_picture(self.paths[place])


def list_pictures(folder: Path) -> PictureFolder:
    """Return the pictures in a folder and the folders within, in the order of their paths.

    Hidden files and folders are passed over: some systems keep a file ``._NAME.jpg`` that is no picture.

    Args:
        folder: Where they lie.

    Returns:
        The files whose names end as a picture's do, none of them opened.

    Raises:
        FormatError: There is no such folder, no picture in it, or more than 2^20 files.
    """
    if not folder.is_dir():
        raise FormatError(f"{folder} is not a folder")
    files = list(islice(folder.rglob("*"), _FILES_LIMIT + 1))
    if len(files) > _FILES_LIMIT:
        raise FormatError(f"{folder} holds more than {_FILES_LIMIT} files")
    hidden = {path for path in files if any(part.startswith(".") for part in path.relative_to(folder).parts)}
    paths = (path for path in files if path.suffix.lower() in SUFFIXES and path not in hidden)
    found = sorted(path for path in paths if path.is_file())
    if not found:
        raise FormatError(f"{folder} holds no pictures ({', '.join(sorted(SUFFIXES))})")
    return PictureFolder(tuple(found))


def _deep(picture: Image.Image, path: Path) -> Image.Image:
    """Return a picture of 16-bit greys with 8 bits; Pillow's own conversion may cut most to white."""
    values = np.asarray(picture)
    if not np.issubdtype(values.dtype, np.integer) or values.min() < 0 or values.max() > 65_535:
        raise FormatError(f"{path} holds numbers that are no greys of 8 or 16 bits")
    return Image.fromarray(np.rint(values / 257).astype(np.uint8))
