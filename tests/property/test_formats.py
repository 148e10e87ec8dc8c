import contextlib
import json
import unicodedata
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from earmark.commitment.canonical import canonical_json
from earmark.errors import EarmarkError, FormatError, InvalidKeyError, JournalError, PassphraseError
from earmark.formats import (
    answers_v1,
    envelope,
    inspection,
    journal_lines_v1,
    marking_key_v1,
    owner_key_v1,
    signed_proof_v1,
    verification_key_v1,
)
from earmark.keys import OwnerKey
from vectors.tiny_key import tiny_key

KEY = tiny_key()
PUBLIC = KEY.verification_key
MARKING_FILE = marking_key_v1.write(KEY, "pass", TESTING_ONLY_scrypt_n=2)
FORMATS = [
    verification_key_v1.FORMAT,
    marking_key_v1.FORMAT,
    owner_key_v1.FORMAT,
    journal_lines_v1.FORMAT,
    "earmark/other/v1",
]
READERS = {
    "verification key": verification_key_v1.read,
    "marking key": lambda data: marking_key_v1.read(data, "pass"),
    "owner key": lambda data: owner_key_v1.read(data, "pass"),
    "header": envelope.read_header,
    "journal": journal_lines_v1.read,
    "answers": lambda data: answers_v1.read(data, PUBLIC),
    "signed proof": signed_proof_v1.read,
    "inspection": inspection.describe,
}
quick = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
TEXT = st.characters(exclude_categories=["Cs"])
FIELD_NAMES = ["root", "about", "kdf", "cipher", "transcript", "signature", "timestamps", "entry", "previous"]
OBJECTS = st.dictionaries(st.sampled_from(FIELD_NAMES), JSON, max_size=6)


def refuses_or_reads(read, data):
    with contextlib.suppress(FormatError, JournalError, InvalidKeyError):
        read(data)


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
class TestForeignBytes:
    @quick
    @given(data=st.binary(max_size=300))
    @example(data=b"")
    @example(data=b"\n")
    @example(data=b"{}\n")
    @example(data=b"question,answer\n\0,\0")
    def test_random_bytes_are_refused_in_our_own_words(self, read, data):
        with pytest.raises((FormatError, JournalError)):
            read(data)

    @quick
    @given(name=st.sampled_from(FORMATS), value=OBJECTS, tail=st.binary(max_size=40))
    def test_any_json_of_a_known_format_is_read_or_refused_in_our_own_words(self, read, name, value, tail):
        refuses_or_reads(read, canonical_json({"format": name, **value}) + b"\n" + tail)

    @quick
    @given(text=st.text(max_size=100))
    def test_any_table_is_read_or_refused_in_our_own_words(self, read, text):
        refuses_or_reads(read, f"question,answer\n{text}".encode("utf-8", "replace"))


def leaves(value, path=()):
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(item, (*path, key))
    yield path


VALUE = json.loads(verification_key_v1.write(PUBLIC))
PLACES = [path for path in leaves(VALUE) if path]


@quick
@given(place=st.sampled_from(PLACES), value=JSON)
def test_a_verification_key_with_any_other_value_anywhere_is_refused(place, value):
    altered = json.loads(json.dumps(VALUE))
    target = altered
    for key in place[:-1]:
        target = target[key]
    if canonical_json(target[place[-1]]) == canonical_json(value):
        return
    target[place[-1]] = value
    if place[0] == "timestamps":
        return  # a token is checked by itself
    with pytest.raises(EarmarkError):
        verification_key_v1.read(canonical_json(altered) + b"\n")


@quick
@given(tokens=st.lists(st.binary(min_size=1, max_size=50), max_size=16))
def test_a_verification_key_is_written_in_exactly_one_way(tokens):
    data = verification_key_v1.write(replace(PUBLIC, timestamps=tuple(tokens)))
    assert verification_key_v1.write(verification_key_v1.read(data)) == data


@quick
@given(content=st.binary(max_size=200), passphrase=st.text(TEXT, min_size=1), other=st.text(TEXT))
def test_a_passphrase_opens_what_it_sealed_and_nothing_else_does(content, passphrase, other):
    data = envelope.seal("earmark/testing/v1", {}, content, passphrase, TESTING_ONLY_scrypt_n=2)
    assert envelope.unseal(data, "earmark/testing/v1", passphrase)[1] == content
    if unicodedata.normalize("NFC", other) != unicodedata.normalize("NFC", passphrase):
        with pytest.raises(PassphraseError):
            envelope.unseal(data, "earmark/testing/v1", other)


@quick
@given(
    name=st.text(TEXT, min_size=1, max_size=200),
    secret=st.binary(min_size=32, max_size=32),
)
def test_every_owner_key_that_is_written_is_read(name, secret):
    key = OwnerKey(name, secret)
    assert owner_key_v1.read(owner_key_v1.write(key, "pass", TESTING_ONLY_scrypt_n=2), "pass") == key


@quick
@given(place=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_every_altered_bit_of_a_marking_key_is_noticed(place, bit):
    place %= len(MARKING_FILE)
    altered = MARKING_FILE[:place] + bytes([MARKING_FILE[place] ^ 1 << bit]) + MARKING_FILE[place + 1 :]
    with pytest.raises(FormatError):
        marking_key_v1.read(altered, "pass")


ANSWERS = st.text(TEXT, min_size=1, max_size=20).map(str.strip).filter(bool)


@quick
@given(
    texts=st.lists(ANSWERS, min_size=5, max_size=5),
    order=st.permutations(range(5)),
    delimiter=st.sampled_from(",;"),
)
def test_whatever_is_answered_is_read_back_whatever_program_saved_it(texts, order, delimiter):
    name = answers_v1.questions_id(PUBLIC.transcript.root, PUBLIC.set_ids[0])
    names = answers_v1.question_names(name, 5)
    rows = [f'{names[place]}{delimiter}"{texts[place].replace(chr(34), chr(34) * 2)}"' for place in order]
    data = "\r\n".join([f"question{delimiter}answer", *rows]).encode()
    assert answers_v1.read(data, PUBLIC) == answers_v1.Answers(name, tuple(texts))
