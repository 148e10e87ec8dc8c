"""Products of matrices of real numbers that all machines round alike.

A library's product may be compiled to join a multiplication and an addition into one rounding, and may add in
any order. Here everything is multiplied entry by entry, and added up in the order of the inner index.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

_DENSE_NUMBERS = 1 << 23
_PRODUCTS_AT_ONCE = 1 << 22

Reals = npt.NDArray[np.float64]


def columns_of(matrix: Any) -> npt.NDArray[np.int64]:
    """Return the columns in which a sparse matrix has entries, in rising order."""
    return np.flatnonzero(np.bincount(matrix.indices, minlength=matrix.shape[1]))


def ordered_product(matrix: Any, weights: Any, bias: Reals) -> tuple[Any, Reals]:
    """Return a matrix times weights, and times a bias.

    Args:
        matrix: CSR of float64, ``(rows, inner)``.
        weights: CSR of float64, ``(inner, columns)``.
        bias: ``(inner,)``.
    """
    matrix.sort_indices()
    constant = _adding(matrix.indptr) @ (matrix.data * bias[matrix.indices])
    used = columns_of(weights)
    is_full = weights.shape[0] * len(used) <= 4 * weights.nnz  # else most of a whole row would be zeros
    if is_full and matrix.shape[0] * len(used) <= _DENSE_NUMBERS:
        return _of_few_numbers(matrix, weights, used), constant
    return _of_few_entries(matrix, weights), constant


def _of_few_numbers(matrix: Any, weights: Any, used: npt.NDArray[np.int64]) -> Any:
    """Add up whole rows."""
    factors, place_of = matrix.tocsc(), np.zeros(weights.shape[1], np.int64)
    place_of[used] = np.arange(len(used))
    total = np.zeros((matrix.shape[0], len(used)))
    for inner in np.flatnonzero(np.diff(factors.indptr)):
        entries = slice(weights.indptr[inner], weights.indptr[inner + 1])
        row = np.zeros(len(used))
        row[place_of[weights.indices[entries]]] = weights.data[entries]
        own = slice(factors.indptr[inner], factors.indptr[inner + 1])
        rows = factors.indices[own]
        # All of them are as a rule the classes' scores: then nothing is copied.
        total[rows if len(rows) < len(total) else slice(None)] += factors.data[own][:, None] * row
    found = sparse.csr_matrix(total)
    parts = (found.data, used[found.indices], found.indptr)
    return sparse.csr_matrix(parts, shape=(matrix.shape[0], weights.shape[1]))


def _of_few_entries(matrix: Any, weights: Any) -> Any:
    """Multiply some rows' entries at a time, and add them up by a matrix of ones."""
    products = np.diff(weights.indptr)[matrix.indices]  # of each entry
    before = np.concatenate([[0], np.cumsum(products, dtype=np.int64)])[matrix.indptr]  # of each row
    parts, first = [], 0
    while first < matrix.shape[0]:
        last = int(np.searchsorted(before, before[first] + _PRODUCTS_AT_ONCE, "right")) - 1
        last = max(first + 1, last)
        entries = slice(matrix.indptr[first], matrix.indptr[last])
        rows = weights[matrix.indices[entries]]
        rows.data = rows.data * np.repeat(matrix.data[entries], np.diff(rows.indptr))
        parts.append(_adding(matrix.indptr[first : last + 1]) @ rows)
        first = last
    return sparse.vstack(parts, format="csr")


def _adding(indptr: npt.NDArray[np.int64]) -> Any:
    """Return the matrix that adds up the entries of each row."""
    count = int(indptr[-1] - indptr[0])
    parts = (np.ones(count), np.arange(count), indptr - indptr[0])
    return sparse.csr_matrix(parts, shape=(len(indptr) - 1, count))
