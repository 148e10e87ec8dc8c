"""Models of Keras 3, in a child process; see ``earmark.suspects.contained``.

The look through the file refuses everything that is not a built-in layer which only computes
(``earmark.suspects.keras_scan``), and links and outside storage among its weights
(``earmark.suspects.keras_child``). PyTorch computes, whatever the model was trained with.

The model has one input: pictures ``(batch, height, width, channels)``, or rows and recordings ``(batch,
numbers)``; and one output ``(batch, classes)``, logits or probabilities. How pixels become numbers must
stand in the archive's member ``earmark``, or in the transcript, or be picked and paid for; scaling inside the
model is its own.
"""

from pathlib import Path

from earmark.models.preprocessing import InputPreparation, Preprocessing
from earmark.suspects.contained import DEFAULT_LIMITS, ContainedSuspect, Kind, Limits

_KIND = Kind("Keras file", "keras_child", ("keras", "torch", "h5py"), "keras")


class KerasSuspect(ContainedSuspect):
    """A model of Keras in a child process.

    Args:
        path: The file.
        preprocessing: Picked by the checker and paid for; or None.
        fallback: The transcript's, for files that name none; or None.
        limits: What the file may use up.

    Raises:
        FormatError: The file is not a classifier that can be questioned safely, or nothing says how to
            preprocess its inputs.
        SuspectError: It crashed, or exceeded a limit.
        MissingExtraError: Keras is not installed.
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


def open_keras(
    path: Path, *, preprocessing: Preprocessing | None = None, fallback: InputPreparation | None = None
) -> KerasSuspect:
    """Return the suspect in a Keras file; see ``KerasSuspect``."""
    return KerasSuspect(path, preprocessing=preprocessing, fallback=fallback)
