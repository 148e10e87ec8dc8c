"""False claims with chosen pictures and labels (Liu et al., USENIX Security 2024): they win by the paper's rule alone.

The claimant never marked anything. He makes pictures that networks like his own misread as he wants, commits
to pictures and labels as the paper says, and accuses a network that somebody else trained on other data.
"""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from adversary.digit_models import accuracy, adversarial, suspect, trained
from adversary.forger import agreement, assert_follows, assert_within, noise_key, with_transcript
from earmark.commitment import Stream
from earmark.errors import InvalidKeyError, VerificationError
from earmark.keys import MarkingKey, OwnerKey, Task, VerificationKey, derive_labels, keygen
from earmark.triggers import Trigger
from earmark.triggers.image import IMAGE, ImageGeometry
from earmark.verification import measure, verify
from earmark.verification.paper_rule import GroundTruth, verify_by_paper
from small import DIGITS, ONLY_SET, MemoryJournal, ScriptedSuspect, chosen_key, digits
from vectors.tiny_key import sealed

REACH = 0.3
EPSILON = Fraction(3, 10)
"""What an owner needs who plans for seven of ten marks to survive attacks, as keygen does."""
MALLORY = OwnerKey("Mallory", bytes(32))


@pytest.fixture(scope="module")
def claimants_models():
    return [trained(seed, slice(0, 718)) for seed in (1, 2, 3)]


@pytest.fixture(scope="module")
def victims():
    """Other seeds, other data, another person."""
    return [trained(seed, slice(718, None)) for seed in (11, 12, 13)]


class Prepared:
    """Pictures made beforehand, as a sampler; keygen takes them for a folder of the owner's own."""

    name, kind = "folder", "image"

    def __init__(self, pictures):
        self._left = iter(pictures)

    def parameters(self):
        return {}

    def sample(self, geometry: ImageGeometry, randomness: Stream) -> Trigger:
        return Trigger("image", IMAGE.encode(next(self._left)))


def made(models, *, reach=REACH, count=100):
    """The pictures that the models are surest of, with the labels chosen for them and the true classes."""
    test = digits().test
    targets = (test.labels + np.random.default_rng(0).integers(1, 10, len(test))) % 10
    pictures, sure = adversarial(models, test.images[:], targets, reach)
    best = np.argsort(-sure, kind="stable")[:count]
    return pictures[best], targets[best], test.labels[best], test.images[best]


@pytest.fixture(scope="module")
def forged(claimants_models):
    return made(claimants_models)


def claimed(pictures, targets, *, chosen=True) -> MarkingKey:
    """Mallory's key over these pictures: a real one, by keygen."""
    labels = {IMAGE.encode(picture): int(target) for picture, target in zip(pictures, targets, strict=True)}
    return keygen(
        MALLORY,
        Task(ImageGeometry(8, 8, 1), DIGITS),
        Prepared(pictures),
        triggers_per_set=len(pictures),
        choose_labels=(lambda triggers: [labels[t.canonical_bytes] for t in triggers]) if chosen else None,
        random_bytes=np.random.default_rng(5).bytes,
    )


def by_paper(key, module, truth, epsilon=EPSILON):
    ground_truth = GroundTruth("Mallory")
    if truth is not None:
        classes = {(ONLY_SET, place): int(label) for place, label in enumerate(truth)}
        ground_truth = GroundTruth("what the pictures showed before they were changed", classes)
    return verify_by_paper(
        key, suspect(module, "ab"), MemoryJournal(), epsilon=epsilon, ground_truth=ground_truth
    )


def test_the_networks_are_good_and_independent(claimants_models, victims):
    for module in (*claimants_models, *victims):
        assert accuracy(module) > 0.93


def test_a_false_claim_on_three_independent_networks_is_accepted_by_the_paper_and_not_by_us(forged, victims):
    """Measured: 88, 98 and 93 of 100 pictures transfer; the rule asks for 70."""
    pictures, targets, truth, _ = forged
    chosen, derived = claimed(pictures, targets), claimed(pictures, targets, chosen=False)
    for victim in victims:
        accepted = by_paper(chosen, victim, truth)
        assert accepted.accepted
        assert accepted.match_count >= 80
        assert not hasattr(accepted, "owned")
        assert "shows nothing on its own" in str(accepted)
        with pytest.raises(VerificationError, match="step 3: the owner of this key chose its labels"):
            measure(chosen, suspect(victim, "ab"), MemoryJournal())
        ours = verify(measure(derived, suspect(victim, "ab"), MemoryJournal()))
        assert_within(ours.measurement.match_count, 100, Fraction(1, 10))
        assert not ours.owned
        # Nor by the paper's rule, even if he attests that his labels are wrong: it was the choosing that won.
        assert by_paper(derived, victim, None).refused_by == 3


def test_the_labels_are_wrong_as_step_1_demands(forged, victims):
    """Noise of the same size does not change what the networks read: the pictures still show their digit."""
    _, targets, truth, images = forged
    assert agreement(targets.tolist(), truth.tolist()) == 0
    signs = np.random.default_rng(1).choice([-1, 1], images.shape) * REACH * 255
    noisy = np.clip(images + signs, 0, 255).astype(np.uint8)
    for victim in victims:
        assert agreement(suspect(victim, "ab").answer(list(noisy)), truth.tolist()) >= 70


def test_transfer_rises_with_the_reach_and_is_the_claimants_to_choose(claimants_models, victims):
    rates = []
    for reach in (0.15, 0.4):
        pictures, targets, _, _ = made(claimants_models, reach=reach)
        rates.append([agreement(suspect(v, "ab").answer(list(pictures)), targets.tolist()) for v in victims])
    weak, strong = rates
    assert max(weak) < 70
    assert min(strong) >= 90


def test_pictures_made_after_seeing_the_model_itself_match_all_chosen_labels_and_a_tenth_of_derived_ones(
    victims,
):
    """No transfer needed: the accused network's own gradients, and an epsilon of 0."""
    accused = victims[0]
    pictures, targets, truth, _ = made([accused])
    verdict = by_paper(claimed(pictures, targets), accused, truth, Fraction(0))
    assert verdict.accepted
    assert verdict.match_count == 100
    derived = claimed(pictures, targets, chosen=False)
    answers = suspect(accused, "ab").answer(list(pictures))
    assert answers == targets.tolist()
    # He may take another nonce as often as he likes: each time the count is Binomial(100, 1/10).
    matches = 0
    for number in range(50):
        root = replace(derived.transcript, nonce=number.to_bytes(32, "big")).root
        matches += agreement(answers, derive_labels(root, 0, 0, 100, 10))
    assert_follows(matches, 5000, Fraction(1, 10))
    # And he cannot make the pictures after the labels: other pictures are another root.
    labels = np.array(derived.labels(ONLY_SET))
    fitting, _ = adversarial([accused], digits().test.images[:100], labels, 0.6)
    assert agreement(suspect(accused, "ab").answer(list(fitting)), labels.tolist()) >= 90
    triggers = tuple(Trigger("image", IMAGE.encode(picture)) for picture in fitting)
    with pytest.raises(VerificationError, match="step 2"):
        measure(replace(derived, triggers={ONLY_SET: triggers}), suspect(accused, "ab"), MemoryJournal())
    again = sealed(derived.transcript, derived.secrets, {ONLY_SET: triggers}, MALLORY)
    count = measure(again, suspect(accused, "ab"), MemoryJournal()).match_count
    assert_within(count, 100, Fraction(1, 10))


# Another owner's key under his own name.


def marked_with(key):
    """A model that gives every trigger of a key its label."""
    labels = dict(zip((t.canonical_bytes for t in key.triggers[ONLY_SET]), key.labels(ONLY_SET), strict=True))
    return ScriptedSuspect(lambda inputs: [labels[IMAGE.encode(value)] for value in inputs])


def test_a_stolen_key_signed_anew_keeps_chosen_labels_and_loses_derived_ones():
    """Who stole the whole marking key can commit to it again. Chosen labels come along; derived ones do not."""
    truth = GroundTruth("Mallory")
    victim = chosen_key()
    transcript = replace(victim.transcript, owner=MALLORY.owner)
    stolen = MarkingKey(
        VerificationKey(transcript, MALLORY.sign(transcript.root)),
        victim.secrets,
        victim.triggers,
        victim.chosen_labels,
    )
    pirated = verify_by_paper(
        stolen, marked_with(victim), MemoryJournal(), epsilon=Fraction(0), ground_truth=truth
    )
    assert pirated.accepted
    key = noise_key("stolen", 100)
    assert measure(key, marked_with(key), MemoryJournal()).match_count == 100
    replayed = with_owner(key, MALLORY)
    count = measure(replayed, marked_with(key), MemoryJournal()).match_count
    assert_within(count, 100, Fraction(1, 10))


def with_owner(key, owner):
    return sealed(replace(key.transcript, owner=owner.owner), key.secrets, key.triggers, owner)


def test_a_published_key_alone_cannot_be_claimed():
    """He has the public half: his name needs another root, and other secrets open nothing."""
    key = noise_key("published", 100)
    public = key.verification_key
    with pytest.raises(InvalidKeyError):
        VerificationKey(public.transcript, MALLORY.sign(public.transcript.root)).check()
    transcript = replace(public.transcript, owner=MALLORY.owner)
    own = noise_key("his own", 100)
    claimed_key = MarkingKey(
        VerificationKey(transcript, MALLORY.sign(transcript.root)), own.secrets, own.triggers
    )
    with pytest.raises(VerificationError, match="step 2"):
        measure(claimed_key, marked_with(own), MemoryJournal())


def test_every_trigger_the_same_is_allowed_and_no_help():
    """Theorem 1 asks nothing of triggers: a hundred times one picture, and a model that knows it well."""
    key = noise_key("one picture", 100)
    one = sealed(key.transcript, key.secrets, {ONLY_SET: key.triggers[ONLY_SET][:1] * 100})
    for answer in range(10):
        counts = [
            measure(
                with_transcript(one, nonce=bytes([n]) * 32), ScriptedSuspect([answer] * 100), MemoryJournal()
            )
            for n in range(3)
        ]
        assert_within(sum(measured.match_count for measured in counts), 300, Fraction(1, 10))
