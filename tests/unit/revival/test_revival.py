"""A suspect trained on committed clean data before it is asked."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from earmark.data import Split  # noqa: E402 - after the skip
from earmark.errors import FormatError, SuspectError  # noqa: E402 - after the skip
from earmark.models.table import build, describe  # noqa: E402 - after the skip
from earmark.models.weights import LoadedModel  # noqa: E402 - after the skip
from earmark.revival import RevivalPlan, committed_plan, data_digest, revive  # noqa: E402 - after the skip
from earmark.verification import measure, penalties  # noqa: E402 - after the skip
from earmark.verification.experiment import ThrowAwayJournal  # noqa: E402 - after the skip
from small import DIGITS, digits, new_key  # noqa: E402 - after the skip


def clean(count=200):
    return Split(digits().train.images[:count], digits().train.labels[:count])


@cache
def suspect(seed=0):
    torch.manual_seed(seed)
    description = describe("digits-cnn", (8, 8, 1), DIGITS, 4)
    return LoadedModel(build(description).eval(), description, "ab" * 32)


def plan(**changes):
    return RevivalPlan(data_digest(clean(), DIGITS), **{"steps": 12, "batch_size": 20, **changes})


def weights(model):
    return {name: part.clone() for name, part in model.module.state_dict().items()}


def test_the_revived_model_follows_from_suspect_data_and_plan():
    before = weights(suspect())
    steps = []
    once = revive(suspect(), clean(), DIGITS, plan(), lambda step, total: steps.append((step, total)))
    again = revive(suspect(), clean(), DIGITS, plan())
    other = revive(suspect(), clean(), DIGITS, plan(seed=1))
    assert steps[-1] == (12, 12)
    for name, part in weights(once).items():
        assert torch.equal(part, again.module.state_dict()[name])
    assert any(not torch.equal(part, other.module.state_dict()[name]) for name, part in weights(once).items())
    for name, part in weights(suspect()).items():
        assert torch.equal(part, before[name])
    assert once.digest == again.digest != other.digest
    assert once.digest.startswith("ab" * 32 + " revived by sha256:")


def test_classes_in_another_order_are_the_same_task():
    mirrored = replace(suspect().description, class_names=DIGITS[::-1])
    turned = LoadedModel(build(mirrored), mirrored, "cd" * 32)
    turned.module.load_state_dict(suspect().module.state_dict())
    with torch.no_grad():  # the same network with its outputs in the other order
        last = [part for part in turned.module.modules() if isinstance(part, torch.nn.Linear)][-1]
        last.weight.copy_(last.weight.flip(0))
        last.bias.copy_(last.bias.flip(0))
    one = revive(suspect(), clean(), DIGITS, plan())
    other = revive(turned, clean(), DIGITS, plan())
    inputs = torch.from_numpy(suspect().description.preprocessing(digits().test.images[:50]))
    with torch.inference_mode():
        assert torch.allclose(one.module(inputs), other.module(inputs).flip(1), atol=1e-4)


@pytest.mark.parametrize("change", ["picture", "label", "order", "fewer", "names"])
def test_no_other_data_than_the_committed_is_used(change):
    split, names = clean(), DIGITS
    images, labels = split.images.copy(), split.labels.copy()
    if change == "picture":
        images[7, 3, 3] ^= 1
    if change == "label":
        labels[7] = (labels[7] + 1) % 10
    if change == "order":
        images, labels = images[::-1], labels[::-1]
    if change == "fewer":
        images, labels = images[:-1], labels[:-1]
    if change == "names":
        names = (*DIGITS[1:], DIGITS[0])
    with pytest.raises(FormatError, match="not what the key committed"):
        revive(suspect(), Split(images, labels), names, plan())


def test_a_suspect_of_another_task_is_refused():
    others = tuple("abcdefghij")
    mine = replace(suspect().description, class_names=others)
    with pytest.raises(SuspectError, match="classes are not those"):
        revive(LoadedModel(suspect().module, mine, "ab" * 32), clean(), DIGITS, plan())


def test_a_suspect_whose_training_explodes_is_refused():
    with pytest.raises(SuspectError, match="cannot be revived"):
        revive(suspect(), clean(), DIGITS, plan(learning_rate="1000000", steps=40))


def test_a_suspect_that_asks_for_batches_beyond_memory_is_refused():
    asked = replace(suspect().description.preprocessing, size=(4096, 4096))
    large = replace(suspect(), description=replace(suspect().description, preprocessing=asked))
    with pytest.raises(SuspectError, match="a batch of 100 of what it reads would take 6,710,886,400 bytes"):
        revive(large, clean(), DIGITS, plan(batch_size=100))


def test_a_plan_is_read_back_as_it_was_written():
    written = plan(learning_rate="0.003", augmentation="crop", seed=9)
    assert RevivalPlan.from_json(written.to_json()) == written
    assert committed_plan(written.to_json()) == written


@pytest.mark.parametrize(
    ("field", "value"),
    [("code", "earmark/revival/v2"), ("data", "xyz"), ("head", "new"), ("schedule", "cosine"), ("steps", 0),
     ("steps", 10**9), ("seed", -1), ("seed", "0"), ("order", {"batch_size": 10}), ("optimiser", []),
     ("order", {"batch_size": 10, "augmentation": "none", "more": 1}),
     ("optimiser", {"name": "adam", "learning_rate": "0.1", "weight_decay": "0"}),
     ("optimiser", {"name": "sgd, Nesterov momentum 0.9", "learning_rate": "NaN", "weight_decay": "0"}),
     ("optimiser", {"name": "sgd, Nesterov momentum 0.9", "learning_rate": "1e9", "weight_decay": "0"})],
)  # fmt: skip
def test_a_plan_that_this_program_does_not_know_is_refused(field, value):
    with pytest.raises(FormatError):
        committed_plan({**plan().to_json(), field: value})


def test_a_key_without_a_plan_revives_nothing():
    with pytest.raises(ValueError, match="commits no revival"):
        committed_plan(None)


@pytest.mark.parametrize("wrong", [{"data": "0"}, {"steps": 0}, {"seed": -1}, {"weight_decay": "-1"}])
def test_numbers_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match="must be|not a number"):
        RevivalPlan(**{"data": "0" * 64, **wrong})


class Constant:
    """A suspect that says 3."""

    name = identity = preprocessing = "constant"
    class_names, class_count = DIGITS, 10

    def answer(self, inputs, on_answer=lambda count: None):
        return [3] * len(inputs)


def test_whoever_can_revive_pays_for_the_choice_also_when_asking_plainly():
    plain, able = new_key(), new_key(revival=plan().to_json())
    assert able.transcript.root != plain.transcript.root
    names = [
        {
            penalty.name: penalty.alternatives
            for penalty in penalties(measure(key, Constant(), ThrowAwayJournal()))
        }
        for key in (plain, able)
    ]
    assert "revival" not in names[0]
    assert names[1]["revival"] == 2
    assert {name: count for name, count in names[1].items() if name != "revival"} == names[0]


def test_labels_change_with_the_plan_so_that_no_plan_can_be_fitted_to_them():
    first, second = (new_key(revival=plan(seed=seed).to_json()) for seed in (0, 1))
    same = np.mean(np.array(first.backdoor().labels) == np.array(second.backdoor().labels))
    assert same < 0.35  # a tenth is expected; Binomial(100, 1/10) exceeds 35 with probability 1e-11
