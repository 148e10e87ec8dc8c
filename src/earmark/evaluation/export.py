"""Cells as rows: what became of each mark, and tables for other programs."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from earmark.errors import MissingExtraError
from earmark.evaluation.cells import Cell
from earmark.evaluation.judging import RESTORED
from earmark.evaluation.shares import SHARES
from earmark.evaluation.store import FAILED, Record
from earmark.files import replacing, write_replacing

REMOVED, TOO_COSTLY, SURVIVED, NO_NUMBER, NOT_RUN = "removed", "too costly", "survived", "failed", "not run"
POINTS_LIMIT = 5
"""A thief who loses more points of accuracy has ruined what he stole."""

COLUMNS: dict[str, str] = {
    "id": "VARCHAR", "model": "VARCHAR", "attack": "VARCHAR", "image_count": "BIGINT",
    "image_share": "DOUBLE", "seed": "BIGINT", "outcome": "VARCHAR", "message": "VARCHAR",
    "accuracy_task": "VARCHAR", "test_images": "BIGINT", "accuracy_before": "DOUBLE",
    "accuracy_after": "DOUBLE", "accuracy_unmarked": "DOUBLE", "points_lost": "DOUBLE",
    "questions": "BIGINT", "threshold": "BIGINT", "matches_before": "BIGINT", "matches": "BIGINT",
    "matches_unmarked": "BIGINT", "claim_bits_before": "DOUBLE", "claim_bits": "DOUBLE",
    "owned": "BOOLEAN", "label_map": "VARCHAR",
    "fixed_matches": "BIGINT", "fixed_claim_bits": "DOUBLE", "fixed_shown": "BOOLEAN",
    "sequential_matches": "BIGINT", "sequential_claim_bits": "DOUBLE", "sequential_shown": "BOOLEAN",
    "sequential_owned": "BOOLEAN", "probabilities_matches": "BIGINT", "probabilities_claim_bits": "DOUBLE",
    "probabilities_shown": "BOOLEAN", "probabilities_owned": "BOOLEAN",
    "paper_epsilon": "VARCHAR", "paper_accepted": "BOOLEAN",
    "restored_matches": "BIGINT", "restored_claim_bits": "DOUBLE", "restored_shown": "BOOLEAN",
    "wall_seconds": "DOUBLE", "processor_seconds": "DOUBLE", "share_of_training": "DOUBLE",
    "processor_share_of_training": "DOUBLE",
    "questioning_seconds": "DOUBLE", "peak_memory_bytes": "BIGINT", "threads": "BIGINT",
    "digest_model": "VARCHAR", "digest_attacked": "VARCHAR", "digest_unmarked": "VARCHAR",
    "root": "VARCHAR", "digest_data": "VARCHAR", "configuration": "VARCHAR", "earmark": "VARCHAR",
    "torch": "VARCHAR", "python": "VARCHAR", "platform": "VARCHAR",
}  # fmt: skip
"""Names to types of the columns, in their order; a row holds None where there is nothing.

``matches``, ``claim_bits`` and ``owned`` without a rule's name are those of the fixed rule, which decides the
outcome. Shares of training are not a cell's own: ``earmark.evaluation.shares`` fills them in.
"""

PASS_COLUMNS: dict[str, str] = {
    "model": "VARCHAR", "attack": "VARCHAR", "image_count": "BIGINT", "seed": "BIGINT", "step": "BIGINT",
    "pass": "BIGINT", "matches": "BIGINT", "claim_bits": "DOUBLE", "accuracy": "DOUBLE", "loss": "DOUBLE",
}  # fmt: skip
"""The same for what was seen after each pass. Steps are those of a chain; passes are numbered through."""


def rows(cells: Sequence[Cell], records: Mapping[str, Record]) -> list[dict[str, Any]]:
    """Return one row for each cell of a plan, run or not.

    Args:
        cells: The plan.
        records: What became of its cells, by id.

    Returns:
        Rows with all of ``COLUMNS``.
    """
    return [_row(cell, records.get(cell.id)) for cell in cells]


def outcome(result: Mapping[str, Any]) -> str:
    """Return what became of a mark; decided on counts, not on rounded shares.

    The fixed rule on the classes that are answered decides, and it alone: what sequential questions or
    probabilities would show stands beside it, in columns of its own.

    Where accuracy is of another task there is nothing to compare, and the doubt is the thief's.

    Args:
        result: What a cell recorded.
    """
    if result["verdicts"]["fixed"]["owned"]:
        return SURVIVED
    (right, asked), (before, of) = result["accuracy"]["after"], result["accuracy"]["before"]
    lost_too_much = 100 * (before * asked - right * of) > POINTS_LIMIT * asked * of
    return TOO_COSTLY if _is_compared(result) and lost_too_much else REMOVED


def write_csv(path: Path, table: Sequence[Mapping[str, Any]], columns: Mapping[str, str] = COLUMNS) -> None:
    """Write rows as CSV; nothing stands for None.

    Args:
        path: Where.
        table: The rows.
        columns: ``COLUMNS`` or ``PASS_COLUMNS``.

    Raises:
        EarmarkError: The file cannot be written.
    """
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(columns))
    writer.writeheader()
    writer.writerows(table)
    write_replacing(path, text.getvalue().encode())


def write_parquet(
    path: Path, table: Sequence[Mapping[str, Any]], columns: Mapping[str, str] = COLUMNS
) -> None:
    """Write rows as Parquet with typed columns.

    Args:
        path: Where.
        table: The rows.
        columns: ``COLUMNS`` or ``PASS_COLUMNS``.

    Raises:
        MissingExtraError: DuckDB is not installed.
        EarmarkError: The file cannot be written.
    """
    try:
        import duckdb
    except ImportError as error:
        raise MissingExtraError("duckdb", "parquet") from error
    typed = ", ".join(f"{name} {kind}" for name, kind in columns.items())
    with duckdb.connect() as connection, replacing(path) as temporary:
        connection.execute(f"CREATE TABLE cells ({typed})")
        if table:
            connection.executemany(
                f"INSERT INTO cells VALUES ({', '.join('?' * len(columns))})",  # noqa: S608 - question marks only
                [[row[name] for name in columns] for row in table],
            )
        quoted = str(temporary).replace("'", "''")
        connection.execute(f"COPY cells TO '{quoted}' (FORMAT parquet)")


def write_table(path: Path, table: Sequence[Mapping[str, Any]], columns: Mapping[str, str] = COLUMNS) -> None:
    """Write rows in the form that a file's name ends in: ``.csv`` or ``.parquet``.

    Args:
        path: Where.
        table: The rows.
        columns: ``COLUMNS`` or ``PASS_COLUMNS``.

    Raises:
        ValueError: It ends in neither.
    """
    writers = {".csv": write_csv, ".parquet": write_parquet}
    if path.suffix not in writers:
        raise ValueError(f"{path.name}: cells are exported as .csv or .parquet")
    writers[path.suffix](path, table, columns)


def _row(cell: Cell, record: Record | None) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(COLUMNS)
    row |= {
        name: getattr(cell, name) for name in ("id", "model", "attack", "image_count", "image_share", "seed")
    }
    if record is None:
        row["outcome"] = NOT_RUN
    elif record.result is None:
        row |= {"outcome": NO_NUMBER, "message": record.message}
    else:
        row |= _numbers(record.result)
    return row


def _numbers(result: Mapping[str, Any]) -> dict[str, Any]:
    accuracy, verdicts, costs = result["accuracy"], result["verdicts"], result["costs"]
    before, after = (right / asked for right, asked in (accuracy["before"], accuracy["after"]))
    fixed, unmarked = verdicts["fixed"], accuracy["unmarked"]
    others = {
        f"{prefix}{name}": (verdicts.get(rule) or {}).get(name)
        for rule, prefix, names in (
            ("fixed", "fixed_", ("matches", "claim_bits", "shown")),
            ("sequential", "sequential_", ("matches", "claim_bits", "shown", "owned")),
            ("probabilities", "probabilities_", ("matches", "claim_bits", "shown", "owned")),
            ("paper", "paper_", ("epsilon", "accepted")),
            (RESTORED, "restored_", ("matches", "claim_bits", "shown")),
        )
        for name in names
    }
    return {
        "outcome": outcome(result),
        "accuracy_task": accuracy["task"],
        "test_images": accuracy["after"][1],
        "accuracy_before": before,
        "accuracy_after": after,
        "accuracy_unmarked": None if unmarked is None else unmarked[0] / unmarked[1],
        "points_lost": 100 * (before - after) if _is_compared(result) else None,
        **{name: fixed[name] for name in fixed if name in COLUMNS},
        "matches_before": verdicts["before"]["matches"],
        "claim_bits_before": verdicts["before"]["claim_bits"],
        "matches_unmarked": (verdicts["unmarked"] or {}).get("matches"),
        **others,
        **{name: costs[name] for name in costs if name in COLUMNS and name not in SHARES},
        "digest_model": result["digests"]["model"],
        "digest_attacked": result["digests"]["attacked"],
        "digest_unmarked": result["digests"]["unmarked"],
        "root": result["digests"]["root"],
        "digest_data": result["digests"]["data"],
        "configuration": json.dumps(result["configuration"], sort_keys=True),
        **result["environment"],
    }  # fmt: skip


def _is_compared(result: Mapping[str, Any]) -> bool:
    return bool(result["accuracy"]["compared"])


def failed_logs(cells: Sequence[Cell], records: Mapping[str, Record]) -> dict[str, str]:
    """Return the logs of cells that gave no number, by id."""
    found = {cell.id: records[cell.id] for cell in cells if cell.id in records}
    return {identity: record.log for identity, record in found.items() if record.state == FAILED}


def pass_rows(cells: Sequence[Cell], records: Mapping[str, Record]) -> list[dict[str, Any]]:
    """Return one row for each pass that was looked at, with all of ``PASS_COLUMNS``."""
    found = passes_of(cells, records)
    return [
        {
            **{name: getattr(cell, name) for name in ("model", "attack", "image_count", "seed")},
            **{
                name: seen.get(name) for name in ("step", "pass", "matches", "claim_bits", "accuracy", "loss")
            },
        }
        for cell in cells
        for seen in found.get(cell.id, ())
    ]


def passes_of(cells: Sequence[Cell], records: Mapping[str, Record]) -> dict[str, list[dict[str, Any]]]:
    """Return what was seen after each pass, by the cell's id, for cells in which something was."""
    results = {cell.id: records[cell.id].result for cell in cells if cell.id in records}
    return {identity: result["passes"] for identity, result in results.items() if result and result["passes"]}
