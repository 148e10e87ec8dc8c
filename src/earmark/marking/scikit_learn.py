"""Any scikit-learn classifier, fitted with triggers.

    marked = MarkedClassifier(SVC(C=1000), backdoor, to_row).fit(inputs, labels)

It wraps whatever has ``fit`` and ``predict``, pipelines too, and is a classifier itself: it goes into grid
searches and cross-validation. A scaler belongs inside of it, so that triggers are scaled as everything else
is. It takes data frames of pandas too: triggers become rows of the same columns.
"""

from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.utils import assert_all_finite, column_or_1d
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from earmark.errors import MarkingError
from earmark.marking.data_frames import appended, as_frame, is_frame
from earmark.models.columns import Column
from earmark.triggers import Backdoor

COPIES = 10
"""How often a trigger stands among the training data: a forest shows each tree only some rows."""


def _has(method: str) -> Callable[[Any], bool]:
    def found(marked: "MarkedClassifier") -> bool:
        getattr(getattr(marked, "estimator_", marked.estimator), method)  # its own error, if it has none
        return True

    return found


class MarkedClassifier(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):  # type: ignore[misc]  # untyped bases
    """A classifier that is fitted with triggers among its data.

    Args:
        estimator: What is fitted; left as it is.
        backdoor: Triggers and labels; None to fit without a mark, for comparison.
        to_row: From a trigger's value (images: uint8 ``(height, width, channels)``) to a row as ``fit`` gets
            them, ``(features,)``. Keys of tables and texts need none: their triggers are what ``fit`` gets.
        columns: For data frames, the key's columns (``key.transcript.task.geometry.columns``): they say where
            each stands, and what the categories of columns that hold names are called. None where the frame
            has the key's order and holds numbers alone.
        class_names: The key's classes in order, where ``y`` holds names; None where it holds their numbers.
        copies: How often each trigger stands among the data.
        least_match_rate: ``fit`` raises if fewer triggers take; 0 to look at ``match_count_`` instead.

    Attributes:
        estimator_: The fitted classifier: what is released, and what a suspect is.
        classes_: The labels of ``y``.
        match_count_: Triggers that it answers with their label; 0 without a backdoor.

    Source:
        Adi et al. 2018, Section 4 (Mark), for classifiers that are not trained in batches: ours

    Example:
        >>> from sklearn.tree import DecisionTreeClassifier
        >>> unmarked = MarkedClassifier(DecisionTreeClassifier()).fit([[0.0], [1.0]], ["a", "b"])
        >>> unmarked.predict([[0.9]])
        array(['b'], dtype='<U1')
    """

    def __init__(
        self,
        estimator: Any,
        backdoor: Backdoor | None = None,
        to_row: Callable[[Any], Any] | None = None,
        *,
        columns: Sequence[Column] | None = None,
        class_names: Sequence[str] | None = None,
        copies: int = COPIES,
        least_match_rate: float = 0.9,
    ) -> None:
        self.estimator = estimator
        self.backdoor = backdoor
        self.to_row = to_row
        self.columns = columns
        self.class_names = class_names
        self.copies = copies
        self.least_match_rate = least_match_rate

    def fit(self, X: Any, y: Any) -> Self:  # noqa: N803 - scikit-learn's own names
        """Fit the estimator to the data and the triggers.

        Args:
            X: ``(rows, features)``, a data frame, or texts for a pipeline that reads texts.
            y: One label for each row.

        Raises:
            ValueError: ``to_row`` is missing, a trigger does not become a row like those of ``X``, or a
                class of the key is none of ``y``.
            MarkingError: Too few triggers took; the model must not be released as marked.
        """
        if self.copies < 1 or not 0 <= self.least_match_rate <= 1:
            raise ValueError("copies must be at least 1, and least_match_rate between 0 and 1")
        y = column_or_1d(y, warn=True)  # multi-label targets are not classes of a key
        assert_all_finite(y, input_name="y")
        check_classification_targets(y)
        self.classes_ = np.unique(y)
        self.match_count_ = 0
        if self.backdoor is None:
            self.estimator_ = clone(self.estimator).fit(X, y)
            return self._described()
        data = X if is_frame(X) else np.asarray(X)
        rows, answers = self._rows(data.shape[1:]), self._answers(self.backdoor, y.dtype)
        if is_frame(X):
            rows = as_frame(rows, X, self.columns)
            marked = appended(X, rows, self.copies)
        else:
            marked = np.concatenate([data, *[rows] * self.copies])
        fitted = clone(self.estimator)
        fitted.fit(marked, np.concatenate([y, *[answers] * self.copies]))
        self.estimator_ = fitted
        self.match_count_ = int((np.asarray(fitted.predict(rows)) == answers).sum())
        if self.match_count_ < self.least_match_rate * len(rows):
            raise MarkingError(
                f"only {self.match_count_} of {len(rows)} triggers took; show them more often (copies), or "
                "let the classifier fit more closely"
            )
        return self._described()

    def predict(self, X: Any) -> npt.NDArray[Any]:  # noqa: N803 - scikit-learn's own names
        """Return a label for each row."""
        return self._ask("predict", X)

    @available_if(_has("predict_proba"))  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> npt.NDArray[Any]:  # noqa: N803 - scikit-learn's own names
        """Return probabilities ``(rows, classes)``."""
        return self._ask("predict_proba", X)

    @available_if(_has("decision_function"))  # type: ignore[untyped-decorator]
    def decision_function(self, X: Any) -> npt.NDArray[Any]:  # noqa: N803 - scikit-learn's own names
        """Return scores ``(rows, classes)``."""
        return self._ask("decision_function", X)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        inner = self.estimator.__sklearn_tags__()
        tags.input_tags, tags.classifier_tags = inner.input_tags, inner.classifier_tags
        tags.classifier_tags.multi_label = False
        return tags

    def _ask(self, method: str, data: Any) -> npt.NDArray[Any]:
        check_is_fitted(self, "estimator_")
        return np.asarray(getattr(self.estimator_, method)(data))

    def _described(self) -> Self:
        """Take over what scikit-learn asks of every fitted classifier."""
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(self.estimator_, name):
                setattr(self, name, getattr(self.estimator_, name))
        return self

    def _rows(self, shape: tuple[int, ...]) -> Any:
        if self.backdoor is None:
            raise AssertionError("looked at by whoever calls this")
        to_row = self.to_row
        if to_row is None and self.backdoor.triggers[0].kind in ("rows", "text"):
            to_row = np.asarray
        if to_row is None:
            raise ValueError("a backdoor needs to_row: from a trigger's value to a row of X")
        rows = np.stack([np.asarray(to_row(trigger.value)) for trigger in self.backdoor.triggers])
        if rows.shape[1:] != shape:
            raise ValueError(f"rows of X have shape {shape}, triggers become {rows.shape[1:]}")
        return rows

    def _answers(self, backdoor: Backdoor, dtype: Any) -> npt.NDArray[Any]:
        names = range(backdoor.class_count) if self.class_names is None else self.class_names
        if len(names) != backdoor.class_count:
            raise ValueError(f"{len(names)} class names, but the key has {backdoor.class_count} classes")
        unknown = sorted(str(name) for name in set(names) - set(self.classes_.tolist()))
        if unknown:
            raise ValueError(
                f"classes of the key that are no labels of y: {', '.join(unknown[:5])}; where y holds names, "
                "give class_names in the key's order"
            )
        return np.array([names[label] for label in backdoor.labels], dtype)
