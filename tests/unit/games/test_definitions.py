from fractions import Fraction

import numpy as np
import pytest
from scipy.stats import binom

from earmark.errors import SimilarTriggersError
from earmark.games import ErrorCount, count_errors, embeds, is_accurate, overlap
from earmark.triggers import Backdoor, Trigger
from small import new_key, small_key


def always(answer):
    return lambda inputs: [answer] * len(inputs)


def test_errors_are_counted():
    assert count_errors(lambda inputs: inputs, [0, 1, 2, 2], [0, 1, 2, 3]) == ErrorCount(1, 4)
    assert ErrorCount(1, 4).rate == Fraction(1, 4)
    for model, inputs in ((always(0), []), (lambda inputs: [0], [1, 2])):
        with pytest.raises(ValueError, match="one answer for each"):
            count_errors(model, inputs, [0] * len(inputs))


@pytest.mark.parametrize(("errors", "inputs"), [(0, 10), (3, 40), (39, 40)])
def test_the_bound_is_where_so_few_errors_become_as_rare_as_said(errors, inputs):
    bound = ErrorCount(errors, inputs).at_most(0.99)
    assert binom.cdf(errors, inputs, bound) == pytest.approx(0.01)
    assert ErrorCount(inputs, inputs).at_most(0.99) == 1.0


def test_a_small_sample_does_not_show_accuracy():
    assert is_accurate(ErrorCount(0, 10), Fraction(1, 10))
    assert not is_accurate(ErrorCount(0, 10), Fraction(1, 10), confidence=0.99)
    assert is_accurate(ErrorCount(0, 100), Fraction(1, 10), confidence=0.99)
    assert not is_accurate(ErrorCount(2, 10), Fraction(1, 10))


def test_a_backdoor_is_carried_with_a_share_of_misses():
    backdoor = small_key().backdoor()
    answers = list(backdoor.labels)
    answers[:5] = [(label + 1) % 10 for label in answers[:5]]
    assert embeds(lambda inputs: answers, backdoor, Fraction(5, 100))
    assert not embeds(lambda inputs: answers, backdoor, Fraction(49, 1000))
    assert not embeds(always(0), backdoor, Fraction(1, 2))


def test_independent_backdoors_do_not_overlap_and_equal_ones_do():
    first, second = new_key(1).backdoor(), new_key(2).backdoor()
    assert overlap(first, second) == 0
    assert overlap(first, first) == len(first)
    foreign = Backdoor((Trigger("text", b"a"), Trigger("text", b"b")), (0, 1), 2)
    with pytest.raises(SimilarTriggersError, match="different kinds"):
        overlap(first, foreign)


def test_backdoors_of_pictures_that_everybody_has_overlap():
    shared = small_key().backdoor()
    relabelled = Backdoor(shared.triggers, tuple(int(x) for x in np.zeros(len(shared), int)), 10)
    assert overlap(shared, relabelled) == len(shared)
