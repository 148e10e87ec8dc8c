"""Affine images of the values so far, in real numbers: what an ONNX file says before it is rounded.

A tensor is the sum of terms and a bias. A convolution of a picture of bytes stays a convolution; whatever is
less usual is written out as a sparse matrix, if that is small enough.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from earmark.zero_knowledge.limits import affordable, bounded, too_large
from earmark.zero_knowledge.network import TERM_LIMIT
from earmark.zero_knowledge.ordered import Reals, columns_of, ordered_product
from earmark.zero_knowledge.sums import COLUMN_LIMIT, TAP_LIMIT, Picture, Window, convolved

_COST_OF_AN_EXACT_SUM = 64  # multiplications that adding one number takes


@dataclass(frozen=True, eq=False)
class RealMatrix:
    """Weights over all values so far.

    Attributes:
        weights: CSR of float64, ``(size, values so far)``.
    """

    weights: Any

    @property
    def made(self) -> int:
        """Numbers it holds."""
        return int(self.weights.nnz)

    @property
    def seen(self) -> int:
        """How many values it is written over."""
        return int(self.weights.shape[1])

    @property
    def work(self) -> int:
        """Multiplications for one input."""
        return self.made

    @property
    def cost_of_mean(self) -> int:
        """Additions that the mean over all places takes."""
        return self.made

    def scaled(self, factors: Reals) -> "RealMatrix":
        """Multiply each row by its channel's factor, ``(channels,)``."""
        each = self.weights.shape[0] // len(factors)
        return RealMatrix((sparse.diags(np.repeat(factors, each)) @ self.weights).tocsr())

    def largest(self, channels: int) -> Reals:
        """Return the largest absolute weight of each channel, ``(channels,)``."""
        found = np.zeros(channels)
        rows = np.repeat(np.arange(self.weights.shape[0]), np.diff(self.weights.indptr))
        np.maximum.at(found, rows // (self.weights.shape[0] // channels), np.abs(self.weights.data))
        return found

    def sizes(self, channels: int) -> Reals:
        """Return the largest total of a row's absolute weights in each channel, ``(channels,)``."""
        rows = np.asarray(abs(self.weights).sum(axis=1)).reshape(channels, -1)
        return np.asarray(rows.max(axis=1))

    def in_multiples(self, shift: npt.NDArray[Any]) -> "RealMatrix":
        """Return weights times 2^shift of their channel, rounded."""
        each = self.weights.shape[0] // len(shift)
        of_entry = np.repeat(np.repeat(shift, each), np.diff(self.weights.indptr))
        whole = self.weights.copy()  # of its places too: what sorts them in one would disorder the other
        whole.data = np.rint(np.ldexp(whole.data, of_entry))
        return RealMatrix(whole)

    def apply(self, values: npt.NDArray[np.uint8]) -> Reals:
        """Return the sums, ``(size, inputs)``."""
        return np.asarray(self.weights @ values[: self.weights.shape[1]].astype(np.float64))

    def matrix(self, seen: int) -> Any:
        """Return it over so many values."""
        wide = self.weights.copy()
        wide.resize((wide.shape[0], seen))
        return wide


@dataclass(frozen=True, eq=False)
class RealConvolution:
    """A kernel over one picture among the values.

    Attributes:
        picture: The picture.
        kernel: float64 ``(outputs, channels / groups, rows, columns)``.
        window: How it moves.
        groups: Parts that see nothing of each other.
    """

    picture: Picture
    kernel: Reals
    window: Window
    groups: int

    @property
    def made(self) -> int:
        """Numbers it holds."""
        return int(self.kernel.size)

    @property
    def seen(self) -> int:
        """Where its picture ends."""
        return self.picture.start + self.picture.size

    @property
    def work(self) -> int:
        """Multiplications for one input."""
        return self.made * math.prod(self.window.shape)

    @property
    def cost_of_mean(self) -> int:
        """Additions that the mean over all places takes."""
        return self.made * self.picture.height * self.picture.width

    def scaled(self, factors: Reals) -> "RealConvolution":
        """Multiply each output by its factor, ``(outputs,)``."""
        return replace(self, kernel=self.kernel * factors[:, None, None, None])

    def largest(self, channels: int) -> Reals:
        """Return the largest absolute weight of each channel, ``(channels,)``."""
        return np.asarray(np.abs(self.kernel).reshape(channels, -1).max(axis=1))

    def sizes(self, channels: int) -> Reals:
        """Return the total of each output's absolute weights, ``(channels,)``."""
        return np.asarray(np.abs(self.kernel).reshape(channels, -1).sum(axis=1))

    def in_multiples(self, shift: npt.NDArray[Any]) -> "RealConvolution":
        """Return weights times 2^shift of their output, rounded."""
        return replace(self, kernel=np.rint(np.ldexp(self.kernel, shift[:, None, None, None])))

    def apply(self, values: npt.NDArray[np.uint8]) -> Reals:
        """Return the sums, ``(size, inputs)``."""
        return np.asarray(
            convolved(self.picture.of(values), self.kernel, self.window, self.groups), np.float64
        )

    def matrix(self, seen: int) -> Any:
        """Return it written out over so many values."""
        picture = self.picture
        places = picture.of(np.arange(picture.start + picture.size)[:, None])[..., 0]
        padding = self.window.padding(self.kernel.shape[2:], places.shape[1:])
        padded = np.pad(places, ((0, 0), *padding), constant_values=-1)
        outputs, per_group, *taps = self.kernel.shape
        count = math.prod(self.window.shape)
        bounded(self.kernel.size * count, "convolution")
        begin = np.arange(outputs) // (outputs // self.groups) * per_group
        channels = begin[:, None] + np.arange(per_group)  # (outputs, per group)
        sums = np.arange(outputs * count).reshape(outputs, 1, count)
        rows, columns, values = [], [], []
        for down, across in np.ndindex(*taps):
            seen_by = padded[(slice(None), *self.window.tap(down, across))].reshape(len(padded), count)[
                channels
            ]
            inside = seen_by >= 0
            rows.append(np.broadcast_to(sums, inside.shape)[inside])
            columns.append(seen_by[inside])
            weights = self.kernel[:, :, down, across, None]
            values.append(np.broadcast_to(weights, inside.shape)[inside])
        flat = [np.concatenate(parts) for parts in (values, rows, columns)]
        return sparse.csr_matrix((flat[0], (flat[1], flat[2])), shape=(outputs * count, seen))

    def averaged(self, seen: int) -> Any:
        """Return the mean over all places of each output, over so many values, ``(outputs, seen)``.

        Each value of the picture meets a tap at most once, so this is small where the whole matrix is not.
        """
        picture, (rows, columns) = self.picture, self.window.shape
        outputs, per_group, *taps = self.kernel.shape
        bounded(outputs * per_group * picture.height * picture.width, "mean of a convolution")
        affordable(self.cost_of_mean, "mean of a convolution")
        sums = np.zeros((outputs, per_group, picture.height, picture.width))
        for down, across in np.ndindex(*taps):
            met = self.window.met((down, across), (picture.height, picture.width))
            sums[:, :, met[0], met[1]] += self.kernel[:, :, down, across, None, None]
        places = picture.of(np.arange(self.seen)[:, None])[..., 0]
        begin = np.arange(outputs) // (outputs // self.groups) * per_group
        values = (sums / (rows * columns)).reshape(-1)
        found = places[begin[:, None] + np.arange(per_group)].reshape(-1)
        each = per_group * picture.height * picture.width
        return sparse.csr_matrix((values, found, np.arange(0, values.size + 1, each)), shape=(outputs, seen))


@dataclass(frozen=True, eq=False)
class ScaledPicture:
    """A picture of bytes, each channel times its scale plus its shift.

    Attributes:
        picture: Where it lies.
        scale: ``(channels,)``.
        shift: ``(channels,)``.
    """

    picture: Picture
    scale: Reals
    shift: Reals


@dataclass(frozen=True, eq=False)
class RealTensor:
    """An affine image of the values so far.

    Attributes:
        shape: (channels, height, width) or (features,).
        terms: What is added up.
        bias: float64 ``(size,)``.
        picture: Set if the tensor is nothing but a scaled picture, of the tensor's shape.
        integers: For bytes: CSR of int64 with tensor = unit * integers * values; else None.
        unit: For bytes: float64 ``(size,)``, the same within a channel.
        cost: Multiplications that it took to make it, about.
    """

    shape: tuple[int, ...]
    terms: tuple[RealMatrix | RealConvolution, ...]
    bias: Reals
    picture: ScaledPicture | None = None
    integers: Any = None
    unit: Reals | None = None
    cost: int = 0

    @classmethod
    def of_picture(cls, scaled: ScaledPicture, *, is_bytes: bool = False) -> "RealTensor":
        """Return a scaled picture as a tensor."""
        picture = scaled.picture
        shape = (picture.channels, picture.height, picture.width)
        each = picture.height * picture.width
        seen = picture.start + picture.size
        places = picture.of(np.arange(seen)[:, None]).reshape(-1)
        where = (np.arange(picture.size), places)
        chosen = sparse.csr_matrix((np.ones(picture.size, np.int64), where), shape=(picture.size, seen))
        scale = np.repeat(scaled.scale, each)
        terms = (RealMatrix((sparse.diags(scale) @ chosen).tocsr()),)
        bias = np.repeat(scaled.shift, each)
        return cls(shape, terms, bias, scaled, chosen if is_bytes else None, scale if is_bytes else None)

    @property
    def size(self) -> int:
        """Numbers."""
        return len(self.bias)

    @property
    def made(self) -> int:
        """Numbers that its terms hold."""
        return sum(term.made for term in self.terms) + self.size

    @property
    def _seen(self) -> int:
        return max(term.seen for term in self.terms)

    def flattened(self) -> "RealTensor":
        """Return it as one row, every number a channel of its own."""
        terms: tuple[RealMatrix | RealConvolution, ...] = self.terms
        if any(isinstance(term, RealConvolution) for term in terms):
            terms = (RealMatrix(self.matrix(self._seen).tocsr()),)
        return replace(self, shape=(self.size,), terms=terms, picture=None)

    def matrix(self, seen: int) -> Any:
        """Return all terms as one sparse matrix over so many values."""
        total = self.terms[0].matrix(seen)
        for term in self.terms[1:]:
            other = term.matrix(seen)
            bounded(total.nnz + other.nnz, "sum")
            total = total + other
        return total

    def scaled(self, factors: Reals, shifts: Reals) -> "RealTensor":
        """Multiply each channel by a factor and add a shift, ``(channels,)`` each."""
        each = self.size // len(factors)
        terms = tuple(term.scaled(factors) for term in self.terms)
        return RealTensor(self.shape, terms, self.bias * np.repeat(factors, each) + np.repeat(shifts, each))

    def plus(self, other: "RealTensor") -> "RealTensor":
        """Add a tensor of the same shape: matrices are added, convolutions stand side by side."""
        both = [*self.terms, *other.terms]
        matrices = [term for term in both if isinstance(term, RealMatrix)]
        kept: list[RealMatrix | RealConvolution] = [
            term for term in both if isinstance(term, RealConvolution)
        ]
        if matrices:
            seen = max(term.seen for term in matrices)
            bounded(sum(term.made for term in matrices), "sum")
            total = matrices[0].matrix(seen)
            for term in matrices[1:]:
                total = total + term.matrix(seen)
            kept.append(RealMatrix(total.tocsr()))
        if len(kept) > TERM_LIMIT:
            raise too_large(f"a sum of {len(kept)} convolutions")
        return RealTensor(self.shape, tuple(kept), self.bias + other.bias)

    def mapped(self, shape: tuple[int, ...], matrix: Any, bias: Reals) -> "RealTensor":
        """Return a matrix times the tensor, plus a bias."""
        own = self.matrix(self._seen)
        # What the product will at most have, before it is made: two sparse matrices can have a dense one.
        products = int(np.diff(own.indptr)[matrix.tocsr().indices].sum(dtype=np.int64))
        bounded(min(products, matrix.shape[0] * len(columns_of(own))), "matrix")
        affordable(products, "matrix")
        weights, constant = ordered_product(matrix.tocsr(), own, self.bias)
        return RealTensor(shape, (RealMatrix(weights),), constant + bias, cost=products)

    def averaged(self) -> "RealTensor":
        """Return the mean over all places of each channel, ``(channels, 1, 1)``."""
        channels, *sides = self.shape
        each = math.prod(sides)
        # Multiplied first and then added up, with ones: so nothing can be joined into one rounding.
        rows = (np.ones(self.size), np.arange(self.size), np.arange(0, self.size + 1, each))
        total_of = sparse.csr_matrix(rows, shape=(channels, self.size))
        found = []
        for term in self.terms:
            if isinstance(term, RealConvolution):
                found.append(RealMatrix(term.averaged(self._seen)))
            else:
                found.append(RealMatrix((total_of @ (term.weights * (1 / each))).tocsr()))
        total = RealTensor((channels, 1, 1), (), total_of @ (self.bias * (1 / each)))
        for matrix in found:
            total = total.plus(RealTensor(total.shape, (matrix,), np.zeros(channels)))
        return replace(total, cost=sum(term.cost_of_mean for term in self.terms))

    def convolved(self, kernel: Reals, bias: Reals, window: Window, groups: int) -> "RealTensor":
        """Return a convolution of it, ``kernel`` as in RealConvolution, ``bias`` ``(outputs,)``."""
        shape = (len(kernel), *window.shape)
        count = math.prod(window.shape)
        bounded(len(kernel) * count, "convolution's result")
        affordable(kernel.size * count, "convolution")
        columns = self.shape[0] * math.prod(kernel.shape[2:]) * count
        if columns > COLUMN_LIMIT or math.prod(kernel.shape[2:]) > TAP_LIMIT:
            raise too_large(f"a convolution that looks at {columns} numbers")
        if self.picture is None:
            own = Picture(0, self.shape[0], self.shape[1], self.shape[2], interleaved=False)
            unrolled = RealConvolution(own, kernel, window, groups).matrix(self.size)
            return self.mapped(shape, unrolled, np.repeat(bias, count))
        scaled = self.picture
        of_channel = np.arange(len(kernel)) // (len(kernel) // groups) * kernel.shape[1]
        channels = of_channel[:, None] + np.arange(kernel.shape[1])
        weights = kernel * scaled.scale[channels][:, :, None, None]
        shifts = kernel * scaled.shift[channels][:, :, None, None]
        total, cost = np.repeat(bias, count).reshape(shape), int(kernel.size)
        if scaled.shift.any():
            inside, cost = _inside_sums(shifts, scaled.picture, window)
            total = total + inside
        term = RealConvolution(scaled.picture, weights, window, groups)
        return RealTensor(shape, (term,), total.reshape(-1), cost=cost)


def _inside_sums(weights: Reals, picture: Picture, window: Window) -> tuple[Reals, int]:
    """Return at every place the sum of the taps inside the picture, each rounded once; and the cost."""
    patterns = []
    for axis, size in ((0, picture.height), (1, picture.width)):
        steps = np.arange(window.shape[axis])[:, None] * window.strides[axis] - window.pads[axis]
        at = steps + np.arange(weights.shape[2 + axis]) * window.dilations[axis]
        patterns.append(np.unique((at >= 0) & (at < size), axis=0, return_inverse=True))
    (rows, row_of), (columns, column_of) = patterns
    cost = _COST_OF_AN_EXACT_SUM * weights.size * len(rows) * len(columns)
    affordable(cost, "convolution's bias")
    found = np.empty((len(weights), len(rows), len(columns)))
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            inside = weights[:, :, row][:, :, :, column].reshape(len(weights), -1)
            found[:, i, j] = [math.fsum(values) for values in inside]
    return found[:, row_of.reshape(-1)][:, :, column_of.reshape(-1)], cost
