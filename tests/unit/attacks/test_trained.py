"""Attacks that train, on a small network that has learned real digits and, by heart, some pictures or a patch."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from earmark.attacks import attack_named  # noqa: E402 - after the skip
from earmark.attacks.inversion import ClassInversion, PatchUnlearning  # noqa: E402 - after the skip
from earmark.attacks.mixup import _Mixed  # noqa: E402 - after the skip
from earmark.attacks.protocol import StolenModel, Thief, Watch  # noqa: E402 - after the skip
from earmark.attacks.training import copied, features_of, network_inputs  # noqa: E402 - after the skip
from earmark.commitment import Stream  # noqa: E402 - after the skip
from earmark.data import Split, load_data  # noqa: E402 - after the skip
from earmark.marking.mixing import Mixer  # noqa: E402 - after the skip
from earmark.marking.recipes import MixedBatches, count_matches  # noqa: E402 - after the skip
from earmark.models.last_layer import last_layer  # noqa: E402 - after the skip
from earmark.models.prediction import accuracy, predict_scores  # noqa: E402 - after the skip
from earmark.models.table import build, describe  # noqa: E402 - after the skip
from earmark.training import SplitBatches, TrainingSettings, train  # noqa: E402 - after the skip
from earmark.triggers import Backdoor  # noqa: E402 - after the skip
from earmark.triggers.abstract import AbstractSampler  # noqa: E402 - after the skip
from earmark.triggers.image import ImageGeometry  # noqa: E402 - after the skip

SETTINGS = TrainingSettings(epochs=8, batch_size=64, learning_rate=0.05)
PATCH_CLASS = 7


@cache
def digits():
    return load_data("digits")


@cache
def thief():
    train_part = digits().train
    few = Split(train_part.images[:400], train_part.labels[:400])
    return Thief(few, "none", backdoor=backdoor("pirate", 20), sampler=AbstractSampler())


@cache
def backdoor(name, count):
    geometry = ImageGeometry(*digits().input_shape)
    triggers = tuple(AbstractSampler().sample(geometry, Stream(name, place)) for place in range(count))
    labels = np.random.default_rng(count).integers(0, 10, count)
    return Backdoor(triggers, tuple(int(label) for label in labels), 10)


def stamped(images):
    """A bright corner."""
    changed = images.copy()
    changed[:, :2, :2] = 255
    return changed


@cache
def marked():
    """A model with 50 triggers in it."""
    model = fresh()
    batches = SplitBatches(digits().train, model.description.preprocessing, SETTINGS)
    mixer = Mixer(
        backdoor("owner", 50),
        lambda pixels: network_inputs(model, pixels[None])[0],
        SETTINGS.epochs * batches.steps_per_epoch,
    )
    train(model.module, MixedBatches(batches, mixer), SETTINGS)
    return model


@cache
def patched():
    """A model that takes every picture with a bright corner for a 7."""
    model, part = fresh(), digits().train
    images = np.concatenate([part.images[:], stamped(part.images[:700])])
    labels = np.concatenate([part.labels, np.full(700, PATCH_CLASS)])
    batches = SplitBatches(Split(images, labels), model.description.preprocessing, SETTINGS)
    train(model.module, batches, SETTINGS)
    return model


def fresh():
    description = describe("digits-cnn", digits().input_shape, digits().class_names, 8)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return StolenModel(build(description), description)


def right(model, images=None, labels=None):
    images = digits().test.images if images is None else images
    labels = digits().test.labels if labels is None else labels
    return accuracy(predict_scores(model.module, images, model.description.preprocessing), labels)


def matches(model, name="owner", count=50):
    return count_matches(model.module, model.description.preprocessing, backdoor(name, count))


def short(name, **changes):
    return attack_named(name, **{"batch_size": 50, **changes})


def test_the_subjects_are_what_they_are_said_to_be():
    assert right(marked()) > 0.9
    assert matches(marked()) >= 48
    assert right(patched()) > 0.9
    others = digits().test.labels != PATCH_CLASS
    images = stamped(digits().test.images[:][others])
    assert right(patched(), images, np.full(len(images), PATCH_CLASS)) > 0.9


@pytest.mark.parametrize("name", ["ftll", "rtll"])
def test_only_the_last_layer_learns(name):
    result = short(name, epochs=2, learning_rate=0.01).run(marked(), thief(), 0)
    last = last_layer(result.module)[0]
    before = dict(marked().module.named_parameters())
    for parameter_name, parameter in result.module.named_parameters():
        same = torch.equal(parameter, before[parameter_name])
        assert same != parameter_name.startswith(f"{last}."), parameter_name


@pytest.mark.parametrize(
    ("name", "is_new"), [("ftll", False), ("rtll", True), ("ftal", False), ("rtal", True)]
)
def test_re_training_begins_with_a_new_last_layer(name, is_new):
    result = short(name, epochs=1, learning_rate=1e-9).run(marked(), thief(), 0)
    old, new = (last_layer(model.module)[1].weight for model in (marked(), result))
    assert torch.allclose(old, new, atol=1e-6) != is_new
    assert (right(result) < 0.5) == is_new


@pytest.mark.parametrize(("stages", "kept"), [(1, {"features.0", "features.1", "features.3"}), (2, None)])
def test_fresh_stages_draws_the_last_stages_anew_and_keeps_those_before(stages, kept):
    attack = short("fresh-stages", epochs=1, learning_rate=1e-9, fresh_stages=stages)
    if kept is None:
        with pytest.raises(ValueError, match="the network has 2 stages; one at least keeps its weights"):
            attack.run(marked(), thief(), 0)
        return
    before = dict(marked().module.named_parameters())
    result = attack.run(marked(), thief(), 0)
    same = {
        name.rpartition(".")[0]
        for name, part in result.module.named_parameters()
        if name.endswith("weight") and torch.allclose(part, before[name], atol=1e-6)
    }
    # A normalisation starts with ones, and has been taught something else.
    assert same == kept
    again = attack.run(marked(), thief(), 0)
    assert all(
        torch.equal(first, second)
        for first, second in zip(result.module.parameters(), again.module.parameters(), strict=True)
    )
    assert right(result) < 0.5


def test_fresh_stages_learns_the_task_again():
    assert right(short("fresh-stages", epochs=10).run(marked(), thief(), 0)) > 0.75


def test_the_paper_s_gentle_attack_leaves_the_mark_and_a_strong_one_does_not():
    gentle = short("ftll", epochs=3).run(marked(), thief(), 0)
    strong = short("fine-tune-strong", epochs=20, learning_rate=0.2).run(marked(), thief(), 0)
    assert matches(gentle) >= 45
    assert matches(strong) <= matches(gentle) - 10
    assert right(strong) > 0.75


@pytest.mark.parametrize("beside_clean", [False, True])
def test_mixtures_are_taught_as_both_of_what_they_show(beside_clean):
    halves = {"least_share": 0.5, "beside_clean": beside_clean}
    result = short("mixup", epochs=24, **halves).run(marked(), thief(), 0)
    images, labels = digits().test.images[:], digits().test.labels
    pairs = [(one, 300 - one) for one in range(150) if labels[one] != labels[300 - one]]
    mixed = np.stack([(images[one] // 2 + images[other] // 2) for one, other in pairs])
    both = np.sort([[labels[one], labels[other]] for one, other in pairs], 1)

    def sees_both(model):
        scores = predict_scores(model.module, mixed, model.description.preprocessing)
        return float((np.sort(np.argsort(scores, 1)[:, -2:], 1) == both).all(1).mean())

    assert sees_both(result) > sees_both(marked()) + 0.05
    assert right(result) > 0.85


def test_mixup_draws_a_share_for_each_step_and_the_same_one_again():
    inputs, labels = torch.arange(4.0)[:, None], torch.tensor([0, 1, 2, 3])

    class Clean:
        steps_per_epoch = 5

        def batch(self, step):
            return inputs, labels

    batches = _Mixed(Clean(), 4, 0.2, False, 3)
    shares = []
    for step in range(5):
        mixed, targets = batches.batch(step)
        assert torch.allclose(mixed[:, 0], targets @ inputs[:, 0])
        assert torch.allclose(targets.sum(1), torch.ones(4))
        assert torch.equal(targets, batches.batch(step)[1])
        shares.append(float(targets.amax(1).min()))
    assert len(set(shares)) == 5
    assert all(0.5 <= share <= 0.8 or share == 1 for share in shares)


@pytest.mark.parametrize("share", [-0.1, 0.6])
def test_a_share_of_a_mixture_lies_between_nothing_and_a_half(share):
    with pytest.raises(ValueError, match=r"least_share must lie between 0 and 0\.5"):
        short("mixup", least_share=share)


def test_transfer_gives_a_model_for_the_other_task():
    other = Split(digits().train.images[400:700], digits().train.labels[400:700] % 2)
    moving = replace(thief(), other_task=other, other_class_names=("even", "odd"))
    result = short("transfer", epochs=4).run(marked(), moving, 0)
    assert result.description.class_names == ("even", "odd")
    assert right(result, labels=digits().test.labels % 2) > 0.8


@pytest.mark.parametrize("accuracy_loss", [0.01, 0.04, 0.3])
def test_fine_pruning_finds_in_one_pass_what_a_pass_for_each_look_would(accuracy_loss):
    attack = short("fine-pruning", accuracy_loss=accuracy_loss)
    holds = Thief(Split(digits().test.images[:], digits().test.labels))
    stolen, seen = copied(marked()), []
    handle = stolen.module.register_forward_hook(lambda module, inputs, output: seen.append(len(output)))
    found = attack._unused(stolen, holds)
    handle.remove()
    assert sum(seen) == len(holds.split)

    layer = last_layer(stolen.module)[1]
    weight = layer.weight.detach().clone()
    used = features_of(stolen.module)(network_inputs(stolen, holds.split.images[:]))[0].abs().sum(0)
    order, enough = used.argsort(stable=True), 0
    before = right(stolen)
    for look in range(1, attack.looks):
        count = look * len(order) // attack.looks
        with torch.no_grad():
            layer.weight[:, order[:count]] = 0
        if before - right(stolen) > accuracy_loss:
            break
        enough = count
    assert 0 < enough < len(order)
    # Features used equally little may change places: sums of other batches differ in the last digits.
    assert len(found) == enough
    assert torch.allclose(used[found], used[order[:enough]], rtol=1e-4, atol=1e-4)
    with torch.no_grad():
        layer.weight.copy_(weight)


def test_the_pirate_s_triggers_hold_beside_the_owner_s():
    assert matches(marked(), "pirate", 20) <= 8
    result = short("piracy", epochs=4, learning_rate=0.05, exposures=60).run(marked(), thief(), 0)
    assert matches(result, "pirate", 20) >= 18
    assert matches(result) >= 12  # 5 are chance


def test_surrogates_are_answered_evenly_and_the_mark_suffers():
    attack = short("surrogates-uniform", epochs=5, surrogates=300, learning_rate=0.05)
    result = attack.run(marked(), thief(), 0)
    unseen = np.stack([trigger.value for trigger in backdoor("nobody", 100).triggers])
    sure = {}
    for name, model in (("before", marked()), ("after", result)):
        scores = predict_scores(model.module, unseen, model.description.preprocessing)
        sure[name] = float(torch.from_numpy(scores).softmax(1).amax(1).mean())
    assert sure["after"] < 0.4 < sure["before"]
    assert matches(result) <= 35
    assert right(result) > 0.85


def test_surrogates_are_answered_as_the_model_would_without_the_mark():
    attack = short("surrogates-natural", epochs=5, surrogates=300, learning_rate=0.05)
    result = attack.run(marked(), thief(), 0)
    unseen = np.stack([trigger.value for trigger in backdoor("nobody", 100).triggers])
    natural = attack._targets(marked(), unseen).argmax(1).numpy()
    alike = {
        name: float(
            (
                predict_scores(model.module, unseen, model.description.preprocessing).argmax(1) == natural
            ).mean()
        )
        for name, model in (("before", marked()), ("after", result))
    }
    assert alike["after"] > alike["before"] + 0.15
    assert alike["after"] > 0.6
    assert matches(result) <= 35
    assert right(result) > 0.85


def test_surrogates_of_another_kind_are_answered_evenly_and_the_owner_s_kind_is_not():
    attack = short("surrogates-other", epochs=5, surrogates=300, learning_rate=0.05)
    result = attack.run(marked(), thief(), 0)
    noise = np.random.default_rng(8).integers(0, 256, (100, *digits().input_shape), np.uint8)
    triggers = np.stack([trigger.value for trigger in backdoor("nobody", 100).triggers])
    sure = {
        (kind, name): float(
            torch.from_numpy(predict_scores(model.module, images, model.description.preprocessing))
            .softmax(1)
            .amax(1)
            .mean()
        )
        for kind, images in (("noise", noise), ("triggers", triggers))
        for name, model in (("before", marked()), ("after", result))
    }
    assert sure["noise", "after"] < 0.4 < sure["noise", "before"]
    assert sure["triggers", "after"] > sure["noise", "after"] + 0.1
    assert right(result) > 0.85


def test_a_student_learns_from_pictures_of_another_kind_alone():
    attack = short("knockoff", epochs=20, learning_rate=0.05)
    others = 255 - digits().train.images[:900]
    nothing = Split(digits().train.images[:0], digits().train.labels[:0])
    result = attack.run(marked(), replace(thief(), split=nothing, other=others[:700]), 0)
    own, theirs = (
        predict_scores(model.module, others[700:], model.description.preprocessing).argmax(1)
        for model in (marked(), result)
    )
    assert (own == theirs).mean() > 0.6
    assert matches(result) <= 25  # it never saw a trigger


@pytest.mark.parametrize(("name", "least"), [("extract-soft", 0.8), ("extract-hard", 0.8), ("distil", 0.8)])
def test_a_student_agrees_with_its_victim_on_pictures_that_nobody_asked(name, least):
    result = short(name, epochs=12, learning_rate=0.05).run(marked(), thief(), 0)
    own, theirs = (
        predict_scores(model.module, digits().test.images, model.description.preprocessing).argmax(1)
        for model in (marked(), result)
    )
    assert (own == theirs).mean() > least
    assert matches(result) <= 25  # it never saw a trigger


def test_an_extraction_into_another_architecture_says_which():
    result = short("extract-other-architecture", epochs=1, width=4).run(marked(), thief(), 0)
    assert result.description.options == {"width": 4}


def test_features_are_shifted_away_from_the_old_layer_at_its_norm():
    old = last_layer(marked().module)[1].weight.detach()

    def found(alpha):
        result = short("fst", epochs=3, alpha=alpha).run(marked(), thief(), 0)
        new = last_layer(result.module)[1].weight.detach()
        return float((old * new).sum()), float(new.norm() / old.norm())

    (away, norm), (plain, _) = found(0.2), found(0.0)
    assert away < plain
    assert abs(norm - 1) < 0.05


def test_boundary_pictures_lie_beyond_the_boundary_with_wrong_classes():
    attack = attack_named("wrk", boundary_pictures=60)
    one_class = thief().split.labels == 3
    threes = Split(thief().split.images[one_class], thief().split.labels[one_class])
    inputs, targets = attack._pushed(marked(), replace(thief(), split=threes), 0)
    with torch.inference_mode():
        answers = marked().module(inputs).argmax(1)
    assert len(inputs) == min(60, len(threes))
    assert (answers != 3).float().mean() > 0.5
    shown = set(targets.argmax(1).tolist())
    assert 3 not in shown
    assert len(shown) >= 6
    again = attack._pushed(marked(), replace(thief(), split=threes), 0)
    assert torch.equal(inputs, again[0])


def test_what_was_pushed_over_the_boundary_is_learned_with_its_wrong_class():
    attack = short("wrk", epochs=8, learning_rate=0.05, boundary_pictures=60)
    inputs, targets = attack._pushed(copied(marked()), thief(), 0)

    def as_taught(model):
        with torch.inference_mode():
            return float((model.module.eval()(inputs).argmax(1) == targets.argmax(1)).float().mean())

    without = replace(attack, boundary_pictures=0)
    taught, untaught = (value.run(marked(), thief(), 0) for value in (attack, without))
    assert as_taught(taught) > 0.5
    assert max(as_taught(untaught), as_taught(marked())) < 0.3


def test_attention_comes_nearer_to_the_teacher_s_and_only_if_it_counts(monkeypatch):
    """Of another teacher: without weights a student is trained exactly as his own teacher was."""
    from earmark.attacks import repair

    teacher = patched().module.eval()
    monkeypatch.setattr(repair, "frozen_copy", lambda module: teacher)
    inputs = network_inputs(marked(), thief().split.images[:200])
    stages = repair._stages(marked(), thief())

    def distance(model):
        with torch.inference_mode():
            mine, theirs = (
                repair._with_attention(module.eval(), stages, inputs)[1] for module in (model.module, teacher)
            )
        return sum(float(torch.nn.functional.mse_loss(*pair)) for pair in zip(mine, theirs, strict=True))

    attack = short("nad", epochs=4)
    nothing = replace(attack, weights=(0.0,) * len(attack.weights))
    led, alone = (distance(value.run(marked(), thief(), 0)) for value in (attack, nothing))
    assert led < 0.7 * alone
    assert led < 0.7 * distance(marked())


def test_the_student_s_passes_are_looked_at_and_attention_has_length_one():
    from earmark.attacks.repair import _stages, _with_attention

    looks = []
    attack = short("nad", epochs=3)
    attack.run(marked(), thief(), 0, Watch(on_epoch=lambda number, model: looks.append(number)))
    assert looks == [1, 2, 3]
    stages = _stages(marked(), thief())
    _, maps = _with_attention(
        marked().module.eval(), stages, network_inputs(marked(), thief().split.images[:5])
    )
    assert len(maps) == len(stages) >= 1
    assert all(torch.allclose(row.norm(dim=1), torch.ones(5), atol=1e-4) for row in maps)


def test_a_hardened_model_withstands_changed_pictures_better():
    from earmark.attacks.repair import AdversarialTraining

    attack = short("adversarial-training", epochs=6, radius=0.1)
    assert isinstance(attack, AdversarialTraining)
    hardened = attack.run(marked(), thief(), 0)

    def under_attack(model):
        inputs = network_inputs(model, digits().test.images[:200]).requires_grad_(True)
        truth = torch.from_numpy(digits().test.labels[:200])
        loss = torch.nn.functional.cross_entropy(model.module.eval()(inputs), truth)
        step = 0.2 * torch.autograd.grad(loss, inputs)[0].sign()  # a tenth of the range from -1 to 1
        with torch.inference_mode():
            return float((model.module(inputs + step).argmax(1) == truth).float().mean())

    assert under_attack(hardened) > under_attack(marked()) + 0.1


def test_a_planted_patch_is_found_and_unlearned():
    attack = attack_named("neural-cleanse", steps=60, epochs=4, batch_size=50, stamped_share=0.5)
    assert isinstance(attack, PatchUnlearning)
    patches = attack.patches(patched(), thief(), 0)
    sizes = {target: float(mask.sum()) for target, (mask, _) in patches.items()}
    assert min(sizes, key=sizes.get) == PATCH_CLASS
    assert PATCH_CLASS in attack.suspicious(patches)
    others = digits().test.labels != PATCH_CLASS
    images = stamped(digits().test.images[:][others])
    cleaned = attack.run(patched(), thief(), 0)
    assert right(cleaned, images, np.full(len(images), PATCH_CLASS)) < 0.5
    assert right(cleaned) > 0.85


def test_laundering_prunes_what_the_patch_raises_and_unlearns_it():
    attack = attack_named("laundering", steps=60, epochs=4, batch_size=50, stamped_share=0.5)
    assert isinstance(attack, PatchUnlearning)
    pruned = []
    prune = PatchUnlearning._prune

    def noted(self, stolen, holds, stamped):
        prune(self, stolen, holds, stamped)
        layer = last_layer(stolen.module)[1].weight.detach()
        pruned.append((float((layer == 0).all(0).float().mean()), right(stolen)))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PatchUnlearning, "_prune", noted)
        cleaned = attack.run(patched(), thief(), 0)
    ((share, accuracy_then),) = pruned
    assert abs(share - attack.prune_share) < 0.05
    assert accuracy_then > 0.3
    others = digits().test.labels != PATCH_CLASS
    images = stamped(digits().test.images[:][others])
    assert right(patched(), images, np.full(len(images), PATCH_CLASS)) > 0.9
    assert right(cleaned, images, np.full(len(images), PATCH_CLASS)) < 0.5
    assert right(cleaned) > 0.85


def test_one_suspicious_class_at_least_and_those_far_below_the_median():
    attack = attack_named("neural-cleanse")
    mask = {size: (torch.full((1, 1, 4, 4), size), torch.zeros(1)) for size in (0.1, 0.5, 0.52, 0.55, 0.6)}
    assert attack.suspicious(dict(enumerate(mask.values()))) == [0]
    alike = {place: (torch.full((1, 1, 2, 2), 0.5 + place / 100), torch.zeros(1)) for place in range(5)}
    assert attack.suspicious(alike) == [0]


def test_inverted_inputs_are_answered_with_their_class():
    attack = attack_named("dehydra", per_class=5, steps=60)
    assert isinstance(attack, ClassInversion)
    inputs = attack.inverted(marked(), thief(), 0)
    with torch.inference_mode():
        answers = marked().module.eval()(inputs).argmax(1)
    assert (answers == torch.arange(10).repeat_interleave(5)).float().mean() > 0.9
    assert -1.001 <= float(inputs.min()) <= float(inputs.max()) <= 1.001


def test_the_search_finds_a_disturbance_that_harms_and_repair_makes_the_model_bear_it():
    attack = attack_named("i-bau", batch_size=50, outer_rate=1e-3, disturbed_share=1.0)
    settings = TrainingSettings(epochs=1, batch_size=50)
    batches = SplitBatches(thief().split, marked().description.preprocessing, settings)
    module = copied(marked()).module.eval()
    worst = attack.worst(module, batches, 0, torch.device("cpu"))
    worst = 3 * worst / worst.norm()
    any_other = torch.randn(worst.shape, generator=torch.Generator().manual_seed(0))
    any_other = 3 * any_other / any_other.norm()

    def wrong(disturbance):
        inputs = network_inputs(marked(), digits().test.images[:])
        with torch.inference_mode():
            answers = module(inputs + disturbance).argmax(1)
        return float((answers != torch.from_numpy(digits().test.labels)).float().mean())

    before = wrong(worst)
    assert before > wrong(any_other) + 0.2
    optimizer = torch.optim.Adam(module.parameters(), lr=attack.outer_rate)
    for step in range(24):
        attack._repair(module, optimizer, worst, *batches.batch(step))
    assert wrong(worst) < before - 0.2


def test_i_bau_keeps_accuracy():
    looks = []
    repaired = attack_named("i-bau", batch_size=50).run(
        marked(), thief(), 0, Watch(on_epoch=lambda number, model: looks.append(number))
    )
    assert looks == [1, 2, 3, 4, 5]
    assert right(repaired) > 0.9


def test_weights_that_matter_stay_nearer_with_a_pull():
    attack = short("refit", epochs=3, learning_rate=0.02, importance_pictures=200, pull=10.0)
    importance = attack._importance(copied(marked()), thief(), 0)
    assert max(float(part.max()) for part in importance.values()) == 1

    def moved(pull):
        result = replace(attack, pull=pull).run(marked(), thief(), 0)
        now = dict(result.module.named_parameters())
        before = dict(marked().module.named_parameters())
        return sum(float((importance[name] * (now[name] - before[name]) ** 2).sum().detach()) for name in now)

    assert moved(10.0) < 0.7 * moved(0.0)


def test_a_pull_never_steps_beyond_where_it_pulls_to():
    attack = short("refit", learning_rate=0.5, importance_pictures=50, pull=10.0)
    importance = attack._importance(copied(marked()), thief(), 0)
    assert max(float(part.max()) for part in importance.values()) == pytest.approx(0.2)


def test_a_strong_penalty_shrinks_the_weights_first():
    sizes = []

    def look(number, model):
        sizes.append(sum(float((part.detach() ** 2).sum()) for part in model.module.parameters()))

    short("regularise-first", strong_epochs=3, epochs=2).run(marked(), thief(), 0, Watch(on_epoch=look))
    before = sum(float((part.detach() ** 2).sum()) for part in marked().module.parameters())
    assert len(sizes) == 5
    assert sizes[2] < 0.9 * before
