"""The sampler "noise": every value of a picture drawn on its own."""

from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import ClassVar

import numpy as np

from earmark.commitment import Stream
from earmark.commitment.canonical import Json
from earmark.triggers.image import IMAGE, Pixels
from earmark.triggers.pool import image_geometry
from earmark.triggers.trigger import Geometry, Trigger

DISTRIBUTIONS = ("uniform", "gaussian")
_CENTRE = 127.5
# Below, two pictures of noise begin to look alike; above, most values are cut off to black and white.
_LEAST_DEVIATION, _MOST_DEVIATION = 32, 128


@dataclass(frozen=True, slots=True)
class NoiseSampler:
    """Makes pictures of noise: independent values in every place and channel.

    Attributes:
        distribution: ``"uniform"`` over 0 to 255; or ``"gaussian"`` around the middle, rounded, and cut
            off at 0 and 255.
        deviation: Standard deviation of Gaussian noise before it is cut off, 32 to 128; uniform noise
            has no use for it.

    Source:
        ours
    """

    distribution: str = "uniform"
    deviation: int = 64
    name: ClassVar[str] = "noise"
    kind: ClassVar[str] = "image"

    def __post_init__(self) -> None:
        if self.distribution not in DISTRIBUTIONS:
            raise ValueError(f"noise is {' or '.join(DISTRIBUTIONS)}, not {self.distribution!r}")
        if not _LEAST_DEVIATION <= self.deviation <= _MOST_DEVIATION:
            raise ValueError(
                f"the deviation of noise is {_LEAST_DEVIATION} to {_MOST_DEVIATION}, not {self.deviation}"
            )

    def parameters(self) -> dict[str, Json]:
        """Return the version of the rule and the distribution; the values themselves are secret."""
        parameters: dict[str, Json] = {"version": 1, "distribution": self.distribution}
        if self.distribution == "gaussian":
            parameters["deviation"] = self.deviation
        return parameters

    def sample(self, geometry: Geometry, randomness: Stream) -> Trigger:
        """Draw one picture.

        Args:
            geometry: An ImageGeometry.
            randomness: Read for one byte for every value of the picture, or two for Gaussian noise.

        Returns:
            A trigger whose value is uint8 ``(height, width, channels)``.

        Raises:
            ValueError: The geometry is not an image's.
        """
        sides = image_geometry(geometry, "pictures of noise")
        shape = sides.height, sides.width, sides.channels
        count = sides.height * sides.width * sides.channels
        if self.distribution == "uniform":
            values = np.frombuffer(randomness.read(count), np.uint8)
        else:
            values = _gaussian_values(self.deviation)[np.frombuffer(randomness.read(2 * count), ">u2")]
        return Trigger(IMAGE.name, IMAGE.encode(values.reshape(shape)))


@lru_cache(maxsize=4)
def _gaussian_values(deviation: int) -> Pixels:
    """Return the value of each 16-bit number: the quantile of the middle of its share, uint8 (65536,)."""
    normal = NormalDist(_CENTRE, deviation)
    quantiles = [normal.inv_cdf((number + 0.5) / (1 << 16)) for number in range(1 << 16)]
    return np.clip(np.rint(quantiles), 0, 255).astype(np.uint8)
