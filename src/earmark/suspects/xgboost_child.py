"""The child process for an XGBoost file; see ``earmark.suspects.serving`` for how it is held."""

import warnings
from typing import TYPE_CHECKING, Any

from earmark.errors import FormatError
from earmark.suspects.boosted_trees import probabilities
from earmark.suspects.serving import serve
from earmark.suspects.xgboost_scan import Findings, scan

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class _Model:
    """A loaded booster."""

    def __init__(self, findings: Findings) -> None:
        import xgboost

        self._findings = findings
        self._booster = xgboost.Booster({"nthread": 1, "verbosity": 0}, model_file=bytearray(findings.model))

    def header(self) -> dict[str, Any]:
        """Return what the parent needs to know of it."""
        return {
            "dtype": "float32",
            "input_shape": [None, self._findings.feature_count],
            "class_count": self._findings.class_count,
            "class_names": None,
            "description": self._findings.description,
        }

    def scores(self, value: "npt.NDArray[np.float32]") -> "npt.NDArray[np.floating[Any]]":
        """Return one row of probabilities."""
        import numpy as np
        import xgboost

        row = xgboost.DMatrix(value.reshape(1, -1), nthread=1)
        return probabilities(np.asarray(self._booster.predict(row, output_margin=True)).ravel())


def main() -> None:
    """Serve the file whose descriptor and limits are the arguments."""
    serve(_look, _load)


def _look(data: bytes) -> Findings:
    findings = scan(data)
    _warm_up()
    return findings


def _warm_up() -> None:
    """Use XGBoost once, on numbers of our own: what it looks up at first use, it keeps."""
    import numpy as np
    import xgboost

    points = np.array([[0.0], [1.0]], np.float32)
    options = {"nthread": 1, "objective": "binary:logistic", "verbosity": 0}
    booster = xgboost.train(options, xgboost.DMatrix(points, np.array([0, 1])), 1)
    xgboost.Booster(options, model_file=booster.save_raw()).predict(xgboost.DMatrix(points, nthread=1))


def _load(data: bytes, findings: Findings, threads: int) -> _Model:  # noqa: ARG001 - what the look wrote is loaded, and one input at a time keeps one thread busy
    import numpy as np
    import xgboost

    warnings.simplefilter("ignore")  # nobody reads them here
    try:
        model = _Model(findings)
        # A model that cannot answer anything is refused when it is opened.
        count = model.scores(np.zeros((1, 1, 1, findings.feature_count), np.float32)).size
        if count != findings.class_count:
            raise FormatError(f"it gives {count} scores for {findings.class_count} classes")
    except (FormatError, MemoryError):
        raise
    except Exception as error:
        reason = (str(error) or type(error).__name__).partition("Stack trace")[0]
        raise FormatError(f"xgboost {xgboost.__version__} cannot load it: {reason}") from error
    return model
