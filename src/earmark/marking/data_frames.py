"""Triggers as rows of a data frame of pandas: the same columns, and the same type in each."""

from collections.abc import Sequence
from typing import Any

import numpy.typing as npt

from earmark.models.columns import CATEGORY, Column


def is_frame(data: Any) -> bool:
    """Return whether it is a data frame of pandas, which is not imported to tell."""
    return hasattr(data, "iloc") and hasattr(data, "dtypes") and hasattr(data, "columns")


def as_frame(rows: npt.NDArray[Any], like: Any, columns: Sequence[Column] | None) -> Any:
    """Return rows as a data frame.

    Args:
        rows: ``(rows, columns)``, in the key's order.
        like: The data frame whose columns and types they take.
        columns: The key's, which say where each stands and what categories are called; None where the frame
            has them in the key's order and holds nothing but numbers.

    Returns:
        A data frame.

    Raises:
        ValueError: The frame has other columns, or a column cannot hold a trigger's value.
    """
    import pandas as pd

    names = list(like.columns) if columns is None else [column.name for column in columns]
    found_names = [str(name) for name in like.columns]
    if len(names) != rows.shape[1] or len(set(names)) != len(names) or {*map(str, names)} != {*found_names}:
        raise ValueError(f"X has columns that are not the key's: {', '.join(found_names)[:200]}")
    found = {}
    for place, name in enumerate(names):
        wanted = _wanted(rows[:, place], like[name], None if columns is None else columns[place])
        if hasattr(like[name], "cat") and not set(wanted) <= set(like[name].cat.categories):
            raise ValueError(f"column {str(name)!r} of X cannot hold every category of the key")
        try:
            found[name] = pd.Series(wanted).astype(like[name].dtype)
        except (TypeError, ValueError) as error:
            raise ValueError(f"column {str(name)!r} of X cannot hold what triggers hold: {error}") from error
        # A trigger that is another one once it stands in the frame would not be what a suspect is asked.
        if found[name].tolist() != wanted:
            raise ValueError(f"column {str(name)!r} of X cannot hold what triggers hold, as they are")
    return pd.DataFrame(found)[list(like.columns)]


def appended(data: Any, frame: Any, copies: int) -> Any:
    """Return a data frame with so many copies of another below it."""
    import pandas as pd

    return pd.concat([data, *[frame] * copies], ignore_index=True)


def _wanted(values: npt.NDArray[Any], like: Any, column: Column | None) -> list[Any]:
    # Categories may stand in a frame by their names, or by their places as the key counts them.
    if column is not None and column.type == CATEGORY and not _holds_numbers(like):
        return [column.categories[int(value)] for value in values]
    return [float(value) for value in values]


def _holds_numbers(series: Any) -> bool:
    return getattr(series.dtype, "kind", "O") in "biuf"
