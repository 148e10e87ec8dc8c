"""Progress of a study: one bar for all cells, and one for each cell that runs."""

import sys
from typing import TYPE_CHECKING, Any

from earmark.cli.output import Output

if TYPE_CHECKING:
    from earmark.evaluation.engine import Event


class StudyBars:
    """Draws what happens on a terminal; elsewhere says a line for each cell that ends.

    Args:
        output: Whether to speak at all.
        total: Cells to be run.
    """

    def __init__(self, output: Output, total: int) -> None:
        self._output, self._total, self._done = output, total, 0
        self._tasks: dict[str, Any] = {}
        self._bars: Any = None

    def __enter__(self) -> "StudyBars":
        if not self._output.quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                Progress,
                TextColumn,
                TimeElapsedColumn,
                TimeRemainingColumn,
            )

            self._bars = Progress(
                TextColumn("{task.description:<50}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
            )
            self._bars.start()
            self._tasks["all"] = self._bars.add_task("cells", total=self._total)
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars is not None:
            self._bars.stop()

    def __call__(self, event: "Event") -> None:
        """Show an event."""
        from earmark.evaluation.engine import Advanced, Started

        cell, ended = event.cell, not isinstance(event, Started | Advanced)
        self._done += ended
        if self._bars is None:
            if ended:
                self._output.remark(f"{self._done} of {self._total}: {cell}")
            return
        if cell.id not in self._tasks:
            self._tasks[cell.id] = self._bars.add_task(f"{cell}"[:50], total=None)
        if isinstance(event, Advanced):
            self._bars.update(self._tasks[cell.id], completed=event.done, total=event.total)
        elif ended:
            self._bars.remove_task(self._tasks.pop(cell.id))
            self._bars.update(self._tasks["all"], completed=self._done)
