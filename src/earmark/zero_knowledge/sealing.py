"""Turns rows of values into a proof: random values behind each row, masks, trees, combinations.

Neither matrix is ever there as a whole. Values are made part by part, as often as they are needed, and of
each part one residue of columns at a time, so memory hardly grows with the number of triggers.

It does not ask whether the values are true: a proof of false values is refused by the checker, and the tests
make many.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from earmark.commitment.hashing import Stream, frame
from earmark.commitment.linear import field_words
from earmark.fields import EXTENSION_DEGREE, PRIME
from earmark.fields.arrays import difference_mod, sum_mod
from earmark.fields.compiling import Words
from earmark.fields.transforms import (
    AtPoints,
    Workspace,
    coefficients_in_lanes,
    coset_coefficients,
    in_lanes,
    lanes_on_coset,
    transform,
)
from earmark.zero_knowledge.checker import absorb_combinations, values_where_values_lie
from earmark.zero_knowledge.columns import SALT_BYTES, ColumnHashes, ColumnTree
from earmark.zero_knowledge.combining import Combining, column_points
from earmark.zero_knowledge.equations import Equations, TableChallenge, equations, table_challenge
from earmark.zero_knowledge.proof import OwnershipProof
from earmark.zero_knowledge.statement import QUERY_COUNT, Layout, Part
from earmark.zero_knowledge.transcript import ProofTranscript

LABEL = "earmark/ownership-prover/v1"
_DEGREE = EXTENSION_DEGREE
PART_BYTES = 1 << 28  # of one part at one residue, about
_BYTES_AT_LEAST = 300 << 20  # the interpreter, compiled code, tables
_KEPT_BYTES = 1 << 31  # of coefficients that are kept instead of being made again


class ProofSecret:
    """Everything random in one proof, from one seed that is never used again.

    Args:
        seed: 32 random bytes.
    """

    def __init__(self, seed: bytes) -> None:
        self._seed = seed

    def elements(self, purpose: str, count: int) -> Words:
        """Return uniform elements of F_p for one purpose."""
        return field_words(frame(LABEL, self._seed, purpose), count)

    def stream(self, purpose: str) -> Stream:
        """Return a stream of bytes for one purpose."""
        return Stream(LABEL, self._seed, purpose)


class Rows(Protocol):
    """The values of both matrices, made anew whenever they are asked for."""

    def first(self, begin: int, end: int) -> Words:
        """Return rows of the first matrix, uint32 ``(end - begin, width)``."""

    def inverses(self, tables: TableChallenge, begin: int, end: int) -> Words:
        """Return the inverses of some rows of look-ups, uint32 ``(end - begin, width, 5)``."""


@dataclass(frozen=True, eq=False)
class Polynomials:
    """Some rows of a matrix as polynomials.

    Attributes:
        matrix: ``"first"`` or ``"second"``.
        begin: Number of the first of them.
        count: How many.
        lanes: Their coefficients.
    """

    matrix: str
    begin: int
    count: int
    lanes: Words


class Matrices:
    """Both matrices, part by part.

    Args:
        layout: Where everything lies.
        rows: The values.
        secret: Everything random.
        part_bytes: About how large a part is at one residue of columns.
    """

    def __init__(self, layout: Layout, rows: Rows, secret: ProofSecret, part_bytes: int = PART_BYTES) -> None:
        self._layout, self._rows, self._secret = layout, rows, secret
        self.parts = layout.parts(max(1, part_bytes // (4 * layout.degree_bound)))
        self.residues = layout.code_length // layout.degree_bound
        self._spaces = {"first": Workspace(), "second": Workspace()}
        self._at: tuple[npt.NDArray[np.int64], AtPoints] | None = None
        words = (layout.first_rows + layout.second_rows) * layout.degree_bound
        self._kept: dict[tuple[str, int, int], Polynomials] | None = {} if 4 * words <= _KEPT_BYTES else None

    def first(self, part: Part) -> Polynomials:
        """Return the first matrix's rows of a part."""
        return self._made("first", part.rows[0], part.row_count, lambda: self._rows.first(*part.rows))

    def second(self, part: Part, tables: TableChallenge) -> Polynomials:
        """Return the second matrix's rows of a part; there may be none."""

        def inverses() -> Words:
            found = self._rows.inverses(tables, *part.lookups)
            return np.ascontiguousarray(found.transpose(0, 2, 1)).reshape(-1, self._layout.width)

        return self._made("second", _DEGREE * part.lookups[0], _DEGREE * part.lookup_count, inverses)

    def masks(self) -> Polynomials:
        """Return the masks, the second matrix's last rows."""
        coefficients = _masks(self._layout, self._secret)
        return Polynomials("second", self._layout.masks_start, len(coefficients), in_lanes(coefficients))

    def all_of_second(self, tables: TableChallenge) -> Iterator[Polynomials]:
        """Yield the second matrix in order, masks last."""
        for part in self.parts:
            yield self.second(part, tables)
        yield self.masks()

    def values(self, polynomials: Polynomials, residue: int) -> Words:
        """Return the values in columns residue, residue + 8, …, ``(degree bound, rows)``.

        They lie where the next ones of the same matrix will lie.
        """
        space = self._spaces[polynomials.matrix]
        return lanes_on_coset(polynomials.lanes, polynomials.count, self._layout.code_length, residue, space)

    def opened(self, polynomials: Polynomials, columns: npt.NDArray[np.int64]) -> Words:
        """Return the values in a few columns, ``(rows, columns)``."""
        if self._at is None or not np.array_equal(self._at[0], columns):
            points = column_points(self._layout, columns)
            self._at = columns, AtPoints(points, self._layout.degree_bound)
        return self._at[1].values(polynomials.lanes, polynomials.count)

    def columns(self, residue: int) -> npt.NDArray[np.int64]:
        """Return the numbers of those columns."""
        return np.arange(residue, self._layout.code_length, self.residues)

    def _made(self, matrix: str, begin: int, count: int, values: Callable[[], Words]) -> Polynomials:
        if self._kept is not None and (matrix, begin, count) in self._kept:
            return self._kept[matrix, begin, count]
        rows = values()
        # What the rows hold is hidden by as many random values behind them as columns are opened.
        noise = self._secret.elements(f"{matrix} rows from {begin}", len(rows) * QUERY_COUNT)
        whole = np.concatenate([rows, noise.reshape(len(rows), QUERY_COUNT)], axis=1)
        made = Polynomials(matrix, begin, count, coefficients_in_lanes(whole))
        if self._kept is not None:
            self._kept[matrix, begin, count] = made
        return made


def seal(
    layout: Layout,
    rows: Rows,
    secret: ProofSecret,
    on_progress: Callable[[int, int], None] = lambda *_: None,
    part_bytes: int = PART_BYTES,
) -> OwnershipProof:
    """Make the proof of these rows.

    Args:
        layout: Where everything lies.
        rows: The values.
        secret: Everything random.
        on_progress: Told the steps done and how many there are.
        part_bytes: About how much of a matrix is there at once.

    Returns:
        The proof, true or not.
    """
    matrices = Matrices(layout, rows, secret, part_bytes)
    total = 5 * len(matrices.parts) + 2
    done = iter(range(1, total + 1))

    def told(parts: Iterator[Polynomials]) -> Iterator[Polynomials]:
        for part in parts:
            yield part
            on_progress(next(done), total)

    first_tree = _committed(matrices, told(map(matrices.first, matrices.parts)), layout, secret, "first")
    transcript = ProofTranscript(layout.statement.digest)
    transcript.absorb("first root", first_tree.root)
    tables = table_challenge(transcript)
    second_tree = _committed(matrices, told(matrices.all_of_second(tables)), layout, secret, "second")
    transcript.absorb("second root", second_tree.root)
    equation = equations(layout, tables, transcript)
    sent = _combined(matrices, equation, told(map(matrices.first, matrices.parts)))
    absorb_combinations(transcript, *sent)
    columns = transcript.columns("columns", QUERY_COUNT, layout.code_length)
    first = _opened(matrices, told(map(matrices.first, matrices.parts)), columns)
    second = _opened(matrices, told(matrices.all_of_second(tables)), columns)
    return OwnershipProof(
        layout.statement.digest,
        first_tree.root,
        second_tree.root,
        *sent,
        first_tree.open(columns, first),
        second_tree.open(columns, second),
    )


def expected_bytes(layout: Layout) -> int:
    """Return about how much memory a proof takes.

    Kept polynomials, two parts at work, every input's sums, and the rows of all classes with their public
    vectors.
    """
    matrices = 4 * (layout.first_rows + layout.second_rows) * layout.degree_bound
    kept = matrices if matrices <= _KEPT_BYTES else 2 * PART_BYTES
    statement = layout.statement
    sums = 4 * statement.input_count * (statement.network.value_count - statement.network.input_size)
    of_classes = 32 * (layout.counts_start - layout.bits_start) * layout.degree_bound
    return _BYTES_AT_LEAST + kept + 4 * min(matrices // 2, PART_BYTES) + sums + of_classes


def _committed(
    matrices: Matrices, parts: Iterator[Polynomials], layout: Layout, secret: ProofSecret, name: str
) -> ColumnTree:
    rows = layout.first_rows if name == "first" else layout.second_rows
    hashes = ColumnHashes(_salts(layout, secret, name), rows)
    for part in parts:
        for residue in range(matrices.residues if part.count else 0):
            hashes.add(matrices.columns(residue), matrices.values(part, residue))
    return hashes.tree()


def _combined(
    matrices: Matrices, equation: Equations, first_parts: Iterator[Polynomials]
) -> tuple[Words, Words, Words]:
    """Return the three polynomials: of degree below k by k values, of degree below 2k by 2k."""
    layout, size = equation.layout, equation.layout.degree_bound

    def at(residue: int) -> Combining:
        def values_at(vectors: Words) -> Words:
            lanes = coefficients_in_lanes(vectors)
            return lanes_on_coset(lanes, len(vectors), layout.code_length, residue)

        points = column_points(layout, matrices.columns(residue))
        return Combining(equation, points, values_at, proximity=residue == 0)

    # Every fourth column: together the coset of order 2k.
    combining = {residue: at(residue) for residue in (0, matrices.residues // 2)}
    for part, first in zip(matrices.parts, first_parts, strict=True):
        second = matrices.second(part, equation.tables)
        for residue, sums in combining.items():
            sums.add(part, matrices.values(first, residue), matrices.values(second, residue))
    masks = matrices.masks()
    for residue, sums in combining.items():
        sums.add_masks(matrices.values(masks, residue))
    found = [sums.result() for sums in combining.values()]
    linear = np.stack([part.linear for part in found], axis=1).reshape(2 * size, _DEGREE)
    quadratic = np.stack([part.quadratic for part in found], axis=1).reshape(2 * size, _DEGREE)
    proximity, linear, quadratic = (
        np.ascontiguousarray(coset_coefficients(np.ascontiguousarray(values.T)).T)
        for values in (found[0].proximity, linear, quadratic)
    )
    return proximity, linear, quadratic


def _opened(matrices: Matrices, parts: Iterator[Polynomials], columns: npt.NDArray[np.int64]) -> Words:
    """Return the matrix at some columns, ``(rows, columns)``."""
    return np.concatenate([matrices.opened(part, columns) for part in parts])


def _salts(layout: Layout, secret: ProofSecret, name: str) -> npt.NDArray[np.uint8]:
    data = secret.stream(f"{name} salts").read(layout.code_length * SALT_BYTES)
    return np.frombuffer(data, np.uint8).reshape(layout.code_length, SALT_BYTES)


def _masks(layout: Layout, secret: ProofSecret) -> Words:
    """Return the masks' coefficients, ``(35, degree bound)``."""
    size = layout.degree_bound
    proximity = secret.elements("proximity mask", _DEGREE * size).reshape(_DEGREE, size)
    linear = _with_sum_zero(layout, secret.elements("linear mask", 2 * _DEGREE * size).reshape(_DEGREE, -1))
    return np.concatenate(
        [
            proximity,
            _split(layout, linear, secret, "linear"),
            _split(layout, _vanishing(layout, secret), secret, "quadratic"),
        ]
    )


def _with_sum_zero(layout: Layout, mask: Words) -> Words:
    """Shift a random polynomial so that its values where values lie add up to zero."""
    values = values_where_values_lie(layout, np.ascontiguousarray(mask.T))
    total = values.astype(np.int64).sum(axis=0) % PRIME
    shifted = mask.copy()
    shifted[:, 0] = difference_mod(mask[:, 0], total * pow(layout.width, -1, PRIME) % PRIME)
    return shifted


def _vanishing(layout: Layout, secret: ProofSecret) -> Words:
    """Return a random polynomial of degree below 2k that is zero wherever values lie."""
    size = layout.degree_bound
    values = np.zeros((_DEGREE, size), np.uint32)
    values[:, layout.width :] = secret.elements("quadratic rest", _DEGREE * QUERY_COUNT).reshape(_DEGREE, -1)
    low = transform(values, inverted=True)
    high = secret.elements("quadratic mask", _DEGREE * size).reshape(_DEGREE, size)
    return np.concatenate([difference_mod(low, high), high], axis=1)  # low + (X^size - 1) high


def _split(layout: Layout, mask: Words, secret: ProofSecret, name: str) -> Words:
    """Write a polynomial of degree below 2k as u0 + X^(k/2) u1 + X^k u2, at random among all ways.

    With the one obvious way u0 + X^k u2, opened places of u0 would be those of the combination's lower
    half without its mask: values that nobody may learn.
    """
    size, half = layout.degree_bound, layout.degree_bound // 2
    lower, upper = secret.elements(f"{name} split", 2 * _DEGREE * half).reshape(2, _DEGREE, half)
    none = np.zeros_like(lower)
    u0 = difference_mod(mask[:, :size], np.concatenate([none, lower], axis=1))
    u1 = np.concatenate([lower, upper], axis=1)
    u2 = difference_mod(mask[:, size:], np.concatenate([upper, none], axis=1))
    return sum_mod(np.concatenate([u0, u1, u2]))
