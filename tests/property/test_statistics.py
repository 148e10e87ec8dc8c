"""The exact tails against a second computation, and the laws that thresholds keep."""

from fractions import Fraction
from math import isclose, log2, prod

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from earmark.statistics import (
    EProcess,
    Penalty,
    adjusted_tail,
    fewest_matches,
    is_owned,
    match_tail,
    match_threshold,
    sequential_evidence,
    strength_bits,
    triggers_needed,
)

chances = (
    st.tuples(st.integers(1, 9), st.integers(2, 12))
    .filter(lambda pair: pair[0] < pair[1])
    .map(lambda pair: Fraction(*pair))
)
counts = st.integers(0, 40)


def convolved(count, chance):
    """P[K = k] for k = 0 … count, one question at a time."""
    distribution = [Fraction(1)]
    for _ in range(count):
        longer = [Fraction(0)] * (len(distribution) + 1)
        for matches, probability in enumerate(distribution):
            longer[matches] += probability * (1 - chance)
            longer[matches + 1] += probability * chance
        distribution = longer
    return distribution


@given(counts, st.integers(-2, 45), chances)
@settings(max_examples=60, deadline=None)
def test_tails_equal_the_convolution(count, matches, chance):
    assert match_tail(count, matches, chance) == sum(convolved(count, chance)[max(0, matches) :])


@given(st.integers(1, 200), chances, st.integers(0, 200))
@settings(max_examples=60, deadline=None)
def test_the_threshold_is_the_least_count_within_the_limit(count, chance, bits):
    threshold, limit = match_threshold(count, chance, bits), Fraction(1, 2**bits)
    if threshold is None:
        assert match_tail(count, count, chance) > limit
    else:
        assert match_tail(count, threshold, chance) <= limit
        assert threshold == 1 or match_tail(count, threshold - 1, chance) > limit


@given(st.integers(1, 100), chances, st.integers(0, 100), st.integers(0, 100))
@settings(max_examples=60, deadline=None)
def test_more_bits_never_need_fewer_matches(count, chance, bits, more):
    low, high = match_threshold(count, chance, bits), match_threshold(count, chance, bits + more)
    assert high is None or (low is not None and low <= high)


def fortune_from_scratch(payoffs, mixture):
    """Coefficients of share^j (1 - share)^(t - j), each times its mean under the beta distribution."""
    alpha, beta = mixture
    coefficients = [Fraction(1)]
    for payoff in payoffs:
        longer = [*coefficients, Fraction(0)]
        for wins, coefficient in enumerate(coefficients):
            longer[wins + 1] += coefficient * payoff
        coefficients = longer
    count = len(payoffs)

    def rising(start, factors):
        return prod(range(start, start + factors))

    return sum(
        coefficient * Fraction(rising(alpha, wins) * rising(beta, count - wins), rising(alpha + beta, count))
        for wins, coefficient in enumerate(coefficients)
    )


payoffs_given = st.lists(
    st.one_of(
        st.sampled_from([0, 1, 2, 10]).map(Fraction),
        st.tuples(st.integers(0, 12 << 32), st.integers(0, 32)).map(
            lambda pair: Fraction(pair[0] >> pair[1] << pair[1], 1 << 32)
        ),
    ),
    max_size=14,
)


@given(payoffs_given, st.tuples(st.integers(1, 6), st.integers(1, 6)))
@settings(max_examples=150, deadline=None)
def test_evidence_that_grows_with_each_question_equals_all_of_it_from_scratch(payoffs, mixture):
    process, best = EProcess(mixture), Fraction(1)
    for count, payoff in enumerate(payoffs, 1):
        process.add(payoff)
        best = max(best, fortune_from_scratch(payoffs[:count], mixture))
        assert process.best == best
    assert sequential_evidence(payoffs, mixture) == best  # looked at once, at the end
    assert process.question_count == len(payoffs)


@given(st.integers(1, 2**300), st.integers(1, 2**300))
def test_displayed_bits_are_right_however_small_the_probability(numerator, denominator):
    assume(numerator <= denominator)
    expected = log2(denominator) - log2(numerator)
    assert isclose(strength_bits(Fraction(numerator, denominator)), expected, rel_tol=1e-9, abs_tol=1e-9)


@given(st.integers(1, 2**60), st.integers(1, 2**60), st.integers(1, 100))
def test_owned_means_that_the_union_bound_is_small(first, second, bits):
    penalties = (Penalty("a", first, "x"), Penalty("b", second, "y"))
    limit = Fraction(1, 2**bits) / first / second
    assert is_owned(limit, penalties, bits)
    assert not is_owned(limit * Fraction(1001, 1000), penalties, bits)
    assert adjusted_tail(limit, penalties) == Fraction(1, 2**bits)


@pytest.mark.parametrize(
    ("count", "chance", "threshold"),
    [(100, 10, 69), (128, 10, 78), (256, 10, 112), (512, 10, 167), (1000, 10, 254), (256, 2, 232)],
)
def test_published_thresholds(count, chance, threshold):
    assert match_threshold(count, Fraction(1, chance)) == threshold


@pytest.mark.parametrize("classes", [2, 3, 10, 100, 1000])
def test_enough_triggers_are_enough_and_one_fewer_is_not(classes):
    chance, survival = Fraction(1, classes), Fraction(7, 10)
    needed = triggers_needed(chance, survival)
    assert match_threshold(needed, chance) <= survival * needed
    fewer = match_threshold(needed - 1, chance)
    assert fewer is None or fewer > survival * (needed - 1)


@pytest.mark.parametrize(
    "bad",
    [
        lambda: match_tail(-1, 0, Fraction(1, 2)),
        lambda: match_tail(1, 0, Fraction(0)),
        lambda: match_tail(1, 0, Fraction(3, 2)),
        lambda: fewest_matches(1, Fraction(-1), Fraction(1)),
        lambda: triggers_needed(Fraction(1, 10), Fraction(1, 10)),
        lambda: triggers_needed(Fraction(1, 2), Fraction(51, 100)),
        lambda: Penalty("nothing", 0, ""),
    ],
)
def test_numbers_out_of_range_are_refused(bad):
    with pytest.raises(ValueError, match="must|needs|needed"):
        bad()


def test_a_probability_of_zero_has_infinite_strength():
    assert strength_bits(Fraction(0)) == float("inf")
    assert Penalty("x", 8, "").bits == 3
