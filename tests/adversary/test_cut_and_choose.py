"""A claimant whose chosen labels are right ones, which any good model gives, and who must open half of them."""

from dataclasses import replace
from fractions import Fraction
from functools import partial
from math import comb

import numpy as np
import pytest

from earmark.claims.cut_and_choose import (
    LEAST_PAIRS,
    open_half,
    opened_places,
    pairs_needed,
    triggers_of,
    undetected,
)
from earmark.claims.cut_and_choose import check_half as check_half_of
from earmark.errors import ClaimError, InvalidKeyError
from earmark.keys import SetId
from earmark.verification.paper_rule import GroundTruth
from small import chosen_key, new_key, small_key

KEY = chosen_key()
PUBLIC = KEY.verification_key
PAIRS = open_half(KEY)
# The key of these tests has a hundred pairs, whatever else is tried.
check_half = partial(check_half_of, least_pairs=100)
ATTESTED = GroundTruth("Dr. Roe")
ONLY = SetId(0, 0)


def truth_with(right):
    """The classes by which these places have right labels, and all others wrong ones."""
    labels = KEY.labels(ONLY)
    return GroundTruth(
        "a table",
        {
            (ONLY, place): labels[place] if place in right else (labels[place] + 1) % 10
            for place in range(100)
        },
    )


def refused(pairs, step, truth=ATTESTED, key=PUBLIC):
    with pytest.raises(ClaimError) as caught:
        check_half(key, pairs, truth)
    assert caught.value.step == step, caught.value


def test_too_few_pairs_are_refused_unless_the_checker_says_that_they_will_do():
    """With a hundred pairs 74 bits are left, and hashing on costs nothing but time."""
    assert LEAST_PAIRS == 190
    with pytest.raises(ClaimError, match="190 are needed") as caught:
        check_half_of(PUBLIC, PAIRS, ATTESTED)
    assert caught.value.step == 1
    with pytest.raises(ClaimError, match="101 are needed"):
        check_half_of(PUBLIC, PAIRS, ATTESTED, least_pairs=101)
    many = new_key(triggers=LEAST_PAIRS, choose_labels=lambda triggers: [1] * len(triggers))
    assert check_half_of(many.verification_key, open_half(many), ATTESTED).opened_count == 95


def test_half_is_opened_and_the_other_half_is_named():
    found = check_half(PUBLIC, PAIRS, truth_with(()))
    assert found.opened_count == len(found.places) == 50
    assert {*opened_places(PUBLIC), *found.places} == {(ONLY, place) for place in range(100)}
    assert found.stated_by == "a table"
    assert found.undetected(45) < Fraction(1, 2**45)
    assert len(triggers_of(PUBLIC, PAIRS)) == 50


def test_nothing_of_the_hidden_half_is_in_what_is_opened():
    hidden = check_half(PUBLIC, PAIRS, ATTESTED).places
    shown = b"".join(pair.canonical_bytes + pair.salt + pair.label_salt for pair in PAIRS)
    for set_id, place in hidden:
        assert KEY.secrets[set_id][place] not in shown
        assert KEY.triggers[set_id][place].value.tobytes() not in shown


@pytest.mark.parametrize(
    "change",
    [
        lambda pair, other: replace(pair, label=(pair.label + 1) % 10),
        lambda pair, other: replace(pair, label=-1),
        lambda pair, other: replace(pair, label=10),
        lambda pair, other: replace(pair, label_salt=other.label_salt),
        lambda pair, other: replace(pair, label_siblings=other.label_siblings),
        lambda pair, other: replace(pair, label_siblings=()),
        lambda pair, other: replace(pair, salt=other.salt),
        lambda pair, other: replace(pair, siblings=other.siblings),
        lambda pair, other: replace(pair, canonical_bytes=other.canonical_bytes),
        lambda pair, other: replace(pair, canonical_bytes=b""),
        lambda pair, other: replace(pair, label=other.label, label_salt=other.label_salt),
    ],
)
@pytest.mark.parametrize("at", [0, 31])
def test_a_pair_that_does_not_open(change, at):
    other = next(pair for pair in PAIRS[at + 1 :] if pair.label != PAIRS[at].label)
    pairs = list(PAIRS)
    pairs[at] = change(pairs[at], other)
    refused(pairs, 2)


def test_another_half():
    """He leaves out a pair with a right label, or opens others in its place."""
    refused(PAIRS[:-1], 1)
    refused((*PAIRS[1:], PAIRS[0]), 1)
    refused((*PAIRS, PAIRS[0]), 1)
    refused((), 1)
    hidden = check_half(PUBLIC, PAIRS, ATTESTED).places[0]
    refused((replace(PAIRS[0], set_id=hidden[0], place=hidden[1]), *PAIRS[1:]), 1)


def test_a_right_label_among_the_opened():
    place = PAIRS[7].place
    refused(PAIRS, 3, truth_with({place}))
    hidden = {place for _, place in check_half(PUBLIC, PAIRS, ATTESTED).places}
    assert check_half(PUBLIC, PAIRS, truth_with(hidden)), "only what is opened can be seen"


def test_a_truth_that_leaves_some_out():
    classes = dict(truth_with(()).classes)
    del classes[ONLY, PAIRS[3].place]
    refused(PAIRS, 3, GroundTruth("a table", classes))


def test_derived_labels_have_no_half():
    with pytest.raises(InvalidKeyError, match="derived"):
        open_half(small_key())
    with pytest.raises(InvalidKeyError, match="derived"):
        check_half(small_key().verification_key, PAIRS, ATTESTED)


def test_another_key_opens_another_half():
    other = new_key(9, choose_labels=lambda triggers: [1] * len(triggers))
    assert opened_places(other.verification_key) != opened_places(PUBLIC)
    with pytest.raises(ClaimError):
        check_half(other.verification_key, PAIRS, ATTESTED)


def test_how_often_a_cheat_gets_through():
    """He puts k right labels into a key of 20 pairs and hashes until none of them is opened: measured and exact."""
    draws = np.random.default_rng(0)
    for bad in (1, 2, 4):
        trials = 20_000
        through = sum(draws.permutation(20)[:10].min() >= bad for _ in range(trials))
        exact = undetected(20, 10, bad)
        spread = float((exact * (1 - exact) / trials) ** Fraction(1, 2))
        assert abs(through / trials - exact) < 5 * spread
        assert exact <= Fraction(1, 2**bad)


def test_grinding_wins_as_often_as_the_bound_says():
    """Real keys, one after another, each with one right label: how many hide it."""
    hidden = 0
    for seed in range(100):
        key = new_key(seed, choose_labels=lambda triggers: [1] * len(triggers))
        hidden += (ONLY, 0) not in opened_places(key.verification_key)
    assert 30 <= hidden <= 70  # a half; four standard deviations are 20


def test_how_many_pairs_are_enough():
    """128 bits beside 80 bits of grinding, with a tenth of misses allowed; 100 pairs are far too few."""
    assert undetected(100, 50, 45) > Fraction(1, 2**80)
    for bits, epsilon in ((128, Fraction(1, 10)), (128, Fraction(0)), (40, Fraction(1, 2))):
        count = pairs_needed(bits, epsilon)
        half = count // 2
        bad = half - int(epsilon * half)
        assert Fraction(comb(count - bad, half), comb(count, half)) <= Fraction(1, 2**bits)
        less = half - 1
        assert undetected(2 * less, less, less - int(epsilon * less)) > Fraction(1, 2**bits)


@pytest.mark.parametrize("wrong", [(0, Fraction(0)), (1, Fraction(1)), (1, Fraction(-1, 2))])
def test_numbers_out_of_range(wrong):
    with pytest.raises(ValueError, match="at least"):
        pairs_needed(*wrong)
    for numbers in ((4, 5, 1), (4, 2, 5), (4, -1, 1)):
        with pytest.raises(ValueError, match="of N pairs"):
            undetected(*numbers)
