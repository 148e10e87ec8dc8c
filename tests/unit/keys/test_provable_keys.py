"""Keys whose commitments are linear: what they hold, and what they refuse."""

from dataclasses import replace

import numpy as np
import pytest

from earmark.claims.opened_set import check_opened, open_asked
from earmark.commitment.linear import RANDOM_BYTES, commit_linear, linear_scheme
from earmark.errors import ClaimError, FormatError, InvalidKeyError
from earmark.formats import linear_commitments_v1, marking_key_v1
from earmark.keys import MarkingKey, OwnerKey, SetId, Task, VerificationKey, keygen, random_labels
from earmark.triggers.abstract import AbstractSampler
from earmark.triggers.image import ImageGeometry
from small import DIGITS, small_key

OWNER = OwnerKey("Test owner", bytes(range(32)))


def made(seed=0, *, sets=2, geometry=None, **changes):
    draws = np.random.default_rng(seed)
    task = Task(geometry or ImageGeometry(8, 8, 1), DIGITS)
    options = {"triggers_per_set": 100, "set_count": sets, "provable": True, "random_bytes": draws.bytes}
    return keygen(OWNER, task, AbstractSampler(), **{**options, **changes})


KEY = made()
PUBLIC = KEY.verification_key
SIDECAR = linear_commitments_v1.write(KEY)


def resigned(key, **changes):
    transcript = replace(key.transcript, **changes)
    return VerificationKey(transcript, OWNER.sign(transcript.root))


def test_every_commitment_is_the_linear_one_of_its_pixels():
    values = linear_commitments_v1.read(SIDECAR, PUBLIC)
    assert values.shape == (200, 320)
    for row, (set_id, place) in enumerate(
        (set_id, place) for set_id in PUBLIC.set_ids for place in range(100)
    ):
        if row % 37 == 0:
            pixels = KEY.triggers[set_id][place].value.tobytes()
            assert np.array_equal(values[row], commit_linear(pixels, KEY.opening(set_id, place)))


def test_randomness_is_fresh_and_expanded_from_nothing():
    every = [item for items in KEY.randomness.values() for item in items]
    assert len(set(every)) == 200
    assert {len(item) for item in every} == {RANDOM_BYTES}
    drawn = []

    def random_bytes(count):
        drawn.append(count)
        return np.random.default_rng(len(drawn)).bytes(count)

    made(1, sets=1, random_bytes=random_bytes)
    assert drawn.count(RANDOM_BYTES) == 100


def test_the_file_of_the_key_brings_it_back():
    sealed = marking_key_v1.write(KEY, "secret", TESTING_ONLY_scrypt_n=2)
    again = marking_key_v1.read(sealed, "secret")
    assert again.randomness == KEY.randomness
    assert again.leaves == KEY.leaves
    assert linear_commitments_v1.write(again) == SIDECAR


def test_nothing_secret_lies_in_the_sidecar():
    for set_id, items in KEY.randomness.items():
        for place, item in enumerate(items):
            assert item[:16] not in SIDECAR
            assert KEY.secrets[set_id][place] not in SIDECAR
            assert KEY.triggers[set_id][place].value.tobytes()[:16] not in SIDECAR


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda data: data[:-1], FormatError),
        (lambda data: data + bytes(4), FormatError),
        (lambda data: data[1:], FormatError),
        (lambda data: b"", FormatError),
        (lambda data: data.replace(b"/v1\n", b"/v2\n"), FormatError),
        (lambda data: data[:-1] + bytes([data[-1] ^ 1]), InvalidKeyError),
        (lambda data: data[:-2560] + data[-1280:] + data[-2560:-1280], InvalidKeyError),
    ],
)
def test_another_sidecar_is_refused(change, error):
    with pytest.raises(error):
        linear_commitments_v1.read(change(SIDECAR), PUBLIC)


def test_a_sidecar_whose_trees_are_others():
    """The owner names one file of commitments for proofs and other trees for claims: one per trigger, never two."""
    other = made(2)
    two_faced = resigned(KEY, commitment=linear_scheme(other.sidecar))
    with pytest.raises(InvalidKeyError, match="do not lead to its root"):
        linear_commitments_v1.read(linear_commitments_v1.write(other), two_faced)


def test_a_number_outside_the_field():
    """p more is the same number written otherwise: the owner signs it, and it is refused."""
    from earmark.commitment import merkle_root
    from earmark.fields import PRIME

    leaves = [leaf for part in KEY.leaves.values() for leaf in part]
    first = int.from_bytes(leaves[0][:4], "little") + PRIME
    assert first < 1 << 32
    leaves[0] = first.to_bytes(4, "little") + leaves[0][4:]
    content = b"".join(leaves)
    stratum = replace(
        KEY.transcript.strata[0], set_roots=(merkle_root(leaves[:100]), merkle_root(leaves[100:]))
    )
    public = resigned(KEY, strata=(stratum,), commitment=linear_scheme(content))
    with pytest.raises(FormatError, match="outside the field"):
        linear_commitments_v1.read(linear_commitments_v1.MAGIC + content, public)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"randomness": None}, "opens others"),
        ({"randomness": {SetId(0, 0): KEY.randomness[SetId(0, 0)]}}, "randomness of every commitment"),
        (
            {"randomness": {i: (b"x" * RANDOM_BYTES, *r[1:]) for i, r in KEY.randomness.items()}},
            "do not open",
        ),
        ({"randomness": {i: (r[0][:-1], *r[1:]) for i, r in KEY.randomness.items()}}, "1272 bytes"),
    ],
)
def test_a_key_that_does_not_open_its_commitments(change, words):
    with pytest.raises(InvalidKeyError, match=words):
        replace(KEY, **change).check()


def test_other_parameters_are_not_opened():
    for field, value in (("prime", 97), ("rows", 4), ("random_bytes", 8), ("sidecar", "ab" * 32)):
        public = resigned(KEY, commitment={**KEY.transcript.commitment, field: value})
        with pytest.raises(InvalidKeyError, match="not those that the transcript names"):
            MarkingKey(public, KEY.secrets, KEY.triggers, None, KEY.randomness).check()
        with pytest.raises(InvalidKeyError, match="not the commitments"):
            linear_commitments_v1.read(SIDECAR, public)


def test_salted_keys_have_no_sidecar():
    with pytest.raises(InvalidKeyError, match="not linear"):
        linear_commitments_v1.write(small_key())
    with pytest.raises(InvalidKeyError, match="--provable"):
        linear_commitments_v1.read(SIDECAR, small_key().verification_key)


def test_chosen_labels_and_large_pictures_are_refused():
    with pytest.raises(ValueError, match="leave them derived"):
        made(choose_labels=random_labels(10))
    with pytest.raises(ValueError, match="1 to 4096 bytes"):
        made(geometry=ImageGeometry(64, 64, 3))


def test_a_set_of_a_provable_key_is_opened_as_others_are():
    set_id = SetId(0, 1)
    opened = open_asked(KEY, set_id, 5)
    assert [item.canonical_bytes for item in check_opened(PUBLIC, set_id, opened)] == [
        KEY.triggers[set_id][place].canonical_bytes for place in PUBLIC.order(set_id)[:5]
    ]
    for change in (
        {"salt": opened[1].salt},
        {"salt": opened[0].salt[:32]},
        {"canonical_bytes": opened[1].canonical_bytes},
        {"canonical_bytes": b""},
    ):
        with pytest.raises(ClaimError):
            check_opened(PUBLIC, set_id, (replace(opened[0], **change),))
