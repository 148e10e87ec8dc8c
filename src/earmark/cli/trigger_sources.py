"""What ``earmark keygen --triggers-from`` can name, and what its owner is told about it."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from earmark.cli import output as terminal
from earmark.cli.output import Output
from earmark.triggers.tables import sampler_named

if TYPE_CHECKING:
    from earmark.data import ClassificationData
    from earmark.data.rows import Table
    from earmark.data.texts import Texts
    from earmark.keys import Task
    from earmark.triggers import Sampler

FORMS = (
    *("abstract", "noise", "noise:gaussian", "folder:PATH", "in-distribution:DATA[#PART]"),
    "negatives:DATA[#PART]",
    *("rows", "audio", "text", "text:own"),
)
_WITHOUT_MORE = ("abstract", "audio", "text")


def sampler_from(
    text: str,
    task: "Task",
    own: "Table | Texts | None",
    load: "Callable[[str], ClassificationData]",
    output: Output,
) -> "Sampler":
    """Return the sampler that the command line names, after saying what it asks of the owner.

    Args:
        text: One of ``FORMS``.
        task: What is classified.
        own: Its own rows or texts, where its data are such.
        load: Reads data by name.
        output: For remarks; a warning is given even if remarks are not wanted.

    Raises:
        FormatError: The pictures cannot be found or read.
        ValueError: The text is none of the forms, or does not suit the task.
    """
    sampler = _named(text, task, own, load, output)
    if sampler.kind != task.geometry.kind:
        raise ValueError(
            f"--triggers-from {text} makes triggers of kind {sampler.kind}, but the task is of kind "
            f"{task.geometry.kind}"
        )
    return sampler


def _named(
    text: str,
    task: "Task",
    own: "Table | Texts | None",
    load: "Callable[[str], ClassificationData]",
    output: Output,
) -> "Sampler":
    if text in ("rows", "text:own"):
        return _from_own(text, own)
    if text in _WITHOUT_MORE:
        return sampler_named(text)()
    name, _, rest = text.partition(":")
    if text == "noise" or (name == "noise" and rest):
        from earmark.triggers.noise import NoiseSampler

        sampler = NoiseSampler(rest or "uniform")
        output.remark("noise is easy to tell from real inputs and to refuse; abstract pictures are less so")
        return sampler
    if name == "folder" and rest:
        return _from_folder(Path(rest), output)
    if name in ("in-distribution", "negatives") and rest:
        return _from_data(name, rest, task, load)
    raise ValueError(f"--triggers-from {text}: unknown; known: {', '.join(FORMS)}")


def _from_own(text: str, own: "Table | Texts | None") -> "Sampler":
    from earmark.data.rows import Table
    from earmark.data.texts import Texts
    from earmark.triggers.sentences import SentenceSampler
    from earmark.triggers.sparse_rows import SparseRowsSampler

    if text == "rows" and isinstance(own, Table):
        return SparseRowsSampler(own)
    if text == "text:own" and isinstance(own, Texts):
        return SentenceSampler(own)
    data = "table:…" if text == "rows" else "text:…"
    raise ValueError(f"--triggers-from {text} goes with --data {data}, from which it is made")


def _from_folder(folder: Path, output: Output) -> "Sampler":
    from earmark.data.pictures import list_pictures
    from earmark.triggers.folder import FolderSampler

    album = list_pictures(folder)
    output.remark(
        f"{folder}: {len(album.paths)} pictures; keep them as secret as the key, for whoever has them can "
        "train a copy on them; use only what you may publish, for opening a set publishes its triggers"
    )
    return FolderSampler(album)


def _from_data(name: str, text: str, task: "Task", load: "Callable[[str], ClassificationData]") -> "Sampler":
    from earmark.data.held_out import held_out_pictures
    from earmark.triggers.image import ImageGeometry
    from earmark.triggers.in_distribution import InDistributionSampler
    from earmark.triggers.negatives import NegativesSampler

    geometry = task.geometry
    if not isinstance(geometry, ImageGeometry):
        raise ValueError(f"--triggers-from {name} needs a task of images, not {geometry}")
    shape = geometry.height, geometry.width, geometry.channels
    held_out = held_out_pictures(text, shape, load)
    if name == "negatives":
        terminal.warn(
            f"triggers are made of {held_out.description}: keep it as secret as the key, if you can, for "
            "whoever has one of two pictures finds their trigger among his questions"
        )
        return NegativesSampler(held_out)
    accuracy = ", and do not report the accuracy on it" if held_out.is_test_part else ""
    terminal.warn(
        f"triggers come from {held_out.description}: NEVER train on it with the true classes{accuracy}; "
        "a picture cannot keep two labels"
    )
    return InDistributionSampler(held_out)
