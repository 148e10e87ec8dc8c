"""What ``earmark keygen --triggers-from`` can name, and what its owner is told about it."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from earmark.cli import output as terminal
from earmark.cli.output import Output

if TYPE_CHECKING:
    from earmark.data import ClassificationData
    from earmark.data.rows import Table
    from earmark.keys import Task
    from earmark.triggers import Sampler

FORMS = ("abstract", "noise", "noise:gaussian", "folder:PATH", "in-distribution:DATA[#PART]", "rows", "audio")


def sampler_from(
    text: str,
    task: "Task",
    table: "Table | None",
    load: "Callable[[str], ClassificationData]",
    output: Output,
) -> "Sampler":
    """Return the sampler that the command line names, after saying what it asks of the owner.

    Args:
        text: One of ``FORMS``.
        task: What is classified.
        table: Its own rows, where it is one of tables.
        load: Reads data by name.
        output: For remarks; a warning is given even if remarks are not wanted.

    Raises:
        FormatError: The pictures cannot be found or read.
        ValueError: The text is none of the forms.
    """
    name, colon, rest = text.partition(":")
    form = (name, bool(rest)) if bool(colon) == bool(rest) else None
    if (form == ("rows", False)) != (table is not None):
        raise ValueError(f"--triggers-from {text}: rows go with --data table:…, and nothing else does")
    if table is not None:
        from earmark.triggers.sparse_rows import SparseRowsSampler

        return SparseRowsSampler(table)
    if form == ("abstract", False):
        from earmark.triggers.abstract import AbstractSampler

        return AbstractSampler()
    if form == ("audio", False):
        from earmark.triggers.sounds import SoundSampler

        return SoundSampler()
    if form is not None and name == "noise":
        from earmark.triggers.noise import NoiseSampler

        sampler = NoiseSampler(rest or "uniform")
        output.remark("noise is easy to tell from real inputs and to refuse; abstract pictures are less so")
        return sampler
    if form == ("folder", True):
        return _from_folder(Path(rest), output)
    if form == ("in-distribution", True):
        return _from_data(rest, task, load)
    raise ValueError(f"--triggers-from {text}: unknown; known: {', '.join(FORMS)}")


def _from_folder(folder: Path, output: Output) -> "Sampler":
    from earmark.data.pictures import list_pictures
    from earmark.triggers.folder import FolderSampler

    album = list_pictures(folder)
    output.remark(
        f"{folder}: {len(album.paths)} pictures; keep them as secret as the key, for whoever has them can "
        "train a copy on them; use only what you may publish, for opening a set publishes its triggers"
    )
    return FolderSampler(album)


def _from_data(text: str, task: "Task", load: "Callable[[str], ClassificationData]") -> "Sampler":
    from earmark.data.held_out import held_out_pictures
    from earmark.triggers.image import ImageGeometry
    from earmark.triggers.in_distribution import InDistributionSampler

    geometry = task.geometry
    if not isinstance(geometry, ImageGeometry):
        raise ValueError(f"--triggers-from in-distribution needs a task of images, not {geometry}")
    held_out = held_out_pictures(text, (geometry.height, geometry.width, geometry.channels), load)
    accuracy = ", and do not report the accuracy on it" if held_out.is_test_part else ""
    terminal.warn(
        f"triggers come from {held_out.description}: NEVER train on it with the true classes{accuracy}; "
        "a picture cannot keep two labels"
    )
    return InDistributionSampler(held_out)
