"""Compiled functions of arrays, and threads that run them side by side."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

from earmark.errors import MissingExtraError

try:
    import numba
except ImportError as error:
    raise MissingExtraError("numba", "zk") from error

Words = npt.NDArray[np.uint32]
_Function = TypeVar("_Function", bound=Callable[..., Any])


def compiled(function: _Function) -> _Function:
    """Compile a function of arrays, which other threads need not wait for.

    The machine code is kept beside the source for the next start.
    """
    return cast(_Function, numba.njit(cache=True, nogil=True)(function))


def in_threads(count: int, step: int, work: Callable[[int, int], None]) -> None:
    """Call ``work(first, last)`` for the parts of a range, on every core that this process may use.

    Args:
        count: Length of the range.
        step: Of each part; the last one may be shorter.
        work: Must be compiled, or hash, so that threads run side by side; parts do not depend on each other.
    """
    available = getattr(os, "sched_getaffinity", None)
    cores = len(available(0)) if available else os.cpu_count() or 1
    starts = iter(range(0, count, step))  # every thread takes the next: one task for each, not for each part

    def take() -> None:
        for first in starts:
            work(first, min(first + step, count))

    with ThreadPoolExecutor(cores) as threads:
        for taken in [threads.submit(take) for _ in range(min(cores, -(-count // step)))]:
            taken.result()
