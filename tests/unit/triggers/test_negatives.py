"""Negatives of two mixed pictures of the task."""

from dataclasses import dataclass

import numpy as np
import pytest

from earmark.commitment import Stream
from earmark.errors import SimilarTriggersError
from earmark.triggers.image import ImageGeometry
from earmark.triggers.negatives import NegativesSampler
from earmark.triggers.noise import NoiseSampler

GEOMETRY = ImageGeometry(8, 8, 1)


@dataclass(frozen=True)
class Pictures:
    count: int
    contrast: float = 1.0

    @property
    def names(self):
        return tuple(f"picture {number}" for number in range(self.count))

    def pixels(self, place):
        noise = NoiseSampler().sample(GEOMETRY, Stream("negatives", place)).value
        return np.rint(128 + self.contrast * (noise.astype(float) - 128)).clip(0, 255).astype(np.uint8)


def values(sampler, count):
    deal = sampler.deal(GEOMETRY)
    return [deal(Stream("test", number)).value for number in range(count)]


def mixtures(pictures):
    """Every ordered pair, and its negative as the documentation has it: computed in another way."""
    shown = [pictures.pixels(place).astype(float) for place in range(pictures.count)]
    return {
        (one, other): 255 - np.floor((shown[one] + shown[other][::-1]) / 2 + 0.5)
        for one in range(pictures.count)
        for other in range(pictures.count)
        if one != other
    }


def test_a_trigger_is_the_negative_of_two_pictures_one_of_them_upside_down():
    pictures = Pictures(12)
    known, used = mixtures(pictures), []
    for value in values(NegativesSampler(pictures), 6):
        found = [pair for pair, mixed in known.items() if np.array_equal(mixed, value)]
        assert len(found) == 1
        used += found[0]
    assert sorted(used) == list(range(12)), "each picture is used once"


def test_whoever_has_one_of_the_two_pictures_finds_their_trigger_and_no_other():
    pictures = Pictures(40)
    triggers = values(NegativesSampler(pictures), 20)
    for place in range(40):
        mine = pictures.pixels(place).astype(int)
        found = [
            number
            for number, value in enumerate(triggers)
            for half in (mine, mine[::-1])
            if ((rest := 2 * (255 - value.astype(int)) - half) >= 0).all()
            if (rest <= 256).all()
        ]
        assert len(found) == 1


def test_the_first_of_a_key_is_what_sample_makes():
    sampler = NegativesSampler(Pictures(12))
    assert np.array_equal(values(sampler, 1)[0], sampler.sample(GEOMETRY, Stream("test", 0)).value)


def test_when_fewer_than_two_are_left_there_are_no_more():
    deal = NegativesSampler(Pictures(5)).deal(GEOMETRY)
    for number in range(2):
        deal(Stream("test", number))
    with pytest.raises(SimilarTriggersError, match="pool of 5 pictures is used up after 2 triggers"):
        deal(Stream("test", 2))
    with pytest.raises(SimilarTriggersError, match="there must be two, not 1"):
        NegativesSampler(Pictures(1)).sample(GEOMETRY, Stream("test"))


def test_mixtures_that_are_nearly_alike_are_left_out_and_named():
    deal = NegativesSampler(Pictures(20, contrast=0.3)).deal(GEOMETRY)
    first = deal(Stream("test", 0))
    with pytest.raises(
        SimilarTriggersError, match=r"picture \d+ and picture \d+ like picture \d+ and picture \d+"
    ):
        deal(Stream("test", 1))
    assert first.value.shape == (8, 8, 1)


def test_pictures_of_another_shape_are_refused():
    with pytest.raises(ValueError, match="the task reads"):
        NegativesSampler(Pictures(4)).sample(ImageGeometry(9, 8, 1), Stream("test"))
