from fractions import Fraction

import pytest
from scipy.stats import beta, binom

from earmark.errors import SimilarTriggersError
from earmark.games import (
    Comparison,
    ErrorCount,
    compare,
    count_errors,
    embeds,
    is_accurate,
    is_backdoored,
    overlap,
)
from earmark.triggers import Backdoor, Trigger
from small import new_key, small_key

HUNDREDTH = Fraction(1, 100)


def always(answer):
    return lambda inputs: [answer] * len(inputs)


def scripted(*answers):
    return lambda inputs: list(answers)


def test_errors_are_counted():
    assert count_errors(lambda inputs: inputs, [0, 1, 2, 2], [0, 1, 2, 3]) == ErrorCount(1, 4)
    assert ErrorCount(1, 4).rate == Fraction(1, 4)
    for model, inputs in ((always(0), []), (lambda inputs: [0], [1, 2])):
        with pytest.raises(ValueError, match="one answer for each"):
            count_errors(model, inputs, [0] * len(inputs))


@pytest.mark.parametrize(("errors", "inputs"), [(1, 0), (5, 4), (-1, 4)])
def test_what_is_no_count_is_refused(errors, inputs):
    with pytest.raises(ValueError, match="are no count"):
        ErrorCount(errors, inputs)


@pytest.mark.parametrize(("errors", "inputs"), [(0, 10), (3, 40), (39, 40), (37, 1000)])
@pytest.mark.parametrize("doubt", [HUNDREDTH, Fraction(1, 10**6)])
def test_the_bounds_are_clopper_and_pearsons_rounded_away_from_the_rate(errors, inputs, doubt):
    counted = ErrorCount(errors, inputs)
    upper, lower = counted.at_most(doubt), counted.at_least(doubt)
    theirs = beta.ppf(1 - float(doubt), errors + 1, inputs - errors)
    assert 0 <= float(upper) - theirs <= 2**-19
    assert lower <= counted.rate < upper
    assert binom.cdf(errors, inputs, float(upper)) <= float(doubt)
    assert binom.sf(errors - 1, inputs, float(lower)) <= float(doubt) * (1 + 1e-9) or errors == 0
    if errors:
        theirs = beta.ppf(float(doubt), errors, inputs - errors + 1)
        assert 0 <= theirs - float(lower) <= 2**-19


def test_at_the_ends_nothing_is_left_to_bound():
    assert ErrorCount(10, 10).at_most(HUNDREDTH) == 1
    assert ErrorCount(0, 10).at_least(HUNDREDTH) == 0
    for doubt in (Fraction(0), Fraction(1)):
        with pytest.raises(ValueError, match="doubt"):
            ErrorCount(1, 10).at_most(doubt)


@pytest.mark.parametrize(("rate", "inputs"), [(Fraction(1, 20), 60), (Fraction(1, 2), 30)])
def test_a_bound_is_wrong_as_seldom_as_it_says(rate, inputs):
    """Exactly, by going through all counts."""
    for doubt in (Fraction(1, 10), HUNDREDTH):
        wrong = sum(
            binom.pmf(errors, inputs, float(rate))
            for errors in range(inputs + 1)
            if ErrorCount(errors, inputs).at_most(doubt) < rate
        )
        assert wrong <= float(doubt)


def test_a_small_sample_does_not_show_accuracy():
    tenth = Fraction(1, 10)
    assert is_accurate(ErrorCount(0, 10), tenth)
    assert not is_accurate(ErrorCount(0, 10), tenth, HUNDREDTH)
    assert is_accurate(ErrorCount(0, 100), tenth, HUNDREDTH)
    assert not is_accurate(ErrorCount(2, 10), tenth)


def test_models_are_compared_input_by_input():
    found = compare(scripted(0, 1, 2, 9), scripted(0, 9, 2, 3), [0] * 4, [0, 1, 2, 3])
    assert found == Comparison(lost=1, gained=1, inputs=4)
    assert found.loss == 0
    assert Comparison(3, 1, 100).loss == Fraction(2, 100)


def test_a_loss_is_bounded_by_the_inputs_that_differ():
    same = Comparison(0, 0, 1000)
    assert same.at_least(HUNDREDTH) == -same.at_most(HUNDREDTH)
    assert same.at_most(HUNDREDTH) < Fraction(6, 1000)
    found = Comparison(60, 10, 1000)
    assert found.at_least(HUNDREDTH) < found.loss < found.at_most(HUNDREDTH)
    assert found.at_least(HUNDREDTH) > 0
    assert found.at_most(HUNDREDTH) == -Comparison(10, 60, 1000).at_least(HUNDREDTH)


def test_a_backdoor_is_carried_with_a_share_of_misses():
    backdoor = small_key().backdoor()
    answers = list(backdoor.labels)
    answers[:5] = [(label + 1) % 10 for label in answers[:5]]
    assert embeds(scripted(*answers), backdoor, Fraction(5, 100))
    assert not embeds(scripted(*answers), backdoor, Fraction(49, 1000))
    assert not embeds(always(0), backdoor, Fraction(1, 2))


def test_a_backdoored_model_is_accurate_and_carries_the_backdoor():
    backdoor = small_key().backdoor()
    carrier, tenth = scripted(*backdoor.labels), Fraction(1, 10)
    assert is_backdoored(carrier, backdoor, ErrorCount(1, 100), tenth)
    assert not is_backdoored(carrier, backdoor, ErrorCount(11, 100), tenth)
    assert not is_backdoored(always(0), backdoor, ErrorCount(1, 100), tenth)
    assert not is_backdoored(carrier, backdoor, ErrorCount(0, 20), tenth, HUNDREDTH)


def test_independent_backdoors_do_not_overlap_and_equal_ones_do():
    first, second = new_key(1).backdoor(), new_key(2).backdoor()
    assert overlap(first, second) == 0
    assert overlap(first, first) == len(first)
    foreign = Backdoor((Trigger("text", b"a"), Trigger("text", b"b")), (0, 1), 2)
    with pytest.raises(SimilarTriggersError, match="different kinds"):
        overlap(first, foreign)


def test_backdoors_of_pictures_that_everybody_has_overlap():
    shared = small_key().backdoor()
    relabelled = Backdoor(shared.triggers, (0,) * len(shared), 10)
    assert overlap(shared, relabelled) == len(shared)
