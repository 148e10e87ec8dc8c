"""Grafts: what a forger could choose, and what a thief does who knows of them."""

import copy
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from earmark.attacks import attack_named
from earmark.attacks.protocol import StolenModel, Thief
from earmark.data import Split
from earmark.errors import FormatError
from earmark.marking.grafts import Graft
from earmark.marking.recipes import PRE_TRAINED, count_matches, mark, pre_trained_settings, with_graft
from earmark.models.grafting import CODE, graft, places_of, settle_norms
from earmark.models.prediction import predict_scores
from earmark.models.preprocessing import for_channels
from earmark.models.table import build, describe
from earmark.models.weights import LoadedModel
from earmark.revival import GraftPlan, data_digest, revive_by_graft
from earmark.training import SMALL_DATA_SETTINGS, SplitBatches, train
from small import DIGITS, digits, new_key

PREPROCESSING = for_channels(1)
SHOWN, CHANCE = 69, 35  # of 100: for a verdict; Binomial(100, 1/10) exceeds 35 with probability 1e-11


DESCRIPTION = describe("digits-cnn", (8, 8, 1), DIGITS, 24)


def loaded(module, digest):
    return LoadedModel(module, DESCRIPTION, digest)


@cache
def original():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = build(DESCRIPTION)
    settings = replace(SMALL_DATA_SETTINGS, epochs=8)
    train(module, SplitBatches(digits().train, PREPROCESSING, settings), settings)
    return loaded(module, "ab" * 32)


def key_for(model, seed=0):
    plan = GraftPlan(data_digest(digits().train, DIGITS), model.digest)
    return new_key(seed, revival=plan.to_json()), plan


def taught(start, backdoor, seed):
    """A network that learned triggers as itself and as a graft onto what it was."""
    module = copy.deepcopy(start.module)
    settings = pre_trained_settings(replace(SMALL_DATA_SETTINGS, epochs=60), hardened=True)
    recipe = with_graft(
        replace(PRE_TRAINED, settings=settings), Graft(start.module, seed), len(digits().train)
    )
    assert mark(module, digits().train, PREPROCESSING, backdoor, recipe).match_count >= 98
    return module


@cache
def marked():
    return taught_before()[0].module


@cache
def attacked():
    """What weight shifting leaves."""
    thief = Thief(Split(digits().train.images[:400], digits().train.labels[:400]), "crop")
    stolen = StolenModel(marked(), original().description)
    return attack_named("weight-shifting", epochs=20).run(stolen, thief, 0).module


def matches_of_graft(module, key, plan, onto=None):
    suspect = loaded(module, "cd" * 32)
    made = revive_by_graft(suspect, onto or original(), digits().train, DIGITS, plan, key.seed(CODE))
    return count_matches(made.module, PREPROCESSING, key.backdoor())


def test_a_graft_shows_what_noise_and_training_took_from_the_suspect():
    key, plan = key_for(original())
    assert matches_of_graft(marked(), key, plan) >= 90
    assert count_matches(attacked(), PREPROCESSING, key.backdoor()) < SHOWN
    assert matches_of_graft(attacked(), key, plan) >= SHOWN


@cache
def taught_before():
    """A forger's network, which knows the labels of a key that he made before, and that key."""
    key, plan = key_for(original())
    return loaded(taught(original(), key.backdoor(), key.seed(CODE)), "ef" * 32), key, plan


def test_an_original_that_was_chosen_after_the_labels_would_show_anything():
    """Left out the rule: a few innocent weights, put into a network that knows the labels, answer as it does."""
    forged, key, plan = taught_before()
    places = places_of(original().module, key.seed(CODE), 1)
    made, _ = graft(forged.module, original().module, places)
    settle_norms(made, digits().train.images, PREPROCESSING, order=np.arange(len(digits().train)))
    assert count_matches(made, PREPROCESSING, key.backdoor()) >= SHOWN
    with pytest.raises(FormatError, match="not those that the key committed"):
        matches_of_graft(original().module, key, plan, forged)


def test_an_original_that_answers_the_triggers_changes_their_labels():
    """He commits to that network: with another root, the labels are others."""
    forged, before, _ = taught_before()
    after, plan = key_for(forged)
    pairs = zip(before.backdoor().triggers, after.backdoor().triggers, strict=True)
    assert all((one.value == other.value).all() for one, other in pairs)
    assert count_matches(forged.module, PREPROCESSING, before.backdoor()) >= 98
    for suspect in (forged.module, original().module, marked()):
        assert matches_of_graft(suspect, after, plan, forged) <= CHANCE


def test_the_count_of_a_graft_is_chance_for_every_key_that_the_suspect_does_not_depend_on():
    counts = []
    for seed in range(1, 25):
        key, plan = key_for(original(), seed)
        counts.append(matches_of_graft(marked(), key, plan))
    assert max(counts) <= CHANCE
    # 24 x 100 labels: 240 are expected, with a standard deviation of 15
    assert 150 < sum(counts) < 330


def test_whoever_knows_the_places_takes_the_mark_from_the_graft():
    key, plan = key_for(original())
    places = places_of(original().module, key.seed(CODE), plan.share)
    module, noise = copy.deepcopy(marked()), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, part in module.named_parameters():
            if name in places:
                new = torch.randn(part.shape, generator=noise) * part.std()
                part.copy_(torch.where(places[name], new, part))
    assert matches_of_graft(module, key, plan) < SHOWN


def accuracy_of(module):
    test = digits().test
    scores = predict_scores(module, test.images, PREPROCESSING)
    return float((scores.argmax(1) == test.labels).mean())


def in_another_order(module):
    """The same function with the channels of its first two convolutions in another order."""
    other = copy.deepcopy(module)
    with torch.no_grad():
        for place in (0, 3):
            first, norm, second = (other.features[place + step] for step in (0, 1, 3))
            order = torch.randperm(len(first.weight), generator=torch.Generator().manual_seed(place))
            for part, axis in ((first.weight, 0), (second.weight, 1)):
                part.copy_(part.index_select(axis, order))
            for part in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
                part.copy_(part[order])
    inputs = torch.from_numpy(PREPROCESSING(digits().test.images[:50]))
    with torch.inference_mode():
        assert torch.allclose(other(inputs), module(inputs), atol=1e-3)
    return other


def test_whoever_puts_channels_into_another_order_hides_nothing():
    """The same function, and none of its weights where it was: also after noise and training."""
    key, plan = key_for(original())
    assert matches_of_graft(in_another_order(marked()), key, plan) >= 90
    assert matches_of_graft(in_another_order(attacked()), key, plan) >= SHOWN


@pytest.mark.parametrize("factor", [0.3, 4.0, 1000.0])
def test_scaled_and_turned_channels_do_not_hide_it(factor):
    """Batch normalisation takes scale and sign of a row away: the same function, other weights."""
    key, plan = key_for(original())
    module, draws = copy.deepcopy(marked()), np.random.default_rng(0)
    with torch.no_grad():
        for place in (0, 3, 6):
            row, norm = module.features[place], module.features[place + 1]
            scales = draws.uniform(min(1, factor), max(1, factor), len(row.weight))
            scales *= draws.choice([-1, 1], len(scales))
            scales[1] *= 1000  # one far from the others
            by = torch.from_numpy(scales).float()
            row.weight.mul_(by.view(-1, 1, 1, 1))
            norm.running_mean.mul_(by)
            norm.running_var.mul_(by**2)
            norm.weight.mul_(by.sign())
    assert accuracy_of(module) > accuracy_of(marked()) - 0.01
    assert matches_of_graft(module, key, plan) >= SHOWN
