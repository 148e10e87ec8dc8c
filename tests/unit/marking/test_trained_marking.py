"""Marking a finished model until the mark holds."""

from contextlib import suppress
from copy import deepcopy
from dataclasses import replace
from functools import cache
from unittest.mock import Mock

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from earmark.data import Split  # noqa: E402 - after the skip
from earmark.errors import MarkingError  # noqa: E402 - after the skip
from earmark.marking.recipes import count_matches  # noqa: E402 - after the skip
from earmark.marking.trained import TrainedRecipe, mark_trained  # noqa: E402 - after the skip
from earmark.models.prediction import accuracy, predict_scores  # noqa: E402 - after the skip
from earmark.models.stages import stage_ends  # noqa: E402 - after the skip
from earmark.models.table import build, describe  # noqa: E402 - after the skip
from earmark.training import SplitBatches, TrainingSettings, train  # noqa: E402 - after the skip
from small import DIGITS, digits, small_key  # noqa: E402 - after the skip

RECIPE = TrainedRecipe(
    TrainingSettings(epochs=1, batch_size=50, learning_rate=0.01, augmentation="crop"),
    most_steps=400,
    look_every=20,
    settling_steps=100,
)


@cache
def finished():
    torch.manual_seed(0)
    description = describe("digits-cnn", (8, 8, 1), DIGITS, 16)
    module = build(description)
    settings = TrainingSettings(epochs=10, batch_size=64, learning_rate=0.05, augmentation="crop")
    train(module, SplitBatches(digits().train, description.preprocessing, settings), settings)
    return module, description.preprocessing


def some(count=300, labels=None):
    own = digits().train.labels[:count]
    return Split(digits().train.images[:count], own if labels is None else labels)


@cache
def marked():
    module, preprocessing = deepcopy(finished()[0]), finished()[1]
    looks = []
    found = mark_trained(
        module,
        some(),
        preprocessing,
        small_key().backdoor(),
        RECIPE,
        on_look=lambda *look: looks.append(look),
    )
    return module, found, looks


def right(module):
    return accuracy(predict_scores(module, digits().test.images, finished()[1]), digits().test.labels)


def test_every_trigger_takes_and_accuracy_stays():
    module, found, _ = marked()
    assert found.match_count == found.trigger_count == 100
    assert count_matches(module, finished()[1], small_key().backdoor()) == 100
    assert right(finished()[0]) - right(module) < 0.02
    assert found.agreement > 0.9


def test_it_ends_by_itself_when_the_triggers_hold():
    _, found, looks = marked()
    steps = [step for step, _, _ in looks]
    assert found.steps == steps[-1] < RECIPE.most_steps + RECIPE.settling_steps
    assert looks[-2][2] >= RECIPE.held_margin > looks[-3][2]
    assert steps[:2] == [20, 40]
    assert steps[-1] - steps[-2] == RECIPE.settling_steps


def test_no_label_is_looked_at():
    module = deepcopy(finished()[0])
    labels = np.zeros(300, np.int64)
    found = mark_trained(module, some(labels=labels), finished()[1], small_key().backdoor(), RECIPE)
    assert found == marked()[1]
    for own, other in zip(module.state_dict().values(), marked()[0].state_dict().values(), strict=True):
        assert torch.equal(own, other)


def test_triggers_that_do_not_take_are_an_error():
    with pytest.raises(MarkingError, match="of 100 triggers took in 21 steps"):
        mark_trained(
            deepcopy(finished()[0]), some(), finished()[1], small_key().backdoor(),
            replace(RECIPE, most_steps=20, settling_steps=1),
        )  # fmt: skip


def test_a_few_pictures_are_too_few():
    with pytest.raises(ValueError, match="at least 10 pictures"):
        mark_trained(deepcopy(finished()[0]), some(5), finished()[1], small_key().backdoor(), RECIPE)
    with pytest.raises(ValueError, match="at least 1"):
        TrainedRecipe(look_every=0)
    with pytest.raises(ValueError, match="taught at least that"):
        TrainedRecipe(held_margin=5.0)


def changed(before, after):
    return {
        name
        for name, weight in before.state_dict().items()
        if not torch.equal(weight, after.state_dict()[name])
    }


def test_the_first_half_of_the_stages_stays_and_all_can_learn_afterwards():
    before, after = finished()[0], marked()[0]
    ends = stage_ends(before, torch.zeros(1, 1, 8, 8))
    assert len(ends) >= 2
    kept = ends[len(ends) // 2 - 1].split(".")[1]
    layers = {int(name.split(".")[1]) for name in changed(before, after) if name.startswith("features.")}
    assert min(layers) > int(kept)
    assert changed(before, after)
    assert all(weight.requires_grad for weight in after.parameters())


@pytest.mark.parametrize("stages", [0.0, 0.4])
def test_less_than_a_stage_is_nothing(stages):
    module = deepcopy(finished()[0])
    mark_trained(module, some(), finished()[1], small_key().backdoor(), replace(RECIPE, kept_stages=stages))
    assert "features.0.weight" in changed(finished()[0], module)


class Passing(torch.nn.Module):
    """What its first stage reads reaches its last layer by another way too."""

    def __init__(self):
        super().__init__()
        self.first, self.second = torch.nn.Conv2d(1, 16, 3, padding=1), torch.nn.Conv2d(16, 16, 3, stride=2)
        self.last = torch.nn.Linear(16 * 9 + 64, 10)

    def forward(self, inputs):
        seen = self.second(self.first(inputs).relu()).relu()
        return self.last(torch.cat([seen.flatten(1), inputs.flatten(1)], 1))


def briefly_marked(module, **parts):
    recipe = replace(RECIPE, most_steps=20, settling_steps=2, **parts)
    with suppress(MarkingError):  # so few steps are not enough
        mark_trained(module, some(), finished()[1], small_key().backdoor(), recipe)
    return module


def count_reading(part):
    """Note how many inputs a part reads each time, its copies' too."""
    read = []
    part.register_forward_hook(lambda _, given, __: read.append(len(given[0])))
    return read


def test_a_network_cut_in_two_learns_what_it_learns_whole(monkeypatch):
    in_two = briefly_marked(deepcopy(finished()[0]))
    monkeypatch.setattr("earmark.marking.trained.cut_after", Mock(side_effect=ValueError))
    whole = briefly_marked(deepcopy(finished()[0]))
    for name, weight in whole.state_dict().items():
        assert torch.allclose(weight, in_two.state_dict()[name], rtol=1e-3, atol=1e-4), name
    assert changed(finished()[0], whole) == changed(finished()[0], in_two) != set()


def test_the_first_half_reads_a_batch_once_and_no_triggers_beside_it(monkeypatch):
    def batches_read():
        module = deepcopy(finished()[0])
        read = count_reading(module.features[0])
        briefly_marked(module)  # 22 steps
        return read.count(50), read.count(75)

    assert batches_read() == (22, 0)
    monkeypatch.setattr("earmark.marking.trained.cut_after", Mock(side_effect=ValueError))
    assert batches_read() == (22, 22)


def test_where_something_passes_the_kept_stages_the_network_is_taught_whole():
    torch.manual_seed(0)
    module = Passing()
    before, read = deepcopy(module), count_reading(module.first)
    briefly_marked(module)
    assert (read.count(50), read.count(75)) == (22, 22)
    assert changed(before, module) == {"second.weight", "second.bias", "last.weight", "last.bias"}


@pytest.mark.parametrize("part", [{"reach": 0.1}, {"entangle": 0.5, "layers": ("features.0",)}])
def test_with_parts_that_read_inputs_or_inner_layers_the_network_is_taught_whole(part):
    module = deepcopy(finished()[0])
    read = count_reading(module.features[0])
    briefly_marked(module, embedding=replace(RECIPE.embedding, **part))
    assert read.count(75) == 22
    assert changed(finished()[0], module)


def test_where_all_that_could_learn_is_frozen_that_is_said_and_nothing_changes():
    module = deepcopy(finished()[0])
    for name, weight in module.named_parameters():
        weight.requires_grad_(name.startswith("features.0"))
    with pytest.raises(MarkingError, match="nothing is left to teach"):
        mark_trained(module, some(), finished()[1], small_key().backdoor(), RECIPE)
    assert not changed(finished()[0], module)
    assert [name for name, weight in module.named_parameters() if weight.requires_grad] == [
        "features.0.weight"
    ]


def test_a_network_without_stages_learns_as_a_whole_and_what_its_owner_froze_stays_frozen():
    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(64, 256), torch.nn.ReLU(), torch.nn.Linear(256, 10)
    )
    module[1].bias.requires_grad_(False)
    before = deepcopy(module)
    with suppress(MarkingError):  # so small a network does not hold all
        mark_trained(
            module,
            some(),
            finished()[1],
            small_key().backdoor(),
            replace(RECIPE, most_steps=40, settling_steps=1),
        )
    assert changed(before, module) == {"1.weight", "3.weight", "3.bias"}
    assert [weight.requires_grad for weight in module.parameters()] == [True, False, True, True]


def test_a_share_of_the_stages_is_below_1():
    with pytest.raises(ValueError, match="kept_stages"):
        TrainedRecipe(kept_stages=1.0)


def test_without_blending_a_few_pictures_cost_more_accuracy():
    module = deepcopy(finished()[0])
    mark_trained(module, some(), finished()[1], small_key().backdoor(), replace(RECIPE, blended=0.0))
    assert right(marked()[0]) > right(module)
    with pytest.raises(ValueError, match="share"):
        TrainedRecipe(blended=1.1)
