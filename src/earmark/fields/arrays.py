"""Field arithmetic on arrays, compiled: products in the extension, sums of columns, inverses.

Elements of F_p are uint32 in [0, p). Elements of K are the last axis, 5 uint32. Of products of 62 bits four
may be added in 64; where more are added, their halves are added apart.
"""

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from earmark.fields.compiling import Words, compiled
from earmark.fields.prime import EXTENSION_DEGREE, PRIME

_P = np.uint64(PRIME)
_WORD = np.uint64(32)
_LOW = np.uint64((1 << 32) - 1)


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
def combine_columns(columns: Words, coefficients: Words, result: Words) -> None:
    """Add to each result the sum of a column's elements of F_p, each times its coefficient in K.

    Args:
        columns: ``(points, rows)``.
        coefficients: ``(rows, 5)``.
        result: ``(points, 5)``, added to.
    """
    low, high = np.zeros(5, np.uint64), np.zeros(5, np.uint64)
    for point in range(columns.shape[0]):
        low[:] = 0
        high[:] = 0
        for row in range(columns.shape[1]):
            value = np.uint64(columns[point, row])
            for part in range(5):
                product = value * np.uint64(coefficients[row, part])
                # Halves apart: 2^32 products add up in 64 bits without a division.
                low[part] += product & _LOW
                high[part] += product >> _WORD
        for part in range(5):
            total = (high[part] % _P << _WORD) % _P + low[part] % _P
            result[point, part] = (np.uint64(result[point, part]) + total) % _P


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
