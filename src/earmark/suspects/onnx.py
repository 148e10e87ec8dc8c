"""ONNX files as suspects, in a child process; see ``earmark.suspects.contained`` for the steps.

The look through the file refuses external data and operators that are not built in. The scores are the
first output of floats (batch, classes) in the file's order.
"""

from pathlib import Path

from earmark.models.preprocessing import InputPreparation, Preprocessing
from earmark.suspects.contained import DEFAULT_LIMITS, ContainedSuspect, Kind, Limits

__all__ = ["Limits", "OnnxSuspect", "open_onnx"]

_KIND = Kind("ONNX file", "onnx_child", ("onnxruntime",), "onnx")


class OnnxSuspect(ContainedSuspect):
    """An ONNX model in a child process.

    Args:
        path: The file.
        preprocessing: Picked by the checker and paid for; or None.
        fallback: The transcript's, for files that name none; or None.
        limits: What the file may use up; protobuf itself ends at 2 GiB.

    Raises:
        FormatError: The file is not an ONNX image classifier that can be questioned safely, or nothing
            says how to preprocess its inputs.
        SuspectError: It crashed, or exceeded a limit.
        MissingExtraError: onnxruntime is not installed.
    """

    def __init__(
        self,
        path: Path,
        *,
        preprocessing: Preprocessing | None = None,
        fallback: InputPreparation | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        super().__init__(path, _KIND, preprocessing, fallback, limits)


def open_onnx(
    path: Path, *, preprocessing: Preprocessing | None = None, fallback: InputPreparation | None = None
) -> OnnxSuspect:
    """Return the suspect in an ONNX file; see ``OnnxSuspect``."""
    return OnnxSuspect(path, preprocessing=preprocessing, fallback=fallback)
