"""Rows as codewords, and a Merkle tree over the columns.

A row is the polynomial whose values at the powers of a root of unity are the row's values and, behind
them, as many random values as columns will be opened. Its codeword is the polynomial on a coset that has
no point in common with those, so the opened places are uniform, whatever the values are.
"""

import hashlib

import numpy as np
import numpy.typing as npt

from earmark.commitment.hashing import frame
from earmark.fields.arrays import Words, coset_values, in_threads, transform

LEAF = "earmark/proof-column/v1"
NODE = "earmark/proof-node/v1"
SALT_BYTES = DIGEST_BYTES = 32
_AT_ONCE = 64

Digests = list[bytes]


def encode(rows: Words, code_length: int) -> Words:
    """Return the codewords of complete rows, randomness included.

    Args:
        rows: uint32 ``(rows, degree bound)``.
        code_length: Columns.

    Returns:
        uint32 ``(rows, code_length)``.
    """
    result = np.empty((len(rows), code_length), np.uint32)

    def encode_part(first: int, last: int) -> None:
        result[first:last] = coset_values(transform(rows[first:last], inverted=True), code_length)

    in_threads(len(rows), _AT_ONCE, encode_part)  # in parts, so that intermediate copies stay small
    return result


def leaf(column: bytes, salt: bytes) -> bytes:
    """Return the hash of a column under its salt; without salt, values of few rows could be tried out."""
    return hashlib.sha256(frame(LEAF, salt, column)).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(frame(NODE, left, right)).digest()


class ColumnTree:
    """A Merkle tree over the columns of a matrix.

    Args:
        matrix: uint32 ``(rows, columns)``, columns a power of two.
        salts: One for each column.
    """

    def __init__(self, matrix: Words, salts: npt.NDArray[np.uint8]) -> None:
        self._salts = salts
        self._matrix = matrix
        leaves: Digests = [b""] * matrix.shape[1]

        def hash_part(first: int, last: int) -> None:
            part = np.ascontiguousarray(matrix[:, first:last].T).astype("<u4", copy=False)
            leaves[first:last] = [
                leaf(column.tobytes(), salt.tobytes())
                for column, salt in zip(part, salts[first:last], strict=True)
            ]

        in_threads(len(leaves), _AT_ONCE, hash_part)
        self._levels = [leaves]
        while len(leaves) > 1:
            leaves = [_node(leaves[i], leaves[i + 1]) for i in range(0, len(leaves), 2)]
            self._levels.append(leaves)

    @property
    def root(self) -> bytes:
        """32 bytes."""
        return self._levels[-1][0]

    def open(self, places: npt.NDArray[np.int64]) -> "OpenedColumns":
        """Return the columns at these places with salts and siblings."""
        siblings = [
            b"".join(level[(place >> height) ^ 1] for height, level in enumerate(self._levels[:-1]))
            for place in map(int, places)
        ]
        depth = len(self._levels) - 1
        return OpenedColumns(
            np.ascontiguousarray(self._matrix[:, places]),
            self._salts[places],
            np.frombuffer(b"".join(siblings), np.uint8).reshape(len(places), depth, DIGEST_BYTES),
        )


class OpenedColumns:
    """Columns that were opened.

    Args:
        values: uint32 ``(rows, opened)``.
        salts: uint8 ``(opened, 32)``.
        siblings: uint8 ``(opened, depth, 32)``, the leaf's neighbour first.
    """

    def __init__(self, values: Words, salts: npt.NDArray[np.uint8], siblings: npt.NDArray[np.uint8]) -> None:
        self.values, self.salts, self.siblings = values, salts, siblings

    def lead_to(self, root: bytes, places: npt.NDArray[np.int64]) -> bool:
        """Say whether every column at its place leads to the root."""
        columns = np.ascontiguousarray(self.values.T).astype("<u4", copy=False)
        for number, place in enumerate(map(int, places)):
            found = leaf(columns[number].tobytes(), self.salts[number].tobytes())
            for height, sibling in enumerate(self.siblings[number]):
                pair = (found, sibling.tobytes())
                found = _node(*(reversed(pair) if place >> height & 1 else pair))
            if found != root:
                return False
        return True
