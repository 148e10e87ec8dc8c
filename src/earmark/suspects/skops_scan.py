"""Looks through a skops file without loading it: refuses every type that is not in the list below.

skops writes a scikit-learn model as a zip archive: ``schema.json``, a tree of nodes that name a loader and a
type each, and arrays as members of their own. Its own audit trusts every estimator of scikit-learn, and it
keeps reading the nodes of older protocols as they were. Here the list is shorter and says for each loader
which types it may make: nothing that calls what the file names (methods, partial functions, operators,
constructors), nothing that reads files or texts, and no archive within the archive. Trees are let in, which
skops does not trust, for ``earmark.suspects.skops_child`` looks at every link in them before they are used.
"""

import json
from dataclasses import dataclass
from io import BytesIO
from typing import Any
from zipfile import ZipFile

from earmark.errors import FormatError
from earmark.suspects.archives import check_members, read_member
from earmark.suspects.frames import METADATA_KEY, METADATA_LIMIT_BYTES

SCHEMA = "schema.json"
PROTOCOL = 2
UNPACKED_LIMIT_BYTES = 2 << 30
SCHEMA_LIMIT_BYTES = 64 << 20

CLASSIFIERS = frozenset(
    f"sklearn.{name}"
    for name in (
        "calibration.CalibratedClassifierCV",
        "discriminant_analysis.LinearDiscriminantAnalysis",
        "discriminant_analysis.QuadraticDiscriminantAnalysis",
        "ensemble._bagging.BaggingClassifier",
        "ensemble._forest.ExtraTreesClassifier",
        "ensemble._forest.RandomForestClassifier",
        "ensemble._stacking.StackingClassifier",
        "ensemble._voting.VotingClassifier",
        "ensemble._weight_boosting.AdaBoostClassifier",
        "linear_model._logistic.LogisticRegression",
        "linear_model._logistic.LogisticRegressionCV",
        "linear_model._perceptron.Perceptron",
        "linear_model._ridge.RidgeClassifier",
        "linear_model._ridge.RidgeClassifierCV",
        "linear_model._stochastic_gradient.SGDClassifier",
        "multiclass.OneVsOneClassifier",
        "multiclass.OneVsRestClassifier",
        "naive_bayes.BernoulliNB",
        "naive_bayes.ComplementNB",
        "naive_bayes.GaussianNB",
        "naive_bayes.MultinomialNB",
        "neighbors._classification.KNeighborsClassifier",
        "neighbors._nearest_centroid.NearestCentroid",
        "neural_network._multilayer_perceptron.MLPClassifier",
        "pipeline.Pipeline",
        "svm._classes.LinearSVC",
        "svm._classes.NuSVC",
        "svm._classes.SVC",
        "tree._classes.DecisionTreeClassifier",
        "tree._classes.ExtraTreeClassifier",
    )
)
_PARTS = frozenset(
    f"sklearn.{name}"
    for name in (
        "_loss.link.Interval",
        "_loss.link.LogitLink",
        "_loss.link.MultinomialLogit",
        "_loss.loss.HalfBinomialLoss",
        "_loss.loss.HalfMultinomialLoss",
        "calibration._CalibratedClassifier",
        "calibration._SigmoidCalibration",
        "decomposition._pca.PCA",
        "decomposition._truncated_svd.TruncatedSVD",
        "feature_selection._variance_threshold.VarianceThreshold",
        "kernel_approximation.Nystroem",
        "kernel_approximation.RBFSampler",
        "neural_network._stochastic_optimizers.AdamOptimizer",
        "neural_network._stochastic_optimizers.SGDOptimizer",
        "preprocessing._data.Binarizer",
        "preprocessing._data.MaxAbsScaler",
        "preprocessing._data.MinMaxScaler",
        "preprocessing._data.Normalizer",
        "preprocessing._data.PowerTransformer",
        "preprocessing._data.QuantileTransformer",
        "preprocessing._data.RobustScaler",
        "preprocessing._data.StandardScaler",
        "preprocessing._label.LabelBinarizer",
        "preprocessing._label.LabelEncoder",
    )
)
_LOSSES = frozenset(
    (
        *(f"sklearn.linear_model._sgd_fast.{name}" for name in ("Hinge", "Log", "ModifiedHuber")),
        *(f"sklearn.linear_model._sgd_fast.{name}" for name in ("SquaredHinge", "SquaredLoss", "Huber")),
        *(f"sklearn._loss._loss.{name}" for name in ("CyHalfBinomialLoss", "CyHalfMultinomialLoss")),
        *(f"sklearn._loss._loss.{name}" for name in ("CyHalfSquaredError", "CyHuberLoss")),
    )
)
_NUMBERS = frozenset(
    f"numpy.{name}"
    for name in ("bool", "bool_", "float32", "float64", "int32", "int64", "str_", "uint8", "uint32", "uint64")
)
_LOADERS = {
    "DictNode": frozenset({"builtins.dict", "sklearn.utils._bunch.Bunch"}),
    "JsonNode": frozenset({"builtins.str"}),
    "ListNode": frozenset({"builtins.list"}),
    "LossNode": _LOSSES,
    "NdArrayNode": _NUMBERS | {"numpy.ndarray"},
    "ObjectNode": CLASSIFIERS | _PARTS,
    "RandomStateNode": frozenset({"numpy.random.mtrand.RandomState"}),
    "SetNode": frozenset({"builtins.set"}),
    "TreeNode": frozenset({"sklearn.tree._tree.Tree"}),
    "TupleNode": frozenset({"builtins.tuple"}),
    "TypeNode": _NUMBERS | {f"builtins.{name}" for name in ("bool", "float", "int", "str")},
}


@dataclass(frozen=True, slots=True)
class Findings:
    """What a look through a skops file found.

    Attributes:
        types: The types that it makes, all of them in the list.
        description: The text of its member ``earmark``, or None.
    """

    types: frozenset[str]
    description: str | None


def scan(data: bytes) -> Findings:
    """Return what is in a skops file, after checking that nothing in it is of a type beyond the list.

    Args:
        data: The whole file.

    Returns:
        Its types and its description.

    Raises:
        FormatError: It is no skops file, unpacks to too much, or holds a type that is not in the list.
    """
    try:
        with ZipFile(BytesIO(data)) as archive:
            check_members(archive, UNPACKED_LIMIT_BYTES)
            if SCHEMA not in archive.namelist():
                raise FormatError(f"it is not a skops file: it has no {SCHEMA}")
            schema = json.loads(read_member(archive, SCHEMA, SCHEMA_LIMIT_BYTES))
            has_text = METADATA_KEY in archive.namelist()
            text = read_member(archive, METADATA_KEY, METADATA_LIMIT_BYTES).decode() if has_text else None
    except (FormatError, MemoryError):
        raise
    except Exception as error:  # zipfile, zlib and json each have their own, and some are undocumented
        raise FormatError(f"it is not a skops file, or it is damaged: {error}") from error
    if not isinstance(schema, dict) or schema.get("protocol") is True or schema.get("protocol") != PROTOCOL:
        # The number chooses the code that reads the nodes: an older one is whatever the file prefers.
        raise FormatError(f"its skops protocol is not {PROTOCOL}; save it again with a newer skops")
    return Findings(_types(schema), text)


def _types(schema: dict[str, Any]) -> frozenset[str]:
    """Return the types of all nodes; FormatError that lists the ones that are not in the list."""
    found: set[str] = set()
    refused: set[str] = set()
    rest: list[Any] = [schema]
    while rest:
        value = rest.pop()
        if isinstance(value, list):
            rest += value
        if not isinstance(value, dict):
            continue
        rest += value.values()
        loader = value.get("__loader__")
        if not isinstance(loader, str):
            continue  # the contents of a node; without a loader nothing is made of them
        name = f"{value.get('__module__')}.{value.get('__class__')}"
        if name in _LOADERS.get(loader, ()):
            found.add(name)
        else:
            refused.add(name if loader in _LOADERS else f"{loader} {name}")
    if refused:
        names = ", ".join(sorted(name[:80] for name in refused)[:3])
        more = f" and {len(refused) - 3} more" if len(refused) > 3 else ""
        raise FormatError(f"it holds types that are never loaded: {names}{more}")
    return frozenset(found)
