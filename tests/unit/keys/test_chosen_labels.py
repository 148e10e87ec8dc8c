from dataclasses import replace

import pytest

from earmark.commitment import merkle_root
from earmark.errors import FormatError, InvalidKeyError
from earmark.formats import marking_key_v1
from earmark.keys import SetId, random_labels
from earmark.keys.pair import label_commitments
from small import ONLY_SET, chosen_key, new_key

KEY = chosen_key()


def test_the_labels_are_those_of_the_backdoor_and_of_no_public_file():
    assert KEY.backdoor().labels == KEY.labels(ONLY_SET)
    assert KEY.transcript.labels["rule"] == "chosen"
    with pytest.raises(InvalidKeyError, match="chosen by its owner"):
        KEY.verification_key.labels(ONLY_SET)


def test_every_label_has_a_commitment_of_its_own():
    leaves = label_commitments(KEY.labels(ONLY_SET), KEY.secrets[ONLY_SET])
    assert len(set(leaves)) == 100  # ten labels, a hundred salts
    assert KEY.transcript.labels["roots"] == [merkle_root(leaves).hex()]


def altered(labels):
    return replace(KEY, chosen_labels=labels)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (None, "says that the labels are chosen"),
        ({}, "does not hold the labels"),
        ({SetId(0, 1): KEY.labels(ONLY_SET)}, "does not hold the labels"),
        ({ONLY_SET: KEY.labels(ONLY_SET)[1:]}, "incomplete"),
        ({ONLY_SET: (10, *KEY.labels(ONLY_SET)[1:])}, "not a class"),
        ({ONLY_SET: ((KEY.labels(ONLY_SET)[0] + 1) % 10, *KEY.labels(ONLY_SET)[1:])}, "do not open"),
    ],
)
def test_other_labels_than_were_committed_to_are_refused(labels, message):
    with pytest.raises(InvalidKeyError, match=message):
        altered(labels).check()


def test_derived_keys_hold_no_labels():
    key = new_key()
    assert key.chosen_labels is None
    with pytest.raises(InvalidKeyError, match="says that the labels are derived"):
        replace(key, chosen_labels={ONLY_SET: key.labels(ONLY_SET)}).check()


def test_they_are_kept_in_the_file():
    data = marking_key_v1.write(KEY, "secret", TESTING_ONLY_scrypt_n=2)
    read = marking_key_v1.read(data, "secret")
    assert read.labels(ONLY_SET) == KEY.labels(ONLY_SET)
    assert read == KEY


@pytest.mark.parametrize("labels", [[], [["1"] * 100], [[True] * 100], ["a"], [[1] * 100, [1] * 100]])
def test_malformed_labels_in_a_file_are_refused(labels, monkeypatch):
    real = marking_key_v1.canonical_json
    monkeypatch.setattr(marking_key_v1, "canonical_json", lambda value: real({**value, "labels": labels}))
    data = marking_key_v1.write(KEY, "secret", TESTING_ONLY_scrypt_n=2)
    with pytest.raises(FormatError, match="labels"):
        marking_key_v1.read(data, "secret")


def test_random_labels_use_all_classes_evenly():
    drawn = random_labels(4, bytes)([None] * 4000)
    assert all(900 < drawn.count(label) < 1100 for label in range(4))
    assert random_labels(4)([None] * 100) != random_labels(4)([None] * 100)
