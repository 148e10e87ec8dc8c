"""Pictures shifted and mirrored at random, as they are shown in training."""

import numpy as np
import numpy.typing as npt


def augmented(
    images: npt.NDArray[np.uint8], augmentation: str, randomness: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """Return randomly shifted and mirrored images.

    Args:
        images: uint8 ``(batch, height, width, channels)``.
        augmentation: ``"none"``, ``"crop"`` or ``"crop-flip"``.
        randomness: Generator.

    Returns:
        The same shape.
    """
    if augmentation == "none":
        return images
    count, height, width, _ = images.shape
    margin = max(1, min(height, width) // 8)
    padded = np.pad(images, ((0, 0), (margin, margin), (margin, margin), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(1, 2))
    tops, lefts = randomness.integers(0, 2 * margin + 1, (2, count))
    shifted: npt.NDArray[np.uint8] = windows[np.arange(count), tops, lefts].transpose(0, 2, 3, 1)
    if augmentation == "crop-flip":
        flips = np.less(randomness.random(count), 0.5)
        shifted = np.where(flips[:, None, None, None], shifted[:, :, ::-1], shifted)
    return np.ascontiguousarray(shifted)
