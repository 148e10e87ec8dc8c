from statistics import NormalDist

import numpy as np
import pytest

from earmark.commitment import Stream
from earmark.triggers.image import IMAGE, ImageGeometry
from earmark.triggers.noise import NoiseSampler

GEOMETRY = ImageGeometry(64, 64, 3)


def values(sampler, count=30):
    """Float pixels (count, height, width, channels)."""
    return np.stack([sampler.sample(GEOMETRY, Stream("test", n)).value for n in range(count)]).astype(float)


def test_uniform_noise_is_the_stream_itself():
    trigger = NoiseSampler().sample(ImageGeometry(3, 5, 3), Stream("test", 1))
    assert trigger.value.tobytes() == Stream("test", 1).read(45)


def test_all_values_of_uniform_noise_are_as_frequent():
    counts = np.bincount(values(NoiseSampler()).astype(int).ravel(), minlength=256)
    expected = counts.sum() / 256
    chi_square = ((counts - expected) ** 2 / expected).sum()
    assert 150 < chi_square < 390  # 255 degrees of freedom, six deviations of 22.6


@pytest.mark.parametrize("deviation", [32, 64, 128])
def test_gaussian_noise_has_the_shares_of_a_rounded_and_cut_normal(deviation):
    pixels = values(NoiseSampler("gaussian", deviation))
    normal = NormalDist(127.5, deviation)
    count = pixels.size
    for low, high in ((0, 0), (1, 80), (81, 127), (128, 174), (175, 254), (255, 255)):
        below = 0 if low == 0 else normal.cdf(low - 0.5)
        above = 1 if high == 255 else normal.cdf(high + 0.5)
        share = np.mean((pixels >= low) & (pixels <= high))
        error = 6 * ((above - below) * (1 - above + below) / count) ** 0.5 + 2 / (1 << 16)
        assert abs(share - (above - below)) < error, (low, high)


def test_neighbours_channels_and_pictures_have_nothing_in_common():
    for sampler in (NoiseSampler(), NoiseSampler("gaussian")):
        pixels = values(sampler, 4)
        pixels -= pixels.mean()
        scale = np.mean(pixels**2)
        for one, other in (
            (pixels[:, :, 1:], pixels[:, :, :-1]),
            (pixels[:, 1:], pixels[:, :-1]),
            (pixels[..., 0], pixels[..., 1]),
            (pixels[0], pixels[1]),
        ):
            assert abs(np.mean(one * other)) / scale < 6 / one.size**0.5


@pytest.mark.parametrize("sampler", [NoiseSampler(), NoiseSampler("gaussian", 32)])
def test_noise_is_never_nearly_alike(sampler):
    drawn = [sampler.sample(ImageGeometry(8, 8, 1), Stream("test", n)).canonical_bytes for n in range(300)]
    assert IMAGE.nearest(drawn)[2] > IMAGE.too_near


def test_parameters_say_the_distribution_and_nothing_unused():
    assert NoiseSampler().parameters() == {"version": 1, "distribution": "uniform"}
    assert NoiseSampler("gaussian", 40).parameters() == {
        "version": 1, "distribution": "gaussian", "deviation": 40,
    }  # fmt: skip


@pytest.mark.parametrize("arguments", [("pink",), ("gaussian", 31), ("gaussian", 129), ("",)])
def test_other_noise_is_refused(arguments):
    with pytest.raises(ValueError, match="noise"):
        NoiseSampler(*arguments)


def test_only_an_image_geometry_is_drawn():
    with pytest.raises(ValueError, match="image geometry"):
        NoiseSampler().sample("text:80", Stream("test"))
