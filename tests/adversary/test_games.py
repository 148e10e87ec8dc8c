"""The five games with real keys, real commitments, the real rule, and models that learn real digits.

Every adversary loses against the exact rule, or shows which assumption his victory takes away.
"""

import copy
from dataclasses import fields, is_dataclass, replace
from fractions import Fraction
from functools import cache, partial

import numpy as np
import pytest
import torch

from adversary.forger import noise_key
from adversary.quick_learner import (
    EPOCHS,
    Work,
    adversarial,
    fresh,
    provable_key,
    quick_world,
    trained_further,
)
from earmark.commitment.linear import RANDOM_BYTES
from earmark.data import Split
from earmark.games import (
    OpenedSet,
    World,
    correctness,
    exact_rule,
    functionality_preserving,
    marked_model,
    non_trivial_ownership,
    ownership_bound,
    paper_rule,
    try_persistency,
    unforgeability,
    unremovability,
)
from earmark.games.challenger import ACCEPTED, NOT_ACCEPTED, TOO_INACCURATE, TOO_MUCH_WORK
from earmark.games.world import seen_by_adversary
from earmark.keys import MarkingKey, OwnerKey, SetId, Task, VerificationKey, keygen
from earmark.marking.recipes import Recipe
from earmark.marking.recipes import mark as mark_network
from earmark.models.digits_cnn import DigitsCNN
from earmark.models.preprocessing import for_channels
from earmark.training import SplitBatches, TrainingSettings
from earmark.training import train as train_network
from earmark.triggers import Trigger
from earmark.triggers.abstract import AbstractSampler
from earmark.triggers.image import IMAGE, ImageGeometry
from small import DIGITS, ONLY_SET, digits, new_key

EPSILON = Fraction(5, 100)
ATTESTED = paper_rule(EPSILON)
THIEF = OwnerKey("Thief", bytes(range(1, 33)))
PREPROCESSING = for_channels(1)


def true_class(pixels):
    """f: the class of a digit nearby, or ⊥. No two digits of different classes are so near to each other."""
    data = digits()
    known = np.concatenate([data.train.images[:], data.test.images[:]]).astype(float)
    classes = np.concatenate([data.train.labels, data.test.labels])
    distances = np.sqrt(((known - pixels) ** 2).mean(axis=(1, 2, 3)))
    nearest = int(distances.argmin())
    return int(classes[nearest]) if distances[nearest] < 44 else None


CHECKED = paper_rule(EPSILON, true_class)


@pytest.fixture(scope="module")
def world():
    return quick_world()


@pytest.fixture(scope="module")
def provable(world):
    """The same with linear commitments: what opens them is random and in the key, and no secret makes it."""
    return replace(world, keygen=cache(provable_key))


# Correctness and functionality: Mark is on trial.


@pytest.mark.parametrize("rule", [exact_rule, CHECKED], ids=["exact", "paper"])
def test_the_honest_owner_is_accepted_and_his_model_is_as_good(world, rule):
    chosen = replace(
        world,
        keygen=lambda seed: new_key(seed, choose_labels=lambda t: [place % 10 for place in range(len(t))]),
    )
    played = world if rule is exact_rule else chosen
    outcome = correctness(played, 1, rule)
    assert not outcome.broken
    assert outcome.judgement.match_count >= 95
    assert outcome.judgement.question_count == 100
    assert not functionality_preserving(played, 1, rule).broken


@pytest.mark.parametrize("rule", [exact_rule, CHECKED, ATTESTED], ids=["exact", "paper", "attested"])
def test_the_honest_owner_of_a_provable_key_is_accepted_too(provable, rule):
    outcome = correctness(provable, 1, rule)
    assert not outcome.broken, outcome.judgement.refused
    assert outcome.judgement.match_count >= 95


def test_the_games_notice_a_mark_that_does_not_take_and_one_that_ruins_the_model(world):
    forgetful = replace(world, mark=lambda model, inputs, classes, backdoor, seed: model)
    assert correctness(forgetful, 1).broken
    assert not functionality_preserving(forgetful, 1).broken
    ruinous = replace(
        world,
        mark=lambda m, inputs, classes, b, seed: world.mark(m, inputs[:30] * 30, classes[:30] * 30, b, seed),
    )
    assert functionality_preserving(ruinous, 1).broken
    assert not correctness(ruinous, 1).broken


def test_a_small_sample_does_not_show_that_function_is_preserved(world):
    """In doubt against the promise: forty inputs do not show a loss below a twentieth."""
    small = replace(world, held_out=world.held_out[:40], held_out_classes=world.held_out_classes[:40])
    outcome = functionality_preserving(small, 1)
    assert outcome.comparison.loss <= world.accuracy_loss
    assert outcome.broken


# Non-trivial ownership.


class Prepared:
    """Pictures made beforehand, as a sampler; keygen takes them for a folder of the owner's own."""

    name, kind = "folder", "image"

    def __init__(self, pictures):
        self._left = iter(pictures)

    def parameters(self):
        return {}

    def sample(self, geometry, randomness):
        return Trigger("image", IMAGE.encode(next(self._left)))


def claimed(pictures, labels, *, chosen) -> MarkingKey:
    """The thief's key over these pictures, made by the real keygen."""
    wanted = {IMAGE.encode(picture): int(label) for picture, label in zip(pictures, labels, strict=True)}
    return keygen(
        THIEF,
        Task(ImageGeometry(8, 8, 1), DIGITS),
        Prepared(pictures),
        triggers_per_set=100,
        choose_labels=(lambda triggers: [wanted[t.canonical_bytes] for t in triggers]) if chosen else None,
        random_bytes=np.random.default_rng(5).bytes,
    )


class GuessesLabels:
    """An honest key of his own, with labels that he guesses if he may choose them."""

    def __init__(self, chosen):
        self._chosen = chosen

    def claim(self, oracle, seen):
        guess = np.random.default_rng(3)
        return new_key(
            1000, choose_labels=(lambda t: guess.integers(0, 10, len(t)).tolist()) if self._chosen else None
        )


class CommitsToOneClass:
    """Lays digits over each other in pairs: pictures of no class, of which models say "8" when they see many strokes.

    He takes those of which a model of his own is surest, and labels all of them 8.
    """

    def __init__(self, chosen):
        self._chosen = chosen

    def claim(self, oracle, seen):
        images, classes = oracle.draw(800)
        own = trained_further(fresh(77), images, classes, Work(), epochs=EPOCHS)
        draws = np.random.default_rng(8)
        first, second = (np.stack(images)[draws.integers(0, 800, 4000)] for _ in range(2))
        pictures = np.maximum(first, second)
        scores = own.features(pictures) @ own.weights
        lead = scores[:, 8] - np.delete(scores, 8, axis=1).max(axis=1)
        sure = pictures[np.argsort(-lead)]
        kept = [picture for picture in sure[:400] if true_class(picture) is None][:180]
        return claimed(kept, [8] * len(kept), chosen=self._chosen)


class CommitsToAdversarialPictures:
    """Sees the model, and moves digits to where it misreads them as he wants."""

    def __init__(self, chosen):
        self._chosen = chosen

    def claim(self, oracle, seen):
        images, classes = oracle.draw(400)
        targets = (np.array(classes) + np.random.default_rng(0).integers(1, 10, len(classes))) % 10
        pictures = adversarial(seen.marked, np.stack(images), targets, 0.18)
        fits = [
            p
            for p, answer in enumerate(seen.marked(list(pictures)))
            if answer == targets[p] and true_class(pictures[p]) not in (None, targets[p])
        ]
        return claimed(pictures[fits], targets[fits], chosen=self._chosen)


class ReadsAnswers:
    """Sees the model and commits to whatever it answers; with derived labels he tries roots instead."""

    def claim(self, oracle, seen):
        keys = (noise_key(f"root {number}", 100) for number in range(20))
        return max(keys, key=lambda key: exact_rule(key, key.verification_key, seen.marked).match_count)


class CommitsToTheTruth:
    """Digits with their true class, which every good model gives."""

    def claim(self, oracle, seen):
        return claimed(*oracle.draw(400), chosen=True)


@pytest.mark.parametrize(
    ("adversary", "late"),
    [
        (GuessesLabels(False), False),
        (CommitsToOneClass(False), False),
        (CommitsToOneClass(False), True),
        (CommitsToAdversarialPictures(False), True),
        (ReadsAnswers(), True),
    ],
    ids=lambda value: value if isinstance(value, bool) else type(value).__name__,
)
def test_nobody_claims_a_model_by_the_exact_rule_whoever_comes_first(world, adversary, late):
    outcome = non_trivial_ownership(world, adversary, 2, key_comes_first=not late)
    assert outcome.lost_because == (NOT_ACCEPTED,)
    assert outcome.judgement.question_count == 100
    # 40 of 100 by chance: below 2^-49.
    assert outcome.judgement.match_count < 40
    # What the rule promises whoever he is, without an assumption about models: theorem.md.
    bound = ownership_bound(
        outcome.judgement.false_acceptance, transcripts=2**80, evaluations=2**80, owner_trigger_count=100
    )
    assert bound < Fraction(1, 2**63)


@pytest.mark.parametrize("adversary", [CommitsToOneClass(True), CommitsToAdversarialPictures(True)])
def test_chosen_labels_are_not_judged_by_the_exact_rule(world, adversary):
    outcome = non_trivial_ownership(world, adversary, 2, key_comes_first=False)
    assert not outcome.broken
    assert "chose its labels" in outcome.judgement.refused


def test_guessed_labels_lose_by_the_papers_rule(world):
    outcome = non_trivial_ownership(world, GuessesLabels(True), 2, CHECKED)
    assert not outcome.broken
    assert outcome.judgement.match_count < 40


def test_pictures_made_after_the_model_win_by_the_papers_rule(world):
    """The missing assumption: binding comes before the model. The labels are wrong, and f was asked."""
    outcome = non_trivial_ownership(
        world, CommitsToAdversarialPictures(True), 2, CHECKED, key_comes_first=False
    )
    assert outcome.broken
    assert outcome.judgement.match_count == 100


def test_pictures_of_no_class_win_by_the_papers_rule_though_the_key_comes_first(world):
    """The missing assumption: on inputs without a class, answers are uniform over the randomness of training.

    The claimant keeps the order of the game. But models trained alike agree on such inputs.
    """
    outcome = non_trivial_ownership(world, CommitsToOneClass(True), 2, CHECKED)
    assert outcome.broken
    assert outcome.judgement.match_count >= 95


def test_step_1_refuses_labels_that_are_right(world):
    outcome = non_trivial_ownership(world, CommitsToTheTruth(), 2, CHECKED)
    assert not outcome.broken
    assert "step 1" in outcome.judgement.refused
    unasked = non_trivial_ownership(world, CommitsToTheTruth(), 2, ATTESTED)
    assert unasked.broken, "if nobody asks f, any model is his"


def reachable(value, found):
    """Everything that can be got at from a value by its attributes and items."""
    if id(value) in found:
        return
    found[id(value)] = value
    inner = []
    if is_dataclass(value) and not isinstance(value, type):
        inner += [getattr(value, field.name) for field in fields(value)]
    inner += list(getattr(value, "__dict__", {}).values())
    if hasattr(value, "items"):
        inner += [*value.keys(), *value.values()]
    elif isinstance(value, list | tuple | set):
        inner += list(value)
    for item in inner:
        reachable(item, found)


def test_adversaries_are_not_given_the_owners_secrets_nor_his_randomness(world):
    made = marked_model(world, 2)
    found: dict = {}
    reachable(seen_by_adversary(world, made), found)
    assert not any(isinstance(value, MarkingKey | World) for value in found.values())
    secrets = set(made.key.secrets[ONLY_SET])
    assert not any(isinstance(value, bytes) and value in secrets for value in found.values())
    assert any(value is made.key.verification_key for value in found.values())


# Unremovability.


class Constant:
    def remove(self, seen):
        return lambda inputs: [0] * len(inputs)


class TrainsAnew:
    def __init__(self, world, count=None):
        self._world, self._count = world, count

    def remove(self, seen):
        images, classes = seen.oracle.draw(seen.oracle.left if self._count is None else self._count)
        return self._world.train(images, classes, 123)


class FineTunes:
    """A few passes over all of the owner's data, from the marked weights on."""

    def __init__(self, world, epochs):
        self._world, self._epochs = world, epochs

    def remove(self, seen):
        images, classes = seen.oracle.draw(seen.oracle.left)
        return trained_further(seen.marked, images, classes, self._world.work, epochs=self._epochs, seed=9)


class Copies:
    """Extraction: a model of his own, from the marked one's answers to the owner's inputs."""

    def __init__(self, world, count):
        self._world, self._count = world, count

    def remove(self, seen):
        images, _ = seen.oracle.draw(self._count)
        return self._world.train(images, seen.marked(images), 321)


QUARTER = Fraction(1, 4)


def test_a_constant_model_has_no_mark_and_no_use(world):
    outcome = unremovability(world, Constant(), 4, work_share=QUARTER)
    assert outcome.lost_because == (TOO_INACCURATE,)
    assert not outcome.judgement.accepted


@pytest.mark.parametrize("scheme", ["world", "provable"])
def test_cheap_fine_tuning_keeps_the_mark(scheme, request):
    world = request.getfixturevalue(scheme)
    outcome = unremovability(world, FineTunes(world, 4), 4, work_share=QUARTER)
    assert outcome.lost_because == (ACCEPTED,)
    assert 0 < outcome.work <= outcome.training_work / 4
    assert outcome.judgement.match_count >= 69


def test_training_anew_is_excluded_by_its_work_and_by_nothing_else(world):
    """The paper bounds the adversary's time by that of training: without the bound he wins."""
    assert unremovability(world, TrainsAnew(world), 4, work_share=QUARTER).lost_because == (TOO_MUCH_WORK,)
    free = unremovability(world, TrainsAnew(world), 4)
    assert free.broken
    assert free.work == free.training_work


@pytest.mark.parametrize("remover", [TrainsAnew, Copies])
def test_training_on_few_inputs_is_cheap_and_inaccurate(world, remover):
    outcome = unremovability(world, remover(world, 20), 4, work_share=QUARTER, budget=20)
    assert outcome.lost_because == (TOO_INACCURATE,)


def test_a_share_of_work_needs_work_that_is_measured(world):
    with pytest.raises(ValueError, match="does not measure work"):
        unremovability(replace(world, work=None), Constant(), 4, work_share=QUARTER)


class Table:
    """A backdoor that is not strong: a list of triggers beside a model."""

    def __init__(self, model, backdoor):
        self.model = model
        self.labels = {
            t.canonical_bytes: label for t, label in zip(backdoor.triggers, backdoor.labels, strict=True)
        }

    def __call__(self, inputs):
        return [
            self.labels.get(IMAGE.encode(value), answer)
            for value, answer in zip(inputs, self.model(inputs), strict=True)
        ]


class ThrowsTheListAway:
    def remove(self, seen):
        return seen.marked.model

    def unlearn(self, model, oracle, labels):
        return getattr(model, "model", model)


def test_unremovability_is_an_assumption_about_marking_that_a_list_of_triggers_does_not_meet(world):
    listed = replace(world, mark=lambda model, inputs, classes, backdoor, seed: Table(model, backdoor))
    assert not correctness(listed, 4).broken
    outcome = unremovability(listed, ThrowsTheListAway(), 4, work_share=Fraction(0))
    assert outcome.broken
    trial = try_persistency(listed, ThrowsTheListAway(), 4, others=[fresh(5)], epsilon=Fraction(1, 10))
    assert trial.refutes
    assert trial.works == (0.0, 0.0)


class GoesOnTraining:
    def __init__(self, world, epochs):
        self._world, self._epochs = world, epochs
        self.labels = []

    def unlearn(self, model, oracle, labels):
        self.labels.append(labels)
        images, classes = oracle.draw(oracle.left)
        return trained_further(model, images, classes, self._world.work, epochs=self._epochs)


@pytest.mark.parametrize("known", [True, False])
def test_going_on_training_does_not_refute_persistency(world, known):
    """Trained far enough from anything, a model is accurate: whatever that removes is no removal."""
    algorithm = GoesOnTraining(world, 4)
    trial = try_persistency(
        world, algorithm, 4, others=[fresh(5), fresh(6)], epsilon=Fraction(1, 10), labels_known=known
    )
    assert not trial.refutes
    assert not trial.removed
    assert [labels is not None for labels in algorithm.labels] == [known] * 3
    assert len(set(trial.works)) == 1


class TrainsAnewOnItsFirstCall:
    """Pretends that it needs the marked model: is given that one first, trains anew, and leaves others as they are."""

    def __init__(self, world, count=None):
        self._world, self._count, self._called = world, count, False

    def unlearn(self, model, oracle, labels):
        if self._called:
            return model
        self._called = True
        images, classes = oracle.draw(oracle.left if self._count is None else self._count)
        return self._world.train(images, classes, 123)


@pytest.mark.parametrize("count", [None, 1200])
def test_training_anew_for_the_marked_model_alone_does_not_refute_persistency(world, count):
    """With as much work as Train, or a little less: the others fail because nothing was done to them."""
    pretender = TrainsAnewOnItsFirstCall(world, count)
    trial = try_persistency(world, pretender, 4, others=[fresh(5), fresh(6)], epsilon=Fraction(1, 10))
    assert trial.removes
    assert all(errors.at_least(trial.doubt) > trial.epsilon for errors in trial.errors_from_others)
    assert trial.works[0] > 0
    assert trial.works[1:] == (0, 0)
    assert trial.is_cheaper == (count is not None)
    assert not trial.refutes


# Unforgeability.


class Forger:
    """Opens the owner's vk with what he has."""

    def __init__(self, forge):
        self._forge = forge

    def forge(self, seen):
        return seen.marked, self._forge(seen.verification_key)


@cache
def own_key_like(scheme):
    return new_key(99) if scheme == "world" else provable_key(99)


SCHEMES = ["world", "provable"]  # fixtures; salted commitments, and linear ones


def own_triggers_under_the_owners_vk(vk, own):
    return replace(own, verification_key=vk)


def own_key(vk, own):
    return own


def owners_transcript_in_his_name(vk, own):
    transcript = replace(vk.transcript, owner=THIEF.owner)
    return replace(own, verification_key=VerificationKey(transcript, THIEF.sign(transcript.root)))


def owners_transcript_with_his_signature(vk, own):
    return replace(own, verification_key=VerificationKey(vk.transcript, THIEF.sign(vk.transcript.root)))


def one_opening_of_zeros(vk, own):
    secrets = {ONLY_SET: (bytes(32), *own.secrets[ONLY_SET][1:])}
    randomness = own.randomness
    if randomness is not None:
        first, *others = randomness[ONLY_SET]
        randomness = {ONLY_SET: (bytes(len(first)), *others)}
    return replace(own, verification_key=vk, secrets=secrets, randomness=randomness)


def no_triggers_at_all(vk, own):
    return MarkingKey(vk, {}, {}, None, None if own.randomness is None else {})


def labels_of_his_choice(vk, own):
    return replace(own, verification_key=vk, chosen_labels={ONLY_SET: (0,) * 100})


def openings_of_the_other_scheme(vk, own):
    """Salts where commitments are linear; where they are salted, randomness that nobody asked for."""
    other = None if own.randomness is not None else {ONLY_SET: (bytes(RANDOM_BYTES),) * 100}
    return replace(own, verification_key=vk, randomness=other)


def own_transcript_that_remembers_the_owners_root(vk, own):
    """A frozen value keeps its root once it is computed; this one was told another's."""
    transcript = replace(own.transcript)
    vars(transcript)["root"] = vk.transcript.root
    return replace(own, verification_key=VerificationKey(transcript, vk.signature))


FORGERIES = {
    own_triggers_under_the_owners_vk: "step 2",
    own_key: "step 1",
    owners_transcript_in_his_name: "step 1",
    owners_transcript_with_his_signature: "step 2",
    one_opening_of_zeros: "step 2",
    no_triggers_at_all: "step 2",
    labels_of_his_choice: "step 2",
    openings_of_the_other_scheme: "step 2",
    own_transcript_that_remembers_the_owners_root: "step 1",
}


@pytest.mark.parametrize(("forge", "step"), FORGERIES.items())
@pytest.mark.parametrize("rule", [exact_rule, ATTESTED], ids=["exact", "paper"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_nobody_opens_the_owners_commitments_otherwise(forge, step, rule, scheme, request):
    forger = Forger(partial(forge, own=own_key_like(scheme)))
    outcome = unforgeability(request.getfixturevalue(scheme), forger, 5, rule)
    assert outcome.lost_because == (NOT_ACCEPTED,)
    assert step in outcome.judgement.refused


class KnowsAllTriggers:
    """Suppose that he read every trigger out of the model: he still lacks what opens the commitments."""

    def __init__(self, triggers, size=None):
        self._triggers, self._size = triggers, size

    def forge(self, seen):
        draws = np.random.default_rng(1)
        guessed = {ONLY_SET: tuple(draws.bytes(32) for _ in range(100))}
        random = None
        if self._size is not None:
            random = {ONLY_SET: tuple(draws.bytes(self._size) for _ in range(100))}
        return seen.marked, MarkingKey(seen.verification_key, guessed, self._triggers, randomness=random)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_who_knows_the_triggers_does_not_open_them(scheme, request):
    world = request.getfixturevalue(scheme)
    adversary = KnowsAllTriggers(world.keygen(5).triggers, RANDOM_BYTES if scheme == "provable" else None)
    outcome = unforgeability(world, adversary, 5)
    assert "step 2" in outcome.judgement.refused
    assert "do not open its commitment" in outcome.judgement.refused


def key_of_sets(vk, sets):
    """A key of opened sets, as they stand in ``Seen``."""
    return MarkingKey(
        vk,
        {set_id: shown.secrets for set_id, shown in sets.items()},
        {set_id: shown.triggers for set_id, shown in sets.items()},
        None,
        None
        if any(shown.randomness is None for shown in sets.values())
        else {set_id: shown.randomness for set_id, shown in sets.items()},
    )


class SwapsSets:
    """One of two sets was opened in an earlier dispute; he shows it for both, or in the other's place."""

    def __init__(self, own, both):
        self._own, self._both = own, both

    def forge(self, seen):
        ((_, shown),) = seen.opened.items()
        randomness = None if self._own.randomness is None else self._own.randomness[ONLY_SET]
        own = OpenedSet(self._own.triggers[ONLY_SET], self._own.secrets[ONLY_SET], randomness)
        sets = {SetId(0, 0): shown if self._both else own, SetId(0, 1): shown}
        return seen.marked, key_of_sets(seen.verification_key, sets)


class ShowsWhatWasOpened:
    def forge(self, seen):
        return seen.marked, key_of_sets(seen.verification_key, dict(seen.opened))


TWO_SETS = {"world": partial(new_key, sets=2), "provable": cache(partial(provable_key, sets=2))}


@pytest.mark.parametrize("both", [True, False])
@pytest.mark.parametrize("rule", [exact_rule, ATTESTED], ids=["exact", "paper"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_an_opened_set_does_not_stand_for_another(world, both, rule, scheme):
    two = replace(world, keygen=TWO_SETS[scheme])
    swaps = SwapsSets(own_key_like(scheme), both)
    outcome = unforgeability(two, swaps, 5, rule, opened=[SetId(0, 0)])
    assert "step 2" in outcome.judgement.refused


@pytest.mark.parametrize("scheme", SCHEMES)
def test_with_every_set_opened_the_adversary_has_all_that_the_owner_has(world, scheme):
    """Nothing is kept back from him that an opening tells: one set more, and he would have won above."""
    two = replace(world, keygen=TWO_SETS[scheme])
    assert unforgeability(two, ShowsWhatWasOpened(), 5, opened=[SetId(0, 0), SetId(0, 1)]).broken
    one = unforgeability(two, ShowsWhatWasOpened(), 5, opened=[SetId(0, 0)])
    assert one.lost_because == (NOT_ACCEPTED,)


def test_the_owner_himself_opens_them(world):
    """The game is not lost by everybody: with the marking key it is won."""
    key = marked_model(world, 5).key
    assert unforgeability(world, Forger(lambda vk: key), 5).broken


def test_a_key_for_another_task_is_refused_and_not_an_error(world):
    task = Task(ImageGeometry(9, 9, 1), tuple("abcdefghijkl"))
    other = keygen(OwnerKey("x", bytes(32)), task, AbstractSampler(), triggers_per_set=100)
    outcome = unforgeability(world, Forger(lambda vk: other), 5)
    assert "step 1" in outcome.judgement.refused


# A real network.


class Network:
    """A model of PyTorch: called like any other, and its module is there for whoever holds it."""

    def __init__(self, module, work):
        self.module, self._work = module.eval(), work

    def __call__(self, inputs):
        with torch.no_grad():
            return self.module(torch.from_numpy(PREPROCESSING(np.stack(list(inputs))))).argmax(1).tolist()

    def trained_further(self, inputs, classes, epochs, backdoor=None, seed=0):
        module = copy.deepcopy(self.module)
        split = Split(np.stack(list(inputs)), np.array(classes))
        settings = TrainingSettings(epochs=epochs, learning_rate=0.05, seed=seed)
        if backdoor is None:
            batches = SplitBatches(split, PREPROCESSING, settings)
            train_network(module, batches, settings)
        else:
            mark_network(module, split, PREPROCESSING, backdoor, Recipe("game", settings))
        self._work.examples += epochs * (len(split) + (0 if backdoor is None else len(backdoor)))
        return Network(module, self._work)


def untrained(seed, work):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Network(DigitsCNN(10, 1, 8), work)


class FineTunesTheNetwork:
    def remove(self, seen):
        return seen.marked.trained_further(*seen.oracle.draw(seen.oracle.left), epochs=2)


@pytest.mark.slow
def test_the_games_are_played_with_networks_too():
    work = Work()
    world = quick_world(
        train=lambda inputs, classes, seed: untrained(seed, work).trained_further(
            inputs, classes, 10, seed=seed
        ),
        mark=lambda model, inputs, classes, backdoor, seed: untrained(seed + 1, work).trained_further(
            inputs, classes, 20, backdoor, seed
        ),
        work=work,
    )
    preserved = functionality_preserving(world, 1)
    assert preserved.judgement.accepted
    assert preserved.comparison.loss <= world.accuracy_loss
    tuned = unremovability(world, FineTunesTheNetwork(), 1, work_share=QUARTER)
    assert ACCEPTED in tuned.lost_because
    assert TOO_MUCH_WORK not in tuned.lost_because
    assert not non_trivial_ownership(world, CommitsToOneClass(False), 1).broken
