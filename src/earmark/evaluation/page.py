"""From a study and its results to the page for people."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from earmark.errors import MissingExtraError
from earmark.evaluation.driver import Prepared
from earmark.evaluation.export import failed_logs, passes_of, rows
from earmark.evaluation.run_cell import environment
from earmark.evaluation.shares import with_shares
from earmark.evaluation.store import Record
from earmark.files import write_replacing
from earmark.reports.study_page import StudyContext, StudyModelFacts, render_study
from earmark.reports.study_plots import Plot, draw_all


def write_page(
    path: Path, prepared: Prepared, records: Mapping[str, Record], made_at: datetime, command: str
) -> tuple[str, ...]:
    """Write the page of a study; without matplotlib it has no plots, and says so.

    Args:
        path: Where.
        prepared: The study.
        records: What became of its cells, by id.
        made_at: When, with a time zone.
        command: The command line, without secrets.

    Returns:
        Remarks for whoever waits.

    Raises:
        EarmarkError: The page cannot be written.
    """
    table = with_shares(rows(prepared.cells, records), prepared.study.models)
    remarks: tuple[str, ...] = ()
    plots: tuple[Plot, ...] = ()
    try:
        plots = draw_all(table, passes_of(prepared.cells, records))
    except MissingExtraError as error:
        remarks = (f"the report has no plots: {error}",)
    study, facts = prepared.study, prepared.facts
    context = StudyContext(
        study.name,
        made_at,
        environment(),
        command,
        study.text,
        study.data,
        facts.data,
        tuple(
            StudyModelFacts(
                model.name, facts.models[model.name].marked, facts.models[model.name].root,
                facts.models[model.name].question_count, model.training_seconds,
            )
            for model in study.models
        ),
    )  # fmt: skip
    page = render_study(context, table, failed_logs(prepared.cells, records), plots)
    write_replacing(path, page.encode())
    return remarks
