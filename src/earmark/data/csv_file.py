"""CSV files with a class in every line."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from earmark.errors import FormatError
from earmark.files import read_bounded, shown

_SIZE_LIMIT_BYTES = 64 << 20  # in memory forty times as much
_NUMBERS_LIKE_CLASSES = 20  # of more, most of them used once, nobody would say that they are classes


def read_csv(path: Path, cell_limit: int) -> tuple[list[str], list[list[str]]]:
    """Return the names in the first line, and the cells of every other.

    Args:
        path: A CSV file, UTF-8.
        cell_limit: Characters that a cell has at most.

    Raises:
        FormatError: It is no such file, or has fewer than two lines under its first; the message says where.
    """
    try:
        text = read_bounded(path, _SIZE_LIMIT_BYTES, "table").decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FormatError(f"{shown(path)} is not UTF-8 text") from error
    try:
        titles, *lines = (
            [cell.strip() for cell in line] for line in csv.reader(io.StringIO(text), strict=True) if line
        )
    except (csv.Error, ValueError) as error:
        raise FormatError(f"{shown(path)} is no table: {error}") from error
    for number, line in enumerate(lines, start=2):
        if len(line) != len(titles):
            raise FormatError(
                f"{shown(path)}: row {number} has {len(line)} cells, the first line {len(titles)}"
            )
        if any(len(cell) > cell_limit for cell in line):
            raise FormatError(f"{shown(path)}: a cell of row {number} has more than {cell_limit} characters")
    if len(lines) < 2:
        raise FormatError(f"{shown(path)} has fewer than two rows under its first line")
    return titles, lines


def class_column(
    path: Path, titles: Sequence[str], cells: Sequence[tuple[str, ...]], target: str
) -> tuple[tuple[str, ...], npt.NDArray[np.int64]]:
    """Return the classes that a column names, in the order of their names, and the class of every line.

    Args:
        path: For messages.
        titles: Names of the columns.
        cells: Every column's.
        target: The name of the one that holds classes.

    Raises:
        FormatError: There is no such column, two are called the same, some line names no class, or the
            column holds values rather than classes.
    """
    if len(set(titles)) != len(titles):
        raise FormatError(f"{shown(path)}: two columns have the same name")
    texts = cells[column_place(path, titles, target)]
    classes = tuple(sorted(set(texts)))
    if len(classes) < 2 or "" in classes:
        raise FormatError(
            f"{shown(path)}: column {target!r} must name a class in every line, at least two in all"
        )
    are_many = len(classes) > max(_NUMBERS_LIKE_CLASSES, len(texts) / 2)
    if are_many and all(map(_is_number, classes)):
        raise FormatError(
            f"{shown(path)}: column {target!r} holds {len(classes)} numbers in {len(texts)} lines: values to "
            "be predicted, not classes; Earmark marks classifiers"
        )
    places = {title: place for place, title in enumerate(classes)}
    return classes, np.array([places[text] for text in texts], np.int64)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def column_place(path: Path, titles: Sequence[str], name: str) -> int:
    """Return the place of a column; FormatError if there is none of that name."""
    if name not in titles:
        raise FormatError(
            f"{shown(path)} has no column {name!r}; it has {', '.join(map(ascii, titles))[:200]}"
        )
    return titles.index(name)
