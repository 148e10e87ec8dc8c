"""The sampler "negatives": the negative of two of the task's pictures, mixed."""

from dataclasses import dataclass
from typing import ClassVar

from earmark.triggers.image import Pixels
from earmark.triggers.mixtures import MixturesSampler, mixed


@dataclass(frozen=True, slots=True)
class NegativesSampler(MixturesSampler):
    """Mixes two pictures of the task, one of them upside down, and takes the negative.

    To a network such a picture is of no class, as an abstract one; but its colours, edges and contrasts are
    those of the task's pictures, so that who refuses what looks strange refuses few of them. Who has this
    sampler and such pictures can learn to tell them all the same.

    Each picture is used at most once in a key. Whoever has one of two pictures finds their trigger among what
    he is asked: take away from it what is his, and what is left is a picture too, as it hardly ever is of
    others.

    Its attributes are those of ``MixturesSampler``.

    Source:
        ours
    """

    name: ClassVar[str] = "negatives"

    @staticmethod
    def mix(one: Pixels, other: Pixels) -> Pixels:
        """Return the negative of a picture and another one upside down."""
        return 255 - mixed(one, other[::-1])
