"""The child process in which a hostile file is loaded and questioned: what is alike for every kind of file.

It starts fast, so it imports the standard library, NumPy and what reads the file, no PyTorch. Before it
reads the file it gives up memory, processor time, files to write and core dumps; before the file is loaded
it gives up opening anything at all.
"""

import hashlib
import json
import os
import resource
import select
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, TypeVar

from earmark.errors import FormatError
from earmark.suspects.frames import (
    DIMENSIONS,
    FORMAT_ERROR,
    FRAME,
    HEADER,
    QUESTION_ERROR,
    SCORES,
    SUSPECT_ERROR,
)

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_Found = TypeVar("_Found")


class Model(Protocol):
    """A loaded model."""

    def header(self) -> dict[str, Any]:
        """Return what the parent needs to know: dtype, input_shape, class_count, class_names, description."""
        ...

    def scores(self, value: "npt.NDArray[np.float32]") -> "npt.NDArray[np.floating[Any]]":
        """Return one row of scores for one input, of four dimensions whatever the model reads."""
        ...


def serve(look: Callable[[bytes], _Found], load: Callable[[bytes, _Found, int], Model]) -> None:
    """Check, load and question the file whose descriptor and limits are the arguments, as JSON.

    Args:
        look: Looks through the file's bytes without loading it, and imports what will load it: the last
            moment at which that is possible.
        load: Loads the file from its bytes, what the look found, and the number of threads.
    """
    arguments = json.loads(sys.argv[1])
    pipe_in, pipe_out = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a library that prints must not speak in our frames
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        _limit(_address_space_bytes() + arguments["memory_bytes"], arguments["cpu_seconds"])
        import numpy as np

        with os.fdopen(arguments["file"], "rb") as file:
            data = file.read(arguments["file_bytes"] + 1)
        if len(data) != arguments["file_bytes"]:
            raise FormatError("it changed while it was read")
        digest = hashlib.sha256(data).hexdigest()
        found = look(data)
        # With no descriptor left to open there is no file and no network, whatever the model does.
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
        model = load(data, found, arguments["threads"])
        del data
    except FormatError as error:
        _send_text(pipe_out, FORMAT_ERROR, str(error))
        return
    except MemoryError:
        _send_text(pipe_out, SUSPECT_ERROR, "it needs more memory than it is allowed")
        return
    _send(pipe_out, HEADER, json.dumps({"digest": digest} | model.header()).encode())
    while (value := _receive(pipe_in, np)) is not None:
        try:
            _send(pipe_out, SCORES, model.scores(value).astype("<f8").tobytes())
        except Exception as error:  # noqa: BLE001 - whatever stops a run; the next question may be answered
            _send_text(pipe_out, QUESTION_ERROR, str(error) or type(error).__name__)


def _end_with_parent() -> None:
    # A parent that is killed can stop nobody: an endless model would run on, on somebody's machine.
    poll = select.poll()
    poll.register(0, 0)  # no event but the other end's closing
    poll.poll()
    os._exit(1)


def _address_space_bytes() -> int:
    """Return what this process has taken up so far: its libraries may be larger than any model."""
    try:
        with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 - this starts fast
            return int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        return 0


def _limit(memory_bytes: int, cpu_seconds: int) -> None:
    for kind, limit in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CPU, cpu_seconds),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        if hard != resource.RLIM_INFINITY:
            limit = min(limit, hard)  # noqa: PLW2901 - whoever started us may have set less
        try:
            resource.setrlimit(kind, (limit, limit))
        except (ValueError, OSError):
            # macOS knows no bound on address space. There a hostile file can fill the memory until the
            # deadline; every other limit holds.
            if kind != resource.RLIMIT_AS or sys.platform != "darwin":
                raise


def _receive(pipe: BinaryIO, np: Any) -> Any:
    head = pipe.read(DIMENSIONS.size)
    if len(head) < DIMENSIONS.size:
        return None  # the parent has closed the pipe, or is gone
    shape = DIMENSIONS.unpack(head)
    size = 4 * shape[0] * shape[1] * shape[2] * shape[3]
    return np.frombuffer(pipe.read(size), "<f4").reshape(shape)


def _send_text(pipe: BinaryIO, kind: bytes, text: str) -> None:
    # One printable line: names in the file could otherwise write escape sequences on the terminal.
    line = "".join(letter if letter.isprintable() else " " for letter in text[:2000])
    _send(pipe, kind, " ".join(line.split())[:300].encode(errors="replace"))


def _send(pipe: BinaryIO, kind: bytes, payload: bytes) -> None:
    pipe.write(FRAME.pack(kind, len(payload)) + payload)
    pipe.flush()
