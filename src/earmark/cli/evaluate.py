"""The command ``earmark evaluate``."""

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from earmark.cli import keys
from earmark.cli.output import AsJson, Output, Quiet
from earmark.cli.passphrase import VARIABLE, PassphraseFile, passphrase
from earmark.cli.study_bars import StudyBars
from earmark.cli.training import DataRoot

if TYPE_CHECKING:
    from earmark.evaluation.driver import Prepared
    from earmark.evaluation.engine import Engine
    from earmark.evaluation.store import Record
    from earmark.evaluation.study import Study

FORMAT = "earmark/evaluation/v1"
_ENGINES = ("local", "ray")
_MOST_WORKERS = 8
_TABLE_NAME, _PAGE_NAME = "cells.csv", "report.html"


def evaluate(
    study: Annotated[Path, typer.Argument(help="STUDY.toml: models, attacks, data, seeds.")],
    engine: Annotated[
        str, typer.Option(help="local: processes on this machine. ray: a Ray cluster (extra 'ray').")
    ] = "local",
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with what is in the folder: cells that ended are kept.")
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="With --resume: run again the cells that failed.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Cells at a time; default one for each core, at most 8.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder of results; default NAME-results.")
    ] = None,
    export: Annotated[
        list[Path] | None,
        typer.Option(
            help="Also write the cells as a table, FILE.csv or FILE.parquet (extra 'parquet'), and what was "
            "seen after each pass as FILE-passes."
        ),
    ] = None,
    data_root: DataRoot = Path("data"),
    passphrase_file: PassphraseFile = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Run attacks on marked models and judge what is left: exit code 0 if every cell gave numbers, else 1.

    The keys' journals are neither read nor written. Killed at any time, the same command with --resume goes
    on at the cell.

    Example: earmark evaluate study.toml --workers 2 -o results
    """
    from earmark.evaluation.driver import left_over, open_results, prepare, run
    from earmark.evaluation.export import PASS_COLUMNS, pass_rows, write_table
    from earmark.evaluation.study import SIZE_LIMIT_BYTES, read_study
    from earmark.files import read_bounded

    output = Output(quiet, as_json)
    if retry_failed and not resume:
        raise ValueError("--retry-failed goes with --resume")
    for path in export or []:
        if path.suffix not in (".csv", ".parquet"):
            raise ValueError(f"--export writes .csv or .parquet, not {path.name}")
    found = read_study(read_bounded(study, SIZE_LIMIT_BYTES, "study"), study.parent)
    folder = out or Path(f"{found.name}-results")
    secrets = _passphrases(found, passphrase_file)
    with output.progress("reading data") as on_progress:
        prepared = prepare(found, secrets, data_root, on_progress)
    with open_results(folder, resume=resume) as store:
        cells = left_over(prepared, store, retry_failed=retry_failed)
        chosen, threads = _engine(engine, workers, found, len(prepared.cells))
        output.remark(
            f"{len(prepared.cells)} cells, {len(prepared.cells) - len(cells)} of them ended before; "
            f"{chosen.worker_count} at a time with {threads} thread(s) each; results in {folder}"
        )
        with StudyBars(output, len(cells)) as bars:
            records = run(
                prepared, cells, store, chosen,
                folder=folder, data_root=data_root, threads=threads, on_event=bars,
            )  # fmt: skip
    table = _write(prepared, records, folder, output)
    for path in export or []:
        write_table(path, table)
        if passes := pass_rows(prepared.cells, records):
            write_table(path.with_stem(f"{path.stem}-passes"), passes, PASS_COLUMNS)
    _say(table, folder, output)
    raise typer.Exit(0 if all(row["outcome"] != "failed" for row in table) else 1)


def _passphrases(study: "Study", file: Path | None) -> dict[str, str]:
    """Return the passphrase of every key; whoever has one for all is asked once."""
    from earmark.files import read_bounded
    from earmark.formats import envelope, marking_key_v1

    for model in study.models:  # nobody is asked for the passphrase of what is no key
        limit = marking_key_v1.SIZE_LIMIT_BYTES
        envelope.read_header(read_bounded(model.key, limit, f"key of {model.name}"))
    common: str | None = None
    found = {}
    for model in study.models:
        if model.passphrase_file is not None:
            found[model.name] = passphrase(model.key.name, model.passphrase_file, (VARIABLE,))
            continue
        if common is None:
            common = passphrase("the keys of the study", file, (VARIABLE,))
        found[model.name] = common
    return found


def _engine(name: str, workers: int | None, study: "Study", cell_count: int) -> "tuple[Engine, int]":
    if name not in _ENGINES:
        raise ValueError(f"--engine is local or ray, not {name!r}")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    most = 1 if study.device != "cpu" else min(cores, _MOST_WORKERS)
    # Of the whole plan and not of what is left: the same command has the same threads when it goes on.
    count = max(1, min(workers or most, cell_count))
    threads = max(1, cores // count)
    if name == "ray":
        from earmark.evaluation.ray_engine import RayEngine

        return RayEngine(count), threads
    from earmark.evaluation.local_engine import LocalEngine

    return LocalEngine(count), threads


def _write(
    prepared: "Prepared", records: "dict[str, Record]", folder: Path, output: Output
) -> list[dict[str, Any]]:
    from earmark.evaluation.export import rows, write_csv
    from earmark.evaluation.page import write_page
    from earmark.evaluation.shares import with_shares

    table = with_shares(rows(prepared.cells, records), prepared.study.models)
    write_csv(folder / _TABLE_NAME, table)
    for remark in write_page(
        folder / _PAGE_NAME, prepared, records, keys.now(), shlex.join(["earmark", *sys.argv[1:]])
    ):
        output.remark(remark)
    return table


def _say(table: list[dict[str, Any]], folder: Path, output: Output) -> None:
    outcomes = ("removed", "too costly", "survived", "failed", "not run")
    counts = {name: sum(row["outcome"] == name for row in table) for name in outcomes}
    lost = [row for row in table if row["outcome"] in ("removed", "failed")]
    lines = [
        f"{row['outcome']}: {row['model']}, {row['attack']}, {row['image_count']} pictures, "
        f"seed {row['seed']}" + (f": {row['message']}" if row["message"] else "")
        for row in lost
    ]
    lines.append(
        f"{len(table)} cells: " + ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    )
    lines.append(f"report: {folder / _PAGE_NAME}")
    output.result(
        "\n".join(lines),
        {
            "format": FORMAT,
            "folder": str(folder),
            "report": str(folder / _PAGE_NAME),
            "cells": len(table),
            "outcomes": counts,
            "lost": [row["id"] for row in lost],
        },
    )
