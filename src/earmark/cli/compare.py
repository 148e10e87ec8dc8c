"""The command ``earmark compare``: two claimants of one model."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from earmark.cli import authorities, keys, services
from earmark.cli.asking_again import CheckersJournal, Terms, ask_suspect
from earmark.cli.check import read_claim
from earmark.cli.output import AsJson, Output, Quiet, warn
from earmark.cli.training import DataRoot, Threads, TrustCode, use_processor

if TYPE_CHECKING:
    from earmark.claims.checking import ClaimFindings
    from earmark.claims.comparing import CrossCheck, Decision
    from earmark.keys import VerificationKey
    from earmark.reports.claim_check import AskedAgain

FORMAT = "earmark/comparison/v1"
_Claimant = tuple["ClaimFindings", "VerificationKey", CheckersJournal]


@services.with_options
def compare(
    first: Annotated[Path, typer.Argument(help="One claim, e.g. a.zip.")],
    second: Annotated[Path, typer.Argument(help="The other, e.g. b.zip.")],
    vk: Annotated[
        list[Path],
        typer.Option("--vk", help="Twice, in the same order: each claimant's public key file."),
    ],
    suspect: Annotated[str, typer.Option(help="The model in dispute, as for 'earmark verify'.")],
    released: Annotated[
        list[str],
        typer.Option(help="A model that one of them released, by his release record; give all of them."),
    ] = [],  # noqa: B006 - typer makes a new list
    older_by: Annotated[
        str | None,
        typer.Option(
            "--older-by",
            metavar="NAME",
            help="Who attests that all these models are older than the opening of either set.",
        ),
    ] = None,
    tsa_root: authorities.Roots = [],  # noqa: B006 - as above
    journal: Annotated[
        list[Path],
        typer.Option(
            help="The checker's own, for services, to go on with: twice, as the claims. Default: new ones "
            "beside the claims."
        ),
    ] = [],  # noqa: B006 - as above
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
    """Decide between two claimants of one model: exit code 0 decided, 1 undecided, with the reason.

    Both claims are checked, and both put to the suspect. Then each key is put to the models that the other
    released: the owner's fires on both sides, a pirate's only on his own.

    Example: earmark compare a.zip b.zip --vk a.vk.json --vk b.vk.json --suspect s.onnx --released a.onnx
    --released b.onnx --tsa-root root.pem
    """
    from earmark.claims.comparing import decide

    output = Output(quiet, as_json)
    use_processor(threads)
    if len(vk) != 2:
        raise ValueError(f"--vk is given twice, once for each claim, not {len(vk)} times")
    if len(journal) not in (0, 2):
        raise ValueError(
            f"--journal is given twice, once for each claim, or not at all: not {len(journal)} times"
        )
    chosen = Terms(service, model, trust_code, data_root)
    journals = [
        CheckersJournal(path, own) for path, own in zip((first, second), journal or (None, None), strict=True)
    ]
    if services.is_service(suspect):
        for own in journals:
            own.check()
    claimants = [
        _claimant(path, key_path, own, tsa_root)
        for path, key_path, own in zip((first, second), vk, journals, strict=True)
    ]
    if claimants[0][0].statement.key_digest == claimants[1][0].statement.key_digest:
        raise ValueError("both claims are for the same key: there are not two claimants")
    asked = (
        _put_to(claimants[0], suspect, older_by, chosen, output),
        _put_to(claimants[1], suspect, older_by, chosen, output),
    )
    names = claimants[0][0].statement.owner.name, claimants[1][0].statement.owner.name
    checks = _cross_check(claimants, released, older_by, chosen, output)
    decision = decide(names, (asked[0][1], asked[1][1]), checks)
    _say(names, asked, checks, decision, output)
    raise typer.Exit(1 if decision.winner is None else 0)


def _claimant(path: Path, key_path: Path, own: CheckersJournal, roots: list[Path]) -> _Claimant:
    key = keys.read_verification_key(key_path)
    return read_claim(path, key, roots), key, own


def _put_to(
    claimant: _Claimant, suspect: str, older_by: str | None, chosen: Terms, output: Output
) -> "tuple[AskedAgain, bool]":
    """Put one claim's questions to the suspect; return what came of it, and whether the claim holds."""
    from earmark.reports.claim_check import steps_of

    findings, key, journal = claimant
    again = ask_suspect(suspect, key, findings, journal, chosen, output)
    for remark in again.remarks:
        warn(remark)
    return again, steps_of(findings, again, older_by).owned


def _cross_check(
    claimants: list[_Claimant], released: list[str], older_by: str | None, chosen: Terms, output: Output
) -> "list[CrossCheck]":
    """Put each key to every model that the other released."""
    from earmark.claims.comparing import CrossCheck, dated_before

    at_hand = _by_identity(released, claimants)
    checks = []
    for asker, releaser in ((0, 1), (1, 0)):
        findings, key, journal = claimants[asker]
        for release in claimants[releaser][0].releases:
            name = at_hand.get(release.model.identity)
            again = name and ask_suspect(name, key, findings, journal, chosen, output, is_claimed=False)
            dated = dated_before(findings.statement.opened_at, release, older_by)
            verdict = again.verdict if again else None
            checks.append(CrossCheck(asker, releaser, release.model.name, verdict, dated))
    return checks


def _by_identity(released: list[str], claimants: list[_Claimant]) -> dict[str, str]:
    """Return the files by the identity that the records name; ValueError for one that nobody released."""
    from earmark.cli.released_model import read_model

    found = {read_model(name, lambda done, total: None)[0].identity: name for name in released}
    known = {release.model.identity for findings, *_ in claimants for release in findings.releases}
    for identity, name in found.items():
        if identity not in known:
            raise ValueError(f"no release record in either claim names {name} ({identity})")
    return found


def _say(
    names: tuple[str, str],
    asked: "tuple[tuple[AskedAgain, bool], tuple[AskedAgain, bool]]",
    checks: "list[CrossCheck]",
    decision: "Decision",
    output: Output,
) -> None:
    from earmark.reports.wording import visible

    shown = [visible(name) for name in names]
    lines = [
        f"{name!a} on the suspect: {'owned' if holds else 'not shown, or not dated'}{again.by_journal}"
        for name, (again, holds) in zip(shown, asked, strict=True)
    ]
    for check in checks:
        asker, releaser = shown[check.claimant], shown[check.releaser]
        outcome = "not at hand" if check.verdict is None else str(check.verdict)
        dated = check.dated or "nothing shows that it is older than the opening"
        lines.append(f"{asker!a} on {visible(check.model)!a}, released by {releaser!a}: {outcome} ({dated})")
    winner = None if decision.winner is None else shown[decision.winner]
    lines.append(f"undecided: {decision.reason}" if winner is None else f"{winner!a}: {decision.reason}")
    value: dict[str, Any] = {
        "format": FORMAT,
        "decided_for": winner,
        "reason": decision.reason,
        "claimants": [
            {
                "name": name,
                "owns_suspect": holds,
                "put_now": again.put_now,
                "earlier_answers": again.earlier or 0,
                "warnings": list(again.remarks),
            }
            for name, (again, holds) in zip(shown, asked, strict=True)
        ],
        "cross_checks": [
            {
                "claimant": shown[check.claimant],
                "released_by": shown[check.releaser],
                "model": check.model,
                "mark_shown": None if check.verdict is None else check.verdict.mark_shown,
                "dated": check.dated,
            }
            for check in checks
        ],
    }
    output.result("\n".join(lines), value)
