"""Sums forwards and backwards against the list of their weights, in plain integers."""

import numpy as np
import pytest
from scipy import sparse

from earmark.fields import PRIME
from earmark.zero_knowledge.sums import Convolution, Matrix, Picture, Window
from earmark.zero_knowledge.tensors import RealConvolution

CASES = {
    "plain": (
        Picture(0, 2, 5, 4, interleaved=False),
        (3, 2, 3, 3),
        Window((1, 1), (0, 0), (1, 1), (3, 2)),
        1,
    ),
    "padded, interleaved": (
        Picture(0, 2, 5, 4, interleaved=True),
        (3, 2, 3, 3),
        Window((1, 1), (1, 1), (1, 1), (5, 4)),
        1,
    ),
    "strides and groups": (
        Picture(7, 4, 6, 7, interleaved=False),
        (6, 2, 2, 3),
        Window((2, 3), (1, 0), (1, 1), (3, 2)),
        2,
    ),
    "dilated, one side padded": (
        Picture(3, 1, 8, 8, interleaved=True),
        (2, 1, 3, 2),
        Window((1, 2), (0, 2), (2, 3), (4, 4)),
        1,
    ),
    "strides that pass values over": (
        Picture(0, 1, 7, 7, interleaved=False),
        (1, 1, 1, 1),
        Window((3, 3), (0, 0), (1, 1), (3, 3)),
        1,
    ),
}


def convolution(case):
    picture, shape, window, groups = CASES[case]
    kernel = np.random.default_rng(5).integers(-900, 901, shape)
    return Convolution(picture, kernel, window, groups)


def written_out(term, count):
    """The matrix of a convolution, from what a convolution is, one product after the other."""
    picture, window = term.picture, term.window
    outputs, per_group = term.kernel.shape[:2]
    rows, columns = window.shape
    matrix = np.zeros((term.count, count), object)
    for output, channel, down, across in np.ndindex(*term.kernel.shape):
        seen = output // (outputs // term.groups) * per_group + channel
        for row, column in np.ndindex(rows, columns):
            y = row * window.strides[0] - window.pads[0] + down * window.dilations[0]
            x = column * window.strides[1] - window.pads[1] + across * window.dilations[1]
            if 0 <= y < picture.height and 0 <= x < picture.width:
                place = (
                    (y * picture.width + x) * picture.channels + seen
                    if picture.interleaved
                    else (seen * picture.height + y) * picture.width + x
                )
                weight = int(term.kernel[output, channel, down, across])
                matrix[(output * rows + row) * columns + column, picture.start + place] += weight
    return matrix


@pytest.mark.parametrize("case", CASES)
def test_a_convolution_is_the_matrix_of_its_weights(case):
    term, draw = convolution(case), np.random.default_rng(6)
    count = term.seen + 5
    matrix = written_out(term, count)
    values = draw.integers(0, 256, (count, 9), np.uint8)
    assert np.array_equal(term.apply(values), matrix @ values.astype(object))
    drawn = draw.integers(PRIME - 9, PRIME, (term.count, 5), np.uint32)
    onto = np.arange(5 * count).reshape(count, 5)
    term.add_transposed(drawn, onto)
    expected = np.arange(5 * count).reshape(count, 5) + matrix.T @ drawn.astype(object)
    assert np.array_equal(onto % PRIME, expected % PRIME)
    sizes = np.abs(matrix).sum(axis=1)
    assert all(size >= exact for size, exact in zip(term.sizes(), sizes, strict=True))


@pytest.mark.parametrize("case", CASES)
def test_in_real_numbers_it_is_the_same_matrix_and_its_mean_the_mean_of_its_places(case):
    term = convolution(case)
    real = RealConvolution(term.picture, term.kernel.astype(np.float64), term.window, term.groups)
    matrix = written_out(term, term.seen).astype(np.float64)
    assert np.array_equal(real.matrix(term.seen).toarray(), matrix)
    mean = matrix.reshape(len(term.kernel), -1, term.seen).mean(axis=1)
    assert np.allclose(real.averaged(term.seen).toarray(), mean, rtol=0, atol=1e-9)


def test_a_matrix_that_looks_at_a_few_values_is_read_there_only():
    weights = sparse.csr_matrix(([3, -2, 5], ([0, 0, 2], [4, 6, 5])), shape=(3, 50), dtype=np.int64)
    term, values = Matrix(weights), np.random.default_rng(7).integers(0, 256, (50, 4), np.uint8)
    assert np.array_equal(term.apply(values), weights.toarray() @ values.astype(np.int64))
    onto = np.zeros((50, 5), np.int64)
    drawn = np.full((3, 5), PRIME - 1, np.uint32)
    term.add_transposed(drawn, onto)
    assert np.array_equal(onto % PRIME, weights.toarray().T @ -np.ones((3, 5), np.int64) % PRIME)
    nothing = Matrix(sparse.csr_matrix((3, 50), dtype=np.int64))
    assert not nothing.apply(values).any()


def test_weights_that_floats_would_round_are_refused():
    """At the limit sums are exact still: the largest weights there can be, all of one sign."""
    picture, window = Picture(0, 4, 3, 3, interleaved=False), Window((1, 1), (0, 0), (1, 1), (1, 1))
    largest = (1 << 53 - 16) - 1  # times halves of 16 bits, backwards
    with pytest.raises(ValueError, match="added exactly"):
        Convolution(picture, np.full((1, 4, 3, 3), largest + 1), window)
    term = Convolution(picture, np.full((1, 4, 3, 3), largest), window)
    assert term.apply(np.full((36, 1), 255, np.uint8))[0, 0] == 255 * 36 * largest
    drawn = np.full((1, 5), PRIME - 1, np.uint32)
    onto = np.zeros((36, 5), np.int64)
    term.add_transposed(drawn, onto)
    assert (onto % PRIME == (PRIME - 1) * largest % PRIME).all()


@pytest.mark.parametrize(
    "total", [(1 << 24) // 255 - 1, (1 << 24) // 255, (1 << 24) // 255 + 1, (1 << 24) // 255 + 2, 1 << 20]
)
def test_sums_on_both_sides_of_what_floats_of_32_bits_hold_are_exact(total):
    picture, window = Picture(0, 1, 1, 3, interleaved=False), Window((1, 1), (0, 0), (1, 1), (1, 1))
    for first in (1, total // 3, total - 1, total):
        kernel = np.array([first, -(total - first), 0]).reshape(1, 1, 1, 3)
        term = Convolution(picture, kernel, window)
        for values in ([255, 0, 7], [254, 1, 0], [0, 255, 9], [255, 1, 3], [255, 254, 0]):
            expected = sum(int(w) * v for w, v in zip(kernel.reshape(-1), values, strict=True))
            assert term.apply(np.array(values, np.uint8)[:, None])[0, 0] == expected


def test_totals_of_weights_cannot_wrap_around():
    heavy = Matrix(sparse.csr_matrix(np.full((1, 4), 1 << 62)))
    assert heavy.sizes()[0] >= 4 << 62
