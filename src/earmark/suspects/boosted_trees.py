"""What files of boosted trees have in common, whoever wrote them.

Links are followed here before anything compiled follows them: prediction does so in memory without looking.
Beyond the ends it would read what belongs to others, and in a circle it would never end.
"""

from typing import TYPE_CHECKING, Any

from earmark.errors import FormatError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

DEPTH_LIMIT = 4096
"""Levels of a tree: what reads trees recurses, and a chain of a million nodes would overflow its stack."""
LEAF = -1


def reachable(left: "npt.NDArray[np.int64]", right: "npt.NDArray[np.int64]") -> "npt.NDArray[np.int64]":
    """Return the nodes that are reached from the first, level by level and the left before the right.

    Args:
        left: Of each node the left child; ``LEAF`` for leaves, whose right child is not looked at.
        right: Of each node the right child.

    Returns:
        Numbers of nodes, each once, beginning with 0.

    Raises:
        FormatError: A link leads out of the tree, two lead to one node, or it is too deep.
    """
    import numpy as np

    count = len(left)
    if count == 0:
        raise FormatError("a decision tree has no nodes")
    levels = [np.zeros(1, np.int64)]
    found = 1
    while True:
        inner = levels[-1][left[levels[-1]] != LEAF]
        if not inner.size:
            break
        children = np.stack([left[inner], right[inner]], axis=1).ravel()
        found += children.size
        is_sound = bool(((children > 0) & (children < count)).all()) and found <= count
        if not is_sound:
            raise FormatError("a decision tree's links lead out of it, or in a circle")
        levels.append(children)
        if len(levels) > DEPTH_LIMIT:
            raise FormatError(f"a decision tree has more than {DEPTH_LIMIT} levels")
    nodes = np.concatenate(levels)
    if np.unique(nodes).size != nodes.size:
        raise FormatError("two links of a decision tree lead to one node")
    return nodes


def probabilities(margins: "npt.NDArray[np.floating[Any]]") -> "npt.NDArray[np.float64]":
    """Return what the margins of boosted trees stand for, in float64: nothing that differs becomes a tie.

    Args:
        margins: ``(classes,)``; or ``(1,)``, which with two classes is the second one's over the first.

    Returns:
        One number for each class; not numbers where the margins say nothing.
    """
    import numpy as np

    values = np.concatenate([np.zeros(int(margins.size == 1)), margins.astype(np.float64)])
    with np.errstate(all="ignore"):
        powers = np.exp(values - values.max())
        found: npt.NDArray[np.float64] = powers / powers.sum()
    return found
