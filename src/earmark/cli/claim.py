"""The command ``earmark claim``."""

import shlex
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earmark.cli import authorities, keys, services
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

_WAIT_LIMIT_SECONDS = 150  # of an authority that states no accuracy a minute is counted


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
    owner_key: Annotated[
        Path | None,
        typer.Option("--owner-key", help="Signing key of the key's owner; default beside the key."),
    ] = None,
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
    questions_per_second: services.QuestionsPerSecond = None,
    budget_queries: services.BudgetQueries = None,
    connections: services.Connections = 1,
    plain_http: services.PlainHttp = False,
    bearer_from: services.BearerFrom = None,
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
    is used for the same suspect.

    With --tsa, an authority stamps the suspect's digest first, and the opening waits until it is evidently
    later: then nobody has to be believed that the suspect is older.

    Example: earmark claim --key acme.key suspect.onnx -o claim.zip
    """
    from earmark.claims.checking import judge_claim

    output = Output(quiet, as_json)
    use_processor(threads)
    keys.refuse_existing(out)
    authorities.check_asked(tsa, timeout)
    marking_key = keys.read_key(key, passphrase_file)
    paths = keys.key_paths(key)
    published = _published(vk or paths.verification_key, marking_key)
    records = [_read_release(path) for path in release]
    owner = keys.read_owner(owner_key or paths.owner, owner_passphrase_file)
    opened = keys.open_journal(key, journal, marking_key)
    statistic = statistic or ("sequential" if services.is_service(suspect) else "fixed")
    options = services.ServiceOptions(
        questions_per_second,
        budget_queries,
        connections=connections,
        plain_http=plain_http,
        bearer_from=bearer_from,
    )
    with services.terms_for(
        suspect, options, marking_key, journal or paths.journal, data_root, output
    ) as terms:
        found = open_named(suspect, marking_key, None, model, trust_code, None, terms)
        set_id = choose_set(opened, published, found.identity, which)
        measurement = question_set(found, marking_key, opened, set_id, (statistic, label_map, looks), output)
        statement = _statement(published, found, measurement, (label_map, looks), set_id)
    verdict = judge_claim(measurement, statement, None)
    if not verdict.mark_shown and not even_if_not_shown:
        _say_not_opened(verdict, set_id, output)
        raise typer.Exit(1)
    tokens = _stamped(published, statement, (tsa, tsa_root, timeout), output)
    statement = _opened(opened, published, statement, tokens)
    _write(out, (statement, verdict), (marking_key, published, owner), records)
    _say(verdict, statement, out, output)
    raise typer.Exit(0 if verdict.mark_shown else 1)


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


def _read_release(path: Path) -> "ReleaseRecord":
    from earmark.files import read_bounded
    from earmark.formats import release_record_v1

    return release_record_v1.read(read_bounded(path, release_record_v1.SIZE_LIMIT_BYTES, "release record"))


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


def _stamped(
    key: "VerificationKey",
    statement: "Statement",
    asked: tuple[list[str], list[Path], float],
    output: Output,
) -> tuple[bytes, ...]:
    """Return stamps over the suspect's notice; TimestampError, and nothing opened, if nobody gives one."""
    from earmark.claims.claim import request_for_suspect
    from earmark.errors import TimestampError

    urls, roots, seconds = asked
    if not urls:
        return ()
    outcomes = authorities.ask_authorities(
        urls,
        lambda: request_for_suspect(key, statement.set_id, statement.suspect.identity),
        authorities.read_roots(roots),
        seconds,
        output,
    )
    for outcome in outcomes:
        if isinstance(outcome, authorities.Failed):
            warn(f"{outcome.url}: no stamp: {outcome.reason}")
    stamped = [item for item in outcomes if isinstance(item, authorities.Stamped)]
    if not stamped:
        raise TimestampError("no authority gave a stamp; no set was opened")
    _wait_until_later(min(item.evidence.latest for item in stamped), output)
    return tuple(item.token for item in stamped)


def _wait_until_later(stamped: datetime, output: Output) -> None:
    """Wait until nobody can doubt that what comes next comes after a stamp: its clock is not exact."""
    ready = stamped + timedelta(seconds=1)  # times of opening are whole seconds
    seconds = (ready - keys.now()).total_seconds()
    if seconds > _WAIT_LIMIT_SECONDS:
        warn(f"the stamp's time is not certain for {seconds:.0f} s: the opening will not be evidently later")
        return
    total = max(1, round(seconds * 10))
    with output.progress("until clocks can tell") as on_progress:
        while (left := (ready - keys.now()).total_seconds()) > 0:
            on_progress(min(total, max(0, total - round(left * 10))), total)
            time.sleep(min(left, 0.1))


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


def _write(
    path: Path,
    found: "tuple[Statement, Verdict]",
    held: "tuple[MarkingKey, VerificationKey, OwnerKey]",
    records: "list[ReleaseRecord]",
) -> None:
    from earmark.claims.opened_set import open_asked
    from earmark.cli.verdict_page import report_context
    from earmark.files import write_new
    from earmark.formats import claim_v1
    from earmark.reports.verdict_report import render_verdict

    statement, verdict = found
    key, published, owner = held
    context = report_context(command=shlex.join(["earmark", *sys.argv[1:]]), files=(), is_claim=True)
    page = render_verdict(verdict, key, context, include_triggers=True)
    opened = open_asked(key, statement.set_id, len(statement.replies))
    write_new(path, claim_v1.write(statement, published, opened, records, page.encode(), owner))


def _say_not_opened(verdict: "Verdict", set_id: "SetId", output: Output) -> None:
    from earmark.reports.summary import summary_json

    output.result(
        f"{verdict}\nno set was opened, and no claim written; --even-if-not-shown does both",
        {**summary_json(verdict), "claim": None, "set": list(set_id), "opened": False},
    )


def _say(verdict: "Verdict", statement: "Statement", path: Path, output: Output) -> None:
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
        {**summary_json(verdict), "claim": str(path), "set": list(statement.set_id), "opened": True},
    )
