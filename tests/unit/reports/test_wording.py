from fractions import Fraction
from math import comb

import pytest

from earmark.reports.wording import (
    bits,
    coin_tosses,
    counted,
    listed,
    odds,
    plausible_matches,
    power_of_two,
    visible,
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cat\u202egod", "cat\\u{202e}god"),
        ("a\nb\x00", "a\\u{a}b\\u{0}"),
        ("\ud800", "\\u{d800}"),
        ("a\u200bb", "a\\u{200b}b"),
        ("Größe 猫 <b>", "Größe 猫 <b>"),
    ],
)
def test_nothing_in_a_foreign_name_stays_hidden(text: str, shown: str) -> None:
    assert visible(text) == shown
    assert visible(visible(text)) == shown


@pytest.mark.parametrize(
    ("value", "paid", "shown"),
    [
        (305.375, False, "305.3"),
        (1.585, True, "1.6"),
        (80.0, True, "80"),
        (99.99999999999, False, "100"),
        (39.96, False, "39.9"),
        (-102.74, False, "-102.8"),
        (0.0, False, "0"),
    ],
)
def test_bits_are_rounded_against_the_claim(value: float, paid: bool, shown: str) -> None:
    assert bits(value, paid=paid) == shown


@pytest.mark.parametrize(
    ("probability", "shown"),
    [
        (Fraction(1), "2^0"),
        (Fraction(3, 4), "2^-0.4"),
        (Fraction(1, 1024), "2^-10"),
        (Fraction(8), "2^3"),
    ],
)
def test_powers_of_two(probability: Fraction, shown: str) -> None:
    assert power_of_two(probability) == shown


@pytest.mark.parametrize(
    ("probability", "shown"),
    [
        (Fraction(2), "no bound at all"),
        (Fraction(1), "100 in 100"),
        (Fraction(999, 1000), "more than 99 in 100"),
        (Fraction(417, 1000), "about 42 in 100"),
        (Fraction(1, 100), "about 1 in 100"),
        (Fraction(1, 12345), "about 1 in 12,345"),
        (Fraction(1, 10**6), "about 1 in 1,000,000"),
        (Fraction(1, 10**100), "at most 1 in 10^100"),
        (Fraction(1, 10**100 - 1), "at most 1 in 10^99"),
        (Fraction(1, 65536**1000), "at most 1 in 10^4816"),
    ],
)
def test_everyday_words_never_overstate(probability: Fraction, shown: str) -> None:
    assert odds(probability) == shown


@pytest.mark.parametrize("exponent", [1, 40, 201, 3000])
def test_coin_tosses_are_exact_at_the_border(exponent: int) -> None:
    assert coin_tosses(Fraction(1, 2**exponent)) == exponent
    assert coin_tosses(Fraction(1, 2**exponent - 1)) == exponent - 1


@pytest.mark.parametrize(("count", "classes"), [(1, 2), (20, 3), (100, 10), (256, 2), (40, 1000)])
def test_the_plausible_range_holds_999_of_1000_models(count: int, classes: int) -> None:
    chance = Fraction(1, classes)
    masses = [comb(count, k) * chance**k * (1 - chance) ** (count - k) for k in range(count + 1)]
    low, high = plausible_matches(count, chance)
    assert sum(masses[:low]) <= Fraction(1, 2000) < sum(masses[: low + 1])
    assert sum(masses[high + 1 :]) <= Fraction(1, 2000) < sum(masses[high:])


def test_counts_and_lists() -> None:
    assert counted(1, "set") == "1 set"
    assert counted(1000, "match", "matches") == "1,000 matches"
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b and c"
