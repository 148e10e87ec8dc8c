"""The terminal's rules: results to standard output, everything else to standard error.

Messages begin in lower case and end without a full stop. With ``--json`` standard output holds one
JSON object and nothing else; with ``-q`` standard error holds errors only.
"""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Annotated, Any

import typer

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no remarks.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Progress = Callable[[int, int], None]


class Output:
    """Where a command speaks.

    Args:
        quiet: No progress and no remarks.
        as_json: Results are one JSON object.
    """

    def __init__(self, quiet: bool, as_json: bool) -> None:
        self.quiet = quiet
        self.as_json = as_json

    def remark(self, text: str) -> None:
        """Say something on the way."""
        if not self.quiet:
            print(text, file=sys.stderr)

    def result(self, text: str, value: dict[str, Any]) -> None:
        """Say the result: text for people, or the value as JSON."""
        print(json.dumps(value, ensure_ascii=False) if self.as_json else text)

    @contextmanager
    def progress(self, title: str) -> Iterator[Progress]:
        """Yield a function (done, total) that draws a progress bar on standard error."""
        if self.quiet:
            yield lambda done, total: None
            return
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )
        from rich.progress import Progress as Bars

        console = Console(stderr=True)
        bars = Bars(
            TextColumn("{task.description:<26}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        if not console.is_terminal:
            self.remark(f"{title} …")
        with bars:
            task = bars.add_task(title, total=None)
            yield lambda done, total: bars.update(task, completed=done, total=total)

    @contextmanager
    def stages(self) -> Iterator[Callable[[str], Progress]]:
        """Yield what makes progress bars by their titles, for work in stages: the next one ends the last."""
        with ExitStack() as open_bar:
            current: dict[str, Progress] = {}

            def stage(title: str) -> Progress:
                def show(done: int, total: int) -> None:
                    if title not in current:
                        open_bar.close()
                        current.clear()
                        current[title] = open_bar.enter_context(self.progress(title))
                    current[title](done, total)

                return show

            yield stage


def error(text: str) -> None:
    """Say what is wrong."""
    print(f"earmark: error: {text}", file=sys.stderr)


def hint(text: str) -> None:
    """Say what to do next."""
    print(f"earmark: hint: {text}", file=sys.stderr)


def warn(text: str) -> None:
    """Say what may be wrong."""
    print(f"earmark: warning: {text}", file=sys.stderr)
