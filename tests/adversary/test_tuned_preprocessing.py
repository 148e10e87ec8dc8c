"""A forger tunes how a random network sees the triggers, after he knows their labels: six numbers, and no training."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from adversary.forger import (
    assert_exceeds,
    assert_within,
    constant,
    expected_answers,
    noise_key,
    shown_in_small,
    with_transcript,
)
from earmark.cli.questioning import pick
from earmark.keys import Experiment
from earmark.models.preprocessing import Preprocessing, catalogue
from earmark.models.weights import load_weights, save_weights
from earmark.statistics import match_tail
from earmark.suspects.opening import open_suspect
from earmark.verification import measure, verify
from small import DIGITS, ONLY_SET, MemoryJournal, ScriptedSuspect
from small_models import description, network
from vectors.tiny_key import image_trigger, sealed

TENTH = Fraction(1, 10)
PLAIN = Preprocessing(mean=("0.5",) * 3, std=("0.25",) * 3)


def coloured_key():
    """Triggers of four large patches each, chosen by the forger: their colours are easily told apart."""
    key = noise_key("colour", 100, shape=(8, 8, 3))
    coarse = np.random.default_rng(0).integers(0, 256, (100, 2, 2, 3), np.uint8)
    pictures = coarse.repeat(4, 1).repeat(4, 2)  # (triggers, 8, 8, 3)
    triggers = tuple(image_trigger(picture.tobytes(), (8, 8, 3)) for picture in pictures)
    return sealed(key.transcript, key.secrets, {ONLY_SET: triggers})


KEY = coloured_key()
LABELS = expected_answers(KEY)
_DRAW = np.random.default_rng(7)
FIRST = _DRAW.normal(size=(64, 3, 32)) * 0.1  # pixels, channels, hidden units
SECOND = _DRAW.normal(size=(32, 10))


def random_suspect(preprocessing):
    """A network of random weights, which reads its inputs by this preprocessing."""

    def answers(inputs):
        images = preprocessing(np.stack(inputs)).reshape(-1, 3, 64)  # (triggers, channels, pixels)
        return (np.sin(np.einsum("ncp,pch->nh", images, FIRST)) @ SECOND).argmax(1).tolist()

    suspect = ScriptedSuspect(answers)
    suspect.preprocessing = str(preprocessing)
    return suspect


@pytest.fixture(scope="module")
def tuned():
    """The preprocessing with most matches of 28,000, found by mutation and selection; mean and std are linear."""
    draw = np.random.default_rng(9)
    order = KEY.verification_key.order(ONLY_SET)
    images = np.stack([KEY.triggers[ONLY_SET][place].value for place in order]) / 255
    seen = np.einsum("npc,pch->cnh", images.reshape(100, 64, 3), FIRST)  # (channels, triggers, hidden units)
    kept = np.abs(np.array([0.5] * 3 + [0.25] * 3) + draw.normal(size=(80, 6)) * 0.2)
    step = 0.6
    for _ in range(70):
        moved = draw.normal(size=(400, 6)) * step * draw.choice([0.05, 0.3, 1], (400, 1))
        tried = np.concatenate([kept, kept[draw.integers(0, 80, 400)] + moved]).round(6)
        mean, std = tried[:, :3], np.maximum(0.02, tried[:, 3:])
        hidden = np.einsum("bc,cnh->bnh", 1 / std, seen) - (mean / std @ FIRST.sum(0))[:, None]
        matches = ((np.sin(hidden) @ SECOND).argmax(2) == LABELS).sum(1)  # (candidates,)
        kept = np.concatenate([mean, std], 1)[np.argsort(-matches, kind="stable")[:80]]
        step *= 0.96
    texts = [f"{value:.6f}" for value in kept[0].tolist()]
    return Preprocessing(mean=tuple(texts[:3]), std=tuple(texts[3:]))


def judged(preprocessing, key=KEY, journal=None):
    return verify(measure(key, random_suspect(preprocessing), journal or MemoryJournal()))


def test_six_tuned_numbers_make_a_random_network_match_for_less_than_one_in_a_million(tuned):
    plain, climbed = judged(PLAIN), judged(tuned)
    assert plain.measurement.match_count < 20
    assert climbed.measurement.match_count >= 27
    assert climbed.tail < Fraction(1, 10**6)  # without the rule: how often the six numbers of a release would
    assert not climbed.owned


def test_tuned_numbers_in_the_transcript_change_the_labels_that_they_were_tuned_to(tuned):
    fixed = with_transcript(KEY, experiment=Experiment(tuned.to_json()))
    assert judged(tuned, fixed).tail > Fraction(1, 1000)


def test_tuned_numbers_are_not_in_the_catalogue(tuned):
    assert tuned not in catalogue(3).values()
    with pytest.raises(ValueError, match="unknown preprocessing"):
        pick(str(tuned), KEY)


def test_every_preprocessing_tried_openly_is_a_method(tuned):
    journal = MemoryJournal()
    for candidate in (PLAIN, replace(tuned, divisor="254"), tuned):
        verdict = judged(candidate, journal=journal)
    assert {penalty.name: penalty.alternatives for penalty in verdict.penalties}["methods"] == 3 * 4


def test_a_tuned_preprocessing_in_the_metadata_makes_another_file(tmp_path):
    released, changed = tmp_path / "released.safetensors", tmp_path / "changed.safetensors"
    save_weights(released, network(3, DIGITS), description(DIGITS))
    model = load_weights(released)
    mean = replace(model.description.preprocessing, mean=("0.123",))
    save_weights(changed, model.module, replace(model.description, preprocessing=mean))
    assert open_suspect(str(changed)).identity != open_suspect(str(released)).identity


def test_the_best_of_the_catalogue_is_paid_for_by_its_size():
    """The worst case: every entry gives other answers, and whoever picks takes the best for the labels."""
    choices, questions, limit = len(catalogue(3)) + 2, 22, Fraction(1, 32)
    key = noise_key("catalogue", questions)
    most = np.random.default_rng(9).binomial(questions, 0.1, (2000, choices)).max(1)
    verdicts = {}
    for count in sorted({*most.tolist()}):
        labels = expected_answers(key)
        answers = [label if place < count else (label + 1) % 10 for place, label in enumerate(labels)]
        measured = measure(key, ScriptedSuspect(answers), MemoryJournal())
        verdicts[count] = verify(measured, preprocessing_choices=choices)
        assert verdicts[count].tail == match_tail(questions, count, TENTH)
    unpaid = sum(verdicts[count].tail <= limit for count in most.tolist())
    paid = sum(shown_in_small(verdicts[count], 5) for count in most.tolist())
    assert_exceeds(unpaid, len(most), 10 * limit)
    assert_within(paid, len(most), limit)
    # One that was fixed by the release is not paid for.
    free = verify(measure(key, constant(0, questions), MemoryJournal()))
    assert "preprocessing" not in {penalty.name for penalty in free.penalties}
