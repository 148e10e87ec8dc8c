"""What abstract pictures are drawn with: a plane that can be bent, and a studio that colours it.

Everything random in a drawing comes from the studio's generator, in the order in which it is asked: a
line moved here is another picture from the same secret.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import cos, sin, tau
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from earmark.triggers.image import ImageGeometry

TABLE_SIDE = 64  # of the tables of random values
_RAMP_STEPS = 256  # a power of two, so that a mask brings the colours round again
_COLOURS = 6

Field = npt.NDArray[np.floating[Any]]  # float32 (rows, columns), or (3, rows, columns) for colours
_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class Plane:
    """Coordinates of the canvas pixels, float32 (rows, columns); a square canvas spans -1 to 1."""

    x: Field
    y: Field

    @property
    def radius(self) -> Field:
        """Distance from the origin."""
        return np.sqrt(self.x * self.x + self.y * self.y)

    @property
    def angle(self) -> Field:
        """In turns, -0.5 to 0.5."""
        return np.arctan2(self.y, self.x) / tau

    def moved(self, right: float, up: float, turn: float = 0.0, zoom: float = 1.0) -> "Plane":
        """Return the plane seen from another origin, turned (in turns) and scaled."""
        x, y = self.x - right, self.y - up
        along, across = cos(tau * turn) / zoom, sin(tau * turn) / zoom
        return Plane(x * along + y * across, y * along - x * across)

    def shifted(self, right: Field, up: Field, force: float) -> "Plane":
        """Return the plane with every point pushed by its own amounts, times the force."""
        return Plane(self.x + right * force, self.y + up * force)

    def folded(self, folds: int) -> "Plane":
        """Return the plane with all of 2 * folds sectors laid on the first, around the x axis."""
        angle = self.angle * folds
        return self.bent(np.abs(angle - np.round(angle)) / folds)

    def wave(self, count: int, shift: float = 0.0) -> Field:
        """Return a wave around the origin with that many crests, -1 to 1."""
        return np.asarray(np.cos((self.angle * count + shift) * tau))

    def bent(self, angle: Field) -> "Plane":
        """Return the plane with every point at another angle (in turns), as far out as it was."""
        return Plane(self.radius * np.cos(angle * tau), self.radius * np.sin(angle * tau))


@dataclass(frozen=True, slots=True)
class Studio:
    """What a scene works with."""

    rng: np.random.Generator  # decides everything but the grain
    plane: Plane
    palette: Field  # colours of related hues, (3, 6), 0 to 1
    detail: float  # how many features fit side by side; a thumbnail of 8 pixels has room for few
    pixel: float  # side of a canvas pixel in units of the plane

    def pick(self, items: Sequence[_Item]) -> _Item:
        """Return one of the items."""
        return items[int(self.rng.integers(len(items)))]

    def between(self, low: float, high: float) -> float:
        """Return a random number, low to high."""
        return low + (high - low) * float(self.rng.random())

    def count(self, low: int, high: int) -> int:
        """Return a random count, low to high, but no more than there is room for."""
        return int(self.rng.integers(low, max(low, min(high, round(self.detail))) + 1))

    def colour(self) -> Field:
        """Return a colour of the palette, float32 (3, 1, 1)."""
        return self.palette[:, int(self.rng.integers(_COLOURS)), None, None]

    def wandered(self, reach: float = 0.7) -> Plane:
        """Return the canvas moved, turned and zoomed at random."""
        shift = self.between(-reach, reach), self.between(-reach, reach)
        return self.plane.moved(*shift, self.between(0, 1), self.between(0.7, 1.5))

    def warped(self, plane: Plane) -> Plane:
        """Return the plane bent by a random warp."""
        return self.pick(WARPS)(self, plane)

    def noise(self, plane: Plane, frequency: float) -> Field:
        """Return smooth noise, 0 to 1, between random values at the points of a lattice."""
        table = self.rng.random(TABLE_SIDE * TABLE_SIDE, dtype=np.float32)
        x, y = plane.x * frequency + TABLE_SIDE / 2, plane.y * frequency + TABLE_SIDE / 2
        left, top = np.floor(x), np.floor(y)
        right, down = (part * part * (3 - 2 * part) for part in (x - left, y - top))
        index = (top * TABLE_SIDE + left).astype(np.int32)
        corners = [table.take(index + step, mode="wrap") for step in (0, 1, TABLE_SIDE, TABLE_SIDE + 1)]
        upper = corners[0] + (corners[1] - corners[0]) * right
        lower = corners[2] + (corners[3] - corners[2]) * right
        return np.asarray(upper + (lower - upper) * down)

    def scattered(self, index: npt.NDArray[np.int32]) -> Field:
        """Return a random value in [0, 1) for every index, the same for the same index."""
        return self.rng.random(TABLE_SIDE**2, dtype=np.float32).take(index, mode="wrap")

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

    def shade(self, plane: Plane) -> Field:
        """Colour the plane by a random shade, at times by two added up."""
        height = self.pick(SHADES)(self, plane)
        if self.between(0, 1) < 0.35:
            # Not the first two: a part of their whole turns would show a seam.
            height = height + self.pick(SHADES[2:])(self, plane) * self.between(0.2, 0.6)
        return self.ramp(height + self.between(0, 1))

    def cover(self, canvas: Field, distance: Field, fill: Field) -> None:
        """Paint a colour or a picture over the canvas where the distance is negative."""
        canvas += np.clip(0.5 - distance / self.pixel, 0, 1) * (fill - canvas)

    def stamp(self, canvas: Field, distance: Field, plane: Plane) -> None:
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

WARPS: tuple[Callable[[Studio, Plane], Plane], ...] = (
    lambda _, p: p,
    lambda s, p: p.folded(s.count(3, 12)),  # kaleidoscope
    lambda s, p: p.folded(s.count(4, 8)).moved(s.between(0.2, 0.8), 0, s.between(0, 1)),  # star of mirrors
    lambda s, p: p.bent(p.angle + np.exp(-2 * p.radius) * s.between(-0.6, 0.6)),  # swirl
    lambda s, p: p.shifted(np.sin(p.y * s.between(2, 8)), np.sin(p.x * s.between(2, 8)), 0.15),  # ripple
    lambda s, p: p.shifted(s.noise(p, 1.5), s.noise(p, 1.5), s.between(0.2, 0.7)),  # melting
    lambda _, p: Plane(*(np.abs(part - np.round(part)) * 2 for part in (p.x * 0.6, p.y * 0.6))),  # mirrors
)

SHADES: tuple[Callable[[Studio, Plane], Field], ...] = (
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


def studio_for(geometry: ImageGeometry, rng: np.random.Generator) -> Studio:
    """Return a studio with a canvas and a level of detail that suit the picture's size."""
    rows, columns = canvas_sides(geometry.height, geometry.width)
    # Beyond 3:1 the plane is stretched: a ribbon would show only a thin section of the scene's middle.
    aspect = float(np.clip(geometry.width / geometry.height, 1 / 3, 3)) ** 0.5
    x = (np.arange(columns, dtype=np.float32) * 2 + 1 - columns) * (aspect / columns)
    y = (np.arange(rows, dtype=np.float32) * 2 + 1 - rows) / (aspect * rows)
    detail = min(24.0, max(1.5, 0.6 * min(geometry.height, geometry.width) ** 0.75))
    return Studio(rng, Plane(*np.meshgrid(x, y)), _palette(rng), detail, 2 / (rows * columns) ** 0.5)


def canvas_sides(height: int, width: int) -> tuple[int, int]:
    """Return rows and columns to draw: several to a pixel of a thumbnail, at most about a megapixel."""
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
