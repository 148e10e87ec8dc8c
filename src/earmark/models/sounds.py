"""Recordings as files."""

import io
import wave
from typing import Any

import numpy as np
import numpy.typing as npt


def wave_file(samples: npt.NDArray[Any], rate: int) -> bytes:
    """Return a WAVE file of one channel with 16 bits.

    Args:
        samples: int16 ``(samples,)``.
        rate: Samples a second, at least 1.
    """
    if samples.dtype != np.int16 or samples.ndim != 1:
        raise ValueError(f"a recording is int16 (samples,), not {samples.dtype} {samples.shape}")
    written = io.BytesIO()
    with wave.open(written, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())
    return written.getvalue()
