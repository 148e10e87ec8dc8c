"""Models that know no key match as Bin(n, 1/C) says, by the real transcript and the real labels.

One check is used throughout. For every model the numbers of matches over R keys are R independent draws, so for each k
the number of keys with at least k matches is Bin(R, P[K >= k]), and the sum over all keys is Bin(R n, 1/C). Models share
the keys and are not independent of each other: they are joined by the union bound, as are all k.

False alarms: a correct derivation fails the check with probability at most FALSE_ALARM, over the choice of the nonces.
The nonces here are fixed, so the outcome is always the same one.
"""

import csv
import json
from dataclasses import replace
from fractions import Fraction
from math import ceil, floor
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom
from sklearn.dummy import DummyClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier

from earmark.commitment import Stream
from earmark.statistics import match_tail
from small import ONLY_SET, digits, small_key

FALSE_ALARM = 1e-6
KEYS, TRIGGERS, CLASSES = 1000, 100, 10
ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"
pytestmark = pytest.mark.slow


def counts_of(matches, question_count):
    """Keys by number of matches, (models, n + 1), from matches (models, keys)."""
    return np.array([np.bincount(part, minlength=question_count + 1) for part in matches])


def least_probability(counts):
    """The smallest chance of all that are looked at, times their number: at most FALSE_ALARM with that probability."""
    places = np.arange(counts.shape[1])
    question_count, keys = int(places[-1]), int(counts[0].sum())
    tail = np.array([float(match_tail(question_count, int(k), Fraction(1, CLASSES))) for k in places])
    reached = counts[:, ::-1].cumsum(1)[:, ::-1]  # (models, n + 1), keys with at least k matches
    total = counts @ places  # (models,)
    found = np.concatenate(
        [
            binom.sf(reached - 1, keys, tail).ravel(),
            binom.cdf(reached, keys, tail).ravel(),
            binom.sf(total - 1, keys * question_count, 1 / CLASSES),
            binom.cdf(total, keys * question_count, 1 / CLASSES),
        ]
    )
    return found.min() * found.size


@pytest.fixture(scope="module")
def published():
    return json.loads((RESULTS / "null-models.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def answers():
    """What models of several kinds answer one set of abstract triggers, (models, n)."""
    pixels = np.stack([trigger.value for trigger in small_key().triggers[ONLY_SET]]).reshape(TRIGGERS, -1)
    images = digits().train.images[:].reshape(len(digits().train), -1)
    models = (
        GaussianNB(var_smoothing=1e-2),
        KNeighborsClassifier(1),
        DecisionTreeClassifier(random_state=0),
        DummyClassifier(strategy="constant", constant=8),
        DummyClassifier(strategy="uniform", random_state=0),
    )
    return np.array([model.fit(images, digits().train.labels).predict(pixels) for model in models])


@pytest.fixture(scope="module")
def labels():
    """The labels of the same key under many nonces, (keys, n)."""
    public = small_key().verification_key
    nonces = (number.to_bytes(32, "big") for number in range(KEYS))
    return np.array(
        [
            replace(public, transcript=replace(public.transcript, nonce=nonce)).labels(ONLY_SET)
            for nonce in nonces
        ]
    )


def matches_of(answers, labels):
    return (answers[:, None] == labels).sum(2)  # (models, keys)


def test_matches_of_models_that_know_no_key_are_binomial(answers, labels):
    assert least_probability(counts_of(matches_of(answers, labels), TRIGGERS)) > FALSE_ALARM


def test_these_models_are_as_unbalanced_as_can_be_and_nearly_balanced(answers):
    # Or the test above would say little.
    shares = [np.bincount(given).max() / TRIGGERS for given in answers]
    assert max(shares) == 1
    assert min(shares) < 0.2


def test_the_check_finds_labels_chosen_after_the_answers(answers):
    commonest = np.array([np.bincount(given).argmax() for given in answers])
    matches = np.repeat((answers == commonest[:, None]).sum(1)[:, None], KEYS, 1)
    for part in counts_of(matches, TRIGGERS):
        assert least_probability(part[None]) < FALSE_ALARM


def test_the_check_finds_that_the_best_of_ten_keys_was_kept(answers, labels):
    best = matches_of(answers, labels).reshape(len(answers), -1, 10).max(2)
    for part in counts_of(best, TRIGGERS):
        assert least_probability(part[None]) < FALSE_ALARM


def test_the_check_finds_a_plain_remainder():
    # Four bits modulo 10: the classes 0 to 5 come twice as often as the others.
    nibbles = np.frombuffer(Stream("test").read(KEYS * TRIGGERS), np.uint8) % 16
    matches = matches_of(np.zeros((1, TRIGGERS)), (nibbles % 10).reshape(KEYS, TRIGGERS))
    assert least_probability(counts_of(matches, TRIGGERS)) < FALSE_ALARM


def test_the_check_finds_labels_that_do_not_change_with_the_key(answers):
    same = np.broadcast_to(small_key().labels(ONLY_SET), (KEYS, TRIGGERS))
    assert least_probability(counts_of(matches_of(answers, same), TRIGGERS)) < FALSE_ALARM


@pytest.mark.parametrize("size", [100, 512])
def test_the_published_counts_are_whole_and_within_bounds(published, size):
    with (RESULTS / f"null-models-{size}.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    names = [model["name"] for model in published["models"]]
    counts = np.zeros((len(names), size + 1), np.int64)
    for row in rows:
        matches = int(row["matches"])
        counts[:, matches] = [int(row[name]) for name in names]
        assert float(row["exact_tail"]) == float(match_tail(size, matches, Fraction(1, CLASSES)))
    assert len(set(names)) == 30
    assert (counts.sum(1) == published["keys_of_each_size"]).all()
    assert least_probability(counts) > FALSE_ALARM


@pytest.mark.parametrize("size", [100, 512])
def test_the_published_matches_with_chosen_labels_follow_from_the_published_answers(published, size):
    answers = published["answers"][str(size)]
    chosen = published["triggers"][str(size)]["labels_chosen_afterwards"]
    commonest = [max(text.count(str(digit)) for digit in range(CLASSES)) for text in answers]
    assert chosen["commonest_answer"]["matches"] == commonest
    of_first = [sum(a == b for a, b in zip(text, answers[0], strict=True)) for text in answers[1:]]
    assert chosen["answers_of_the_first_model"]["matches_of_the_others"] == of_first


def test_the_page_says_what_was_measured(published):
    page = (
        (ROOT / "docs" / "mathematics" / "verdict.md").read_text(encoding="utf-8").partition("## Measured")[2]
    )
    page = " ".join(page.split())
    small, large = (published["triggers"][size] for size in ("100", "512"))
    tests = [part[name] for part in (small, large) for name in ("tails", "shapes", "pooled")]
    assert [test["outside"] for test in tests] == [0] * len(tests)
    means = [model["mean_matches"] for model in small["models"]]
    chosen = [part["labels_chosen_afterwards"] for part in (small, large)]
    by_commonest = [part["commonest_answer"]["models_with_as_many"] for part in chosen]
    owned = [part["matches_that_owned_takes"] for part in chosen]
    a, b, c, d = chosen[0]["answers_of_the_first_model"]["matches_of_the_others"][:4]
    for statement in (
        f"None of the {small['tails']['comparisons']:,} numbers for 100 triggers",
        f"of the {large['tails']['comparisons']:,} for 512",
        f"between {floor(1000 * min(means)) / 1000} and {ceil(1000 * max(means)) / 1000} matches of 100 for every model",
        f"had {small['most_matches_of_any_key_and_model']} matches of 100: "
        f"{small['their_bits_before_penalties']:.1f} bits",
        f'where "owned" takes {owned[0]} matches',
        f"it had {large['most_matches_of_any_key_and_model']}: {large['their_bits_before_penalties']:.1f} bits",
        f"{by_commonest[0]} of the 30 models match {owned[0]} or more of 100",
        f"{by_commonest[1]} match the {owned[1]} or more of 512",
        f"match {a}, {b}, {c} and {d} of 100",
        f"probability at most {published['false_alarm_of_all_tests_together']:.0%}",
    ):
        assert statement in page
