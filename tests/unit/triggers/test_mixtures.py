"""Two pictures of the task, mixed."""

from dataclasses import dataclass

import numpy as np
import pytest

from earmark.commitment import Stream
from earmark.errors import SimilarTriggersError
from earmark.triggers.image import ImageGeometry
from earmark.triggers.mixtures import MixturesSampler
from earmark.triggers.noise import NoiseSampler

GEOMETRY = ImageGeometry(8, 8, 1)


@dataclass(frozen=True)
class Pictures:
    count: int

    @property
    def names(self):
        return tuple(f"picture {number}" for number in range(self.count))

    def pixels(self, place):
        return NoiseSampler().sample(GEOMETRY, Stream("mixtures", place)).value


def values(sampler, count):
    deal = sampler.deal(GEOMETRY)
    return [deal(Stream("test", number)).value for number in range(count)]


def pair_of(pictures, value):
    """Which two pictures a mixture is of: of no other two is it the mean, rounded up."""
    shown = [pictures.pixels(place).astype(float) for place in range(pictures.count)]
    found = [
        (one, other)
        for other in range(pictures.count)
        for one in range(other)
        if np.array_equal(np.floor((shown[one] + shown[other]) / 2 + 0.5), value)
    ]
    assert len(found) == 1
    return found[0]


def test_a_trigger_is_the_mean_of_two_pictures_each_of_which_is_used_once():
    pictures = Pictures(12)
    used = [place for value in values(MixturesSampler(pictures), 6) for place in pair_of(pictures, value)]
    assert sorted(used) == list(range(12))


def test_whoever_has_one_of_the_two_pictures_finds_their_trigger_and_no_other():
    pictures = Pictures(40)
    triggers = values(MixturesSampler(pictures), 20)
    for place in range(40):
        rests = [2 * value.astype(int) - pictures.pixels(place) for value in triggers]
        assert sum(bool(((rest >= 0) & (rest <= 256)).all()) for rest in rests) == 1


def test_of_chosen_pairs_each_is_dealt_once_and_no_other():
    pictures, pairs = Pictures(6), ((0, 1), (1, 2), (5, 3), (0, 4))
    made = values(MixturesSampler(pictures, pairs), 4)
    assert {pair_of(pictures, value) for value in made} == {(0, 1), (1, 2), (3, 5), (0, 4)}
    deal = MixturesSampler(pictures, pairs[:1]).deal(GEOMETRY)
    deal(Stream("test", 0))
    with pytest.raises(SimilarTriggersError, match="pool of 1 pictures is used up after 1 triggers"):
        deal(Stream("test", 1))


@pytest.mark.parametrize("pairs", [None, ((0, 1), (2, 3), (4, 5))])
def test_the_first_of_a_key_is_what_sample_makes(pairs):
    sampler = MixturesSampler(Pictures(12), pairs)
    assert np.array_equal(values(sampler, 1)[0], sampler.sample(GEOMETRY, Stream("test", 0)).value)


def test_one_picture_makes_no_mixture():
    with pytest.raises(SimilarTriggersError, match="there must be two, not 1"):
        MixturesSampler(Pictures(1)).sample(GEOMETRY, Stream("test"))


@pytest.mark.parametrize("pairs", [None, ((0, 1),)])
def test_pictures_of_another_shape_are_refused(pairs):
    with pytest.raises(ValueError, match="the task reads"):
        MixturesSampler(Pictures(4), pairs).sample(ImageGeometry(9, 8, 1), Stream("test"))


def test_what_is_public_does_not_say_what_was_mixed():
    assert MixturesSampler(Pictures(4), ((0, 1),)).parameters() == {"version": 1}
