"""The command ``earmark check``: claims and proofs, by anyone who has the public key file."""

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from earmark.cli import authorities, keys, services
from earmark.cli.output import AsJson, Output, Quiet
from earmark.cli.training import DataRoot, Threads, TrustCode, use_processor

if TYPE_CHECKING:
    from earmark.claims.checking import ClaimFindings
    from earmark.keys import VerificationKey
    from earmark.verification import Verdict

FORMAT = "earmark/claim-check/v1"


def check(
    file: Annotated[Path, typer.Argument(help="A claim, e.g. claim.zip, or an ownership proof.")],
    vk: Annotated[
        Path, typer.Option("--vk", help="The owner's public key file, from where he published it.")
    ],
    suspect: Annotated[
        str | None, typer.Option(help="Ask it again, as for 'earmark verify'; without, nothing is owned.")
    ] = None,
    older_by: Annotated[
        str | None,
        typer.Option(
            "--older-by",
            metavar="NAME",
            help="Who attests that the suspect was as it is before the set was opened; a stamp is better.",
        ),
    ] = None,
    tsa_root: authorities.Roots = [],  # noqa: B006 - typer makes a new list
    journal: Annotated[
        Path | None,
        typer.Option(help="The checker's own, for services: first answers count. Default beside the claim."),
    ] = None,
    commitments: Annotated[
        Path | None,
        typer.Option(help="Of a proof: the key's commitments; default beside the public key file."),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(help="Of a proof: your own data, on which integers and original are compared."),
    ] = None,
    extract: Annotated[
        Path | None, typer.Option(help="Write the owner's page out of the claim, to be looked at.")
    ] = None,
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
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Check a claim or a proof without its owner: exit code 0 owned, 1 not shown, or a step refused.

    Everything is computed again from the public key file. A claim without --suspect is at best consistent
    with what the owner recorded: he could have written any answers. A proof needs the suspect's ONNX file,
    and questions nobody.

    Example: earmark check claim.zip --vk acme.vk.json --suspect suspect.onnx

    Example: earmark check ownership.proof --vk acme.vk.json --suspect suspect.onnx
    """
    output = Output(quiet, as_json)
    use_processor(threads)
    key = keys.read_verification_key(vk)
    proof = _read_proof(file)
    if proof is not None:
        from earmark.cli.check_proof import check_proof_bytes

        if suspect is None:
            raise ValueError("a proof is checked against a model: give its ONNX file with --suspect")
        beside = vk.with_name(f"{vk.name.removesuffix('.vk.json')}.commitments")
        check_proof_bytes(proof, key, commitments or beside, Path(suspect), data, output)
        return
    if commitments is not None or data is not None:
        raise ValueError("--commitments and --data are for proofs, and this is none")
    findings, page = read_claim(file, key, tsa_root)
    again = None
    if suspect is not None:
        options = services.ServiceOptions(
            questions_per_second,
            budget_queries,
            connections=connections,
            plain_http=plain_http,
            bearer_from=bearer_from,
        )
        own_journal = journal or file.with_name(f"{file.name}.journal")
        again = ask_suspect(
            suspect, key, findings, own_journal, (options, model, trust_code, data_root), output
        )
    elif older_by is not None or journal is not None:
        raise ValueError("--older-by and --journal go with --suspect")
    if extract is not None:
        from earmark.files import write_new

        write_new(extract, page)
    owned = _say(findings, again, older_by, output)
    raise typer.Exit(0 if owned else 1)


def _read_proof(path: Path) -> bytes | None:
    """Return the bytes of a proof, of whatever version; None for another kind of file."""
    from earmark.files import read_bounded
    from earmark.formats import claim_v1

    data = read_bounded(path, claim_v1.SIZE_LIMIT_BYTES, "claim or proof")
    return data if data.startswith(b"earmark/") else None


def read_claim(path: Path, key: "VerificationKey", roots: list[Path]) -> "tuple[ClaimFindings, bytes]":
    """Return what a claim shows by itself, and its owner's page."""
    from earmark.claims.checking import check_claim
    from earmark.files import read_bounded
    from earmark.formats import claim_v1

    file = claim_v1.read(read_bounded(path, claim_v1.SIZE_LIMIT_BYTES, "claim"))
    trusted = authorities.read_roots(roots)
    return check_claim(file.claim, file.releases, key, trusted, keys.now()), file.report


def ask_suspect(
    name: str,
    key: "VerificationKey",
    findings: "ClaimFindings",
    journal_path: Path,
    chosen: tuple[services.ServiceOptions, str | None, bool, Path],
    output: Output,
    *,
    is_claimed: bool = True,
) -> "Verdict":
    """Put the opened questions to a suspect; to a service through a journal of the checker's own."""
    from earmark.claims.asking_again import ask_again, put_questions
    from earmark.cli.questioning import open_named
    from earmark.formats.journal_v1 import Journal
    from earmark.keys import MarkingKey

    options, model, trust_code, data_root = chosen
    # What a stranger holds of the key: its public half, and the triggers that were opened.
    held = MarkingKey(key, {}, {findings.statement.set_id: findings.triggers})
    is_service = services.is_service(name)
    if is_service and not journal_path.exists():
        Journal.create(journal_path, key.transcript.root)
    terms_of = (
        services.terms_for(name, options, held, journal_path, data_root, output)
        if is_service
        else nullcontext()
    )
    with terms_of as terms, output.progress("questioning") as on_progress:
        found = open_named(name, held, None, model, trust_code, None, terms)
        journal = Journal(journal_path, key.transcript.root, keys.now) if is_service else None
        return (ask_again if is_claimed else put_questions)(
            findings,
            key,
            found,
            journal,
            int(getattr(found, "form_count", 1)),
            lambda done: on_progress(done, len(findings.triggers)),
        )


def _say(findings: "ClaimFindings", again: "Verdict | None", older_by: str | None, output: Output) -> bool:
    """Say each step and the verdict; return whether the suspect is the owner's."""
    from earmark.reports.claim_check import steps_of
    from earmark.reports.summary import summary_json

    report = steps_of(findings, again, older_by)
    lines = [str(step) for step in report.steps]
    value: dict[str, Any] = {
        "format": FORMAT,
        "verdict": report.word,
        "owned": report.owned,
        "steps": [{"number": step.number, "words": step.words} for step in report.steps],
        "recorded": summary_json(findings.verdict),
        "asked_again": None if again is None else summary_json(again),
        "suspect_dated": findings.suspect_dated and findings.suspect_dated.to_json(),
        "older_by": older_by,
        "opened_at": findings.statement.opened_at.isoformat(),
        "key_timestamps": [stamp.to_json() for stamp in findings.key_stamps],
        "releases": [release.to_json() for release in findings.releases],
    }
    output.result("\n".join(lines), value)
    return report.owned
