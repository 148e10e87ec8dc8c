"""A proof under its owner's signature: one form, and no byte that may be changed."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.commitment.canonical import canonical_json
from earmark.errors import FormatError, InvalidKeyError, ProofError, UnsupportedVersionError
from earmark.formats import signed_proof_v1
from earmark.formats.inspection import describe
from earmark.keys import OwnerKey, SetId
from earmark.zero_knowledge.signed_proof import (
    SET_LIMIT,
    Cover,
    SignedProof,
    check_argument,
    sign_proof,
    too_few_triggers,
)
from vectors.tiny_key import TESTING_ONLY_OWNER, tiny_key

KEY = tiny_key().verification_key
SUSPECT = "sha256:" + "ab" * 32
ARGUMENT = b"an argument\n\x00"
SIGNED = sign_proof(KEY, KEY.set_ids, SUSPECT, ARGUMENT, TESTING_ONLY_OWNER)
DATA = signed_proof_v1.write(SIGNED)
LINE = DATA.split(b"\n")[1]


def checked(data, key=KEY, suspect=SUSPECT):
    found = signed_proof_v1.read(data)
    found.check_cover(key)
    found.check_suspect(suspect)
    return found


def refused(step, data=DATA, **given):
    with pytest.raises(ProofError, match=f"step {step}: ") as caught:
        checked(data, **given)
    assert caught.value.step == step


def rewritten(change, argument=ARGUMENT):
    """The file with another second line, in canonical form."""
    value = json.loads(LINE)
    change(value)
    return signed_proof_v1.MAGIC + canonical_json(value) + b"\n" + argument


def resigned(cover, owner=TESTING_ONLY_OWNER, argument=ARGUMENT):
    return signed_proof_v1.write(SignedProof(cover, owner.sign(cover.digest), argument))


def test_what_was_written_is_read():
    assert checked(DATA) == SIGNED
    assert signed_proof_v1.write(checked(DATA)) == DATA
    assert SIGNED.cover.set_ids == KEY.set_ids


def test_every_altered_byte_is_refused():
    for place in range(len(DATA)):
        for change in (1, 32, 128):
            data = bytearray(DATA)
            data[place] ^= change
            with pytest.raises((FormatError, ProofError)):
                checked(bytes(data))


def test_every_other_length_is_refused():
    for data in [*(DATA[:size] for size in range(len(DATA))), DATA + b"\0", DATA + DATA]:
        with pytest.raises((FormatError, ProofError)):
            checked(data)


@settings(max_examples=200, deadline=None)
@given(tail=st.binary(max_size=200), magic=st.booleans())
def test_foreign_bytes_are_refused_in_our_own_words(tail, magic):
    with pytest.raises(FormatError):
        signed_proof_v1.read((signed_proof_v1.MAGIC if magic else b"") + tail)


@pytest.mark.parametrize(
    "line",
    [
        LINE.replace(b",", b", ", 1),
        LINE.replace(b'"sets":[[0,0]', b'"sets":[[0.0,0]'),
        LINE.replace(b'"sets":[[0,0]', b'"sets":[[-0,0]'),
        LINE.replace(b'{"format"', b'{"format":"earmark/signed-proof/v1","format"'),
        LINE.replace(b"earmark", b"\\u0065armark"),
        LINE + b" ",
        LINE + b"\r",
    ],
)
def test_the_same_value_in_other_bytes_is_refused(line):
    """Two files for one proof: what one checker has seen, another would take for a second proof."""
    assert line != LINE
    with pytest.raises(FormatError, match="canonical"):
        signed_proof_v1.read(signed_proof_v1.MAGIC + line + b"\n" + ARGUMENT)


@pytest.mark.parametrize(
    "change",
    [
        lambda value: value.update(more=1),
        lambda value: value["proof"].update(more=1),
        lambda value: value["proof"].pop("sets"),
        lambda value: value["proof"].update(sets=[]),
        lambda value: value["proof"].update(sets=[[0]]),
        lambda value: value["proof"].update(sets=[[0, 0, 0]]),
        lambda value: value["proof"].update(sets=[[0, -1]]),
        lambda value: value["proof"].update(sets=[[0, True]]),
        lambda value: value["proof"].update(sets=[[0, 1 << 20]]),
        lambda value: value["proof"].update(sets=[[0, 0]] * (SET_LIMIT + 1)),
        lambda value: value["proof"].update(root="AB" * 32),
        lambda value: value["proof"].update(suspect="ab" * 31),
        lambda value: value.update(signature="ab" * 63),
        lambda value: value.update(format="earmark/claim/v1"),
    ],
)
def test_a_field_out_of_range_is_refused(change):
    with pytest.raises(FormatError):
        signed_proof_v1.read(rewritten(change))


def test_other_versions_are_named():
    with pytest.raises(UnsupportedVersionError, match="newer Earmark"):
        signed_proof_v1.read(DATA.replace(b"/v1\n", b"/v2\n", 1))
    with pytest.raises(UnsupportedVersionError, match="newer Earmark"):
        signed_proof_v1.read(rewritten(lambda value: value.update(format="earmark/signed-proof/v2")))


def test_a_bare_argument_is_refused_and_the_reason_named():
    with pytest.raises(FormatError, match="without its owner's signature"):
        signed_proof_v1.read(b"earmark/ownership-proof/v1\n" + bytes(1000))


def test_an_endless_second_line_is_not_read_to_its_end(monkeypatch):
    with pytest.raises(FormatError, match="does not end"):
        signed_proof_v1.read(signed_proof_v1.MAGIC + b"[" * (signed_proof_v1.COVER_LIMIT_BYTES + 10) + b"\n")
    monkeypatch.setattr(signed_proof_v1, "SIZE_LIMIT_BYTES", 100)
    with pytest.raises(FormatError, match="larger than"):
        signed_proof_v1.read(DATA)
    with pytest.raises(ValueError, match="larger than"):
        signed_proof_v1.write(SIGNED)


def test_the_longest_cover_fits_into_its_line():
    cover = replace(SIGNED.cover, set_ids=(SetId((1 << 20) - 1, (1 << 20) - 1),) * SET_LIMIT)
    assert signed_proof_v1.read(resigned(cover)).cover == cover


def test_a_proof_holds_as_many_sets_as_it_may_hold_inputs():
    statement = pytest.importorskip("earmark.zero_knowledge.statement")
    assert SET_LIMIT == statement.INPUT_LIMIT


# Whose word it is


def test_a_thief_of_the_key_cannot_speak_for_its_owner():
    """He has all openings and can make any argument; what he lacks is the owner's signing key."""
    thief = OwnerKey(TESTING_ONLY_OWNER.name, bytes(32))
    refused(2, resigned(SIGNED.cover, thief))
    with pytest.raises(InvalidKeyError, match="belongs to"):
        sign_proof(KEY, KEY.set_ids, SUSPECT, ARGUMENT, thief)
    with pytest.raises(InvalidKeyError, match="belongs to"):
        sign_proof(KEY, KEY.set_ids, SUSPECT, ARGUMENT, OwnerKey("Somebody", TESTING_ONLY_OWNER.secret))


def test_a_signature_over_something_else_is_none_over_a_proof():
    """The owner signs roots of transcripts, releases and claims; none of them may pass for a cover."""
    as_transcript = SignedProof(SIGNED.cover, KEY.signature, ARGUMENT)
    refused(2, signed_proof_v1.write(as_transcript))
    raw = TESTING_ONLY_OWNER.sign(canonical_json(SIGNED.cover.to_json()))
    refused(2, signed_proof_v1.write(replace(as_transcript, signature=raw)))


def test_another_argument_under_his_signature_is_refused():
    refused(3, signed_proof_v1.write(replace(SIGNED, argument=ARGUMENT + b"\0")))


def test_a_proof_for_another_key_of_the_same_owner_is_refused():
    other = tiny_key("another").verification_key
    refused(4, key=other)


@pytest.mark.parametrize(
    "set_ids",
    [
        KEY.set_ids[::-1],
        (KEY.set_ids[0], KEY.set_ids[0]),
        (*KEY.set_ids, SetId(9, 9)),
        (KEY.set_ids[0], SetId(0, 7)),
    ],
)
def test_sets_that_are_not_the_keys_or_not_in_order_are_refused(set_ids):
    refused(5, resigned(replace(SIGNED.cover, set_ids=set_ids)))
    with pytest.raises(ValueError, match="step 5"):
        sign_proof(KEY, set_ids, SUSPECT, ARGUMENT, TESTING_ONLY_OWNER)


def test_a_proof_about_another_model_is_refused():
    refused(6, suspect="sha256:" + "cd" * 32)


@pytest.mark.parametrize("suspect", ["https://api.test", "sha256:ab", "sha256:zz"])
def test_only_files_are_proven_about(suspect):
    with pytest.raises(ValueError, match="file|signed so|hexadecimal"):
        sign_proof(KEY, KEY.set_ids, suspect, ARGUMENT, TESTING_ONLY_OWNER)


def test_what_is_refused_behind_the_cover_says_both_numbers():
    def fails(error):
        def check(data):
            assert data == ARGUMENT
            raise error

        return check

    with pytest.raises(ProofError, match="step 7: the argument's step 3: the equations"):
        check_argument(fails(ProofError(3, "the equations do not add up")), ARGUMENT)
    with pytest.raises(ProofError, match="step 7: there is no argument in it: cut short"):
        check_argument(fails(FormatError("cut short")), ARGUMENT)
    with pytest.raises(UnsupportedVersionError):
        check_argument(fails(UnsupportedVersionError("of another version")), ARGUMENT)
    check_argument(lambda data: None, ARGUMENT)
    with pytest.raises(ProofError, match="step 5: too few"), too_few_triggers():
        raise ProofError(0, "too few")


def test_inspecting_says_what_it_is_and_that_nothing_is_checked():
    facts = dict(describe(DATA))
    assert facts["root"] == KEY.transcript.root.hex()
    assert facts["sets"] == "0:0, 0:1, 1:0"
    assert facts["suspect"] == SUSPECT
    assert "earmark check" in facts["note"]


def test_a_cover_is_its_digest():
    """Every field is signed."""
    own = SIGNED.cover
    others = [
        replace(own, root=bytes(32)),
        replace(own, set_ids=own.set_ids[:1]),
        replace(own, suspect=bytes(32)),
        replace(own, argument=bytes(32)),
    ]
    assert len({cover.digest for cover in (own, *others)}) == 5
    assert Cover.from_json(own.to_json()).digest == own.digest
