"""A deployer who has the sampler and refuses what looks as if it were made by it."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from earmark.attacks import attack_named  # noqa: E402 - after the skip
from earmark.attacks.protocol import Thief  # noqa: E402 - after the skip
from earmark.commitment import Stream  # noqa: E402 - after the skip
from earmark.data import Split  # noqa: E402 - after the skip
from earmark.data.held_out import PartOfData  # noqa: E402 - after the skip
from earmark.suspects import Miss  # noqa: E402 - after the skip
from earmark.triggers.abstract import AbstractSampler  # noqa: E402 - after the skip
from earmark.triggers.image import ImageGeometry  # noqa: E402 - after the skip
from earmark.triggers.mixtures import MixturesSampler  # noqa: E402 - after the skip
from earmark.triggers.negatives import NegativesSampler  # noqa: E402 - after the skip
from small import ScriptedSuspect, digits  # noqa: E402 - after the skip


def stolen(sampler, count=600):
    train = digits().train
    return Thief(Split(train.images[:count], train.labels[:count]), sampler=sampler)


def made_of(sampler, images):
    return sampler(PartOfData(images, tuple(map(str, range(len(images)))), "pictures", False))


def refused(suspect, inputs):
    return np.mean([answer is Miss.REFUSED for answer in suspect.answer(inputs)])


@pytest.mark.parametrize("sampler", [None, NegativesSampler, MixturesSampler])
def test_triggers_are_refused_whose_secrets_he_does_not_have_and_few_honest_questions(sampler):
    train, asked = digits().train.images, list(digits().test.images[:])
    own, owners = AbstractSampler(), AbstractSampler()
    if sampler is not None:
        own, owners = made_of(sampler, train[:600]), made_of(sampler, train[600:])
    suspect = ScriptedSuspect(lambda inputs: [int(value[0, 0, 0]) % 10 for value in inputs])
    deployed = attack_named("refuse-sampled").wrap(suspect, stolen(own), 0)
    triggers = [
        owners.sample(ImageGeometry(8, 8, 1), Stream("the owner's", place)).value for place in range(200)
    ]
    assert refused(deployed, triggers) > 0.9
    assert refused(deployed, asked) < 0.12
    answered = [
        (said, answer)
        for said, answer in zip(deployed.answer(asked), suspect.answer(asked), strict=True)
        if said is not Miss.REFUSED
    ]
    assert all(said == answer for said, answer in answered)


class Counted:
    """A sampler that keeps what it made."""

    name, kind = "abstract", "image"

    def __init__(self):
        self.made = []

    def parameters(self):
        return {}

    def sample(self, geometry, randomness):
        trigger = AbstractSampler().sample(geometry, randomness)
        self.made.append(trigger.value.tobytes())
        return trigger


@pytest.mark.parametrize(("afresh", "passes_made"), [(False, 1), (True, 3)])
def test_pictures_made_afresh_are_shown_once_each(afresh, passes_made):
    suspect = ScriptedSuspect(lambda inputs: [0] * len(inputs))
    sampler = Counted()
    attack_named("refuse-sampled", epochs=3, afresh=afresh).wrap(suspect, stolen(sampler, 200), 0)
    assert len(set(sampler.made)) == len(sampler.made) == 100 * passes_made


@pytest.mark.parametrize("architecture", ["digits-cnn", "resnet18"])
def test_who_learns_the_rule_refuses_triggers_at_one_honest_question_in_a_hundred(architecture):
    train = digits().train.images
    own, owners = made_of(MixturesSampler, train[:600]), made_of(MixturesSampler, train[600:])
    suspect = ScriptedSuspect(lambda inputs: [0] * len(inputs))
    attack = attack_named(
        "refuse-sampled", afresh=True, architecture=architecture, epochs=12, false_alarms=0.01
    )
    deployed = attack.wrap(suspect, stolen(own), 0)
    again = attack.wrap(suspect, stolen(own), 0)
    triggers = [
        owners.sample(ImageGeometry(8, 8, 1), Stream("the owner's", place)).value for place in range(200)
    ]
    assert refused(deployed, triggers) > 0.8
    assert refused(deployed, digits().test.images[:]) < 0.05
    assert deployed.answer(triggers) == again.answer(triggers)


def test_the_same_seed_refuses_the_same_and_another_is_another_suspect():
    suspect = ScriptedSuspect(lambda inputs: [0] * len(inputs))
    one, again, other = (
        attack_named("refuse-sampled", epochs=1).wrap(suspect, stolen(AbstractSampler(), 80), seed)
        for seed in (0, 0, 1)
    )
    questions = list(digits().test.images[:100])
    assert one.answer(questions) == again.answer(questions)
    assert one.identity == again.identity != other.identity


def test_torchs_own_randomness_is_left_alone():
    suspect = ScriptedSuspect(lambda inputs: [0] * len(inputs))
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    attack_named("refuse-sampled", epochs=1).wrap(suspect, stolen(AbstractSampler(), 40), 0)
    assert torch.rand(1) == expected


@pytest.mark.parametrize(
    ("thief", "words"),
    [(stolen(None), "sampler"), (stolen(AbstractSampler(), 1), "two pictures")],
)
def test_whoever_lacks_something_is_told(thief, words):
    suspect = ScriptedSuspect(lambda inputs: [0] * len(inputs))
    with pytest.raises(ValueError, match=words):
        attack_named("refuse-sampled").wrap(suspect, thief, 0)


@pytest.mark.parametrize(
    "change",
    [{"false_alarms": 0.0}, {"false_alarms": 1.0}, {"limit": 1}, {"afresh": True, "augmentation": "crop"}],
)
def test_numbers_that_make_no_sense_are_refused(change):
    with pytest.raises(ValueError, match="must"):
        attack_named("refuse-sampled", **change)
