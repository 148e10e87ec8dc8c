"""What every attack in the table promises; a new entry is tested here by being in the table."""

import json
from dataclasses import FrozenInstanceError, replace
from functools import cache

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from earmark.attacks import ATTACKS, attack_named, configuration  # noqa: E402 - after the skip
from earmark.attacks.protocol import (  # noqa: E402 - after the skip
    ModelAttack,
    StolenModel,
    SuspectAttack,
    Thief,
    Watch,
)
from earmark.commitment import Stream  # noqa: E402 - after the skip
from earmark.data import Split  # noqa: E402 - after the skip
from earmark.data.table import load_data  # noqa: E402 - after the skip
from earmark.models.prediction import accuracy, predict_scores  # noqa: E402 - after the skip
from earmark.models.table import build, describe  # noqa: E402 - after the skip
from earmark.models.weights import LoadedModel  # noqa: E402 - after the skip
from earmark.suspects import Miss  # noqa: E402 - after the skip
from earmark.suspects.torch import TorchSuspect  # noqa: E402 - after the skip
from earmark.training import SplitBatches, TrainingSettings, train  # noqa: E402 - after the skip
from earmark.triggers import Backdoor  # noqa: E402 - after the skip
from earmark.triggers.abstract import AbstractSampler  # noqa: E402 - after the skip
from earmark.triggers.image import ImageGeometry  # noqa: E402 - after the skip

SHORT = {"epochs": 2, "batch_size": 40, "steps": 20, "strong_epochs": 1, "surrogates": 40}
"""Attributes that make a run short, wherever an attack has them."""

SHORT_FOR = {
    "anp": {"threshold": 0.9},
    "wrk": {"learning_rate": 0.02},
    "distil": {"epochs": 8},
    "i-bau": {"rounds": 2},
    "ensemble": {"architecture": "digits-cnn", "width": 8},
}
"""What else has to change for a short run to change anything."""

# Attacks whose result need not be a good classifier of the task: a mirrored digit is another
# sign, and noise teaches nothing.
MAY_LOSE_ACCURACY = {"transfer", "flip", "knockoff"}
LEAST_ACCURACY = 0.6
LEAST_CHANGED = 0.02
"""Of what is said about 520 questions: a deployer who changes less might as well do nothing."""


@cache
def digits():
    return load_data("digits")


@cache
def victim():
    """A real classifier of real digits, small enough for a test."""
    data = digits()
    description = describe("digits-cnn", data.input_shape, data.class_names, 8)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = build(description)
    settings = TrainingSettings(epochs=8, batch_size=64, learning_rate=0.05)
    train(module, SplitBatches(data.train, description.preprocessing, settings), settings)
    return StolenModel(module.eval(), description)


@cache
def thief():
    data = digits()
    few = Split(data.train.images[:280], data.train.labels[:280])
    rest = Split(data.train.images[280:480], data.train.labels[280:480] % 3)
    sampler, geometry = AbstractSampler(), ImageGeometry(*data.input_shape)
    triggers = tuple(sampler.sample(geometry, Stream("pirate", number)) for number in range(20))
    noise = np.random.default_rng(0).integers(0, 256, (200, *data.input_shape), np.uint8)
    backdoor = Backdoor(triggers, tuple(number % 10 for number in range(20)), 10)
    return Thief(few, "none", noise, rest, ("a", "b", "c"), backdoor, sampler)


def short(name):
    attack = attack_named(name)
    known = set(json.loads(json.dumps(flat(configuration(attack)))))
    shorter = {key: value for key, value in SHORT.items() if key in known}
    return attack_named(name, **{**shorter, **SHORT_FOR.get(name, {})})


def flat(values):
    found = {}
    for key, value in values.items():
        found |= flat(value) if isinstance(value, dict) else {key: value}
    return found


def state(model):
    return {name: tensor.clone() for name, tensor in model.module.state_dict().items()}


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def suspect_of(model):
    return TorchSuspect(LoadedModel(model.module, model.description, "0" * 64), "the victim")


MODEL_ATTACKS = [name for name in ATTACKS if isinstance(attack_named(name), ModelAttack)]
SUSPECT_ATTACKS = [name for name in ATTACKS if isinstance(attack_named(name), SuspectAttack)]


@pytest.mark.parametrize("name", ATTACKS)
def test_it_is_a_frozen_value_of_one_kind_with_a_card(name):
    attack = attack_named(name)
    assert isinstance(attack, ModelAttack) != isinstance(attack, SuspectAttack)
    with pytest.raises((FrozenInstanceError, AttributeError)):
        attack.card = None
    card = attack.card
    assert min(len(card.title), len(card.family), len(card.source)) > 3
    assert len(card.defaults) > 10
    assert hash(attack) == hash(attack_named(name))
    assert attack == attack_named(name)


def test_titles_tell_attacks_apart():
    titles = [attack_named(name).card.title for name in ATTACKS]
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize("name", ATTACKS)
def test_its_docstring_says_what_its_numbers_are(name):
    kind = type(attack_named(name))
    assert "Attributes:" in kind.__doc__
    for attribute in configuration(attack_named(name)):
        assert f"{attribute}:" in kind.__doc__


@pytest.mark.parametrize("name", ATTACKS)
def test_its_configuration_is_written_as_json_and_can_be_changed(name):
    attack = attack_named(name)
    values = flat(configuration(attack))
    written = json.loads(json.dumps(values))
    read = {key: tuple(value) if isinstance(value, list) else value for key, value in written.items()}
    assert attack_named(name, **read) == attack
    with pytest.raises(ValueError, match="has no 'nonsense'"):
        attack_named(name, nonsense=1)
    for key, value in values.items():
        if type(value) is int and key == "epochs":
            assert flat(configuration(attack_named(name, **{key: value + 1})))[key] == value + 1


@pytest.mark.parametrize("name", ATTACKS)
def test_it_refuses_to_run_without_what_it_needs(name):
    attack = attack_named(name)
    if not attack.card.needs:
        pytest.skip("it needs nothing")
    nobody = Thief(Split(np.empty((0, 8, 8, 1), np.uint8), np.empty(0, np.int64)))
    subject = (
        (attack.run, victim()) if isinstance(attack, ModelAttack) else (attack.wrap, suspect_of(victim()))
    )
    with pytest.raises(ValueError, match="needs"):
        subject[0](subject[1], nobody, 0)


@pytest.mark.parametrize("name", MODEL_ATTACKS)
def test_a_model_attack_leaves_its_victim_and_gives_a_sound_model(name):
    before = state(victim())
    steps, epochs = [], []

    def look(number, model):
        assert not model.module.training
        epochs.append(number)

    watch = Watch(lambda done, total: steps.append((done, total)), look)
    torch.manual_seed(1)
    outside = torch.random.get_rng_state()
    result = short(name).run(victim(), thief(), 3, watch)
    assert torch.equal(torch.random.get_rng_state(), outside), "it drew from the global generator"
    assert equal(before, state(victim())), "it changed the model that it was given"
    assert result.module is not victim().module
    assert not result.module.training
    assert all(parameter.requires_grad for parameter in result.module.parameters())
    assert all(torch.isfinite(tensor).all() for tensor in result.module.state_dict().values())
    assert epochs == sorted(set(epochs))
    assert epochs[:1] in ([], [1])
    assert all(0 < done <= total for done, total in steps)
    scores = predict_scores(result.module, digits().test.images, result.description.preprocessing)
    assert scores.shape == (len(digits().test), len(result.description.class_names))
    if name not in MAY_LOSE_ACCURACY:
        assert accuracy(scores, digits().test.labels) >= LEAST_ACCURACY


@pytest.mark.parametrize("name", MODEL_ATTACKS)
def test_a_model_attack_changes_something_and_repeats_itself(name):
    attack = short(name)
    first, second = (attack.run(victim(), thief(), 5) for _ in range(2))
    assert equal(state(first), state(second))
    assert first.description == second.description
    assert not equal(state(first), state(victim()))


@pytest.mark.parametrize("name", SUSPECT_ATTACKS)
def test_a_suspect_attack_stands_before_the_suspect(name):
    attack = short(name)
    pictures = list(digits().test.images[:60])
    plain, wrapped = suspect_of(victim()), attack.wrap(suspect_of(victim()), thief(), 3)
    assert wrapped.name != plain.name
    assert wrapped.identity != plain.identity
    assert wrapped.class_count == plain.class_count
    assert wrapped.class_names == plain.class_names
    counted = []
    answers = wrapped.answer(pictures, counted.append)
    assert counted[-1] == len(pictures)
    assert len(answers) == len(pictures)
    assert all(isinstance(answer, Miss) or 0 <= answer < 10 for answer in answers)
    right = np.mean([answer == label for answer, label in zip(answers, digits().test.labels, strict=False)])
    if name not in MAY_LOSE_ACCURACY:
        assert right >= LEAST_ACCURACY
    again = attack.wrap(suspect_of(victim()), thief(), 3)
    assert again.answer(pictures) == answers
    assert replace(attack) == attack


@pytest.mark.parametrize("name", SUSPECT_ATTACKS)
def test_a_suspect_attack_changes_what_is_said(name):
    """The probabilities where it gives any, else the answers; with photographs' and triggers' likes among them."""
    noise = np.random.default_rng(4).integers(0, 256, (140, *digits().input_shape), np.uint8)
    triggers = [trigger.value for trigger in thief().backdoor.triggers]
    asked = [*digits().test.images[:], *triggers, *noise]
    plain, wrapped = suspect_of(victim()), short(name).wrap(suspect_of(victim()), thief(), 3)
    ask = "probabilities" if hasattr(wrapped, "probabilities") else "answer"
    before, after = (getattr(suspect, ask)(asked) for suspect in (plain, wrapped))
    changed = np.mean([one != other for one, other in zip(before, after, strict=True)])
    assert changed >= LEAST_CHANGED
