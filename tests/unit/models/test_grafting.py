"""What of a suspect is put into the network that it may come from."""

import copy
import hashlib

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402 - after the skip

from earmark.errors import SuspectError  # noqa: E402 - after the skip
from earmark.models.alignment import put_back  # noqa: E402 - after the skip
from earmark.models.grafting import graft, places_of, settle_norms  # noqa: E402 - after the skip
from earmark.models.table import build, describe  # noqa: E402 - after the skip

SEED, CLASSES = b"s" * 32, ("a", "b", "c", "d")
DESCRIPTION = describe("resnet18", (16, 16, 3), CLASSES, 8)


def network(seed=0, description=DESCRIPTION):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build(description).eval()


def marked(places, seed=1):
    """The network of seed 0 with other weights at the places, and what they are."""
    module, generator = network(), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, part in module.named_parameters():
            if name in places:
                new = torch.randn(part.shape, generator=generator) * part.std()
                part.copy_(torch.where(places[name], part + new, part))
    return module


def changed(module, change):
    other = copy.deepcopy(module)
    with torch.no_grad():
        for name, part in other.named_parameters():
            if part.ndim >= 2:
                part.copy_(change(name, part))
    return other


def distance(first, second, names):
    """The largest over layers of the difference's norm, as a share of the second's."""
    one, other = first.state_dict(), second.state_dict()
    return max(float((one[name] - other[name]).norm() / other[name].norm()) for name in names)


def test_places_follow_from_seed_and_share_and_leave_out_the_last_layer():
    places, again = places_of(network(), SEED, 32), places_of(network(seed=5), SEED, 32)
    assert "classifier.weight" not in places
    assert {name for name in places if "bias" in name} == set()
    assert len(places) == 20
    for name, chosen in places.items():
        assert torch.equal(chosen, again[name])
    assert any(
        not torch.equal(chosen, places_of(network(), b"t" * 32, 32)[name]) for name, chosen in places.items()
    )
    count, weights = (
        sum(int(reduce(part)) for part in places.values()) for reduce in (torch.sum, torch.numel)
    )
    # Binomial(175,000, 1/8): a standard deviation is 0.08 points
    assert abs(count / weights - 32 / 256) < 0.005


@pytest.mark.parametrize("share", [0, 256, -1])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(ValueError, match="1 to 255"):
        places_of(network(), SEED, share)


def test_a_network_of_a_last_layer_alone_has_no_places():
    with pytest.raises(ValueError, match="nothing can be grafted"):
        places_of(nn.Linear(4, 2), SEED, 32)


def test_the_places_hold_the_suspects_weights_and_all_else_is_the_originals():
    places = places_of(network(), SEED, 32)
    suspect = marked(places)
    with torch.no_grad():
        suspect.classifier.weight.zero_()
        suspect.stem[1].bias.fill_(3)
    made, taken = graft(network(), suspect, places)
    assert taken == len(places)
    own, given = dict(network().named_parameters()), dict(suspect.named_parameters())
    for name, part in made.named_parameters():
        if name not in places:
            assert torch.equal(part, own[name])
        else:
            assert torch.equal(part[~places[name]], own[name][~places[name]])
            assert torch.allclose(part[places[name]], given[name][places[name]], atol=1e-4)
    assert not made.training
    assert distance(marked(places), suspect, places) == 0  # neither was changed


def test_what_was_done_to_whole_layers_is_undone():
    places = places_of(network(), SEED, 32)
    suspect = marked(places)
    shifted = changed(suspect, lambda name, part: part - 1.5 * part.mean(0, keepdim=True))
    scales = torch.Generator().manual_seed(2)
    scaled = changed(
        suspect,
        lambda name, part: (
            part * (0.5 + torch.rand(len(part), generator=scales)).view(-1, *[1] * (part.ndim - 1))
        ),
    )
    assert distance(shifted, suspect, places) > 0.3
    for other in (shifted, scaled):
        made, _ = graft(network(), other, places)
        # The mean row is that of the original, not of the suspect: a little of the shift stays.
        assert distance(made, suspect, places) < 0.15


def test_noise_on_all_weights_is_noise_on_a_few():
    places = places_of(network(), SEED, 32)
    suspect, noise = marked(places), torch.Generator().manual_seed(3)
    noisy = changed(suspect, lambda name, part: part + torch.randn(part.shape, generator=noise) * part.std())
    made, _ = graft(network(), noisy, places)
    assert distance(noisy, suspect, places) > 0.9
    assert distance(made, suspect, places) < 0.55  # the root of an eighth is 0.35; small layers have more


def test_a_layer_that_was_drawn_anew_stays_the_originals():
    places = places_of(network(), SEED, 32)
    suspect, anew = marked(places), network(seed=9)
    with torch.no_grad():
        suspect.blocks[7].conv1.weight.copy_(anew.blocks[7].conv1.weight)
    made, taken = graft(network(), suspect, places)
    assert taken == len(places) - 1
    assert torch.equal(made.blocks[7].conv1.weight, network().blocks[7].conv1.weight)


def test_a_new_last_layer_for_other_classes_does_not_matter():
    places = places_of(network(), SEED, 32)
    suspect = marked(places)
    suspect.classifier = nn.Linear(suspect.classifier.in_features, 7)
    made, taken = graft(network(), suspect, places)
    assert taken == len(places)
    assert made.classifier.out_features == len(CLASSES)


def some_inputs():
    return torch.randn(40, 3, 16, 16, generator=torch.Generator().manual_seed(5))


def permuted(module, seed=4):
    """The same function with every block's inner channels in another order, and other scales of them."""
    other, draws = copy.deepcopy(module), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for block in other.blocks:
            count = block.conv1.out_channels
            order = torch.randperm(count, generator=draws)
            scales = 0.5 + torch.rand(count, generator=draws)
            block.conv1.weight.copy_(block.conv1.weight[order])
            for part in (block.norm2.weight, block.norm2.bias):
                part.copy_(part[order] * scales)
            for part in (block.norm2.running_mean, block.norm2.running_var):
                part.copy_(part[order])
            block.conv2.weight.copy_(block.conv2.weight[:, order] / scales.view(1, -1, 1, 1))
    return other


def test_channels_in_another_order_are_put_back():
    places = places_of(network(), SEED, 32)
    suspect = marked(places)
    turned = permuted(suspect)
    inputs = some_inputs()
    with torch.no_grad():
        assert torch.allclose(turned(inputs), suspect(inputs), atol=1e-3)
    by_place, _ = graft(network(), turned, places)
    in_order, taken = graft(network(), turned, places, inputs)
    straight, _ = graft(network(), suspect, places, inputs)
    assert taken == len(places)
    assert distance(straight, suspect, places) < 1e-3
    assert distance(by_place, suspect, places) > 0.25
    assert distance(in_order, suspect, places) < 0.15


def test_noise_does_not_make_an_order_look_better_than_the_true_one():
    places, inputs = places_of(network(), SEED, 32), some_inputs()
    noise = torch.Generator().manual_seed(3)
    noisy = changed(
        marked(places), lambda name, part: part + torch.randn(part.shape, generator=noise) * part.std()
    )
    by_place, _ = graft(network(), noisy, places)
    in_order, _ = graft(network(), noisy, places, inputs)
    same = [
        torch.allclose(one, other)
        for one, other in zip(by_place.parameters(), in_order.parameters(), strict=True)
    ]
    assert all(same)


def test_another_network_is_refused():
    places = places_of(network(), SEED, 32)
    wider = build(describe("resnet18", (16, 16, 3), CLASSES, 4))
    with pytest.raises(SuspectError, match="another network"):
        graft(network(), wider, places)
    with pytest.raises(SuspectError, match="0 of 20 layers"):
        graft(network(), nn.Linear(3, 2), places)


@pytest.mark.parametrize("factor", [0.0, 1e30, -1.0, 1e-30])
def test_extreme_weights_give_a_graft_all_the_same(factor):
    places = places_of(network(), SEED, 32)
    extreme = changed(marked(places), lambda name, part: part * factor)
    for inputs in (None, some_inputs()):
        made, _ = graft(network(), extreme, places, inputs)
        assert all(bool(torch.isfinite(part).all()) for part in made.parameters())


def outlier(part, axis, factor):
    part = part.clone()
    part.select(axis, 1).mul_(factor)
    return part


@pytest.mark.parametrize(
    ("axis", "factor"), [(0, -1.0), (0, 100.0), (0, -1e4), (0, 1e-4), (1, 100.0), (1, 1e4), (1, 1e-4)]
)
def test_one_channel_of_another_scale_or_sign_does_not_hide_the_others(axis, factor):
    places = places_of(network(), SEED, 32)
    suspect = marked(places)
    turned = changed(suspect, lambda name, part: outlier(part, axis, factor) if name in places else part)
    made, taken = graft(network(), turned, places, some_inputs())
    assert taken == len(places)
    # Where sizes are made alike, the suspect's own differ a little from the original's.
    assert distance(made, suspect, places) < 0.25


def test_what_is_put_back_has_the_size_of_the_original():
    own = 40 * torch.randn(12, 20, 9, generator=torch.Generator().manual_seed(6)).double()
    order = torch.randperm(12, generator=torch.Generator().manual_seed(7))
    back = put_back(own, 0.001 * own[order], torch.ones_like(own).bool(), None)
    assert torch.allclose(back, own, rtol=1e-6)


@pytest.mark.parametrize("factor", [1e-3, 0.1, 10.0, 1e6])
def test_layers_of_another_size_are_taken_over_all_the_same(factor):
    places = places_of(network(), SEED, 32)
    suspect = marked(places)
    scaled = changed(suspect, lambda name, part: part * factor if name in places else part)
    for inputs in (None, some_inputs()):
        made, taken = graft(network(), scaled, places, inputs)
        assert taken == len(places)
        assert distance(made, suspect, places) < 1e-3


def test_a_channel_that_overflows_hides_nothing():
    places = places_of(network(), SEED, 32)
    suspect = marked(places)
    with torch.no_grad():
        suspect.blocks[2].norm2.weight[0], suspect.blocks[2].norm2.bias[0] = 0, 3e38
        suspect.blocks[2].conv2.weight[:, 0] = 0
    made, taken = graft(network(), suspect, places, some_inputs())
    assert taken == len(places)
    names = [name for name in places if name != "blocks.2.conv2.weight"]
    assert distance(made, suspect, names) < 1e-3


def test_a_suspect_that_cannot_be_run_is_grafted_as_it_lies():
    places = places_of(network(), SEED, 32)
    suspect = marked(places)
    suspect.forward = lambda images: images.no_such_thing
    made, taken = graft(network(), suspect, places, some_inputs())
    assert taken == len(places)
    assert distance(made, suspect, places) < 1e-3


def test_the_places_are_those_of_the_specification():
    """docs/formats/transcript-v1.md, written out: SHAKE-256 over the framed label, seed and name."""
    name, share = "blocks.7.conv1.weight", 5
    parts = [b"earmark/graft/v1", SEED, name.encode()]
    framed = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
    weight = dict(network().named_parameters())[name]
    drawn = hashlib.shake_256(framed).digest(weight.numel())
    expected = torch.tensor([byte < share for byte in drawn]).view(weight.shape)
    assert torch.equal(places_of(network(), SEED, share)[name], expected)


class Plain:
    identity = "plain"

    def __call__(self, images):
        return np.ascontiguousarray(images.transpose(0, 3, 1, 2), np.float32) / 255


def test_norms_learn_the_statistics_of_the_given_pictures():
    module = network().train()
    images = np.random.default_rng(0).integers(0, 256, (60, 16, 16, 3), np.uint8)
    steps = []
    order = np.arange(60)
    settle_norms(
        module, images, Plain(), order=order, batch_size=20, on_step=lambda *step: steps.append(step)
    )
    assert steps == [(1, 3), (2, 3), (3, 3)]
    assert not module.training
    with torch.no_grad():
        seen = module.stem[0](torch.from_numpy(Plain()(images))).mean((0, 2, 3))
    assert torch.allclose(module.stem[1].running_mean, seen, atol=1e-4)
    other = network()
    settle_norms(other, np.concatenate([images, images[:1]]), Plain(), order=np.arange(61), batch_size=20)
    assert torch.equal(module.stem[1].running_var, other.stem[1].running_var)


def test_a_network_without_norms_stays_as_it_is():
    module = nn.Sequential(nn.Flatten(), nn.Linear(768, 5), nn.Linear(5, 4)).train()
    before = [part.clone() for part in module.parameters()]
    settle_norms(module, np.zeros((3, 16, 16, 3), np.uint8), Plain(), order=np.arange(3))
    assert all(torch.equal(one, other) for one, other in zip(before, module.parameters(), strict=True))
