"""What attacks cost, beside a training from scratch.

A cell keeps seconds and no shares: what training took may be measured, or corrected in the study file, long
after the cell has ended.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from earmark.evaluation.study import StudyModel

SHARES = {"share_of_training": "wall_seconds", "processor_share_of_training": "processor_seconds"}
"""Columns to what they are a share of ``training_seconds`` of."""


def with_shares(table: Sequence[Mapping[str, Any]], models: Iterable[StudyModel]) -> list[dict[str, Any]]:
    """Return rows with their costs as shares of what training from scratch took.

    Args:
        table: One row for each cell.
        models: Of the study file as it now is.

    Returns:
        The rows with both columns of ``SHARES``; None where the seconds of either are not known.
    """
    training = {model.name: model.training_seconds for model in models}
    return [
        {**row, **{name: _share(row.get(of), training.get(row["model"])) for name, of in SHARES.items()}}
        for row in table
    ]


def _share(seconds: float | None, of: float | None) -> float | None:
    return None if seconds is None or of is None else seconds / of
