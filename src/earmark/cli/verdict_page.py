"""The page that shows a verdict, for the commands that write one."""

from pathlib import Path
from typing import TYPE_CHECKING

from earmark.cli import keys

if TYPE_CHECKING:
    from earmark.keys import MarkingKey
    from earmark.reports.verdict_report import ReportContext
    from earmark.verification import Verdict


def write_report(
    path: Path,
    verdict: "Verdict",
    key: "MarkingKey",
    *,
    command: str,
    files: tuple[Path, ...],
    remarks: tuple[str, ...] = (),
    clean_accuracy: str | None = None,
    include_triggers: bool = True,
) -> None:
    """Write the HTML report of a verdict; with triggers in it, only its owner may read the file."""
    from earmark.files import PUBLIC_MODE, SECRET_MODE, write_replacing
    from earmark.reports.verdict_report import render_verdict

    context = report_context(command=command, files=files, remarks=remarks, clean_accuracy=clean_accuracy)
    page = render_verdict(verdict, key, context, include_triggers=include_triggers)
    write_replacing(path, page.encode(), SECRET_MODE if include_triggers else PUBLIC_MODE)


def report_context(
    *,
    command: str,
    files: tuple[Path, ...],
    remarks: tuple[str, ...] = (),
    clean_accuracy: str | None = None,
    is_claim: bool = False,
    check: tuple[str, ...] = (),
) -> "ReportContext":
    """Return what a report says beside its verdict: when, by what program, of which files."""
    import platform
    from importlib.metadata import version

    from earmark import __version__
    from earmark.models.weights import file_digest
    from earmark.reports.verdict_report import ReportContext

    environment = {"python": platform.python_version(), "platform": platform.platform()}
    environment |= {name: version(name) for name in ("torch", "numpy", "cryptography")}
    return ReportContext(
        made_at=keys.now(),
        earmark_version=__version__,
        environment=environment,
        command=command,
        clean_accuracy=clean_accuracy,
        warnings=remarks,
        file_digests={file.name: file_digest(file) for file in files if file.is_file()},
        is_claim=is_claim,
        check=check,
    )
