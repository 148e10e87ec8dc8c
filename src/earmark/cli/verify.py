"""The command ``earmark verify``."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earmark.cli import keys, services
from earmark.cli.clean_data import CleanCheck, CleanData, check_clean, read_clean
from earmark.cli.output import AsJson, Output, Quiet, warn
from earmark.cli.paper_rule import PaperOptions, judge_by_paper
from earmark.cli.passphrase import PassphraseFile
from earmark.cli.questioning import (
    Freedoms,
    catalogue_for,
    check_stratum,
    method_for,
    open_named,
    pick,
    question,
)
from earmark.cli.revived import Revival, check_revival, revived_suspect, revived_weights
from earmark.cli.training import DataRoot, Threads, TrustCode, use_processor
from earmark.cli.verdict_page import write_report
from earmark.files import shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from earmark.formats.journal_v1 import Journal
    from earmark.keys import MarkingKey, VerificationKey
    from earmark.models.preprocessing import Preprocessing
    from earmark.suspects import Suspect
    from earmark.verification import Method, Verdict

# Data made to suit them read every answer as its label, and no arithmetic sees who brought them.
OWN_DATA = (
    "a label map from clean data costs nothing only if the data are the checker's own: whoever else brings "
    "them can fit it to the labels"
)


@services.with_options
def verify(
    suspect: Annotated[
        str,
        typer.Argument(
            help="FILE.safetensors, FILE.onnx, FILE.skops, FILE.ubj or xgboost:FILE.json, FILE.txt of "
            "LightGBM, FILE.keras, hf:FOLDER, answers.csv from 'earmark ask'; a service: "
            "https://HOST/v2/models/NAME, https://HOST/PATH, or its mapping FILE.toml; with --trust-code "
            "FILE.pt2 or FILE.py:NAME."
        ),
    ],
    key: keys.KeyPath,
    vk: Annotated[Path | None, typer.Option(help="Published key file, compared with the key.")] = None,
    journal: Annotated[Path | None, typer.Option(help="Journal; default beside the key.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write an HTML report.")] = None,
    without_triggers: Annotated[
        bool, typer.Option("--without-triggers", help="Leave the secret triggers out of the report.")
    ] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Say each step and penalty in words.")] = False,
    data: Annotated[
        str | None, typer.Option(help="Clean data: notices a wrong preprocessing. As for 'earmark train'.")
    ] = None,
    preprocessing: Annotated[
        str | None,
        typer.Option(
            help="Pick from the catalogue ('list' shows it) in place of the suspect's own; costs bits."
        ),
    ] = None,
    looks: Annotated[
        int, typer.Option(min=1, help="Suspects, keys and sets tried so far; 2^24 are always paid.")
    ] = 1,
    statistic: Annotated[
        str | None,
        typer.Option(
            help="fixed: all questions. sequential: one at a time, ends when it is enough. probabilities: "
            "the same, over the suspect's probabilities. Default: sequential for services, else fixed."
        ),
    ] = None,
    label_map: Annotated[
        str,
        typer.Option(
            "--label-map",
            help="When classes are renamed or replaced. auto: by name, else by order. data: from --data. "
            "split: learned from earlier questions. best: the best one-to-one map; costs bits.",
        ),
    ] = "auto",
    stratum: Annotated[
        str | None,
        typer.Option(
            help="Ask the sets of one kind only, e.g. in-distribution, for a suspect that was trained on the "
            "model's answers. A service is asked sets in their order: that kind must come next."
        ),
    ] = None,
    owner_layer: Annotated[
        Path | None,
        typer.Option(
            "--owner-layer",
            help="The owner's marked weights: put their last layer on the suspect (the paper's white-box "
            "way); never exit code 0.",
        ),
    ] = None,
    revive: Annotated[
        str | None,
        typer.Option(
            help="Change weights with this clean data first, as the key committed it (keygen --revivable), "
            "and ask what comes of it. As for --data.",
        ),
    ] = None,
    graft_onto: Annotated[
        Path | None, typer.Option("--graft-onto", help="With --revive: the weights that the key grafts onto.")
    ] = None,
    rule: Annotated[
        str, typer.Option(help="exact, or paper: the paper's own rule, for comparison; never exit code 0.")
    ] = "exact",
    epsilon: Annotated[
        str | None, typer.Option(help="With --rule paper: share of triggers that may miss, e.g. 0.06.")
    ] = None,
    ground_truth: Annotated[
        Path | None, typer.Option(help="With --rule paper: CSV of what the triggers really show.")
    ] = None,
    attested_wrong_by: Annotated[
        str | None,
        typer.Option(help="With --rule paper: who attests that no trigger's label is its true class."),
    ] = None,
    asked_by: Annotated[
        str | None,
        typer.Option(
            help="For answers.csv: who attests to have put these questions to the suspect in person."
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="FILE.py:FACTORY for weights whose architecture is code.")
    ] = None,
    trust_code: TrustCode = False,
    service: services.ServiceOptions = services.PLAIN,
    threads: Threads = None,
    data_root: DataRoot = Path("data"),
    passphrase_file: PassphraseFile = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Question a suspect and give the verdict: exit code 0 owned, 1 not shown.

    Verifying a local file exposes nothing: every set that was never shown or opened is used.

    Example: earmark verify --key acme.key suspect.safetensors --report report.html
    """
    output = Output(quiet, as_json)
    use_processor(threads)
    marking_key = keys.read_key(key, passphrase_file)
    check_stratum(marking_key, stratum)
    verification_key = None if vk is None else keys.read_verification_key(vk)
    journal_path = journal or keys.key_paths(key).journal
    opened = keys.open_journal(key, journal, marking_key)
    picked = pick(preprocessing, marking_key)
    paper = PaperOptions(epsilon, ground_truth, attested_wrong_by)
    given = _exact_only(
        report, without_triggers, explain, data, preprocessing, looks, statistic, label_map, stratum
    )
    statistic = statistic or ("sequential" if services.is_service(suspect) else "fixed")
    _check_options(suspect, rule, paper, asked_by, statistic, label_map, data, owner_layer, given)
    check_revival(suspect, rule, owner_layer, revival := Revival(revive, graft_onto))
    revived = revived_weights(suspect, marking_key, revival, data_root, model, trust_code, output)
    checked: CleanCheck | None = None
    if suspect.endswith(".csv"):
        verdict, remarks = _verify_recorded(suspect, marking_key, opened, verification_key, looks, asked_by)
    else:
        with services.terms_for(suspect, service, marking_key, journal_path, data_root, output) as terms:

            def reopen(other: "Preprocessing | None") -> "Suspect":
                if revived is not None:
                    return revived_suspect(revived, Path(suspect), other, model)
                return open_named(suspect, marking_key, other, model, trust_code, owner_layer, terms)

            found = reopen(picked)
            if rule == "paper":
                if owner_layer is not None:
                    warn(f"the last layer of {shown(owner_layer)} was put on the suspect")
                judge_by_paper(marking_key, found, opened, verification_key, paper, output)
                raise typer.Exit(1)
            clean = None if data is None else read_clean(data, marking_key, data_root, output)
            method, checked = _prepared(
                found, reopen, suspect, marking_key, clean, statistic, label_map, stratum, output
            )
            freedoms = Freedoms(looks, _choices(found, marking_key, picked))
            verdict, remarks = _judged(
                found, marking_key, opened, verification_key, method, freedoms, owner_layer, output
            )
            remarks = (*(checked.remarks if checked else ()), *remarks)
    for remark in remarks:
        warn(remark)
    if report is not None:
        write_report(
            report,
            verdict,
            marking_key,
            command=shlex.join(["earmark", *sys.argv[1:]]),
            # The journal's digest binds to all of its entries: one that was cut back later shows.
            files=_files(suspect, vk, owner_layer or graft_onto, journal_path),
            remarks=remarks,
            clean_accuracy=None if checked is None else checked.words,
            include_triggers=not without_triggers,
        )
    _say(verdict, output, explain, report, remarks)
    raise typer.Exit(0 if verdict.owned else 1)


def _exact_only(
    report: Path | None,
    without_triggers: bool,
    explain: bool,
    data: str | None,
    preprocessing: str | None,
    looks: int,
    statistic: str | None,
    label_map: str,
    stratum: str | None,
) -> list[str]:
    """Return the options given that the paper's rule would ignore: it asks everything, by class names."""
    given = {
        "--report": report is not None,
        "--without-triggers": without_triggers,
        "--explain": explain,
        "--data": data is not None,
        "--preprocessing": preprocessing is not None,
        "--looks": looks != 1,
        "--statistic": statistic is not None,
        "--label-map": label_map != "auto",
        "--stratum": stratum is not None,
    }
    return [name for name, is_given in given.items() if is_given]


def _prepared(
    found: "Suspect",
    reopen: "Callable[[Preprocessing], Suspect]",
    name: str,
    key: "MarkingKey",
    clean: "CleanData | None",
    statistic: str,
    label_map: str,
    stratum: str | None,
    output: Output,
) -> "tuple[Method, CleanCheck | None]":
    """Return what is chosen before the first question, and what clean data showed."""
    is_service = services.is_service(name)
    if is_service:
        services.check_class_names(found, key, label_map)
    if clean is not None and is_service:
        services.check_budget(found, len(clean.labels))
    method = method_for(statistic, label_map, stratum, found, key, clean)
    if clean is None:
        return method, None
    if label_map == "data":
        words = f"the label map comes from {len(clean.labels)} {clean.words} of {clean.name}"
        return method, CleanCheck(words, (OWN_DATA,))
    again = None if is_service or name.startswith("hf:") or ".py:" in name else reopen
    return method, check_clean(found, again, catalogue_for(key), clean, output)


def _choices(found: "Suspect", key: "MarkingKey", picked: "Preprocessing | None") -> int:
    """Return how many preprocessings the checker could pick from."""
    # The release's own and the transcript's stood to choice as well; with a mapping, the form of the input.
    form_count = int(getattr(found, "form_count", 1))
    return form_count if picked is None else len(catalogue_for(key)) + 1 + form_count


def _judged(
    found: "Suspect",
    key: "MarkingKey",
    journal: "Journal",
    verification_key: "VerificationKey | None",
    method: "Method",
    freedoms: Freedoms,
    owner_layer: Path | None,
    output: Output,
) -> "tuple[Verdict, tuple[str, ...]]":
    from earmark.verification import verify as judge

    measurement = question(found, key, journal, verification_key, method, freedoms, output)
    restored = None if owner_layer is None else owner_layer.name
    verdict = judge(
        measurement,
        looks=freedoms.looks,
        preprocessing_choices=freedoms.preprocessing_choices,
        restored_layer=restored,
    )
    is_remote = bool(getattr(found, "is_remote", False))
    return verdict, services.remarks_on(found, measurement) if is_remote else ()


def _files(suspect: str, vk: Path | None, owners: Path | None, journal: Path) -> tuple[Path, ...]:
    """Return the files whose digests stand in the report."""
    found = (
        services.place_of(suspect),
        vk,
        owners,
        journal,
        services.record_path(journal) if services.is_service(suspect) else None,
    )
    return tuple(path for path in found if path is not None)


def _check_options(
    suspect: str,
    rule: str,
    paper: PaperOptions,
    asked_by: str | None,
    statistic: str,
    label_map: str,
    data: str | None,
    owner_layer: Path | None,
    exact_only: list[str],
) -> None:
    """Raise ValueError for options that do not go together, before anything is asked."""
    recorded = suspect.endswith(".csv")
    if rule not in ("exact", "paper"):
        raise ValueError(f"--rule is exact or paper, not {rule!r}")
    if rule == "paper":
        paper.check(exact_only)
    elif paper.is_given():
        raise ValueError("--epsilon, --ground-truth and --attested-wrong-by go with --rule paper")
    if asked_by is not None and not recorded:
        raise ValueError("--asked-by is for answers.csv")
    if asked_by is not None and not (asked_by.strip() and asked_by.isprintable()):
        raise ValueError(f"--asked-by is a name in printable characters, not {asked_by[:80]!r}")
    if recorded and (rule, statistic, label_map) != ("exact", "fixed", "auto"):
        raise ValueError("recorded answers are judged by the exact rule, the fixed statistic and class names")
    unread = [name for name in ("--data", "--preprocessing", "--stratum") if name in exact_only]
    if recorded and unread:
        raise ValueError(f"recorded answers say all that was said: {' and '.join(unread)} would be ignored")
    if label_map == "data" and data is None:
        raise ValueError("--label-map data needs --data, clean inputs with their classes")
    if owner_layer is not None and not suspect.endswith(".safetensors"):
        raise ValueError("--owner-layer is for weights: a suspect that ends in .safetensors")


def _verify_recorded(
    name: str,
    key: "MarkingKey",
    journal: "Journal",
    verification_key: "VerificationKey | None",
    looks: int,
    asked_by: str | None,
) -> "tuple[Verdict, tuple[str, ...]]":
    from earmark.files import read_bounded
    from earmark.formats import answers_v1
    from earmark.suspects.recorded import RecordedSuspect
    from earmark.verification import measure
    from earmark.verification import verify as judge

    path = Path(name)
    data = read_bounded(path, answers_v1.SIZE_LIMIT_BYTES, "answers")
    answers = answers_v1.read(data, key.verification_key)
    set_id = journal.exposure(answers.questions_id)
    # The first answers count: a second table, filled in with hindsight, is refused here.
    journal.record_answers(answers.questions_id, answers.digest)
    suspect = RecordedSuspect(
        answers.texts,
        key.transcript.task.class_names,
        f"answers recorded in {path.name}",
        f"answers:{answers.questions_id}",
    )
    measurement = measure(
        key,
        suspect,
        journal,
        verification_key=verification_key,
        set_ids=(set_id,),
    )
    verdict = judge(measurement, looks=looks, recorded_by=path.name, attested_by=asked_by)
    if not verdict.mark_shown or verdict.owned:
        return verdict, ()
    remark = (
        "recorded answers alone show nothing to others; if you put these questions yourself, "
        "add --asked-by NAME"
    )
    return verdict, (remark,)


def _say(
    verdict: "Verdict", output: Output, explain: bool, report: Path | None, remarks: tuple[str, ...]
) -> None:
    from earmark.reports.explanation import explain as steps_of
    from earmark.reports.statements import kinds
    from earmark.reports.summary import summary_json

    lines = [str(verdict), *kinds(verdict)]
    if explain:
        lines += [str(step) for step in steps_of(verdict)]
    if report is not None:
        lines.append(f"report: {report}")
    summary = dict(summary_json(verdict))
    summary["warnings"] = list(remarks)
    summary["report"] = None if report is None else str(report)
    output.result("\n".join(lines), summary)
