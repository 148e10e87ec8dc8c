"""What became of every cell, in one SQLite file that only the driver writes.

With the rollback journal, and not the write-ahead log: killed at any time, what was committed is in the one
file, and a copy of that file alone is whole. Every result is a transaction of its own, synced before the next
cell is counted; there is one in seconds, so that this costs nothing.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from earmark.errors import EarmarkError, FormatError
from earmark.evaluation.cells import Cell
from earmark.files import shown

FORMAT = "earmark/cells/v1"
DONE, FAILED = "done", "failed"
_APPLICATION = 0x4561726D  # "Earm", so that another database is not taken for one of ours
_SCHEMA = """
CREATE TABLE cells (
    id TEXT PRIMARY KEY,
    model TEXT NOT NULL,
    attack TEXT NOT NULL,
    image_count INTEGER NOT NULL,
    image_share REAL NOT NULL,
    seed INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('done', 'failed')),
    result TEXT CHECK ((state = 'done') = (result IS NOT NULL)),
    message TEXT CHECK ((state = 'failed') = (message IS NOT NULL)),
    log TEXT,
    finished_at TEXT NOT NULL
) STRICT
"""


@dataclass(frozen=True)
class Record:
    """What became of a cell.

    Attributes:
        state: ``"done"`` or ``"failed"``.
        result: What was measured; None if it failed.
        message: Why it failed, in a line; None if it did not.
        log: What it said.
    """

    state: str
    result: dict[str, Any] | None
    message: str | None
    log: str


class Store:
    """The results of a study.

    Args:
        path: The file; made if it is not there.

    Raises:
        FormatError: The file is another database, or none.
        EarmarkError: It cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._errors():
            self._connection = sqlite3.connect(path, isolation_level=None)
            try:
                self._prepare()
            except BaseException:
                self._connection.close()
                raise

    def _prepare(self) -> None:
        run = self._connection.execute
        run("PRAGMA journal_mode = DELETE")
        run("PRAGMA synchronous = FULL")
        run("PRAGMA trusted_schema = OFF")
        if run("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0:
            run("BEGIN IMMEDIATE")
            run(f"PRAGMA application_id = {_APPLICATION}")
            run("PRAGMA user_version = 1")
            run(_SCHEMA)
            run("COMMIT")
        found = [run(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")]
        if found != [_APPLICATION, 1]:
            raise FormatError(f"{shown(self._path)} is not a file of results of this version")

    def record_done(self, cell: Cell, result: dict[str, Any]) -> None:
        """Write down what was measured."""
        self._record(cell, DONE, json.dumps(result, allow_nan=False), None, None)

    def record_failed(self, cell: Cell, message: str, log: str) -> None:
        """Write down that a cell gave no number, and what it said."""
        self._record(cell, FAILED, None, message, log)

    def records(self, cells: Iterable[Cell]) -> dict[str, Record]:
        """Return what became of cells, by id; those that have not ended are left out."""
        wanted = {cell.id for cell in cells}
        with self._errors():
            rows = self._connection.execute("SELECT id, state, result, message, log FROM cells").fetchall()
        found = {}
        for identity, state, result, message, log in rows:
            if identity in wanted:
                try:
                    value = None if result is None else json.loads(result)
                except ValueError as error:
                    raise FormatError(f"{shown(self._path)}: a result is not JSON") from error
                found[identity] = Record(state, value, message, log or "")
        return found

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _record(
        self, cell: Cell, state: str, result: str | None, message: str | None, log: str | None
    ) -> None:
        values = (
            cell.id, cell.model, cell.attack, cell.image_count, cell.image_share, cell.seed,
            state, result, message, log, datetime.now(UTC).isoformat(timespec="seconds"),
        )  # fmt: skip
        with self._errors():
            self._connection.execute("INSERT OR REPLACE INTO cells VALUES (?,?,?,?,?,?,?,?,?,?,?)", values)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            with suppress(sqlite3.Error, AttributeError):
                self._connection.execute("ROLLBACK")
            if isinstance(error, sqlite3.OperationalError):
                raise EarmarkError(f"{shown(self._path)} cannot be used: {error}") from error
            raise FormatError(f"{shown(self._path)} is not a file of results: {error}") from error
