"""Field arithmetic on arrays, compiled: transforms, sums of rows, products in the extension.

Elements of F_p are uint32 in [0, p). Elements of K are the last axis, 5 uint32. Sums of products are
reduced at every product: two products of 62 bits may be added in 64, three may not.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

from earmark.errors import MissingExtraError
from earmark.fields.prime import EXTENSION_DEGREE, GENERATOR, PRIME, root_of_unity

try:
    import numba
except ImportError as error:
    raise MissingExtraError("numba", "zk") from error

Words = npt.NDArray[np.uint32]
_Function = TypeVar("_Function", bound=Callable[..., Any])
_P = np.uint64(PRIME)
_P32 = np.uint32(PRIME)
_WORD = np.uint64(32)
_MINUS_P_INVERSE = np.uint64(-pow(PRIME, -1, 1 << 32) % (1 << 32))
_LANES = 16  # rows that are transformed together
_NEAR = 2048  # places whose lanes stay in a core's own memory


def compiled(function: _Function) -> _Function:
    """Compile a function of arrays, which other threads need not wait for.

    The machine code is kept beside the source for the next start.
    """
    return cast(_Function, numba.njit(cache=True, nogil=True)(function))


def in_threads(count: int, step: int, work: Callable[[int, int], None]) -> None:
    """Call ``work(first, last)`` for the parts of a range, on every core that this process may use.

    Args:
        count: Length of the range.
        step: Of each part; the last one may be shorter.
        work: Must be compiled, or hash, so that threads run side by side; parts do not depend on each other.
    """
    available = getattr(os, "sched_getaffinity", None)
    cores = len(available(0)) if available else os.cpu_count() or 1
    with ThreadPoolExecutor(cores) as threads:
        parts = [threads.submit(work, first, min(first + step, count)) for first in range(0, count, step)]
        for part in parts:
            part.result()


@compiled
def _stage(
    block: Words, first: int, last: int, half: int, stride: int, roots: npt.NDArray[np.uint64]
) -> None:
    """One stage of the transform, on all lanes at once: products after Montgomery, without a division."""
    for start in range(first, last, 2 * half):
        for place in range(half):
            root = roots[place * stride]
            low, high = block[start + place], block[start + place + half]
            for lane in range(_LANES):
                product = np.uint64(high[lane]) * root
                whole = np.uint64(np.uint32(product * _MINUS_P_INVERSE)) * _P
                turned = np.uint32((product + whole) >> _WORD)
                turned = min(
                    turned, np.uint32(turned - _P32)
                )  # below 2p; a negative one wraps to a large one
                kept = low[lane]
                total = np.uint32(kept + turned)
                low[lane] = min(total, np.uint32(total - _P32))
                difference = np.uint32(kept - turned)
                high[lane] = min(difference, np.uint32(difference + _P32))


@compiled
def _transform(
    result: Words, rows: Words, roots: npt.NDArray[np.uint64], order: npt.NDArray[np.int64]
) -> None:
    """Set each row of the result to the transform of a row, which may be shorter: the rest of it is zeros."""
    size, few = result.shape[1], rows.shape[1]
    copies = size // few
    block = np.zeros((size, _LANES), np.uint32)
    for start in range(0, rows.shape[0], _LANES):
        lanes = min(_LANES, rows.shape[0] - start)
        for place in range(few):
            source = order[place * copies]
            for lane in range(lanes):
                value = rows[start + lane, source]
                # The first stages would add zeros.
                for copy in range(copies):
                    block[place * copies + copy, lane] = value
        chunk = min(max(_NEAR, copies), size)
        for first in range(0, size, chunk):
            half = copies
            while half < chunk:
                _stage(block, first, first + chunk, half, size // (2 * half), roots)
                half *= 2
        half = chunk
        while half < size:
            _stage(block, 0, size, half, size // (2 * half), roots)
            half *= 2
        for lane in range(lanes):
            for place in range(size):
                result[start + lane, place] = block[place, lane]


@compiled
def _scale(rows: Words, factors: Words) -> None:
    for row in range(rows.shape[0]):
        for place in range(rows.shape[1]):
            rows[row, place] = np.uint64(rows[row, place]) * np.uint64(factors[place]) % _P


@lru_cache(maxsize=16)
def powers(base: int, count: int, factor: int = 1) -> Words:
    """Return factor * base^0 … factor * base^(count-1) in F_p, uint32 ``(count,)``."""
    values = np.empty(count, np.uint32)
    value = factor % PRIME
    for place in range(count):
        values[place] = value
        value = value * base % PRIME
    values.setflags(write=False)
    return values


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
    size = rows.shape[1]
    root = root_of_unity(size)
    result = np.empty(rows.shape, np.uint32)
    if inverted:
        _transform(result, np.asarray(rows, np.uint32), *_plan(pow(root, -1, PRIME), size))
        _scale(result, powers(1, size, pow(size, -1, PRIME)))
    else:
        _transform(result, np.asarray(rows, np.uint32), *_plan(root, size))
    return result


@lru_cache(maxsize=16)
def _plan(root: int, size: int) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """Return the root's powers times 2^32, and the order in which bits of places are reversed."""
    roots = powers(root, size, 1 << 32).astype(np.uint64)
    order = np.zeros(size, np.int64)
    for bit in range(size.bit_length() - 1):
        order = 2 * order + (np.arange(size) >> bit & 1)
    return roots, order


def coset_values(coefficients: Words, size: int) -> Words:
    """Return each row's values at 31 * w^0, 31 * w^1 …, w the root of unity of order ``size``.

    The coset of 31 is disjoint from every group of roots of unity, so no committed value is ever opened.
    """
    shifted = np.array(coefficients, np.uint32, order="C")
    _scale(shifted, powers(GENERATOR, shifted.shape[1]))
    result = np.empty((len(shifted), size), np.uint32)
    _transform(result, shifted, *_plan(root_of_unity(size), size))
    return result


def coset_coefficients(values: Words) -> Words:
    """Return each row's coefficients from its values at 31 * w^0, 31 * w^1 …: undoes ``coset_values``."""
    result = transform(values, inverted=True)
    size = values.shape[1]
    _scale(result, powers(pow(GENERATOR, -1, PRIME), size))
    return result


@compiled
def multiply_elements(left: Words, right: Words) -> Words:
    """Return the products in K of two arrays of elements, ``(count, 5)`` each, or one row against many."""
    count = max(left.shape[0], right.shape[0])
    result = np.empty((count, 5), np.uint32)
    left_step = 0 if left.shape[0] == 1 else 1
    right_step = 0 if right.shape[0] == 1 else 1
    for place in range(count):
        total = np.zeros(9, np.uint64)
        for i in range(5):
            for j in range(5):
                product = np.uint64(left[place * left_step, i]) * np.uint64(right[place * right_step, j])
                total[i + j] += product % _P
        for i in range(5):
            value = total[i]
            if i < 4:
                value += np.uint64(2) * total[i + 5]
            result[place, i] = value % _P
    return result


@compiled
def combine_rows(rows: Words, coefficients: Words) -> Words:
    """Return the sum of the rows of F_p, each times its coefficient in K.

    Args:
        rows: ``(rows, points)``.
        coefficients: ``(rows, 5)``.

    Returns:
        ``(points, 5)``.
    """
    points = rows.shape[1]
    totals = np.zeros((5, points), np.uint64)
    for row in range(rows.shape[0]):
        for part in range(5):
            factor = np.uint64(coefficients[row, part])
            if factor:
                for point in range(points):
                    totals[part, point] += np.uint64(rows[row, point]) * factor % _P
    result = np.empty((points, 5), np.uint32)
    for part in range(5):
        for point in range(points):
            result[point, part] = totals[part, point] % _P
    return result


@compiled
def _invert(values: Words, running: Words, result: Words, last: Words) -> None:
    carried = last.copy()
    for place in range(values.shape[0] - 1, -1, -1):
        before = running[place : place + 1]
        result[place] = multiply_elements(carried, before)[0]
        carried = multiply_elements(carried, values[place : place + 1])


@compiled
def _run(values: Words, running: Words) -> None:
    for place in range(values.shape[0]):
        running[place + 1] = multiply_elements(running[place : place + 1], values[place : place + 1])[0]


def invert_elements(values: Words) -> Words:
    """Return the inverses of elements of K, ``(count, 5)``, with one inversion for all.

    Raises:
        ZeroDivisionError: One of them is zero.

    Source:
        Montgomery 1987, simultaneous inversion
    """
    from earmark.fields.prime import inverse

    running = np.zeros((len(values) + 1, EXTENSION_DEGREE), np.uint32)
    running[0, 0] = 1
    _run(values, running)
    a, b, c, d, e = (int(part) for part in running[-1])
    last = np.array([inverse((a, b, c, d, e))], np.uint32)
    result = np.empty_like(values)
    _invert(values, running, result, last)
    return result


@compiled
def evaluate(coefficients: Words, points: Words) -> Words:
    """Return a polynomial over K at points of F_p.

    Args:
        coefficients: ``(degree bound, 5)``, lowest first.
        points: ``(points,)``.

    Returns:
        ``(points, 5)``.
    """
    result = np.zeros((points.shape[0], 5), np.uint32)
    for place in range(points.shape[0]):
        point = np.uint64(points[place])
        for part in range(5):
            value = np.uint64(0)
            for power in range(coefficients.shape[0] - 1, -1, -1):
                value = (value * point + np.uint64(coefficients[power, part])) % _P
            result[place, part] = value
    return result


def sum_mod(*arrays: npt.NDArray[Any]) -> Words:
    """Return the sum of arrays in F_p."""
    total = sum((array.astype(np.int64) for array in arrays), start=np.int64(0))
    return np.asarray(total % PRIME).astype(np.uint32)


def difference_mod(left: npt.NDArray[Any], right: npt.NDArray[Any]) -> Words:
    """Return left - right in F_p."""
    return np.asarray((left.astype(np.int64) - right.astype(np.int64)) % PRIME).astype(np.uint32)


def product_mod(matrix: Any, values: npt.NDArray[Any]) -> Words:
    """Return an integer matrix, dense or sparse, times values of F_p, exactly.

    The values are split into halves of 16 bits, so that no sum leaves 64 bits: each row of the matrix
    must have an absolute sum below 2^46.

    Args:
        matrix: int64, dense or scipy.sparse, ``(rows, columns)``.
        values: In [0, p), ``(columns, any)``.
    """
    wide = values.astype(np.int64)
    low = np.asarray(matrix @ (wide & 0xFFFF)) % PRIME
    high = np.asarray(matrix @ (wide >> 16)) % PRIME
    return np.asarray((low + (high << 16)) % PRIME).astype(np.uint32)
