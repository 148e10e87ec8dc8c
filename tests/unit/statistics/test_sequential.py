import random
from fractions import Fraction
from itertools import product

import pytest

from earmark.statistics import EProcess, fewest_matches_in_sequence, sequential_evidence

TENTH = Fraction(1, 10)


def fortunes(payoffs, mixture=(1, 1)):
    """The fortune after every question, by another way: the integral of a polynomial in the share staked."""
    alpha, beta = mixture
    polynomial, found = [Fraction(1)], []
    for payoff in payoffs:
        # times (1 - s) + s x = 1 + s (x - 1)
        longer = [*polynomial, Fraction(0)]
        for power, coefficient in enumerate(polynomial):
            longer[power + 1] += coefficient * (payoff - 1)
        polynomial = longer
        moment, mean = Fraction(1), Fraction(0)
        for power, coefficient in enumerate(polynomial):
            mean += coefficient * moment
            moment *= Fraction(alpha + power, alpha + beta + power)
        found.append(mean)
    return found


@pytest.mark.parametrize("mixture", [(1, 1), (2, 5), (7, 1)])
def test_fortunes_equal_a_second_computation(mixture):
    payoffs = [Fraction(value) for value in (10, 0, 10, Fraction(5, 2), 0, Fraction(1, 4), 10)]
    process = EProcess(mixture)
    best = Fraction(1)
    for payoff, expected in zip(payoffs, fortunes(payoffs, mixture), strict=True):
        process.add(payoff)
        best = max(best, expected)
        assert process.best == best


@pytest.mark.parametrize("seed", range(20))
def test_the_greatest_fortune_is_found_wherever_it_was(seed):
    """It is worked out only where it may have been greatest: before each fall, and at the end."""
    randomness = random.Random(seed)  # noqa: S311 - a test draws its cases
    payoffs = [
        Fraction(randomness.choice((0, 0, 1, Fraction(1, 2), Fraction(3, 2), 3, 10))) for _ in range(12)
    ]
    assert sequential_evidence(payoffs) == max(1, *fortunes(payoffs))
    process = EProcess()
    for count, payoff in enumerate(payoffs, 1):
        process.add(payoff)
        assert randomness.random() < 0.5 or process.best == max(1, *fortunes(payoffs[:count]))


@pytest.mark.parametrize("class_count", [2, 3, 10])
@pytest.mark.parametrize("mixture", [(1, 1), (3, 2)])
def test_the_fortune_of_an_independent_suspect_does_not_grow_on_average(class_count, mixture):
    chance, mean = Fraction(1, class_count), Fraction(0)
    for matches in product((True, False), repeat=5):
        probability = chance ** sum(matches) * (1 - chance) ** (5 - sum(matches))
        mean += probability * fortunes([Fraction(class_count * match) for match in matches], mixture)[-1]
    assert mean == 1


def test_the_chance_of_ever_getting_far_is_bounded_exactly():
    # All 2^12 answers of a suspect with two classes: how many ever reach 8?
    reached = sum(
        sequential_evidence([Fraction(2 * match) for match in matches]) >= 8
        for matches in product((0, 1), repeat=12)
    )
    assert 0 < Fraction(reached, 2**12) <= Fraction(1, 8)


def test_refusals_are_no_evidence():
    assert sequential_evidence([Fraction(0)] * 500) == 1


def test_payoffs_are_rounded_down():
    least = Fraction(1, 1 << 32)
    assert EProcess().question_count == 0
    rounded, exact = EProcess(), EProcess()
    rounded.add(2 + least / 3)
    exact.add(Fraction(2))
    assert rounded.best == exact.best
    with pytest.raises(ValueError, match="not negative"):
        rounded.add(-least)
    with pytest.raises(ValueError, match="at least 1"):
        EProcess((0, 1))


@pytest.mark.parametrize(("count", "needed"), [(30, 2**20), (100, 2**144), (60, 1), (10, 2**144)])
def test_the_fewest_matches_are_enough_in_any_order_and_one_fewer_are_not(count, needed):
    fewest = fewest_matches_in_sequence(count, TENTH, Fraction(needed))
    last = {
        matches: fortunes([Fraction(0)] * (count - matches) + [Fraction(10)] * matches)[-1]
        for matches in (count, fewest or 0, max(0, (fewest or 1) - 1))
    }
    if fewest is None:
        assert last[count] < needed
    else:
        assert last[fewest] >= needed
        assert fewest == 1 or last[fewest - 1] < needed
