"""What a file is, in words, without a passphrase and without trusting it."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from earmark.claims.certificates import TrustedRoots
from earmark.claims.key_stamps import check_key_stamps, key_digest
from earmark.claims.order import Stamp
from earmark.claims.release_record import check_release
from earmark.claims.timestamps import check_tokens
from earmark.commitment.canonical import parse_canonical_json
from earmark.commitment.linear import LEAF_BYTES
from earmark.commitment.reading import read_version
from earmark.errors import FormatError, UnsupportedVersionError
from earmark.formats import (
    answers_v1,
    api_record_lines_v1,
    claim_v1,
    envelope,
    journal_lines_v1,
    linear_commitments_v1,
    marking_key_v1,
    owner_key_v1,
    release_record_v1,
    signed_proof_v1,
    verification_key_v1,
)
from earmark.keys import Transcript, VerificationKey
from earmark.suspects.recorded import REFUSED

SIZE_LIMIT_BYTES = max(
    module.SIZE_LIMIT_BYTES
    for module in (marking_key_v1, api_record_lines_v1, claim_v1, linear_commitments_v1)
)
_SHOWN_CLASSES = _SHOWN_SETS = 10
_NAME_LIMIT_BYTES = 100
_DIGEST_BYTES = 32
# The module that reads proofs compiles machine code; a name does not need that.
_PROOF_MAGIC = b"earmark/ownership-proof/v1\n"

Facts = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Known:
    """What the reader of a file knows besides.

    Attributes:
        roots: Of time-stamping authorities that he trusts.
        key: The verification key that a release record should be for, or None.
        now: His time, aware; None for this machine's.
    """

    roots: TrustedRoots = field(default_factory=TrustedRoots)
    key: VerificationKey | None = None
    now: datetime | None = None

    @property
    def time(self) -> datetime:
        """The reader's time."""
        return self.now or datetime.now(UTC)


def describe(data: bytes, known: Known | None = None) -> Facts:
    """Say what a file of Earmark is.

    Args:
        data: The file's bytes.
        known: What the reader knows besides; by default nothing.

    Returns:
        Facts as (name, value), each on one line and safe to print, whoever wrote the file.

    Raises:
        FormatError: It is no file of Earmark, or malformed.
        JournalError: It is a damaged journal.
        UnsupportedVersionError: It is of a version that this program does not know.
        ClaimError: It is a claim whose archive does not have the one form.
        InvalidKeyError: It is a verification key that contradicts itself, or a release record that is not
            signed by its owner, or not for the given key.
    """
    facts = _reader(data)(data, known or Known())
    return [(_printable(name), _printable(value)) for name, value in facts]


def _printable(text: str) -> str:
    # A name may hold line feeds, or control characters that make a terminal lie.
    return text if text.isprintable() else ascii(text)


def _reader(data: bytes) -> Callable[[bytes, Known], Facts]:
    if data.startswith(claim_v1.MAGIC):
        return _claim
    if data.startswith(b"earmark/"):
        return _by_format(data.partition(b"\n")[0][:_NAME_LIMIT_BYTES].decode("utf-8", "replace"))
    if not data.startswith(b"{"):
        if data[:64].removeprefix(b"\xef\xbb\xbf").lstrip(b'" ').lower().startswith(b"question"):
            return _answers
        raise FormatError("this is not a key, journal or table of answers of Earmark")
    end = data.find(b"\n", 0, verification_key_v1.SIZE_LIMIT_BYTES + 1)
    first = data[: end if end >= 0 else verification_key_v1.SIZE_LIMIT_BYTES + 1]
    value = parse_canonical_json(first, "the first line", verification_key_v1.SIZE_LIMIT_BYTES)
    return _by_format(value.get("format"))


def _by_format(found: object) -> Callable[[bytes, Known], Facts]:
    kind = found.rpartition("/")[0] if isinstance(found, str) else ""
    if kind not in _READERS:
        raise FormatError(f"this is not a file of Earmark: its format is {str(found)[:60]!r}")
    return _READERS[kind]


def _verification_key(data: bytes, known: Known) -> Facts:
    key = verification_key_v1.read(data)
    return [
        ("file", f"verification key ({verification_key_v1.FORMAT}), public"),
        *_transcript(key.transcript),
        ("signature", "valid: made by the holder of that public key"),
        ("digest", key_digest(key).hex()),
        ("timestamps", _stamp_count(key.timestamps)),
        *_stamps("timestamp", check_key_stamps(key, known.roots, known.time)),
    ]


def _stamp_count(tokens: Sequence[bytes]) -> str:
    return str(len(tokens)) if tokens else "none: nothing says when this was there"


def _stamps(name: str, stamps: Sequence[Stamp]) -> Facts:
    return [(f"{name} {place}", str(stamp)) for place, stamp in enumerate(stamps, 1)]


def _release_record(data: bytes, known: Known) -> Facts:
    record = release_record_v1.read(data)
    release = record.release
    facts = [
        ("file", f"release record ({release_record_v1.FORMAT}), public"),
        ("owner", release.owner.name),
        ("public key", release.owner.public_key.hex()),
        ("key", release.key_digest.hex()),
        ("model", f"{release.model.name}: {release.model.kind} of {release.model.size_bytes} bytes"),
        ("identity", release.model.identity),
        ("signature", "valid: made by the holder of that public key"),
    ]
    if known.key is None:
        return [
            *facts,
            ("stamps of the key", f"{len(release.key_stamps)} named, to be read in its file"),
            ("timestamps", _stamp_count(record.timestamps)),
            *_stamps("timestamp", check_tokens(record.timestamps, record.digest, known.roots, known.time)),
            ("order", "give the public key with --vk to see which was first"),
        ]
    found = check_release(record, known.key, known.roots, known.time)
    return [
        *facts,
        ("for this key", "yes, signed by its owner"),
        *_stamps("stamp of the key", found.key_stamps),
        *_stamps("timestamp", found.release_stamps),
        ("order", found.order.reason),
    ]


def _claim(data: bytes, known: Known) -> Facts:
    file = claim_v1.read(data)
    stated = file.claim.statement
    suspect = stated.suspect
    return [
        ("file", f"claim ({claim_v1.FORMAT}), public"),
        ("stated owner", stated.owner.name),
        ("stated public key", stated.owner.public_key.hex()),
        ("key", stated.key_digest.hex()),
        ("opened", f"{journal_lines_v1.in_words(stated.set_id)}, {len(stated.replies)} triggers"),
        ("opened at", f"{stated.opened_at:%Y-%m-%d %H:%M:%S} UTC, by the owner's journal"),
        ("suspect", suspect.name),
        ("identity", suspect.identity),
        ("releases", str(len(file.releases))),
        ("stamps of the suspect", _stamp_count(stated.suspect_timestamps)),
        *_stamps("stamp", check_tokens(stated.suspect_timestamps, stated.notice, known.roots, known.time)),
        ("note", "nothing of it is checked yet: earmark check FILE --vk acme.vk.json --suspect SUSPECT"),
    ]


def _commitments(data: bytes, _: Known) -> Facts:
    if not data.startswith(linear_commitments_v1.MAGIC):
        raise UnsupportedVersionError("linear commitments of another version than 1")
    content = len(data) - len(linear_commitments_v1.MAGIC)
    if content % LEAF_BYTES:
        raise FormatError("the last commitment is cut short")
    return [
        ("file", f"linear commitments of a key ({linear_commitments_v1.FORMAT}), public"),
        ("triggers", str(content // LEAF_BYTES)),
        ("note", "whether they are a key's, 'earmark check' finds out"),
    ]


def _ownership_proof(data: bytes, _: Known) -> Facts:
    start = len(_PROOF_MAGIC)
    if not data.startswith(_PROOF_MAGIC):
        raise UnsupportedVersionError("an ownership proof of another version than 1")
    if len(data) < start + _DIGEST_BYTES:
        raise FormatError("the proof is cut short")
    return [
        (
            "file",
            "argument of an ownership proof (earmark/ownership-proof/v1), without its owner's signature",
        ),
        ("statement", data[start : start + _DIGEST_BYTES].hex()),
        ("bytes", str(len(data))),
        ("note", "it says nothing by itself: 'earmark check' reads the file that 'earmark prove' wrote"),
    ]


def _signed_proof(data: bytes, _: Known) -> Facts:
    signed = signed_proof_v1.read(data)
    cover = signed.cover
    sets = [f"{stratum}:{number}" for stratum, number in cover.set_ids]
    more = f", and {len(sets) - _SHOWN_SETS} more" if len(sets) > _SHOWN_SETS else ""
    return [
        ("file", f"ownership proof, signed ({signed_proof_v1.FORMAT}), public"),
        ("root", cover.root.hex()),
        ("sets", f"{', '.join(sets[:_SHOWN_SETS])}{more}"),
        ("suspect", f"sha256:{cover.suspect.hex()}"),
        ("argument", f"{len(signed.argument)} bytes"),
        ("note", "nothing of it is checked yet: earmark check FILE --vk acme.vk.json --suspect MODEL.onnx"),
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


def _encrypted(what: str, file_format: str) -> Callable[[bytes, Known], Facts]:
    def facts(data: bytes, _: Known) -> Facts:
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


def _journal(data: bytes, _: Known) -> Facts:
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


def _api_record(data: bytes, _: Known) -> Facts:
    contents = api_record_lines_v1.read(data)
    entries = contents.entries
    runs = [entry for entry in entries if entry.kind == api_record_lines_v1.RUN]
    sent = [entry for entry in entries if entry.kind == api_record_lines_v1.SENT]
    received = [entry for entry in entries if entry.kind == api_record_lines_v1.RECEIVED]
    purposes = Counter(entry.purpose for entry in sent)
    statuses = sorted(Counter(entry.status for entry in received).items())
    failed = sum(entry.kind == api_record_lines_v1.FAILED for entry in entries)
    return [
        ("file", f"record of services that were asked ({api_record_lines_v1.FORMAT})"),
        ("root of its key", contents.root.hex()),
        ("entries", str(len(entries))),
        ("head", contents.ledger.head),
        ("runs", str(len(runs))),
        *(
            (f"suspect {number}", f"{suspect}: {contents.ledger.query_counts.get(suspect, 0)} requests")
            for number, suspect in enumerate(dict.fromkeys(run.suspect for run in runs), 1)
        ),
        ("requests", ", ".join(f"{count} {name}" for name, count in purposes.items()) or "none"),
        ("sent again", str(sum(entry.attempt > 1 for entry in sent))),
        ("responses", ", ".join(f"{count} with HTTP {status}" for status, count in statuses) or "none"),
        ("nothing came back", f"{failed} times, cut off {len(sent) - len(received) - failed} times"),
        ("unfinished", f"{contents.unfinished_bytes} bytes of a last line"),
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


def _answers(data: bytes, _: Known) -> Facts:
    found = answers_v1.read_table(data)
    return [
        ("file", "answers to questions asked by hand (answers v1)"),
        ("questions", ", ".join(sorted({question.partition("-")[0] for question in found}))),
        ("rows", str(len(found))),
        ("blank", str(sum(not answer for answer in found.values()))),
        ("refused", str(sum(answer.upper() == REFUSED for answer in found.values()))),
    ]


_READERS: dict[str, Callable[[bytes, Known], Facts]] = {
    verification_key_v1.FORMAT.rpartition("/")[0]: _verification_key,
    release_record_v1.FORMAT.rpartition("/")[0]: _release_record,
    marking_key_v1.FORMAT.rpartition("/")[0]: _encrypted("marking key", marking_key_v1.FORMAT),
    owner_key_v1.FORMAT.rpartition("/")[0]: _encrypted("owner key", owner_key_v1.FORMAT),
    journal_lines_v1.FORMAT.rpartition("/")[0]: _journal,
    api_record_lines_v1.FORMAT.rpartition("/")[0]: _api_record,
    linear_commitments_v1.FORMAT.rpartition("/")[0]: _commitments,
    _PROOF_MAGIC.decode().rpartition("/")[0]: _ownership_proof,
    signed_proof_v1.FORMAT.rpartition("/")[0]: _signed_proof,
}
