"""Time and memory of an attack, without those of looking on."""

import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

_STATUS, _CLEAR_PEAK = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass
class Clock:
    """A stop-watch for wall and processor time that can be held.

    Attributes:
        wall_seconds: Measured so far.
        processor_seconds: Of all threads of this process.
    """

    wall_seconds: float = 0.0
    processor_seconds: float = 0.0
    _since: tuple[float, float] | None = field(default=None, repr=False)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Measure the time of a block."""
        self._start()
        try:
            yield
        finally:
            self._stop()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Leave out the time of a block within: looking on is no part of an attack."""
        self._stop()
        try:
            yield
        finally:
            self._start()

    def _start(self) -> None:
        self._since = (time.perf_counter(), time.process_time())

    def _stop(self) -> None:
        if self._since is not None:
            self.wall_seconds += time.perf_counter() - self._since[0]
            self.processor_seconds += time.process_time() - self._since[1]
            self._since = None


def forget_peak_memory() -> None:
    """Begin anew to watch this process's memory, where the system allows it (Linux)."""
    with suppress(OSError):
        _CLEAR_PEAK.write_text("5", encoding="ascii")


def peak_memory_bytes() -> int:
    """Return the most memory this process had since ``forget_peak_memory``; elsewhere, since it began."""
    with suppress(OSError, ValueError, IndexError):
        for line in _STATUS.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
