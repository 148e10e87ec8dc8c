"""The sampler "abstract": pictures of no subject, layered from shapes, gradients and textures.

A picture is composed on a plane of continuous coordinates, several canvas pixels to one picture pixel:

    warps    bend the plane (kaleidoscope, swirl, mirrors, ...)
    shades   turn a plane into heights, which the palette turns into colours
    shapes   turn a plane into distances from an outline, negative inside
    scenes   put shades and shapes together

Then it is reduced to its size, stretched in contrast, and strewn with grain.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import cos, sin, tau
from typing import Any, ClassVar, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from earmark.commitment import Stream
from earmark.commitment.canonical import Json
from earmark.triggers.image import IMAGE, ImageGeometry, Pixels
from earmark.triggers.trigger import Geometry, Trigger

_TABLE_SIDE = 64  # of the tables of random values
_RAMP_STEPS = 256  # a power of two, so that a mask brings the colours round again
_COLOURS = 6
_MARGIN = 16.0  # kept free at black and white, or grain would be cut off there and leave flat areas
_LEAST_SPREAD = 0.12  # between a scene's dark and light fifths, or one tone fills it nearly throughout

Field = npt.NDArray[np.floating[Any]]  # float32 (rows, columns), or (3, rows, columns) for colours
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
        key = int.from_bytes(randomness.read(16), "big")
        studio = _studio(geometry, np.random.Generator(np.random.Philox(key=key)))
        canvas = studio.pick(SCENES)(studio)
        while np.ptp(np.percentile(canvas.mean(axis=0)[::3, ::3], (20, 80))) < _LEAST_SPREAD:
            canvas = studio.pick(SCENES)(studio)
        # Regions lighter and darker at random: two pictures of one scene part further.
        canvas *= 0.7 + 0.6 * studio.noise(studio.wandered(), studio.between(0.8, 1.6))
        picture = _stretched(_resized(canvas, geometry), studio.between(58, 70))
        return Trigger(IMAGE.name, IMAGE.encode(_grained(picture, randomness)))


@dataclass(frozen=True, slots=True)
class _Plane:
    """Coordinates of the canvas pixels, float32 (rows, columns); a square canvas spans -1 to 1."""

    x: Field
    y: Field

    @property
    def radius(self) -> Field:
        return np.sqrt(self.x * self.x + self.y * self.y)

    @property
    def angle(self) -> Field:
        """In turns, -0.5 to 0.5."""
        return np.arctan2(self.y, self.x) / tau

    def moved(self, right: float, up: float, turn: float = 0.0, zoom: float = 1.0) -> "_Plane":
        """Return the plane seen from another origin, turned (in turns) and scaled."""
        x, y = self.x - right, self.y - up
        along, across = cos(tau * turn) / zoom, sin(tau * turn) / zoom
        return _Plane(x * along + y * across, y * along - x * across)

    def shifted(self, right: Field, up: Field, force: float) -> "_Plane":
        return _Plane(self.x + right * force, self.y + up * force)

    def folded(self, folds: int) -> "_Plane":
        """Return the plane with all of 2 * folds sectors laid on the first, around the x axis."""
        angle = self.angle * folds
        return self.bent(np.abs(angle - np.round(angle)) / folds)

    def wave(self, count: int, shift: float = 0.0) -> Field:
        """Return a wave around the origin with that many crests, -1 to 1."""
        return np.asarray(np.cos((self.angle * count + shift) * tau))

    def bent(self, angle: Field) -> "_Plane":
        """Return the plane with every point at another angle (in turns), as far out as it was."""
        return _Plane(self.radius * np.cos(angle * tau), self.radius * np.sin(angle * tau))


@dataclass(frozen=True, slots=True)
class _Studio:
    """What a scene works with."""

    rng: np.random.Generator  # decides everything but the grain
    plane: _Plane
    palette: Field  # colours of related hues, (3, 6), 0 to 1
    detail: float  # how many features fit side by side; a thumbnail of 8 pixels has room for few
    pixel: float  # side of a canvas pixel in units of the plane

    def pick(self, items: Sequence[_Item]) -> _Item:
        return items[int(self.rng.integers(len(items)))]

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * float(self.rng.random())

    def count(self, low: int, high: int) -> int:
        """Return a random count, low to high, but no more than there is room for."""
        return int(self.rng.integers(low, max(low, min(high, round(self.detail))) + 1))

    def colour(self) -> Field:
        return self.palette[:, int(self.rng.integers(_COLOURS)), None, None]

    def wandered(self, reach: float = 0.7) -> _Plane:
        """Return the canvas moved, turned and zoomed at random."""
        shift = self.between(-reach, reach), self.between(-reach, reach)
        return self.plane.moved(*shift, self.between(0, 1), self.between(0.7, 1.5))

    def warped(self, plane: _Plane) -> _Plane:
        return self.pick(WARPS)(self, plane)

    def noise(self, plane: _Plane, frequency: float) -> Field:
        """Return smooth noise, 0 to 1, between random values at the points of a lattice."""
        table = self.rng.random(_TABLE_SIDE * _TABLE_SIDE, dtype=np.float32)
        x, y = plane.x * frequency + _TABLE_SIDE / 2, plane.y * frequency + _TABLE_SIDE / 2
        left, top = np.floor(x), np.floor(y)
        right, down = (part * part * (3 - 2 * part) for part in (x - left, y - top))
        index = (top * _TABLE_SIDE + left).astype(np.int32)
        corners = [table.take(index + step, mode="wrap") for step in (0, 1, _TABLE_SIDE, _TABLE_SIDE + 1)]
        upper = corners[0] + (corners[1] - corners[0]) * right
        lower = corners[2] + (corners[3] - corners[2]) * right
        return np.asarray(upper + (lower - upper) * down)

    def scattered(self, index: npt.NDArray[np.int32]) -> Field:
        """Return a random value in [0, 1) for every index, the same for the same index."""
        return self.rng.random(_TABLE_SIDE**2, dtype=np.float32).take(index, mode="wrap")

    def patchwork(self, index: npt.NDArray[np.int32]) -> Field:
        """Return a random colour for every index."""
        return self.palette.take((self.scattered(index) * _COLOURS).astype(np.int32), axis=1)

    def ramp(self, height: Field) -> Field:
        """Colour heights with the palette; the colours come round again at every whole number."""
        order = self.rng.permutation(_COLOURS)[: self.pick((2, 3, 4, 6))]
        place = np.linspace(0, len(order), _RAMP_STEPS, endpoint=False)
        low = place.astype(int)
        share = (place - low) ** self.pick((1, 3, 12, 99))  # from even blends to flat bands
        stops = self.palette[:, order]
        table: Field = stops[:, low] * (1 - share) + stops[:, (low + 1) % len(order)] * share
        steps = np.floor(height * _RAMP_STEPS).astype(np.int32)
        return table.astype(np.float32).take(steps & (_RAMP_STEPS - 1), axis=1)

    def shade(self, plane: _Plane) -> Field:
        """Colour the plane by a random shade, at times by two added up."""
        height = self.pick(SHADES)(self, plane)
        if self.between(0, 1) < 0.35:
            # Not the first two: a part of their whole turns would show a seam.
            height = height + self.pick(SHADES[2:])(self, plane) * self.between(0.2, 0.6)
        return self.ramp(height + self.between(0, 1))

    def cover(self, canvas: Field, distance: Field, fill: Field) -> None:
        """Paint a colour or a picture over the canvas where the distance is negative."""
        canvas += np.clip(0.5 - distance / self.pixel, 0, 1) * (fill - canvas)

    def stamp(self, canvas: Field, distance: Field, plane: _Plane) -> None:
        """Paint the inside of an outline over the canvas, at times with a shadow and rims."""
        if self.between(0, 1) < 0.4:
            canvas *= 1 - 0.5 * np.exp(np.maximum(distance, 0) / -self.between(0.04, 0.15))
        if self.between(0, 1) < 0.5:
            fill = self.colour()
        else:
            fill = self.ramp(distance * 3) if self.between(0, 1) < 0.5 else self.shade(plane)
        self.cover(canvas, distance, fill)
        for rim in range(self.pick((0, 0, 1, 2))):
            width = max(self.between(0.012, 0.04), self.pixel)
            self.cover(canvas, np.abs(distance + rim * 4 * width) - width, self.colour())


# Hues of a palette's colours, in turns from the first.
HUES = ((0, 0.06, -0.06, 0.5, 0.56), (0, 0.33, 0.67), (0, 0.08, 0.16, 0.24, -0.08), (0, 0.45), (0, 0.25, 0.5))

WARPS: tuple[Callable[[_Studio, _Plane], _Plane], ...] = (
    lambda _, p: p,
    lambda s, p: p.folded(s.count(3, 12)),  # kaleidoscope
    lambda s, p: p.folded(s.count(4, 8)).moved(s.between(0.2, 0.8), 0, s.between(0, 1)),  # star of mirrors
    lambda s, p: p.bent(p.angle + np.exp(-2 * p.radius) * s.between(-0.6, 0.6)),  # swirl
    lambda s, p: p.shifted(np.sin(p.y * s.between(2, 8)), np.sin(p.x * s.between(2, 8)), 0.15),  # ripple
    lambda s, p: p.shifted(s.noise(p, 1.5), s.noise(p, 1.5), s.between(0.2, 0.7)),  # melting
    lambda _, p: _Plane(*(np.abs(part - np.round(part)) * 2 for part in (p.x * 0.6, p.y * 0.6))),  # mirrors
)

SHADES: tuple[Callable[[_Studio, _Plane], Field], ...] = (
    lambda s, p: p.angle * s.count(1, 8),  # conic
    lambda s, p: p.angle * s.count(1, 6) + np.log(p.radius + 0.05) * s.between(-1.5, 1.5),  # spiral
    lambda s, p: p.x * s.between(0.8, 0.8 + s.detail / 8),  # linear, or stripes
    lambda s, p: p.radius * s.between(0.9, 0.9 + s.detail / 6),  # radial
    lambda s, p: np.sin(p.x * s.between(2, 2 + s.detail)) * np.cos(p.y * s.between(2, 2 + s.detail)) / 2,
    lambda s, p: (np.floor(p.x * (1 + s.detail / 5)) + np.floor(p.y * (1 + s.detail / 5))) / 2,  # checker
    lambda s, p: (np.sin(p.radius * s.detail) + np.sin(s.wandered().radius * (s.detail + 4))) / 3,  # moire
    lambda s, p: s.noise(p, 1.3) * 1.6 + s.noise(p, 2.4 + s.detail / 8) * s.between(0.2, 0.8),  # clouds
    lambda s, p: s.noise(p, 1.3 + s.detail / 12) * s.between(1.5, 3),  # contour map
    lambda s, p: p.radius * s.between(1, 2.5) + p.wave(s.count(3, 12)) * s.between(0.1, 0.4),  # petals
)

# The last argument is about the radius; the first five are round, the first eight fit into a wreath.
SHAPES: tuple[Callable[[_Studio, _Plane, float], Field], ...] = (
    lambda _, p, size: p.radius - size,  # disc
    lambda s, p, size: np.abs(p.radius - size * 0.75) - size * s.between(0.1, 0.25),  # ring
    lambda s, p, size: p.folded(s.pick((3, 4, 5, 6, 8))).x - size * 0.85,  # polygon
    lambda s, p, size: p.radius - size * (0.78 + 0.22 * p.wave(s.count(3, 9))),  # rosette
    lambda s, p, size: p.folded(s.pick((4, 5, 6, 8, 12))).moved(size, 0, s.between(0.07, 0.16)).x,  # star
    lambda s, p, size: np.hypot(p.x, p.y * 1.8) / 1.4 - size * 0.7,  # ellipse
    lambda _, p, size: np.hypot(p.x, np.abs(p.y) + size * 0.75) - size * 1.25,  # leaf
    lambda s, p, size: np.maximum(p.radius - size, size * 0.85 - p.moved(size * 0.45, 0).radius),  # crescent
    lambda _, p, size: np.abs(p.y) - size * 0.4,  # band
    lambda s, p, size: p.radius - size * (0.8 + 0.2 * p.wave(2, s.between(0, 1)) + 0.2 * p.wave(3)),  # pebble
)


def _mandala(studio: _Studio) -> Field:
    plane = studio.plane.moved(studio.between(-0.3, 0.3), studio.between(-0.3, 0.3), studio.between(0, 1))
    folds = studio.count(3, 12)
    canvas = studio.shade(plane.folded(folds))
    rings = studio.count(2, 6)
    for ring in range(rings):
        reach = 1.2 * (1 - ring / rings) * studio.between(0.85, 1.1)
        order = folds * studio.pick((1, 1, 2)) if reach > 0.4 else folds
        tile = plane.moved(0, 0, studio.pick((0, 0.5)) / order).folded(order)
        if studio.between(0, 1) < 0.6:
            studio.stamp(canvas, plane.radius + tile.y * studio.between(-0.9, 0.9) - reach, tile)
        middle = tile.moved(reach * 0.75, 0)
        size = min(2.4 * reach / order, 0.4) * studio.between(0.6, 1.2)
        studio.stamp(canvas, studio.pick(SHAPES[:8])(studio, middle, size), middle)
    studio.stamp(canvas, studio.pick(SHAPES[:5])(studio, plane, studio.between(0.1, 0.3)), plane)
    return canvas


def _tracery(studio: _Studio) -> Field:
    return studio.shade(studio.warped(studio.warped(studio.wandered())))


def _collage(studio: _Studio) -> Field:
    canvas = studio.shade(studio.warped(studio.wandered()))
    for number in range(studio.count(4, 10)):
        plane = studio.plane.moved(studio.between(-0.9, 0.9), studio.between(-0.9, 0.9), studio.between(0, 1))
        shape = studio.pick(SHAPES)(studio, plane, studio.between(0.3, 0.8) * 0.9**number)
        studio.stamp(canvas, shape, plane)
    return canvas


def _quilt(studio: _Studio) -> Field:
    """Tiles with quarter discs, triangles and stripes, each turned its own way."""
    plane = studio.wandered() if studio.between(0, 1) < 0.4 else studio.plane
    pace = studio.count(3, 7) / 2
    x, y = plane.x * pace + _TABLE_SIDE, plane.y * pace + _TABLE_SIDE
    column, row = np.floor(x), np.floor(y)
    index = (row * _TABLE_SIDE + column).astype(np.int32)
    x = (x - column - 0.5) * np.sign(studio.scattered(index) - 0.5)
    y = (y - row - 0.5) * np.sign(studio.scattered(index) - 0.5)
    middle, corner = np.sqrt(x * x + y * y), np.sqrt((x + 0.5) ** 2 + (y + 0.5) ** 2)
    arches = corner - 1, np.abs(corner - 0.5) - 0.17, middle - 0.36, np.abs(middle - 0.35) - 0.1
    designs = *arches, x + y, np.maximum(-x, y), np.abs(x) + np.abs(y) - 0.5, np.abs(x) - 0.2
    distance = np.choose((studio.scattered(index) * len(designs)).astype(np.int32), designs) / pace
    canvas = studio.patchwork(index)
    studio.cover(canvas, distance, studio.patchwork(index))
    return canvas


def _orbits(studio: _Studio) -> Field:
    """Rings cut into sectors, each sector of its own colour."""
    plane = studio.warped(studio.wandered()) if studio.between(0, 1) < 0.4 else studio.wandered(0.9)
    ring = (plane.radius * studio.between(2.5, 2.5 + studio.detail / 3)).astype(np.int32)
    cuts = np.floor(2 + studio.scattered(ring) * min(12, studio.detail))
    sector = np.floor((plane.angle + studio.scattered(ring)) * cuts) % cuts
    return studio.patchwork(ring * _TABLE_SIDE + sector.astype(np.int32))


def _mosaic(studio: _Studio) -> Field:
    """Cells around random points, with joints between them."""
    plane = studio.warped(studio.wandered()) if studio.between(0, 1) < 0.5 else studio.plane
    points = studio.rng.uniform(-1.3, 1.3, (studio.count(8, 24) + 4, 2)).tolist()
    nearest = np.full_like(plane.x, np.inf)
    second, owner = nearest, np.zeros(plane.x.shape, np.int32)
    for number, (right, up) in enumerate(points):
        distance = plane.moved(right, up).radius
        owner[distance < nearest] = number
        second = np.minimum(second, np.maximum(nearest, distance))
        nearest = np.minimum(nearest, distance)
    canvas = studio.patchwork(owner) * (1 - np.clip(nearest, 0, 1) * studio.between(0, 0.9))
    studio.cover(canvas, second - nearest - studio.between(0, 0.06), studio.colour())
    return canvas


def _strata(studio: _Studio) -> Field:
    """A sky with a sun behind ranges of hills, whichever way is up."""
    plane = studio.plane.moved(0, 0, studio.pick((0, 0.25, 0.5, 0.75)) + studio.between(-0.08, 0.08))
    canvas = studio.shade(plane.moved(studio.between(-1, 1), 0, 0.25))
    sun = plane.moved(studio.between(-0.7, 0.7), studio.between(-0.6, 0.2))
    studio.stamp(canvas, studio.pick(SHAPES[:5])(studio, sun, studio.between(0.2, 0.55)), sun)
    for crest in np.linspace(-0.4, 0.8, studio.count(3, 7)).tolist():
        relief = studio.noise(plane, studio.between(1, 4)) * studio.between(0.2, 0.7)
        studio.stamp(canvas, crest + studio.between(0, 0.2) - plane.y - relief, plane)
    return canvas


SCENES = (_mandala, _mandala, _tracery, _tracery, _collage, _collage, _quilt, _orbits, _mosaic, _strata)


def _studio(geometry: ImageGeometry, rng: np.random.Generator) -> _Studio:
    rows, columns = _canvas_sides(geometry.height, geometry.width)
    # Beyond 3:1 the plane is stretched: a ribbon would show only a thin section of the scene's middle.
    aspect = float(np.clip(geometry.width / geometry.height, 1 / 3, 3)) ** 0.5
    x = (np.arange(columns, dtype=np.float32) * 2 + 1 - columns) * (aspect / columns)
    y = (np.arange(rows, dtype=np.float32) * 2 + 1 - rows) / (aspect * rows)
    detail = min(24.0, max(1.5, 0.6 * min(geometry.height, geometry.width) ** 0.75))
    return _Studio(rng, _Plane(*np.meshgrid(x, y)), _palette(rng), detail, 2 / (rows * columns) ** 0.5)


def _canvas_sides(height: int, width: int) -> tuple[int, int]:
    for fineness, side in ((8, 12), (4, 24), (3, 40), (2, 400), (1, 1024)):
        if height * width <= side * side:
            return height * fineness, width * fineness
    # Larger pictures are drawn at a megapixel and enlarged; their grain is as fine as any.
    shrink = 1024 / (height * width) ** 0.5
    return max(1, round(height * shrink)), max(1, round(width * shrink))


def _palette(rng: np.random.Generator) -> Field:
    """Return colours of related hues and spread lightness, float32 (3, 6), 0 to 1, by way of OKLab."""
    scheme = np.resize(HUES[int(rng.integers(len(HUES)))], _COLOURS)
    hue = tau * (rng.random() + rng.permutation(scheme) + rng.normal(0, 0.02, _COLOURS))
    lightness = np.linspace(rng.uniform(0.18, 0.35), rng.uniform(0.88, 0.97), _COLOURS)
    chroma = rng.uniform(0.08, 0.23, _COLOURS) * np.sin(lightness * 0.9 * tau / 2) ** 0.7
    # Darks lean towards blue and lights towards yellow, as under a sky; the reverse looks muddy.
    lab = np.stack([lightness, chroma * np.cos(hue), chroma * np.sin(hue) + 0.16 * (lightness - 0.6)])
    cones = np.array([[1, 0.3963, 0.2158], [1, -0.1056, -0.0639], [1, -0.0895, -1.2915]]) @ lab
    linear = np.array([[4.0767, -3.3077, 0.2310], [-1.2684, 2.6098, -0.3413], [-0.0042, -0.7034, 1.7076]])
    return (np.clip(linear @ cones**3, 0, 1) ** (1 / 2.2)).astype(np.float32)


def _resized(canvas: Field, geometry: ImageGeometry) -> Field:
    """Return the canvas at the picture's size and in its channels, float32 (height, width, channels)."""
    if geometry.channels == 1:
        canvas = np.tensordot(np.array([0.3, 0.59, 0.11], np.float32), canvas, axes=1)[None]
    rows, columns = canvas.shape[1:]
    if rows >= geometry.height and columns >= geometry.width:
        shape = -1, geometry.height, rows // geometry.height, geometry.width, columns // geometry.width
        return np.moveaxis(canvas.reshape(shape).mean(axis=(2, 4)), 0, -1)
    size = geometry.width, geometry.height
    layers = (Image.fromarray(layer).resize(size, Image.Resampling.BICUBIC) for layer in canvas)
    return np.stack([np.asarray(layer) for layer in layers], axis=-1)


def _stretched(picture: Field, goal: float) -> Field:
    """Return the picture in 0 to 255, its standard deviation over space at least about the goal."""
    picture = picture * 255
    for _ in range(3):  # what is cut off at the ends takes contrast back
        middle = picture.mean(axis=(0, 1))
        gain = max(1.0, goal / max(1.0, float((picture - middle).std())))
        picture = np.clip((picture - middle) * gain + middle, _MARGIN, 255 - _MARGIN)
    return picture


def _grained(picture: Field, randomness: Stream) -> Pixels:
    """Add noise of triangular distribution, stronger on thumbnails, and round to pixels."""
    deviation = min(14.0, max(6.5, 40 / min(picture.shape[:2]) ** 0.5))
    values = np.frombuffer(randomness.read(2 * picture.size), np.uint8).reshape(2, *picture.shape)
    grain = values.sum(axis=0, dtype=np.float32) - 255
    grain *= deviation / 104.5  # what the sum of two uniform bytes deviates by
    return np.asarray(np.clip(np.round(picture + grain), 0, 255), np.uint8)
