"""The command ``earmark check``: claims and proofs, by anyone who has the public key file."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from earmark.cli import authorities, keys, services
from earmark.cli.asking_again import CheckersJournal, Terms, ask_suspect
from earmark.cli.output import AsJson, Output, Quiet, warn
from earmark.cli.training import DataRoot, Threads, TrustCode, use_processor

if TYPE_CHECKING:
    from earmark.claims.checking import ClaimFindings
    from earmark.keys import VerificationKey
    from earmark.reports.claim_check import AskedAgain, CheckReport

FORMAT = "earmark/claim-check/v1"


@services.with_options
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
        typer.Option(
            help="The checker's own, for services: first answers count. Default: a new one beside the claim."
        ),
    ] = None,
    commitments: Annotated[
        Path | None,
        typer.Option(help="Of a proof: the key's commitments; default beside the public key file."),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(help="Of a proof: your own data, on which integers and original are compared."),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Write a page of what this check found, e.g. check.html.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="FILE.py:FACTORY for weights whose architecture is code.")
    ] = None,
    trust_code: TrustCode = False,
    service: services.ServiceOptions = services.PLAIN,
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
    own = CheckersJournal(file, journal)
    _check_options(suspect, older_by, journal, own)
    findings = read_claim(file, key, tsa_root)
    again = None
    if suspect is not None:
        terms = Terms(service, model, trust_code, data_root)
        again = ask_suspect(suspect, key, findings, own, terms, output)
        for remark in again.remarks:
            warn(remark)
    from earmark.reports.claim_check import steps_of

    found = steps_of(findings, again, older_by)
    if report is not None:
        _write_page(report, key, findings, again, found)
    _say(findings, again, found, (older_by, report), output)
    raise typer.Exit(0 if found.owned else 1)


def _check_options(
    suspect: str | None,
    older_by: str | None,
    journal: Path | None,
    own: CheckersJournal,
) -> None:
    """Raise before anything is read or asked, for options that do not go together, or a file in the way."""
    if suspect is None and (older_by is not None or journal is not None):
        raise ValueError("--older-by and --journal go with --suspect")
    if suspect is not None and services.is_service(suspect):
        own.check()


def _read_proof(path: Path) -> bytes | None:
    """Return the bytes of a proof, of whatever version; None for another kind of file."""
    from earmark.files import read_bounded
    from earmark.formats import claim_v1

    data = read_bounded(path, claim_v1.SIZE_LIMIT_BYTES, "claim or proof")
    return data if data.startswith(b"earmark/") else None


def read_claim(path: Path, key: "VerificationKey", roots: list[Path]) -> "ClaimFindings":
    """Return what a claim shows by itself."""
    from earmark.claims.checking import check_claim
    from earmark.errors import FormatError
    from earmark.files import read_bounded, shown
    from earmark.formats import claim_v1

    data = read_bounded(path, claim_v1.SIZE_LIMIT_BYTES, "claim")
    if not data.startswith(claim_v1.MAGIC):
        raise FormatError(
            f"{shown(path)} is neither a claim (a zip archive from 'earmark claim') nor an ownership proof"
        )
    file = claim_v1.read(data)
    return check_claim(file.claim, file.releases, key, authorities.read_roots(roots), keys.now())


def _write_page(
    path: Path,
    key: "VerificationKey",
    findings: "ClaimFindings",
    again: "AskedAgain | None",
    found: "CheckReport",
) -> None:
    """Write the checker's own page: nothing that the claimant wrote for people is in it."""
    from earmark.claims.asking_again import held_key
    from earmark.cli.verdict_page import report_context
    from earmark.files import write_replacing
    from earmark.reports.verdict_report import render_verdict

    # Answers of a suspect that may be younger than the opening show nothing: the page then is about the
    # record, which is at best consistent, and the steps say what the suspect answered.
    is_own = again is not None and (found.owned or not again.verdict.mark_shown)
    verdict = again.verdict if again is not None and is_own else findings.verdict
    context = report_context(
        command=shlex.join(["earmark", *sys.argv[1:]]),
        files=(),
        remarks=() if again is None else again.remarks,
        check=tuple(str(step) for step in found.steps),
    )
    page = render_verdict(verdict, held_key(findings, key), context, include_triggers=True)
    write_replacing(path, page.encode())


def _say(
    findings: "ClaimFindings",
    again: "AskedAgain | None",
    found: "CheckReport",
    given: tuple[str | None, Path | None],
    output: Output,
) -> None:
    """Say each step and the verdict."""
    from earmark.reports.summary import summary_json

    older_by, report = given
    lines = [str(step) for step in found.steps]
    if report is not None:
        lines.append(f"report: {report}")
    value: dict[str, Any] = {
        "format": FORMAT,
        "verdict": found.word,
        "owned": found.owned,
        "steps": [{"number": step.number, "words": step.words} for step in found.steps],
        "recorded": summary_json(findings.verdict),
        "asked_again": None if again is None else summary_json(again.verdict),
        "put_now": None if again is None else again.put_now,
        "earlier_answers": None if again is None else again.earlier or 0,
        "warnings": [] if again is None else list(again.remarks),
        "suspect_dated": findings.suspect_dated and findings.suspect_dated.to_json(),
        "older_by": older_by,
        "opened_at": findings.statement.opened_at.isoformat(),
        "key_timestamps": [stamp.to_json() for stamp in findings.key_stamps],
        "releases": [release.to_json() for release in findings.releases],
        "report": None if report is None else str(report),
    }
    output.result("\n".join(lines), value)
