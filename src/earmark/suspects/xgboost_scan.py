"""Reads an XGBoost file without XGBoost, and writes anew what a classifier's answers depend on.

XGBoost's compiled code trusts the numbers in its files: children, features and categories are followed in
memory unchecked. So the file is read here, UBJSON or JSON, every number that leads somewhere is checked, and
XGBoost is given a file of our own that holds nothing else.
"""

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from earmark.errors import FormatError
from earmark.suspects import ubjson
from earmark.suspects.boosted_trees import LEAF, reachable
from earmark.suspects.frames import CLASS_LIMIT, METADATA_KEY, VALUE_LIMIT

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

OBJECTIVES = ("multi:softprob", "multi:softmax", "binary:logistic")
CATEGORY_END = 1 << 24
"""Categories are numbered below this: XGBoost keeps a bit for each up to the highest that a split names."""
_BITS_LIMIT = 1 << 33
_NUMBER = r"[-+]?\d{1,20}(?:\.\d{0,20})?(?:[eE][-+]?\d{1,3})?"
_BASE_SCORE = re.compile(rf"\[?{_NUMBER}(?:,{_NUMBER})*\]?")


@dataclass(frozen=True, slots=True)
class Findings:
    """What stands in an XGBoost file.

    Attributes:
        model: The classifier alone, as UBJSON.
        class_count: Its classes.
        feature_count: Numbers that it reads.
        description: Its attribute ``earmark``, or None.
    """

    model: bytes
    class_count: int
    feature_count: int
    description: str | None


def scan(data: bytes) -> Findings:
    """Return what is in an XGBoost file, after checking every number that leads somewhere.

    Args:
        data: The whole file.

    Raises:
        FormatError: It is no XGBoost file, no classifier, or contradicts itself.
    """
    try:
        return _findings(_parsed(data))
    except (FormatError, MemoryError):
        raise
    except KeyError as error:
        raise FormatError(f"it is not an XGBoost model, or of a release before 1.6: no {error}") from error
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise FormatError(f"it is not an XGBoost model, or it is damaged: {error}") from error


def _parsed(data: bytes) -> Any:
    if data[:1] == b"{" and data[1:2] in (b"i", b"U", b"I", b"l", b"L"):
        return ubjson.read(data)
    if data[:4] == b"binf" or not data.lstrip()[:1] == b"{":
        raise FormatError("it is neither UBJSON nor JSON; save it again with a newer XGBoost, as .ubj")
    return json.loads(data, object_pairs_hook=_each_once)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        # Readers differ in which of two they take.
        raise FormatError("it says one thing twice")
    return found


def _findings(file: Any) -> Findings:
    learner = file["learner"]
    objective = str(learner["objective"]["name"])
    if objective not in OBJECTIVES:
        raise FormatError(
            f"its objective is {objective[:40]!a}; classifiers that are questioned have "
            f"{', '.join(OBJECTIVES)}"
        )
    parameters = learner["learner_model_param"]
    features = _whole(parameters["num_feature"], 1, VALUE_LIMIT)
    is_binary = objective == "binary:logistic"
    stated = _whole(parameters["num_class"], 0, CLASS_LIMIT)
    if _whole(parameters.get("num_target", "1"), 0, CLASS_LIMIT) > 1 or (is_binary and stated > 1):
        raise FormatError("it answers several questions at once; a classifier answers one")
    groups = 1 if is_binary else stated
    if not is_binary and groups < 2:
        raise FormatError("it has fewer than two classes")
    attributes = learner.get("attributes", {})
    booster = _booster(learner["gradient_booster"], features, groups, attributes.get("best_iteration"))
    count = f"{stated}"
    written = {
        "learner": {
            "attributes": {},
            "feature_names": [],
            "feature_types": [],
            "gradient_booster": booster,
            "learner_model_param": {
                "base_score": _base_score(parameters["base_score"], groups),
                "boost_from_average": "1",
                "num_class": count,
                "num_feature": f"{features}",
                "num_target": "1",
            },
            "objective": {"name": objective, "reg_loss_param": {"scale_pos_weight": "1"}}
            if is_binary
            else {"name": objective, "softmax_multiclass_param": {"num_class": count}},
        },
        # What it says of its release decides how base_score is read.
        "version": [_whole(number, 0, 1000) for number in file["version"]][:3],
    }
    description = attributes.get(METADATA_KEY)
    if description is not None and not isinstance(description, str):
        raise FormatError(f"its attribute {METADATA_KEY} is no text")
    return Findings(ubjson.write(written), 2 if is_binary else groups, features, description)


def _whole(value: Any, least: int, most: int) -> int:
    """Return a whole number, which XGBoost writes as a text or as a number."""
    number = int(value) if isinstance(value, str) and re.fullmatch(r"-?\d{1,18}", value) else value
    if type(number) is not int or not least <= number <= most:
        raise FormatError(f"a number in it is not {least} to {most}: {str(value)[:40]!a}")
    return number


def _base_score(value: Any, groups: int) -> str:
    text = str(value)
    if len(text) > 64 * groups + 64 or not _BASE_SCORE.fullmatch(text):
        raise FormatError("its base_score is no number")
    if text.count(",") + 1 not in (1, groups):
        raise FormatError(f"its base_score has {text.count(',') + 1} numbers, not one for each class")
    return text


def _booster(booster: Any, features: int, groups: int, best_iteration: Any) -> dict[str, Any]:
    import numpy as np

    name = booster["name"]
    if name not in ("gbtree", "dart"):
        raise FormatError(f"its booster is {str(name)[:40]!a}; only trees are questioned: gbtree, dart")
    model = (booster["gbtree"] if name == "dart" else booster)["model"]
    trees, groups_of = model["trees"], _integers(model["tree_info"])
    parallel = _whole(model["gbtree_model_param"].get("num_parallel_tree", "1"), 0, 1 << 20) or 1
    if any(_whole(tree["tree_param"].get("size_leaf_vector", "1"), 0, CLASS_LIMIT) > 1 for tree in trees):
        raise FormatError("its trees have several values in a leaf, which are not read")
    size = parallel * groups
    count = len(trees)
    if count == 0 or count % size or count != len(groups_of):
        raise FormatError(f"it has {count} trees, not the same number for each class in each round")
    rounds = groups_of.reshape(-1, size)
    if not (rounds == np.repeat(np.arange(groups), parallel)).all():
        raise FormatError("its trees are not in the order of its classes")
    if best_iteration is not None:
        # XGBoost's own classifier answers with the trees up to it, and says nothing with those beyond.
        count = size * (_whole(best_iteration, 0, count // size - 1) + 1)
    written: dict[str, Any] = {
        "name": "gbtree",
        "model": {
            "gbtree_model_param": {"num_parallel_tree": f"{parallel}", "num_trees": f"{count}"},
            "iteration_indptr": np.arange(0, count + 1, size, dtype=np.int32).tolist(),
            "tree_info": groups_of[:count].tolist(),
            "trees": [_tree(tree, place, features) for place, tree in enumerate(trees[:count])],
        },
    }
    if name == "gbtree":
        return written
    weights = _floats(booster["weight_drop"])
    if len(weights) != len(trees):
        raise FormatError(f"it has {len(trees)} trees, and {len(weights)} weights for them")
    return {"name": "dart", "gbtree": written, "weight_drop": weights[:count].tolist()}


def _tree(tree: Any, number: int, features: int) -> dict[str, Any]:
    """Return the tree's reachable nodes, numbered anew, with nothing but what prediction reads."""
    import numpy as np

    left, right = _integers(tree["left_children"]), _integers(tree["right_children"])
    feature, values = _integers(tree["split_indices"]), _floats(tree["split_conditions"])
    kinds, defaults = _integers(tree.get("split_type", [0] * len(left))), _integers(tree["default_left"])
    if len({len(column) for column in (left, right, feature, values, kinds, defaults)}) != 1:
        raise FormatError("a decision tree's columns are not of one length")
    nodes = reachable(left, right)
    is_inner = left[nodes] != LEAF
    inner = nodes[is_inner]
    if not ((feature[inner] >= 0) & (feature[inner] < features)).all():
        raise FormatError(f"a decision tree reads beyond the {features} numbers of an input")
    if not (np.isin(kinds[inner], (0, 1)).all() and np.isin(defaults[inner], (0, 1)).all()):
        raise FormatError("a decision tree's splits are of an unknown kind")
    places = np.zeros(len(left), np.int64)
    places[nodes] = np.arange(len(nodes))
    links = np.full((2, len(nodes)), LEAF, np.int64)
    links[0, is_inner], links[1, is_inner] = places[left[inner]], places[right[inner]]
    parents = np.full(len(nodes), np.iinfo(np.int32).max, np.int64)  # what XGBoost writes for the root
    for side in links:
        parents[side[is_inner]] = np.flatnonzero(is_inner)
    kinds = np.where(is_inner, kinds[nodes], 0)
    nothing = np.zeros(len(nodes), np.float32)
    return {
        "id": number,
        "tree_param": {
            "num_deleted": "0",
            "num_feature": f"{features}",
            "num_nodes": f"{len(nodes)}",
            "size_leaf_vector": "1",
        },
        "left_children": links[0].astype(np.int32),
        "right_children": links[1].astype(np.int32),
        "parents": parents.astype(np.int32),
        "split_indices": np.where(is_inner, feature[nodes], 0).astype(np.int32),
        "split_conditions": values[nodes],
        "split_type": kinds.astype(np.uint8),
        "default_left": np.where(is_inner, defaults[nodes], 0).astype(np.uint8),
        "base_weights": nothing,
        "loss_changes": nothing,
        "sum_hessian": nothing,
        **_categories(tree, nodes[kinds == 1], places),
    }


def _categories(
    tree: Any, splits: "npt.NDArray[np.int64]", places: "npt.NDArray[np.int64]"
) -> dict[str, "npt.NDArray[Any]"]:
    """Return the categories of those splits, in their order."""
    import numpy as np

    names = ("categories", "categories_nodes", "categories_segments", "categories_sizes")
    values, of_node, starts, sizes = (_integers(tree.get(name, [])) for name in names)
    if not len(of_node) == len(starts) == len(sizes) == np.unique(of_node).size:
        raise FormatError("a decision tree's categories are not one list for each node")
    found = {
        int(node): (int(start), int(size)) for node, start, size in zip(of_node, starts, sizes, strict=True)
    }
    lists = []
    for node in splits.tolist():
        start, size = found.get(node, (0, 0))
        if not (start >= 0 and size > 0 and start + size <= len(values)):
            raise FormatError("a split by categories has none")
        lists.append(values[start : start + size])
    if any(bool(((one < 0) | (one >= CATEGORY_END)).any()) for one in lists):
        raise FormatError(f"a category is not numbered 0 to {CATEGORY_END - 1}")
    if sum(int(one.max()) + 1 for one in lists) > _BITS_LIMIT:
        raise FormatError("its splits by categories take too much memory")
    lengths = np.array([len(one) for one in lists], np.int64)
    return {
        "categories": np.concatenate([np.zeros(0, np.int64), *lists]).astype(np.int32),
        "categories_nodes": places[splits].astype(np.int32),
        "categories_segments": np.cumsum(lengths) - lengths,
        "categories_sizes": lengths,
    }


def _integers(value: Any) -> "npt.NDArray[np.int64]":
    import numpy as np

    array = np.asarray(value)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "biu"):
        raise FormatError("what should be whole numbers is not")
    return array.astype(np.int64)


def _floats(value: Any) -> "npt.NDArray[np.float32]":
    import numpy as np

    array = np.asarray(value)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iuf"):
        raise FormatError("what should be numbers is not")
    return array.astype(np.float32)
