"""The page of a study: what was tested, what was lost, how to do it again. It fetches nothing."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup

from earmark.reports.study_plots import Plot
from earmark.reports.verdict_report import environment_of_templates

_ORDER = ("removed", "failed", "too costly", "survived", "not run")
_WORDS = {
    "removed": "not shown, accuracy kept: the mark is lost",
    "failed": "no number: see the log",
    "too costly": "not shown, but more than 5 points of accuracy are lost too",
    "survived": "the mark is shown",
    "not run": "still to be run",
}


@dataclass(frozen=True, slots=True)
class StudyModelFacts:
    """A model of the study.

    Attributes:
        name: In the study.
        digest: SHA-256 of its file, hexadecimal.
        root: Of its key, hexadecimal.
        question_count: Triggers of its key.
        training_seconds: What training from scratch took, if known.
    """

    name: str
    digest: str
    root: str
    question_count: int
    training_seconds: float | None


@dataclass(frozen=True, slots=True)
class StudyContext:
    """What the page says beside the cells.

    Attributes:
        name: Of the study.
        made_at: When, with a time zone.
        environment: Names to versions.
        command: The command line that was run, without secrets.
        text: The study file.
        data: Name of the data.
        data_digest: SHA-256 over all data, hexadecimal.
        models: The models.
    """

    name: str
    made_at: datetime
    environment: Mapping[str, str]
    command: str
    text: str
    data: str
    data_digest: str
    models: tuple[StudyModelFacts, ...]


def render_study(
    context: StudyContext,
    table: Sequence[Mapping[str, Any]],
    logs: Mapping[str, str],
    plots: Sequence[Plot] = (),
) -> str:
    """Return the page.

    Args:
        context: Name, time, versions, command, models.
        table: One row for each cell, with the columns of ``earmark.evaluation.export``.
        logs: Of cells that failed, by id.
        plots: What is drawn.

    Returns:
        HTML; write it as UTF-8.
    """
    environment = environment_of_templates()
    style = (
        environment.get_template("verdict.css.j2")
        .render(short_root=context.data_digest[:16], include_triggers=False)
        .replace("Earmark verification report · root", "Earmark study · data")
    )
    style += environment.get_template("study.css.j2").render()
    ordered = sorted(table, key=lambda row: (_ORDER.index(row["outcome"]), _margin(row)))
    counts = {outcome: sum(row["outcome"] == outcome for row in table) for outcome in _ORDER}
    page = environment.get_template("study.html.j2").render(
        style=Markup(style),  # noqa: S704 - our own files and hexadecimal digits
        style_digest=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode("ascii"),
        context=context,
        made_at=context.made_at.astimezone(UTC),
        groups=[(name, _WORDS[name], [row for row in ordered if row["outcome"] == name]) for name in _ORDER],
        counts=counts,
        attacks=len({row["attack"] for row in table}),
        seeds=sorted({row["seed"] for row in table}),
        image_counts=sorted({row["image_count"] for row in table}),
        logs=logs,
        plots=[(plot, _data_uri(plot.svg)) for plot in plots],
        lead=_lead(counts, len(table)),
    )
    return str(page)


def _lead(counts: Mapping[str, int], total: int) -> str:
    left = counts["failed"] + counts["not run"]
    words = (
        f"Of {total:,} cells, {counts['survived']:,} still show the mark; {counts['removed']:,} lost it and "
        f"kept their accuracy; {counts['too costly']:,} lost both"
    )
    return words + (f"; {left:,} gave no number." if left else ".")


def _margin(row: Mapping[str, Any]) -> float:
    """Order by what is left: the clearest loss first."""
    return row["claim_bits"] if row["claim_bits"] is not None else float("-inf")


def _data_uri(svg: str) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode('ascii')}"
