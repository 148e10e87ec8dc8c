import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from earmark.claims.release_record import NamedStamp, ReleasedModel, sign_release
from earmark.errors import EarmarkError, FormatError, InvalidKeyError, UnsupportedVersionError
from earmark.formats.release_record_v1 import FORMAT, SIZE_LIMIT_BYTES, read, write
from earmark.keys import OwnerKey
from small import small_key

OWNER = OwnerKey("Test owner", bytes(range(32)))
MODEL = ReleasedModel("marked.onnx", "file", bytes(range(32)), 1234)


def signed_record():
    record = sign_release(small_key().verification_key, MODEL, (), OWNER)
    stamps = (NamedStamp(b"t" * 32, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),)
    release = replace(record.release, key_stamps=stamps)
    return replace(record, release=release, signature=OWNER.sign(release.root), timestamps=(b"a", b"b"))


RECORD = signed_record()
FILE = write(RECORD)


def spelled(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def changed(change):
    value = json.loads(FILE)
    change(value)
    return spelled(value)


def test_what_was_written_is_read_and_written_again_byte_for_byte():
    assert read(FILE) == RECORD
    assert write(read(FILE)) == FILE
    assert json.loads(FILE)["format"] == FORMAT == "earmark/release-record/v1"


def test_every_altered_byte_of_statement_and_signature_is_noticed():
    end = FILE.index(b'"timestamps":[')
    for place in range(end):
        with pytest.raises(EarmarkError) as caught:
            read(FILE[:place] + bytes([FILE[place] ^ 1]) + FILE[place + 1 :])
        assert "\n" not in str(caught.value)


def leaves(value, path=()):
    if isinstance(value, dict):
        for name, item in value.items():
            yield from leaves(item, (*path, name))
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from leaves(item, (*path, place))
    else:
        yield path


@pytest.mark.parametrize("path", list(leaves(json.loads(FILE)["release"])), ids=str)
def test_a_well_formed_change_of_any_field_does_not_fit_the_signature(path):
    def change(value):
        place = value["release"]
        for step in path[:-1]:
            place = place[step]
        old = place[path[-1]]
        others = {"file": "folder", "earmark/release/v1": "earmark/release/v2"}
        if isinstance(old, int):
            place[path[-1]] = old + 1
        elif old in others:
            place[path[-1]] = others[old]
        elif old.startswith("2026"):
            place[path[-1]] = old.replace("2026", "2025")
        else:
            place[path[-1]] = old[:-1] + ("0" if old[-1] != "0" else "1")

    expected = UnsupportedVersionError if path == ("format",) else InvalidKeyError
    with pytest.raises(expected):
        read(changed(change))


@pytest.mark.parametrize(
    "change",
    [
        lambda value: value.update(extra=None),
        lambda value: value.pop("timestamps"),
        lambda value: value.update(timestamps=["00"] * 17),
        lambda value: value.update(timestamps=[""]),
        lambda value: value.update(timestamps=["00" * 65_537]),
        lambda value: value.update(signature="00"),
        lambda value: value["release"].update(extra=1),
        lambda value: value["release"].pop("key_timestamps"),
        lambda value: value["release"]["model"].update(kind="callable"),
        lambda value: value["release"]["model"].update(size_bytes=-1),
        lambda value: value["release"]["model"].update(size_bytes=1.5),
        lambda value: value["release"]["model"].update(name="two\nlines"),
        lambda value: value["release"]["model"].update(name=""),
        lambda value: value["release"]["owner"].update(rotation=None),
        lambda value: value["release"]["key_timestamps"][0].update(time="2026-13-01T00:00:00Z"),
        lambda value: value["release"]["key_timestamps"][0].update(time="2026-01-02T03:04:05+00:00"),
        lambda value: value["release"]["key_timestamps"][0].update(time="0000-01-02T03:04:05Z"),
        lambda value: value["release"]["key_timestamps"][0].update(token="00"),
        lambda value: value["release"].update(key_timestamps=value["release"]["key_timestamps"] * 17),
    ],
)
def test_a_malformed_field_is_refused(change):
    with pytest.raises(FormatError):
        read(changed(change))


def test_another_spelling_version_or_size_is_refused():
    for data in (FILE[:-1], FILE + b"\n", json.dumps(json.loads(FILE)).encode() + b"\n", b"", b"\n"):
        with pytest.raises(FormatError):
            read(data)
    with pytest.raises(UnsupportedVersionError):
        read(changed(lambda value: value.update(format="earmark/release-record/v2")))
    with pytest.raises(FormatError, match="larger than"):
        read(b"[" * (SIZE_LIMIT_BYTES + 1) + b"\n")


def test_a_record_that_could_not_be_read_is_not_written():
    with pytest.raises(InvalidKeyError):
        write(replace(RECORD, signature=bytes(64)))
    with pytest.raises(ValueError, match="timestamps"):
        write(replace(RECORD, timestamps=(b"",)))
    nameless = replace(RECORD.release, model=replace(MODEL, name="\x1b[2J"))
    with pytest.raises(FormatError, match="not printable"):
        write(replace(RECORD, release=nameless, signature=OWNER.sign(nameless.root)))
