"""The three random combinations that a proof is checked by; prover and checker compute the same ones.

proximity   every row is a codeword: a random sum of all rows, hidden by a random codeword
linear      every equation holds: a random sum of all equations, one public vector per row
quadratic   every look-up's inverse is one, and every bit is a bit: random sums of products that must vanish

Coefficients are independent elements of K, not powers of one: each failure is missed with probability 1/|K|.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from earmark.commitment.linear import ROW_COUNT, commitment_matrix
from earmark.fields import EXTENSION_DEGREE, PRIME, root_of_unity
from earmark.fields.arrays import (
    Words,
    combine_rows,
    compiled,
    coset_values,
    difference_mod,
    invert_elements,
    multiply_elements,
    powers,
    product_mod,
    sum_mod,
    transform,
)
from earmark.fields.prime import GENERATOR
from earmark.zero_knowledge.network import MARGIN_LIMB, TABLE_SIZE, Table
from earmark.zero_knowledge.statement import Layout
from earmark.zero_knowledge.transcript import ProofTranscript

_P = np.uint64(PRIME)
_DEGREE = EXTENSION_DEGREE


@dataclass(frozen=True, eq=False)
class TableChallenge:
    """alpha and beta, and 1 / (alpha - x - beta y - beta^2 table) for every pair of the tables.

    Raises ZeroDivisionError if alpha hits a pair: such a challenge proves nothing.
    """

    alpha: Words
    beta: Words
    inverses: Words  # (TABLE_SIZE, 5)

    @property
    def beta_square(self) -> Words:
        """beta^2, ``(1, 5)``."""
        return multiply_elements(self.beta, self.beta)


def table_challenge(transcript: ProofTranscript) -> TableChallenge:
    """Draw alpha and beta after the first matrix is fixed."""
    drawn = transcript.elements("tables", 2)
    alpha, beta = drawn[:1], drawn[1:]
    square = multiply_elements(beta, beta)
    shifted = []
    for table in Table:
        x = np.arange(table.lowest, table.lowest + table.size)
        y = table.look_up(x)
        weighted = y[:, None] * beta.astype(np.int64) % PRIME + int(table) * square.astype(np.int64)
        weighted[:, 0] += x
        shifted.append(difference_mod(alpha, weighted))
    return TableChallenge(alpha, beta, invert_elements(np.concatenate(shifted)))


@dataclass(frozen=True, eq=False)
class Equations:
    """The random coefficients of one proof, and the public vectors that follow from them.

    Attributes:
        layout: Where everything lies.
        tables: alpha and beta.
        proximity_first: ``(first_rows, 5)``.
        proximity_second: ``(masks_start + masks, 5)``.
        products: ``(look-ups + groups, 5)``.
        inputs: One coefficient per input, ``(n, 5)``.
        shared: The vector that every input's rows have in common, ``(rows_per_input, width, 5)``.
        others: Of the rows from ``bits_start`` on, ``(rows, width, 5)``.
        inverse_weight: Of every inverse of a look-up, ``(1, 5)``.
        target: What the linear combination must be, ``(5,)``.
    """

    layout: Layout
    tables: TableChallenge
    proximity_first: Words
    proximity_second: Words
    products: Words
    inputs: Words
    shared: Words
    others: Words
    inverse_weight: Words
    target: Words


def equations(layout: Layout, tables: TableChallenge, transcript: ProofTranscript) -> Equations:
    """Draw all coefficients after the second matrix is fixed."""
    statement = layout.statement
    network = statement.network
    others_count = network.class_count - 1
    inputs = transcript.elements("inputs", statement.input_count)
    of_count = transcript.elements("count", 1)
    of_lookups = transcript.elements("look-ups", 1)
    of_commitments = transcript.elements("commitments", ROW_COUNT)
    of_sums = [
        transcript.elements(f"layer {number}", len(layer.bias)) for number, layer in enumerate(network.layers)
    ]
    of_scores = transcript.elements("scores", network.class_count)
    of_margins = transcript.elements("margins", others_count)

    # One pass through the network, backwards: what multiplies each value of an input.
    weights = np.zeros((network.value_count, _DEGREE), np.int64)
    bias = np.zeros(_DEGREE, np.int64)
    for layer, drawn in zip((*network.layers, network.scores), (*of_sums, of_scores), strict=True):
        weights[: layer.weights.shape[1]] += product_mod(layer.weights.T.tocsr(), drawn)
        bias += product_mod(layer.bias[None, :] % PRIME, drawn)[0]  # reduced, or long sums would overflow
    by_commitment = product_mod(np.ascontiguousarray(commitment_matrix(network.input_size).T), of_commitments)
    weights[: network.input_size] += by_commitment[: network.input_size]
    shared = np.zeros((layout.rows_per_input * layout.width, _DEGREE), np.int64)
    value_places, sum_places = layout.places
    shared[value_places] = weights
    randomness = by_commitment[network.input_size :]
    shared[network.input_size : network.input_size + len(randomness)] = randomness
    for places, drawn in zip(sum_places, of_sums, strict=True):
        shared[places] -= drawn

    per_class = np.zeros((statement.input_count, network.class_count, _DEGREE), np.int64)
    per_class -= of_scores
    everyone = np.arange(statement.input_count)
    for offset in range(1, others_count + 1):
        per_class[everyone, statement.labels] += of_margins[offset - 1]
        per_class[everyone, (statement.labels + offset) % network.class_count] -= of_margins[offset - 1]
    committed = product_mod(statement.commitments.astype(np.int64), of_commitments)
    bits = bias - committed.astype(np.int64) - of_margins.astype(np.int64).sum(axis=0)  # (n, 5)
    limbs = np.concatenate([-of_margins.astype(np.int64), -MARGIN_LIMB * of_margins.astype(np.int64)])
    per_input = [bits, *per_class.transpose(1, 0, 2), *np.repeat(limbs[:, None], len(inputs), axis=1)]
    others = np.zeros((len(per_input), layout.groups * layout.width, _DEGREE), np.uint32)
    for row, values in enumerate(per_input):
        reduced = np.asarray(values % PRIME).astype(np.uint32)
        others[row, : len(inputs)] = multiply_elements(reduced, inputs)
    others[0, : len(inputs)] = sum_mod(others[0, : len(inputs)], of_count)
    counts = np.zeros((layout.first_rows - layout.counts_start) * layout.width * _DEGREE, np.uint32)
    counted = difference_mod(np.zeros((1, 1)), multiply_elements(tables.inverses, of_lookups))
    counts[: TABLE_SIZE * _DEGREE] = counted.reshape(-1)
    width = layout.width
    return Equations(
        layout=layout,
        tables=tables,
        proximity_first=transcript.elements("proximity 1", layout.first_rows),
        proximity_second=_proximity_second(layout, transcript),
        products=transcript.elements("products", len(layout.lookups) + layout.groups),
        inputs=inputs,
        shared=np.asarray(shared % PRIME).astype(np.uint32).reshape(-1, width, _DEGREE),
        others=np.concatenate([others.reshape(-1, width, _DEGREE), counts.reshape(-1, width, _DEGREE)]),
        inverse_weight=of_lookups,
        target=sum_mod(statement.needed * of_count[0].astype(np.int64)),
    )


def _proximity_second(layout: Layout, transcript: ProofTranscript) -> Words:
    drawn = transcript.elements("proximity 2", layout.second_rows)
    # The first mask is the codeword that hides the sum: its five rows are one element of K each time.
    drawn[layout.masks_start : layout.masks_start + _DEGREE] = np.eye(_DEGREE, dtype=np.uint32)
    return drawn


@dataclass(frozen=True, eq=False)
class Combinations:
    """The three combinations at some points, each ``(points, 5)``."""

    proximity: Words
    linear: Words
    quadratic: Words


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
    masks = layout.masks_start + _DEGREE
    proximity = sum_mod(
        combine_rows(first, equation.proximity_first), combine_rows(second, equation.proximity_second)
    )
    points = column_points(layout, columns)
    linear = sum_mod(
        _linear(equation, first, second, columns), _mask(layout, second[masks : masks + 15], points)
    )
    quadratic = sum_mod(
        _quadratic(equation, first, second), _mask(layout, second[masks + 15 : masks + 30], points)
    )
    return Combinations(proximity, linear, quadratic)


def column_points(layout: Layout, columns: npt.NDArray[np.int64]) -> Words:
    """Return the points of the code at these columns."""
    return powers(root_of_unity(layout.code_length), layout.code_length, GENERATOR)[columns]


def _public(layout: Layout, vectors: Words, columns: npt.NDArray[np.int64]) -> Words:
    """Return public vectors ``(rows, width, 5)`` as polynomials at columns, ``(rows, columns, 5)``."""
    count = len(vectors)
    result = np.empty((count, len(columns), _DEGREE), np.uint32)
    for row in range(count):
        padded = np.zeros((_DEGREE, layout.degree_bound), np.uint32)
        padded[:, : layout.width] = vectors[row].T
        values = coset_values(transform(padded, inverted=True), layout.code_length)
        result[row] = values[:, columns].T
    return result


def _linear(equation: Equations, first: Words, second: Words, columns: npt.NDArray[np.int64]) -> Words:
    layout = equation.layout
    total = np.zeros((len(columns), _DEGREE), np.int64)
    shared = _public(layout, equation.shared, columns)
    for block in range(layout.rows_per_input):
        rows = np.ascontiguousarray(first[block : layout.bits_start : layout.rows_per_input])
        total += multiply_elements(combine_rows(rows, equation.inputs), shared[block])
    others = _public(layout, equation.others, columns).astype(np.int64)
    for row, vector in enumerate(others):
        total += vector * first[layout.bits_start + row].astype(np.int64)[:, None] % PRIME
    ones = np.zeros((1, layout.width, _DEGREE), np.uint32)
    ones[0] = equation.inverse_weight[0]
    inverses = np.stack(
        [second[part : layout.masks_start : _DEGREE].astype(np.int64).sum(axis=0) for part in range(_DEGREE)],
        axis=1,
    )
    total += multiply_elements(sum_mod(inverses), _public(layout, ones, columns)[0])
    return sum_mod(total)


def _mask(layout: Layout, rows: Words, points: Words) -> Words:
    """Return u0 + X^(k/2) u1 + X^k u2 at points: three codewords that together have twice the degree."""
    total = np.zeros((len(points), _DEGREE), np.int64)
    for part in range(3):
        exponent = part * layout.degree_bound // 2
        shift = np.array([pow(point, exponent, PRIME) for point in points.tolist()])[:, None]
        total += rows[_DEGREE * part : _DEGREE * (part + 1)].T.astype(np.int64) * shift % PRIME
    return sum_mod(total)


def _quadratic(equation: Equations, first: Words, second: Words) -> Words:
    layout = equation.layout
    lookups = layout.lookups
    tables = np.arange(len(Table), dtype=np.int64)[:, None]
    square = equation.tables.beta_square.astype(np.int64)
    bases = difference_mod(equation.tables.alpha, tables * square)
    total = _lookup_sum(
        first, second, lookups, equation.products[: len(lookups)], bases, equation.tables.beta[0]
    ).astype(np.int64)
    for group in range(layout.groups):
        bits = first[layout.bits_start + group].astype(np.int64)
        products = (bits * bits - bits) % PRIME
        total += products[:, None] * equation.products[len(lookups) + group].astype(np.int64) % PRIME
    return sum_mod(total)


@compiled
def _multiply_into(result: npt.NDArray[np.uint64], left: Words, right: npt.NDArray[np.uint64]) -> None:
    for part in range(5):
        total = np.uint64(0)
        for i in range(5):
            term = np.uint64(left[i]) * right[(part - i) % 5] % _P
            total += term if i <= part else np.uint64(2) * term
        result[part] = total % _P


@compiled
def _shifted(result: npt.NDArray[np.uint64], base: Words, x: np.uint32, y: np.uint32, beta: Words) -> None:
    """Set result to base - x - beta y."""
    for part in range(5):
        result[part] = (np.uint64(base[part]) + _P - np.uint64(y) * np.uint64(beta[part]) % _P) % _P
    result[0] = (result[0] + _P - np.uint64(x)) % _P


@compiled
def _lookup_sum(
    first: Words,
    second: Words,
    lookups: npt.NDArray[np.int64],
    coefficients: Words,
    bases: Words,
    beta: Words,
) -> Words:
    points = first.shape[1]
    total = np.zeros((points, 5), np.uint64)
    factor = np.zeros(5, np.uint64)
    product = np.zeros(5, np.uint64)
    for lookup in range(lookups.shape[0]):
        x, y, table = lookups[lookup, 0], lookups[lookup, 1], lookups[lookup, 2]
        inverse = second[5 * lookup : 5 * lookup + 5]
        for point in range(points):
            y_value = first[y, point] if y >= 0 else np.uint32(0)
            _shifted(factor, bases[table], first[x, point], y_value, beta)
            _multiply_into(product, inverse[:, point], factor)
            product[0] = (product[0] + _P - np.uint64(1)) % _P
            _multiply_into(factor, coefficients[lookup], product)
            for part in range(5):
                total[point, part] += factor[part]
    result = np.empty((points, 5), np.uint32)
    for point in range(points):
        for part in range(5):
            result[point, part] = total[point, part] % _P
    return result
