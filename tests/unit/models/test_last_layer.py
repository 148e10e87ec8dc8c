import pytest
import torch
from torch import nn

from earmark.errors import SuspectError
from earmark.models.description import ModelDescription
from earmark.models.last_layer import last_layer, restore_last_layer
from earmark.models.preprocessing import for_channels
from earmark.models.table import build, describe
from earmark.models.weights import LoadedModel

DIGITS = tuple(str(digit) for digit in range(10))


def model(classes, digest="aa"):
    description = describe("digits-cnn", (8, 8, 1), classes, 4)
    return LoadedModel(build(description).eval(), description, digest)


def other(module):
    return LoadedModel(module, ModelDescription("x.py:y", {}, (8, 8, 1), DIGITS, for_channels(1)), "bb")


def test_the_body_is_the_suspects_and_the_layer_the_owners():
    suspect, owner = model(("a", "b"), digest="5e"), model(DIGITS, digest="0f")
    body = {name: value.clone() for name, value in suspect.module.state_dict().items()}
    restored = restore_last_layer(suspect, owner)
    assert restored.description.class_names == DIGITS
    assert restored.digest == "5e with the last layer of sha256:0f"
    with torch.inference_mode():
        assert restored.module(torch.zeros(2, 1, 8, 8)).shape == (2, 10)
    changed = {
        name
        for name, value in restored.module.state_dict().items()
        if value.shape != body[name].shape or not torch.equal(value, body[name])
    }
    last = [name for name, part in owner.module.named_modules() if isinstance(part, nn.Linear)][-1]
    assert changed == {f"{last}.weight", f"{last}.bias"}


def test_a_layer_of_another_network_is_refused():
    with pytest.raises(SuspectError, match="not a layer of this network"):
        restore_last_layer(model(DIGITS), other(nn.Sequential(nn.Flatten(), nn.Linear(64, 10))))


def test_a_network_without_such_a_layer_is_refused():
    headless = other(nn.Sequential(nn.Conv2d(1, 10, 8), nn.Flatten()))
    with pytest.raises(SuspectError, match="the suspect does not end in a linear layer with 10 outputs"):
        restore_last_layer(headless, model(DIGITS))
    with pytest.raises(SuspectError, match="the owner's model does not end"):
        restore_last_layer(model(DIGITS), headless)


def test_the_last_linear_layer_is_found_with_its_name():
    module = nn.Sequential(nn.Linear(3, 4), nn.Sequential(nn.ReLU(), nn.Linear(4, 2)), nn.Softmax(1))
    assert last_layer(module) == ("1.1", module[1][1])
    with pytest.raises(ValueError, match="does not end in a linear layer"):
        last_layer(nn.Sequential(nn.Conv2d(1, 1, 1)))
