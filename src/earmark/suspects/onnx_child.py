"""The child process in which a hostile ONNX file is loaded and questioned.

It starts fast, so it imports the standard library, NumPy and onnxruntime, no PyTorch. Before it reads
the file it gives up memory, processor time, files to write and core dumps; before onnxruntime sees the
file it gives up opening anything at all. It speaks with its parent in frames over two pipes, never in
pickles: an answer cannot become code.

    parent to child   4 dimensions as 32-bit integers, then float32 values of one input
    child to parent   a kind (one byte), the length as a 32-bit integer, the payload

All integers are big-endian, all floats little-endian.
"""

import hashlib
import json
import os
import resource
import select
import struct
import sys
import threading
from typing import TYPE_CHECKING, Any, BinaryIO

from earmark.errors import FormatError
from earmark.suspects.onnx_scan import METADATA_LIMIT_BYTES, scan

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

FRAME = struct.Struct(">cI")
DIMENSIONS = struct.Struct(">4I")
HEADER, SCORES, QUESTION_ERROR, FORMAT_ERROR, SUSPECT_ERROR = b"H", b"S", b"E", b"F", b"X"
CLASS_LIMIT = 1 << 16
HEADER_LIMIT_BYTES = 2 * METADATA_LIMIT_BYTES + (1 << 16)
VALUE_LIMIT = 4096 * 4096 * 3
_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(uint8)": "uint8",
}
_FLOATS = ("tensor(float)", "tensor(float16)", "tensor(double)")
_METADATA_KEY = "earmark"  # a test compares it with earmark.models.description.METADATA_KEY


class _Model:
    """A loaded session with its one input and the output that counts."""

    def __init__(self, data: bytes, threads: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # warnings quote names from the file
        options.enable_cpu_mem_arena = False
        # Otherwise bytes that look like its own format would be read as such, unscanned.
        options.add_session_config_entry("session.load_model_format", "ONNX")
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        self.input = _only_input(self._session.get_inputs())
        self.output = _first_scores(self._session.get_outputs())
        self._dtype = _DTYPES[self.input.type]
        batch = self.input.shape[0]
        self._batch = batch if isinstance(batch, int) and batch > 0 else 1

    def header(self) -> dict[str, Any]:
        """Return what the parent needs to know of it."""
        classes = self.output.shape[1]
        return {
            "dtype": self._dtype,
            "input_shape": [side if isinstance(side, int) else None for side in self.input.shape],
            "class_count": classes if isinstance(classes, int) else None,
        }

    def scores(self, value: "npt.NDArray[np.float32]") -> "npt.NDArray[np.float32]":
        """Return one row of scores; a fixed batch is filled with copies of the one input."""
        import numpy as np

        value = np.rint(value) if self._dtype == "uint8" else value
        batch = np.repeat(value.astype(self._dtype), self._batch, axis=0)
        scores = np.asarray(self._session.run([self.output.name], {self.input.name: batch})[0])
        if scores.ndim < 2 or scores.shape[0] != self._batch or scores[0].size > CLASS_LIMIT:
            raise ValueError(f"the scores have shape {scores.shape}")
        row: npt.NDArray[np.float32] = scores[0].astype("<f4").ravel()
        return row


def main() -> None:
    """Check, load and question the file whose descriptor and limits are the arguments, as JSON."""
    arguments = json.loads(sys.argv[1])
    pipe_in, pipe_out = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a library that prints must not speak in our frames
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        _limit(arguments["memory_bytes"], arguments["cpu_seconds"])
        import numpy as np
        import onnxruntime

        with os.fdopen(arguments["file"], "rb") as file:
            data = file.read(arguments["file_bytes"] + 1)
        if len(data) != arguments["file_bytes"]:
            raise FormatError("it changed while it was read")
        header: dict[str, Any] = {
            "digest": hashlib.sha256(data).hexdigest(),
            "description": scan(data).get(_METADATA_KEY),
        }
        # With no descriptor left to open there is no file and no network, whatever the model does.
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
        try:
            model = _Model(data, arguments["threads"])
        except (FormatError, MemoryError):
            raise
        except Exception as error:
            raise FormatError(f"onnxruntime {onnxruntime.__version__} cannot load it: {error}") from error
        del data
    except FormatError as error:
        _send_text(pipe_out, FORMAT_ERROR, str(error))
        return
    except MemoryError:
        _send_text(pipe_out, SUSPECT_ERROR, "it needs more memory than it is allowed")
        return
    _send(pipe_out, HEADER, json.dumps(header | model.header()).encode())
    while (value := _receive(pipe_in, np)) is not None:
        try:
            _send(pipe_out, SCORES, model.scores(value).tobytes())
        except Exception as error:  # noqa: BLE001 - as above; the next question may be answered
            _send_text(pipe_out, QUESTION_ERROR, str(error))


def _end_with_parent() -> None:
    # A parent that is killed can stop nobody: an endless model would run on, on somebody's machine.
    poll = select.poll()
    poll.register(0, 0)  # no event but the other end's closing
    poll.poll()
    os._exit(1)


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


def _only_input(inputs: Any) -> Any:
    if len(inputs) != 1:
        raise FormatError(f"it has {len(inputs)} inputs; an image classifier has one")
    only = inputs[0]
    if only.type not in _DTYPES or not only.shape or len(only.shape) != 4:
        raise FormatError(
            f"its input is {only.type} with dimensions {only.shape}; "
            "an image classifier reads a float or uint8 tensor of four dimensions"
        )
    return only


def _first_scores(outputs: Any) -> Any:
    # The first in the file's order, so that nobody can choose among several after seeing the answers.
    for output in outputs:
        shape = output.shape
        if output.type in _FLOATS and shape and len(shape) >= 2 and all(side == 1 for side in shape[2:]):
            return output
    raise FormatError("it has no output of float scores with dimensions (batch, classes)")


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
