"""Names to texts: one line each, with its class.

text:FILE.csv#CLASSES         a CSV file of two columns: CLASSES names the one with the classes
text:FILE.csv#CLASSES,TEXTS   the same of more columns, TEXTS the one with the texts
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from earmark.data.csv_file import class_column, column_place, read_csv
from earmark.errors import FormatError
from earmark.files import shown
from earmark.models.lines import CHARACTER_LIMIT, one_line

PREFIX = "text:"


@dataclass(frozen=True)
class Texts:
    """Texts with their classes.

    Attributes:
        name: As on the command line.
        class_names: In the order of the labels.
        texts: Each in the form that triggers have: one line, one space between words.
        labels: int64 ``(texts,)``.
    """

    name: str
    class_names: tuple[str, ...]
    texts: tuple[str, ...]
    labels: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def longest(self) -> int:
        """Characters of the longest text."""
        return max(len(text) for text in self.texts)


def load_texts(name: str) -> Texts:
    """Return the texts of that name.

    Args:
        name: See the list above.

    Raises:
        FormatError: The file is not as described; the message says where.
        ValueError: There is no such name.
    """
    path_text, mark, columns = name.removeprefix(PREFIX).rpartition("#")
    if not name.startswith(PREFIX) or not mark or not path_text or not columns:
        raise ValueError(
            f"{name}: texts are {PREFIX}FILE.csv#CLASSES, the column of the classes, or "
            f"{PREFIX}FILE.csv#CLASSES,TEXTS where there are more than two columns"
        )
    path = Path(path_text)
    titles, lines = read_csv(path, CHARACTER_LIMIT)
    cells = list(zip(*lines, strict=True))
    target, _, column = columns.partition(",")
    classes, labels = class_column(path, titles, cells, target)
    if not column:
        others = [title for title in titles if title != target]
        if len(others) != 1:
            raise FormatError(
                f"{shown(path)}: beside {target!r} there are {len(others)} columns; say which one holds the "
                f"texts: {PREFIX}FILE.csv#{target},TEXTS"
            )
        column = others[0]
    texts = []
    for number, text in enumerate(cells[column_place(path, titles, column)], start=2):
        try:
            texts.append(one_line(text))
        except ValueError as error:
            raise FormatError(f"{shown(path)}: row {number}: {error}") from error
    return Texts(name, classes, tuple(texts), labels)
