"""Integer sums of earlier values: the linear half of a layer, forwards, and backwards over the field.

A layer's sums are the total of some terms. ``Matrix`` is a sparse matrix over all values before the layer;
``Convolution`` is a kernel over one picture among them, kept as one: written out, the paper's own network
would have half a billion entries. Everything is computed with floats of 64 bits on numbers whose sums stay
below 2^53, so that it is exact, in any order, on any machine.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from earmark.fields import EXTENSION_DEGREE, PRIME
from earmark.fields.arrays import product_mod
from earmark.fields.compiling import Words, in_threads

Integers = npt.NDArray[np.int64]
_EXACT, _EXACT_IN_HALF = 1 << 53, 1 << 24
_BYTE = 255
_HALF = 16  # bits of each half of a field element
_COLUMN_NUMBERS = 1 << 22  # of as many pictures as are convolved together
COLUMN_LIMIT = 1 << 23  # channels times taps times places of one convolution
TAP_LIMIT = 1 << 14  # so that what is added up backwards stays below 2^63


class Sums(Protocol):
    """One term of a layer's sums."""

    @property
    def count(self) -> int:
        """How many sums."""

    @property
    def seen(self) -> int:
        """How many values there must be before the layer, at least."""

    @property
    def work(self) -> int:
        """Multiplications for one input."""

    def apply(self, values: npt.NDArray[Any]) -> Integers:
        """Return the sums of a batch, int64 ``(sums, inputs)``, from values ``(values before, inputs)``."""

    def add_transposed(self, drawn: Words, onto: Integers) -> None:
        """Add to ``onto`` what multiplies each value if sum i is multiplied by drawn[i].

        Args:
            drawn: ``(sums, 5)``.
            onto: ``(values, 5)``; grows by numbers in [0, p).
        """

    def sizes(self) -> list[int]:
        """Return for each sum at least the total of its absolute weights, as Python's integers."""

    def parts(self) -> list[bytes | int]:
        """Return everything that this term is, for hashing."""


@dataclass(frozen=True, eq=False)
class Matrix:
    """Any weights.

    Attributes:
        weights: scipy.sparse CSR of int64, (sums, values before this layer); indices sorted.
    """

    weights: Any

    @property
    def count(self) -> int:
        """How many sums."""
        return int(self.weights.shape[0])

    @property
    def seen(self) -> int:
        """How many values it is written over."""
        return int(self.weights.shape[1])

    @property
    def work(self) -> int:
        """Weights."""
        return int(self.weights.nnz)

    def apply(self, values: npt.NDArray[Any]) -> Integers:
        """Return the sums of a batch."""
        first, narrow = self._narrow
        return np.asarray(narrow @ values[first : first + narrow.shape[1]].astype(np.int64))

    @cached_property
    def _narrow(self) -> tuple[int, Any]:
        """The first value with a weight, and the weights from there to the last one."""
        seen = self.weights.indices
        first, last = (int(seen.min()), int(seen.max()) + 1) if len(seen) else (0, 0)
        return first, self.weights[:, first:last]

    def add_transposed(self, drawn: Words, onto: Integers) -> None:
        """Add what multiplies each value."""
        first, narrow = self._narrow
        onto[first : first + narrow.shape[1]] += product_mod(narrow.T.tocsr(), drawn)

    def sizes(self) -> list[int]:
        """Return the absolute weights' totals."""
        largest = float(np.abs(self.weights.data.astype(np.float64)).max(initial=0.0))
        if largest * max(1, self.seen) >= float(
            1 << 62
        ):  # a total of numpy's could itself have wrapped around
            return [math.ceil(largest) * self.seen] * self.count
        return [int(size) for size in np.asarray(abs(self.weights).sum(axis=1)).reshape(-1)]

    def parts(self) -> list[bytes | int]:
        """Return everything that this term is."""
        lists = (self.weights.indptr, self.weights.indices, self.weights.data)
        return [b"matrix", self.seen, *(values.astype("<i8").tobytes() for values in lists)]


@dataclass(frozen=True)
class Picture:
    """Where a picture lies among the values.

    Attributes:
        start: Number of its first value.
        channels: Channels.
        height: Rows.
        width: Columns.
        interleaved: Whether channels are innermost, as in a trigger's bytes; else they are outermost.
    """

    start: int
    channels: int
    height: int
    width: int
    interleaved: bool

    @property
    def size(self) -> int:
        """Values."""
        return self.channels * self.height * self.width

    def of(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the picture, ``(channels, height, width, inputs)``: a view on ``(values, inputs)``."""
        part = values[self.start : self.start + self.size]
        if self.interleaved:
            return part.reshape(self.height, self.width, self.channels, -1).transpose(2, 0, 1, 3)
        return part.reshape(self.channels, self.height, self.width, -1)


@dataclass(frozen=True)
class Window:
    """How a kernel moves.

    Attributes:
        strides: Down and across.
        pads: Zeros above and to the left; below and to the right follow from the shape.
        dilations: Down and across.
        shape: Rows and columns of the result.
    """

    strides: tuple[int, int]
    pads: tuple[int, int]
    dilations: tuple[int, int]
    shape: tuple[int, int]

    def padding(
        self, kernel: tuple[int, ...], size: tuple[int, int]
    ) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return zeros before and behind, for rows and columns of a picture, that every tap stays inside."""
        found = []
        for axis in (0, 1):
            reach = (
                (self.shape[axis] - 1) * self.strides[axis] + self.dilations[axis] * (kernel[axis] - 1) + 1
            )
            found.append((self.pads[axis], max(0, reach - self.pads[axis] - size[axis])))
        return found[0], found[1]

    def met(self, tap: tuple[int, int], size: tuple[int, int]) -> tuple[slice, slice]:
        """Return which places of a picture of this size one tap of the kernel meets: rows and columns."""
        found = []
        for axis in (0, 1):
            before = self.pads[axis] - tap[axis] * self.dilations[axis]
            stride, count = self.strides[axis], self.shape[axis]
            first = max(0, -(-before // stride))
            last = min(count - 1, (size[axis] - 1 + before) // stride)
            start = first * stride - before
            found.append(slice(start, last * stride - before + 1, stride) if first <= last else slice(0, 0))
        return found[0], found[1]

    def tap(self, down: int, across: int) -> tuple[slice, slice]:
        """Return where one tap of the kernel looks in the padded picture."""
        rows, columns = (
            slice(
                tap * self.dilations[axis],
                tap * self.dilations[axis] + (self.shape[axis] - 1) * self.strides[axis] + 1,
                self.strides[axis],
            )
            for axis, tap in ((0, down), (1, across))
        )
        return rows, columns


@dataclass(frozen=True, eq=False)
class Convolution:
    """A kernel over one picture.

    Sum number (output, row, column), outputs outermost, adds the kernel's taps times the picture's values;
    what lies outside is zero.

    Attributes:
        picture: The picture.
        kernel: int64 ``(outputs, channels / groups, rows, columns)``.
        window: How it moves.
        groups: Outputs and channels fall into so many parts, which see nothing of each other.

    Raises:
        ValueError: Sizes do not fit, or weights are so large that floats would round.
    """

    picture: Picture
    kernel: Integers
    window: Window
    groups: int = 1

    def __post_init__(self) -> None:
        outputs, per_group, *_ = self.kernel.shape
        if per_group * self.groups != self.picture.channels or outputs % self.groups:
            raise ValueError("a convolution does not fit its input")
        if self.kernel.shape[2] * self.kernel.shape[3] > TAP_LIMIT:
            raise ValueError("a convolution's kernel is too large")
        largest = max(-int(self.kernel.min(initial=0)), int(self.kernel.max(initial=0)))
        if largest * max(outputs << _HALF, per_group * self.kernel[0, 0].size * _BYTE) >= _EXACT:
            raise ValueError("a convolution's weights are too large to be added exactly")

    @property
    def count(self) -> int:
        """How many sums."""
        return len(self.kernel) * math.prod(self.window.shape)

    @property
    def seen(self) -> int:
        """Where its picture ends."""
        return self.picture.start + self.picture.size

    @property
    def work(self) -> int:
        """Multiplications for one input."""
        return int(self.kernel.size) * math.prod(self.window.shape)

    def apply(self, values: npt.NDArray[Any]) -> Integers:
        """Return the sums of a batch."""
        return convolved(self.picture.of(values), self.kernel, self.window, self.groups).astype(np.int64)

    def add_transposed(self, drawn: Words, onto: Integers) -> None:
        """Add what multiplies each value."""
        outputs, per_group, *kernel = self.kernel.shape
        places, of_group = math.prod(self.window.shape), outputs // self.groups
        halves = np.concatenate([drawn & 0xFFFF, drawn >> _HALF], axis=1).astype(np.float64)
        given = halves.reshape(self.groups, of_group, places * 2 * EXTENSION_DEGREE)
        weights = self.kernel.reshape(self.groups, of_group, per_group, *kernel).astype(np.float64)
        shape = (self.picture.height, self.picture.width)
        padding = self.window.padding((kernel[0], kernel[1]), shape)
        sides = (size + sum(pads) for size, pads in zip(shape, padding, strict=True))
        padded = np.zeros((self.picture.channels, *sides, EXTENSION_DEGREE), np.int64)
        for tap in np.ndindex(*kernel):
            at = weights[(..., *tap)].transpose(0, 2, 1)  # (groups, per group, outputs of a group)
            found = (at @ given).astype(np.int64) % PRIME
            found = found.reshape(self.picture.channels, *self.window.shape, 2, EXTENSION_DEGREE)
            padded[(slice(None), *self.window.tap(*tap))] += found[..., 0, :] + (found[..., 1, :] << _HALF)
        (above, _), (left, _) = padding
        inside = padded[:, above : above + shape[0], left : left + shape[1]]
        self.picture.of(onto)[...] += inside % PRIME

    def sizes(self) -> list[int]:
        """Return the absolute weights' totals; at the borders there are fewer."""
        each = [int(size) for size in np.abs(self.kernel).reshape(len(self.kernel), -1).sum(axis=1)]
        places = math.prod(self.window.shape)
        return [size for size in each for _ in range(places)]

    def parts(self) -> list[bytes | int]:
        """Return everything that this term is."""
        picture, window = self.picture, self.window
        numbers = [picture.start, picture.channels, picture.height, picture.width, int(picture.interleaved)]
        numbers += [*window.strides, *window.pads, *window.dilations, *window.shape, self.groups]
        return [b"convolution", *numbers, *self.kernel.shape, self.kernel.astype("<i8").tobytes()]


def convolved(
    pictures: npt.NDArray[Any], kernel: npt.NDArray[Any], window: Window, groups: int
) -> npt.NDArray[np.floating[Any]]:
    """Return a convolution of pictures, exactly if every sum of absolute products stays below 2^53.

    Where bytes are convolved and all sums stay below 2^24, floats of 32 bits are as exact and twice as fast.

    Args:
        pictures: ``(channels, height, width, inputs)``.
        kernel: ``(outputs, channels / groups, rows, columns)``.
        window: How it moves.
        groups: Parts that see nothing of each other.

    Returns:
        float64, or float32 of the same numbers, ``(outputs * rows * columns, inputs)``.
    """
    outputs, per_group, *taps = kernel.shape
    count = pictures.shape[-1]
    of_group = outputs // groups
    places = math.prod(window.shape)
    padding = window.padding(tuple(taps), pictures.shape[1:3])
    largest = np.abs(kernel).reshape(outputs, -1).sum(axis=1, dtype=np.float64).max(initial=0.0)
    is_small = pictures.dtype == np.uint8 and largest * _BYTE < _EXACT_IN_HALF
    dtype: type[np.floating[Any]] = np.float32 if is_small else np.float64
    weights = kernel.reshape(groups, of_group, -1).astype(dtype)
    result = np.empty((count, groups, of_group, places), dtype)

    def work(first: int, last: int) -> None:
        number = last - first
        shape = [size + sum(pads) for size, pads in zip(pictures.shape[1:3], padding, strict=True)]
        padded = np.zeros((number, pictures.shape[0], *shape), dtype)
        (above, _), (left, _) = padding
        inside = padded[:, :, above : above + pictures.shape[1], left : left + pictures.shape[2]]
        inside[...] = pictures[..., first:last].transpose(3, 0, 1, 2)
        padded = padded.reshape(number, groups, per_group, *shape)
        columns = np.empty((number, groups, per_group, *taps, *window.shape), dtype)
        for down, across in np.ndindex(*taps):
            at = (slice(None), slice(None), slice(None), *window.tap(down, across))
            columns[:, :, :, down, across] = padded[at]
        np.matmul(weights, columns.reshape(number, groups, -1, places), out=result[first:last])

    # A thread for a picture, not many for a product: products are small.
    with threadpool_limits(1, user_api="blas"):
        in_threads(count, max(1, _COLUMN_NUMBERS // (pictures.shape[0] * math.prod(taps) * places)), work)
    return result.reshape(count, outputs * places).T
