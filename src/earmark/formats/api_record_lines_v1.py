"""The lines of acme.api-record, their chain, and what may follow what (docs/formats/api-record-v1.md).

Bytes in, bytes out; ``api_record_v1`` reads and appends to the file.
"""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from earmark.commitment import digest
from earmark.commitment.canonical import Json, canonical_json, parse_canonical_json
from earmark.commitment.reading import Fields, read_version
from earmark.errors import FormatError

FORMAT = "earmark/api-record/v1"
SIZE_LIMIT_BYTES = 256 << 20
LINE_LIMIT_BYTES = 160 << 10
BODY_LIMIT_BYTES = 64 << 10
RUN, SENT, RECEIVED, FAILED = "run", "sent", "received", "failed"
PURPOSES = ("question", "ordinary", "metadata")
_ENTRY_LABEL = "earmark/api-record-entry/v1"
_TEXT_LIMIT = 1000
_LINE_TEXT_LIMIT = 300
_COUNT_LIMIT = (1 << 53) - 1
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")


@dataclass(frozen=True, slots=True)
class RecordEntry:
    """One line of the record after the first.

    Attributes:
        number: 1, 2, 3 …
        time: ``YYYY-MM-DDTHH:MM:SSZ``.
        kind: ``run``, ``sent``, ``received`` or ``failed``.
        suspect: Of a run.
        about: Of a run: how the suspect is asked, and by which version of Earmark.
        dropped_bytes: Of a run: what was left of a last line that was never finished.
        purpose: Of a request: ``question``, ``ordinary`` or ``metadata``.
        input_digest: Of a request: of the input, hexadecimal; or "".
        request_digest: Of a request: of its body, hexadecimal.
        attempt: Of a request: how often this question was sent in this run.
        sent: Of what came back, or did not: the number of the request.
        milliseconds: How long that took.
        status: Of a response.
        content_type: Of a response.
        size_bytes: Of a response: what was read.
        whole: Of a response: whether that is all.
        body: Of a response: at most its first 64 KiB, credentials replaced.
        body_digest: Of a response: of all that was read, credentials replaced, hexadecimal.
        reason: Why nothing came back.
    """

    number: int
    time: str
    kind: str
    suspect: str = ""
    about: Mapping[str, Json] = field(default_factory=dict)
    dropped_bytes: int = 0
    purpose: str = ""
    input_digest: str = ""
    request_digest: str = ""
    attempt: int = 0
    sent: int = 0
    milliseconds: int = 0
    status: int = 0
    content_type: str = ""
    size_bytes: int = 0
    whole: bool = True
    body: bytes = b""
    body_digest: str = ""
    reason: str = ""


@dataclass(slots=True)
class Ledger:
    """What the entries add up to, and which may come next.

    Attributes:
        suspect: Of the run that goes on; "" before the first.
        query_counts: Suspect to the number of requests sent to it.
        again_counts: Suspect to how many of them were sent again because nothing had come back.
        waiting: Requests of this run without an answer.
        entry_count: How many entries there are.
        head: What the next line states as ``previous``, hexadecimal.
    """

    suspect: str = ""
    query_counts: dict[str, int] = field(default_factory=dict)
    again_counts: dict[str, int] = field(default_factory=dict)
    waiting: set[int] = field(default_factory=set)
    entry_count: int = 0
    head: str = ""

    def add(self, entry: RecordEntry) -> None:
        """Add an entry, or raise FormatError because a rule forbids it."""
        if entry.kind == RUN:
            self.suspect = entry.suspect
            self.waiting.clear()
        elif not self.suspect:
            raise FormatError("it stands before any run began")
        elif entry.kind == SENT:
            self.query_counts[self.suspect] = self.query_counts.get(self.suspect, 0) + 1
            if entry.attempt > 1:
                self.again_counts[self.suspect] = self.again_counts.get(self.suspect, 0) + 1
            self.waiting.add(entry.number)
        elif entry.sent not in self.waiting:
            raise FormatError("it answers no request of its run, or one that was answered before")
        else:
            self.waiting.discard(entry.sent)


@dataclass(frozen=True, slots=True)
class Contents:
    """A whole record whose chain holds.

    Attributes:
        root: Root of the key that it belongs to, 32 bytes.
        entries: In order.
        ledger: What they add up to.
        unfinished_bytes: What a killed process left of a last line; it counts for nothing.
    """

    root: bytes
    entries: tuple[RecordEntry, ...]
    ledger: Ledger
    unfinished_bytes: int


def first_line(root: bytes) -> bytes:
    """Return the record in which nothing was sent yet."""
    return canonical_json({"format": FORMAT, "root": root.hex()}) + b"\n"


def next_line(ledger: Ledger, moment: datetime, kind: str, fields: Mapping[str, Json]) -> bytes:
    """Return the line that appends an entry, with its line feed, and bring the ledger up to date.

    Args:
        ledger: Of the record so far.
        moment: Now, aware of its time zone.
        kind: Kind of the entry.
        fields: Its own fields.

    Raises:
        ValueError: The moment has no time zone, or a field is out of range.
    """
    if moment.tzinfo is None:
        raise ValueError("the record's clock must know its time zone")
    time = moment.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"
    number = ledger.entry_count + 1
    line = canonical_json({"entry": number, "previous": ledger.head, "time": time, "kind": kind, **fields})
    try:
        # Read back what others will read: a field out of range is found before it spoils the record.
        _add(ledger, line)
    except FormatError as error:
        raise ValueError(f"this cannot be recorded: {error}") from error
    return line + b"\n"


def received_fields(
    sent: int, status: int, content_type: str, body: bytes, *, whole: bool, milliseconds: int
) -> dict[str, Json]:
    """Return the fields of a response.

    Args:
        sent: Number of the request.
        status: The HTTP status.
        content_type: One line without credentials.
        body: All that was read, without credentials.
        whole: Whether that is all.
        milliseconds: How long it took.
    """
    import hashlib

    kept = body[:BODY_LIMIT_BYTES]
    try:
        text, encoding = kept.decode("utf-8"), "utf-8"
        # Control characters take six letters each; a body of them would not fit into a line.
        if len(canonical_json(text)) > 2 * BODY_LIMIT_BYTES:
            raise ValueError("too many escapes")
    except ValueError:
        text, encoding = base64.b64encode(kept).decode(), "base64"
    return {
        "sent": sent,
        "milliseconds": milliseconds,
        "status": status,
        "content_type": content_type,
        "size_bytes": len(body),
        "whole": whole,
        "body": text,
        "encoding": encoding,
        "digest": hashlib.sha256(body).hexdigest(),
    }


def read(data: bytes) -> Contents:
    """Read a record and check its chain.

    Args:
        data: The file's bytes.

    Returns:
        Its contents.

    Raises:
        FormatError: The chain is broken, or a line is malformed; the message says which.
        UnsupportedVersionError: It is another version.
    """
    if len(data) > SIZE_LIMIT_BYTES:
        raise FormatError(f"the record is larger than {SIZE_LIMIT_BYTES} bytes")
    first, line_feed, rest = data.partition(b"\n")
    value = parse_canonical_json(first, "the record's first line", LINE_LIMIT_BYTES)
    read_version(value, FORMAT)
    fields = Fields(value, "record")
    fields.skip("format")
    root = fields.hex("root", 32)
    fields.finish()
    if not line_feed:
        raise FormatError("the record's first line is cut off")
    ledger = Ledger(head=_link(first))
    *lines, unfinished = rest.split(b"\n")
    entries = []
    for line in lines:
        try:
            entries.append(_add(ledger, line))
        except FormatError as error:
            raise FormatError(
                f"the record's entry {ledger.entry_count + 1} was altered or damaged: {error}"
            ) from error
    return Contents(root, tuple(entries), ledger, len(unfinished))


def _add(ledger: Ledger, line: bytes) -> RecordEntry:
    entry = _read_entry(line, ledger.entry_count + 1, ledger.head)
    ledger.add(entry)
    ledger.entry_count, ledger.head = entry.number, _link(line)
    return entry


def _link(line: bytes) -> str:
    return digest(_ENTRY_LABEL, line).hex()


def _read_entry(line: bytes, number: int, previous: str) -> RecordEntry:
    fields = Fields(parse_canonical_json(line, "the line", LINE_LIMIT_BYTES), "the line")
    if fields.integer("entry", 1, SIZE_LIMIT_BYTES) != number:
        raise FormatError("it is out of place")
    if fields.hex("previous", 32).hex() != previous:
        raise FormatError("the chain is broken: a line before it was altered, removed or added")
    time = fields.text("time", 20)
    try:
        if not _TIME.fullmatch(time):
            raise ValueError("not YYYY-MM-DDTHH:MM:SSZ")
        datetime.fromisoformat(time)
    except ValueError as error:
        raise FormatError(f"its time is not one: {error}") from error
    kind = fields.choice("kind", tuple(_KINDS)) or ""
    entry = RecordEntry(number, time, kind, **_KINDS[kind](fields))
    fields.finish()
    return entry


def _run(fields: Fields) -> dict[str, Any]:
    return {
        "suspect": fields.text("suspect", _TEXT_LIMIT),
        "about": fields.object("about").values,
        "dropped_bytes": fields.integer("dropped_bytes", 0, SIZE_LIMIT_BYTES),
    }


def _sent(fields: Fields) -> dict[str, Any]:
    shown = None if fields.take("input") is None else fields.hex("input", 32)
    return {
        "purpose": fields.choice("purpose", PURPOSES),
        "input_digest": "" if shown is None else shown.hex(),
        "request_digest": fields.hex("request", 32).hex(),
        "attempt": fields.integer("attempt", 1, 1000),
    }


def _received(fields: Fields) -> dict[str, Any]:
    encoding = fields.choice("encoding", ("utf-8", "base64"))
    body, whole = fields.take("body"), fields.take("whole")
    if not isinstance(body, str) or not isinstance(whole, bool):
        raise FormatError("its body is no text, or whole is neither true nor false")
    try:
        data = body.encode() if encoding == "utf-8" else base64.b64decode(body, validate=True)
    except (ValueError, binascii.Error) as error:
        raise FormatError("its body is not in base64") from error
    if len(data) > BODY_LIMIT_BYTES:
        raise FormatError(f"its body is longer than {BODY_LIMIT_BYTES} bytes")
    return {
        **_ended(fields),
        "status": fields.integer("status", 100, 999),
        "content_type": _one_line(fields, "content_type", low=0),
        "size_bytes": fields.integer("size_bytes", len(data), _COUNT_LIMIT),
        "whole": whole,
        "body": data,
        "body_digest": fields.hex("digest", 32).hex(),
    }


def _failed(fields: Fields) -> dict[str, Any]:
    return {**_ended(fields), "reason": _one_line(fields, "reason", low=1)}


def _ended(fields: Fields) -> dict[str, Any]:
    return {
        "sent": fields.integer("sent", 1, SIZE_LIMIT_BYTES),
        "milliseconds": fields.integer("milliseconds", 0, _COUNT_LIMIT),
    }


def _one_line(fields: Fields, name: str, *, low: int) -> str:
    text = fields.take(name)
    if not isinstance(text, str) or not low <= len(text) <= _LINE_TEXT_LIMIT or not text.isprintable():
        raise FormatError(f"its {name} is not one line of at most {_LINE_TEXT_LIMIT} characters")
    return text


_KINDS: dict[str, Callable[[Fields], dict[str, Any]]] = {
    RUN: _run,
    SENT: _sent,
    RECEIVED: _received,
    FAILED: _failed,
}
