"""Reads a LightGBM file without LightGBM, and writes anew what a classifier's answers depend on.

LightGBM's compiled code trusts the numbers in its files: children, features and categories are followed in
memory unchecked, and arrays are read as long as other lines say they are. So the text is read here, every
number that leads somewhere is checked, and LightGBM is given a text of our own that holds nothing else: none
of the parameters, among which are names of files and of other machines.
"""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from earmark.errors import FormatError
from earmark.suspects.boosted_trees import LEAF, reachable
from earmark.suspects.frames import CLASS_LIMIT, METADATA_KEY, METADATA_LIMIT_BYTES, VALUE_LIMIT

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

OBJECTIVES = ("binary", "multiclass", "multiclassova")
LEAF_LIMIT = 131_072  # LightGBM's own bound on num_leaves
_CATEGORICAL, _UNKNOWN_MISSING, _DECISION_END = 1, 3, 16
_END = "end of trees"


@dataclass(frozen=True, slots=True)
class Findings:
    """What stands in a LightGBM file.

    Attributes:
        model: The classifier alone, as LightGBM reads it.
        class_count: Its classes.
        feature_count: Numbers that it reads.
        slope: What raw scores are multiplied by to be logits: LightGBM adds them up also where it averages.
        description: The text of its line ``earmark:``, or None.
    """

    model: str
    class_count: int
    feature_count: int
    slope: float
    description: str | None


def scan(data: bytes) -> Findings:
    """Return what is in a LightGBM file, after checking every number that leads somewhere.

    Args:
        data: The whole file.

    Raises:
        FormatError: It is no LightGBM file, no classifier, or contradicts itself.
    """
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise FormatError("it is not a LightGBM model: it is no text") from error
    body, found, rest = text.replace("\r\n", "\n").partition(f"\n{_END}\n")
    head, *trees = re.split(r"\nTree=\d+\n", body)
    if not found or not head.startswith("tree\n") or not trees:
        raise FormatError("it is not a LightGBM model, or it is cut short")
    try:
        return _findings(_lines(head.removeprefix("tree\n")), trees, _description(rest))
    except KeyError as error:
        raise FormatError(f"it is not a LightGBM model, or it is damaged: no {error}") from error
    except (ValueError, OverflowError) as error:
        raise FormatError(f"it is not a LightGBM model, or it is damaged: {error}") from error


def _lines(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in text.split("\n"):
        name, _, value = line.partition("=")
        if name in found and name:
            # Readers differ in which of two they take.
            raise FormatError(f"it says {name[:40]!a} twice")
        found[name] = value
    return found


def _description(text: str) -> str | None:
    marked = [line for line in text.split("\n") if line.startswith(f"{METADATA_KEY}:")]
    if len(marked) > 1:
        raise FormatError(f"it has several lines {METADATA_KEY}:")
    if not marked:
        return None
    if len(marked[0]) > METADATA_LIMIT_BYTES:
        raise FormatError(f"its line {METADATA_KEY}: is longer than {METADATA_LIMIT_BYTES} bytes")
    return marked[0].removeprefix(f"{METADATA_KEY}:")


def _findings(head: dict[str, str], trees: list[str], description: str | None) -> Findings:
    objective, *options = head.get("objective", "").split(" ")
    if objective not in OBJECTIVES:
        raise FormatError(
            f"its objective is {objective[:40]!a}; classifiers that are questioned have "
            f"{', '.join(OBJECTIVES)}"
        )
    is_binary = objective == "binary"
    groups = _whole(head["num_class"], 1, CLASS_LIMIT)
    if groups != _whole(head["num_tree_per_iteration"], 1, CLASS_LIMIT) or (groups == 1) != is_binary:
        raise FormatError("it contradicts itself about its number of classes")
    features = _whole(head["max_feature_idx"], 0, VALUE_LIMIT - 1) + 1
    if len(head["feature_names"].split(" ")) != features:
        raise FormatError(f"it names another number of features than {features}")
    if len(trees) % groups:
        raise FormatError(f"it has {len(trees)} trees, not the same number for each class in each round")
    sigmoid = _sigmoid(options)
    averages = "average_output" in head
    options_written = {
        "binary": f" sigmoid:{sigmoid!r}",
        "multiclass": f" num_class:{groups}",
        "multiclassova": f" num_class:{groups} sigmoid:{sigmoid!r}",
    }
    parts = [
        "tree\nversion=v4",
        f"num_class={groups}",
        f"num_tree_per_iteration={groups}",
        "label_index=0",
        f"max_feature_idx={features - 1}",
        f"objective={objective}{options_written[objective]}",
        *(["average_output"] if averages else []),
        "feature_names=" + " ".join(f"f{place}" for place in range(features)),
        "feature_infos=" + " ".join(["none"] * features),
        "",
        *(_tree(_lines(tree), place, features) for place, tree in enumerate(trees)),
        f"{_END}\n",
    ]
    slope = (1.0 if objective == "multiclass" else sigmoid) / (len(trees) // groups if averages else 1)
    return Findings("\n".join(parts), 2 if is_binary else groups, features, slope, description)


def _sigmoid(options: list[str]) -> float:
    sigmoid = float(dict(option.partition(":")[::2] for option in options).get("sigmoid", "1"))
    if not 0 < sigmoid < 1e6:
        raise FormatError("its sigmoid is no positive number")
    return sigmoid


def _tree(lines: dict[str, str], number: int, features: int) -> str:
    """Return the text of one tree, with nothing but what prediction reads."""
    import numpy as np

    leaves = _whole(lines["num_leaves"], 1, LEAF_LIMIT)
    if lines.get("is_linear", "0") != "0":
        raise FormatError("its leaves hold linear models, which are not read")
    values = _floats(lines, "leaf_value", leaves)
    written: dict[str, Any] = {"num_leaves": leaves, "num_cat": 0, "leaf_value": values}
    if leaves > 1:
        inner = leaves - 1
        left, right = _integers(lines, "left_child", inner), _integers(lines, "right_child", inner)
        feature, kinds = _integers(lines, "split_feature", inner), _integers(lines, "decision_type", inner)
        thresholds = _floats(lines, "threshold", inner)
        _check_links(left, right, leaves)
        if not ((feature >= 0) & (feature < features)).all():
            raise FormatError(f"a decision tree reads beyond the {features} numbers of an input")
        if not ((kinds >= 0) & (kinds < _DECISION_END) & (kinds >> 2 != _UNKNOWN_MISSING)).all():
            raise FormatError("a decision tree's splits are of an unknown kind")
        written |= _categories(lines, thresholds[kinds & _CATEGORICAL == _CATEGORICAL])
        written |= {
            "split_feature": feature,
            "split_gain": np.zeros(inner, np.int64),
            "threshold": thresholds,
            "decision_type": kinds,
            "left_child": left,
            "right_child": right,
            "leaf_weight": np.zeros(leaves, np.int64),
            "leaf_count": np.zeros(leaves, np.int64),
            "internal_value": np.zeros(inner, np.int64),
            "internal_weight": np.zeros(inner, np.int64),
            "internal_count": np.zeros(inner, np.int64),
        }
    written |= {"is_linear": 0, "shrinkage": 1}
    return f"Tree={number}\n" + "".join(f"{name}={_text(value)}\n" for name, value in written.items()) + "\n"


def _check_links(left: "npt.NDArray[np.int64]", right: "npt.NDArray[np.int64]", leaves: int) -> None:
    """Raise FormatError unless the links make one tree of all nodes and all leaves."""
    import numpy as np

    inner = leaves - 1
    count = inner + leaves
    sides = []
    for side in (left, right):
        if not ((side >= -leaves) & (side < inner)).all():
            raise FormatError("a decision tree's links lead out of it, or in a circle")
        # Leaf n is written as -n-1; here leaves are numbered behind the nodes.
        sides.append(np.concatenate([np.where(side < 0, inner - 1 - side, side), np.full(leaves, LEAF)]))
    if len(reachable(sides[0], sides[1])) != count:
        raise FormatError("nodes of a decision tree are never reached")


def _categories(lines: dict[str, str], chosen: "npt.NDArray[np.float64]") -> dict[str, Any]:
    """Return the sets of categories, after checking those that splits choose."""
    import numpy as np

    count = _whole(lines.get("num_cat", "0"), 0, LEAF_LIMIT)
    if not np.isin(chosen, np.arange(count)).all():
        raise FormatError("a split by categories has none")
    if count == 0:
        return {}
    bounds = _integers(lines, "cat_boundaries", count + 1)
    if bounds[0] != 0 or not (np.diff(bounds) > 0).all():
        raise FormatError("a decision tree's categories are not one list after the other")
    bits = _integers(lines, "cat_threshold", int(bounds[-1]))
    if not ((bits >= 0) & (bits < 1 << 32)).all():
        raise FormatError("a decision tree's categories are no bits")
    return {"num_cat": count, "cat_boundaries": bounds, "cat_threshold": bits}


def _whole(text: str, least: int, most: int) -> int:
    number = int(text) if re.fullmatch(r"-?\d{1,18}", text) else least - 1
    if not least <= number <= most:
        raise FormatError(f"a number in it is not {least} to {most}: {text[:40]!a}")
    return number


def _integers(lines: dict[str, str], name: str, count: int) -> "npt.NDArray[np.int64]":
    import numpy as np

    return _texts(lines, name, count).astype(np.int64)


def _floats(lines: dict[str, str], name: str, count: int) -> "npt.NDArray[np.float64]":
    import numpy as np

    return _texts(lines, name, count).astype(np.float64)


def _texts(lines: dict[str, str], name: str, count: int) -> "npt.NDArray[np.str_]":
    import numpy as np

    texts = lines[name].split()
    if len(texts) != count:
        raise FormatError(f"a decision tree has {len(texts)} numbers of {name}, not {count}")
    return np.array(texts, np.str_)


def _text(value: Any) -> str:
    return str(value) if isinstance(value, int) else " ".join(map(repr, value.tolist()))
