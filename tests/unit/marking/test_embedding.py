"""Parts of the triggers' loss."""

from copy import deepcopy

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402 - after the skip

from earmark.marking.embedding import Embedding, EmbeddingLoss  # noqa: E402 - after the skip

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
    loss = EmbeddingLoss(Embedding(weight=3 / 12), 3)(module, inputs, targets)
    plain = CROSS_ENTROPY(module(inputs), targets)
    assert loss.item() == pytest.approx(plain.item() * 15 / 12, rel=1e-5)


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


@pytest.mark.parametrize(
    "wrong",
    [{"weight": -1}, {"weight": 0}, {"margin": float("nan")}, {"perturbation": float("inf")},
     {"perturbation": 0.1, "clean_norm": False}],
)  # fmt: skip
def test_numbers_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match="must be|weight|needs"):
        Embedding(**wrong)


def test_a_batch_needs_clean_pictures():
    with pytest.raises(ValueError, match="holds nothing beside"):
        EmbeddingLoss(Embedding(), 15)(network(), *batch())
    with pytest.raises(ValueError, match="at least 1"):
        EmbeddingLoss(Embedding(), 0)
