"""The command ``earmark claim``."""

import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earmark.cli import authorities, keys, services
from earmark.cli.claim_stamps import ClaimStamps
from earmark.cli.claimed_set import choose_set, purpose, question_set
from earmark.cli.output import AsJson, Output, Quiet, warn
from earmark.cli.passphrase import OwnerPassphraseFile, PassphraseFile
from earmark.cli.questioning import open_named
from earmark.cli.training import DataRoot, Threads, TrustCode, use_processor

if TYPE_CHECKING:
    from earmark.claims.claim import Statement
    from earmark.claims.release_record import ReleaseRecord
    from earmark.formats.journal_v1 import Journal
    from earmark.keys import MarkingKey, OwnerKey, SetId, VerificationKey
    from earmark.suspects import Suspect
    from earmark.verification import Measurement, Verdict

_COMMAND = "earmark claim --key KEY SUSPECT -o claim.zip"


@dataclass(frozen=True)
class _Parts:
    """All that a claim is written from but its statement."""

    key: "MarkingKey"
    published: "VerificationKey"
    owner: "OwnerKey"
    records: "list[ReleaseRecord]"

    def archive(self, statement: "Statement", page: bytes) -> bytes:
        """Return the claim's bytes."""
        from earmark.claims.opened_set import open_asked
        from earmark.formats import claim_v1

        opened = open_asked(self.key, statement.set_id, len(statement.replies))
        return claim_v1.write(statement, self.published, opened, self.records, page, self.owner)


@services.with_options
def claim(
    suspect: Annotated[str, typer.Argument(help="As for 'earmark verify', but for recorded answers.")],
    key: keys.KeyPath,
    out: Annotated[Path, typer.Option("-o", "--output", help="Claim to write, e.g. claim.zip.")],
    which: Annotated[
        str, typer.Option("--set", help="'auto' for the next set that was never used, or STRATUM:NUMBER.")
    ] = "auto",
    vk: Annotated[
        Path | None, typer.Option(help="Published key file with its stamps; default beside the key.")
    ] = None,
    owner_key: keys.OwnerKeyPath = None,
    release: Annotated[
        list[Path], typer.Option(help="Release record to put into the claim; may be given again.")
    ] = [],  # noqa: B006 - typer makes a new list
    statistic: Annotated[
        str | None,
        typer.Option(help="As for 'earmark verify'. Default: sequential for services, else fixed."),
    ] = None,
    label_map: Annotated[
        str, typer.Option("--label-map", help="auto or split, as for 'earmark verify'.")
    ] = "auto",
    looks: Annotated[int, typer.Option(min=1, help="Suspects, keys and sets tried so far.")] = 1,
    tsa: authorities.Authorities = [],  # noqa: B006 - as above
    tsa_root: authorities.Roots = [],  # noqa: B006 - as above
    timeout: authorities.Seconds = authorities.DEFAULT_SECONDS,
    even_if_not_shown: Annotated[
        bool,
        typer.Option("--even-if-not-shown", help="Open the set and write the claim whatever the verdict."),
    ] = False,
    journal: Annotated[Path | None, typer.Option(help="Journal; default beside the key.")] = None,
    model: Annotated[
        str | None, typer.Option(help="FILE.py:FACTORY for weights whose architecture is code.")
    ] = None,
    trust_code: TrustCode = False,
    service: services.ServiceOptions = services.PLAIN,
    threads: Threads = None,
    data_root: DataRoot = Path("data"),
    passphrase_file: PassphraseFile = None,
    owner_passphrase_file: OwnerPassphraseFile = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Spend one set: question a suspect, and bundle all that convinces a stranger. Exit code 0 if it does.

    A suspect that does not show the mark costs no set: a file is questioned before anything is opened. That
    the set is opened is journalled before the claim is written. Run again after an interruption, the same set
    and the same stamps are used for the same suspect.

    With --tsa, an authority stamps the suspect's digest first, and the opening waits until it is evidently
    later: then nobody has to be believed that the suspect is older.

    Example: earmark claim --key acme.key suspect.onnx -o claim.zip
    """
    from earmark.claims.checking import judge_claim
    from earmark.keys.owner import check_owner

    output = Output(quiet, as_json)
    use_processor(threads)
    _check_out(out)
    authorities.check_asked(tsa, timeout)
    _check_counts(tsa, release)
    marking_key = keys.read_key(key, passphrase_file)
    paths = keys.key_paths(key)
    published = _published(vk or paths.verification_key, marking_key)
    records = _read_releases(release, published)
    owner = keys.read_owner(owner_key or keys.owner_path(key), owner_passphrase_file)
    parts = _Parts(marking_key, published, owner, records)
    check_owner(published.transcript.owner, owner)
    opened = keys.open_journal(key, journal, marking_key)
    journal_path = journal or paths.journal
    statistic = statistic or ("sequential" if services.is_service(suspect) else "fixed")
    with services.terms_for(suspect, service, marking_key, journal_path, data_root, output) as terms:
        found = open_named(suspect, marking_key, None, model, trust_code, None, terms)
        set_id = choose_set(opened, published, found.identity, which)
        measurement = question_set(found, marking_key, opened, set_id, (statistic, label_map, looks), output)
        statement = _statement(published, found, measurement, (label_map, looks), set_id)
        remarks = services.remarks_on(found, measurement) if statement.suspect.is_remote else ()
    for remark in remarks:
        warn(remark)
    verdict = judge_claim(measurement, statement, None)
    if not verdict.mark_shown and not even_if_not_shown:
        _say_not_opened(verdict, set_id, remarks, output)
        raise typer.Exit(1)
    page = _page(verdict, marking_key, remarks)
    _check_fits(parts, statement, page)
    stamps = ClaimStamps(journal_path, published, statement)
    tokens = stamps.obtain(_opened_at(opened, set_id), (tsa, tsa_root, timeout), output)
    statement = _opened(opened, published, statement, tokens)
    _write(out, parts.archive(statement, page))
    stamps.forget()
    _say(verdict, statement, out, remarks, output)
    raise typer.Exit(0 if verdict.mark_shown else 1)


def _check_out(path: Path) -> None:
    """Raise unless the claim can be written: a set that is opened for nothing is lost."""
    from earmark.errors import EarmarkError

    keys.refuse_existing(path)
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise EarmarkError(f"{path} cannot be written: {error.strerror or error}") from error


def _check_counts(urls: list[str], releases: list[Path]) -> None:
    from earmark.claims.claim import RELEASE_LIMIT, STAMP_LIMIT

    if len(urls) > STAMP_LIMIT or len(releases) > RELEASE_LIMIT:
        raise ValueError(
            f"a claim holds at most {STAMP_LIMIT} stamps over the suspect and at most {RELEASE_LIMIT} "
            f"release records, not {len(urls)} and {len(releases)}"
        )


def _check_fits(parts: _Parts, statement: "Statement", page: bytes) -> None:
    """Raise unless the claim can be made with as many stamps as there may be: a trial that nobody sees."""
    from dataclasses import replace

    from earmark.claims.claim import STAMP_LIMIT, TOKEN_LIMIT_BYTES

    parts.archive(replace(statement, suspect_timestamps=(bytes(TOKEN_LIMIT_BYTES),) * STAMP_LIMIT), page)


def _published(path: Path, key: "MarkingKey") -> "VerificationKey":
    """Return the public key file: it has the stamps that the secret key has not."""
    from earmark.errors import InvalidKeyError

    published = keys.read_verification_key(path)
    if published.transcript.root != key.transcript.root:
        raise InvalidKeyError(f"{path} belongs to another key")
    if key.chosen_labels is not None:
        raise InvalidKeyError(
            "the owner of this key chose its labels: no chance can be named, and nothing claimed"
        )
    return published


def _read_releases(files: list[Path], key: "VerificationKey") -> "list[ReleaseRecord]":
    """Return the release records; InvalidKeyError unless they are for this key and signed by its owner."""
    from earmark.claims.certificates import TrustedRoots
    from earmark.claims.release_record import check_release
    from earmark.errors import InvalidKeyError
    from earmark.files import read_bounded
    from earmark.formats import release_record_v1

    records = []
    for path in files:
        data = read_bounded(path, release_record_v1.SIZE_LIMIT_BYTES, "release record")
        record = release_record_v1.read(data)
        try:
            check_release(record, key, TrustedRoots(), keys.now())
        except InvalidKeyError as error:
            raise InvalidKeyError(f"{path}: {error}") from error
        records.append(record)
    return records


def _statement(
    key: "VerificationKey",
    suspect: "Suspect",
    measurement: "Measurement",
    chosen: tuple[str, int],
    set_id: "SetId",
) -> "Statement":
    from earmark.claims.asking_again import describe_suspect
    from earmark.claims.claim import Freedoms, Statement
    from earmark.claims.key_stamps import key_digest

    label_map, looks = chosen
    return Statement(
        key_digest(key),
        key.transcript.owner,
        set_id,
        describe_suspect(suspect),
        measurement.statistic,
        label_map,
        Freedoms(measurement.method_count, looks, int(getattr(suspect, "form_count", 1))),
        tuple(question.reply for question in measurement.questions if question.reply is not None),
        datetime.fromtimestamp(0, UTC),  # not opened yet
        (0, bytes(32)),
    )


def _opened_at(journal: "Journal", set_id: "SetId") -> datetime | None:
    opening = journal.opening(set_id)
    return None if opening is None else datetime.fromisoformat(opening[1])


def _opened(
    journal: "Journal", key: "VerificationKey", statement: "Statement", tokens: tuple[bytes, ...]
) -> "Statement":
    """Journal the set as opened, before anything of it leaves, and say when that was."""
    from dataclasses import replace

    from earmark.errors import JournalError

    set_id = statement.set_id
    if journal.opening(set_id) is None:
        journal.record_opened(set_id, purpose(statement.suspect.identity), key.set_ids)
    opening = journal.opening(set_id)
    if opening is None:
        raise JournalError("the journal lost the opening that it was just given")
    entries, head = journal.head
    return replace(
        statement,
        opened_at=datetime.fromisoformat(opening[1]),
        journal=(entries, bytes.fromhex(head)),
        suspect_timestamps=tokens,
    )


def _page(verdict: "Verdict", key: "MarkingKey", remarks: tuple[str, ...]) -> bytes:
    """Return the owner's page: without the command that was run, which names folders of his."""
    from earmark.cli.verdict_page import report_context
    from earmark.reports.verdict_report import render_verdict

    context = report_context(command=_COMMAND, files=(), remarks=remarks, is_claim=True)
    return render_verdict(verdict, key, context, include_triggers=True).encode()


def _write(path: Path, data: bytes) -> None:
    from earmark.files import write_new

    write_new(path, data)


def _say_not_opened(verdict: "Verdict", set_id: "SetId", remarks: tuple[str, ...], output: Output) -> None:
    from earmark.reports.summary import summary_json

    output.result(
        f"{verdict}\nno set was opened, and no claim written; --even-if-not-shown does both",
        {
            **summary_json(verdict),
            "claim": None,
            "set": list(set_id),
            "opened": False,
            "warnings": list(remarks),
        },
    )


def _say(
    verdict: "Verdict", statement: "Statement", path: Path, remarks: tuple[str, ...], output: Output
) -> None:
    from earmark.reports.summary import summary_json

    place = f"{statement.set_id.stratum}:{statement.set_id.number}"
    lines = [
        str(verdict),
        f"{path}: set {place} is now opened; whoever has this file can train a model that knows its "
        f"{len(statement.replies)} triggers",
        f"anyone checks it: earmark check {path} --vk KEY.vk.json --suspect SUSPECT",
    ]
    output.result(
        "\n".join(lines),
        {
            **summary_json(verdict),
            "claim": str(path),
            "set": list(statement.set_id),
            "opened": True,
            "warnings": list(remarks),
        },
    )
