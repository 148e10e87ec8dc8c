"""What a file is, in words, without a passphrase and without trusting it."""

from collections.abc import Callable, Sequence

from earmark.commitment.canonical import parse_canonical_json
from earmark.commitment.reading import read_version
from earmark.errors import FormatError
from earmark.formats import (
    answers_v1,
    envelope,
    journal_lines_v1,
    marking_key_v1,
    owner_key_v1,
    verification_key_v1,
)
from earmark.keys import Transcript
from earmark.suspects.recorded import REFUSED

SIZE_LIMIT_BYTES = marking_key_v1.SIZE_LIMIT_BYTES
_SHOWN_CLASSES = 10

Facts = list[tuple[str, str]]


def describe(data: bytes) -> Facts:
    """Say what a file of Earmark is.

    Args:
        data: The file's bytes.

    Returns:
        Facts as (name, value), each on one line and safe to print, whoever wrote the file.

    Raises:
        FormatError: It is no file of Earmark, or malformed.
        JournalError: It is a damaged journal.
        InvalidKeyError: It is a verification key that contradicts itself.
    """
    facts = _reader(data)(data)
    return [(_printable(name), _printable(value)) for name, value in facts]


def _printable(text: str) -> str:
    # A name may hold line feeds, or control characters that make a terminal lie.
    return text if text.isprintable() else ascii(text)


def _reader(data: bytes) -> Callable[[bytes], Facts]:
    if not data.startswith(b"{"):
        if data[:64].removeprefix(b"\xef\xbb\xbf").lstrip(b'" ').lower().startswith(b"question"):
            return _answers
        raise FormatError("this is not a key, journal or table of answers of Earmark")
    end = data.find(b"\n", 0, verification_key_v1.SIZE_LIMIT_BYTES + 1)
    first = data[: end if end >= 0 else verification_key_v1.SIZE_LIMIT_BYTES + 1]
    value = parse_canonical_json(first, "the first line", verification_key_v1.SIZE_LIMIT_BYTES)
    found = value.get("format")
    kind = found.rpartition("/")[0] if isinstance(found, str) else ""
    if kind not in _READERS:
        raise FormatError(f"this is not a file of Earmark: its format is {str(found)[:60]!r}")
    return _READERS[kind]


def _verification_key(data: bytes) -> Facts:
    key = verification_key_v1.read(data)
    return [
        ("file", f"verification key ({verification_key_v1.FORMAT}), public"),
        *_transcript(key.transcript),
        ("signature", "valid: made by the holder of that public key"),
        ("timestamps", f"{len(key.timestamps)}, not checked here"),
    ]


def _transcript(transcript: Transcript) -> Facts:
    names = transcript.task.class_names
    more = f", and {len(names) - _SHOWN_CLASSES} more" if len(names) > _SHOWN_CLASSES else ""
    facts = [
        ("owner", transcript.owner.name),
        ("public key", transcript.owner.public_key.hex()),
        ("root", transcript.root.hex()),
        ("inputs", str(transcript.task.geometry)),
        ("classes", f"{len(names)}: {', '.join(names[:_SHOWN_CLASSES])}{more}"),
        ("preprocessing", "the suspect's own" if transcript.experiment.preprocessing is None else "fixed"),
        ("commitment", str(transcript.commitment["scheme"])),
        ("labels", str(transcript.labels["rule"])),
    ]
    facts += [
        (
            f"stratum {place}",
            f"{stratum.name}: {len(stratum.set_roots)} x {stratum.triggers_per_set} triggers",
        )
        for place, stratum in enumerate(transcript.strata)
    ]
    return facts


def _encrypted(what: str, file_format: str) -> Callable[[bytes], Facts]:
    def facts(data: bytes) -> Facts:
        header = envelope.read_header(data)
        read_version({"format": header.format}, file_format)
        n, r, p = header.scrypt
        return [
            ("file", f"{what} ({file_format}), secret and encrypted"),
            *((f"stated {name.replace('_', ' ')}", value) for name, value in header.about.items()),
            ("passphrase", f"scrypt with n={n}, r={r}, p={p}: {128 * n * r >> 20} MiB for every guess"),
            ("note", "what is stated is only checked when the file is opened"),
        ]

    return facts


def _journal(data: bytes) -> Facts:
    contents = journal_lines_v1.read(data)
    entries = contents.entries
    methods = {(entry.suspect, entry.method) for entry in entries if entry.kind == "method"}
    return [
        ("file", f"journal ({journal_lines_v1.FORMAT})"),
        ("root of its key", contents.root.hex()),
        ("entries", str(len(entries))),
        ("head", contents.head),
        ("methods", f"{len(methods)} for {len({suspect for suspect, _ in methods})} suspects"),
        *_shown_sets(entries),
        ("answers", f"recorded for {sum(entry.kind == 'answers' for entry in entries)} sets"),
        ("questions", _questions(entries)),
    ]


def _shown_sets(entries: Sequence[journal_lines_v1.Entry]) -> Facts:
    return [
        (
            f"entry {entry.number}",
            f"{journal_lines_v1.in_words(entry.set_id)} {entry.kind} to {entry.to} at {entry.time}",
        )
        for entry in entries
        if entry.kind in ("exposed", "opened")
    ]


def _questions(entries: Sequence[journal_lines_v1.Entry]) -> str:
    asked = [entry.suspect for entry in entries if entry.kind == "asked"]
    replied = sum(entry.kind == "replied" for entry in entries)
    return f"{len(asked)} put one by one to {len(set(asked))} suspects, {replied} answered"


def _answers(data: bytes) -> Facts:
    found = answers_v1.read_table(data)
    return [
        ("file", "answers to questions asked by hand (answers v1)"),
        ("questions", ", ".join(sorted({question.partition("-")[0] for question in found}))),
        ("rows", str(len(found))),
        ("blank", str(sum(not answer for answer in found.values()))),
        ("refused", str(sum(answer.upper() == REFUSED for answer in found.values()))),
    ]


_READERS: dict[str, Callable[[bytes], Facts]] = {
    verification_key_v1.FORMAT.rpartition("/")[0]: _verification_key,
    marking_key_v1.FORMAT.rpartition("/")[0]: _encrypted("marking key", marking_key_v1.FORMAT),
    owner_key_v1.FORMAT.rpartition("/")[0]: _encrypted("owner key", owner_key_v1.FORMAT),
    journal_lines_v1.FORMAT.rpartition("/")[0]: _journal,
}
