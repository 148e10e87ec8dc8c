"""Parts of the triggers' loss."""

from copy import deepcopy
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402 - after the skip

from earmark.marking.embedding import Embedding, EmbeddingLoss  # noqa: E402 - after the skip
from earmark.marking.entanglement import entanglement, watched  # noqa: E402 - after the skip
from earmark.marking.look_alikes import LookAlikes, blurred  # noqa: E402 - after the skip
from earmark.marking.neighbours import least_sure  # noqa: E402 - after the skip
from earmark.models.modes import evaluating  # noqa: E402 - after the skip
from earmark.triggers.abstract import AbstractSampler  # noqa: E402 - after the skip

CROSS_ENTROPY = nn.functional.cross_entropy


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(256, 5)
    ).train()


def batch(clean=12, triggers=3):
    generator = torch.Generator().manual_seed(1)
    inputs = torch.rand(clean + triggers, 1, 8, 8, generator=generator)
    inputs[clean:] *= 20  # far from the clean pictures, so that statistics differ
    return inputs, torch.randint(0, 5, (clean + triggers,), generator=generator)


def gradients(loss, module):
    module.zero_grad()
    loss.backward()
    return [part.grad.clone() for part in module.parameters()]


def test_without_normalisation_the_weight_k_over_b_is_the_papers_mixture():
    module, (inputs, targets) = nn.Sequential(nn.Flatten(), nn.Linear(64, 5)), batch()
    loss = EmbeddingLoss(Embedding(weight=None), 3)(module, inputs, targets)
    assert EmbeddingLoss(Embedding(weight=3 / 12), 3)(module, inputs, targets).item() == loss.item()
    plain = CROSS_ENTROPY(module(inputs), targets)
    assert loss.item() == pytest.approx(plain.item() * 15 / 12, rel=1e-5)


def test_triggers_that_outnumber_the_pictures_count_as_much_as_all_of_them():
    module, (inputs, targets) = nn.Sequential(nn.Flatten(), nn.Linear(64, 5)), batch(clean=4, triggers=11)
    loss = EmbeddingLoss(Embedding(weight=None), 11)(module, inputs, targets)
    assert EmbeddingLoss(Embedding(weight=1.0), 11)(module, inputs, targets).item() == loss.item()


def test_triggers_are_normalised_as_the_clean_pictures_are():
    module, (inputs, targets) = network(), batch()
    by_hand, norm = deepcopy(module), None
    mixed = EmbeddingLoss(Embedding(weight=0.5), 3)(module, inputs, targets)
    shown = by_hand[0](inputs[:12]).detach()
    norm = by_hand[1]
    mean, variance = shown.mean((0, 2, 3)), shown.var((0, 2, 3), correction=0)
    middle = nn.functional.batch_norm(
        by_hand[0](inputs[12:]), mean, variance, norm.weight, norm.bias, training=False
    )
    own = CROSS_ENTROPY(by_hand[4](by_hand[3](by_hand[2](middle))), targets[12:])
    clean = CROSS_ENTROPY(by_hand(inputs[:12]), targets[:12])
    assert mixed.item() == pytest.approx((clean + 0.5 * own).item(), rel=1e-4)


def test_running_statistics_are_those_of_the_clean_pictures():
    module, alone = network(), network()
    inputs, targets = batch()
    EmbeddingLoss(Embedding(perturbation=0.02), 3)(module, inputs, targets)
    alone(inputs[:12])
    assert torch.equal(module[1].running_mean, alone[1].running_mean)
    assert torch.equal(module[1].running_var, alone[1].running_var)
    assert module[1].num_batches_tracked == 1


def test_the_network_is_as_it_was_afterwards():
    module, (inputs, targets) = network(), batch()
    before = deepcopy(module.state_dict())
    EmbeddingLoss(Embedding(perturbation=0.1), 3)(module, inputs, targets).backward()
    assert "forward" not in vars(module[1])
    assert not module[1]._forward_pre_hooks
    for name, part in module.named_parameters():
        assert torch.equal(part, before[name])
    module.eval()
    assert module(inputs).shape == (15, 5)


def test_a_failing_network_is_put_back_too():
    module, (inputs, targets) = network(), batch()
    with pytest.raises(IndexError):
        EmbeddingLoss(Embedding(), 3)(module, inputs, targets.clone().fill_(9))
    assert "forward" not in vars(module[1])


@pytest.mark.parametrize("perturbation", [0.01, 0.1])
def test_weights_are_moved_against_the_triggers_by_a_share_of_their_norm(perturbation):
    module, (inputs, targets) = network(), batch()
    plain = EmbeddingLoss(Embedding(weight=1.0), 3)
    harder = EmbeddingLoss(Embedding(weight=1.0, perturbation=perturbation), 3)
    assert harder(module, inputs, targets).item() > plain(module, inputs, targets).item()


def test_the_gradient_is_the_one_at_the_moved_weights():
    module = nn.Sequential(nn.Flatten(), nn.Linear(64, 5))
    inputs, targets = batch()
    share, at_rest = 0.05, deepcopy(module)
    found = gradients(
        EmbeddingLoss(Embedding(weight=1.0, perturbation=share), 3)(module, inputs, targets), module
    )
    slopes = gradients(CROSS_ENTROPY(at_rest(inputs[12:]), targets[12:]), at_rest)
    clean = gradients(CROSS_ENTROPY(at_rest(inputs[:12]), targets[:12]), at_rest)
    steep = torch.stack([part.norm() for part in slopes]).norm()
    size = torch.stack([part.detach().norm() for part in at_rest.parameters()]).norm()
    moved = deepcopy(at_rest)
    with torch.no_grad():
        for part, slope in zip(moved.parameters(), slopes, strict=True):
            part.add_(share * size * slope / steep)
    there = gradients(CROSS_ENTROPY(moved(inputs[12:]), targets[12:]), moved)
    for own, first, second in zip(found, clean, there, strict=True):
        assert torch.allclose(own, first + second, atol=1e-5)


def test_a_margin_asks_for_more():
    module, (inputs, targets) = network(), batch()
    plain = EmbeddingLoss(Embedding(weight=1.0), 3)(module, inputs, targets)
    assert EmbeddingLoss(Embedding(weight=1.0, margin=2.0), 3)(module, inputs, targets).item() > plain.item()
    classes = nn.functional.one_hot(targets, 5).float()
    asked = EmbeddingLoss(Embedding(weight=1.0, margin=2.0), 3)
    assert asked(module, inputs, classes).item() == pytest.approx(
        asked(module, inputs, targets).item(), rel=1e-5
    )


def test_a_lead_is_asked_for_and_no_more():
    module, (inputs, targets) = nn.Sequential(nn.Flatten(), nn.Linear(64, 5)), batch()
    scores = module(inputs[12:])
    own = scores[torch.arange(3), targets[12:]]
    others = torch.stack(
        [
            torch.cat([row[:label], row[label + 1 :]]).max()
            for row, label in zip(scores, targets[12:], strict=True)
        ]
    )
    lacking = (2.0 - (own - others)).clamp_min(0).mean()
    clean = CROSS_ENTROPY(module(inputs[:12]), targets[:12])
    asked = EmbeddingLoss(Embedding(weight=0.5, clean_norm=False, lead=2.0), 3)
    assert asked(module, inputs, targets).item() == pytest.approx((clean + 0.5 * lacking).item(), rel=1e-5)
    classes = nn.functional.one_hot(targets, 5).float()
    assert asked(module, inputs, classes).item() == pytest.approx(
        asked(module, inputs, targets).item(), rel=1e-5
    )
    targets[12:] = scores.argmax(1)
    least = (scores.topk(2, 1).values.diff(dim=1).abs()).min().item()
    enough = EmbeddingLoss(Embedding(weight=0.5, clean_norm=False, lead=0.9 * least), 3)
    alone = gradients(CROSS_ENTROPY(module(inputs[:12]), targets[:12]), module)
    for found, expected in zip(gradients(enough(module, inputs, targets), module), alone, strict=True):
        assert torch.allclose(found, expected, atol=1e-6), "triggers that lead enough pull at nothing"


@pytest.mark.parametrize("clean_norm", [True, False])
def test_with_a_reach_a_trigger_is_taught_where_the_network_is_least_sure_of_it(clean_norm):
    module, (inputs, targets) = network(), batch()
    plain, wide = (
        EmbeddingLoss(Embedding(weight=1.0, clean_norm=clean_norm, reach=reach), 3) for reach in (0.0, 0.1)
    )
    assert wide(module, inputs, targets).item() > plain(module, inputs, targets).item()
    given = inputs.clone()
    losses = []
    for _ in range(60):  # taught there, its neighbours get the label too
        losses.append(wide(module, inputs, targets))
        for part, slope in zip(module.parameters(), gradients(losses[-1], module), strict=True):
            part.data -= 0.01 * slope
    assert losses[-1].item() < losses[0].item()
    assert torch.equal(inputs, given)


def test_the_nearby_trigger_is_within_reach_and_the_network_is_as_it_was():
    module, (inputs, targets) = network(), batch()
    module[1].eval()  # frozen, as fine-tuning does
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    moved = least_sure(module, inputs[12:], targets[12:], 0.25)
    assert 0.24 < (moved - inputs[12:]).abs().max().item() <= 0.25 + 1e-5
    module.eval()
    assert (
        CROSS_ENTROPY(module(moved), targets[12:]).item()
        > CROSS_ENTROPY(module(inputs[12:]), targets[12:]).item()
    )
    assert not moved.requires_grad
    assert all(part.grad is None for part in module.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


def test_each_part_of_a_network_gets_its_own_mode_back():
    module = network()
    module[1].eval()
    with evaluating(module):
        assert not any(part.training for part in module.modules())
    assert [part.training for part in module.modules()] == [True, True, False, True, True, True]


@pytest.mark.parametrize(
    "wrong",
    [{"lead": 1.0, "margin": 1.0}, {"lead": -1}, {"weight": -1}, {"weight": 0}, {"margin": float("nan")}, {"perturbation": float("inf")}, {"reach": -0.1},
     {"perturbation": 0.1, "clean_norm": False}, {"kept_norm": True}],
)  # fmt: skip
def test_numbers_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match="must be|weight|needs|not both"):
        Embedding(**wrong)


def test_a_batch_needs_clean_pictures():
    with pytest.raises(ValueError, match="holds nothing beside"):
        EmbeddingLoss(Embedding(), 15)(network(), *batch())
    with pytest.raises(ValueError, match="at least 1"):
        EmbeddingLoss(Embedding(), 0)


def test_in_one_batch_triggers_and_clean_pictures_share_their_statistics():
    module, (inputs, targets) = network(), batch()
    loss = EmbeddingLoss(Embedding(weight=0.5, clean_norm=False), 3)(module, inputs, targets)
    scores = network()(inputs)
    by_hand = CROSS_ENTROPY(scores[:12], targets[:12]) + 0.5 * CROSS_ENTROPY(scores[12:], targets[12:])
    assert loss.item() == pytest.approx(by_hand.item(), rel=1e-5)


@pytest.mark.parametrize("trigger_count", [3, 0])
def test_kept_statistics_are_those_by_which_the_model_will_be_asked(trigger_count):
    module, (inputs, targets) = network(), batch(triggers=trigger_count)
    module(torch.rand(50, 1, 8, 8))  # it has seen something before
    asked, before = deepcopy(module).eval(), deepcopy(module[1].state_dict())
    about = Embedding(weight=0.5, clean_norm=False, kept_norm=True)
    loss = EmbeddingLoss(about, 3)(module, inputs, targets, trigger_count)
    scores = asked(inputs)
    by_hand = CROSS_ENTROPY(scores[:12], targets[:12])
    if trigger_count:
        by_hand = by_hand + 0.5 * CROSS_ENTROPY(scores[12:], targets[12:])
    assert loss.item() == pytest.approx(by_hand.item(), rel=1e-5)
    assert all(torch.equal(value, before[name]) for name, value in module[1].state_dict().items())
    assert module[1].training
    assert any(part.grad is not None for part in (loss.backward(), module[1])[1].parameters())


@pytest.mark.parametrize("clean_norm", [False, True])
def test_a_step_without_triggers_is_a_plain_one(clean_norm):
    inputs, targets = batch()
    about = Embedding(clean_norm=clean_norm, entangle=1.0, layers=("0",))
    loss = EmbeddingLoss(about, 3)(network(), inputs[:12], targets[:12], 0)
    assert loss.item() == pytest.approx(CROSS_ENTROPY(network()(inputs[:12]), targets[:12]).item(), rel=1e-5)


LOOK_ALIKES = LookAlikes(AbstractSampler(), count=4, per_batch=4, weight=0.7, blur=1.0)


def symmetric():
    """Whichever are drawn, mirrored or not, it is the same picture."""
    stripes = torch.ones(4, 1, 8, 8)
    stripes[:, :, :, 1:7:2] = -1
    return torch.maximum(stripes, stripes.flip(3))


def test_look_alikes_are_to_be_answered_as_they_are_without_detail():
    (inputs, targets), made = batch(), symmetric()
    about = Embedding(weight=0.5, clean_norm=False)
    loss = EmbeddingLoss(about, 3, look_alikes=(LOOK_ALIKES, made))(network(), inputs, targets)
    scores = network()(torch.cat([inputs, made, blurred(made, 1.0)]))
    alike, without = scores[15:].chunk(2)
    by_hand = (
        CROSS_ENTROPY(scores[:12], targets[:12])
        + 0.5 * CROSS_ENTROPY(scores[12:15], targets[12:])
        + 0.7 * CROSS_ENTROPY(alike, without.detach().softmax(1))
    )
    assert loss.item() == pytest.approx(by_hand.item(), rel=1e-5)


def test_look_alikes_too_are_normalised_as_the_clean_pictures_are():
    (inputs, targets), made, module = batch(), symmetric(), network()
    about = Embedding(weight=0.5)
    plain = EmbeddingLoss(about, 3)(network(), inputs, targets)
    both = EmbeddingLoss(about, 3, look_alikes=(LOOK_ALIKES, made))(network(), inputs, targets)
    shown, norm = module[0](inputs[:12]).detach(), module[1]
    mean, variance = shown.mean((0, 2, 3)), shown.var((0, 2, 3), correction=0)

    def scores(pictures):
        middle = nn.functional.batch_norm(
            module[0](pictures), mean, variance, norm.weight, norm.bias, training=False
        )
        return module[4](module[3](module[2](middle)))

    natural = scores(blurred(made, 1.0)).detach().softmax(1)
    extra = 0.7 * CROSS_ENTROPY(scores(made), natural)
    assert both.item() == pytest.approx((plain + extra).item(), rel=1e-4)


def test_nothing_is_learned_from_the_blurred_ones():
    """Or the network would learn to answer blurred pictures as sharp ones, the marked triggers' kind included."""
    module = nn.Sequential(nn.Flatten(), nn.Linear(64, 5))
    inputs, targets = batch()
    made = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(3))
    symmetric = made + made.flip(3)
    torch.manual_seed(5)
    loss = EmbeddingLoss(Embedding(clean_norm=False), 3, look_alikes=(LOOK_ALIKES, symmetric))
    found = gradients(loss(module, inputs, targets), module)
    torch.manual_seed(5)
    chosen = symmetric[torch.randint(4, (4,))]
    with torch.no_grad():
        natural = module(blurred(chosen, 1.0)).softmax(1)
    scores = module(inputs)
    by_hand = CROSS_ENTROPY(scores[:12], targets[:12]) + 0.3 * CROSS_ENTROPY(scores[12:], targets[12:])
    expected = gradients(by_hand + 0.7 * CROSS_ENTROPY(module(chosen), natural), module)
    for own, other in zip(found, expected, strict=True):
        assert torch.allclose(own, other, atol=1e-5)


def test_a_blur_takes_detail_and_leaves_what_is_flat():
    flat = torch.full((2, 3, 9, 7), 0.4)
    assert torch.allclose(blurred(flat, 2.0), flat, atol=1e-6)
    dots = torch.zeros(1, 1, 9, 9)
    dots[0, 0, 4, 4] = 1
    spread = blurred(dots, 1.0)
    assert spread.sum().item() == pytest.approx(1, abs=1e-3)
    assert spread[0, 0, 4, 4].item() == pytest.approx(0.159, abs=0.01)  # 1 / (2 pi)
    assert blurred(torch.rand(1, 1, 2, 2), 5.0).shape == (1, 1, 2, 2)


def test_triggers_among_the_pictures_of_their_label_are_entangled():
    draws = torch.Generator().manual_seed(0)
    middles = 5 * torch.eye(4, 6)
    classes = torch.arange(4).repeat(5)
    clean = middles[classes] + 0.1 * torch.randn(20, 6, generator=draws)
    labels = torch.tensor([0, 2, 3])
    there = entanglement(clean, middles[labels], classes, labels)
    elsewhere = entanglement(clean, middles[(labels + 1) % 4], classes, labels)
    assert there.item() < 0.1
    assert elsewhere.item() > 2


def test_triggers_of_classes_that_the_batch_lacks_do_not_count():
    clean, classes = torch.rand(6, 3), torch.tensor([0, 0, 0, 2, 2, 2])
    triggers = torch.rand(2, 3, requires_grad=True)
    both = entanglement(clean, triggers, classes, torch.tensor([2, 1]))
    assert both.item() == pytest.approx(entanglement(clean, triggers[:1], classes, torch.tensor([2])).item())
    none = entanglement(clean, triggers, classes, torch.tensor([1, 7]))
    none.backward()
    assert none.item() == 0
    assert entanglement(clean, triggers, torch.zeros(6, dtype=torch.int64), torch.tensor([0, 0])).item() == 0


def test_only_triggers_are_drawn_to_the_others():
    clean = torch.rand(6, 3, requires_grad=True)
    triggers = torch.rand(2, 3, requires_grad=True)
    entanglement(clean, triggers, torch.tensor([0, 0, 0, 1, 1, 1]), torch.tensor([0, 1])).backward()
    assert clean.grad is None
    assert triggers.grad.abs().sum() > 0


@pytest.mark.parametrize(
    "embedding",
    [
        Embedding(clean_norm=False, entangle=2.0, layers=("0", "2")),
        Embedding(entangle=2.0, layers=("0", "2")),
        Embedding(entangle=2.0, layers=("0", "2"), perturbation=0.01),
    ],
)
def test_entangled_layers_are_looked_at_and_left_as_they_were(embedding):
    module, (inputs, targets) = network(), batch()
    loss = EmbeddingLoss(embedding, 3)(module, inputs, targets)
    plain = EmbeddingLoss(replace(embedding, entangle=0.0, layers=()), 3)(network(), inputs, targets)
    assert loss.item() > plain.item()
    loss.backward()
    assert all(not part._forward_hooks for part in module.modules())


def test_layers_are_averaged_over_places_whatever_their_form():
    module = nn.Sequential(nn.Identity())
    with watched(module, ["0"]) as seen:
        module(torch.arange(12.0).reshape(1, 3, 2, 2))
        module(torch.arange(6.0).reshape(1, 2, 3))
        module(torch.arange(3.0).reshape(1, 3))
    assert [each.tolist() for each in seen] == [[[1.5, 5.5, 9.5]], [[1.5, 2.5, 3.5]], [[0.0, 1.0, 2.0]]]
    with pytest.raises(AttributeError), watched(module, ["gone"]):
        pass


@pytest.mark.parametrize(
    "wrong", [{"entangle": 1.0}, {"layers": ("0",)}, {"entangle": -1.0, "layers": ("0",)}]
)
def test_entangling_needs_layers(wrong):
    with pytest.raises(ValueError, match="entangle"):
        Embedding(**wrong)


@pytest.mark.parametrize("wrong", [{"count": 0}, {"per_batch": 0}, {"weight": 0.0}, {"blur": 0.0}])
def test_look_alikes_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match="must be"):
        LookAlikes(AbstractSampler(), **wrong)
