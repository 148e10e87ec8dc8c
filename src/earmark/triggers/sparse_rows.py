"""The sampler "rows": rows of a table where the owner's data are thin, and valid all the same."""

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from earmark.commitment import Stream
from earmark.commitment.canonical import Json
from earmark.models.columns import Column
from earmark.triggers.rows import ROWS, Row, RowGeometry
from earmark.triggers.trigger import Geometry, Trigger

_STEPS = 1 << 24  # of a uniform draw: as many as float32 tells apart
_LOOKED_AT = 2000


class OwnRows(Protocol):
    """Rows of the task's own data."""

    @property
    def values(self) -> Row:
        """All rows, float32 ``(rows, columns)``."""
        ...


@dataclass(frozen=True, slots=True)
class SparseRowsSampler:
    """Makes rows that lie far from all of the owner's, within types, ranges and categories of its columns.

    A service that checks its inputs has no reason to refuse them: every value is one that its column can
    have; what does not occur is their combination. Each value is either one that the column has in some
    row of the owner's, or drawn evenly from its range; of some candidates the one is taken that is farthest
    from the nearest of the owner's rows. A model has little to say there, so a label of one's own costs
    little.

    Attributes:
        own: The owner's rows; at most 2,000 of them, evenly spread over all, are looked at.
        candidates: How many rows are drawn for each trigger, 1 to 1,000: with more of them triggers lie
            farther out, and nearer to each other.

    Source:
        ours
    """

    own: OwnRows
    candidates: int = 4
    name: ClassVar[str] = "rows"
    kind: ClassVar[str] = "rows"

    def __post_init__(self) -> None:
        if not 1 <= self.candidates <= 1000:
            raise ValueError(f"candidates are 1 to 1000, not {self.candidates}")

    def parameters(self) -> dict[str, Json]:
        """Return the version of the rule, and nothing of the data."""
        return {"version": 1, "candidates": self.candidates}

    def sample(self, geometry: Geometry, randomness: Stream) -> Trigger:
        """Draw one row.

        Args:
            geometry: A RowGeometry, whose columns are those of the owner's rows.
            randomness: Read for two or three numbers for every column of every candidate.

        Returns:
            A trigger whose value is float32 ``(columns,)``.

        Raises:
            ValueError: The geometry is not a table's, or the owner's rows have another number of columns.
        """
        if not isinstance(geometry, RowGeometry):
            raise ValueError(f"rows need the geometry of a table, not {geometry}")
        own = self.own.values
        if own.ndim != 2 or own.shape[1] != len(geometry.columns) or len(own) < 2:
            raise ValueError(
                f"two or more rows of {len(geometry.columns)} columns are needed, not an array of {own.shape}"
            )
        drawn = np.stack([_candidate(geometry, own, randomness) for _ in range(self.candidates)])
        far = _distances(drawn, own[:: -(-len(own) // _LOOKED_AT)], geometry)
        return Trigger(ROWS.name, ROWS.encode(drawn[int(np.argmax(far))]))


def _candidate(geometry: RowGeometry, own: Row, randomness: Stream) -> Row:
    values = [
        float(own[randomness.uniform(len(own)), place])
        if randomness.uniform(2)
        else _even(column, randomness)
        for place, column in enumerate(geometry.columns)
    ]
    # An own value out of the range, or a fraction, where the geometry was written by hand, would not fit.
    low, high = geometry.bounds
    whole = np.array([column.is_whole for column in geometry.columns])
    return np.clip(np.where(whole, np.rint(values), values), low, high).astype(np.float32)


def _even(column: Column, randomness: Stream) -> float:
    low, high = column.bounds
    if column.is_whole:
        return low + randomness.uniform(int(high - low) + 1)
    return low + (high - low) * randomness.uniform(_STEPS) / (_STEPS - 1)


def _distances(
    rows: Row, own: Row, geometry: RowGeometry
) -> npt.NDArray[np.float64]:  # of each row to the nearest of the owner's
    """Return how far rows are from the owner's: mean share of the range, or 1 for another category."""
    low, high = geometry.bounds
    is_category = np.array([bool(column.categories) for column in geometry.columns])
    spread = np.where(high > low, high - low, 1)
    apart = np.abs(rows[:, None, :].astype(np.float64) - own[None, :, :]) / spread
    apart = np.where(is_category, apart > 0, apart)
    nearest: npt.NDArray[np.float64] = apart.mean(axis=2).min(axis=1)
    return nearest
