"""The child process for an ONNX file; see ``earmark.suspects.serving`` for how it is held."""

from typing import TYPE_CHECKING, Any

from earmark.errors import FormatError
from earmark.suspects.frames import CLASS_LIMIT, METADATA_KEY
from earmark.suspects.onnx_scan import scan
from earmark.suspects.serving import serve

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(uint8)": "uint8",
}
_SEED = 1
_FLOATS = ("tensor(float)", "tensor(float16)", "tensor(double)")


class _Model:
    """A loaded session with its one input and the output that counts."""

    def __init__(self, data: bytes, description: str | None, threads: int) -> None:
        import onnxruntime

        # A file may hold operators that draw random numbers. Drawn anew in every process, whoever questions
        # the file could do so until the answers please him; so they are the same each time.
        onnxruntime.set_seed(_SEED)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # warnings quote names from the file
        options.enable_cpu_mem_arena = False
        # Otherwise bytes that look like its own format would be read as such, unscanned.
        options.add_session_config_entry("session.load_model_format", "ONNX")
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        self._input = _only_input(self._session.get_inputs())
        self._output = _first_scores(self._session.get_outputs())
        self._dtype = _DTYPES[self._input.type]
        self._description = description
        batch = self._input.shape[0]
        self._batch = batch if isinstance(batch, int) and batch > 0 else 1

    def header(self) -> dict[str, Any]:
        """Return what the parent needs to know of it."""
        classes = self._output.shape[1]
        return {
            "dtype": self._dtype,
            "input_shape": [side if isinstance(side, int) else None for side in self._input.shape],
            "class_count": classes if isinstance(classes, int) else None,
            "class_names": None,
            "description": self._description,
        }

    def scores(self, value: "npt.NDArray[np.float32]") -> "npt.NDArray[np.floating[Any]]":
        """Return one row of scores; a fixed batch is filled with copies of the one input."""
        import numpy as np

        value = np.rint(value) if self._dtype == "uint8" else value
        value = value.reshape(1, -1) if len(self._input.shape) == 2 else value
        batch = np.repeat(value.astype(self._dtype), self._batch, axis=0)
        scores = np.asarray(self._session.run([self._output.name], {self._input.name: batch})[0])
        if scores.ndim < 2 or scores.shape[0] != self._batch or scores[0].size > CLASS_LIMIT:
            raise ValueError(f"the scores have shape {scores.shape}")
        row: npt.NDArray[np.floating[Any]] = scores[0].ravel()
        return row


def main() -> None:
    """Serve the file whose descriptor and limits are the arguments."""
    serve(_look, _load)


def _look(data: bytes) -> str | None:
    import onnxruntime  # noqa: F401 - later it could not be opened

    return scan(data).get(METADATA_KEY)


def _load(data: bytes, description: str | None, threads: int) -> _Model:
    import onnxruntime

    try:
        return _Model(data, description, threads)
    except (FormatError, MemoryError):
        raise
    except Exception as error:
        raise FormatError(f"onnxruntime {onnxruntime.__version__} cannot load it: {error}") from error


def _only_input(inputs: Any) -> Any:
    if len(inputs) != 1:
        raise FormatError(f"it has {len(inputs)} inputs; an image classifier has one")
    only = inputs[0]
    dimensions = len(only.shape or ())
    is_known = only.type in _DTYPES and (dimensions == 4 or (dimensions == 2 and only.type in _FLOATS))
    if not is_known:
        raise FormatError(
            f"its input is {only.type} with dimensions {only.shape}; an image classifier reads a float or "
            "uint8 tensor of four dimensions, one of rows or recordings a float tensor of two"
        )
    return only


def _first_scores(outputs: Any) -> Any:
    # The first in the file's order, so that nobody can choose among several after seeing the answers.
    for output in outputs:
        shape = output.shape
        if output.type in _FLOATS and shape and len(shape) >= 2 and all(side == 1 for side in shape[2:]):
            return output
    raise FormatError("it has no output of float scores with dimensions (batch, classes)")
