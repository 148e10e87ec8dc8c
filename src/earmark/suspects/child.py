"""A child process that is spoken with in frames, each with a deadline and a bound on its size."""

import contextlib
import os
import select
import subprocess
import sys
import time
import weakref
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import earmark
from earmark.errors import SuspectError
from earmark.suspects.frames import FRAME

# -I -S: neither the environment, nor the working folder, nor .pth files decide what the child imports.
_START = "import sys; sys.path[:0] = sys.argv[2:]; from earmark.suspects.{module} import main; main()"
# The rest of our environment, where a passphrase may stand, is nothing for a process that loads hostile
# files. The two numbers keep its address space small; the path is for interpreters that need it to start.
_ENVIRONMENT = {"MALLOC_ARENA_MAX": "2", "OPENBLAS_NUM_THREADS": "1"}
_INHERITED = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")


class Child:
    """One Python process that runs ``main()`` of a module of this package.

    Args:
        module: The module's name in ``earmark.suspects``.
        arguments: One text for it.
        folders: Where the packages lie that it imports.
        descriptors: Open files that it inherits.
        name: What it questions, for messages.
    """

    def __init__(
        self, module: str, arguments: str, folders: Sequence[Path], descriptors: Sequence[int], name: str
    ) -> None:
        home = Path(earmark.__file__).parents[1]
        paths = dict.fromkeys(str(folder) for folder in (home, *folders))
        self._name = name
        self._process = subprocess.Popen(  # noqa: S603 - our own module under our own interpreter
            [sys.executable, "-I", "-S", "-c", _START.format(module=module), arguments, *paths],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            pass_fds=descriptors,
            env=_ENVIRONMENT | {name: os.environ[name] for name in _INHERITED if name in os.environ},
            start_new_session=True,
        )
        self._stop = weakref.finalize(self, _stop, self._process)
        if self._process.stdin is None or self._process.stdout is None:
            raise AssertionError("both pipes were asked for")
        self._to_child, self._from_child = self._process.stdin.fileno(), self._process.stdout.fileno()
        # A child that stops reading would otherwise hold us in a write for ever.
        os.set_blocking(self._to_child, False)

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def send(self, data: bytes, seconds: float) -> None:
        """Write to the child.

        Args:
            data: What is written.
            seconds: For all of it.

        Raises:
            SuspectError: It ended, or did not read in time.
        """
        deadline = time.monotonic() + seconds
        rest = memoryview(data)
        while rest:
            self._wait(self._to_child, select.POLLOUT, deadline, seconds)
            try:
                rest = rest[os.write(self._to_child, rest) :]
            except BrokenPipeError:
                raise self._ended() from None

    def receive(self, size_limit_bytes: int, seconds: float) -> tuple[bytes, bytes]:
        """Read one frame from the child.

        Args:
            size_limit_bytes: Longest accepted payload.
            seconds: For all of it.

        Returns:
            The frame's kind and payload.

        Raises:
            SuspectError: It ended, did not answer in time, or answered at too great a length.
        """
        deadline = time.monotonic() + seconds
        kind, size = FRAME.unpack(self._read(FRAME.size, deadline, seconds))
        if size > size_limit_bytes:
            self.close()
            raise SuspectError(f"{self._name}: its process answered at too great a length")
        return kind, self._read(size, deadline, seconds)

    def close(self) -> None:
        """End the process."""
        self._stop()

    def __enter__(self) -> "Child":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read(self, size: int, deadline: float, seconds: float) -> bytes:
        data = bytearray()
        while len(data) < size:
            self._wait(self._from_child, select.POLLIN, deadline, seconds)
            chunk = os.read(self._from_child, min(size - len(data), 1 << 20))
            if not chunk:
                raise self._ended()
            data += chunk
        return bytes(data)

    def _wait(self, descriptor: int, event: int, deadline: float, seconds: float) -> None:
        if not self._stop.alive:
            raise SuspectError(f"{self._name}: its process has ended; open it again")
        poll = select.poll()
        poll.register(descriptor, event)
        if not poll.poll(1000 * max(0.0, deadline - time.monotonic())):
            self.close()
            raise SuspectError(f"{self._name} did not answer within {seconds:g} seconds")

    def _ended(self) -> SuspectError:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        code = self._process.returncode
        self.close()
        why = f"was killed by signal {-code}" if code and code < 0 else f"ended with code {code}"
        return SuspectError(
            f"{self._name}: the process that ran it {why}; it crashes, or needs more than its limits allow"
        )


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
