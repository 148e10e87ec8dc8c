"""Number-theoretic transforms over F_p: rows as polynomials, and their values on cosets.

``transform`` and its kin take few rows as they are. Matrices of many rows are kept *in lanes*: sixteen rows
side by side, which one butterfly takes together, places with their bits reversed, so that nothing is put in
order on the way.
"""

import math
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from earmark.fields.arrays import powers
from earmark.fields.compiling import Words, compiled, in_threads
from earmark.fields.prime import GENERATOR, PRIME, root_of_unity

_P = np.uint64(PRIME)
_P32 = np.uint32(PRIME)
_WORD = np.uint64(32)
_MINUS_P_INVERSE = np.uint64(-pow(PRIME, -1, 1 << 32) % (1 << 32))
_LANES = 16  # rows that are transformed together
_NEAR = 2048  # places whose lanes stay in a core's own memory


@compiled
def _product(value: np.uint32, factor: np.uint64) -> np.uint32:
    """Return value * factor / 2^32 in F_p, after Montgomery: no division; factors are kept times 2^32."""
    product = np.uint64(value) * factor
    whole = np.uint64(np.uint32(product * _MINUS_P_INVERSE)) * _P
    turned = np.uint32((product + whole) >> _WORD)
    return min(turned, np.uint32(turned - _P32))  # below 2p; a negative one wraps to a large one


@compiled
def _sum(one: np.uint32, other: np.uint32) -> np.uint32:
    total = np.uint32(one + other)
    return min(total, np.uint32(total - _P32))


@compiled
def _difference(one: np.uint32, other: np.uint32) -> np.uint32:
    difference = np.uint32(one - other)
    return min(difference, np.uint32(difference + _P32))


@compiled
def _stage(
    block: Words, first: int, last: int, half: int, stride: int, roots: npt.NDArray[np.uint64]
) -> None:
    """One stage of the transform, on all lanes at once."""
    for start in range(first, last, 2 * half):
        for place in range(half):
            root = roots[place * stride]
            low, high = block[start + place], block[start + place + half]
            for lane in range(_LANES):
                kept, turned = low[lane], _product(high[lane], root)
                low[lane], high[lane] = _sum(kept, turned), _difference(kept, turned)


@compiled
def _stages(block: Words, roots: npt.NDArray[np.uint64]) -> None:
    """Every stage, in parts that stay near the core: from places with bits reversed to places in order."""
    size = block.shape[0]
    chunk = min(_NEAR, size)
    for first in range(0, size, chunk):
        half = 1
        while half < chunk:
            _stage(block, first, first + chunk, half, size // (2 * half), roots)
            half *= 2
    half = chunk
    while half < size:
        _stage(block, 0, size, half, size // (2 * half), roots)
        half *= 2


@lru_cache(maxsize=16)
def _plan(root: int, size: int) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """Return the root's powers times 2^32, and the order in which bits of places are reversed."""
    roots = powers(root, size, 1 << 32).astype(np.uint64)
    order = np.zeros(size, np.int64)
    for bit in range(size.bit_length() - 1):
        order = 2 * order + (np.arange(size) >> bit & 1)
    return roots, order


@compiled
def _backward_stage(
    block: Words, first: int, last: int, half: int, stride: int, roots: npt.NDArray[np.uint64]
) -> None:
    """One stage the other way round: values in order become coefficients with bits of places reversed."""
    for start in range(first, last, 2 * half):
        for place in range(half):
            root = roots[place * stride]
            low, high = block[start + place], block[start + place + half]
            for lane in range(_LANES):
                one, other = low[lane], high[lane]
                low[lane], high[lane] = _sum(one, other), _product(_difference(one, other), root)


@compiled
def _scale_lanes(block: Words, source: Words, factors: npt.NDArray[np.uint64]) -> None:
    """Set the block to the source, each place times its factor, after Montgomery."""
    for place in range(block.shape[0]):
        factor = factors[place]
        for lane in range(_LANES):
            block[place, lane] = _product(source[place, lane], factor)


@compiled
def _into_lanes(
    lanes: Words,
    rows: Words,
    roots: npt.NDArray[np.uint64],
    share: npt.NDArray[np.uint64],
    first: int,
    last: int,
) -> None:
    size = rows.shape[1]
    chunk = min(_NEAR, size)
    for group in range(first, last):
        block = lanes[group]
        block[:] = 0
        start = group * _LANES
        used = min(_LANES, rows.shape[0] - start)
        for place in range(size):
            for lane in range(used):
                block[place, lane] = rows[start + lane, place]
        half = size // 2
        while half >= chunk:
            _backward_stage(block, 0, size, half, size // (2 * half), roots)
            half //= 2
        for begin in range(0, size, chunk):
            half = chunk // 2
            while half:
                _backward_stage(block, begin, begin + chunk, half, size // (2 * half), roots)
                half //= 2
        _scale_lanes(block, block, share)


@compiled
def _on_coset(
    values: Words,
    lanes: Words,
    factors: npt.NDArray[np.uint64],
    roots: npt.NDArray[np.uint64],
    first: int,
    last: int,
) -> None:
    for group in range(first, last):
        _scale_lanes(values[group], lanes[group], factors)
        _stages(values[group], roots)


@compiled
def _side_by_side(result: Words, lanes: Words, first: int, last: int) -> None:
    """Put together what belongs to one place; few places at a time, so that both sides stay near the core."""
    rows = result.shape[1]
    for group in range(lanes.shape[0]):
        start = group * _LANES
        used = min(_LANES, rows - start)
        for place in range(first, last):
            for lane in range(used):
                result[place, start + lane] = lanes[group, place, lane]


_GROUPS_AT_ONCE = 4
_PLACES_AT_ONCE = 32


def coefficients_in_lanes(rows: Words) -> Words:
    """Return the coefficients of rows given by their values at the powers of the root of unity.

    Args:
        rows: uint32 ``(rows, size)``, size a power of two.

    Returns:
        uint32 ``(ceil(rows / 16), size, 16)``: sixteen rows lie side by side, places with their bits
        reversed, as transforms work on them.
    """
    size = rows.shape[1]
    groups = -(-len(rows) // _LANES)
    lanes = np.empty((groups, size, _LANES), np.uint32)
    roots, _ = _plan(pow(root_of_unity(size), -1, PRIME), size)
    share = np.full(size, pow(size, -1, PRIME) * (1 << 32) % PRIME, np.uint64)
    source = np.ascontiguousarray(rows, np.uint32)
    in_threads(
        groups,
        _GROUPS_AT_ONCE,
        lambda first, last: _into_lanes(lanes, source, roots, share, first, last),
    )
    return lanes


def in_lanes(coefficients: Words) -> Words:
    """Return coefficients ``(rows, size)``, lowest power first, as ``coefficients_in_lanes`` does."""
    size = coefficients.shape[1]
    groups = -(-len(coefficients) // _LANES)
    padded = np.zeros((groups * _LANES, size), np.uint32)
    padded[: len(coefficients)] = coefficients[:, _plan(root_of_unity(size), size)[1]]
    return np.ascontiguousarray(padded.reshape(groups, _LANES, -1).transpose(0, 2, 1))


def out_of_lanes(lanes: Words, rows: int) -> Words:
    """Return coefficients ``(rows, size)``, lowest power first: undoes ``in_lanes``."""
    size = lanes.shape[1]
    order = _plan(root_of_unity(size), size)[1]  # reversing bits twice changes nothing
    return np.ascontiguousarray(lanes.transpose(0, 2, 1).reshape(-1, size)[:rows, order])


class Workspace:
    """Memory that is used again: to touch a page for the first time takes as long as a transform of it."""

    def __init__(self) -> None:
        self._held: dict[str, Words] = {}

    def array(self, purpose: str, *shape: int) -> Words:
        """Return uint32 of this shape, with anything in it; what was given for the purpose before is lost."""
        count = math.prod(shape)
        if purpose not in self._held or self._held[purpose].size < count:
            self._held[purpose] = np.empty(count, np.uint32)
        return self._held[purpose][:count].reshape(shape)


def lanes_on_coset(lanes: Words, rows: int, size: int, residue: int, space: Workspace | None = None) -> Words:
    """Return values of polynomials at every (size / k)-th point of the coset of 31.

    The coset of 31 is disjoint from every group of roots of unity, so no committed value is ever opened.

    Args:
        lanes: Coefficients, ``(groups, k, 16)``.
        rows: How many polynomials.
        size: Of the whole coset: k times a power of two.
        residue: The points are 31 * w^(residue + i * size / k), w the root of unity of order ``size``.
        space: Where the result lies, until the space is used again.

    Returns:
        uint32 ``(k, rows)``: what belongs to one point lies together.
    """
    shift = GENERATOR * pow(root_of_unity(size), residue, PRIME) % PRIME
    return _shifted_values(lanes, rows, shift, space or Workspace())


def _shifted_values(lanes: Words, rows: int, shift: int, space: Workspace) -> Words:
    """Return values at shift times the powers of the root of unity, ``(k, rows)``."""
    degree = lanes.shape[1]
    roots, order = _plan(root_of_unity(degree), degree)
    factors = powers(shift, degree, 1 << 32).astype(np.uint64)[order]
    values = space.array("values", *lanes.shape)
    in_threads(
        len(lanes), _GROUPS_AT_ONCE, lambda first, last: _on_coset(values, lanes, factors, roots, first, last)
    )
    result = space.array("result", degree, rows)
    in_threads(degree, _PLACES_AT_ONCE, lambda first, last: _side_by_side(result, values, first, last))
    return result


def transform(rows: Words, *, inverted: bool = False) -> Words:
    """Return each row's values at the powers of the root of unity, or, inverted, its coefficients.

    Args:
        rows: uint32 ``(rows, size)``, size a power of two; coefficients, lowest first (or values).
        inverted: Go from values to coefficients.

    Returns:
        A new array of the same shape.

    Source:
        Cooley and Tukey 1965, radix 2, over F_p
    """
    if inverted:
        return out_of_lanes(coefficients_in_lanes(rows), len(rows))
    return np.ascontiguousarray(_shifted_values(in_lanes(rows), len(rows), 1, Workspace()).T)


def coset_coefficients(values: Words) -> Words:
    """Return each row's coefficients from its values at 31 * w^0, 31 * w^1 …, w the root of unity."""
    back = powers(pow(GENERATOR, -1, PRIME), values.shape[1])
    return np.asarray(transform(values, inverted=True).astype(np.uint64) * back % _P).astype(np.uint32)


class AtPoints:
    """Values of many polynomials at a few points: exact products of matrices of floats, halves of 16 bits.

    Sums of 2^16 products of 17 bits stay below 2^53. For some hundred points this takes a fraction of the
    time that transforms to all points take.

    Args:
        points: Of F_p, ``(points,)``.
        degree: k, at most 2^16.
    """

    def __init__(self, points: Words, degree: int) -> None:
        order = _plan(root_of_unity(degree), degree)[1]
        table = np.ones((len(points), degree), np.uint64)
        done, power = 1, points.astype(np.uint64)
        while done < degree:
            table[:, done : 2 * done] = table[:, :done] * power[:, None] % _P
            power = power * power % _P
            done *= 2
        self._low, self._high = _halves(table[:, order])

    def values(self, lanes: Words, rows: int) -> Words:
        """Return the values of polynomials in lanes, ``(rows, points)``."""
        found = np.empty((len(self._low), len(lanes) * _LANES), np.uint32)
        both = self._low + self._high
        for first in range(0, len(lanes), _GROUPS_OF_A_PRODUCT):
            part = lanes[first : first + _GROUPS_OF_A_PRODUCT].transpose(1, 0, 2).reshape(lanes.shape[1], -1)
            low, high = _halves(part)
            lowest, highest = self._low @ low, self._high @ high
            middle = ((both @ (low + high) - lowest - highest) % PRIME).astype(np.int64)
            total = (
                lowest.astype(np.int64)
                + (middle << 16)
                + (highest % PRIME).astype(np.int64) * (2**32 % PRIME)
            )
            found[:, first * _LANES : first * _LANES + part.shape[1]] = total % PRIME
        return np.ascontiguousarray(found[:, :rows].T)


_GROUPS_OF_A_PRODUCT = 8


def _halves(values: npt.NDArray[Any]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    return (values & 0xFFFF).astype(np.float64), (values >> 16).astype(np.float64)
