"""A small network of integers, a statement about it and its proof: made once, altered by many tests."""

from functools import cache

import numpy as np
from scipy import sparse

from earmark.commitment.linear import RANDOM_BYTES, commit_linear
from earmark.zero_knowledge.network import IntegerNetwork, Layer, Table, infer, matches
from earmark.zero_knowledge.prover import Openings, prove
from earmark.zero_knowledge.statement import Statement
from earmark.zero_knowledge.sums import Convolution, Matrix, Picture, Window

DEGREE_BOUND = 512
INPUT_SIZE = 6


def matrix(values):
    return Matrix(sparse.csr_matrix(np.asarray(values, np.int64)))


@cache
def tiny_network() -> IntegerNetwork:
    """Two layers to requantise, one to rectify (the larger of two), three classes; biases everywhere.

    The first layer is a convolution with padding of two rows of three pixels, the third a convolution and a matrix.
    """
    draw = np.random.default_rng(3)
    first = Convolution(
        Picture(0, 1, 2, 3, interleaved=True),
        draw.integers(-90, 91, (2, 1, 2, 2)),
        Window((1, 1), (1, 0), (1, 1), (2, 2)),
    )
    differences = np.zeros((4, INPUT_SIZE + 8), np.int64)
    largest = np.zeros((4, INPUT_SIZE + 12), np.int64)
    for row in range(4):
        differences[row, INPUT_SIZE + 2 * row], differences[row, INPUT_SIZE + 2 * row + 1] = 1, -1
        largest[row, INPUT_SIZE + 2 * row + 1] = largest[row, INPUT_SIZE + 8 + row] = 1
    third = draw.integers(-90, 91, (5, 4)) @ largest
    shortcut = Convolution(
        Picture(INPUT_SIZE, 2, 2, 2, interleaved=False),
        draw.integers(-60, 61, (5, 2, 1, 2)),
        Window((2, 1), (0, 0), (1, 1), (1, 1)),
    )
    scores = np.zeros((3, INPUT_SIZE + 17), np.int64)
    scores[:, INPUT_SIZE + 12 :] = draw.integers(-50, 51, (3, 5))
    return IntegerNetwork(
        INPUT_SIZE,
        (
            Layer(Table.REQUANTISE, (first,), draw.integers(-3000, 3000, 8)),
            Layer(Table.RECTIFY, (matrix(differences),), np.zeros(4, np.int64)),
            Layer(Table.REQUANTISE, (matrix(third), shortcut), draw.integers(-3000, 3000, 5)),
        ),
        Layer(Table.REQUANTISE, (matrix(scores),), np.array([7, -9, 40])),
    )


@cache
def tiny_openings(count: int = 5) -> Openings:
    draw = np.random.default_rng(4)
    return Openings(
        draw.integers(0, 256, (count, INPUT_SIZE), np.uint8),
        draw.integers(0, 256, (count, RANDOM_BYTES), np.uint8),
    )


@cache
def tiny_statement(needed: int = 3) -> Statement:
    """Four of five inputs are answered as their label says; three are needed."""
    openings, network = tiny_openings(), tiny_network()
    labels = infer(network, openings.values).scores.argmax(axis=1)
    labels[4] = (labels[4] + 1) % 3
    assert matches(infer(network, openings.values), labels).sum() == 4
    commitments = np.stack(
        [
            commit_linear(v.tobytes(), s.tobytes())
            for v, s in zip(openings.values, openings.randomness, strict=True)
        ]
    )
    return Statement(network, commitments, labels, needed, b"a test", DEGREE_BOUND)


def seeded(seed: int):
    return np.random.default_rng(seed).bytes


@cache
def tiny_proof() -> bytes:
    return prove(tiny_statement(), tiny_openings(), random_bytes=seeded(5)).to_bytes()
