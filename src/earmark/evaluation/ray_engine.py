"""Workers of a Ray cluster: ``ray.init()`` starts one on this machine, or joins the one of RAY_ADDRESS.

Every machine of the cluster must see the study's folder, models, keys and data under the same paths. The
keys' passphrases travel to the workers through Ray: a cluster that others can read is no place for a key in
use.
"""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from earmark.errors import MissingExtraError
from earmark.evaluation.cells import Cell
from earmark.evaluation.engine import (
    TRIES,
    DiskFullError,
    Done,
    Event,
    Failed,
    Started,
    log_path,
    run_logged,
)
from earmark.evaluation.run_cell import Setup, Worker
from earmark.files import write_replacing

_LOOK_SECONDS = 0.5


class RayWorker:
    """One worker as an actor.

    Args:
        setup: What all cells have in common.
    """

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._worker: Worker | None = None

    def run(self, cell: Cell) -> Done | Failed | None:
        """Run a cell; None if there is no room for results."""
        self._worker = self._worker or Worker(self._setup)
        try:
            ended = run_logged(self._worker, cell, lambda done, total: None)
        except DiskFullError:
            return None
        if isinstance(ended, Failed):
            write_replacing(log_path(self._setup.folder, cell), ended.log.encode())
        return ended


@dataclass
class _Post:
    actor: Any
    cell: Cell | None = None
    answer: Any = None
    since: float = 0.0
    tries: int = 0


class RayEngine:
    """Workers of a Ray cluster.

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
        try:
            import ray
        except ImportError as error:
            raise MissingExtraError("ray", "ray") from error
        was_running = ray.is_initialized()
        if not was_running:
            ray.init(log_to_driver=False, include_dashboard=False, configure_logging=False)
        gpus = 1 if setup.study.device.startswith("cuda") else 0
        actor = ray.remote(num_cpus=setup.threads, num_gpus=gpus, max_restarts=0)(RayWorker)
        waiting = deque((cell, 1) for cell in cells)
        posts: list[_Post] = []
        try:
            while waiting or any(post.cell is not None for post in posts):
                while waiting and (post := self._free(posts, actor, setup)) is not None:
                    post.cell, post.tries = waiting.popleft()
                    post.answer, post.since = post.actor.run.remote(post.cell), time.monotonic()
                    yield Started(post.cell)
                busy = [post for post in posts if post.cell is not None]
                ray.wait([post.answer for post in busy], timeout=_LOOK_SECONDS)
                for post in busy:
                    yield from _look(ray, setup, post, waiting)
                posts[:] = [post for post in posts if post.actor is not None]
        finally:
            for post in posts:
                if post.actor is not None:
                    ray.kill(post.actor)
            if not was_running:
                ray.shutdown()

    def _free(self, posts: list[_Post], actor: Any, setup: Setup) -> _Post | None:
        post = next((post for post in posts if post.cell is None), None)
        if post is None and len(posts) < self._worker_count:
            post = _Post(actor.remote(setup))
            posts.append(post)
        return post


def _look(ray: Any, setup: Setup, post: _Post, waiting: deque[tuple[Cell, int]]) -> Iterator[Event]:
    """Take what a worker answered, or give up its cell."""
    cell, limit = post.cell, setup.study.cell_seconds
    if cell is None:
        return
    ready, _ = ray.wait([post.answer], timeout=0)
    if not ready:
        if time.monotonic() - post.since > limit:
            ray.kill(post.actor)
            post.actor = post.cell = None
            yield Failed(cell, f"it took longer than {limit:g} seconds", "")
        return
    post.cell = None
    try:
        ended: Done | Failed | None = ray.get(post.answer)
    except ray.exceptions.RayError as error:
        post.actor = None
        if post.tries < TRIES:
            waiting.appendleft((cell, post.tries + 1))
            return
        ended = Failed(cell, "its worker died", str(error))
    if ended is None:
        raise DiskFullError(
            "no space is left for results; make room, and go on with the same command and --resume"
        )
    yield ended
