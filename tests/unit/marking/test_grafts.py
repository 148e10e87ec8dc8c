"""A graft's part of the loss."""

import copy
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402 - after the skip

from earmark.marking.grafts import Graft, GraftedLoss  # noqa: E402 - after the skip
from earmark.marking.hardening import harden  # noqa: E402 - after the skip
from earmark.marking.recipes import FROM_SCRATCH, PRE_TRAINED, with_graft  # noqa: E402 - after the skip
from earmark.models.grafting import places_of  # noqa: E402 - after the skip
from earmark.models.preprocessing import for_channels  # noqa: E402 - after the skip
from earmark.models.table import build, describe  # noqa: E402 - after the skip
from earmark.triggers import Backdoor, Trigger  # noqa: E402 - after the skip
from earmark.triggers.image import IMAGE  # noqa: E402 - after the skip

SEED, PREPROCESSING = b"s" * 32, for_channels(3)


def small_backdoor():
    pictures = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3), np.uint8)
    return Backdoor(
        tuple(Trigger(IMAGE.name, IMAGE.encode(picture)) for picture in pictures), (0, 1, 2, 3) * 2, 4
    )


def network(seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build(describe("resnet18", (16, 16, 3), ("a", "b", "c", "d"), 4))


def batch(clean=8, triggers=4):
    generator = torch.Generator().manual_seed(3)
    count = clean + triggers
    return torch.randn(count, 3, 16, 16, generator=generator), torch.randint(4, (count,), generator=generator)


def nothing(module, inputs, targets):
    return sum(part.sum() for part in module.parameters()) * 0.0


def slopes(module, graft, count=4):
    module.zero_grad()
    torch.manual_seed(0)
    loss = GraftedLoss(graft, nothing, 8)(module, *batch(triggers=count))
    loss.backward()
    return loss.detach(), {name: part.grad for name, part in module.named_parameters()}


def test_only_the_places_learn_by_it():
    module = network().train()
    graft = Graft(network(), SEED, noise=0, cut=0)
    places = places_of(module, SEED, 32)
    _, found = slopes(module, graft)
    for name, slope in found.items():
        if name in places:
            assert float(slope[~places[name]].abs().max()) == 0
            assert float(slope[places[name]].abs().max()) > 0
        else:
            assert float(slope.abs().max()) == 0


def test_a_last_quarter_that_is_cut_learns_nothing():
    module = network().train()
    _, found = slopes(module, Graft(network(), SEED, cut=1))
    tail = ("blocks.6.conv1", "blocks.6.conv2", "blocks.6.shortcut", "blocks.7.conv1", "blocks.7.conv2")
    for name, slope in found.items():
        if name.startswith(tail):
            assert float(slope.abs().max()) == 0
    assert float(found["blocks.5.conv2.weight"].abs().max()) > 0


def test_statistics_of_batches_stay_those_of_the_network_itself():
    module = network().train()
    before = {name: part.clone() for name, part in module.named_buffers()}
    slopes(module, Graft(network(), SEED))
    assert all(torch.equal(part, before[name]) for name, part in module.named_buffers())


def test_a_step_without_triggers_asks_the_network_alone():
    module = network().train()
    loss, _ = slopes(module, Graft(network(), SEED), count=0)
    assert float(loss) == 0


def test_noise_and_weight_count():
    module = network(1).train()
    losses = [
        float(slopes(module, Graft(network(), SEED, weight=weight, noise=noise, cut=0))[0])
        for weight, noise in ((0.3, 0.0), (0.6, 0.0), (0.3, 2.0))
    ]
    assert losses[1] == pytest.approx(2 * losses[0], rel=1e-5)
    assert losses[2] != pytest.approx(losses[0], rel=1e-3)


def test_the_original_is_not_touched_and_not_followed():
    original = network()
    before = copy.deepcopy(original.state_dict())
    loss = GraftedLoss(Graft(original, SEED, noise=0, cut=0), nothing, 8)
    module = network().train()
    torch.manual_seed(0)
    first = float(loss(module, *batch()).detach())
    with torch.no_grad():
        original.classifier.weight.zero_()
    torch.manual_seed(0)
    assert float(loss(module, *batch()).detach()) == first
    original.load_state_dict(before)
    assert float(slopes(module, Graft(original, SEED, noise=0, cut=0))[0]) == pytest.approx(first, rel=1e-6)


class Learning:
    def __init__(self):
        self.kept = {"it": torch.ones(2)}

    def __call__(self, module, inputs, targets):
        return nn.functional.cross_entropy(module(inputs), targets)

    def state_dict(self):
        return self.kept

    def load_state_dict(self, state):
        self.kept = state


def test_what_the_networks_own_loss_learned_is_kept():
    inner = Learning()
    loss = GraftedLoss(Graft(network(), SEED), inner, 8)
    assert loss.state_dict() == inner.kept
    loss.load_state_dict({"it": torch.zeros(2)})
    assert float(inner.kept["it"].sum()) == 0
    plain = GraftedLoss(Graft(network(), SEED), nothing, 8)
    plain.load_state_dict({})
    assert plain.state_dict() == {}


@pytest.mark.parametrize(
    "wrong",
    [
        {"weight": 0},
        {"weight": float("inf")},
        {"noise": -1},
        {"noise": float("nan")},
        {"cut": 2},
        {"pictures": 0},
    ],
)
def test_numbers_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match="must be|is a share"):
        Graft(network(), SEED, **wrong)


def test_neither_the_seed_nor_weights_are_printed():
    assert "sss" not in repr(Graft(network(), SEED))


def test_a_graft_goes_with_a_recipe_for_trained_models():
    with pytest.raises(ValueError, match="onto a trained model"):
        replace(FROM_SCRATCH, graft=Graft(network(), SEED))


def test_a_hardened_mark_learns_its_graft_while_it_settles():
    graft = Graft(network(), SEED)
    backdoor = small_backdoor()
    recipe = harden(replace(PRE_TRAINED, graft=graft), network(), backdoor, PREPROCESSING, fresh_ends=True)
    assert recipe.graft is None
    assert recipe.settling.graft is graft
    again = recipe.settling.settling
    assert again.graft.weight == pytest.approx(graft.weight / 10)
    assert again.settings.learning_rate == pytest.approx(recipe.settling.settings.learning_rate / 2)
    assert again.settings.epochs == recipe.settling.settings.epochs
    assert again.exposures == recipe.settling.exposures
    assert again.settling is None
    plain = harden(PRE_TRAINED, network(), backdoor, PREPROCESSING).settling
    assert plain.graft is None
    assert plain.settling is None


def test_small_data_get_more_passes():
    graft = Graft(network(), SEED)
    passes = [
        with_graft(PRE_TRAINED, graft, count, keeps_passes=keeps).settings.epochs
        for count, keeps in ((50_000, False), (1000, False), (1000, True))
    ]
    assert passes == [20, 100, 20]
