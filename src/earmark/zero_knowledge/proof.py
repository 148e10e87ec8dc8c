"""What a prover hands over."""

from dataclasses import dataclass

import numpy as np

from earmark.errors import FormatError
from earmark.fields import EXTENSION_DEGREE, PRIME
from earmark.fields.compiling import Words
from earmark.zero_knowledge.columns import DIGEST_BYTES, SALT_BYTES, OpenedColumns
from earmark.zero_knowledge.statement import QUERY_COUNT, Layout

FORMAT = "earmark/ownership-proof/v1"
_MAGIC = FORMAT.encode() + b"\n"


@dataclass(frozen=True, eq=False)
class OwnershipProof:
    """A proof; it says nothing without the statement that it is checked against.

    Attributes:
        statement_digest: Hash of what is stated.
        first_root: Of the columns of the first matrix.
        second_root: Of the second.
        proximity: The three combinations' coefficients: ``(degree bound, 5)``,
        linear: ``(2 * degree bound, 5)``,
        quadratic: ``(2 * degree bound, 5)``.
        first: Columns of the first matrix.
        second: Of the second.
    """

    statement_digest: bytes
    first_root: bytes
    second_root: bytes
    proximity: Words
    linear: Words
    quadratic: Words
    first: OpenedColumns
    second: OpenedColumns

    def to_bytes(self) -> bytes:
        """Return the proof as bytes (docs/formats/ownership-proof-v1.md)."""
        words = (self.proximity, self.linear, self.quadratic)
        parts = [_MAGIC, self.statement_digest, self.first_root, self.second_root]
        parts += [array.astype("<u4").tobytes() for array in words]
        for columns in (self.first, self.second):
            parts += [
                columns.values.astype("<u4").tobytes(),
                columns.salts.tobytes(),
                columns.siblings.tobytes(),
            ]
        return b"".join(parts)

    @classmethod
    def from_bytes(cls, data: bytes, layout: Layout) -> "OwnershipProof":
        """Read a proof; its length follows from the statement and not from the file.

        Raises:
            FormatError: It is another kind of file, of another length, or holds a number of at least p.
        """
        if not data.startswith(_MAGIC):
            raise FormatError("it is not an ownership proof of version 1")
        depth = layout.code_length.bit_length() - 1
        reader = _Reader(data, len(_MAGIC))
        expected = proof_bytes(layout)
        if len(data) != expected:
            raise FormatError(f"the proof of this statement has {expected} bytes, not {len(data)}")
        digests = [reader.take(DIGEST_BYTES) for _ in range(3)]
        size = layout.degree_bound
        proximity, linear, quadratic = (reader.words(times * size, EXTENSION_DEGREE) for times in (1, 2, 2))
        opened = []
        for rows in (layout.first_rows, layout.second_rows):
            values = reader.words(rows, QUERY_COUNT)
            salts = np.frombuffer(reader.take(QUERY_COUNT * SALT_BYTES), np.uint8).reshape(QUERY_COUNT, -1)
            siblings = np.frombuffer(reader.take(QUERY_COUNT * depth * DIGEST_BYTES), np.uint8)
            opened.append(OpenedColumns(values, salts, siblings.reshape(QUERY_COUNT, depth, DIGEST_BYTES)))
        return cls(digests[0], digests[1], digests[2], proximity, linear, quadratic, opened[0], opened[1])


def proof_bytes(layout: Layout) -> int:
    """Return the length of every proof of this statement."""
    return len(_MAGIC) + 3 * DIGEST_BYTES + 4 * layout.proof_words


class _Reader:
    def __init__(self, data: bytes, position: int) -> None:
        self._data, self._position = data, position

    def take(self, count: int) -> bytes:
        start = self._position
        self._position += count
        return self._data[start : self._position]

    def words(self, rows: int, columns: int) -> Words:
        values = np.frombuffer(self.take(4 * rows * columns), "<u4").astype(np.uint32).reshape(rows, columns)
        if values.size and int(values.max()) >= PRIME:
            # A second way to write the same number would let anyone alter a proof without spoiling it.
            raise FormatError("the proof holds a number outside the field")
        return values
