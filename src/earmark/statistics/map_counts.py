"""In how many ways one set of classes can be read as another: the cost of a label map fitted afterwards."""

from fractions import Fraction
from math import ceil, comb, perm


def most_labels_per_output(class_count: int, output_count: int) -> int:
    """Return m, how many labels a map may send to one output: 1 if there is an output for each.

    Without such a bound the map that sends every label to one class would "match" a constant model.

    Args:
        class_count: Classes of the key, C.
        output_count: Classes of the suspect, C'.

    Returns:
        The quotient C / C', rounded up.
    """
    return ceil(Fraction(class_count, output_count))


def map_count(class_count: int, output_count: int) -> int:
    """Return the number of maps from all labels to outputs that send at most m labels to one output.

    All labels, and not only those that occur: which labels occur depends on the draw, and a number of
    alternatives that depends on it is no bound.

    Args:
        class_count: Classes of the key, C, at least 1.
        output_count: Classes of the suspect, C', at least 1.

    Returns:
        C'! / (C' - C)! for C' >= C.

    Example:
        >>> map_count(10, 10), map_count(3, 4), map_count(4, 2)
        (3628800, 24, 6)
    """
    if min(class_count, output_count) < 1:
        raise ValueError("both classifiers need at least one class")
    if output_count >= class_count:
        return perm(output_count, class_count)
    most = most_labels_per_output(class_count, output_count)
    # ways[j]: maps of j labels to the outputs so far. An output takes i of the labels that are left.
    ways = [1] + [0] * class_count
    for _ in range(output_count):
        ways = [
            sum(
                ways[used - taken] * comb(class_count - used + taken, taken)
                for taken in range(min(most, used) + 1)
            )
            for used in range(class_count + 1)
        ]
    return ways[class_count]
