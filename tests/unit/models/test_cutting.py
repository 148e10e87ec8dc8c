"""A network cut in two."""

from copy import deepcopy

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402 - after the skip

from earmark.models.cutting import NetworkEnd, cut_after, output_of  # noqa: E402 - after the skip
from earmark.models.table import build, describe  # noqa: E402 - after the skip

AFTER = "blocks.3"


def network():
    torch.manual_seed(0)
    return build(describe("resnet18", (16, 16, 3), ("a", "b", "c", "d"), 2)).eval()


def inputs(count=6):
    return torch.randn(count, 3, 16, 16, generator=torch.Generator().manual_seed(1))


def end_of(module, **options):
    return NetworkEnd(module, cut_after(module, AFTER, inputs()), **options)


def learn(end):
    """Make a step on other features, statistics and all."""
    end.train()
    features = torch.randn(9, 4, 8, 8, generator=torch.Generator().manual_seed(2))
    end(features).square().sum().backward()
    with torch.no_grad():
        for weight in end.parameters():
            weight.sub_(0.01 * weight.grad)


def state(module):
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def changed(before, after):
    return {name for name in before if not torch.equal(before[name], after[name])}


@pytest.mark.parametrize("shares", [True, False])
def test_both_parts_one_after_the_other_give_what_the_network_gives(shares):
    module = network()
    end = end_of(module, shares_weights=shares).eval()
    with torch.no_grad():
        assert torch.allclose(end(output_of(module, AFTER, inputs(9))), module(inputs(9)), atol=1e-6)


def test_an_end_that_shares_weights_teaches_the_network_its_statistics_too():
    module, untouched = network(), network()
    learn(end_of(module, shares_weights=True))
    learned = changed(state(untouched), state(module))
    assert {"blocks.4.norm1.running_mean", "blocks.7.conv2.weight", "classifier.weight"} <= learned
    assert {name.split(".")[1] for name in learned if name.startswith("blocks.")} == set("4567")
    assert not any(name.startswith("stem") for name in learned)


def test_an_end_that_is_a_copy_leaves_the_network_as_it_is():
    module = network()
    learn(end_of(module))
    assert not changed(state(network()), state(module))


def test_a_copy_of_an_end_that_shares_weights_shares_none():
    module = network()
    end = end_of(module, shares_weights=True)
    learn(deepcopy(end))
    assert not changed(state(network()), state(module))


def test_what_comes_after_the_layer_does_not_run_and_no_hook_stays():
    module, ran = network(), []
    module.blocks[4].register_forward_hook(lambda *_: ran.append(True))
    before = output_of(module, AFTER, inputs())
    assert before.shape == (6, 4, 8, 8)
    assert not ran
    assert module(inputs()).shape == (6, 4)
    assert ran == [True]
    with pytest.raises(RuntimeError, match="channels"):
        output_of(module, AFTER, torch.zeros(1, 5, 16, 16))
    assert not module.blocks[3]._forward_hooks


def test_a_layer_that_does_not_run_gives_nothing():
    module = nn.ModuleDict({"used": nn.Linear(2, 2), "idle": nn.Linear(2, 2)})
    module.forward = module["used"].forward
    with pytest.raises(ValueError, match="idle does not run"):
        output_of(module, "idle", torch.zeros(1, 2))


class LedBy(nn.Module):
    """Does something else where the first layer gives zeros."""

    def __init__(self, otherwise):
        super().__init__()
        self.first, self.second, self.otherwise = nn.Linear(3, 3), nn.Linear(3, 2), otherwise

    def forward(self, inputs):
        first = self.first(inputs)
        last = self.second(first + 0)
        return last if inputs.abs().sum() > 0 else self.otherwise(last)


@pytest.mark.parametrize(
    "otherwise", [lambda last: last[:, :1], lambda last: last + 1, lambda last: last @ torch.zeros(7, 2)]
)
def test_a_network_that_zeros_lead_elsewhere_cannot_be_cut(otherwise):
    with pytest.raises(ValueError, match="reads more than its output"):
        cut_after(LedBy(otherwise), "first", torch.ones(4, 3))


def test_a_network_whose_halves_have_a_weight_in_common_cannot_be_cut():
    module = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3), nn.Linear(3, 2))
    assert cut_after(module, "1", torch.ones(4, 3)).skipped.keys() == {"0"}
    module[2].weight = module[0].weight
    with pytest.raises(ValueError, match="a weight serves before 1 and after it"):
        cut_after(module, "1", torch.ones(4, 3))
