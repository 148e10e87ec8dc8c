"""The sampler "abstract": pictures of no subject, layered from shapes, gradients and textures.

A picture is composed on a plane of continuous coordinates, several canvas pixels to one picture pixel:

    warps    bend the plane (kaleidoscope, swirl, mirrors, ...)
    shades   turn a plane into heights, which a palette turns into colours
    shapes   turn a plane into distances from an outline, negative inside
    scenes   put shades and shapes together

Then it is reduced to its size, stretched in contrast, and strewn with grain, the fine part that nobody
can guess even if they guess the scene.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from earmark.commitment import Stream
from earmark.commitment.canonical import Json
from earmark.triggers.image import IMAGE, ImageGeometry, Pixels
from earmark.triggers.trigger import Geometry, Trigger

_LAYOUT_KEY_BYTES = 16
_TURN = float(2 * np.pi)
_TABLE_SIDE = 64  # side of the tables of random values at lattice points; a power of two, to wrap by a mask
_RAMP_STEPS = 256

Field = npt.NDArray[np.float32]
_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class AbstractSampler:
    """Makes abstract pictures of any size, grey or colour.

    The layout (16 bytes of the stream, spread by Philox) and the grain (two bytes of the stream for
    every value) are independent, so a guessed layout still leaves every pixel uncertain. The same
    stream gives the same picture with the same numpy and Pillow; keys store the pictures themselves.

    Source:
        ours, after the abstract images of Adi et al. 2018, Section 5
    """

    name: ClassVar[str] = "abstract"
    kind: ClassVar[str] = "image"

    def parameters(self) -> dict[str, Json]:
        """Return the version of the drawing rules."""
        return {"version": 1}

    def sample(self, geometry: Geometry, randomness: Stream) -> Trigger:
        """Draw one picture.

        Args:
            geometry: An ImageGeometry: sides of 1 to 4096 pixels, 1 or 3 channels.
            randomness: Read for 16 bytes, then for two bytes for every value of the picture.

        Returns:
            A trigger whose value is uint8 ``(height, width, channels)``.

        Raises:
            ValueError: The geometry is not an image's.
        """
        if not isinstance(geometry, ImageGeometry):
            raise ValueError(f"abstract pictures need an image geometry, not {geometry}")
        key = int.from_bytes(randomness.read(_LAYOUT_KEY_BYTES), "big")
        studio = _studio(geometry, np.random.Generator(np.random.Philox(key=key)))
        canvas = _lit(studio, studio.pick(SCENES)(studio))
        picture = _stretched(_resized(canvas, geometry), geometry, studio)
        return Trigger(IMAGE.name, IMAGE.encode(_grained(picture, randomness)))


@dataclass(frozen=True, slots=True)
class _Plane:
    """Coordinates of the canvas pixels, float32 (rows, columns); a square canvas spans -1 to 1."""

    x: Field
    y: Field

    @property
    def radius(self) -> Field:
        return np.hypot(self.x, self.y)

    @property
    def angle(self) -> Field:
        """In turns, -0.5 to 0.5."""
        return np.arctan2(self.y, self.x) / np.float32(_TURN)

    def moved(self, right: float, up: float, turn: float = 0.0, zoom: float = 1.0) -> "_Plane":
        """Return the plane seen from another origin, turned (in turns) and scaled."""
        x, y = self.x - np.float32(right), self.y - np.float32(up)
        cosine, sine = np.float32(np.cos(_TURN * turn) / zoom), np.float32(np.sin(_TURN * turn) / zoom)
        return _Plane(x * cosine + y * sine, y * cosine - x * sine)

    @staticmethod
    def polar(radius: Field, angle: Field) -> "_Plane":
        return _Plane(radius * np.cos(angle * np.float32(_TURN)), radius * np.sin(angle * np.float32(_TURN)))


@dataclass(frozen=True, slots=True)
class _Studio:
    """What a scene works with.

    Attributes:
        rng: Decides everything but the grain.
        plane: The canvas.
        palette: Colours, float32 (colours, 3), 0 to 1, no two adjacent ones alike in lightness.
        detail: How many features fit side by side; a thumbnail of 8 pixels has room for few.
        pixel: Side of a canvas pixel in units of the plane.
    """

    rng: np.random.Generator
    plane: _Plane
    palette: Field
    detail: float
    pixel: float

    def pick(self, items: Sequence[_Item]) -> _Item:
        return items[int(self.rng.integers(len(items)))]

    def between(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def count(self, low: int, high: int) -> int:
        """Return a random count, low to high, but no more than there is room for."""
        return int(self.rng.integers(low, max(low, min(high, round(self.detail))) + 1))

    def colour(self) -> Field:
        return self.palette[int(self.rng.integers(len(self.palette)))]

    def wandered(self, reach: float = 0.7) -> _Plane:
        """Return the canvas moved, turned and zoomed at random."""
        shift = self.between(-reach, reach), self.between(-reach, reach)
        return self.plane.moved(*shift, self.between(0, 1), self.between(0.7, 1.5))

    def ramp(self, height: Field) -> Field:
        """Colour heights with the palette; the colours come round again at every whole number."""
        order = self.rng.permutation(len(self.palette))[: self.pick((2, 3, 4, 6))]
        place = np.linspace(0, len(order), _RAMP_STEPS, endpoint=False)
        low = place.astype(int)
        share = self.pick(_RAMP_STYLES)(place - low)[:, None]
        stops = self.palette[order]
        table = stops[low] * (1 - share) + stops[(low + 1) % len(order)] * share
        steps = (height * np.float32(_RAMP_STEPS)).astype(np.int32) & (_RAMP_STEPS - 1)
        return table.astype(np.float32)[steps]

    def shade(self, plane: _Plane) -> Field:
        """Colour the plane by a random shade, perhaps two added up."""
        height = self.pick(SHADES)(self, plane)
        if self.rng.random() < 0.35:
            height = height + self.pick(SHADES)(self, plane) * np.float32(self.between(0.2, 0.6))
        return self.ramp(height + np.float32(self.between(0, 1)))

    def scattered(self, index: npt.NDArray[np.int32]) -> Field:
        """Return one random value in [0, 1) for each distinct index."""
        table = self.rng.random(_TABLE_SIDE**2, dtype=np.float32)
        return table[index & (_TABLE_SIDE**2 - 1)]

    def stamp(self, canvas: Field, distance: Field, fill: Field) -> None:
        """Paint the inside of an outline over the canvas, with a shadow, a rim or rings at times."""
        if self.rng.random() < 0.4:
            reach = np.float32(self.between(0.04, 0.15))
            canvas *= (1 - 0.55 * np.exp(-np.maximum(distance, 0) / reach))[..., None]
        self.cover(canvas, distance, fill)
        rims = self.pick((0, 0, 1, 1, 2))
        for rim in range(rims):
            width = np.float32(max(self.between(0.012, 0.04), self.pixel))
            self.cover(canvas, np.abs(distance + rim * 3 * width) - width, self.colour())

    def cover(self, canvas: Field, distance: Field, fill: Field) -> None:
        """Paint a colour or a picture over the canvas where the distance is negative."""
        share = np.clip(0.5 - distance / np.float32(self.pixel), 0, 1)[..., None]
        canvas += share * (fill - canvas)


def _smooth(part: Field) -> Field:
    return part * part * (3 - 2 * part)


_RAMP_STYLES: tuple[Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]], ...] = (
    lambda part: part,  # blending evenly
    lambda part: np.floor(part),  # flat bands
    lambda part: np.clip(part * 4 - 3, 0, 1),  # bands with soft edges
    lambda part: part**3,  # bands that glow towards the next
)


def _studio(geometry: ImageGeometry, rng: np.random.Generator) -> _Studio:
    rows, columns = _canvas_sides(geometry)
    # Beyond 3:1 the plane is stretched: else a ribbon would show a thin section of the middle only.
    aspect = float(np.clip(geometry.width / geometry.height, 1 / 3, 3)) ** 0.5
    x = ((np.arange(columns, dtype=np.float32) + 0.5) / columns * 2 - 1) * np.float32(aspect)
    y = ((np.arange(rows, dtype=np.float32) + 0.5) / rows * 2 - 1) / np.float32(aspect)
    plane = _Plane(*(np.ascontiguousarray(side) for side in np.meshgrid(x, y)))
    detail = min(24.0, max(1.5, min(geometry.height, geometry.width) ** 0.75 * 0.6))
    return _Studio(rng, plane, _palette(rng), detail, float(2 / (rows * columns) ** 0.5))


def _canvas_sides(geometry: ImageGeometry) -> tuple[int, int]:
    sides = geometry.height, geometry.width
    area = geometry.height * geometry.width
    for fineness, most in ((8, 12**2), (4, 24**2), (3, 64**2), (2, 256**2)):
        if area <= most:
            return sides[0] * fineness, sides[1] * fineness
    # Above a megapixel the drawing is enlarged; the grain is fine all the same.
    return tuple(max(1, round(side * min(1.0, (2**20 / area) ** 0.5))) for side in sides)  # type: ignore


def _palette(rng: np.random.Generator) -> Field:
    """Return six colours of related hues and spread lightness, float32 (6, 3), by OKLCH."""
    schemes = (
        (0, 0.06, -0.06, 0.5, 0.56),
        (0, 0.33, 0.67),
        (0, 0.08, 0.16, 0.24, -0.08),
        (0, 0.42, 0.58),
        (0, 0.25, 0.5, 0.75),
        (0, 0.02, 0.5),
    )
    scheme = np.array(schemes[int(rng.integers(len(schemes)))])
    hue = _TURN * (rng.random() + rng.permutation(np.resize(scheme, 6)) + rng.normal(0, 0.02, 6))
    lightness = rng.permutation(np.linspace(rng.uniform(0.12, 0.3), rng.uniform(0.88, 0.98), 6))
    chroma = rng.uniform(0.04, 0.24, 6) * np.clip(1.6 - np.abs(lightness - 0.6) * 2.5, 0.3, 1)
    lab = np.stack([lightness, chroma * np.cos(hue), chroma * np.sin(hue)])
    cones = np.array([[1, 0.3963, 0.2158], [1, -0.1056, -0.0639], [1, -0.0895, -1.2915]]) @ lab
    linear = np.array([[4.0767, -3.3077, 0.2310], [-1.2684, 2.6098, -0.3413], [-0.0042, -0.7034, 1.7076]])
    colours = np.clip(linear @ cones**3, 0, 1) ** (1 / 2.2)
    return colours.T.astype(np.float32)


# Warps


def _kaleidoscope(studio: _Studio, plane: _Plane) -> _Plane:
    return _folded(plane, studio.count(3, 12))


def _folded(plane: _Plane, folds: int) -> _Plane:
    angle = plane.angle * folds
    return _Plane.polar(plane.radius, np.abs(angle - np.round(angle)) / folds)


def _swirl(studio: _Studio, plane: _Plane) -> _Plane:
    radius = plane.radius
    return _Plane.polar(radius, plane.angle + np.float32(studio.between(-0.6, 0.6)) * np.exp(-2 * radius))


def _ripple(studio: _Studio, plane: _Plane) -> _Plane:
    force = np.float32(studio.between(0.05, 0.2))
    pace = np.float32(studio.between(2, 2 + studio.detail / 3))
    return _Plane(plane.x + force * np.sin(pace * plane.y), plane.y + force * np.sin(pace * plane.x + 1))


def _mirrors(studio: _Studio, plane: _Plane) -> _Plane:
    side = np.float32(studio.between(0.5, 1.2))
    return _Plane(*(np.abs(part - side * 2 * np.round(part / (side * 2))) for part in (plane.x, plane.y)))


def _clouded(studio: _Studio, plane: _Plane) -> _Plane:
    force = np.float32(studio.between(0.2, 0.6))
    return _Plane(plane.x + force * _noise(studio, plane, 1.5), plane.y + force * _noise(studio, plane, 1.5))


def _unwarped(_: _Studio, plane: _Plane) -> _Plane:
    return plane


WARPS = (_kaleidoscope, _kaleidoscope, _swirl, _ripple, _mirrors, _clouded, _unwarped)


# Shades


def _noise(studio: _Studio, plane: _Plane, frequency: float) -> Field:
    """Return smooth noise, 0 to 1, with random values at the points of a lattice."""
    table = studio.rng.random((_TABLE_SIDE, _TABLE_SIDE), dtype=np.float32)
    x, y = plane.x * np.float32(frequency) + 31.5, plane.y * np.float32(frequency) + 31.5
    column, row = np.floor(x).astype(np.int32), np.floor(y).astype(np.int32)
    right, down = _smooth(x - column), _smooth(y - row)
    column, row = column & (_TABLE_SIDE - 1), row & (_TABLE_SIDE - 1)
    next_column, next_row = (column + 1) & (_TABLE_SIDE - 1), (row + 1) & (_TABLE_SIDE - 1)
    upper = table[row, column] * (1 - right) + table[row, next_column] * right
    lower = table[next_row, column] * (1 - right) + table[next_row, next_column] * right
    return upper + (lower - upper) * down


def _linear(studio: _Studio, plane: _Plane) -> Field:
    return plane.x * np.float32(studio.between(0.4, 0.4 + studio.detail / 8))


def _radial(studio: _Studio, plane: _Plane) -> Field:
    return plane.radius * np.float32(studio.between(0.5, 0.5 + studio.detail / 6))


def _conic(studio: _Studio, plane: _Plane) -> Field:
    return plane.angle * np.float32(studio.count(1, 8))


def _spiral(studio: _Studio, plane: _Plane) -> Field:
    bend = np.log(plane.radius + np.float32(0.05)) * np.float32(studio.between(-1.5, 1.5))
    return plane.angle * np.float32(studio.count(1, 6)) + bend


def _waves(studio: _Studio, plane: _Plane) -> Field:
    pace = np.float32(studio.between(2, 2 + studio.detail))
    return np.sin(plane.x * pace) * np.cos(plane.y * pace) * np.float32(0.5)


def _checker(studio: _Studio, plane: _Plane) -> Field:
    pace = np.float32(studio.between(1, 1 + studio.detail / 4))
    return (np.floor(plane.x * pace) + np.floor(plane.y * pace)) * np.float32(0.5)


def _moire(studio: _Studio, plane: _Plane) -> Field:
    pace = np.float32(studio.between(4, 6 + studio.detail))
    other = plane.moved(studio.between(0.2, 0.8), studio.between(-0.5, 0.5))
    return (np.sin(plane.radius * pace) + np.sin(other.radius * pace)) * np.float32(0.3)


def _clouds(studio: _Studio, plane: _Plane) -> Field:
    pace = studio.between(1, 1.5 + studio.detail / 12)
    octaves = [_noise(studio, plane, pace * 2**octave) * np.float32(0.55**octave) for octave in range(3)]
    return np.float32(studio.between(0.8, 1.8)) * sum(octaves[1:], octaves[0])


def _petals(studio: _Studio, plane: _Plane) -> Field:
    wave = np.cos(plane.angle * np.float32(_TURN * studio.count(3, 12)))
    return plane.radius * np.float32(studio.between(1, 2.5)) + wave * np.float32(studio.between(0.1, 0.4))


SHADES: tuple[Callable[[_Studio, _Plane], Field], ...] = (
    _linear,
    _radial,
    _conic,
    _spiral,
    _waves,
    _checker,
    _moire,
    _clouds,
    _clouds,
    _petals,
)


# Shapes: size is about the radius


def _disc(_: _Studio, plane: _Plane, size: float) -> Field:
    return plane.radius - np.float32(size)


def _ring(studio: _Studio, plane: _Plane, size: float) -> Field:
    return np.abs(plane.radius - np.float32(size * 0.8)) - np.float32(size * studio.between(0.1, 0.3))


def _polygon(studio: _Studio, plane: _Plane, size: float) -> Field:
    return _folded(plane, studio.pick((3, 4, 4, 5, 6, 8))).x - np.float32(size * 0.85)


def _star(studio: _Studio, plane: _Plane, size: float) -> Field:
    tips = _folded(plane, studio.pick((4, 5, 6, 8, 12)))
    slope = np.float32(studio.between(0.6, 1.6))
    return (tips.x + tips.y * slope - np.float32(size)) * np.float32(0.7)


def _rosette(studio: _Studio, plane: _Plane, size: float) -> Field:
    wave = np.cos(plane.angle * np.float32(_TURN * studio.count(3, 9)))
    return plane.radius - np.float32(size) * (np.float32(0.78) + np.float32(0.22) * wave)


def _ellipse(studio: _Studio, plane: _Plane, size: float) -> Field:
    slim = np.float32(studio.between(1.4, 2.6))
    return (np.hypot(plane.x, plane.y * slim) - np.float32(size)) / slim


def _leaf(_: _Studio, plane: _Plane, size: float) -> Field:
    return np.hypot(plane.x, np.abs(plane.y) + np.float32(size * 0.75)) - np.float32(size * 1.25)


def _crescent(studio: _Studio, plane: _Plane, size: float) -> Field:
    bite = plane.moved(size * studio.between(0.3, 0.6), 0).radius
    return np.maximum(plane.radius - np.float32(size), np.float32(size * 0.85) - bite)


def _cross(studio: _Studio, plane: _Plane, size: float) -> Field:
    x, y = np.abs(plane.x), np.abs(plane.y)
    arm = np.float32(size * studio.between(0.2, 0.4))
    return np.maximum(np.maximum(x, y) - np.float32(size), np.minimum(x, y) - arm)


def _band(_: _Studio, plane: _Plane, size: float) -> Field:
    return np.abs(plane.y) - np.float32(size * 0.4)


SHAPES: tuple[Callable[[_Studio, _Plane, float], Field], ...] = (
    _disc,
    _disc,
    _ring,
    _polygon,
    _polygon,
    _star,
    _rosette,
    _ellipse,
    _leaf,
    _crescent,
    _cross,
    _band,
)
MOTIFS = (_disc, _ring, _polygon, _star, _ellipse, _leaf, _leaf, _crescent)


# Scenes


def _mandala(studio: _Studio) -> Field:
    plane = studio.plane.moved(studio.between(-0.3, 0.3), studio.between(-0.3, 0.3), studio.between(0, 1))
    folds = studio.count(3, 12)
    canvas = studio.shade(_folded(plane, folds))
    rings = studio.count(2, 5)
    for ring in range(rings):
        reach = 1.15 * (1 - ring / rings) * studio.between(0.85, 1.1)
        order = folds * studio.pick((1, 1, 2)) if reach > 0.4 else folds
        tile = _folded(plane.moved(0, 0, studio.pick((0, 0.5)) / order), order)
        if studio.rng.random() < 0.6:
            studio.stamp(canvas, plane.radius - np.float32(reach * 1.02), studio.shade(tile))
        size = min(2.6 * reach / order, 0.4) * studio.between(0.7, 1.3)
        motif = studio.pick(MOTIFS)(studio, tile.moved(reach * 0.75, 0), size)
        studio.stamp(canvas, motif, studio.colour())
    studio.stamp(canvas, studio.pick(SHAPES[:-1])(studio, plane, studio.between(0.1, 0.3)), studio.colour())
    return canvas


def _tracery(studio: _Studio) -> Field:
    plane = studio.wandered()
    for _ in range(2):
        plane = studio.pick(WARPS)(studio, plane)
    return studio.shade(plane)


def _collage(studio: _Studio) -> Field:
    canvas = studio.shade(studio.pick(WARPS)(studio, studio.wandered()))
    for number in range(studio.count(3, 8)):
        plane = studio.plane.moved(studio.between(-0.9, 0.9), studio.between(-0.9, 0.9), studio.between(0, 1))
        distance = studio.pick(SHAPES)(studio, plane, studio.between(0.3, 0.75) * 0.93**number)
        fill = studio.shade(plane) if studio.rng.random() < 0.4 else studio.colour()
        studio.stamp(canvas, distance, fill)
    return canvas


def _quilt(studio: _Studio) -> Field:
    """Tiles with quarter discs, triangles and stripes, each turned its own way."""
    plane = studio.wandered() if studio.rng.random() < 0.4 else studio.plane
    pace = np.float32(studio.count(2, 7) / 2)
    x, y = plane.x * pace + 64, plane.y * pace + 64
    column, row = x.astype(np.int32), y.astype(np.int32)
    index = row * 131 + column
    x, y = x - column - np.float32(0.5), y - row - np.float32(0.5)
    flip, turn = studio.scattered(index) < 0.5, studio.scattered(index) < 0.5
    x, y = np.where(flip, -x, x), np.where(turn, -y, y)
    corner = np.hypot(x + np.float32(0.5), y + np.float32(0.5))
    designs = (
        corner - 1,
        np.hypot(x, y) - np.float32(0.36),
        x + y,
        np.abs(corner - np.float32(0.5)) - np.float32(0.17),
        np.abs(x) - np.float32(0.25),
        np.maximum(-x, y),
        np.abs(x) + np.abs(y) - np.float32(0.5),
    )
    kinds = (studio.scattered(index) * len(designs)).astype(np.int32)
    distance = np.choose(kinds, designs) / pace
    canvas = studio.palette[(studio.scattered(index) * 6).astype(np.int32)]
    studio.cover(canvas, distance, studio.palette[(studio.scattered(index) * 6).astype(np.int32)])
    return canvas


def _orbits(studio: _Studio) -> Field:
    """Rings cut into sectors, each sector of its own colour."""
    plane = studio.wandered(0.9)
    if studio.rng.random() < 0.4:
        plane = studio.pick(WARPS)(studio, plane)
    ring = np.sqrt(plane.radius) if studio.rng.random() < 0.3 else plane.radius
    ring = (ring * np.float32(studio.between(2, 2 + studio.detail / 3))).astype(np.int32)
    cuts = np.floor(1 + studio.scattered(ring) * np.float32(min(12, studio.detail)))
    sector = ((plane.angle + 0.5 + studio.scattered(ring)) * cuts).astype(np.int32)
    sector = sector % cuts.astype(np.int32)
    return studio.palette[(studio.scattered(ring * 37 + sector) * 6).astype(np.int32)]


def _mosaic(studio: _Studio) -> Field:
    """Cells around random points, with joints between them."""
    plane = studio.pick(WARPS)(studio, studio.wandered()) if studio.rng.random() < 0.5 else studio.plane
    points = studio.rng.uniform(-1.3, 1.3, (studio.count(5, 24), 2)).astype(np.float32)
    nearest = np.full_like(plane.x, np.inf)
    second = nearest.copy()
    owner = np.zeros(plane.x.shape, np.int32)
    for number, (right, up) in enumerate(points):
        distance = np.hypot(plane.x - right, plane.y - up)
        closer = distance < nearest
        owner[closer] = number
        second = np.minimum(second, np.maximum(nearest, distance))
        nearest = np.minimum(nearest, distance)
    canvas = studio.palette[(studio.scattered(owner) * 6).astype(np.int32)]
    canvas *= 1 - np.clip(nearest, 0, 1)[..., None] * np.float32(studio.between(0, 0.9))
    studio.cover(canvas, second - nearest - np.float32(studio.between(0, 0.06)), studio.colour())
    return canvas


def _strata(studio: _Studio) -> Field:
    """A sky with a disc behind ranges of hills."""
    plane = studio.plane.moved(0, 0, studio.pick((0, 0.25, 0.5, 0.75)) + studio.between(-0.08, 0.08))
    canvas = studio.shade(plane.moved(studio.between(-1, 1), 0, 0.25))
    sun = plane.moved(studio.between(-0.7, 0.7), studio.between(-0.6, 0.2))
    studio.stamp(canvas, studio.pick(MOTIFS)(studio, sun, studio.between(0.2, 0.55)), studio.colour())
    hills = studio.count(3, 7)
    for hill in range(hills):
        crest = -0.6 + 1.5 * (hill + studio.between(0, 1)) / hills
        relief = np.float32(studio.between(0.2, 0.7)) * _noise(
            studio, plane.moved(0, hill * 9), studio.between(1, 4)
        )
        studio.stamp(canvas, np.float32(crest) - plane.y - relief + np.float32(0.2), studio.colour())
    return canvas


def _bubbles(studio: _Studio) -> Field:
    canvas = studio.shade(studio.wandered())
    number = studio.count(4, 16)
    for _ in range(number):
        plane = studio.plane.moved(studio.between(-1.1, 1.1), studio.between(-1.1, 1.1), studio.between(0, 1))
        size = studio.between(0.15, 0.9) * (4 / number) ** 0.4
        rings = studio.pick((1, 1, 2, 3, 4))
        for ring in range(rings):
            studio.cover(canvas, plane.radius - np.float32(size * (1 - ring / rings)), studio.colour())
        if studio.rng.random() < 0.4:
            studio.cover(canvas, np.maximum(plane.radius - np.float32(size), plane.y), studio.colour())
    return canvas


SCENES: tuple[Callable[[_Studio], Field], ...] = (
    _mandala,
    _mandala,
    _tracery,
    _tracery,
    _collage,
    _collage,
    _quilt,
    _orbits,
    _mosaic,
    _strata,
    _bubbles,
)


# From canvas to pixels


def _lit(studio: _Studio, canvas: Field) -> Field:
    """Lighten and darken regions at random, so that two pictures of one scene part further."""
    light = _noise(studio, studio.wandered(), studio.between(0.8, 1.6)) - np.float32(0.5)
    return canvas * (1 + np.float32(0.7) * light)[..., None]


def _resized(canvas: Field, geometry: ImageGeometry) -> Field:
    """Return the canvas at the picture's size, float32 (height, width, 3)."""
    rows, columns = canvas.shape[:2]
    if rows >= geometry.height:
        shape = geometry.height, rows // geometry.height, geometry.width, columns // geometry.width, 3
        return canvas.reshape(shape).mean(axis=(1, 3))
    size = geometry.width, geometry.height
    layers = [
        Image.fromarray(np.ascontiguousarray(canvas[..., i])).resize(size, Image.Resampling.BICUBIC)
        for i in range(3)
    ]
    return np.stack([np.asarray(layer) for layer in layers], axis=-1)


def _stretched(picture: Field, geometry: ImageGeometry, studio: _Studio) -> Field:
    """Return the picture in 0 to 255 with full contrast, float32 (height, width, channels)."""
    if geometry.channels == 1:
        picture = (picture @ np.array([0.3, 0.59, 0.11], np.float32))[..., None]
    middle = picture.mean()
    goal = studio.between(62, 74)
    gain = max(goal / max(float(picture.std()), 1e-3), 200.0)
    return (picture - middle) * np.float32(min(gain, 2000.0)) + np.float32(128)


def _grained(picture: Field, randomness: Stream) -> Pixels:
    values = np.frombuffer(randomness.read(2 * picture.size), np.uint8).reshape(2, *picture.shape)
    grain = values[0].astype(np.float32) + values[1] - 255
    fine = 12 / 104.0
    return np.clip(np.round(picture + grain * np.float32(fine)), 0, 255).astype(np.uint8)
