"""Pictures like the triggers that are none: against thieves who have the sampler and not the secrets.

Such a thief makes pictures of his own and trains the model to answer them as if it had no mark. Without more,
that undoes the mark, for the model knows its triggers by their kind. Here it learns in the marking that most
pictures of this kind mean nothing: it answers them as it answers them blurred, and triggers are exceptions
that it has to know one by one. What such a thief teaches, it already knows.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from earmark.commitment import Stream
from earmark.models.preprocessing import Preprocessing
from earmark.triggers import Sampler
from earmark.triggers.image import ImageGeometry

_LABEL = "earmark/look-alike/v1"
_REACH = 3  # standard deviations, beyond which a blur is nothing


@dataclass(frozen=True, slots=True)
class LookAlikes:
    """Which pictures are shown beside the triggers, and how much they count.

    Attributes:
        sampler: Of the triggers' kind, as a thief can have it, e.g. ``AbstractSampler()``.
        count: How many there are.
        per_batch: How many are shown in a step; each costs as much as two clean pictures.
        weight: Of their mean loss.
        blur: Standard deviation in pixels, by which a picture loses what a trigger is known by.

    Source:
        ours
    """

    sampler: Sampler
    count: int = 3000
    per_batch: int = 16
    weight: float = 0.1
    blur: float = 2.0

    def __post_init__(self) -> None:
        if min(self.count, self.per_batch) < 1:
            raise ValueError("count and per_batch must be at least 1")
        if not (0 < self.weight < float("inf") and 0 < self.blur <= 100):
            raise ValueError("weight must be positive and finite, blur between 0 and 100 pixels")

    def inputs(
        self,
        geometry: ImageGeometry,
        preprocessing: Preprocessing,
        seed: int,
        on_made: Callable[[int, int], None] = lambda made, total: None,
    ) -> Tensor:
        """Make them.

        Args:
            geometry: Of the triggers.
            preprocessing: To what the network reads.
            seed: Of the training: not secret, for a thief can make pictures of this kind anyway.
            on_made: Called after each with how many there are and will be.

        Returns:
            ``(count, channels, height, width)``.
        """
        made = []
        for number in range(self.count):
            made.append(self.sampler.sample(geometry, Stream(_LABEL, seed, number)).value)
            on_made(number + 1, self.count)
        return torch.from_numpy(preprocessing(np.stack(made)))


def blurred(inputs: Tensor, deviation: float) -> Tensor:
    """Return pictures ``(batch, channels, height, width)`` under a Gaussian blur, mirrored at their edges.

    Args:
        inputs: What the network reads.
        deviation: In pixels, above 0.
    """
    reach = min(round(_REACH * deviation), min(inputs.shape[2:]) - 1)
    if reach < 1:
        return inputs
    places = torch.arange(-reach, reach + 1, dtype=inputs.dtype, device=inputs.device)
    window = torch.exp(-(places**2) / (2 * deviation**2))
    window = window / window.sum()
    channels = inputs.shape[1]
    padded = nn.functional.pad(inputs, (reach, reach, reach, reach), mode="reflect")
    rows = window.view(1, 1, 1, -1).expand(channels, 1, 1, -1)
    across = nn.functional.conv2d(padded, rows, groups=channels)
    return nn.functional.conv2d(across, rows.transpose(2, 3), groups=channels)
