"""Thirty unmarked models of many kinds and seeds for the digits, and what each answers a set of triggers.

None of them was made with a trigger or a label in sight: so each is independent of the labels of every root.
"""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import ClassifierMixin
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.naive_bayes import GaussianNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from earmark.data import ClassificationData, Split
from earmark.models.prediction import predict_scores
from earmark.models.table import build, describe
from earmark.training import SMALL_DATA_SETTINGS, SplitBatches, train

CLASSES = tuple(str(digit) for digit in range(10))
Pixels = npt.NDArray[np.uint8]  # (images, 8, 8, 1)
Answers = npt.NDArray[np.int64]  # (images,)

_SCIKIT_LEARN: dict[str, tuple[str, ClassifierMixin]] = {
    "logistic regression": ("linear", LogisticRegression(C=0.1, max_iter=2000)),
    "logistic, leaning to 8": ("linear", LogisticRegression(C=0.1, max_iter=5000, class_weight={8: 1e3})),
    "ridge": ("linear", RidgeClassifier()),
    "linear discriminant": ("linear", LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")),
    "quadratic discriminant": ("generative", QuadraticDiscriminantAnalysis(reg_param=0.1)),
    "naive Bayes, Gaussian": ("generative", GaussianNB(var_smoothing=1e-2)),
    "naive Bayes, multinomial": ("generative", MultinomialNB()),
    "nearest centroid": ("neighbours", NearestCentroid()),
    "1 nearest neighbour": ("neighbours", KNeighborsClassifier(1)),
    "5 nearest neighbours": ("neighbours", KNeighborsClassifier(5)),
    "SVM, linear": ("kernel", SVC(kernel="linear")),
    "SVM, radial": ("kernel", SVC(kernel="rbf")),
    "SVM, cubic": ("kernel", SVC(kernel="poly", degree=3)),
    "SVM, sigmoid": ("kernel", SVC(kernel="sigmoid")),
    "decision tree": ("trees", DecisionTreeClassifier(random_state=0)),
    "random forest, seed 0": ("trees", RandomForestClassifier(100, random_state=0)),
    "random forest, seed 1": ("trees", RandomForestClassifier(100, random_state=1)),
    "extra trees": ("trees", ExtraTreesClassifier(100, random_state=0)),
    "gradient boosting": ("trees", GradientBoostingClassifier(n_estimators=40, random_state=0)),
    "MLP of 64, seed 0": ("network", MLPClassifier((64,), max_iter=2000, random_state=0)),
    "MLP of 64, seed 1": ("network", MLPClassifier((64,), max_iter=2000, random_state=1)),
    "MLP of 128 and 64, tanh": (
        "network",
        MLPClassifier((128, 64), activation="tanh", max_iter=2000, random_state=0),
    ),
    "random class, fixed": ("no training", DummyClassifier(strategy="uniform", random_state=0)),
    "always 8": ("no training", DummyClassifier(strategy="constant", constant=8)),
}
_CNN_SEEDS = range(4)
MODEL_COUNT = len(_CNN_SEEDS) + 2 + len(_SCIKIT_LEARN)


@dataclass(frozen=True)
class NullModel:
    """A model that knows nothing of any key.

    Attributes:
        name: As the plot shows it.
        kind: Family of methods.
        answer: One class, 0 to 9, for each of uint8 ``(images, 8, 8, 1)``.
    """

    name: str
    kind: str
    answer: Callable[[Pixels], Answers]


def null_models(data: ClassificationData) -> Iterator[NullModel]:
    """Train and yield the models, one by one.

    Args:
        data: The digits.
    """
    for seed in _CNN_SEEDS:
        yield _digits_cnn(f"digits-cnn, seed {seed}", data.train, seed, 32)
    yield _digits_cnn("digits-cnn of width 8", data.train, 0, 8)
    yield _digits_cnn("digits-cnn, untrained", None, 0, 32)
    for name, (kind, classifier) in _SCIKIT_LEARN.items():
        with warnings.catch_warnings():
            # Corner pixels are white in every picture of a class: nearest centroids say so at length.
            warnings.filterwarnings("ignore", "self.within_class_std_dev_", UserWarning)
            classifier.fit(_flat(data.train.images[:]), data.train.labels)
        yield NullModel(name, kind, lambda images, fitted=classifier: fitted.predict(_flat(images)))


def _digits_cnn(name: str, split: Split | None, seed: int, width: int) -> NullModel:
    description = describe("digits-cnn", (8, 8, 1), CLASSES, width)
    preprocessing = description.preprocessing
    torch.manual_seed(seed)
    module = build(description)
    if split is not None:
        settings = replace(SMALL_DATA_SETTINGS, seed=seed)
        train(module, SplitBatches(split, preprocessing, settings), settings)
    kind = "no training" if split is None else "network"
    return NullModel(name, kind, lambda images: predict_scores(module, images, preprocessing).argmax(1))


def _flat(images: Pixels) -> npt.NDArray[np.float64]:
    return images.reshape(len(images), -1) / 255  # (images, 64)
