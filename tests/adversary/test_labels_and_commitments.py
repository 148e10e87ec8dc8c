"""A forger turns the dials of the key: each must lose, and each shows what he would have won without the rule."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from earmark.commitment import digest, frame, merkle_path, merkle_root, path_root
from earmark.errors import InvalidKeyError, VerificationError
from earmark.keys import OwnerKey, derive_labels
from earmark.keys.owner import check_signature
from earmark.keys.pair import trigger_salt
from earmark.statistics import match_tail
from earmark.triggers import Trigger
from earmark.triggers.image import IMAGE
from earmark.verification import measure, verify
from small import ONLY_SET, MemoryJournal, ScriptedSuspect, new_key, small_key

CHANCE = Fraction(1, 10)


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
    assert not verify(measure(key, ScriptedSuspect(lucky), MemoryJournal())).owned


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
    verdicts = [verify(measure(new_key(seed), suspect, MemoryJournal())) for seed in range(5)]
    assert not any(verdict.owned for verdict in verdicts)
    assert max(verdict.measurement.match_count for verdict in verdicts) <= 35


@pytest.mark.parametrize("how", ["swapped", "dropped", "doubled", "replaced"])
def test_other_triggers_than_committed_are_refused(how):
    key = small_key()
    triggers = list(key.triggers[ONLY_SET])
    if how == "swapped":
        triggers[0], triggers[1] = triggers[1], triggers[0]
    elif how == "dropped":
        del triggers[5]
    elif how == "doubled":
        triggers[7] = triggers[8]
    else:
        triggers[9] = Trigger("image", IMAGE.encode(np.zeros((8, 8, 1), np.uint8)))
    forged = replace(key, triggers={ONLY_SET: tuple(triggers)})
    with pytest.raises(VerificationError) as caught:
        measure(forged, ScriptedSuspect([0] * 100), MemoryJournal())
    assert caught.value.step == 2


def test_a_signature_cannot_move_to_another_transcript():
    key, other = small_key(), new_key(1)
    with pytest.raises(InvalidKeyError):
        check_signature(key.transcript.owner, key.transcript.root, other.verification_key.signature)
    mallory = OwnerKey("Mallory", bytes(32))
    with pytest.raises(InvalidKeyError):
        check_signature(key.transcript.owner, key.transcript.root, mallory.sign(key.transcript.root))


def test_small_order_public_keys_and_changed_signatures_are_refused():
    key = small_key()
    signature = key.verification_key.signature
    for place in range(0, 64, 7):
        changed = bytearray(signature)
        changed[place] ^= 1
        with pytest.raises(InvalidKeyError):
            check_signature(key.transcript.owner, key.transcript.root, bytes(changed))
    # The order of the group added to S: the same equation, another signature.
    order = 2**252 + 27742317777372353535851937790883648493
    s = int.from_bytes(signature[32:], "little") + order
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


def test_asking_again_does_not_choose_among_answers():
    """A suspect that answers at random, asked 50 times: the best of many looks better than any one."""
    key = small_key()
    randomness = np.random.default_rng(1)
    counts = [
        measure(key, ScriptedSuspect(randomness.integers(0, 10, 100).tolist()), MemoryJournal()).match_count
        for _ in range(50)
    ]
    assert match_tail(100, max(counts), CHANCE) * 2**24 * 2**80 > 1
