from dataclasses import replace

import pytest

from earmark.errors import ClaimError, FormatError, InvalidKeyError, JournalError, UnsupportedVersionError
from earmark.formats import answers_v1, envelope, marking_key_v1, owner_key_v1, verification_key_v1
from earmark.formats.inspection import describe
from earmark.formats.journal_v1 import Journal
from earmark.keys import OwnerKey
from earmark.verification import Reply
from small_claims import archive_of, marked, statement_of, two_sets
from vectors.tiny_key import signed, tiny_key

KEY = tiny_key()
ROOT = KEY.transcript.root


def test_a_verification_key_says_who_signed_what():
    facts = dict(describe(verification_key_v1.write(KEY.verification_key)))
    assert facts["file"] == "verification key (earmark/verification-key/v1), public"
    assert facts["owner"] == "TESTING ONLY, Prüfstelle №1"
    assert facts["root"] == ROOT.hex()
    assert facts["inputs"] == "image:4x4x1"
    assert facts["classes"] == "8: ant, bee, cat, dog, eel, fox, gnu, hen"
    assert facts["stratum 0"] == "abstract: 2 x 5 triggers"
    assert facts["stratum 1"] == "noise: 1 x 3 triggers"
    assert facts["signature"].startswith("valid")


def test_many_classes_are_not_all_listed_and_fixed_preprocessing_is_mentioned():
    transcript = tiny_key(classes=tuple(f"class {number}" for number in range(1000))).transcript
    fixed = replace(transcript, experiment=replace(transcript.experiment, preprocessing={"resize": "none"}))
    facts = dict(describe(verification_key_v1.write(signed(fixed))))
    assert facts["classes"].endswith("class 9, and 990 more")
    assert facts["preprocessing"] == "fixed"


def test_secret_files_say_what_they_are_without_a_passphrase():
    marking = dict(describe(marking_key_v1.write(KEY, "pass", TESTING_ONLY_scrypt_n=2)))
    assert marking["file"].startswith("marking key")
    assert marking["stated root"] == ROOT.hex()
    owner = OwnerKey("me", bytes(32))
    facts = dict(describe(owner_key_v1.write(owner, "pass", TESTING_ONLY_scrypt_n=1 << 17)))
    assert facts["file"].startswith("owner key")
    assert facts["stated public key"] == owner.owner.public_key.hex()
    assert "128 MiB" in facts["passphrase"]


def test_a_journal_says_what_was_tried_and_shown(tmp_path):
    path = tmp_path / "acme.journal"
    Journal.create(path, ROOT)
    journal, sets = Journal(path, ROOT), KEY.verification_key.set_ids
    journal.record_method("sha256:00", {})
    journal.record_method("sha256:00", {"statistic": "fixed"})
    journal.expose(sets[0], "a holder", "0" * 12, sets)
    journal.record_answers("0" * 12, "00" * 32)
    journal.record_opened(sets[0], "the court", sets)
    journal.record_asked("api", sets[1], [3])
    journal.record_replies("api", sets[1], {3: Reply(4)})
    journal.record_asked("api", sets[1], [0])
    facts = describe(path.read_bytes())
    assert len(dict(facts)) == len(facts), "every fact has a name of its own"
    found = dict(facts)
    assert found["entries"] == "8"
    assert found["head"] == journal.head[1]
    assert found["methods"] == "2 for 1 suspects"
    assert found["entry 3"].startswith("set 0 of stratum 0 exposed to a holder at 20")
    assert found["entry 5"].startswith("set 0 of stratum 0 opened to the court at 20")
    assert found["answers"] == "recorded for 1 sets"
    assert found["questions"] == "2 put one by one to 1 suspects, 1 answered"


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
def test_a_table_of_answers_says_how_far_it_is_filled_in(start):
    names = answers_v1.question_names("9f2c81d0a3b4", 3)
    data = answers_v1.template(names).replace(b"-001,", b"-001,cat").replace(b"-002,", b"-002,Refused")
    facts = dict(describe(start + data))
    assert facts["questions"] == "9f2c81d0a3b4"
    assert (facts["rows"], facts["blank"], facts["refused"]) == ("3", "1", "1")


def test_names_that_would_make_a_terminal_lie_are_escaped():
    owner = OwnerKey("\x1b[2Jevil\n\u202e", bytes(range(32)))
    public = verification_key_v1.write(tiny_key(owner=owner).verification_key)
    secret = envelope.seal(
        marking_key_v1.FORMAT, {"a\nb": "\x1b[2J", "file": "x"}, b"", "pass", TESTING_ONLY_scrypt_n=2
    )
    for data in (public, secret):
        facts = describe(data)
        assert all(name.isprintable() and value.isprintable() for name, value in facts)
        assert len(dict(facts)) == len(facts)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", FormatError),
        (b"\x93NUMPY", FormatError),
        (b"{", FormatError),
        (b"{}", FormatError),
        (b'{"format":1}', FormatError),
        (b'{"format":"earmark/other/v1"}\n', FormatError),
        (b'{"format":"' + b"x" * 1000 + b'"}', FormatError),
        (b'{"format":"earmark/verification-key/v2"}\n', UnsupportedVersionError),
        (b'{"format":"earmark/journal/v2"}\n', UnsupportedVersionError),
        (b'{"format":"earmark/journal/v1","root":""}\n', JournalError),
        (b"{" * (21 << 20), FormatError),
        (b"question,", FormatError),
    ],
    ids=lambda value: value[:20] if isinstance(value, bytes) else value.__name__,
)
def test_anything_else_is_refused(data, error):
    with pytest.raises(error) as caught:
        describe(data)
    assert len(str(caught.value)) < 300


def test_another_version_of_a_secret_file_is_reported_as_such():
    data = envelope.seal("earmark/marking-key/v2", {}, b"", "pass", TESTING_ONLY_scrypt_n=2)
    with pytest.raises(UnsupportedVersionError):
        describe(data)


def test_a_verification_key_with_a_wrong_signature_is_not_described():
    data = verification_key_v1.write(KEY.verification_key)
    signature = KEY.verification_key.signature.hex().encode()
    with pytest.raises(InvalidKeyError):
        describe(data.replace(signature, b"00" * 64))


def test_a_claim_says_what_it_states_and_that_nothing_is_checked():
    key = two_sets()
    data = archive_of(key, statement_of(key, marked(key)))
    facts = dict(describe(data))
    assert facts["stated owner"] == "Test owner"
    assert facts["opened"] == "set 1 of stratum 0, 100 triggers"
    assert facts["opened at"].startswith("2026-11-23 11:00:00 UTC")
    assert facts["stamps of the suspect"].startswith("none")
    assert "nothing of it is checked" in facts["note"]
    with pytest.raises(ClaimError, match="step 1"):
        describe(data + b"\0")


def test_public_files_of_proofs_say_what_they_are():
    facts = dict(describe(b"earmark/linear-commitments/v1\n" + bytes(2 * 1280)))
    assert facts["triggers"] == "2"
    facts = dict(describe(b"earmark/ownership-proof/v1\n" + bytes(40)))
    assert facts["statement"] == "00" * 32
    assert "says nothing by itself" in facts["note"]


@pytest.mark.parametrize("kind", ["linear-commitments", "ownership-proof"])
@pytest.mark.parametrize(
    ("rest", "error"), [(b"/v2\n", UnsupportedVersionError), (b"/v1\nshort", FormatError), (b"", FormatError)]
)
def test_those_of_other_versions_and_cut_ones_are_refused(kind, rest, error):
    with pytest.raises(error):
        describe(b"earmark/" + kind.encode() + rest)
