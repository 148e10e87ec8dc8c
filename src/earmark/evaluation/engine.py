"""What runs cells: workers somewhere, seen as a stream of events."""

import traceback
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass
from errno import ENOSPC
from io import StringIO
from pathlib import Path
from typing import Any, Protocol

from earmark.errors import EarmarkError
from earmark.evaluation.cells import Cell
from earmark.evaluation.run_cell import OnProgress, Setup, Worker

LOG_LIMIT = 20_000
TRIES = 2
"""How often a cell is begun whose worker dies: once is an accident, twice is its own doing."""


@dataclass(frozen=True, slots=True)
class Started:
    """A cell was begun.

    Attributes:
        cell: Which.
    """

    cell: Cell


@dataclass(frozen=True, slots=True)
class Advanced:
    """A cell went on.

    Attributes:
        cell: Which.
        done: Steps of whatever it is doing.
        total: Of so many.
    """

    cell: Cell
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Done:
    """A cell was measured.

    Attributes:
        cell: Which.
        result: What is recorded, as values that JSON can hold.
    """

    cell: Cell
    result: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Failed:
    """A cell gave no number.

    Attributes:
        cell: Which.
        message: Why, in a line.
        log: What it said.
    """

    cell: Cell
    message: str
    log: str


Event = Started | Advanced | Done | Failed


class DiskFullError(EarmarkError):
    """There is no room for results: no cell's fault, and none is recorded as failed for it."""


class Engine(Protocol):
    """Workers, wherever they are."""

    @property
    def worker_count(self) -> int:
        """How many there are."""
        ...

    def run(self, setup: Setup, cells: Sequence[Cell]) -> Iterator[Event]:
        """Run cells in their order, several at a time.

        Args:
            setup: What all have in common.
            cells: What is to be run.

        Yields:
            What happens; every cell ends as done or failed. Closing the stream ends all workers.

        Raises:
            EarmarkError: No worker can be started, or there is no room for results.
        """
        ...


def log_path(folder: Path, cell: Cell) -> Path:
    """Return where a cell's log is written."""
    return folder / "logs" / f"{cell.id}.log"


def run_logged(worker: Worker, cell: Cell, on_progress: OnProgress) -> Done | Failed:
    """Run a cell in this process; whatever it raises is its failure.

    Args:
        worker: Runs it.
        cell: Which.
        on_progress: As for ``Worker.run``.

    Returns:
        What is recorded.

    Raises:
        DiskFullError: There is no room for results.
    """
    said = StringIO()
    try:
        with redirect_stderr(said):
            return Done(cell, worker.run(cell, on_progress))
    except Exception as error:  # an attack may raise anything, and the study goes on
        if _is_disk_full(error):
            raise DiskFullError("no space is left for results") from error
        log = said.getvalue() + traceback.format_exc()
        return Failed(cell, f"{type(error).__name__}: {error}"[:1000], log[-LOG_LIMIT:])


def _is_disk_full(error: BaseException | None) -> bool:
    while error is not None:
        # safetensors tells it in words only.
        if (isinstance(error, OSError) and error.errno == ENOSPC) or "No space left on device" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False
