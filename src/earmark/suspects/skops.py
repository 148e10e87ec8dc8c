"""scikit-learn classifiers saved with skops, in a child process; see ``earmark.suspects.contained``.

The look through the file refuses every type that is not in a list (``earmark.suspects.skops_scan``). The
model reads what the preprocessing makes, flattened in that order: for pixels row by row with their channels
together that is NHWC. scikit-learn says how many numbers it reads and which classes it knows, and nothing of
how pixels become numbers: scaling inside its pipeline is the model's own, but whether it was given 0 to 255
or 0 to 1 must stand in the archive's member ``earmark``, or in the transcript, or be picked and paid for.

Scores are ``decision_function`` where the model has it, for that is what its own ``predict`` decides by, else
``predict_proba``. Where the first score of all is shared by two classes, scikit-learn says the first of them,
and here it is a miss.
"""

from pathlib import Path

from earmark.models.preprocessing import InputPreparation, Preprocessing
from earmark.suspects.contained import DEFAULT_LIMITS, ContainedSuspect, Kind, Limits

_KIND = Kind(
    "scikit-learn file",
    "skops_child",
    ("skops", "sklearn", "scipy", "joblib", "threadpoolctl"),
    "skops",
    flattens=True,
)


class SkopsSuspect(ContainedSuspect):
    """A scikit-learn classifier in a child process.

    Args:
        path: The file.
        preprocessing: Picked by the checker and paid for; or None.
        fallback: The transcript's, for files that name none; or None.
        limits: What the file may use up.

    Raises:
        FormatError: The file is not a classifier that can be questioned safely, or nothing says how to
            preprocess its inputs.
        SuspectError: It crashed, or exceeded a limit.
        MissingExtraError: skops is not installed.
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


def open_skops(
    path: Path, *, preprocessing: Preprocessing | None = None, fallback: InputPreparation | None = None
) -> SkopsSuspect:
    """Return the suspect in a skops file; see ``SkopsSuspect``."""
    return SkopsSuspect(path, preprocessing=preprocessing, fallback=fallback)
