"""The child process for a skops file; see ``earmark.suspects.serving`` for how it is held."""

import warnings
from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any

from earmark.errors import FormatError
from earmark.suspects.frames import VALUE_LIMIT
from earmark.suspects.serving import serve
from earmark.suspects.skops_scan import Findings, scan

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class _Model:
    """A fitted classifier."""

    def __init__(self, classifier: Any, description: str | None) -> None:
        self._classifier = classifier
        self._description = description
        # First what its own predict decides by: an SVC's probabilities can contradict its answers. Never a
        # choice of whoever asks.
        ways = ("decision_function", "predict_proba")
        self._way = next((name for name in ways if hasattr(classifier, name)), None)
        if self._way is None:
            raise FormatError("it gives no score for each class: neither decision_function nor predict_proba")
        self._names = _class_names(classifier)
        self._size = classifier.n_features_in_
        if type(self._size) is not int or not 0 < self._size <= VALUE_LIMIT:
            raise FormatError("it does not say how many numbers it reads (n_features_in_)")

    def header(self) -> dict[str, Any]:
        """Return what the parent needs to know of it."""
        return {
            "dtype": "float32",
            "input_shape": [None, self._size],
            "class_count": len(self._names),
            "class_names": self._names,
            "description": self._description,
        }

    def scores(self, value: "npt.NDArray[np.float32]") -> "npt.NDArray[np.floating[Any]]":
        """Return one row of scores; with two classes a decision is the second one's score over the first."""
        import numpy as np

        row = value.reshape(1, -1).astype(np.float64)  # what scikit-learn computes in where it may choose
        found = np.asarray(getattr(self._classifier, self._way or "")(row), np.float64)
        if found.shape == (1,):
            return np.array([0.0, found[0]])
        if found.shape != (1, len(self._names)):
            raise ValueError(
                f"its scores have shape {found.shape}, not one for each of {len(self._names)} classes"
            )
        scores: npt.NDArray[np.floating[Any]] = found[0]
        return scores


def main() -> None:
    """Serve the file whose descriptor and limits are the arguments."""
    serve(_look, _load)


def _look(data: bytes) -> Findings:
    findings = scan(data)
    # What loading and predicting import on their way could not be opened later.
    for module in ("skops.io", "sklearn.base", "sklearn.utils.parallel", "scipy.special", "numpy.ma"):
        import_module(module)
    for name in sorted(findings.types):
        try:
            import_module(name.rpartition(".")[0])
        except ImportError as error:
            raise FormatError(f"this release of scikit-learn has no {name}") from error
    _warm_up()
    return findings


def _warm_up() -> None:
    """Use scikit-learn once, on numbers of our own: what it looks up at first use, it keeps."""
    import numpy as np
    from sklearn.naive_bayes import GaussianNB
    from sklearn.neighbors import KNeighborsClassifier

    points, classes = np.array([[0.0], [1.0], [2.0]], np.float32), np.array([0, 1, 1])
    for classifier in (GaussianNB(), KNeighborsClassifier(1, algorithm="brute")):
        classifier.fit(points, classes).predict_proba(points)


def _load(data: bytes, findings: Findings, threads: int) -> _Model:  # noqa: ARG001 - one input at a time keeps one thread busy
    import numpy as np
    import sklearn
    from skops.io import loads

    warnings.simplefilter("ignore")  # nobody reads them here
    try:
        classifier = loads(data, trusted=sorted(findings.types))
        _look_at_parts(classifier)
        model = _Model(classifier, findings.description)
        # A model that cannot answer anything is refused when it is opened.
        model.scores(np.zeros((1, 1, 1, model.header()["input_shape"][1]), np.float32))
    except (FormatError, MemoryError):
        raise
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise FormatError(f"scikit-learn {sklearn.__version__} cannot load it: {reason}") from error
    return model


def _class_names(classifier: Any) -> list[str]:
    import numpy as np

    classes = np.asarray(classifier.classes_)
    if classes.ndim != 1:
        raise FormatError("it answers several questions at once; a classifier answers one")
    names = [str(name) for name in classes.tolist()]
    if not all(0 < len(name) <= 200 for name in names) or len(set(names)) != len(names):
        raise FormatError("its classes are not names of 1 to 200 characters, all different")
    return names


def _look_at_parts(classifier: Any) -> None:
    """Check the links of every tree, and keep everything in this process."""
    from sklearn.tree._tree import Tree

    for part in _parts(classifier):
        if isinstance(part, Tree):
            _check_tree(part)
        elif getattr(part, "n_jobs", None) is not None:
            part.n_jobs = None  # no answer depends on it, and no process could be started


def _parts(value: Any) -> Iterator[Any]:
    """Yield all objects that a model is made of; only what the list lets in can hold others."""
    import numpy as np

    seen: set[int] = set()
    rest = [value]
    while rest:
        part = rest.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        yield part
        if isinstance(part, dict):
            rest += part.values()
        elif isinstance(part, (list, tuple, set)):
            rest += part
        elif isinstance(part, np.ndarray):
            rest += part.ravel().tolist() if part.dtype == object else []
        else:
            rest += getattr(part, "__dict__", {}).values()


def _check_tree(tree: Any) -> None:
    import numpy as np

    # Prediction follows these numbers in memory without looking: beyond the ends it would read what
    # belongs to others, and in a circle it would never end.
    left, right = tree.children_left, tree.children_right
    count = len(left)
    own = np.arange(count)
    is_leaf = left == -1
    inner_is_sound = ((left > own) & (left < count) & (right > own) & (right < count))[~is_leaf].all()
    reads_inputs = ((tree.feature >= 0) & (tree.feature < tree.n_features))[~is_leaf].all()
    if count == 0 or not inner_is_sound or not reads_inputs:
        raise FormatError("a decision tree's links lead out of it")
