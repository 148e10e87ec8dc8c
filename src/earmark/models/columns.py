"""The columns of a table, as a model reads them: a float32 number in each."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from earmark.commitment.canonical import Json
from earmark.commitment.reading import Fields
from earmark.errors import FormatError

COLUMN_LIMIT = 4096
CATEGORY_LIMIT = 1 << 16
_NAME_LIMIT = 200
_INTEGER_LIMIT = 1 << 24  # beyond, float32 leaves integers out
NUMBER, INTEGER, CATEGORY = "number", "integer", "category"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    Attributes:
        name: 1 to 200 characters.
        type: ``"number"``, ``"integer"`` or ``"category"``.
        low: Least value, the shortest decimal text of its float32; "" for categories.
        high: Greatest value likewise.
        categories: Their names, 1 to 65,536, all different; a row holds the place of one. Empty for numbers.
    """

    name: str
    type: str
    low: str = ""
    high: str = ""
    categories: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 < len(self.name) <= _NAME_LIMIT:
            raise ValueError(f"a column's name has 1 to {_NAME_LIMIT} characters")
        if self.type == CATEGORY:
            self._check_categories()
        elif self.type in (NUMBER, INTEGER):
            self._check_range()
        else:
            raise ValueError(f"a column is {NUMBER}, {INTEGER} or {CATEGORY}, not {self.type!r}")

    @property
    def bounds(self) -> tuple[float, float]:
        """The least and the greatest number that a row may hold."""
        if self.type == CATEGORY:
            return 0.0, len(self.categories) - 1.0
        return float(np.float32(self.low)), float(np.float32(self.high))

    @property
    def is_whole(self) -> bool:
        """Whether it holds integers: numbers of categories too."""
        return self.type != NUMBER

    def shown(self, number: float) -> str | int | float:
        """Return what a row holds in this column as people write it: a category by its name."""
        if self.type == CATEGORY:
            return self.categories[int(number)]
        return int(number) if self.is_whole else shortest(number)

    def to_json(self) -> dict[str, Json]:
        """Return the column as the transcript states it."""
        if self.type == CATEGORY:
            return {"name": self.name, "type": self.type, "categories": list(self.categories)}
        return {"name": self.name, "type": self.type, "low": self.low, "high": self.high}

    @classmethod
    def from_json(cls, value: Any) -> "Column":
        """Read what ``to_json`` wrote; FormatError for anything else."""
        fields = Fields(value, "column")
        name, kind = fields.text("name", _NAME_LIMIT), fields.choice("type", (NUMBER, INTEGER, CATEGORY))
        low = high = ""
        categories: list[Any] = []
        if kind == CATEGORY:
            categories = fields.list("categories", 1, CATEGORY_LIMIT)
            if not all(isinstance(item, str) for item in categories):
                raise FormatError("column: categories are texts")
        else:
            low, high = fields.text("low", 64), fields.text("high", 64)
        fields.finish()
        try:
            return cls(name, kind or "", low, high, tuple(categories))
        except ValueError as error:
            raise FormatError(f"column: {error}") from error

    def _check_categories(self) -> None:
        names = self.categories
        if self.low or self.high or not 1 <= len(names) <= CATEGORY_LIMIT or len(set(names)) != len(names):
            raise ValueError(
                f"{self.name!r}: categories are 1 to {CATEGORY_LIMIT} different names, and no range"
            )
        if not all(0 < len(name) <= _NAME_LIMIT for name in names):
            raise ValueError(f"{self.name!r}: names of categories have 1 to {_NAME_LIMIT} characters")

    def _check_range(self) -> None:
        if self.categories:
            raise ValueError(f"{self.name!r}: numbers have a range, and no categories")
        for text in (self.low, self.high):
            if decimal_text(text) != text:
                raise ValueError(f"{self.name!r}: {text[:40]!r} is not the shortest text of a float32 number")
        low, high = self.bounds
        if low > high:
            raise ValueError(f"{self.name!r}: the range ends before it begins")
        if self.type == INTEGER and not (
            low.is_integer() and high.is_integer() and max(-low, high) <= _INTEGER_LIMIT
        ):
            raise ValueError(f"{self.name!r}: integers lie within ±{_INTEGER_LIMIT}")


def shortest(number: float) -> float:
    """Return the double with the shortest decimals that is the same float32: what stood in the owner's data.

    Example:
        >>> shortest(np.float32(0.3)), float(np.float32(0.3))
        (0.3, 0.30000001192092896)
    """
    return float(decimal_text(number))


def decimal_text(number: float | str) -> str:
    """Return the one text of a float32 number: the shortest that reads back as it, or "" if there is none.

    Example:
        >>> decimal_text(0.1), decimal_text("1e2"), decimal_text(float("nan"))
        ('0.1', '100.0', '')
    """
    try:
        with np.errstate(over="ignore"):
            single = np.float32(number)
    except ValueError:
        return ""
    if not np.isfinite(single):
        return ""
    return np.format_float_positional(single + np.float32(0), unique=True, trim="0")
