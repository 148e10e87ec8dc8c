"""The three random combinations that a proof is checked by; prover and checker compute the same ones.

proximity   every row is a codeword: a random sum of all rows, hidden by a random codeword
linear      every equation holds: a random sum of all equations, one public vector per row
quadratic   every look-up's inverse is one, and every bit is a bit: random sums of products that must vanish
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from earmark.fields import EXTENSION_DEGREE, PRIME, root_of_unity
from earmark.fields.arrays import combine_columns, difference_mod, multiply_elements, powers, sum_mod
from earmark.fields.compiling import Words, compiled, in_threads
from earmark.fields.prime import GENERATOR
from earmark.fields.transforms import AtPoints, coefficients_in_lanes
from earmark.zero_knowledge.equations import Equations, TableChallenge
from earmark.zero_knowledge.network import Table
from earmark.zero_knowledge.statement import Layout, Part

_P = np.uint64(PRIME)
_DEGREE = EXTENSION_DEGREE
_WORD, _LOW = np.uint64(32), np.uint64((1 << 32) - 1)
_POINTS_AT_ONCE = 256
_ROWS_AT_ONCE = 1 << 14  # of few columns


@dataclass(frozen=True, eq=False)
class Combinations:
    """The three combinations at some points, each ``(points, 5)``."""

    proximity: Words
    linear: Words
    quadratic: Words


class Combining:
    """Adds up the three combinations at some points, part after part of the two matrices.

    Args:
        equation: The coefficients.
        points: Of the code, ``(points,)``.
        values_at: Given public vectors ``(rows, degree bound)``, their polynomials' values at the points,
            ``(points, rows)``.
        proximity: Whether the proximity combination is wanted too.
    """

    def __init__(
        self,
        equation: Equations,
        points: Words,
        values_at: Callable[[Words], Words],
        *,
        proximity: bool = True,
    ) -> None:
        self._equation, self._points, self._values_at = equation, points, values_at
        layout = equation.layout
        self._wants_proximity = proximity
        self._proximity, self._linear, self._quadratic = (
            np.zeros((len(points), _DEGREE), np.uint32) for _ in range(3)
        )
        self._shared = self._public(equation.shared)
        ones = np.broadcast_to(equation.lookup_weight, (1, layout.width, _DEGREE))
        self._lookup_weight = self._public(ones)[:, 0]

    def _public(self, vectors: Words) -> Words:
        """Return public vectors ``(rows, width, 5)`` as polynomials at the points, ``(points, rows, 5)``."""
        layout = self._equation.layout
        padded = np.zeros((len(vectors), _DEGREE, layout.degree_bound), np.uint32)
        padded[:, :, : layout.width] = vectors.transpose(0, 2, 1)
        found = self._values_at(padded.reshape(-1, layout.degree_bound))
        return found.reshape(len(self._points), len(vectors), _DEGREE)

    def add(self, part: Part, first: Words, second: Words) -> None:
        """Add one part.

        Args:
            part: Which.
            first: Its rows of the first matrix at the points, ``(points, rows)``.
            second: Its rows of the second, five for each look-up, ``(points, rows)``.
        """
        equation, layout = self._equation, self._equation.layout
        begin, end = (_DEGREE * number for number in part.lookups)
        of_first = np.ascontiguousarray(equation.proximity_first[slice(*part.rows)])
        of_second = np.ascontiguousarray(equation.proximity_second[begin:end])
        products = np.ascontiguousarray(equation.products[slice(*part.lookups)])
        doubled = np.concatenate([products, sum_mod(products, products)], axis=1)
        rows, bases, beta = _rows_of(layout, part), _bases(equation.tables), equation.tables.beta
        inputs = None if part.inputs is None else np.ascontiguousarray(equation.inputs[slice(*part.inputs)])
        vectors = self._public(equation.others(*part.rows)) if inputs is None else self._shared
        inverses = np.zeros((len(self._points), _DEGREE), np.uint32)

        def work(begin: int, end: int) -> None:
            at = slice(begin, end)
            if self._wants_proximity:
                combine_columns(first[at], of_first, self._proximity[at])
                combine_columns(second[at], of_second, self._proximity[at])
            if inputs is None:
                _row_sums(self._linear[at], first[at], vectors[at])
            else:
                _input_sums(self._linear[at], first[at], vectors[at], inputs)
            if len(rows):
                _lookup_sums(
                    self._quadratic[at], inverses[at], first[at], second[at], rows, doubled, bases, beta
                )

        in_threads(len(self._points), _POINTS_AT_ONCE, work)
        if len(rows):
            self._linear = sum_mod(self._linear, multiply_elements(inverses, self._lookup_weight))
            total = products.astype(np.int64).sum(axis=0) % PRIME
            self._quadratic = difference_mod(self._quadratic, total[None])
        if inputs is None:
            self._add_bits(part, first)

    def add_masks(self, masks: Words) -> None:
        """Add the masks' rows at the points, ``(points, 35)``."""
        layout = self._equation.layout
        if self._wants_proximity:
            drawn = np.ascontiguousarray(self._equation.proximity_second[layout.masks_start :])
            combine_columns(np.ascontiguousarray(masks), drawn, self._proximity)
        self._linear = sum_mod(self._linear, _mask(layout, masks[:, 5:20], self._points))
        self._quadratic = sum_mod(self._quadratic, _mask(layout, masks[:, 20:35], self._points))

    def result(self) -> Combinations:
        """Return the sums so far."""
        return Combinations(self._proximity, self._linear, self._quadratic)

    def _add_bits(self, part: Part, first: Words) -> None:
        layout = self._equation.layout
        products = self._equation.products[layout.lookup_rows :].astype(np.int64)
        total = self._quadratic.astype(np.int64)
        for group in range(layout.groups):
            row = layout.bits_start + group - part.rows[0]
            if 0 <= row < part.row_count:
                bits = first[:, row].astype(np.int64)
                total += (bits * bits - bits)[:, None] % PRIME * products[group] % PRIME
        self._quadratic = sum_mod(total)


def column_points(layout: Layout, columns: npt.NDArray[np.int64]) -> Words:
    """Return the points of the code at these columns."""
    return powers(root_of_unity(layout.code_length), layout.code_length, GENERATOR)[columns]


def combinations(
    equation: Equations, first: Words, second: Words, columns: npt.NDArray[np.int64]
) -> Combinations:
    """Compute the three combinations, masks included, at some columns.

    Args:
        equation: The coefficients.
        first: uint32 ``(first_rows, columns)``.
        second: uint32 ``(second_rows, columns)``.
        columns: Their numbers.
    """
    layout = equation.layout
    values, inverses = (np.ascontiguousarray(matrix.T) for matrix in (first, second))
    points = column_points(layout, columns)
    at = AtPoints(points, layout.degree_bound)

    def values_at(vectors: Words) -> Words:
        return np.ascontiguousarray(at.values(coefficients_in_lanes(vectors), len(vectors)).T)

    combining = Combining(equation, points, values_at)
    for part in layout.parts(_ROWS_AT_ONCE):
        begin, end = (_DEGREE * number for number in part.lookups)
        combining.add(
            part,
            np.ascontiguousarray(values[:, slice(*part.rows)]),
            np.ascontiguousarray(inverses[:, begin:end]),
        )
    combining.add_masks(inverses[:, layout.masks_start :])
    return combining.result()


def _rows_of(layout: Layout, part: Part) -> npt.NDArray[np.int64]:
    """Return a part's look-ups, ``(look-ups, 3)``, rows counted from its first."""
    if part.inputs is None:
        begin = layout.limbs_start + part.lookups[0] - layout.limb_lookups_start - part.rows[0]
        limbs = np.arange(begin, begin + part.lookup_count)
        return np.stack([limbs, np.full_like(limbs, -1), np.full_like(limbs, Table.LIMB)], axis=1)
    starts = np.arange(part.inputs[1] - part.inputs[0])[:, None] * layout.rows_per_input
    inside = np.tile(layout.inside, (len(starts), 1, 1))
    inside[:, :, 0] += starts
    inside[:, :, 1] += np.where(layout.inside[:, 1] < 0, 0, starts)
    return inside.reshape(-1, 3)


def _bases(tables: TableChallenge) -> Words:
    """Return alpha - beta^2 table for each table, ``(tables, 5)``."""
    numbers = np.arange(len(Table), dtype=np.int64)[:, None]
    return difference_mod(tables.alpha, numbers * tables.beta_square.astype(np.int64))


def _mask(layout: Layout, rows: Words, points: Words) -> Words:
    """Return u0 + X^(k/2) u1 + X^k u2 at points: three codewords that together have twice the degree."""
    total = np.zeros((len(points), _DEGREE), np.int64)
    for part in range(3):
        exponent = part * layout.degree_bound // 2
        shift = np.array([pow(point, exponent, PRIME) for point in points.tolist()])[:, None]
        total += rows[:, _DEGREE * part : _DEGREE * (part + 1)].astype(np.int64) * shift % PRIME
    return sum_mod(total)


@compiled
def _times(left: npt.NDArray[np.uint64], right: Words, result: npt.NDArray[np.uint64]) -> None:
    """Multiply in K; left holds an element and behind it twice the element."""
    for part in range(5):
        # Four products of 62 bits fit 64, five do not.
        total = np.uint64(0)
        for i in range(4):
            total += left[i if i <= part else i + 5] * np.uint64(right[(part - i) % 5])
        total = total % _P + left[4 if part == 4 else 9] * np.uint64(right[(part - 4) % 5])
        result[part] = total % _P


@compiled
def _input_sums(result: Words, first: Words, shared: Words, inputs: Words) -> None:
    """Add for every row of an input: the sum over inputs, each times its factor, times the row's vector."""
    blocks = shared.shape[1]
    low, high = np.zeros(5, np.uint64), np.zeros(5, np.uint64)
    element, product = np.zeros(10, np.uint64), np.zeros(5, np.uint64)
    for point in range(first.shape[0]):
        for block in range(blocks):
            low[:] = 0
            high[:] = 0
            for number in range(inputs.shape[0]):
                value = np.uint64(first[point, number * blocks + block])
                for part in range(5):
                    term = value * np.uint64(inputs[number, part])
                    low[part] += term & _LOW
                    high[part] += term >> _WORD
            for part in range(5):
                element[part] = ((high[part] % _P << _WORD) % _P + low[part] % _P) % _P
                element[part + 5] = 2 * element[part] % _P
            _times(element, shared[point, block], product)
            for part in range(5):
                result[point, part] = (np.uint64(result[point, part]) + product[part]) % _P


@compiled
def _row_sums(result: Words, first: Words, vectors: Words) -> None:
    """Add each row's value times its vector."""
    for point in range(first.shape[0]):
        for row in range(first.shape[1]):
            value = np.uint64(first[point, row])
            for part in range(5):
                total = np.uint64(result[point, part]) + value * np.uint64(vectors[point, row, part]) % _P
                result[point, part] = total % _P


@compiled
def _lookup_sums(
    result: Words,
    inverses: Words,
    first: Words,
    second: Words,
    lookups: npt.NDArray[np.int64],
    coefficients: Words,
    bases: Words,
    beta: Words,
) -> None:
    """Add the sum over look-ups of r h (base of the table - x - beta y); and, to the inverses, the sum of h.

    Sums over tables, x and y are kept apart, so that beta and the bases are multiplied once for a point.
    """
    of_table = np.zeros((bases.shape[0], 5), np.uint64)
    low, high = np.zeros((2, 5), np.uint64), np.zeros((2, 5), np.uint64)
    drawn, weighed, sums = np.zeros(10, np.uint64), np.zeros(5, np.uint64), np.zeros(5, np.uint64)
    for point in range(first.shape[0]):
        of_table[:] = 0
        low[:] = 0
        high[:] = 0
        sums[:] = 0
        for lookup in range(lookups.shape[0]):
            x, y, table = lookups[lookup, 0], lookups[lookup, 1], lookups[lookup, 2]
            inverse = second[point, 5 * lookup : 5 * lookup + 5]
            for part in range(10):
                drawn[part] = coefficients[lookup, part]
            _times(drawn, inverse, weighed)
            x_value = np.uint64(first[point, x])
            y_value = np.uint64(first[point, y]) if y >= 0 else np.uint64(0)
            for part in range(5):
                of_table[table, part] += weighed[part]
                sums[part] += inverse[part]
                term = weighed[part] * x_value
                low[0, part] += term & _LOW
                high[0, part] += term >> _WORD
                term = weighed[part] * y_value
                low[1, part] += term & _LOW
                high[1, part] += term >> _WORD
        for part in range(5):
            inverses[point, part] = (np.uint64(inverses[point, part]) + sums[part]) % _P
        _close(result[point], of_table, low, high, bases, beta)


@compiled
def _close(
    result: Words,
    of_table: npt.NDArray[np.uint64],
    low: npt.NDArray[np.uint64],
    high: npt.NDArray[np.uint64],
    bases: Words,
    beta: Words,
) -> None:
    """Add the bases times the sums over their tables, less the sum over x, less beta times the sum over y."""
    element, product, factor = np.zeros(10, np.uint64), np.zeros(5, np.uint64), np.zeros(5, np.uint32)
    for part in range(5):
        of_x = (high[0, part] % _P << _WORD) % _P + low[0, part] % _P
        result[part] = (np.uint64(result[part]) + _P - of_x % _P) % _P
        factor[part] = ((high[1, part] % _P << _WORD) % _P + low[1, part] % _P) % _P
    for part in range(5):
        element[part] = _P - np.uint64(beta[0, part])  # less
        element[part + 5] = 2 * element[part] % _P
    for table in range(bases.shape[0] + 1):
        if table:
            for part in range(5):
                element[part] = bases[table - 1, part]
                element[part + 5] = 2 * element[part] % _P
                factor[part] = of_table[table - 1, part] % _P
        _times(element, factor, product)
        for part in range(5):
            result[part] = (np.uint64(result[part]) + product[part]) % _P
