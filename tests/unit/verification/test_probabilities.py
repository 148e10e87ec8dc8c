from math import inf, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.suspects import Miss
from earmark.verification.probabilities import top_class, weights

WHOLE = 1 << 32
numbers = st.lists(st.floats(0, 1e308, allow_nan=False), min_size=1, max_size=12)


@given(numbers, st.sampled_from(["1", "0.5", "2", "0.01", "999999"]))
def test_weights_never_add_up_to_more_than_one(values, temperature):
    found = weights(values, temperature)
    if any(values):
        assert len(found) == len(values)
        assert all(weight >= 0 for weight in found)
        assert WHOLE - 2 * len(values) <= sum(found) <= WHOLE
    else:
        assert found is Miss.NOT_A_NUMBER


@pytest.mark.parametrize(
    "values", [[nan, 1.0], [inf, 1.0], [-1e-9, 1.0], [0.0, 0.0], [], [10**400, 1], ["much", 1], [None, 1]]
)
def test_what_is_no_probability_is_a_miss(values):
    assert weights(values) is Miss.NOT_A_NUMBER


def test_a_temperature_sharpens_or_flattens():
    assert weights([1.0, 3.0], "0.5") == pytest.approx((WHOLE / 10, 9 * WHOLE / 10), abs=2)
    root = 3**0.5
    assert weights([1.0, 3.0], "2") == pytest.approx((WHOLE / (1 + root), WHOLE * root / (1 + root)), abs=2)


def test_the_scale_of_the_numbers_does_not_matter():
    assert weights([1e-300, 3e-300]) == weights([1.0, 3.0])


def test_numbers_of_any_type_are_read():
    assert weights([np.float32(1), 3]) == weights([1.0, 3.0])


def test_the_top_class_is_a_miss_if_it_is_tied():
    assert top_class((1, 5, 2)) == 1
    assert top_class((5, 5, 2)) is Miss.TIE
