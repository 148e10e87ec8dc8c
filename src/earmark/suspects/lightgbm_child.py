"""The child process for a LightGBM file; see ``earmark.suspects.serving`` for how it is held."""

import warnings
from typing import TYPE_CHECKING, Any

from earmark.errors import FormatError
from earmark.suspects.boosted_trees import probabilities
from earmark.suspects.lightgbm_scan import Findings, scan
from earmark.suspects.serving import serve

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_OPTIONS = {"num_threads": 1, "verbosity": -1}


class _Model:
    """A loaded booster."""

    def __init__(self, findings: Findings) -> None:
        import lightgbm

        self._findings = findings
        self._booster = lightgbm.Booster(_OPTIONS, model_str=findings.model)

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

        row = value.reshape(1, -1).astype(np.float64)
        raw = np.asarray(self._booster.predict(row, raw_score=True, **_OPTIONS), np.float64).ravel()
        return probabilities(raw * self._findings.slope)


def main() -> None:
    """Serve the file whose descriptor and limits are the arguments."""
    serve(_look, _load)


def _look(data: bytes) -> Findings:
    findings = scan(data)
    _warm_up()
    return findings


def _warm_up() -> None:
    """Use LightGBM once, on numbers of our own: what it looks up at first use, it keeps."""
    import lightgbm
    import numpy as np

    points = np.arange(80, dtype=np.float64).reshape(-1, 1)
    options: dict[str, Any] = {**_OPTIONS, "objective": "binary", "num_leaves": 2}
    booster = lightgbm.train(options, lightgbm.Dataset(points, points.ravel() > 40), 1)
    lightgbm.Booster(_OPTIONS, model_str=booster.model_to_string()).predict(points, **_OPTIONS)


def _load(data: bytes, findings: Findings, threads: int) -> _Model:  # noqa: ARG001 - what the look wrote is loaded, and one input at a time keeps one thread busy
    import lightgbm
    import numpy as np

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
        reason = str(error) or type(error).__name__
        raise FormatError(f"lightgbm {lightgbm.__version__} cannot load it: {reason}") from error
    return model
