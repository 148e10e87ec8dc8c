from collections import Counter
from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image

from earmark.commitment import Stream
from earmark.errors import SimilarTriggersError
from earmark.keys import OwnerKey, Task, keygen
from earmark.triggers.folder import FolderSampler, squeezed
from earmark.triggers.image import IMAGE, ImageGeometry
from earmark.triggers.in_distribution import InDistributionSampler
from earmark.triggers.noise import NoiseSampler
from earmark.triggers.pool import Dealer
from small import DIGITS

GEOMETRY = ImageGeometry(8, 8, 1)


def noise(number):
    return NoiseSampler().sample(GEOMETRY, Stream("pool", number)).value


def dealer(count, pixels=noise):
    return Dealer([f"picture {number}" for number in range(count)], pixels)


@dataclass(frozen=True)
class HeldOut:
    count: int

    @property
    def names(self):
        return tuple(f"picture {number}" for number in range(self.count))

    def pixels(self, place):
        return noise(place)


def test_a_pool_of_exactly_the_right_size_is_enough():
    deal = dealer(40)
    dealt = {deal(Stream("test", number)).canonical_bytes for number in range(40)}
    assert dealt == {IMAGE.encode(noise(number)) for number in range(40)}
    with pytest.raises(SimilarTriggersError, match="pool of 40 pictures is used up after 40 triggers; add"):
        deal(Stream("test", 40))


def test_every_order_is_as_likely():
    orders = Counter()
    for key in range(1200):
        deal = dealer(3)
        orders[tuple(deal(Stream("test", key, number)).canonical_bytes for number in range(3))] += 1
    assert len(orders) == 6
    # 200 each; the chi-square of 5 degrees of freedom exceeds 30 once in 70,000.
    assert sum((count - 200) ** 2 / 200 for count in orders.values()) < 30


def test_only_pictures_that_are_dealt_are_decoded():
    decoded = []
    deal = dealer(1000, lambda place: decoded.append(place) or noise(place))
    for number in range(10):
        deal(Stream("test", number))
    assert len(decoded) == len(set(decoded)) == 10


@pytest.mark.parametrize(("distance", "alike"), [(24.9, True), (25.1, False)])
def test_nearly_alike_is_what_the_kind_says(distance, alike):
    def pixels(place):
        picture = np.full((100, 100, 1), 100, np.uint8)
        rest = round(100 * 100 * (distance / 100) ** 2)
        picture.reshape(-1)[: rest * place] += 100  # a share of values differs by 100
        return picture

    deal = dealer(2, pixels)
    deal(Stream("test", 0))
    if alike:
        with pytest.raises(SimilarTriggersError, match=r"picture [01] like picture [01]"):
            deal(Stream("test", 1))
    else:
        deal(Stream("test", 1))


def test_the_message_names_five_pairs_and_counts_the_rest():
    deal = dealer(9, lambda place: noise(0))
    deal(Stream("test", 0))
    with pytest.raises(SimilarTriggersError) as raised:
        deal(Stream("test", 1))
    assert "8 left out as nearly alike" in str(raised.value)
    assert str(raised.value).count(" like ") == 5
    assert "and 3 more" in str(raised.value)


def test_large_bright_pictures_are_told_apart_exactly_enough():
    # Where sums of squares are largest, rounding must not make equal pictures differ or others alike.
    def pixels(place):
        picture = np.full((512, 512, 3), 255, np.uint8)
        picture[: 26 * place] = 128
        return picture

    deal = dealer(2, pixels)
    values = [deal(Stream("test", number)).canonical_bytes for number in range(2)]
    assert IMAGE.nearest(values)[2] > IMAGE.too_near
    twins = dealer(2, lambda place: pixels(1))
    twins(Stream("test", 0))
    with pytest.raises(SimilarTriggersError):
        twins(Stream("test", 1))


def test_a_key_uses_a_whole_pool_in_an_order_that_its_secrets_decide():
    def key_of(seed):
        return keygen(
            OwnerKey("Test owner", bytes(range(32))),
            Task(GEOMETRY, DIGITS),
            InDistributionSampler(HeldOut(200)),
            triggers_per_set=100,
            set_count=2,
            random_bytes=np.random.default_rng(seed).bytes,
        )

    one, again, other = key_of(1), key_of(1), key_of(2)
    assert one.triggers == again.triggers
    assert one.triggers != other.triggers
    for key in (one, other):
        used = {trigger.canonical_bytes for triggers in key.triggers.values() for trigger in triggers}
        assert used == {IMAGE.encode(noise(number)) for number in range(200)}
    assert one.transcript.strata[0].parameters == {"version": 1}


def test_a_pool_too_small_for_a_key_is_an_error():
    with pytest.raises(SimilarTriggersError, match="pool of 99 pictures is used up after 99 triggers"):
        keygen(
            OwnerKey("Test owner", bytes(range(32))),
            Task(GEOMETRY, DIGITS),
            InDistributionSampler(HeldOut(99)),
            triggers_per_set=100,
        )


class TestSqueezing:
    def test_all_of_a_picture_is_in_it(self):
        # Marks in the four corners, which any cut to a square would lose on two sides.
        picture = Image.new("L", (90, 30), 0)
        for left, top in ((0, 0), (80, 0), (0, 20), (80, 20)):
            picture.paste(255, (left, top, left + 10, top + 10))
        pixels = squeezed(picture, ImageGeometry(9, 9, 1))[:, :, 0]
        assert pixels[[0, 0, -1, -1], [0, -1, 0, -1]].min() > 220
        assert pixels[4, 4] < 30

    def test_fine_stripes_become_their_mean_and_no_pattern(self):
        stripes = np.tile(np.array([0, 255], np.uint8), (64, 320))
        pixels = squeezed(Image.fromarray(stripes), ImageGeometry(8, 8, 1)).astype(int)
        assert np.abs(pixels - 127).max() <= 2

    @pytest.mark.parametrize(("mode", "channels"), [("L", 3), ("RGB", 1), ("L", 1), ("RGB", 3)])
    def test_grey_and_colour_become_each_other(self, mode, channels):
        picture = Image.new(mode, (20, 10), 100 if mode == "L" else (200, 100, 0))
        pixels = squeezed(picture, ImageGeometry(5, 7, channels))
        assert pixels.shape == (5, 7, channels)
        wanted = [100] * 3 if mode == "L" else [200, 100, 0]
        if channels == 1:
            wanted = [100 if mode == "L" else round(0.299 * 200 + 0.587 * 100)]
        assert np.abs(pixels.astype(int) - wanted).max() <= 1


@pytest.mark.parametrize("sampler", [FolderSampler(HeldOut(1)), InDistributionSampler(HeldOut(1))])
def test_only_an_image_geometry_is_filled(sampler):
    with pytest.raises(ValueError, match="image geometry"):
        sampler.deal("text:80")


def test_held_out_pictures_of_another_shape_are_refused():
    with pytest.raises(ValueError, match="picture 0 is image:8x8x1, but the task reads image:9x8x1"):
        InDistributionSampler(HeldOut(1)).sample(ImageGeometry(9, 8, 1), Stream("test"))
