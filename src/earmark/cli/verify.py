"""earmark verify"""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earmark.cli import keys
from earmark.cli.output import AsJson, Output, Quiet, warn
from earmark.cli.passphrase import PassphraseFile
from earmark.cli.training import DataRoot, Threads, TrustCode, read_data, use_threads

if TYPE_CHECKING:
    from earmark.formats.journal import Journal
    from earmark.keys import MarkingKey, VerificationKey
    from earmark.models.preprocessing import Preprocessing
    from earmark.suspects import Suspect
    from earmark.verification import Verdict

_CLEAN_LIMIT = 1000
_SUSPICIOUS_ACCURACY = 0.8
_BETTER_BY = 0.05


def verify(
    suspect: Annotated[
        str,
        typer.Argument(help="weights.safetensors, model.onnx, hf:FOLDER, or answers.csv from 'earmark ask'."),
    ],
    key: keys.KeyPath,
    vk: Annotated[Path | None, typer.Option(help="Published key file, compared with the key.")] = None,
    journal: Annotated[Path | None, typer.Option(help="Journal; default beside the key.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write an HTML report.")] = None,
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
    from earmark.formats import verification_key_v1

    output = Output(quiet, as_json)
    use_threads(threads)
    marking_key = keys.read_key(key, passphrase_file)
    verification_key = None if vk is None else verification_key_v1.load(vk)
    opened = keys.open_journal(key, journal, marking_key)
    picked = _pick(preprocessing, marking_key)
    if suspect.endswith(".csv"):
        verdict, remarks = _verify_recorded(suspect, marking_key, opened, verification_key, looks, asked_by)
    else:
        if asked_by is not None:
            raise ValueError("--asked-by is for answers.csv")
        found = _open(suspect, marking_key, picked, model, trust_code)
        remarks = [] if data is None else _check_clean(found, suspect, marking_key, data, data_root, output)
        verdict = _verify(found, marking_key, opened, verification_key, looks, picked is not None, output)
    for remark in remarks:
        warn(remark)
    if report is not None:
        write_report(
            report,
            verdict,
            marking_key,
            command=shlex.join(["earmark", *sys.argv[1:]]),
            remarks=tuple(remarks),
        )
    _say(verdict, output, explain, report, remarks)
    raise typer.Exit(0 if verdict.owned else 1)


def _pick(name: str | None, key: "MarkingKey") -> "Preprocessing | None":
    if name is None:
        return None
    from earmark.models.preprocessing import catalogue

    entries = _catalogue(key)
    if name == "list":
        for entry, value in catalogue(_channels(key)).items():
            print(f"{entry:24} {value}")
        raise typer.Exit
    if name not in entries:
        raise ValueError(f"unknown preprocessing {name!r}; --preprocessing list shows the catalogue")
    return entries[name]


def _channels(key: "MarkingKey") -> int:
    return int(getattr(key.transcript.task.geometry, "channels", 3))


def _catalogue(key: "MarkingKey") -> "dict[str, Preprocessing]":
    from earmark.models.preprocessing import catalogue

    return dict(catalogue(_channels(key)))


def _open(
    name: str, key: "MarkingKey", picked: "Preprocessing | None", model: str | None, trust_code: bool
) -> "Suspect":
    from earmark.models.preprocessing import Preprocessing
    from earmark.suspects.opening import open_suspect

    fixed = key.transcript.experiment.preprocessing
    return open_suspect(
        name,
        preprocessing=picked,
        fallback=None if fixed is None else Preprocessing.from_json(fixed),
        architecture=model,
        trust_code=trust_code,
    )


def _verify(
    suspect: "Suspect",
    key: "MarkingKey",
    journal: "Journal",
    verification_key: "VerificationKey | None",
    looks: int,
    picked: bool,
    output: Output,
) -> "Verdict":
    from earmark.verification import measure
    from earmark.verification import verify as judge

    with output.progress("questioning") as on_progress:
        measurement = measure(
            key,
            suspect,
            journal,
            verification_key=verification_key,
            on_answer=lambda done: on_progress(done, key.trigger_count),
        )
    # The release's own and the transcript's stood to choice as well.
    choices = len(_catalogue(key)) + 2 if picked else 1
    return judge(measurement, looks=looks, preprocessing_choices=choices)


def _verify_recorded(
    name: str,
    key: "MarkingKey",
    journal: "Journal",
    verification_key: "VerificationKey | None",
    looks: int,
    asked_by: str | None,
) -> "tuple[Verdict, list[str]]":
    from earmark.files import read_bounded
    from earmark.formats import answers_v1
    from earmark.suspects.recorded import RecordedSuspect
    from earmark.verification import measure
    from earmark.verification import verify as judge

    path, public = Path(name), key.verification_key
    counts = {
        answers_v1.questions_id(key.transcript.root, set_id): len(key.triggers[set_id])
        for set_id in public.set_ids
    }
    questions_id, answers = answers_v1.read(read_bounded(path, answers_v1.LIMIT_BYTES, "answers"), counts)
    set_id = journal.exposure(questions_id)
    journal.record_answers(questions_id, answers_v1.answers_digest(questions_id, answers))
    suspect = RecordedSuspect(
        answers,
        key.transcript.task.class_names,
        f"answers recorded in {path.name}",
        f"answers:{questions_id}",
    )
    measurement = measure(
        key,
        suspect,
        journal,
        verification_key=verification_key,
        set_ids=(set_id,),
    )
    verdict = judge(measurement, looks=looks, recorded_by=path.name, attested_by=asked_by)
    remarks = []
    if verdict.mark_shown and not verdict.owned:
        remarks.append(
            "recorded answers alone show nothing to others; if you put these questions yourself, add --asked-by NAME"
        )
    return verdict, remarks


def _check_clean(
    suspect: "Suspect", name: str, key: "MarkingKey", data: str, root: Path, output: Output
) -> list[str]:
    """Return remarks about the suspect's accuracy on clean data: a wrong preprocessing shows there."""
    from earmark.suspects.clean_check import clean_accuracy

    loaded = read_data(data, root, output)
    images, labels = loaded.test.images[:_CLEAN_LIMIT], loaded.test.labels[:_CLEAN_LIMIT]
    own = clean_accuracy(suspect, images, labels, loaded.class_names)
    output.remark(f"the suspect answers {own:.1%} of {len(labels)} clean test inputs rightly")
    if own >= _SUSPICIOUS_ACCURACY or name.startswith("hf:"):
        return []
    from earmark.suspects.opening import open_suspect

    best_name, best = "", own
    entries = _catalogue(key)
    with output.progress("trying preprocessings") as on_progress:
        for done, (entry, preprocessing) in enumerate(entries.items(), 1):
            try:
                other = open_suspect(name, preprocessing=preprocessing)
                found = clean_accuracy(other, images, labels, loaded.class_names)
            except Exception as error:  # noqa: BLE001 - a layout that the model cannot read is no candidate
                output.remark(f"{entry}: {error}")
                continue
            finally:
                on_progress(done, len(entries))
            if found > best:
                best_name, best = entry, found
    if best > own + _BETTER_BY:
        return [
            f"the suspect answers {own:.1%} of clean inputs rightly with its stated preprocessing and {best:.1%} with "
            f"{best_name!r}: the stated one looks wrong; try --preprocessing {best_name}"
        ]
    return [f"the suspect answers only {own:.1%} of clean inputs rightly, whatever the preprocessing"]


def write_report(
    path: Path, verdict: "Verdict", key: "MarkingKey", *, command: str, remarks: tuple[str, ...] = ()
) -> None:
    """Write the HTML report of a verdict."""
    import platform
    from importlib.metadata import version

    from earmark import __version__
    from earmark.files import write_replacing
    from earmark.reports.verdict_report import ReportContext, render_verdict

    environment = {"python": platform.python_version(), "platform": platform.platform()}
    environment |= {name: version(name) for name in ("torch", "numpy", "cryptography")}
    context = ReportContext(
        made_at=keys.now(),
        earmark_version=__version__,
        environment=environment,
        command=command,
        warnings=remarks,
    )
    write_replacing(path, render_verdict(verdict, key, context).encode())


def _say(verdict: "Verdict", output: Output, explain: bool, report: Path | None, remarks: list[str]) -> None:
    from earmark.reports.explanation import explain as steps_of
    from earmark.reports.summary import summary_json

    lines = [str(verdict)]
    if explain:
        lines += [str(step) for step in steps_of(verdict)]
    if report is not None:
        lines.append(f"report: {report}")
    summary = dict(summary_json(verdict))
    summary["warnings"] = remarks
    summary["report"] = None if report is None else str(report)
    output.result("\n".join(lines), summary)
