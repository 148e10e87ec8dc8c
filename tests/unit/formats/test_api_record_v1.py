import base64
import errno
import hashlib
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from earmark.errors import FormatError, JournalError, UnsupportedVersionError
from earmark.formats import api_record_lines_v1 as lines
from earmark.formats.api_record_v1 import ApiRecord
from earmark.formats.inspection import describe
from earmark.suspects.http.terms import Received
from vectors import witness

GOLDEN = (Path(__file__).parents[2] / "vectors/v1/api/acme.api-record").read_bytes()
ROOT = hashlib.sha256(b"any root").digest()
HASH = "0" * 64
OK = Received(200, "application/json", b"[]", whole=True, milliseconds=3)


def clock():
    return datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "acme.api-record"


def test_the_golden_record_is_read_as_it_was_written():
    contents = lines.read(GOLDEN)
    assert contents.root == ROOT
    assert [entry.kind for entry in contents.entries] == [
        "run", "sent", "failed", "sent", "received", "sent", "received", "sent",
    ]  # fmt: skip
    assert contents.ledger.query_counts == {"api:https://api.example.com/v1 as hugging-face": 4}
    assert contents.ledger.waiting == {8}
    assert contents.ledger.head == "5903df696763c6ddd30703cb937fb26c76d9e4a2295bd2d357855ddf9f36aa6b"
    _, strange = (entry for entry in contents.entries if entry.kind == "received")
    assert (strange.status, strange.body, strange.whole) == (400, b"\xff[credential]", False)


def test_a_second_implementation_finds_the_same_chain_and_digests():
    first, *rest = GOLDEN.splitlines()
    head = witness.digest("earmark/api-record-entry/v1", first).hex()
    for number, line in enumerate(rest, 1):
        value = json.loads(line)
        assert (value["entry"], value["previous"]) == (number, head)
        head = witness.digest("earmark/api-record-entry/v1", line).hex()
        if value["kind"] == "received":
            body = value["body"].encode()
            body = base64.b64decode(body) if value["encoding"] == "base64" else body
            assert hashlib.sha256(body).hexdigest() == value["digest"]
    assert head == lines.read(GOLDEN).ledger.head


def test_a_record_is_made_kept_and_gone_on_with(path):
    with ApiRecord(path, ROOT, clock) as record:
        record.begin("api:x", {"protocol": "hugging-face"})
        record.received(record.sent("question", HASH, HASH, 1), OK)
        record.failed(record.sent("metadata", None, HASH, 2), "ConnectError", 5)
        head = record.head
    assert path.stat().st_mode & 0o777 == 0o600
    with ApiRecord(path, ROOT, clock) as record:
        assert record.head == head
        assert (record.query_count("api:x"), record.query_count("api:y")) == (2, 0)
        assert (record.again_count("api:x"), record.again_count("api:y")) == (1, 0)
        record.begin("api:y", {})
        record.sent("question", HASH, HASH, 1)
        assert record.query_count("api:y") == 1
    facts = dict(describe(path.read_bytes()))
    assert facts["runs"] == "2"
    assert facts["suspect 1"] == "api:x: 2 requests"
    assert facts["requests"] == "2 question, 1 metadata"
    assert facts["sent again"] == "1"
    assert facts["responses"] == "1 with HTTP 200"
    assert facts["nothing came back"] == "1 times, cut off 1 times"


def test_one_process_at_a_time(path, monkeypatch):
    monkeypatch.setattr("earmark.formats.locking.LOCK_SECONDS", 0.05)
    with ApiRecord(path, ROOT), pytest.raises(JournalError, match="another process"):
        ApiRecord(path, ROOT)
    ApiRecord(path, ROOT).close()


@pytest.mark.parametrize("cut", [1, 20, 100])
def test_what_a_killed_process_left_of_a_line_is_removed_and_said(path, cut):
    path.write_bytes(GOLDEN[:-cut])
    contents = lines.read(GOLDEN[:-cut])
    assert len(contents.entries) == 7
    assert contents.unfinished_bytes > 0
    with ApiRecord(path, ROOT, clock) as record:
        record.begin("api:x", {})
    entry = lines.read(path.read_bytes()).entries[-1]
    assert (entry.number, entry.kind, entry.dropped_bytes) == (8, "run", contents.unfinished_bytes)


def test_every_line_cut_anywhere_leaves_all_lines_before_it_whole():
    ends = [place + 1 for place, byte in enumerate(GOLDEN) if byte == 10]
    for size in range(ends[0], len(GOLDEN)):
        assert len(lines.read(GOLDEN[:size]).entries) == sum(end <= size for end in ends) - 1


def test_another_key_and_damage_are_refused(path):
    path.write_bytes(GOLDEN)
    with pytest.raises(JournalError, match="another key"):
        ApiRecord(path, bytes(32))
    # Of the last line only the head, which stands in the report, would tell.
    for place in range(0, GOLDEN.rindex(b"\n", 0, -1), 37):
        path.write_bytes(GOLDEN[:place] + bytes([GOLDEN[place] ^ 1]) + GOLDEN[place + 1 :])
        with pytest.raises((JournalError, UnsupportedVersionError)):
            ApiRecord(path, ROOT).begin("x", {})


def test_answers_to_nothing_and_second_answers_are_refused(path):
    with ApiRecord(path, ROOT, clock) as record:
        with pytest.raises(ValueError, match="before any run"):
            record.sent("question", HASH, HASH, 1)
        record.begin("api:x", {})
        sent = record.sent("question", HASH, HASH, 1)
        record.received(sent, OK)
        for again in (sent, sent + 7, 1):
            with pytest.raises(ValueError, match="answers no request"):
                record.failed(again, "x", 1)
        waiting = record.sent("question", HASH, HASH, 1)
        record.begin("api:x", {})
        with pytest.raises(ValueError, match="answers no request"):
            record.received(waiting, OK)
    assert len(lines.read(path.read_bytes()).entries) == 5, "what was refused left nothing behind"


@pytest.mark.parametrize(
    "body",
    [b"", b"\xff", b"\x00" * (64 << 10), b'"\\' * (40 << 10), "ü".encode() * (40 << 10), b"\n" * (1 << 20)],
)
def test_bodies_of_every_kind_fit_into_a_line(path, body):
    with ApiRecord(path, ROOT, clock) as record:
        record.begin("api:x", {})
        record.received(record.sent("question", HASH, HASH, 1), Received(200, "x", body, True, 1))
    entry = lines.read(path.read_bytes()).entries[-1]
    assert entry.body == body[: 64 << 10]
    assert (entry.size_bytes, entry.body_digest) == (len(body), hashlib.sha256(body).hexdigest())


def test_a_record_that_is_full_or_cannot_be_written_says_so(path, monkeypatch):
    with ApiRecord(path, ROOT, clock) as record:
        record.begin("api:x", {})
        before = path.read_bytes()
        monkeypatch.setattr(lines, "SIZE_LIMIT_BYTES", len(before) + 10)
        with pytest.raises(JournalError, match="full"):
            record.begin("api:x", {})
        with pytest.raises(JournalError, match="closed"):
            record.begin("api:x", {})
    monkeypatch.undo()
    with ApiRecord(path, ROOT, clock) as record:
        monkeypatch.setattr("os.write", lambda file, data: 1)
        with pytest.raises(JournalError, match="disk is full"):
            record.begin("api:x", {})
    assert path.read_bytes() == before
    monkeypatch.undo()
    with ApiRecord(path, ROOT, clock) as record:
        monkeypatch.setattr("os.fsync", lambda file: failing())
        with pytest.raises(JournalError, match="Input/output error"):
            record.sync()
        with pytest.raises(JournalError, match="closed"):
            record.begin("api:x", {})
        record.sync()  # nothing more is written that could be


def failing():
    raise OSError(errno.EIO, os.strerror(errno.EIO))


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[]\n", b'{"format":"earmark/api-record/v1","root":""}\n', GOLDEN[:50]]
)
def test_foreign_bytes_are_refused(data):
    with pytest.raises(FormatError):
        lines.read(data)
