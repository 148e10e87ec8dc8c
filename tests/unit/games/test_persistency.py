from fractions import Fraction

import pytest

from earmark.games import ErrorCount, PersistencyTrial

GOOD, BAD, UNCLEAR = ErrorCount(1, 100), ErrorCount(60, 100), ErrorCount(11, 100)


def trial(errors, removed, others):
    return PersistencyTrial(errors, removed, others, (), Fraction(1, 10), Fraction(1, 100))


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
