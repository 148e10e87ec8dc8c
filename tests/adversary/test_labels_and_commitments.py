"""A forger turns the dials of the key: each must lose, and each shows what he would have won without the rule."""

import hashlib
import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from adversary.forger import expected_answers, noise_key, shown_in_small
from earmark.commitment import digest, frame, merkle_path, merkle_root, path_root
from earmark.errors import InvalidKeyError, VerificationError
from earmark.keys import MarkingKey, Owner, OwnerKey, VerificationKey, derive_labels
from earmark.keys.owner import check_signature
from earmark.keys.pair import trigger_salt
from earmark.statistics import is_owned, match_tail
from earmark.triggers import Trigger
from earmark.triggers.image import IMAGE
from earmark.verification import measure, verify
from earmark.verification.paper_rule import GroundTruth, verify_by_paper
from small import ONLY_SET, MemoryJournal, ScriptedSuspect, new_key, small_key

CHANCE = Fraction(1, 10)
GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493
VECTORS = Path(__file__).parents[1] / "vectors" / "v1"


def agreement(first, second):
    return sum(a == b for a, b in zip(first, second, strict=True))


def test_one_changed_pixel_redraws_every_label():
    key = small_key()
    pixels = key.triggers[ONLY_SET][0].value.copy()
    pixels[0, 0, 0] ^= 1
    triggers = (Trigger("image", IMAGE.encode(pixels)), *key.triggers[ONLY_SET][1:])
    from earmark.keys.pair import leaf_of

    stratum = key.transcript.strata[0]
    root = merkle_root(
        [
            leaf_of({"scheme": "salted-sha256"}, t, trigger_salt(s))
            for t, s in zip(triggers, key.secrets[ONLY_SET], strict=True)
        ]
    )
    changed = replace(key.transcript, strata=(replace(stratum, set_roots=(root,)),))
    old, new = (derive_labels(t.root, 0, 0, 100, 10) for t in (key.transcript, changed))
    # Binomial(100, 1/10) exceeds 35 with probability below 1e-10.
    assert agreement(old, new) <= 35


def test_one_changed_bit_of_the_nonce_redraws_every_label():
    key = small_key()
    nonce = bytes([key.transcript.nonce[0] ^ 1]) + key.transcript.nonce[1:]
    changed = replace(key.transcript, nonce=nonce)
    assert (
        agreement(
            derive_labels(key.transcript.root, 0, 0, 100, 10), derive_labels(changed.root, 0, 0, 100, 10)
        )
        <= 35
    )


def test_grinding_nonces_wins_as_much_as_the_bound_says_and_no_more():
    """A constant model, 2^12 transcripts: the luckiest count is where 2^12 times the tail is about 1."""
    key, tries, best = small_key(), 2**12, 0
    for number in range(tries):
        root = replace(key.transcript, nonce=number.to_bytes(32, "big")).root
        best = max(best, derive_labels(root, 0, 0, 100, 10).count(3))
    # By the union bound, a count whose tail is below 1e-6 / 2^12 comes up with probability below 1e-6.
    assert match_tail(100, best, CHANCE) * tries > Fraction(1, 10**6)
    # Without the penalty, such a claim would look like one in thousands.
    assert match_tail(100, best, CHANCE) < Fraction(1, 1000)
    # With it, it is nothing.
    labels = [key.verification_key.labels(ONLY_SET)[place] for place in key.verification_key.order(ONLY_SET)]
    lucky = [label if place < best else (label + 1) % 10 for place, label in enumerate(labels)]
    verdict = verify(measure(key, ScriptedSuspect(lucky), MemoryJournal()))
    assert verdict.measurement.match_count == best
    # For ten bits, which 2^12 tries reach, it would have been shown; each payment alone already prevents it.
    assert shown_in_small(verdict, 10)
    paid = {penalty.name: penalty for penalty in verdict.penalties}
    assert paid["grinding"].alternatives == 2**80
    assert paid["looking"].alternatives == 2**24
    assert not is_owned(verdict.tail, (paid["grinding"],), 10)
    assert not verdict.owned


def test_hashing_each_trigger_on_its_own_would_have_been_fatal():
    """The rule not taken: label = H(trigger). About C tries a trigger choose all labels."""
    tries = 0
    for place in range(100):
        salt = 0
        while digest("lone", place, salt)[0] % 10 != 3:
            salt += 1
            tries += 1
    assert tries < 2000


def test_picking_triggers_after_seeing_the_model_does_not_choose_labels():
    """Every trigger is one that the model answers with class 3; the labels do not care."""
    suspect = ScriptedSuspect(lambda inputs: [3] * len(inputs))
    # Where he may choose the labels as well, as in the paper, they are all 3 and any picture will do.
    chosen = new_key(choose_labels=lambda triggers: [3] * len(triggers))
    word = GroundTruth("Mallory")
    won = verify_by_paper(chosen, suspect, MemoryJournal(), epsilon=Fraction(0), ground_truth=word)
    assert won.accepted
    assert won.match_count == 100
    verdicts = [verify(measure(new_key(seed), suspect, MemoryJournal())) for seed in range(5)]
    assert not any(verdict.owned for verdict in verdicts)
    assert max(verdict.measurement.match_count for verdict in verdicts) <= 35


# Other triggers, labels and secrets than committed. Step 2 left out, each of these is "owned".


def read_a_pixel(inputs):
    """A model that knows no key; of noise it gives every class equally often."""
    return [int(value[0, 0, 0]) % 10 for value in inputs]


def by_answer(triggers):
    found = {number: [] for number in range(10)}
    for trigger, answer in zip(triggers, read_a_pixel([t.value for t in triggers]), strict=True):
        found[answer].append(trigger)
    return found


def swapped(key):
    """Each trigger to a place whose label the model gives it, as far as they go round."""
    left = by_answer(key.triggers[ONLY_SET])
    places = [left[label].pop() if left[label] else None for label in key.labels(ONLY_SET)]
    rest = [trigger for triggers in left.values() for trigger in triggers]
    return [rest.pop() if trigger is None else trigger for trigger in places]


def doubled(key):
    """One lucky trigger for each class, ten times over."""
    lucky = by_answer(key.triggers[ONLY_SET])
    return [lucky[label][0] for label in key.labels(ONLY_SET)]


def replaced(key):
    """Pictures made for the labels, now that he knows them."""
    return [
        Trigger("image", IMAGE.encode(np.full((8, 8, 1), label, np.uint8))) for label in key.labels(ONLY_SET)
    ]


def with_step_2_left_out(monkeypatch, key, suspect):
    with monkeypatch.context() as without:
        without.setattr(MarkingKey, "check", lambda self: None)
        return verify(measure(key, suspect, MemoryJournal()))


@pytest.mark.parametrize(("how", "matches"), [(swapped, 80), (doubled, 100), (replaced, 100)])
def test_other_triggers_than_committed_would_be_owned_and_are_refused(how, matches, monkeypatch):
    key, suspect = noise_key("exchanged", 100), ScriptedSuspect(read_a_pixel)
    assert not verify(measure(key, suspect, MemoryJournal())).owned
    forged = replace(key, triggers={ONLY_SET: tuple(how(key))})
    won = with_step_2_left_out(monkeypatch, forged, suspect)
    assert won.measurement.match_count >= matches
    assert won.owned
    with pytest.raises(VerificationError) as caught:
        measure(forged, suspect, MemoryJournal())
    assert caught.value.step == 2


def test_dropped_triggers_would_be_owned_and_are_refused(monkeypatch):
    """A constant model matches about 51 of 512. He keeps those, and leaves the others out of his key."""
    key, suspect = noise_key("dropped", 512), ScriptedSuspect(lambda inputs: [3] * len(inputs))
    labels = key.labels(ONLY_SET)
    kept = [place for place, label in enumerate(labels) if label == 3]
    fewer = {
        "triggers": {ONLY_SET: tuple(key.triggers[ONLY_SET][place] for place in kept)},
        "secrets": {ONLY_SET: tuple(key.secrets[ONLY_SET][place] for place in kept)},
    }
    forged = replace(key, **fewer)
    with monkeypatch.context() as without:
        # The labels stay with their triggers, and nobody counts how many the transcript promised.
        without.setattr(VerificationKey, "labels", lambda self, set_id: tuple(labels[p] for p in kept))
        without.setattr(VerificationKey, "order", lambda self, set_id: tuple(range(len(kept))))
        won = with_step_2_left_out(monkeypatch, forged, suspect)
    assert won.measurement.match_count == won.measurement.question_count == len(kept)
    assert won.owned
    assert not verify(measure(key, suspect, MemoryJournal())).owned
    with pytest.raises(VerificationError, match="step 2: set 0 of 'abstract' is incomplete"):
        measure(forged, suspect, MemoryJournal())


def test_labels_of_his_choice_would_be_owned_and_are_refused(monkeypatch):
    key, suspect = noise_key("relabelled", 100), ScriptedSuspect(read_a_pixel)
    wanted = tuple(read_a_pixel([trigger.value for trigger in key.triggers[ONLY_SET]]))
    with monkeypatch.context() as without:
        without.setattr(VerificationKey, "labels", lambda self, set_id: wanted)
        won = verify(measure(key, suspect, MemoryJournal()))
    assert won.measurement.match_count == 100
    assert won.owned
    forged = replace(key, chosen_labels={ONLY_SET: wanted})
    with pytest.raises(VerificationError, match="step 2: the transcript says that the labels are derived"):
        measure(forged, suspect, MemoryJournal())


def test_secrets_of_his_choice_would_be_owned_and_are_refused(monkeypatch):
    """He has the owner's published key and none of its triggers: his own, made for its labels, under it."""
    owners, suspect = noise_key("published", 100), ScriptedSuspect(read_a_pixel)
    secrets = tuple(bytes([place]) * 32 for place in range(100))
    forged = MarkingKey(owners.verification_key, {ONLY_SET: secrets}, {ONLY_SET: tuple(replaced(owners))})
    won = with_step_2_left_out(monkeypatch, forged, suspect)
    assert won.measurement.match_count == 100
    assert won.owned
    with pytest.raises(VerificationError, match="step 2: the triggers of set 0 of 'abstract' do not open"):
        measure(forged, suspect, MemoryJournal())


def test_a_key_in_another_name_would_be_owned_in_it_and_is_refused(monkeypatch):
    """Mallory marks a model with a key of his own, and writes the owner's name and public key into it."""
    mallory, owner = OwnerKey("Mallory", bytes(32)), small_key().transcript.owner
    own = noise_key("in another name", 100)
    transcript = replace(own.transcript, owner=owner)
    forged = replace(own, verification_key=VerificationKey(transcript, mallory.sign(transcript.root)))
    suspect = ScriptedSuspect(expected_answers(forged))
    with monkeypatch.context() as without:
        without.setattr("earmark.keys.pair.check_signature", lambda owner, root, signature: None)
        won = verify(measure(forged, suspect, MemoryJournal()))
    assert won.owned
    assert won.measurement.verification_key.transcript.owner == owner
    with pytest.raises(VerificationError, match="step 1: the owner's signature does not fit"):
        measure(forged, suspect, MemoryJournal())


def test_a_signature_cannot_move_to_another_transcript():
    key, other = small_key(), new_key(1)
    with pytest.raises(InvalidKeyError):
        check_signature(key.transcript.owner, key.transcript.root, other.verification_key.signature)
    mallory = OwnerKey("Mallory", bytes(32))
    with pytest.raises(InvalidKeyError):
        check_signature(key.transcript.owner, key.transcript.root, mallory.sign(key.transcript.root))


def weak_keys():
    """The eight public keys of small order, from the golden files."""
    cases = json.loads((VECTORS / "signatures.json").read_text("utf-8"))["cases"]
    return [case["public_key"] for case in cases if case["name"].startswith("a public key of small order")]


def signed_without_a_secret(weak, root):
    """R = S B for one S after another, until the challenge is a multiple of the key's order: 8 tries or so."""
    for number in range(200):
        seed = number.to_bytes(32, "big")
        first = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
        bits = int.from_bytes(hashlib.sha512(seed).digest()[:32], "little")
        scalar = (bits & (2**254 - 8) | 2**254) % GROUP_ORDER  # as RFC 8032 makes a secret number of a seed
        signature = first + scalar.to_bytes(32, "little")
        try:
            check_signature(weak, root, signature)
        except InvalidKeyError:
            continue
        return signature
    raise AssertionError("one in eight fits")


def test_a_public_key_of_small_order_would_sign_anything_and_is_refused(monkeypatch):
    """Nobody has a secret for such a key, and anybody can sign with it, whatever the transcript."""
    keys = weak_keys()
    assert len(set(keys)) == 8
    for public in keys:
        weak = Owner("whoever", bytes.fromhex(public), None)
        for root in (small_key().transcript.root, bytes(32)):
            with monkeypatch.context() as without:
                without.setattr("earmark.keys.owner._SMALL_ORDER_Y", frozenset())
                signature = signed_without_a_secret(weak, root)
            with pytest.raises(InvalidKeyError, match="public key is weak"):
                check_signature(weak, root, signature)


def test_changed_signatures_are_refused():
    key = small_key()
    signature = key.verification_key.signature
    for place in range(0, 64, 7):
        changed = bytearray(signature)
        changed[place] ^= 1
        with pytest.raises(InvalidKeyError):
            check_signature(key.transcript.owner, key.transcript.root, bytes(changed))
    # The order of the group added to S: the same equation, another signature.
    s = int.from_bytes(signature[32:], "little") + GROUP_ORDER
    if s < 2**256:
        with pytest.raises(InvalidKeyError):
            check_signature(
                key.transcript.owner, key.transcript.root, signature[:32] + s.to_bytes(32, "little")
            )


def test_an_inner_node_is_no_leaf_and_another_length_no_path():
    leaves = [bytes([number]) * 32 for number in range(8)]
    root = merkle_root(leaves)
    inner = frame("earmark/merkle-node/v1", *(digest("earmark/merkle-leaf/v1", leaf) for leaf in leaves[:2]))[
        30:
    ]
    for claimed in (inner, merkle_root(leaves[:2])):
        assert path_root(claimed, 0, 4, merkle_path(leaves, 0)[1:]) != root
    with pytest.raises(ValueError, match="Merkle path"):
        path_root(leaves[0], 0, 8, merkle_path(leaves, 0)[:-1])
    with pytest.raises(ValueError, match="Merkle path"):
        path_root(leaves[0], 0, 8, (*merkle_path(leaves, 0), bytes(32)))
    assert path_root(leaves[0], 1, 8, merkle_path(leaves, 0)) != root


def test_another_salt_does_not_open():
    key = small_key()
    secrets = list(key.secrets[ONLY_SET])
    secrets[3] = bytes(32)
    assert trigger_salt(secrets[3]) != trigger_salt(key.secrets[ONLY_SET][3])
    with pytest.raises(InvalidKeyError, match="do not open"):
        replace(key, secrets={ONLY_SET: tuple(secrets)}).check()


def test_tuning_the_preprocessing_after_seeing_the_labels_is_paid_for_or_journalled():
    """The dial: try preprocessings until the count is high. Each other one is another method, and paid."""
    key, journal = small_key(), MemoryJournal()
    randomness = np.random.default_rng(0)
    for number in range(1, 31):
        suspect = ScriptedSuspect(randomness.integers(0, 10, 100).tolist())
        suspect.preprocessing = f"mean {number}"
        verdict = verify(measure(key, suspect, journal))
    paid = {penalty.name: penalty.alternatives for penalty in verdict.penalties}
    assert paid["methods"] == 30 * 31
