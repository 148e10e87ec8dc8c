from collections import Counter
from itertools import permutations, product

import numpy as np
import pytest

from earmark.errors import VerificationError
from earmark.verification import SPLIT, FixedMap, map_from_clean_data
from earmark.verification.label_maps import best_map, label_map_for, stated_map

NAMES = ("cat", "dog", "emu")


def test_names_decide_before_order():
    assert stated_map(NAMES, ("emu", "cat", "dog"), 3).places == (2, 0, 1)
    assert stated_map(NAMES, ("a", "b", "c"), 3) == FixedMap("by order", (0, 1, 2))
    assert stated_map(NAMES, None, 3) == FixedMap("by order", (0, 1, 2))


def test_a_suspect_with_more_classes_is_read_by_name():
    found = stated_map(NAMES, ("fox", "dog", "cat", "emu"), 4)
    assert (found.name, found.places) == ("by name", (None, 1, 0, 2))
    assert [found.read(output) for output in (0, 1, 9, -1)] == [None, 1, None, None]


@pytest.mark.parametrize("names", [None, ("fox", "dog", "cat", "ape")])
def test_a_suspect_that_does_not_say_what_its_classes_mean_needs_a_map(names):
    assert stated_map(NAMES, names, 4) is None
    with pytest.raises(VerificationError, match="step 4.*choose a label map"):
        label_map_for("auto", NAMES, names, 4)
    assert label_map_for(SPLIT, NAMES, names, 4).read(0) is None


def test_unknown_choices_and_maps_of_the_wrong_size_are_refused():
    with pytest.raises(ValueError, match="unknown label map"):
        label_map_for("any", NAMES, None, 3)
    with pytest.raises(ValueError, match="3 outputs, the suspect 4"):
        label_map_for(FixedMap("from clean data", (0, 1, 2)), NAMES, None, 4)


def test_the_split_map_learns_from_what_was_counted_only():
    split = label_map_for(SPLIT, NAMES, None, 3)
    assert [split.read(output) for output in range(3)] == [0, 1, 2]  # order has one vote
    split.learn(0, 2)
    assert split.read(0) == 0  # equal votes: the smaller number
    split.learn(0, 2)
    assert split.read(0) == 2
    stranger = label_map_for(SPLIT, NAMES, None, 7)
    assert stranger.read(6) is None
    stranger.learn(6, 1)
    assert stranger.read(6) == 1


def test_two_split_maps_share_nothing():
    first, second = (label_map_for(SPLIT, NAMES, None, 5) for _ in range(2))
    first.learn(0, 1)
    assert second.read(0) is None


def test_clean_data_say_what_outputs_mean():
    found = map_from_clean_data([0, 0, 0, 1, None, 2, 2], [2, 2, 1, 0, 0, 1, 0], 4)
    assert found.places == (2, 0, 0, None)
    assert found.name == "from clean data"
    other = map_from_clean_data([0, 1], [2, 0], 4)
    assert found.identity != other.identity
    assert found.identity == map_from_clean_data([0, 1, 2], [2, 0, 0], 4).identity


def matches(pairs, sent):
    return sum(count for (label, output), count in pairs.items() if label in sent.get(output, ()))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("outputs", [2, 3, 4])
def test_the_best_map_is_the_best_of_all_allowed_ones(seed, outputs):
    draw = np.random.default_rng(seed)
    drawn = zip(draw.integers(0, 3, 30).tolist(), draw.integers(0, outputs, 30).tolist(), strict=True)
    pairs = Counter(drawn)
    best = matches(pairs, best_map(pairs, 3, outputs))
    if outputs >= 3:
        every = (
            dict(zip(chosen, ({0}, {1}, {2}), strict=True)) for chosen in permutations(range(outputs), 3)
        )
    else:
        every = (
            {output: {label for label in range(3) if chosen[label] == output} for output in range(2)}
            for chosen in product(range(2), repeat=3)
            if 0 < sum(chosen) < 3
        )
    assert best == max(matches(pairs, sent) for sent in every)


def test_the_best_map_never_sends_all_labels_to_one_output():
    constant = Counter({(label, 1): 10 for label in range(10)})
    assert matches(constant, best_map(constant, 10, 10)) == 10
    assert matches(constant, best_map(constant, 10, 4)) == 30
