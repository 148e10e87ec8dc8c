"""Worker processes on this machine.

They are spawned and not forked: PyTorch's threads do not survive a fork. The driver alone writes the store;
workers send it what they have. They end with the driver, however that ends.
"""

import contextlib
import faulthandler
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from earmark.evaluation.cells import Cell
from earmark.evaluation.engine import (
    LOG_LIMIT,
    TRIES,
    Advanced,
    DiskFullError,
    Done,
    Event,
    Failed,
    Started,
    log_path,
    run_logged,
)
from earmark.evaluation.run_cell import Setup, Worker

_PROGRESS_SECONDS = 0.2
_LOOK_SECONDS = 0.5
_DISK_FULL = "disk full"
_STANDARD_ERROR = 2


@dataclass
class _Post:
    """A worker process and what it is doing."""

    process: BaseProcess
    connection: Connection
    cell: Cell | None = None
    since: float = 0.0
    tries: int = 0


class LocalEngine:
    """Worker processes on this machine.

    Args:
        worker_count: How many.
    """

    def __init__(self, worker_count: int) -> None:
        self._worker_count = worker_count

    @property
    def worker_count(self) -> int:
        """How many there are."""
        return self._worker_count

    def run(self, setup: Setup, cells: Sequence[Cell]) -> Iterator[Event]:
        """Run cells in their order, several at a time; see ``Engine``."""
        waiting = deque((cell, 1) for cell in cells)
        posts: list[_Post] = []
        try:
            while waiting or any(post.cell is not None for post in posts):
                yield from self._hand_out(setup, waiting, posts)
                busy = [post for post in posts if post.cell is not None]
                wait(
                    [post.connection for post in busy] + [post.process.sentinel for post in busy],
                    _LOOK_SECONDS,
                )
                for post in busy:
                    was_alive = post.process.is_alive()  # asked first: what it sent before it died counts
                    yield from _news(post)
                    if post.cell is not None:
                        yield from self._check(setup, post, waiting, was_alive)
                # One that died since it was asked is still busy: its cell is given up at the next turn.
                posts[:] = [post for post in posts if post.cell is not None or post.process.is_alive()]
        finally:
            for post in posts:
                _end(post)

    def _hand_out(
        self, setup: Setup, waiting: deque[tuple[Cell, int]], posts: list[_Post]
    ) -> Iterator[Event]:
        while waiting:
            post = next((post for post in posts if post.cell is None), None)
            if post is None and len(posts) < self._worker_count:
                post = _start(setup)
                posts.append(post)
            if post is None:
                return
            cell, tries = waiting.popleft()
            try:
                post.connection.send(cell)
            except OSError:  # it died while it had nothing to do
                waiting.appendleft((cell, tries))
                _end(post)
                posts.remove(post)
                continue
            post.cell, post.tries, post.since = cell, tries, time.monotonic()
            yield Started(cell)

    def _check(
        self, setup: Setup, post: _Post, waiting: deque[tuple[Cell, int]], was_alive: bool
    ) -> Iterator[Event]:
        """Give up a cell whose time is over or whose worker is dead."""
        cell = post.cell
        if cell is None:
            return
        limit = setup.study.cell_seconds
        if time.monotonic() - post.since > limit:
            _end(post)
            post.cell = None
            yield Failed(cell, f"it took longer than {limit:g} seconds", _log(setup.folder, cell))
        elif not was_alive:
            _end(post)
            post.cell = None
            if post.tries < TRIES:
                waiting.appendleft((cell, post.tries + 1))
                return
            yield Failed(cell, f"its worker died, {_how(post)}", _log(setup.folder, cell))


def _start(setup: Setup) -> _Post:
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, setup), name="earmark worker", daemon=True)
    process.start()
    theirs.close()
    return _Post(process, ours)


def _news(post: _Post) -> Iterator[Event]:
    """Yield what a worker has sent."""
    with contextlib.suppress(EOFError, OSError):
        while post.connection.poll():
            event = post.connection.recv()
            if event == _DISK_FULL:
                raise DiskFullError(
                    "no space is left for results; make room, and go on with the same command and --resume"
                )
            if isinstance(event, Done | Failed):
                post.cell = None
            yield event


def _end(post: _Post) -> None:
    post.process.kill()
    post.process.join()
    post.connection.close()


def _how(post: _Post) -> str:
    code = post.process.exitcode or 0
    if code >= 0:
        return f"with exit code {code}"
    killed = " (did it need more memory than there is?)" if -code == signal.SIGKILL else ""
    return f"by signal {signal.Signals(-code).name}{killed}"


def _log(folder: Path, cell: Cell) -> str:
    """Return the end of what a worker that cannot speak any more had said."""
    with contextlib.suppress(OSError), log_path(folder, cell).open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - LOG_LIMIT))
        return file.read().decode(errors="replace")
    return ""


def _work(connection: Connection, setup: Setup) -> None:
    """Run in the worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends Ctrl-C to all; the driver ends us
    threading.Thread(target=_end_with_the_driver, daemon=True).start()
    worker: Worker | None = None
    while True:
        try:
            cell: Cell = connection.recv()
        except EOFError:
            return
        with log_path(setup.folder, cell).open("w", encoding="utf-8") as log:
            os.dup2(log.fileno(), _STANDARD_ERROR)  # what compiled code says last is worth having
            faulthandler.enable(log)
            print(f"process {os.getpid()}: {cell}", file=log, flush=True)
            try:
                worker = worker or Worker(setup)
                ended = run_logged(worker, cell, _Reporter(connection, cell))
            except DiskFullError:
                connection.send(_DISK_FULL)
                return
            if isinstance(ended, Failed):
                log.write(ended.log)
            faulthandler.disable()
        connection.send(ended)


def _end_with_the_driver() -> None:
    driver = parent_process()
    if driver is not None:
        driver.join()
    os._exit(1)


class _Reporter:
    """Sends progress, a few times a second."""

    def __init__(self, connection: Connection, cell: Cell) -> None:
        self._connection, self._cell = connection, cell
        self._last = 0.0

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._last >= _PROGRESS_SECONDS or done == total:
            self._last = now
            self._connection.send(Advanced(self._cell, done, total))
