import numpy as np
import pytest

from earmark.fields import EXTENSION_DEGREE, PRIME, inverse, multiply, root_of_unity
from earmark.fields.arrays import combine_columns, evaluate, invert_elements, multiply_elements, product_mod
from earmark.fields.prime import GENERATOR
from earmark.fields.transforms import (
    AtPoints,
    Workspace,
    coefficients_in_lanes,
    coset_coefficients,
    in_lanes,
    lanes_on_coset,
    out_of_lanes,
    transform,
)


def elements(count, seed=0):
    words = np.random.default_rng(seed).integers(0, PRIME, (count, EXTENSION_DEGREE), np.uint32)
    words[0] = PRIME - 1
    return words


def test_the_prime_is_prime_the_generator_generates_and_the_extension_is_a_field():
    factors = (2, 3, 5)
    assert PRIME - 1 == 2**27 * 3 * 5
    assert all(pow(GENERATOR, (PRIME - 1) // factor, PRIME) != 1 for factor in factors)
    assert pow(GENERATOR, PRIME - 1, PRIME) == 1  # with the line above: of order p - 1, so p is prime
    assert pow(2, (PRIME - 1) // 5, PRIME) != 1


def test_products_and_inverses_agree_with_plain_integers():
    left, right = elements(50), elements(50, 1)
    expected = [multiply(tuple(map(int, a)), tuple(map(int, b))) for a, b in zip(left, right, strict=True)]
    assert multiply_elements(left, right).tolist() == [list(item) for item in expected]
    assert multiply_elements(left[:1], right).tolist()[3] == list(
        multiply(tuple(map(int, left[0])), tuple(map(int, right[3])))
    )
    inverses = invert_elements(left)
    assert inverses[7].tolist() == list(inverse(tuple(map(int, left[7]))))
    assert multiply_elements(left, inverses).tolist() == [[1, 0, 0, 0, 0]] * 50
    left[20] = 0
    with pytest.raises(ZeroDivisionError):
        invert_elements(left)


def value_at(coefficients, point):
    value = 0
    for coefficient in reversed(coefficients.tolist()):
        value = (value * point + coefficient) % PRIME
    return value


@pytest.mark.parametrize("size", [1, 2, 8, 32])
def test_transforms_are_values_of_the_polynomial(size):
    rows = np.random.default_rng(2).integers(0, PRIME, (3, size), np.uint32)
    root = root_of_unity(size)
    values = transform(rows)
    for row in range(3):
        assert [value_at(rows[row], pow(root, i, PRIME)) for i in range(size)] == values[row].tolist()
    assert np.array_equal(transform(values, inverted=True), rows)
    shifted = np.array(
        [[value_at(row, GENERATOR * pow(root, i, PRIME)) for i in range(size)] for row in rows], np.uint32
    )
    assert np.array_equal(coset_coefficients(shifted), rows)


@pytest.mark.parametrize(("size", "count"), [(8, 3), (64, 17), (4096, 33)])
def test_rows_side_by_side_have_the_same_coefficients_and_values(size, count):
    """4,096 places are more than stay near a core at once; 17 and 33 rows leave lanes empty."""
    rows = np.random.default_rng(3).integers(0, PRIME, (count, size), np.uint32)
    rows[0] = PRIME - 1
    lanes = coefficients_in_lanes(rows)
    coefficients = out_of_lanes(lanes, count)
    assert np.array_equal(in_lanes(coefficients), lanes)
    back = transform(coefficients)
    assert np.array_equal(back, rows)
    space, root = Workspace(), root_of_unity(8 * size)
    for residue in range(8):
        found = lanes_on_coset(lanes, count, 8 * size, residue, space)
        at = np.array([0, 1, size // 2, size - 1])
        points = [GENERATOR * pow(root, residue + 8 * int(i), PRIME) % PRIME for i in at]
        expected = [[value_at(row, point) for row in coefficients] for point in points]
        assert found[at].tolist() == expected
        exact = AtPoints(np.array(points, np.uint32), size).values(lanes, count)
        assert exact.T.tolist() == expected
    # What is given again has other values in it, and another shape if that is asked for.
    assert lanes_on_coset(lanes[:1], 1, 8 * size, 0, space).base is found.base


def test_sums_of_rows_and_values_of_polynomials():
    columns = np.full((3, 40), PRIME - 1, np.uint32)
    coefficients = elements(40)
    expected = [(7 - int(coefficients[:, part].astype(object).sum())) % PRIME for part in range(5)]
    totals = np.full((3, 5), 7, np.uint32)
    combine_columns(columns, coefficients, totals)
    assert totals.tolist() == [expected] * 3
    at = evaluate(coefficients, np.array([12345], np.uint32))
    assert at[0].tolist() == [value_at(coefficients[:, part], 12345) for part in range(5)]


def test_an_integer_matrix_times_field_values_never_overflows():
    matrix = np.array([[2**45, -(2**44)], [-1, 3]], np.int64)
    values = np.array([[PRIME - 1], [PRIME - 2]], np.uint32)
    expected = [
        [(2**45 * (PRIME - 1) - 2**44 * (PRIME - 2)) % PRIME],
        [(-(PRIME - 1) + 3 * (PRIME - 2)) % PRIME],
    ]
    assert product_mod(matrix, values).tolist() == expected


def test_roots_of_unity_exist_for_powers_of_two_only():
    with pytest.raises(ValueError, match="power of two"):
        root_of_unity(3)
