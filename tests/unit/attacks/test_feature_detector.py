"""A deployer who refuses what the stolen network's own features are strange for."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402 - after the skip

from earmark.attacks import attack_named  # noqa: E402 - after the skip
from earmark.attacks.protocol import Thief  # noqa: E402 - after the skip
from earmark.commitment import Stream  # noqa: E402 - after the skip
from earmark.data import Split  # noqa: E402 - after the skip
from earmark.models.table import build, describe  # noqa: E402 - after the skip
from earmark.models.weights import LoadedModel  # noqa: E402 - after the skip
from earmark.suspects import Miss  # noqa: E402 - after the skip
from earmark.suspects.torch import TorchSuspect  # noqa: E402 - after the skip
from earmark.training import SplitBatches, TrainingSettings, train  # noqa: E402 - after the skip
from earmark.triggers.abstract import AbstractSampler  # noqa: E402 - after the skip
from earmark.triggers.image import ImageGeometry  # noqa: E402 - after the skip
from small import ScriptedSuspect, digits  # noqa: E402 - after the skip


def stolen(count=600):
    split = digits().train
    return Thief(Split(split.images[:count], split.labels[:count]))


@pytest.fixture(scope="module", params=["with maps", "without"])
def suspect(request):
    data = digits()
    description = describe("digits-cnn", data.input_shape, data.class_names, 8)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = build(description)
        if request.param == "without":
            module = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    settings = TrainingSettings(epochs=4, batch_size=64, learning_rate=0.05)
    train(module, SplitBatches(data.train, description.preprocessing, settings), settings)
    return TorchSuspect(LoadedModel(module.eval(), description, "0" * 64), "the victim")


def refused(deployed, inputs):
    return np.mean([answer is Miss.REFUSED for answer in deployed.answer(inputs)])


def test_abstract_pictures_are_refused_and_few_honest_questions(suspect):
    honest = list(digits().test.images[:])
    abstract = [
        AbstractSampler().sample(ImageGeometry(8, 8, 1), Stream("the owner's", place)).value
        for place in range(200)
    ]
    deployed = attack_named("refuse-outliers").wrap(suspect, stolen(), 0)
    assert refused(deployed, abstract) > 0.5
    assert refused(deployed, honest) < 0.12
    answers = zip(deployed.answer(honest), suspect.answer(honest), strict=True)
    assert all(said in (Miss.REFUSED, answer) for said, answer in answers)


def test_fewer_false_alarms_refuse_fewer(suspect):
    honest = list(digits().test.images[:])
    many, few = (
        refused(attack_named("refuse-outliers", false_alarms=share).wrap(suspect, stolen(), 0), honest)
        for share in (0.3, 0.02)
    )
    assert few < 0.08
    assert 0.2 < many < 0.4


def test_the_network_keeps_no_hooks_and_its_mode(suspect):
    module = suspect.model.module
    deployed = attack_named("refuse-outliers").wrap(suspect, stolen(), 0)
    deployed.answer(list(digits().test.images[:3]))
    hooked = [part for part in module.modules() if part._forward_hooks or part._forward_pre_hooks]
    assert hooked == []
    assert not module.training


def test_features_that_never_move_are_no_hindrance(suspect):
    still = Split(np.zeros((40, 8, 8, 1), np.uint8), np.zeros(40, np.int64))
    deployed = attack_named("refuse-outliers").wrap(suspect, Thief(still), 0)
    assert refused(deployed, list(still.images[:])) == 0
    assert refused(deployed, list(digits().test.images[:100])) in (0, 1)


def test_whoever_lacks_something_is_told(suspect):
    attack = attack_named("refuse-outliers")
    with pytest.raises(ValueError, match="network itself"):
        attack.wrap(ScriptedSuspect(lambda inputs: [0] * len(inputs)), stolen(), 0)
    with pytest.raises(ValueError, match="four pictures"):
        attack.wrap(suspect, stolen(3), 0)


@pytest.mark.parametrize("change", [{"false_alarms": 0.0}, {"false_alarms": 1.0}, {"limit": 3}])
def test_numbers_that_make_no_sense_are_refused(change):
    with pytest.raises(ValueError, match="must"):
        attack_named("refuse-outliers", **change)
