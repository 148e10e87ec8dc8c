from fractions import Fraction

import pytest

from earmark.games import ownership_bound, secrets_bound
from earmark.statistics import match_tail


def test_the_bounds_are_the_sums_of_their_terms():
    assert secrets_bound(100, 2**80) == Fraction(101 * 2**80, 2**255)
    one = match_tail(100, 69, Fraction(1, 10))
    found = ownership_bound(one, transcripts=7, evaluations=2**20, owner_trigger_count=3)
    assert found == 7 * one + Fraction(2**40, 2**255) + Fraction(4 * 2**20, 2**255)


def test_an_idle_claimant_wins_never_and_one_try_costs_its_chance():
    one = Fraction(1, 1000)
    assert ownership_bound(Fraction(0), transcripts=0, evaluations=0, owner_trigger_count=1) == 0
    assert ownership_bound(one, transcripts=1, evaluations=1, owner_trigger_count=1) > one


@pytest.mark.parametrize(("transcripts", "evaluations"), [(2, 1), (-1, 1)])
def test_every_transcript_is_hashed(transcripts, evaluations):
    with pytest.raises(ValueError, match="cannot hash"):
        ownership_bound(Fraction(1), transcripts=transcripts, evaluations=evaluations, owner_trigger_count=1)


@pytest.mark.parametrize(("trigger_count", "evaluations"), [(0, 1), (1, -1)])
def test_counts_are_counts(trigger_count, evaluations):
    with pytest.raises(ValueError, match="at least one trigger"):
        secrets_bound(trigger_count, evaluations)
