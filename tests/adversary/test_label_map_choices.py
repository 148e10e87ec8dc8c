"""A forger reads the suspect's classes as it suits him: the best map, one class for everything, crafted clean data."""

from fractions import Fraction

import numpy as np
import pytest
from scipy.stats import binom, chisquare

from adversary.forger import (
    FALSE_ALARM,
    assert_exceeds,
    assert_within,
    constant,
    expected_answers,
    noise_key,
    shown_in_small,
)
from earmark.errors import VerificationError
from earmark.keys import derive_labels
from earmark.statistics import map_count, match_tail
from earmark.verification import AUTO, BEST, FIXED, SPLIT, Method, map_from_clean_data, measure, verify
from earmark.verification.label_maps import label_map_for
from small import MemoryJournal, ScriptedSuspect

TENTH = Fraction(1, 10)
KEY = noise_key("label maps", 100)
BY_BEST, BY_SPLIT = Method(FIXED, BEST), Method(FIXED, SPLIT)


def judged(suspect, method, journal=None):
    return verify(measure(KEY, suspect, journal or MemoryJournal(), method=method))


# One class for everything.


@pytest.mark.parametrize(("outputs", "most"), [(10, 1), (20, 1), (5, 2), (3, 4), (2, 5), (1, 10)])
def test_no_map_sends_all_labels_to_the_one_class_of_a_constant_model(outputs, most):
    """With any map at all, "every label means class 0" matches 100 of 100. Ours: m labels, at a chance of m/C."""
    labels = expected_answers(KEY)
    suspect = constant(0, 100, class_names=None, class_count=outputs)
    verdict = judged(suspect, BY_BEST)
    luckiest = sum(sorted((labels.count(label) for label in range(10)), reverse=True)[:most])
    assert verdict.measurement.match_count == luckiest
    assert verdict.chance == Fraction(most, 10)
    assert not shown_in_small(verdict, 1)


@pytest.mark.parametrize("declared", [2, 5, 9])
def test_a_suspect_that_declares_fewer_classes_than_it_uses_gains_nothing(declared):
    labels = expected_answers(KEY)
    verdict = judged(ScriptedSuspect(labels, None, declared), BY_BEST)
    assert verdict.measurement.match_count <= sum(label < declared for label in labels) < 100
    assert judged(ScriptedSuspect(labels, None, 10), BY_BEST).measurement.match_count == 100


# The best of all one-to-one maps.


def test_the_best_map_finds_matches_in_independent_models_and_its_price_covers_them():
    draw, models, limit = np.random.default_rng(0), 400, Fraction(1, 64)
    labels, gained, wins_unpaid, wins_paid = expected_answers(KEY), [], 0, 0
    for _ in range(models):
        answers = draw.integers(0, 10, 100).tolist()
        by_order = sum(a == b for a, b in zip(answers, labels, strict=True))
        verdict = judged(ScriptedSuspect(answers, None), BY_BEST)
        gained.append(verdict.measurement.match_count - by_order)
        wins_unpaid += verdict.tail <= limit
        wins_paid += shown_in_small(verdict, 6)
    assert min(gained) >= 3
    assert np.mean(gained) > 10
    assert wins_unpaid > models * 0.9  # unpaid, nearly every independent model passes for 6 bits
    assert_within(wins_paid, models, limit)
    assert {p.name: p.alternatives for p in verdict.penalties}["label map"] == map_count(10, 10) == 3628800


def test_a_model_of_many_outputs_gains_more_and_pays_more():
    """A thousand outputs, one for each question: a map of any kind would read each as its label."""
    suspect = ScriptedSuspect(range(100), None, 1000)
    verdict = judged(suspect, BY_BEST)
    assert verdict.measurement.match_count == 10  # one label each, and no more
    assert verdict.tail * map_count(10, 1000) > 2**90
    assert judged(suspect, BY_SPLIT).measurement.match_count == 0  # nothing came twice


# The split map: exactly Binomial(n, 1/C), whatever the answers.

PATTERNS = {
    "constant": [0] * 12,
    "constant, then another": [0] * 6 + [1] * 6,
    "in turn": [0, 1, 2] * 4,
    "pairs": [0, 0, 1, 1, 2, 2] * 2,
    "each twice, long apart": [*range(6), *range(6)],
    "never twice": [*range(12)],
    "beyond its classes": [0, 99, -1, 99] * 3,
}


@pytest.mark.parametrize("pattern", PATTERNS)
def test_the_split_map_gains_nothing_for_any_pattern_of_answers(pattern):
    answers, roots = PATTERNS[pattern], 3000
    counts = np.zeros(len(answers) + 1)
    for number in range(roots):
        # One of the three classes by order where the suspect has as many: its vote is no advantage either.
        split = label_map_for(SPLIT, ("a", "b", "c"), None, 3 if max(answers) < 3 else 100)
        matches = 0
        for answer, label in zip(
            answers, derive_labels(number.to_bytes(32, "big"), 0, 0, 12, 3), strict=True
        ):
            matches += split.read(answer) == label
            split.learn(answer, label)
        counts[matches] += 1
    read = sum(1 for place, answer in enumerate(answers) if answer in answers[:place] or max(answers) < 3)
    law = binom.pmf(np.arange(len(counts)), read, 1 / 3) * roots
    assert_good_fit(counts, law)
    # Whoever reads with the map that fits *all* answers, his own included, is far off that law.
    if pattern == "each twice, long apart":
        assert_exceeds(best_of_all(answers, roots), 12 * roots, Fraction(1, 2))


def best_of_all(answers, roots):
    """Matches of the map that reads every output as the label that came with it most often in the end."""
    total = 0
    for number in range(roots):
        labels = derive_labels(number.to_bytes(32, "big"), 0, 0, len(answers), 3)
        for output in set(answers):
            seen = [label for answer, label in zip(answers, labels, strict=True) if answer == output]
            total += max(map(seen.count, seen))
    return total


def assert_good_fit(counts, law):
    """Pearson's test; classes expected less than five times are put together."""
    often = law >= 5
    found = [*counts[often], counts[~often].sum()]
    expected = [*law[often], law[~often].sum()]
    if expected[-1] < 1e-9:
        assert found.pop() == 0
        expected.pop()
    if len(found) > 1:
        assert chisquare(found, np.array(expected) * (sum(found) / sum(expected))).pvalue > FALSE_ALARM


# Clean data.


def test_clean_data_that_a_forger_brings_are_labels_that_a_forger_brings():
    """Why a map from clean data is free only if the data are the checker's: these fit every question."""
    suspect = ScriptedSuspect(range(100), None, 1000)
    crafted = map_from_clean_data(list(range(100)), expected_answers(KEY), 1000)
    verdict = judged(suspect, Method(FIXED, crafted))
    assert verdict.measurement.match_count == 100
    assert verdict.owned  # no rule of arithmetic sees it: the data must come from the checker
    assert verdict.measurement.label_map == "from clean data"  # and the verdict says that data decided


def test_with_as_few_outputs_as_classes_crafted_data_gain_little_and_every_other_map_is_paid():
    draw = np.random.default_rng(1)
    answers, labels = draw.integers(0, 10, 100).tolist(), expected_answers(KEY)
    crafted = map_from_clean_data(answers, labels, 10)
    journal = MemoryJournal()
    suspect = ScriptedSuspect(answers, None)
    before, after = judged(suspect, Method(), journal), judged(suspect, Method(FIXED, crafted), journal)
    gained = after.measurement.match_count - before.measurement.match_count
    assert gained > 10
    assert match_tail(100, after.measurement.match_count, TENTH) < Fraction(1, 2**10)
    assert not after.owned
    assert after.measurement.method_count == 2
    for number in range(20):
        others = map_from_clean_data(answers, np.roll(labels, number + 1).tolist(), 10)
        last = judged(suspect, Method(FIXED, others), journal)
    assert last.measurement.method_count == 22
    assert {p.name: p.alternatives for p in last.penalties}["methods"] == 22 * 23


def test_clean_data_of_the_checkers_own_show_no_map_that_fits_the_labels():
    """The same independent model, and clean inputs drawn by somebody who never saw the key."""
    draw, models, limit = np.random.default_rng(2), 300, Fraction(1, 64)
    wins = 0
    for _ in range(models):
        found = map_from_clean_data(
            draw.integers(0, 10, 500).tolist(), draw.integers(0, 10, 500).tolist(), 10
        )
        suspect = ScriptedSuspect(draw.integers(0, 10, 100).tolist(), None)
        wins += shown_in_small(judged(suspect, Method(FIXED, found)), 6)
    assert_within(wins, models, limit)


def test_a_suspect_of_other_classes_is_not_read_at_all_without_a_choice():
    with pytest.raises(VerificationError, match="step 4"):
        judged(constant(0, 100, class_names=None, class_count=7), Method(FIXED, AUTO))
