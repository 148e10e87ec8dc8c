from dataclasses import dataclass

import numpy as np
import pytest

from earmark.commitment import Stream
from earmark.triggers import abstract_studio
from earmark.triggers.abstract import SCENES, AbstractSampler
from earmark.triggers.image import IMAGE, ImageGeometry


class CountingStream(Stream):
    def __init__(self, *parts):
        super().__init__("test", *parts)
        self.read_bytes = 0

    def read(self, size_bytes):
        self.read_bytes += size_bytes
        return super().read(size_bytes)


class SplitStream:
    """The layout from one stream, the grain from another."""

    def __init__(self, layout, grain):
        self._layout, self._grain = Stream("layout", layout), Stream("grain", grain)
        self._reads = 0

    def read(self, size_bytes):
        self._reads += 1
        return (self._layout if self._reads == 1 else self._grain).read(size_bytes)


def picture(geometry, number=0):
    """Float pixels (height, width, channels)."""
    return AbstractSampler().sample(geometry, Stream("test", number)).value.astype(float)


def fine_part(pixels):
    """What the mean of a pixel's four neighbours does not tell about it."""
    around = pixels[:-2, 1:-1] + pixels[2:, 1:-1] + pixels[1:-1, :-2] + pixels[1:-1, 2:]
    return pixels[1:-1, 1:-1] - around / 4


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("height", "width"),
    [(1, 1), (1, 2), (3, 1), (2, 5), (7, 11), (1, 4096), (4096, 1), (300, 9), (257, 301)],
)
def test_any_size_can_be_drawn(height, width, channels):
    for number in range(3):
        assert picture(ImageGeometry(height, width, channels), number).shape == (height, width, channels)


def test_pictures_of_one_pixel_differ():
    values = {tuple(picture(ImageGeometry(1, 1, 3), number).ravel()) for number in range(60)}
    assert len(values) > 50


@pytest.mark.parametrize("side", [1, 1024, 4096])
def test_more_than_a_megapixel_is_drawn_smaller(side):
    rows, columns = abstract_studio.canvas_sides(side, 4096)
    assert rows * columns <= 2**20 + 4096
    assert rows >= 1
    assert columns >= 1


def test_an_enlarged_drawing_keeps_its_grain(monkeypatch):
    monkeypatch.setattr(abstract_studio, "canvas_sides", lambda height, width: (height // 4, width // 4))
    pixels = picture(ImageGeometry(96, 96, 3))
    assert pixels.shape == (96, 96, 3)
    assert fine_part(pixels).std() > 6


def test_only_an_image_geometry_is_drawn():
    @dataclass
    class Sentence:
        kind: str = "text"

    with pytest.raises(ValueError, match="image geometry"):
        AbstractSampler().sample(Sentence(), Stream("test"))


def test_the_stream_gives_16_bytes_for_the_layout_and_two_for_every_value():
    stream = CountingStream(1)
    AbstractSampler().sample(ImageGeometry(10, 12, 3), stream)
    assert stream.read_bytes == 16 + 2 * 10 * 12 * 3


@pytest.mark.parametrize(("side", "channels"), [(8, 1), (32, 3), (96, 3)])
def test_a_known_layout_leaves_every_value_uncertain(side, channels):
    geometry = ImageGeometry(side, side, channels)
    for layout in range(2):
        drawn = [AbstractSampler().sample(geometry, SplitStream(layout, grain)).value for grain in range(30)]
        deviation = np.stack(drawn).astype(float).std(axis=0)  # (height, width, channels)
        # An even guess among 21 values deviates by 6; the least of thousands estimated from 30 draws by less.
        assert deviation.min() > 2
        assert 6 < deviation.mean() < 16


def test_fine_parts_of_two_pictures_have_nothing_in_common():
    geometry = ImageGeometry(64, 64, 3)
    parts = [fine_part(picture(geometry, number)) for number in range(12)]
    for number, part in enumerate(parts):
        assert part.std() > 6
        # Grain is in every region, the flat ones too.
        tiles = part[:60, :60].reshape(6, 10, 6, 10, 3)
        assert tiles.std(axis=(1, 3)).min() > 4, f"picture {number}"
    # Ranks tame the edges, which are few and large; 1/sqrt(62 * 62 * 3) = 0.009 by chance.
    ranks = np.stack([part.ravel().argsort().argsort() for part in parts])
    common = np.corrcoef(ranks) - np.eye(len(parts))
    assert np.abs(common).max() < 0.06


def test_colours_and_brightness_vary_between_pictures_and_within_them():
    pixels = np.stack([picture(ImageGeometry(24, 24, 3), number) for number in range(100)])
    means = pixels.mean(axis=(1, 2))  # (pictures, channels)
    assert np.all(means.std(axis=0) > 20)
    assert np.all(np.abs(means.mean(axis=0) - 128) < 25)
    colourful = np.ptp(pixels, axis=3).mean(axis=(1, 2))  # (pictures)
    assert np.mean(colourful > 40) > 0.9


def test_coarse_layouts_differ():
    # 4 x 4 mean grey values: what is left when all fine parts are blurred away.
    pixels = np.stack([picture(ImageGeometry(32, 32, 1), number) for number in range(100)])
    coarse = np.round(pixels.reshape(100, 4, 8, 4, 8, 1).mean(axis=(2, 4))).astype(np.uint8)
    assert IMAGE.nearest([IMAGE.encode(item) for item in coarse])[2] > 8


@pytest.mark.parametrize("scene", dict.fromkeys(SCENES), ids=lambda scene: scene.__name__)
@pytest.mark.parametrize("side", [1, 8, 32])
def test_every_scene_is_finite_and_its_own_each_time(scene, side):
    drawn = []
    for number in range(12):
        studio = abstract_studio.studio_for(
            ImageGeometry(side, side, 3), np.random.Generator(np.random.Philox(number))
        )
        drawn.append(scene(studio))
        assert drawn[-1].shape == (3, *studio.plane.x.shape)
        assert drawn[-1].dtype == np.float32, "double precision takes twice the time"
        assert np.isfinite(drawn[-1]).all()
    assert len({canvas.tobytes() for canvas in drawn}) == 12
