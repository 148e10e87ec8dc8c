"""The kind "rows": one row of a table, a float32 number for each column.

A category is its place among the column's categories. So a row is the same few bytes for everybody, and what
a model reads is the row itself: there is nothing to preprocess and therefore nothing to tune.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from earmark.commitment import frame
from earmark.commitment.canonical import Json
from earmark.commitment.reading import Fields
from earmark.errors import FormatError
from earmark.models.columns import CATEGORY, COLUMN_LIMIT, Column, decimal_text
from earmark.triggers.trigger import Exhibit, Geometry

_LABEL = "earmark/trigger/rows/v1"
_DTYPE = "float32"
_STORED = ">f4"
# Two rows are nearly alike if no column tells them apart by more than this share of the rows' spread.
_TOO_NEAR = 0.01

Row = npt.NDArray[np.float32]


@dataclass(frozen=True)
class RowGeometry:
    """The columns of a table, in order: 1 to 4,096, with different names."""

    columns: tuple[Column, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.columns) <= COLUMN_LIMIT:
            raise ValueError(f"a table has 1 to {COLUMN_LIMIT} columns, not {len(self.columns)}")
        if len({column.name for column in self.columns}) != len(self.columns):
            raise ValueError("two columns have the same name")

    @property
    def kind(self) -> str:
        """Always ``"rows"``."""
        return ROWS.name

    def to_json(self) -> dict[str, Json]:
        """Return the transcript's ``task.geometry``."""
        return {"columns": [column.to_json() for column in self.columns], "dtype": _DTYPE}

    @cached_property
    def bounds(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """The least and the greatest number of each column, ``(columns,)`` each."""
        low, high = np.array([column.bounds for column in self.columns]).T
        return low, high

    @cached_property
    def _whole(self) -> npt.NDArray[np.bool_]:
        return np.array([column.is_whole for column in self.columns])

    def holds(self, row: Row) -> bool:
        """Say whether a row lies within all ranges, and is whole where its columns are."""
        if row.shape != (len(self.columns),):
            return False
        low, high = self.bounds
        numbers = row.astype(np.float64)
        fits = (low <= numbers) & (numbers <= high) & (~self._whole | (numbers == np.rint(numbers)))
        return bool(fits.all())

    def words(self, row: Row) -> str:
        """Return a row for people, a line for each column: its name, and the exact number or the category."""
        lines = []
        for column, number in zip(self.columns, row, strict=True):
            shown = column.categories[int(number)] if column.type == CATEGORY else decimal_text(number)
            lines.append(f"{column.name}: {shown}")
        return "\n".join(lines)

    def __str__(self) -> str:
        return f"rows:{len(self.columns)} columns"


class RowsKind:
    """Encodes, decodes, shows and compares rows."""

    name = "rows"
    too_near = _TOO_NEAR

    def geometry_from_json(self, fields: Mapping[str, Any]) -> RowGeometry:
        """Read ``task.geometry``."""
        given = Fields(dict(fields), "geometry")
        given.choice("dtype", (_DTYPE,))
        columns = [Column.from_json(value) for value in given.list("columns", 1, COLUMN_LIMIT)]
        given.finish()
        try:
            return RowGeometry(tuple(columns))
        except ValueError as error:
            raise FormatError(f"geometry: {error}") from error

    def geometry_from_text(self, text: str) -> RowGeometry:
        """Refuse: columns, their types and their ranges do not fit a word."""
        raise ValueError(
            f"rows:{text}: the columns of a table are taken from data: --data table:FILE.csv#COLUMN"
        )

    def encode(self, value: Any) -> bytes:
        """Return label, column count, dtype and numbers, framed; a zero has no sign."""
        if not isinstance(value, np.ndarray) or value.dtype != np.float32 or value.ndim != 1:
            raise ValueError("a row is a float32 array (columns,)")
        if not 1 <= len(value) <= COLUMN_LIMIT or not np.isfinite(value).all():
            raise ValueError(f"a row holds 1 to {COLUMN_LIMIT} finite numbers")
        stored = (value + np.float32(0)).astype(_STORED)
        return frame(_LABEL, len(value), _DTYPE, stored.tobytes())

    def value(self, canonical_bytes: bytes) -> Row:
        """Return the row, float32 ``(columns,)``, read-only."""
        start = len(frame(_LABEL)) + 8
        count = int.from_bytes(canonical_bytes[start : start + 8], "big")
        if not 1 <= count <= COLUMN_LIMIT:
            raise FormatError(f"malformed row: 1 to {COLUMN_LIMIT} columns, not {count}")
        header = frame(_LABEL, count, _DTYPE) + (4 * count).to_bytes(8, "big")
        # The header is rebuilt and compared whole, so exactly one byte string stands for a row.
        if canonical_bytes[: len(header)] != header or len(canonical_bytes) != len(header) + 4 * count:
            raise FormatError("malformed row: the bytes do not match their header")
        row = np.frombuffer(canonical_bytes, _STORED, offset=len(header)).astype(np.float32)
        if not np.isfinite(row).all() or bool((np.signbit(row) & (row == 0)).any()):
            raise FormatError("malformed row: a number is not finite, or a zero has a sign")
        row.flags.writeable = False
        return row  # (columns,)

    def fits(self, canonical_bytes: bytes, geometry: Geometry) -> bool:
        """Say whether the row has these columns."""
        return isinstance(geometry, RowGeometry) and geometry.holds(self.value(canonical_bytes))

    def show(self, canonical_bytes: bytes, geometry: Geometry | None = None) -> Exhibit:
        """Return the numbers exactly, one a line; with a table's geometry, its names and categories."""
        row = self.value(canonical_bytes)
        if isinstance(geometry, RowGeometry):
            words = geometry.words(row)
        else:
            words = "\n".join(decimal_text(number) for number in row)
        return Exhibit("text/plain; charset=utf-8", words.encode(), ".txt")

    def nearest(self, canonical_bytes: Sequence[bytes]) -> tuple[int, int, float]:
        """Return the nearest pair by the column that tells them apart most, as a share of its spread."""
        rows = np.stack([self.value(item) for item in canonical_bytes]).astype(np.float64)
        spread = np.ptp(rows, axis=0)
        scaled = rows / np.where(spread > 0, spread, 1)
        best = (0, 1, math.inf)
        for first in range(len(scaled) - 1):
            distances = np.abs(scaled[first + 1 :] - scaled[first]).max(axis=1)
            place = int(np.argmin(distances))
            if distances[place] < best[2]:
                best = (first, first + 1 + place, float(distances[place]))
        return best


ROWS = RowsKind()
