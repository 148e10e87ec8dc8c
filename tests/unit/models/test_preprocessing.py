from dataclasses import replace

import numpy as np
import pytest

from earmark.errors import FormatError
from earmark.models.preprocessing import Preprocessing, catalogue, for_channels

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 6, 5, 3), np.uint8)


def test_pixels_are_divided_shifted_and_scaled_per_channel():
    done = Preprocessing("255", ("0.1", "0.2", "0.3"), ("0.5", "1", "2"))(IMAGES)
    expected = (IMAGES / 255 - [0.1, 0.2, 0.3]) / [0.5, 1, 2]
    assert done.dtype == np.float32
    np.testing.assert_allclose(done, expected.transpose(0, 3, 1, 2), atol=1e-6)


def test_layout_and_channel_order():
    swapped = Preprocessing("1", channel_order="BGR", layout="NHWC")(IMAGES)
    np.testing.assert_array_equal(swapped, IMAGES[..., ::-1].astype(np.float32))


def test_grey_becomes_colour_and_colour_grey():
    grey = IMAGES[..., :1]
    np.testing.assert_array_equal(
        Preprocessing("1")(grey), np.repeat(grey, 3, 3).transpose(0, 3, 1, 2).astype(np.float32)
    )
    to_grey = replace(for_channels(1), divisor="1", mean=("0",), std=("1",))(IMAGES)
    expected = IMAGES @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(to_grey[:, 0], expected, atol=0.51)


def test_images_are_resized_to_the_size_that_is_given():
    assert Preprocessing(size=(12, 7))(IMAGES).shape == (3, 3, 12, 7)
    np.testing.assert_array_equal(Preprocessing(size=(6, 5))(IMAGES), Preprocessing()(IMAGES))
    assert Preprocessing(size=(2, 2), interpolation="nearest")(IMAGES[..., :1]).shape == (3, 3, 2, 2)


@pytest.mark.parametrize("bad", [IMAGES[0], IMAGES.astype(np.float32)])
def test_other_arrays_are_refused(bad):
    with pytest.raises(ValueError, match="expected uint8"):
        Preprocessing()(bad)


@pytest.mark.parametrize("channels", [1, 3])
def test_every_catalogue_entry_is_different_and_survives_its_json(channels):
    entries = catalogue(channels)
    assert len(entries) == 32
    for entry in entries.values():
        assert Preprocessing.from_json(entry.to_json()) == entry
        assert entry(IMAGES).shape in ((3, channels, 6, 5), (3, 6, 5, channels))


@pytest.mark.parametrize(
    "change",
    [
        {"divisor": "0"}, {"divisor": "nan"}, {"divisor": "1e9999"}, {"divisor": "x"}, {"divisor": 255},
        {"std": ["0", "1", "1"]}, {"std": ["1"]}, {"mean": [0, 0, 0]}, {"mean": ["0"] * 4}, {"mean": "000"},
        {"mean": ["9" * 40, "0", "0"]}, {"channels": 2}, {"channels": True}, {"channel_order": "RBG"},
        {"size": [0, 5]}, {"size": [5000, 5]}, {"size": [5]}, {"size": ["5", "5"]}, {"size": 5},
        {"interpolation": "magic"}, {"layout": "CHWN"}, {"unknown": 1},
    ],
)  # fmt: skip
def test_malformed_preprocessing_is_refused(change):
    with pytest.raises(FormatError):
        Preprocessing.from_json({**Preprocessing().to_json(), **change})


def test_a_missing_field_is_refused():
    value = Preprocessing().to_json()
    del value["mean"]
    with pytest.raises(FormatError, match="no field 'mean'"):
        Preprocessing.from_json(value)


def test_it_says_what_it_does_in_words():
    assert str(Preprocessing(size=(8, 9))).startswith("resized to 8x9, 3 channel(s) RGB, divided by 255")
