import time

import numpy as np
import pytest
from scipy import sparse

from earmark.zero_knowledge import ordered
from earmark.zero_knowledge.ordered import columns_of, ordered_product


def drawn(rows, columns, seed, density=0.4):
    draw = np.random.default_rng(seed)
    values = draw.normal(size=(rows, columns)) * 10.0 ** draw.integers(-9, 9, (rows, columns))
    values[draw.random((rows, columns)) > density] = 0
    return sparse.csr_matrix(values)


def in_plain_steps(matrix, weights):
    """Each product rounded, each sum rounded, the inner index outermost."""
    left, right = matrix.toarray(), weights.toarray()
    total = np.zeros((left.shape[0], right.shape[1]))
    for inner in range(left.shape[1]):
        for row in range(left.shape[0]):
            for column in range(right.shape[1]):
                product = left[row, inner] * right[inner, column]
                total[row, column] = total[row, column] + product
    return total


@pytest.mark.parametrize("numbers", [0, 1 << 23], ids=["few entries", "few numbers"])
@pytest.mark.parametrize("at_once", [1, 17, 1 << 22])
def test_products_are_added_in_the_order_of_the_inner_index(monkeypatch, numbers, at_once):
    monkeypatch.setattr(ordered, "_DENSE_NUMBERS", numbers)
    monkeypatch.setattr(ordered, "_PRODUCTS_AT_ONCE", at_once)
    for seed in range(4):
        matrix, weights = drawn(5, 9, seed), drawn(9, 12, seed + 100)
        bias = np.random.default_rng(seed).normal(size=9)
        expected = in_plain_steps(matrix, weights)
        shuffled = matrix[:, ::-1][:, ::-1]  # the same, its entries out of order
        found, constant = ordered_product(shuffled, weights, bias)
        assert np.array_equal(found.toarray(), expected)
        assert np.array_equal(constant, in_plain_steps(matrix, sparse.csr_matrix(bias[:, None]))[:, 0])


def test_a_long_row_over_weights_that_are_nearly_empty_takes_no_whole_rows():
    """Whoever writes the file would have a million rows of a million zeros made."""
    count = 1 << 20
    ones = np.ones(count)
    matrix = sparse.csr_matrix((ones, np.arange(count), [0, count]), shape=(1, count))
    weights = sparse.csr_matrix((ones, np.arange(count), np.arange(count + 1)), shape=(count, count))
    start = time.monotonic()
    found, constant = ordered_product(matrix, weights, ones)
    assert found.nnz == count
    assert constant == [count]
    assert time.monotonic() - start < 30


def test_the_order_is_seen_in_the_result():
    matrix = sparse.csr_matrix([[1.0, 1.0, 1.0]])
    weights = sparse.csr_matrix([[1e30], [1.0], [-1e30]])
    assert ordered_product(matrix, weights, np.zeros(3))[0].toarray() == 0


def test_columns_with_entries():
    assert columns_of(sparse.csr_matrix([[0.0, 2.0, 0.0], [0.0, 3.0, 1.0]])).tolist() == [1, 2]
