"""The lines of acme.journal, their chain, and what may follow what (docs/formats/journal-v1.md).

Bytes in, bytes out; ``journal_v1`` reads and appends to the file.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from earmark.commitment import digest
from earmark.commitment.canonical import Json, canonical_json, parse_canonical_json
from earmark.commitment.reading import Fields, read_version
from earmark.errors import FormatError, JournalError, UnsupportedVersionError
from earmark.keys import SetId
from earmark.keys.transcript import CLASS_LIMIT
from earmark.statistics.sequential import PAYOFF_BITS
from earmark.suspects import Answer, Miss
from earmark.verification import Reply

FORMAT = "earmark/journal/v1"
SIZE_LIMIT_BYTES = 16 << 20
LINE_LIMIT_BYTES = 128 << 10
METHOD_LIMIT_BYTES = 64 << 10
TEXT_LIMIT = 1000
QUESTIONS_ID_BYTES = 6
_ENTRY_LABEL = "earmark/journal-entry/v1"
_PLACE_LIMIT = 1 << 20
_NO_SET = SetId(-1, -1)
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the journal after the first.

    Attributes:
        number: 1, 2, 3 …
        time: ``YYYY-MM-DDTHH:MM:SSZ``.
        kind: ``method``, ``exposed``, ``answers``, ``opened``, ``asked`` or ``replied``.
        suspect: Of a method, a question or a reply.
        method: Of a method, as canonical JSON.
        set_id: Of what was exposed, opened, asked or replied to.
        to: To whom it was exposed or opened.
        place: Of a question in its set, asked or replied to.
        reply: What the suspect said.
        questions: Questions id, of what was exposed or answered.
        digest: Of answers, hexadecimal.
    """

    number: int
    time: str
    kind: str
    suspect: str = ""
    method: bytes = b""
    set_id: SetId = _NO_SET
    to: str = ""
    questions: str = ""
    digest: str = ""
    place: int = -1
    reply: Reply | None = None


@dataclass(frozen=True, slots=True)
class Contents:
    """A whole journal whose chain holds.

    Attributes:
        root: Root of the key that it belongs to, 32 bytes.
        entries: In order.
        head: What the next line states as ``previous``, hexadecimal: it binds to all lines.
    """

    root: bytes
    entries: tuple[Entry, ...]
    head: str


def first_line(root: bytes) -> bytes:
    """Return the journal in which nothing has happened yet."""
    return canonical_json({"format": FORMAT, "root": root.hex()}) + b"\n"


def next_line(
    contents: Contents, moment: datetime, kind: str, fields: Mapping[str, Json]
) -> tuple[bytes, Entry]:
    """Return the line that appends an entry.

    Args:
        contents: The journal so far.
        moment: Now, aware of its time zone.
        kind: Kind of the entry.
        fields: Its own fields.

    Returns:
        The line with its line feed, and the entry as it will be read.

    Raises:
        ValueError: The moment has no time zone, or a field is out of range.
    """
    if moment.tzinfo is None:
        raise ValueError("the journal's clock must know its time zone")
    number = len(contents.entries) + 1
    time = moment.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"
    line = canonical_json({"entry": number, "previous": contents.head, "time": time, "kind": kind, **fields})
    try:
        # Read back what others will read: a field out of range is found before it spoils the journal.
        entry = _read_entry(line, number, contents.head)
    except FormatError as error:
        raise ValueError(f"this cannot be recorded in the journal: {error}") from error
    return line + b"\n", entry


def read(data: bytes) -> Contents:
    """Read a journal and check its chain.

    Args:
        data: The file's bytes.

    Returns:
        Its contents.

    Raises:
        JournalError: The chain is broken, or a line is malformed; the message says which.
        UnsupportedVersionError: It is another version.
    """
    if len(data) > SIZE_LIMIT_BYTES:
        raise JournalError(f"the journal is larger than {SIZE_LIMIT_BYTES} bytes")
    first, line_feed, rest = data.partition(b"\n")
    root = _read_first(first)
    if not line_feed:
        raise JournalError("the journal's first line is cut off; restore it from a copy")
    return read_more(Contents(root, (), _link(first)), rest)


def read_more(contents: Contents, data: bytes) -> Contents:
    """Read lines that were appended, and check that the chain goes on.

    Args:
        contents: What stands before them.
        data: Their bytes.

    Returns:
        All contents.

    Raises:
        JournalError: As ``read``.
    """
    *lines, rest = data.split(b"\n")
    before = len(contents.entries)
    if rest:  # what stands after the last line feed
        raise JournalError(
            f"the journal's entry {before + len(lines) + 1} is cut off: writing it was interrupted, so what "
            "it would record was not done; keep a copy, then remove the unfinished last line"
        )
    entries, head = [], contents.head
    for number, line in enumerate(lines, before + 1):
        try:
            entries.append(_read_entry(line, number, head))
        except FormatError as error:
            raise JournalError(f"the journal's entry {number} was altered or damaged: {error}") from error
        head = _link(line)
    return Contents(contents.root, (*contents.entries, *entries), head)


@dataclass(slots=True)
class Ledger:
    """What the entries add up to, and which entry may come next.

    Attributes:
        used: Sets exposed or opened.
        exposures: Questions id to the set exposed under it.
        answers: Questions id to the digest of the first answers.
        methods: Suspect to its different methods.
        shown: Suspect to the sets that were exposed to it question by question.
        replies: Suspect to its questions and what it said; None where no answer came.
        openings: Set to the entry that first opened it.
    """

    used: set[SetId] = field(default_factory=set)
    exposures: dict[str, SetId] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)
    methods: dict[str, set[bytes]] = field(default_factory=dict)
    shown: dict[str, set[SetId]] = field(default_factory=dict)
    replies: dict[str, dict[tuple[SetId, int], Reply | None]] = field(default_factory=dict)
    openings: dict[SetId, Entry] = field(default_factory=dict)

    def add(self, entry: Entry) -> None:
        """Add an entry, or raise JournalError because a rule forbids it."""
        if entry.kind == "method":
            self._add_method(entry)
        elif entry.kind == "answers":
            self._add_answers(entry)
        elif entry.kind in ("asked", "replied"):
            self._add_question(entry)
        else:
            if entry.kind == "exposed":
                self._check_exposure(entry)
                self.exposures[entry.questions] = entry.set_id
                self.shown.setdefault(entry.to, set()).add(entry.set_id)
            else:
                self.openings.setdefault(entry.set_id, entry)
            self.used.add(entry.set_id)

    def check_order(self, set_id: SetId, set_ids: Sequence[SetId]) -> None:
        """Raise JournalError unless a set was used before, or is the first of all sets that was not."""
        if set_id not in set_ids:
            raise JournalError(f"the key has no {in_words(set_id)}")
        first = next((item for item in set_ids if item not in self.used), set_id)
        # Whoever may choose among many sets chooses the luckiest.
        if set_id not in self.used and set_id != first:
            raise JournalError(f"{in_words(first)} comes before {in_words(set_id)}: sets are used in order")

    def _add_method(self, entry: Entry) -> None:
        methods = self.methods.setdefault(entry.suspect, set())
        if entry.method in methods:
            raise JournalError("the same method is written twice for one suspect")
        methods.add(entry.method)

    def _add_answers(self, entry: Entry) -> None:
        if entry.questions not in self.exposures:
            raise JournalError(f"questions {entry.questions} were never asked with this key")
        if entry.questions in self.answers:
            raise JournalError(
                f"other answers to questions {entry.questions} were recorded before, and the first ones count"
            )
        self.answers[entry.questions] = entry.digest

    def _add_question(self, entry: Entry) -> None:
        asked = self.replies.setdefault(entry.suspect, {})
        where = (entry.set_id, entry.place)
        if entry.kind == "asked":
            if where in asked:
                raise JournalError(f"question {entry.place} of {in_words(entry.set_id)} was put before")
        elif where not in asked or asked[where] is not None:
            raise JournalError(
                f"question {entry.place} of {in_words(entry.set_id)} was answered before, or never put, and "
                "the first answers count"
            )
        asked[where] = entry.reply

    def _check_exposure(self, entry: Entry) -> None:
        if entry.set_id in self.used:
            raise JournalError(
                f"{in_words(entry.set_id)} was exposed or opened before: whoever saw it could have unlearned "
                "it; use the next set"
            )
        if entry.questions in self.exposures:
            raise JournalError(f"questions {entry.questions} were asked before")


def in_words(set_id: SetId) -> str:
    """Return a set's name for messages."""
    return f"set {set_id.number} of stratum {set_id.stratum}"


def _link(line: bytes) -> str:
    return digest(_ENTRY_LABEL, line).hex()


def _read_first(line: bytes) -> bytes:
    try:
        value = parse_canonical_json(line, "the journal's first line", LINE_LIMIT_BYTES)
        read_version(value, FORMAT)
        fields = Fields(value, "journal")
        fields.skip("format")
        root = fields.hex("root", 32)
        fields.finish()
    except UnsupportedVersionError:
        raise
    except FormatError as error:
        raise JournalError(str(error)) from error
    return root


def _read_entry(line: bytes, number: int, previous: str) -> Entry:
    fields = Fields(parse_canonical_json(line, "the line", LINE_LIMIT_BYTES), "the line")
    if fields.integer("entry", 1, SIZE_LIMIT_BYTES) != number:
        raise FormatError("it is out of place")
    if fields.hex("previous", 32).hex() != previous:
        raise FormatError("the chain is broken: a line before it was altered, removed or added")
    kind = fields.choice("kind", tuple(_KINDS)) or ""
    entry = Entry(number, _read_time(fields.text("time", 20)), kind, **_KINDS[kind](fields))
    fields.finish()
    return entry


def _read_time(text: str) -> str:
    try:
        if not _TIME.fullmatch(text):
            raise ValueError("not YYYY-MM-DDTHH:MM:SSZ")
        datetime.fromisoformat(text)
    except ValueError as error:
        raise FormatError(f"its time is not one: {error}") from error
    return text


def _read_set(fields: Fields) -> SetId:
    places = fields.list("set", 2, 2)
    if not all(type(place) is int and 0 <= place < _PLACE_LIMIT for place in places):
        raise FormatError("its set is not a pair of places")
    return SetId(*places)


def _method(fields: Fields) -> dict[str, Any]:
    method = canonical_json(fields.object("method").values)
    if len(method) > METHOD_LIMIT_BYTES:
        raise FormatError(f"its method is larger than {METHOD_LIMIT_BYTES} bytes")
    return {"suspect": fields.text("suspect", TEXT_LIMIT), "method": method}


def _exposed(fields: Fields) -> dict[str, Any]:
    return {**_opened(fields), "questions": fields.hex("questions", QUESTIONS_ID_BYTES).hex()}


def _answers(fields: Fields) -> dict[str, Any]:
    return {
        "questions": fields.hex("questions", QUESTIONS_ID_BYTES).hex(),
        "digest": fields.hex("digest", 32).hex(),
    }


def _asked(fields: Fields) -> dict[str, Any]:
    return {
        "suspect": fields.text("suspect", TEXT_LIMIT),
        "set_id": _read_set(fields),
        "place": fields.integer("place", 0, _PLACE_LIMIT),
    }


def _replied(fields: Fields) -> dict[str, Any]:
    output, weights = fields.take("output"), fields.take("weights")
    if type(output) is int and 0 <= output < CLASS_LIMIT:
        answer: Answer = output
    elif output in [miss.value for miss in Miss]:
        answer = Miss(output)
    else:
        raise FormatError("its output is neither a class nor a known reason why there is none")
    return {**_asked(fields), "reply": Reply(answer, _read_weights(weights))}


def _read_weights(value: Any) -> tuple[int, ...] | None:
    if value is None:
        return None
    whole = 1 << PAYOFF_BITS
    if not isinstance(value, list) or not all(type(item) is int and 0 <= item <= whole for item in value):
        raise FormatError("its weights are not multiples of 2^-32")
    if sum(value) > whole:
        raise FormatError("its weights add up to more than 1")
    return tuple(value)


def _opened(fields: Fields) -> dict[str, Any]:
    return {"set_id": _read_set(fields), "to": fields.text("to", TEXT_LIMIT)}


_KINDS: dict[str, Callable[[Fields], dict[str, Any]]] = {
    "method": _method,
    "exposed": _exposed,
    "answers": _answers,
    "opened": _opened,
    "asked": _asked,
    "replied": _replied,
}
