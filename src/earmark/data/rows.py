"""Names to tables: rows of numbers with their classes.

table:NAME              iris, wine, breast-cancer or digits: scikit-learn's real ones; nothing to download
table:FILE.csv#COLUMN   a file of your own: names in the first line, COLUMN holds the classes

A column of numbers is ``integer`` if all of its values are, else ``number``; any other is a ``category``, and
its categories are numbered in the order of their names.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from earmark.data.csv_file import class_column, read_csv
from earmark.errors import FormatError
from earmark.files import shown
from earmark.models.columns import (
    CATEGORY,
    CATEGORY_LIMIT,
    COLUMN_LIMIT,
    INTEGER,
    NUMBER,
    Column,
    decimal_text,
)

PREFIX = "table:"
BUILT_IN = {
    "iris": "load_iris",
    "wine": "load_wine",
    "breast-cancer": "load_breast_cancer",
    "digits": "load_digits",
}
_CELL_LIMIT = 1000
_INTEGERS_END = 1 << 24


@dataclass(frozen=True)
class Table:
    """A table with a class for each row.

    Attributes:
        name: As on the command line.
        columns: Their types and the ranges that occur.
        class_names: In the order of the labels.
        values: float32 ``(rows, columns)``; of a category its place.
        labels: int64 ``(rows,)``.
    """

    name: str
    columns: tuple[Column, ...]
    class_names: tuple[str, ...]
    values: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]

    def in_columns(self, columns: Sequence[Column]) -> npt.NDArray[np.float32]:
        """Return the rows as a table with these columns has them: categories by their places there.

        Raises:
            ValueError: The columns have other names or types, or a category is none of theirs.
        """
        if [own.name for own in self.columns] != [other.name for other in columns]:
            raise ValueError(f"the columns of {self.name} are not called as those of the key, in their order")
        for own, other in zip(self.columns, columns, strict=True):
            # Numbers of which those in this table happen to be whole are numbers still.
            if own.type != other.type and (own.type, other.type) != (INTEGER, NUMBER):
                raise ValueError(
                    f"{self.name}: the column {own.name!r} is of type {own.type} here, and {other.type} in "
                    "the key"
                )
        values = self.values.copy()
        for place, (own, other) in enumerate(zip(self.columns, columns, strict=True)):
            if own.categories == other.categories:
                continue
            if unknown := set(own.categories) - set(other.categories):
                raise ValueError(f"{self.name}: the key knows no {min(unknown)!r} in the column {own.name!r}")
            numbers = [other.categories.index(name) for name in own.categories]
            values[:, place] = np.array(numbers, np.float32)[values[:, place].astype(np.int64)]
        return values

    def __len__(self) -> int:
        return len(self.labels)


def load_table(name: str) -> Table:
    """Return the table of that name.

    Args:
        name: See the list above.

    Raises:
        FormatError: The file is not as described; the message says where.
        ValueError: There is no such name.
    """
    if not name.startswith(PREFIX):
        raise ValueError(f"{name} is no table; tables are {PREFIX}FILE.csv#COLUMN and {_built_in()}")
    rest = name.removeprefix(PREFIX)
    if rest in BUILT_IN:
        return _from_scikit_learn(name, BUILT_IN[rest])
    path, mark, target = rest.rpartition("#")
    if not mark or not path or not target:
        raise ValueError(
            f"{name}: a table is {PREFIX}FILE.csv#COLUMN, the column of the classes; or {_built_in()}"
        )
    return _from_csv(name, Path(path), target)


def _built_in() -> str:
    return ", ".join(PREFIX + name for name in BUILT_IN)


def _from_scikit_learn(name: str, loader: str) -> Table:
    from sklearn import datasets

    found = getattr(datasets, loader)()
    values = np.asarray(found.data, np.float32)
    columns = [_numbers(str(title), values[:, place]) for place, title in enumerate(found.feature_names)]
    classes = tuple(str(title) for title in found.target_names)
    return Table(name, tuple(columns), classes, values, np.asarray(found.target, np.int64))


def _from_csv(name: str, path: Path, target: str) -> Table:
    titles, lines = read_csv(path, _CELL_LIMIT)
    cells = list(zip(*lines, strict=True))
    classes, labels = class_column(path, titles, cells, target)
    columns, values = [], []
    for title, texts in zip(titles, cells, strict=True):
        if title != target:
            column, numbers = _column(path, title, texts)
            columns.append(column)
            values.append(numbers)
    if not 1 <= len(columns) <= COLUMN_LIMIT:
        raise FormatError(
            f"{shown(path)}: beside {target!r} there are {len(columns)} columns, not 1 to {COLUMN_LIMIT}"
        )
    return Table(name, tuple(columns), classes, np.stack(values, axis=1), labels)


def _column(path: Path, title: str, texts: tuple[str, ...]) -> tuple[Column, npt.NDArray[np.float32]]:
    try:
        numbers = np.array([float(text) for text in texts], np.float64)
    except ValueError:
        numbers = None  # texts, or a number is missing
    try:
        if numbers is None:
            return _categories(title, texts)
        with np.errstate(over="ignore"):
            values = numbers.astype(np.float32)
        if not np.isfinite(values).all():
            raise ValueError(
                f"{title!r}: a number is missing, or too large for float32; fill it in, or leave the row out"
            )
        return _numbers(title, values), values
    except ValueError as error:
        raise FormatError(f"{shown(path)}: column {error}") from error


def _numbers(title: str, values: npt.NDArray[np.float32]) -> Column:
    is_whole = bool((values == np.rint(values)).all()) and float(np.abs(values).max()) <= _INTEGERS_END
    low, high = (decimal_text(float(end)) for end in (values.min(), values.max()))
    return Column(title, INTEGER if is_whole else NUMBER, low, high)


def _categories(title: str, texts: tuple[str, ...]) -> tuple[Column, npt.NDArray[np.float32]]:
    names = sorted(set(texts))
    if "" in names:
        raise ValueError(f"{title!r}: an empty cell; name what is missing, or leave the row out")
    if len(names) > CATEGORY_LIMIT:
        raise ValueError(f"{title!r}: more than {CATEGORY_LIMIT} different texts")
    places = {text: place for place, text in enumerate(names)}
    return Column(title, CATEGORY, categories=tuple(names)), np.array(
        [places[text] for text in texts], np.float32
    )
