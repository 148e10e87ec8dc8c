from fractions import Fraction

import numpy as np
import pytest

from earmark.evaluation.advice import Measured, advise, best, in_trained_models, kept_share, measured
from earmark.statistics import match_threshold

WEAK, STRONG = Measured("weak", 1024, 0.9, 0.1), Measured("strong", 1024, 0.17, 2.0)


def test_what_is_kept_is_what_lies_above_chance():
    draws = np.random.default_rng(0)
    labels, answers = draws.integers(0, 10, (2, 100_000))
    remembered = draws.random(100_000) < 0.3
    matches = int((np.where(remembered, labels, answers) == labels).sum())
    assert kept_share(matches, 100_000, 10) == pytest.approx(0.3, abs=0.01)
    assert kept_share(5, 100, 10) == 0


def test_more_triggers_show_a_mark_of_which_less_is_left():
    found = {one.triggers: one for one in advise(10, [WEAK, STRONG])}
    assert list(found) == [100, 128, 256, 512, 1024]
    assert found[512].removed_by == ("strong",)
    # A quarter of 1,024 is just above the threshold; two deviations are not to be counted on.
    assert (found[1024].threshold, found[1024].removed_by) == (258, ("strong",))
    easier = [WEAK, Measured("strong", 1024, 0.21, 2.0)]
    assert {one.triggers: one.removed_by for one in advise(10, easier)}[1024] == ()
    assert best(advise(10, easier)).triggers == 1024


def test_the_least_that_survives_as_much_is_taken():
    assert best(advise(10, [WEAK])).triggers == 100


def test_what_was_measured_with_fewer_triggers_says_nothing_of_more():
    found = {
        one.triggers: one for one in advise(10, [Measured("a", 100, 0.9, 0), Measured("b", 512, 0.9, 0)])
    }
    assert found[100].survived == ("a", "b")
    assert found[512].survived == ("b",)
    assert 1024 not in found


@pytest.mark.parametrize("classes", [2, 3, 10, 100, 1000])
def test_every_set_could_show_the_mark_alone(classes):
    for one in advise(classes, [Measured("a", 4096, 0.9, 0)]):
        each = one.triggers // one.sets
        assert one.sets * each == one.triggers
        assert match_threshold(each, Fraction(1, classes)) <= Fraction(7, 10) * each


def test_with_two_classes_small_keys_are_not_offered():
    assert advise(2, [Measured("a", 512, 1.0, 0)]) == ()
    with pytest.raises(ValueError, match="at least 2"):
        advise(1)


def test_this_release_has_measurements_of_its_own():
    assert {one.triggers for one in measured()} >= {100, 512}
    assert all(0 <= one.kept <= 1 and one.points_lost <= 5 for one in measured())
    assert {"fst", "surrogates-natural", "ftal"} <= {one.attack for one in measured()}


def test_marks_in_trained_models_are_told_with_what_they_cost_and_what_takes_them():
    ways = in_trained_models()

    def of(kind):
        return [way for way in ways if way.keygen.startswith(f"--triggers-from {kind}")]

    assert "weight-shifting" in of("abstract")[0].removed_by
    assert "fresh-stages" in of("in-distribution")[0].removed_by
    assert len(of("mixtures")) == 2
    for way in of("mixtures"):
        assert {"weight-shifting", "fresh-stages"} <= set(way.survived)
    for way in ways:
        assert not set(way.survived) & set(way.removed_by)
        assert way.models >= 2
