import json
from dataclasses import replace

import pytest

from earmark.commitment.canonical import canonical_json
from earmark.errors import FormatError, InvalidKeyError, PassphraseError, UnsupportedVersionError
from earmark.formats import envelope, marking_key_v1
from earmark.formats.marking_key_v1 import FORMAT, read, write
from earmark.keys import SetId
from vectors.tiny_key import tiny_key

KEY = tiny_key()
ABOUT = {"owner": KEY.transcript.owner.name, "root": KEY.transcript.root.hex()}


def sealed(content, about=ABOUT, file_format=FORMAT):
    return envelope.seal(file_format, about, content, "pass", TESTING_ONLY_scrypt_n=2)


def content_of(key=KEY):
    return envelope.unseal(write(key, "pass", TESTING_ONLY_scrypt_n=2), FORMAT, "pass")[1]


def changed(change, tail=lambda triggers: triggers):
    content = content_of()
    end = 8 + int.from_bytes(content[:8], "big")
    value = json.loads(content[8:end])
    change(value)
    text = canonical_json(value)
    return sealed(len(text).to_bytes(8, "big") + text + tail(content[end:]))


def test_what_was_written_is_read():
    assert read(write(KEY, "pass", TESTING_ONLY_scrypt_n=2), "pass") == KEY


def test_sets_and_strata_keep_their_order():
    found = read(write(KEY, "pass", TESTING_ONLY_scrypt_n=2), "pass")
    assert tuple(found.triggers) == KEY.verification_key.set_ids == tuple(found.secrets)


def test_timestamps_stay_with_the_public_key():
    stamped = replace(KEY, verification_key=replace(KEY.verification_key, timestamps=(b"token",)))
    assert read(write(stamped, "pass", TESTING_ONLY_scrypt_n=2), "pass") == KEY


def test_owner_and_root_are_shown_and_neither_secrets_nor_triggers_are():
    data = write(KEY, "pass", TESTING_ONLY_scrypt_n=2)
    assert envelope.read_header(data).about == ABOUT
    secret, trigger = KEY.secrets[SetId(0, 0)][0], KEY.triggers[SetId(0, 0)][0]
    assert secret not in data
    assert secret.hex().encode() not in data
    assert trigger.canonical_bytes not in data


def test_a_wrong_passphrase_does_not_open():
    with pytest.raises(PassphraseError):
        read(write(KEY, "pass", TESTING_ONLY_scrypt_n=2), "other")


def test_a_key_that_contradicts_itself_is_not_written():
    broken = replace(KEY, triggers={**KEY.triggers, SetId(0, 0): KEY.triggers[SetId(0, 1)]})
    with pytest.raises(InvalidKeyError):
        write(broken, "pass", TESTING_ONLY_scrypt_n=2)


def test_a_key_too_large_for_a_file_is_not_written(monkeypatch):
    monkeypatch.setattr(marking_key_v1, "_CONTENT_LIMIT_BYTES", 100)
    with pytest.raises(FormatError, match="use fewer sets"):
        write(KEY, "pass", TESTING_ONLY_scrypt_n=2)


def test_another_version_is_reported_as_such():
    with pytest.raises(UnsupportedVersionError):
        read(sealed(b"", file_format="earmark/marking-key/v2"), "pass")


def test_a_file_that_shows_another_key_than_it_holds_is_refused():
    for about in ({}, {**ABOUT, "owner": "another"}, {**ABOUT, "root": "00" * 32}):
        with pytest.raises(FormatError, match="shows another owner or root"):
            read(sealed(content_of(), about), "pass")


def test_every_truncation_of_the_content_is_refused():
    content = content_of()
    for size in range(0, len(content), 7):
        with pytest.raises(FormatError):
            read(sealed(content[:size]), "pass")
    with pytest.raises(FormatError, match="left over"):
        read(sealed(content + b"\0"), "pass")


@pytest.mark.parametrize(
    "change",
    [
        lambda value: value.update(extra=1),
        lambda value: value.pop("secrets"),
        lambda value: value["secrets"].pop(),
        lambda value: value["secrets"].append(value["secrets"][0]),
        lambda value: value["secrets"].__setitem__(0, value["secrets"][0][:-64]),
        lambda value: value["secrets"].__setitem__(0, 7),
        lambda value: value["trigger_bytes"].pop(),
        lambda value: value["trigger_bytes"][0].pop(),
        lambda value: value["trigger_bytes"].__setitem__(0, 7),
        lambda value: value["trigger_bytes"][0].__setitem__(0, 0),
        lambda value: value["trigger_bytes"][0].__setitem__(0, -1),
        lambda value: value["trigger_bytes"][0].__setitem__(0, True),
        lambda value: value["trigger_bytes"][0].__setitem__(0, 1 << 50),
        lambda value: value["trigger_bytes"][0].__setitem__(0, value["trigger_bytes"][0][0] - 1),
        lambda value: value.update(signature="00"),
    ],
)
def test_a_malformed_content_is_refused(change):
    with pytest.raises(FormatError):
        read(changed(change), "pass")


def test_a_length_that_promises_more_json_than_there_is_is_refused():
    content = content_of()
    for length in (0, 1 << 62, len(content)):
        with pytest.raises(FormatError):
            read(sealed(length.to_bytes(8, "big") + content[8:]), "pass")


def test_triggers_and_secrets_that_do_not_open_the_commitments_are_refused():
    with pytest.raises(InvalidKeyError, match="do not open"):
        read(changed(lambda value: None, tail=lambda triggers: triggers[:-1] + b"\0"), "pass")
    with pytest.raises(InvalidKeyError, match="do not open"):
        read(changed(lambda value: value["secrets"].reverse() or swap_sets(value)), "pass")
    with pytest.raises(InvalidKeyError, match="signature"):
        read(changed(lambda value: value.update(signature="00" * 64)), "pass")


def swap_sets(value):
    # Strata differ in size, so put the places back that would be malformed and keep two swapped sets.
    value["secrets"].reverse()
    value["secrets"][0], value["secrets"][1] = value["secrets"][1], value["secrets"][0]
