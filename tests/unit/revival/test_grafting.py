"""A suspect whose weights are grafted, as its key committed it, before it is asked."""

import copy
import hashlib
from dataclasses import replace
from functools import cache

import pytest

torch = pytest.importorskip("torch")

from earmark.data import Split  # noqa: E402 - after the skip
from earmark.errors import FormatError, SuspectError  # noqa: E402 - after the skip
from earmark.models.grafting import CODE  # noqa: E402 - after the skip
from earmark.models.table import build, describe  # noqa: E402 - after the skip
from earmark.models.weights import LoadedModel  # noqa: E402 - after the skip
from earmark.revival import (  # noqa: E402 - after the skip
    GraftPlan,
    RevivalPlan,
    committed_plan,
    data_digest,
    revive_by_graft,
)
from earmark.verification import measure, penalties  # noqa: E402 - after the skip
from earmark.verification.experiment import ThrowAwayJournal  # noqa: E402 - after the skip
from small import DIGITS, ONLY_SET, ScriptedSuspect, digits, new_key  # noqa: E402 - after the skip

SEED = b"s" * 32


def clean(count=200):
    return Split(digits().train.images[:count], digits().train.labels[:count])


@cache
def network(seed, width=8):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        description = describe("digits-cnn", (8, 8, 1), DIGITS, width)
        return LoadedModel(build(description).eval(), description, f"{seed:02}" * 32)


@cache
def derived():
    """The network of seed 0 with some noise on its weights."""
    model = network(0)
    other, noise = copy.deepcopy(model.module), torch.Generator().manual_seed(1)
    with torch.no_grad():
        for part in other.parameters():
            part.add_(0.1 * torch.randn(part.shape, generator=noise))
    return LoadedModel(other, model.description, "cd" * 32)


def plan(**changes):
    return GraftPlan(data_digest(clean(), DIGITS), network(0).digest, **changes)


def state(model):
    return {name: part.clone() for name, part in model.module.state_dict().items()}


def same(first, second):
    return all(torch.equal(part, second[name]) for name, part in first.items())


def test_the_graft_follows_from_suspect_original_data_plan_and_seed():
    before, steps = [state(model) for model in (network(0), derived())], []
    arguments = derived(), network(0), clean(), DIGITS
    once = revive_by_graft(*arguments, plan(), SEED, lambda step, total: steps.append((step, total)))
    again = revive_by_graft(*arguments, plan(), SEED)
    other = revive_by_graft(*arguments, plan(share=64), SEED)
    assert steps == [(1, 2), (2, 2)]
    assert same(state(once), state(again))
    assert not same(state(once), state(other))
    assert not same(state(once), state(revive_by_graft(*arguments, plan(), b"t" * 32)))
    assert same(state(network(0)), before[0])
    assert same(state(derived()), before[1])
    assert once.digest == again.digest == f"{derived().digest} grafted by sha256:{plan().identity}"
    assert other.digest != once.digest


def test_neither_classes_nor_last_layer_nor_preprocessing_of_the_suspect_matter():
    made = [state(revive_by_graft(derived(), network(0), clean(), DIGITS, plan(), SEED))]
    for names in (("a", "b", "c"), DIGITS[::-1]):
        described = describe("digits-cnn", (8, 8, 1), names, 8)
        described = replace(described, preprocessing=replace(described.preprocessing, mean=("0.1",)))
        moved = LoadedModel(build(described).eval(), described, "ab" * 32)
        body = {
            name: part for name, part in derived().module.state_dict().items() if "classifier" not in name
        }
        moved.module.load_state_dict(body, strict=False)
        made.append(state(revive_by_graft(moved, network(0), clean(), DIGITS, plan(), SEED)))
    assert all(same(made[0], other) for other in made[1:])


@pytest.mark.parametrize("change", ["picture", "names", "original"])
def test_nothing_but_the_committed_is_used(change):
    split, names, original = clean(), DIGITS, network(0)
    if change == "picture":
        images = split.images.copy()
        images[7, 3, 3] ^= 1
        split = Split(images, split.labels)
    if change == "names":
        names = (*DIGITS[1:], DIGITS[0])
    if change == "original":
        original = network(1)
    with pytest.raises(FormatError, match="committed"):
        revive_by_graft(derived(), original, split, names, plan(), SEED)


def test_a_model_that_does_not_come_from_the_original_is_refused():
    with pytest.raises(SuspectError, match="nothing of the original"):
        revive_by_graft(network(1), network(0), clean(), DIGITS, plan(), SEED)


def test_another_network_is_refused():
    with pytest.raises(SuspectError, match="another network"):
        revive_by_graft(network(1, 4), network(0), clean(), DIGITS, plan(), SEED)


def test_a_plan_is_read_back_as_it_was_written():
    written = plan(share=7, steps=3, batch_size=50, seed=9)
    assert GraftPlan.from_json(written.to_json()) == written
    assert committed_plan(written.to_json()) == written
    trained = RevivalPlan(written.data)
    assert committed_plan(trained.to_json()) == trained
    assert written.identity not in (plan().identity, trained.identity)


@pytest.mark.parametrize(
    ("field", "value"),
    [("data", "xyz"), ("head", "kept"), ("head", {"original": "0" * 64}), ("head", {"original": "0", "share": 3}),
     ("head", {"original": "0" * 64, "share": 256}), ("head", {"original": "0" * 64, "share": 3, "more": 1}),
     ("schedule", "constant"), ("optimiser", {}), ("steps", 0), ("steps", 10**6), ("seed", -1),
     ("order", {"batch_size": 0}), ("order", {"batch_size": 1001}), ("order", {"batch_size": 5, "augmentation": "none"})],
)  # fmt: skip
def test_a_plan_that_this_program_does_not_know_is_refused(field, value):
    with pytest.raises(FormatError):
        committed_plan({**plan().to_json(), field: value})


@pytest.mark.parametrize(
    "wrong", [{"share": 0}, {"share": 256}, {"steps": 0}, {"batch_size": 0}, {"seed": -1}]
)
def test_numbers_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match="must be"):
        plan(**wrong)
    with pytest.raises(ValueError, match="SHA-256"):
        replace(plan(), original="clean.safetensors")


def test_whoever_can_graft_pays_for_the_choice_also_when_asking_plainly():
    key = new_key(revival=plan().to_json())
    found = penalties(measure(key, ScriptedSuspect([3] * 100), ThrowAwayJournal()))
    assert {one.name: one.alternatives for one in found}["revival"] == 2


def test_the_places_are_fixed_with_the_root_and_secret():
    key, other = new_key(revival=plan().to_json()), new_key(1, revival=plan().to_json())
    assert len(key.seed(CODE)) == 32
    assert key.seed(CODE) == new_key(revival=plan().to_json()).seed(CODE)
    assert len({key.seed(CODE), key.seed("another use"), other.seed(CODE)}) == 3
    openings = [key.opening(ONLY_SET, place) for place in range(100)]
    framed = b"".join(len(part).to_bytes(8, "big") + part for part in (CODE.encode(), *openings))
    assert key.seed(CODE) == hashlib.sha256(framed).digest()
