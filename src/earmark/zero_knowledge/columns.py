"""Rows as codewords, and a Merkle tree over the columns.

A row is the polynomial whose values at the powers of a root of unity are the row's values and, behind
them, as many random values as columns will be opened. Its codeword is the polynomial on a coset that has
no point in common with those, so the opened places are uniform, whatever the values are.
"""

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt

from earmark.commitment.hashing import frame
from earmark.fields.compiling import Words

LEAF = "earmark/proof-column/v1"
NODE = "earmark/proof-node/v1"
SALT_BYTES = DIGEST_BYTES = 32

Digests = list[bytes]


# A frame is the same but for its parts, and there are half a million of them.
_LENGTH = DIGEST_BYTES.to_bytes(8, "big")
_BEFORE_SALT = frame(LEAF) + SALT_BYTES.to_bytes(8, "big")
_BEFORE_NODES = frame(NODE) + _LENGTH


def _begun(salt: bytes, rows: int) -> Any:
    """Return the hash of ``frame(LEAF, salt, column)``, column of so many rows, up to where that begins."""
    # Without salt, values of few rows could be tried out.
    return hashlib.sha256(_BEFORE_SALT + salt + (4 * rows).to_bytes(8, "big"))


def leaf(column: bytes, salt: bytes) -> bytes:
    """Return the hash of a column under its salt."""
    begun = _begun(salt, len(column) // 4)
    begun.update(column)
    return bytes(begun.digest())


def _node(left: bytes, right: bytes) -> bytes:
    """Return the hash of ``frame(NODE, left, right)``."""
    return hashlib.sha256(_BEFORE_NODES + left + _LENGTH + right).digest()


class ColumnHashes:
    """Hashes all columns of a matrix side by side, rows after rows, so that it is never there as a whole.

    Args:
        salts: uint8 ``(columns, 32)``.
        rows: Rows of the whole matrix.
    """

    def __init__(self, salts: npt.NDArray[np.uint8], rows: int) -> None:
        self._salts = salts
        self._states = [_begun(salt.tobytes(), rows) for salt in salts]

    def add(self, columns: npt.NDArray[np.int64], values: Words) -> None:
        """Hash the next rows of some columns.

        Args:
            columns: Their numbers.
            values: uint32 ``(len(columns), rows)``.
        """
        # One thread: several would take the interpreter's lock from each other at every column.
        data = np.ascontiguousarray(values, "<u4")
        for column, part in zip(columns.tolist(), data, strict=True):
            self._states[column].update(part)

    def tree(self) -> "ColumnTree":
        """Return the tree over all columns."""
        return ColumnTree([bytes(state.digest()) for state in self._states], self._salts)


class ColumnTree:
    """A Merkle tree over the hashes of columns.

    Args:
        leaves: One hash for each column, a power of two.
        salts: uint8 ``(columns, 32)``.
    """

    def __init__(self, leaves: Digests, salts: npt.NDArray[np.uint8]) -> None:
        self._salts = salts
        self._levels = [leaves]
        while len(leaves) > 1:
            leaves = [_node(leaves[i], leaves[i + 1]) for i in range(0, len(leaves), 2)]
            self._levels.append(leaves)

    @property
    def root(self) -> bytes:
        """32 bytes."""
        return self._levels[-1][0]

    def open(self, places: npt.NDArray[np.int64], values: Words) -> "OpenedColumns":
        """Return the columns at these places, ``(rows, places)``, with salts and siblings."""
        siblings = [
            b"".join(level[(place >> height) ^ 1] for height, level in enumerate(self._levels[:-1]))
            for place in map(int, places)
        ]
        depth = len(self._levels) - 1
        return OpenedColumns(
            np.ascontiguousarray(values),
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
