import hashlib

import numpy as np
import pytest

from earmark.commitment.linear import (
    RANDOM_BYTES,
    ROW_COUNT,
    commit_linear,
    commitment_matrix,
    field_words,
    open_linear,
)
from earmark.fields import PRIME


def slow_words(seed, count):
    data, found = hashlib.shake_256(seed).digest(16 * count + 64), []
    for place in range(0, len(data), 4):
        word = int.from_bytes(data[place : place + 4], "little") & 0x7FFFFFFF
        if word < PRIME:
            found.append(word)
    return found[:count]


def test_the_constants_are_those_of_the_specification():
    seed = b"".join(
        len(part).to_bytes(8, "big") + part
        for part in (b"earmark/sis/v1", *(n.to_bytes(8, "big") for n in (ROW_COUNT, 2, RANDOM_BYTES)))
    )
    matrix = commitment_matrix(2)
    assert matrix.shape == (ROW_COUNT, 2 + RANDOM_BYTES)
    assert matrix.reshape(-1)[:40].tolist() == slow_words(seed, 40)
    assert field_words(b"x", 3).tolist() == slow_words(b"x", 3)


def test_a_commitment_is_the_sum_and_opens_to_nothing_else():
    value, randomness = b"\xff\x01", bytes(i % 256 for i in range(RANDOM_BYTES))
    commitment = commit_linear(value, randomness)
    opening = [*value, *randomness]
    expected = [
        sum(int(a) * b for a, b in zip(row, opening, strict=True)) % PRIME for row in commitment_matrix(2)[:5]
    ]
    assert commitment[:5].tolist() == expected
    assert open_linear(commitment, value, randomness)
    assert not open_linear(commitment, b"\xff\x02", randomness)
    assert not open_linear(commitment, value, randomness[:-1] + b"\0")


def test_the_output_is_shorter_than_the_randomness_by_what_hiding_needs():
    # Leftover hash lemma: the statistical distance is at most 2^(-(random bits - output bits)/2 - 1).
    output_bits = ROW_COUNT * np.log2(PRIME)
    assert (8 * RANDOM_BYTES - output_bits) / 2 + 1 > 140


@pytest.mark.parametrize(
    ("value", "randomness"), [(b"", bytes(1272)), (bytes(4097), bytes(1272)), (b"a", bytes(1271))]
)
def test_wrong_sizes_are_refused(value, randomness):
    with pytest.raises(ValueError, match="linear commitment"):
        commit_linear(value, randomness)
