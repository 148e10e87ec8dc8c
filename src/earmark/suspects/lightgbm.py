"""Classifiers of LightGBM, in a child process; see ``earmark.suspects.contained``.

The look through the file checks every number that leads somewhere, and LightGBM is given a text made anew
(``earmark.suspects.lightgbm_scan``). Read are the objectives ``binary``, ``multiclass`` and
``multiclassova``, with constant leaves. Scores are the raw ones, read as logits.

LightGBM numbers classes from 0 and does not keep their names; how pixels become numbers it does not know
either. Both may stand in a line ``earmark:`` behind the trees, which LightGBM reads over; else classes are
read by their order. Pictures are flattened as for scikit-learn.
"""

from pathlib import Path

from earmark.models.preprocessing import InputPreparation, Preprocessing
from earmark.suspects.contained import DEFAULT_LIMITS, ContainedSuspect, Kind, Limits

_KIND = Kind("LightGBM file", "lightgbm_child", ("lightgbm", "scipy"), "lightgbm", flattens=True)


class LightGBMSuspect(ContainedSuspect):
    """A classifier of LightGBM in a child process.

    Args:
        path: The file.
        preprocessing: Picked by the checker and paid for; or None.
        fallback: The transcript's, for files that name none; or None.
        limits: What the file may use up.

    Raises:
        FormatError: The file is not a classifier that can be questioned safely, or nothing says how to
            preprocess its inputs.
        SuspectError: It crashed, or exceeded a limit.
        MissingExtraError: LightGBM is not installed.
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


def open_lightgbm(
    path: Path, *, preprocessing: Preprocessing | None = None, fallback: InputPreparation | None = None
) -> LightGBMSuspect:
    """Return the suspect in a LightGBM file; see ``LightGBMSuspect``."""
    return LightGBMSuspect(path, preprocessing=preprocessing, fallback=fallback)
