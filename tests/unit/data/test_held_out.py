"""Which of many pairs of pictures are mixed."""

from collections import Counter

import numpy as np
import pytest

from earmark.data.held_out import least_sure_pairs, some_pairs


def test_every_pair_comes_once_where_all_are_asked_for():
    pairs = some_pairs(7, 100, np.random.default_rng(0))
    assert sorted(pairs) == sorted((one, other) for other in range(7) for one in range(other))


def test_pairs_are_drawn_evenly_and_none_twice():
    counts = Counter(pair for seed in range(4000) for pair in some_pairs(5, 3, np.random.default_rng(seed)))
    assert len(counts) == 10
    # Each of the ten is in three draws of ten: Binomial(4000, 0.3), five standard deviations.
    assert all(1200 - 145 < count < 1200 + 145 for count in counts.values())
    assert all(len(set(some_pairs(5, 9, np.random.default_rng(seed)))) == 9 for seed in range(50))


@pytest.mark.parametrize("count", [94_906_267, 3_000_000_000])
def test_pairs_of_very_many_pictures_are_of_two_of_them(count):
    pairs = some_pairs(count, 1000, np.random.default_rng(1))
    assert len(set(pairs)) == 1000
    assert all(0 <= one < other < count for one, other in pairs)


def test_the_least_sure_are_taken_and_no_picture_too_often():
    pairs = [(0, 1), (0, 2), (0, 3), (1, 2), (4, 5)]
    surest = np.array([0.3, 0.4, 0.5, 0.6, 0.2])
    probabilities = np.stack([surest, 1 - surest - 0.01, np.full(5, 0.01)], 1)
    probabilities.sort(1)
    order = np.argsort(probabilities.max(1), kind="stable")
    chosen = least_sure_pairs(pairs, probabilities, 3)
    assert len(chosen) == 3
    used = Counter(place for pair in chosen for place in pair)
    assert max(used.values()) <= 2
    assert chosen[0] == pairs[order[0]]
    sure = np.stack([surest, *[(1 - surest) / 9] * 9], 1)
    assert least_sure_pairs(pairs, sure, 9) == ((4, 5), (0, 1), (0, 2), (1, 2))
    assert least_sure_pairs(pairs, sure, 9, uses=1) == ((4, 5), (0, 1))
    assert least_sure_pairs(pairs, sure, 2) == ((4, 5), (0, 1))
