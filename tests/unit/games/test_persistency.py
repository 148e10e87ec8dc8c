from fractions import Fraction

import pytest

from earmark.games import ErrorCount, PersistencyTrial

GOOD, BAD, UNCLEAR = ErrorCount(1, 100), ErrorCount(60, 100), ErrorCount(11, 100)


def trial(errors, removed, others, works=None, training_work=10.0):
    works = (3.0,) * (1 + len(others)) if works is None else works
    return PersistencyTrial(errors, removed, others, works, training_work, Fraction(1, 10), Fraction(1, 100))


@pytest.mark.parametrize(
    ("errors", "removed", "others", "refutes"),
    [
        (GOOD, True, (BAD,), True),
        (GOOD, True, (GOOD, BAD), True),
        (GOOD, True, (GOOD,), False),  # training anew
        (GOOD, False, (BAD,), False),  # the backdoor is still there
        (BAD, True, (BAD,), False),  # an inaccurate model without a backdoor
        (UNCLEAR, True, (BAD,), False),
        (GOOD, True, (UNCLEAR,), False),
        (GOOD, True, (), False),
    ],
)
def test_persistency_is_refuted_by_a_removal_that_needs_the_marked_model(errors, removed, others, refutes):
    assert trial(errors, removed, others).refutes == refutes


@pytest.mark.parametrize(
    ("works", "training_work", "refutes"),
    [
        ((3.0, 3.0, 3.0), 10.0, True),
        ((3.0, 0.0, 4.0), 10.0, True),  # the other that fails was given enough
        ((3.0, 4.0, 2.9), 10.0, False),  # only the one that succeeds was
        ((10.0, 10.0, 10.0), 10.0, False),  # as dear as training anew
        ((0.0, 0.0, 0.0), 0.0, False),  # nobody counted
    ],
)
def test_it_is_refuted_only_with_less_work_than_training_and_no_less_on_the_others(
    works, training_work, refutes
):
    assert trial(GOOD, True, (GOOD, BAD), works, training_work).refutes == refutes
