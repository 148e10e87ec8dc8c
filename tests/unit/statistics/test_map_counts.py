from itertools import product

import pytest

from earmark.statistics import map_count, most_labels_per_output


@pytest.mark.parametrize("classes", range(1, 6))
@pytest.mark.parametrize("outputs", range(1, 7))
def test_the_count_is_that_of_all_allowed_maps(classes, outputs):
    most = most_labels_per_output(classes, outputs)
    allowed = sum(
        all(chosen.count(output) <= most for output in range(outputs))
        for chosen in product(range(outputs), repeat=classes)
    )
    assert map_count(classes, outputs) == allowed


def test_a_classifier_without_classes_is_refused():
    with pytest.raises(ValueError, match="at least one class"):
        map_count(0, 3)
