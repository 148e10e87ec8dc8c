"""Attacks on the weights alone: pruning, quantisation, noise, shifting."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from earmark.attacks import attack_named  # noqa: E402 - after the skip
from earmark.attacks.protocol import StolenModel, Thief  # noqa: E402 - after the skip
from earmark.attacks.training import features_of, network_inputs  # noqa: E402 - after the skip
from earmark.data import Split  # noqa: E402 - after the skip
from earmark.models.last_layer import last_layer  # noqa: E402 - after the skip
from small_models import SHAPE, description, network, questions  # noqa: E402 - after the skip

THIEF = Thief(Split(np.stack(questions(80)), np.arange(80) % 10))


def victim():
    return StolenModel(network(), description())


def weights(model):
    kinds = torch.nn.Conv2d | torch.nn.Linear
    return [part.weight.detach() for part in model.module.modules() if isinstance(part, kinds)]


def flat(model):
    return torch.cat([weight.flatten() for weight in weights(model)])


def test_magnitude_pruning_zeroes_that_share_and_the_smallest():
    before, after = flat(victim()), flat(attack_named("prune-magnitude", share=0.3).run(victim(), THIEF, 0))
    gone = (after == 0) & (before != 0)
    assert abs(int(gone.sum()) - int(0.3 * len(before))) <= 1
    assert before[gone].abs().max() <= before[~gone & (before != 0)].abs().min()
    assert torch.equal(after[~gone], before[~gone])


def test_random_pruning_zeroes_that_share_of_all_sizes():
    before, after = flat(victim()), flat(attack_named("prune-random", share=0.3).run(victim(), THIEF, 0))
    gone = (after == 0) & (before != 0)
    assert abs(int(gone.sum()) - int(0.3 * len(before))) <= 1
    assert before[gone].abs().mean() > 0.8 * before.abs().mean()


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_quantised_weights_lie_on_few_levels_of_each_channel(bits):
    attacked = attack_named(f"int{8 if bits == 8 else 4}", bits=bits).run(victim(), THIEF, 0)
    for before, after in zip(weights(victim()), weights(attacked), strict=True):
        step = before.flatten(1).abs().amax(1) / (2 ** (bits - 1) - 1)
        for row, old, size in zip(after.flatten(1), before.flatten(1), step, strict=True):
            assert len(row.unique()) <= 2**bits - 1
            assert (row - old).abs().max() <= size / 2 + 1e-6


def test_noise_has_that_strength_in_each_layer():
    attacked = attack_named("weight-noise", strength=0.5).run(victim(), THIEF, 1)
    for before, after in zip(weights(victim()), weights(attacked), strict=True):
        if before.numel() > 200:
            assert abs(float((after - before).std() / before.std()) - 0.5) < 0.1


@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_shifting_subtracts_the_mean_filter_and_noise_before_it_trains(noise):
    still = attack_named("weight-shifting", learning_rate=1e-12, epochs=1, batch_size=40, noise=noise)
    attacked = still.run(victim(), THIEF, 0)
    for before, after in zip(weights(victim()), weights(attacked), strict=True):
        if before.dim() == 4:
            added = after - (before - 1.5 * before.mean(0, keepdim=True))
            assert abs(float(added.std() / before.std()) - noise) < 0.2


def test_fine_pruning_keeps_the_least_used_features_at_zero_through_its_training():
    looks = []

    class Eye:
        def __call__(self, number, model):
            layer = last_layer(model.module)[1]
            looks.append((layer.weight.detach().abs().sum(0) == 0).nonzero().flatten().tolist())

    from earmark.attacks.protocol import Watch

    attack = attack_named("fine-pruning", epochs=3, batch_size=40, accuracy_loss=0.05)
    extract = features_of(victim().module)
    with torch.no_grad():
        used = extract(network_inputs(victim(), THIEF.split.images))[0].abs().sum(0)
    result = attack.run(victim(), THIEF, 0, Watch(on_epoch=Eye()))
    last = (last_layer(result.module)[1].weight.abs().sum(0) == 0).nonzero().flatten().tolist()
    assert len(last) > 0
    assert looks == [last] * 3
    assert max(used[last]) <= min(value for place, value in enumerate(used) if place not in last)


def test_fine_pruning_stops_before_too_much_is_lost():
    few = attack_named("fine-pruning", epochs=1, batch_size=40, accuracy_loss=-1.0)
    result = few.run(victim(), THIEF, 0)
    assert not (last_layer(result.module)[1].weight.abs().sum(0) == 0).any()


def test_neurons_are_pruned_whole_and_only_in_convolutions_where_nothing_normalises():
    attacked = attack_named("anp", steps=30, batch_size=40, threshold=0.97).run(victim(), THIEF, 0)
    parts = dict(attacked.module.named_modules())
    pruned = 0
    for name, part in victim().module.named_modules():
        if not isinstance(part, torch.nn.Conv2d | torch.nn.Linear | torch.nn.BatchNorm2d):
            continue
        rows = (
            parts[name].weight.detach().flatten(1) if part.weight.dim() > 1 else parts[name].weight[:, None]
        )
        old = part.weight.detach().flatten(1) if part.weight.dim() > 1 else part.weight.detach()[:, None]
        same = (rows == old).all(1)
        assert (same | (rows == 0).all(1)).all()
        pruned += int((~same).sum())
    assert pruned > 0


def test_a_network_without_channels_cannot_be_pruned_by_neurons():
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(int(np.prod(SHAPE)), 10))
    with pytest.raises(ValueError, match="neither batch normalisation nor convolutions"):
        attack_named("anp", steps=2).run(StolenModel(module, description()), THIEF, 0)


@pytest.mark.parametrize(("name", "changes"), [("int8", {"bits": 1}), ("prune-random", {"share": 1.0})])
def test_what_makes_no_sense_is_refused(name, changes):
    with pytest.raises(ValueError, match="must be"):
        attack_named(name, **changes)
