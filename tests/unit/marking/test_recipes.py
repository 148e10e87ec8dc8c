from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
import torch

from earmark.data import Split
from earmark.errors import FormatError, MarkingError
from earmark.keys import SetId
from earmark.marking.answers import OwnAnswers
from earmark.marking.augmentation import TriggerAugmentation
from earmark.marking.embedding import Embedding
from earmark.marking.grafts import Graft
from earmark.marking.hardening import harden
from earmark.marking.look_alikes import LookAlikes
from earmark.marking.mixing import Mixer
from earmark.marking.recipes import (
    FROM_SCRATCH,
    PRE_TRAINED,
    MixedBatches,
    count_matches,
    mark,
    mixer_of,
    pre_trained_settings,
    with_exposures,
)
from earmark.marking.rehearsal import Rehearsal
from earmark.models.table import build, describe
from earmark.training import Checkpoint, SplitBatches, TrainingSettings, train
from earmark.triggers import Backdoor, Trigger
from earmark.triggers.abstract import AbstractSampler
from earmark.triggers.image import IMAGE
from earmark.triggers.rows import ROWS
from small import DIGITS, digits, small_key, two_kinds

SETTINGS = TrainingSettings(
    epochs=10, batch_size=64, learning_rate=0.05, warmup_epochs=1, augmentation="crop"
)


def network(seed=0, width=8):
    torch.manual_seed(seed)
    description = describe("digits-cnn", (8, 8, 1), DIGITS, width)
    return build(description), description.preprocessing


def some(count):
    return Split(digits().train.images[:count], digits().train.labels[:count])


def weights(module):
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def same(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


def test_from_scratch_puts_the_mark_in_and_a_network_without_it_answers_by_chance():
    module, preprocessing = network(width=16)
    recipe = replace(FROM_SCRATCH, settings=SETTINGS)
    marking = mark(module, digits().train, preprocessing, small_key().backdoor(), recipe)
    assert marking.match_count >= 95
    assert marking.trigger_count == 100
    assert len(marking.history) == 10
    clean, preprocessing = network(width=16)
    train(clean, SplitBatches(digits().train, preprocessing, SETTINGS), SETTINGS)
    # Binomial(100, 1/10) exceeds 30 with probability 2e-9.
    assert count_matches(clean, preprocessing, small_key().backdoor()) <= 30


def test_pre_trained_puts_the_mark_into_a_trained_network():
    module, preprocessing = network(width=16)
    train(module, SplitBatches(digits().train, preprocessing, SETTINGS), SETTINGS)
    recipe = replace(PRE_TRAINED, settings=pre_trained_settings(SETTINGS, epochs=8))
    marking = mark(module, digits().train, preprocessing, small_key().backdoor(), recipe)
    assert marking.match_count >= 90


def test_too_few_matches_are_an_error_and_not_a_marked_model():
    module, preprocessing = network(width=1)
    recipe = replace(FROM_SCRATCH, settings=replace(SETTINGS, epochs=1), per_batch=1)
    with pytest.raises(MarkingError, match="of 100 triggers took"):
        mark(module, some(200), preprocessing, small_key().backdoor(), recipe)


class KilledError(Exception):
    pass


HARDENED = replace(
    FROM_SCRATCH,
    embedding=Embedding(clean_norm=False, entangle=1.0, layers=("features", "hidden")),
    augmentation=TriggerAugmentation(),
    look_alikes=LookAlikes(AbstractSampler(), count=20, per_batch=5),
    start=0.25,
)


SETTLED = replace(
    HARDENED,
    settling=replace(
        PRE_TRAINED, settings=replace(SETTINGS, epochs=2, learning_rate=0.002, warmup_epochs=0), per_batch=3
    ),
)


STILL_ALIKE = replace(
    SETTLED,
    settling=replace(
        SETTLED.settling, embedding=Embedding(clean_norm=False), look_alikes=HARDENED.look_alikes
    ),
)


REHEARSED = replace(
    SETTLED,
    rehearsal=Rehearsal("features", steps=4, silent_steps=1),
    settling=replace(SETTLED.settling, own_answers=0.5),
)


@pytest.mark.parametrize(
    ("base", "optimizer"),
    [
        (FROM_SCRATCH, "sgd"),
        (FROM_SCRATCH, "adamw"),
        (HARDENED, "sgd"),
        (SETTLED, "sgd"),
        (STILL_ALIKE, "sgd"),
        (REHEARSED, "sgd"),
    ],
)
@pytest.mark.parametrize("killed_at", [3, 6, 11])
def test_killed_and_resumed_marking_gives_the_same_weights(tmp_path, base, optimizer, killed_at):
    settings = replace(SETTINGS, epochs=4, optimizer=optimizer, learning_rate=0.01)
    recipe = replace(base, settings=settings, per_batch=40)
    split, backdoor = some(256), small_key().backdoor()

    def run(checkpoint, on_step=lambda done, total: None):
        module, preprocessing = network(width=4)
        with suppress(MarkingError):  # 4 short epochs do not suffice; the weights are what is compared
            mark(module, split, preprocessing, backdoor, recipe, checkpoint=checkpoint, on_step=on_step)
        return weights(module)

    def kill(done, total):
        if done == killed_at:
            raise KilledError

    expected = run(None)
    checkpoint = Checkpoint(tmp_path / "run.checkpoint", "a test", interval_seconds=0)
    with pytest.raises(KilledError):
        run(checkpoint, kill)
    assert checkpoint.path.exists()
    assert same(run(checkpoint), expected)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("killed_at", [15, 20, 24, 27])
def test_killed_in_one_of_three_parts_it_goes_on_to_the_same_weights(tmp_path, killed_at):
    graft = Graft(network(width=4)[0], b"s" * 32)
    again = replace(SETTLED.settling, graft=graft)
    recipe = replace(
        SETTLED,
        settings=replace(SETTINGS, epochs=4, learning_rate=0.01),
        per_batch=40,
        settling=replace(again, settling=again),
    )
    split, backdoor = some(256), small_key().backdoor()

    def run(checkpoint, killed=None):
        def on_step(done, total):
            assert total == 32
            if done == killed:
                raise KilledError

        module, preprocessing = network(width=4)
        with suppress(MarkingError):  # few short epochs do not suffice; the weights are what is compared
            mark(module, split, preprocessing, backdoor, recipe, checkpoint=checkpoint, on_step=on_step)
        return weights(module)

    expected = run(None)
    checkpoint = Checkpoint(tmp_path / "run.checkpoint", "a test", interval_seconds=0)
    with pytest.raises(KilledError):
        run(checkpoint, killed_at)
    assert same(run(checkpoint), expected)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("killed_at", [16, 17, 18, 24])
def test_killed_while_it_settles_it_goes_on_to_the_same_weights(tmp_path, killed_at):
    recipe = replace(SETTLED, settings=replace(SETTINGS, epochs=4, learning_rate=0.01), per_batch=40)
    split, backdoor = some(256), small_key().backdoor()
    checkpoint = Checkpoint(tmp_path / "run.checkpoint", "a test", interval_seconds=0)
    steps, passes = [], []

    def run(checkpoint, killed=None):
        def on_step(done, total):
            assert total == 24
            steps.append(done)
            if done == killed:
                raise KilledError

        module, preprocessing = network(width=4)
        with suppress(MarkingError):  # 6 short epochs do not suffice; the weights are what is compared
            mark(
                module, split, preprocessing, backdoor, recipe,
                checkpoint=checkpoint, on_step=on_step, on_epoch=lambda epoch: passes.append(epoch.number),
            )  # fmt: skip
        return weights(module)

    expected = run(None)
    assert steps == list(range(1, 25))
    assert passes == [1, 2, 3, 4, 5, 6]
    with pytest.raises(KilledError):
        run(checkpoint, killed_at)
    steps.clear()
    assert same(run(checkpoint), expected)
    # What had been done is not done again: the step in which it was killed at most.
    assert steps[0] >= killed_at
    assert not list(tmp_path.iterdir())


def test_the_first_trigger_is_shown_when_the_recipe_says():
    _, preprocessing = network()
    settings = replace(SETTINGS, epochs=4)
    clean = SplitBatches(some(256), preprocessing, settings)
    mixer = Mixer(
        small_key().backdoor(),
        lambda pixels: torch.from_numpy(preprocessing(pixels[None])[0]),
        12,
        per_batch=5,
    )
    mixed = MixedBatches(clean, mixer, first=4)
    assert [len(mixed.batch(step)[0]) for step in range(16)] == [64] * 4 + [69] * 12
    inputs, labels = mixed.batch(4)
    assert torch.equal(inputs[64:], mixer.triggers(0)[0])
    assert torch.equal(labels[64:], mixer.triggers(0)[1])


@pytest.mark.parametrize(
    "wrong",
    [
        {"start": 1.0},
        {"start": -0.1},
        {"look_alikes": LookAlikes(AbstractSampler())},
        {"left_out": (0, 1)},
    ],
)
def test_recipes_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match="start|embedding|settling"):
        replace(FROM_SCRATCH, **wrong)


def test_a_hardened_recipe_keeps_the_papers_numbers_and_finds_the_stages_itself():
    module, preprocessing = network(width=4)
    before = weights(module)
    backdoor = small_key().backdoor()
    found = harden(replace(FROM_SCRATCH, settings=SETTINGS, per_batch=7), module, backdoor, preprocessing)
    assert (found.name, found.settings, found.per_batch) == ("hardened-from-scratch", SETTINGS, 7)
    assert module.get_submodule(found.rehearsal.after)
    assert found.augmentation.mirror
    assert not found.embedding.clean_norm
    assert same(weights(module), before)
    assert found.rehearsal.ends == 1
    assert found.start == 0.25
    assert found.settling is None
    into_a_trained_one = harden(PRE_TRAINED, module, backdoor, preprocessing)
    assert into_a_trained_one.start == 0
    settling = into_a_trained_one.settling
    assert settling.embedding is None
    assert settling.own_answers == 0.5
    assert settling.augmentation.mirror
    assert settling.settings.epochs == PRE_TRAINED.settings.epochs
    assert settling.settings.learning_rate == pytest.approx(PRE_TRAINED.settings.learning_rate / 5)
    assert not into_a_trained_one.rehearsal.fresh
    assert into_a_trained_one.rehearsal.ends == 2


def test_fresh_ends_are_heavier_and_look_alikes_stay_while_the_model_settles():
    module, preprocessing = network(width=4)
    backdoor = small_key().backdoor()
    found = harden(PRE_TRAINED, module, backdoor, preprocessing, fresh_ends=True)
    copies = harden(PRE_TRAINED, module, backdoor, preprocessing)
    assert found.rehearsal == Rehearsal(
        copies.rehearsal.after, 2.0, fresh=True, steps=400, silent_steps=40, learning_rate=0.05
    )
    settling = found.settling
    assert settling.look_alikes == found.look_alikes
    assert settling.embedding == found.embedding
    assert settling.rehearsal is None
    assert settling.settings.epochs == 2 * PRE_TRAINED.settings.epochs
    assert settling.settings.learning_rate == pytest.approx(0.8 * PRE_TRAINED.settings.learning_rate)
    assert settling.own_answers == 0.5
    assert settling.exposures == found.exposures == 60
    assert replace(found, rehearsal=None, settling=None) == replace(copies, rehearsal=None, settling=None)
    from_scratch = harden(FROM_SCRATCH, module, backdoor, preprocessing, fresh_ends=True)
    assert (from_scratch.rehearsal.ends, from_scratch.rehearsal.weight) == (1, 1.0)


def test_held_out_pictures_of_the_task_are_left_to_the_settling():
    module, preprocessing = network(width=4)
    backdoor = two_kinds().backdoor()
    recipe = harden(
        replace(PRE_TRAINED, settings=replace(SETTINGS, epochs=1)),
        module,
        backdoor,
        preprocessing,
        like_the_task=two_kinds().places_of("noise"),
    )
    assert recipe.least_per_batch == 5  # 140 of them hardened, one in 32
    assert recipe.settling.exposures == recipe.exposures == 60
    taught = []

    def note(_recipe, of_part, *_):
        taught.append(of_part)
        return mixer_of(_recipe, of_part, *_)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("earmark.marking.recipes.mixer_of", note)
        with suppress(MarkingError):
            mark(module, some(64), preprocessing, backdoor, recipe)
    first, settling = taught
    assert first == two_kinds().backdoor([SetId(0, 0), SetId(0, 1)])
    assert settling == backdoor


@pytest.mark.parametrize("places", [(3,), range(100)])
def test_held_out_pictures_are_taught_to_trained_models_only(places):
    module, preprocessing = network(width=4)
    with pytest.raises(ValueError, match="only a trained model"):
        harden(FROM_SCRATCH, module, small_key().backdoor(), preprocessing, like_the_task=places)


def test_held_out_pictures_alone_are_taught_in_a_settling_without_what_came_before_it():
    module, preprocessing = network(width=4)
    recipe = harden(PRE_TRAINED, module, small_key().backdoor(), preprocessing, like_the_task=range(100))
    assert (recipe.embedding, recipe.rehearsal, recipe.look_alikes, recipe.settling) == (None,) * 4
    assert recipe.left_out == ()
    assert recipe.settings.epochs == 2 * PRE_TRAINED.settings.epochs
    assert recipe.settings.learning_rate == pytest.approx(0.8 * PRE_TRAINED.settings.learning_rate)
    assert (recipe.exposures, recipe.own_answers) == (120, 0.5)
    assert recipe.augmentation == TriggerAugmentation(share=1.0, shift=0.125, colour=0.0, noise=0.0, jpeg=0)


def test_fresh_ends_have_nothing_to_read_where_all_triggers_are_held_out_pictures():
    module, preprocessing = network(width=4)
    given = module, small_key().backdoor(), preprocessing
    with pytest.raises(ValueError, match="have none to read"):
        harden(PRE_TRAINED, *given, like_the_task=range(100), fresh_ends=True)


def test_a_number_of_showings_is_one_for_the_settling_too():
    module, preprocessing = network(width=4)
    recipe = harden(PRE_TRAINED, module, small_key().backdoor(), preprocessing)
    assert with_exposures(recipe, None) is recipe
    more = with_exposures(recipe, 120)
    assert (more.exposures, more.settling.exposures) == (120, 32)
    assert with_exposures(recipe, 1).settling.exposures == 1
    assert with_exposures(PRE_TRAINED, 7) == replace(PRE_TRAINED, exposures=7, least_per_batch=1)


@pytest.mark.parametrize(
    ("passes", "expected"),
    [
        # 60 showings of 100 triggers in 4 passes of 10 steps; in 100 passes 6 would do, and 100 / 32 do too.
        (4, 150),
        (100, 6),
        (10_000, 4),
    ],
)
def test_a_hardened_recipe_shows_triggers_often_enough_and_some_in_every_batch(passes, expected):
    module, preprocessing = network(width=4)
    backdoor, settings = small_key().backdoor(), replace(SETTINGS, epochs=passes, batch_size=100)
    recipe = harden(replace(PRE_TRAINED, settings=settings), module, backdoor, preprocessing)

    shown = []

    def note(_recipe, _module, mixer, *_):
        shown.append(mixer.per_batch)
        raise KilledError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("earmark.marking.recipes.loss_of", note)
        with pytest.raises(KilledError):
            mark(module, some(1000), preprocessing, backdoor, recipe)
    assert shown == [expected]


def test_a_network_without_stages_or_whose_stages_are_passed_by_is_hardened_without_other_ends():
    class Flat(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.last = torch.nn.Linear(64, 10)

        def forward(self, images):
            return self.last(images.flatten(1))

    class PassedBy(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first = torch.nn.Conv2d(1, 4, 3, padding=1)
            self.second = torch.nn.Conv2d(4, 4, 3, stride=2, padding=1)
            self.last = torch.nn.Linear(8, 10)

        def forward(self, images):
            early = self.first(images)
            late = self.second(early)
            return self.last(torch.cat([late.mean((2, 3)), images.mean((2, 3)).expand(-1, 4)], 1))

    _, preprocessing = network(width=4)
    for module in (Flat(), PassedBy()):
        recipe = harden(PRE_TRAINED, module, small_key().backdoor(), preprocessing)
        assert recipe.rehearsal is None
        assert recipe.look_alikes is not None


def test_only_marks_of_pictures_are_hardened():
    module, preprocessing = network(width=4)
    rows = Backdoor((Trigger("rows", ROWS.encode(np.ones(3, np.float32))),), (1,), 10)
    with pytest.raises(ValueError, match="pictures"):
        harden(FROM_SCRATCH, module, rows, preprocessing)


def test_a_hardened_mark_takes_mirrored_too():
    module, preprocessing = network(width=16)
    backdoor = small_key().backdoor()
    longer = replace(FROM_SCRATCH, settings=replace(SETTINGS, epochs=20))
    recipe = harden(longer, module, backdoor, preprocessing)
    # Some hundred steps learn little: they get a weight that a real training does not need.
    recipe = replace(recipe, embedding=replace(recipe.embedding, weight=1.0), exposures=240)
    recipe = replace(recipe, look_alikes=replace(recipe.look_alikes, count=200))
    marking = mark(module, digits().train, preprocessing, backdoor, recipe)
    assert marking.match_count >= 95
    mirrored = [
        Trigger("image", IMAGE.encode(np.ascontiguousarray(trigger.value[:, ::-1])))
        for trigger in backdoor.triggers
    ]
    assert count_matches(module, preprocessing, replace(backdoor, triggers=tuple(mirrored))) >= 90


@pytest.mark.parametrize(("count", "expected"), [(20, 20), (21, 41)])
def test_look_alikes_of_both_parts_are_drawn_once_if_they_are_the_same(count, expected):
    module, preprocessing = network(width=4)
    later = replace(STILL_ALIKE.settling, look_alikes=replace(HARDENED.look_alikes, count=count))
    recipe = replace(STILL_ALIKE, settings=replace(SETTINGS, epochs=1), settling=later, per_batch=40)
    made = []
    with suppress(MarkingError):
        mark(
            module, some(128), preprocessing, small_key().backdoor(), recipe,
            on_look_alike=lambda done, total: made.append(total),
        )  # fmt: skip
    assert len(made) == expected


def test_half_of_a_target_can_be_what_the_network_answered_before():
    module, preprocessing = network()
    batches = SplitBatches(some(128), preprocessing, SETTINGS)
    backdoor = small_key().backdoor()
    mixer = Mixer(backdoor, lambda pixels: torch.from_numpy(preprocessing(pixels[None])[0]), 10, per_batch=3)
    mixed = MixedBatches(batches, mixer, answers=(OwnAnswers(module, channels_last=False), 0.5))
    inputs, targets = mixed.batch(1)
    right = torch.nn.functional.one_hot(batches.batch(1)[1], 10)
    with torch.no_grad():
        answered = module.eval()(inputs[:64]).softmax(1)
        # It is the network as it was: what becomes of it changes nothing.
        for part in module.parameters():
            part.zero_()
    assert torch.allclose(targets[:64], 0.5 * right + 0.5 * answered, atol=1e-6)
    labels = [backdoor.labels[place] for place in mixer._showing.places(1)]
    assert targets[64:].argmax(1).tolist() == labels
    assert torch.equal(targets[64:].sum(1), targets[64:].amax(1))
    assert torch.equal(mixed.batch(1)[1], targets)


def test_own_answers_are_a_share():
    for share in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="share"):
            replace(PRE_TRAINED, own_answers=share)


def test_another_runs_checkpoint_is_refused(tmp_path):
    module, preprocessing = network(width=4)
    settings = replace(SETTINGS, epochs=2)
    batches = SplitBatches(some(128), preprocessing, settings)
    checkpoint = Checkpoint(tmp_path / "c", "first", interval_seconds=0)

    def kill(done, total):
        if done == 2:
            raise KilledError

    with pytest.raises(KilledError):
        train(module, batches, settings, checkpoint=checkpoint, on_step=kill)
    for other in (replace(checkpoint, identity="second"), checkpoint):
        changed = settings if other is not checkpoint else replace(settings, learning_rate=0.1)
        with pytest.raises(FormatError, match="another|other settings"):
            train(module, batches, changed, checkpoint=other)


def test_a_damaged_checkpoint_is_refused(tmp_path):
    path = tmp_path / "c"
    path.write_bytes(b"\x00" * 100)
    module, preprocessing = network(width=4)
    with pytest.raises(FormatError, match="not a checkpoint"):
        train(
            module,
            SplitBatches(some(64), preprocessing, SETTINGS),
            SETTINGS,
            checkpoint=Checkpoint(path, "x"),
        )


def test_training_does_not_disturb_the_callers_randomness():
    module, preprocessing = network(width=4)
    settings = replace(SETTINGS, epochs=1)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train(module, SplitBatches(some(64), preprocessing, settings), settings)
    assert torch.equal(torch.rand(3), expected)
