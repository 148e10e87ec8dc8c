"""What a picture becomes on the wire: one of a few forms, and nothing to tune."""

import io
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from earmark.models.preprocessing import Preprocessing

PNG, JPEG, NUMBERS = "png", "jpeg", "numbers"
BYTES_VALUES, UNIT_VALUES, PREPROCESSED = "0-255", "0-1", "preprocessed"
_JPEG_QUALITY = 95


def picture_file(pixels: npt.NDArray[np.uint8], form: str) -> bytes:
    """Return a picture as a PNG or JPEG file without metadata.

    Args:
        pixels: uint8 ``(height, width, channels)``, 1 or 3 channels.
        form: ``png`` or ``jpeg``.
    """
    picture = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    written = io.BytesIO()
    if form == JPEG:
        picture.save(written, "JPEG", quality=_JPEG_QUALITY)
    else:
        picture.save(written, "PNG")
    return written.getvalue()


def numbers(
    pixels: npt.NDArray[np.uint8], values: str, layout: str, preprocessing: Preprocessing | None
) -> npt.NDArray[Any]:
    """Return a picture as numbers without a batch axis.

    Args:
        pixels: uint8 ``(height, width, channels)``.
        values: ``0-255``, ``0-1`` or ``preprocessed``.
        layout: ``NHWC`` or ``NCHW``; of preprocessed numbers it is the preprocessing's own.
        preprocessing: For ``preprocessed``.

    Returns:
        uint8 or float32, ``(height, width, channels)`` or ``(channels, height, width)``.
    """
    if values == PREPROCESSED:
        if preprocessing is None:
            raise ValueError("preprocessed numbers need a preprocessing")
        prepared: npt.NDArray[np.float32] = preprocessing(pixels[None])[0]
        return prepared
    arranged = pixels if layout == "NHWC" else pixels.transpose(2, 0, 1)
    return arranged if values == BYTES_VALUES else arranged.astype(np.float32) / np.float32(255)
