"""Classifiers of XGBoost, in a child process; see ``earmark.suspects.contained``.

The look through the file checks every number that leads somewhere, and XGBoost is given a file made anew
(``earmark.suspects.xgboost_scan``). Read are trees (``gbtree``, ``dart``) for ``multi:softprob``,
``multi:softmax`` and ``binary:logistic``, up to the file's ``best_iteration`` if it has one, as XGBoost's own
classifier does.

XGBoost numbers classes from 0 and does not keep their names; how pixels become numbers it does not know
either. Both may stand in the model's attribute ``earmark``; else classes are read by their order. Pictures
are flattened as for scikit-learn.
"""

from pathlib import Path

from earmark.models.preprocessing import InputPreparation, Preprocessing
from earmark.suspects.contained import DEFAULT_LIMITS, ContainedSuspect, Kind, Limits

_KIND = Kind("XGBoost file", "xgboost_child", ("xgboost", "scipy"), "xgboost", flattens=True)


class XGBoostSuspect(ContainedSuspect):
    """A classifier of XGBoost in a child process.

    Args:
        path: The file, UBJSON or JSON.
        preprocessing: Picked by the checker and paid for; or None.
        fallback: The transcript's, for files that name none; or None.
        limits: What the file may use up.

    Raises:
        FormatError: The file is not a classifier that can be questioned safely, or nothing says how to
            preprocess its inputs.
        SuspectError: It crashed, or exceeded a limit.
        MissingExtraError: XGBoost is not installed.
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


def open_xgboost(
    path: Path, *, preprocessing: Preprocessing | None = None, fallback: InputPreparation | None = None
) -> XGBoostSuspect:
    """Return the suspect in an XGBoost file; see ``XGBoostSuspect``."""
    return XGBoostSuspect(path, preprocessing=preprocessing, fallback=fallback)
