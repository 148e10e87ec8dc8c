"""The sampler "abstract": pictures of no subject, layered from shapes, gradients and textures.

A picture is composed on a plane of continuous coordinates, several canvas pixels to one picture pixel:

    warps    bend the plane (kaleidoscope, swirl, mirrors, ...)
    shades   turn a plane into heights, which the palette turns into colours
    shapes   turn a plane into distances from an outline, negative inside
    scenes   put shades and shapes together

Plane, warps and shades are in ``abstract_studio``; shapes and scenes, and what follows, are here. Then
the drawing is reduced to its size, stretched in contrast, and strewn with grain.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from PIL import Image

from earmark.commitment import Stream
from earmark.commitment.canonical import Json
from earmark.triggers.abstract_studio import TABLE_SIDE, Field, Plane, Studio, studio_for
from earmark.triggers.image import IMAGE, ImageGeometry, Pixels
from earmark.triggers.trigger import Geometry, Trigger

_MARGIN = 16.0  # kept free at black and white, or grain would be cut off there and leave flat areas
_LEAST_SPREAD = 0.12  # between a scene's dark and light fifths, or one tone fills it nearly throughout


@dataclass(frozen=True, slots=True)
class AbstractSampler:
    """Makes abstract pictures of any size, grey or colour.

    The layout (16 bytes of the stream, spread by Philox) and the grain (two bytes of the stream for
    every value) are independent, so a guessed layout still leaves every pixel uncertain. The same
    stream gives the same picture with the same numpy and Pillow on processors with the same vector
    instructions; keys store the pictures themselves.

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
        studio = studio_for(geometry, np.random.Generator(np.random.Philox(key=key)))
        canvas = studio.pick(SCENES)(studio)
        while np.ptp(np.percentile(canvas.mean(axis=0)[::3, ::3], (20, 80))) < _LEAST_SPREAD:
            canvas = studio.pick(SCENES)(studio)
        # Regions lighter and darker at random: two pictures of one scene part further.
        canvas *= 0.7 + 0.6 * studio.noise(studio.wandered(), studio.between(0.8, 1.6))
        picture = _stretched(_resized(canvas, geometry), studio.between(58, 70))
        return Trigger(IMAGE.name, IMAGE.encode(_grained(picture, randomness)))


# The last argument is about the radius; the first five are round, the first eight fit into a wreath.
SHAPES: tuple[Callable[[Studio, Plane, float], Field], ...] = (
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


def _mandala(studio: Studio) -> Field:
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


def _tracery(studio: Studio) -> Field:
    return studio.shade(studio.warped(studio.warped(studio.wandered())))


def _collage(studio: Studio) -> Field:
    canvas = studio.shade(studio.warped(studio.wandered()))
    for number in range(studio.count(4, 10)):
        plane = studio.plane.moved(studio.between(-0.9, 0.9), studio.between(-0.9, 0.9), studio.between(0, 1))
        shape = studio.pick(SHAPES)(studio, plane, studio.between(0.3, 0.8) * 0.9**number)
        studio.stamp(canvas, shape, plane)
    return canvas


def _quilt(studio: Studio) -> Field:
    """Tiles with quarter discs, triangles and stripes, each turned its own way."""
    plane = studio.wandered() if studio.between(0, 1) < 0.4 else studio.plane
    pace = studio.count(3, 7) / 2
    x, y = plane.x * pace + TABLE_SIDE, plane.y * pace + TABLE_SIDE
    column, row = np.floor(x), np.floor(y)
    index = (row * TABLE_SIDE + column).astype(np.int32)
    x = (x - column - 0.5) * np.sign(studio.scattered(index) - 0.5)
    y = (y - row - 0.5) * np.sign(studio.scattered(index) - 0.5)
    middle, corner = np.sqrt(x * x + y * y), np.sqrt((x + 0.5) ** 2 + (y + 0.5) ** 2)
    arches = corner - 1, np.abs(corner - 0.5) - 0.17, middle - 0.36, np.abs(middle - 0.35) - 0.1
    designs = *arches, x + y, np.maximum(-x, y), np.abs(x) + np.abs(y) - 0.5, np.abs(x) - 0.2
    distance = np.choose((studio.scattered(index) * len(designs)).astype(np.int32), designs) / pace
    canvas = studio.patchwork(index)
    studio.cover(canvas, distance, studio.patchwork(index))
    return canvas


def _orbits(studio: Studio) -> Field:
    """Rings cut into sectors, each sector of its own colour."""
    plane = studio.warped(studio.wandered()) if studio.between(0, 1) < 0.4 else studio.wandered(0.9)
    ring = (plane.radius * studio.between(2.5, 2.5 + studio.detail / 3)).astype(np.int32)
    cuts = np.floor(2 + studio.scattered(ring) * min(12, studio.detail))
    sector = np.floor((plane.angle + studio.scattered(ring)) * cuts) % cuts
    return studio.patchwork(ring * TABLE_SIDE + sector.astype(np.int32))


def _mosaic(studio: Studio) -> Field:
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


def _strata(studio: Studio) -> Field:
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
