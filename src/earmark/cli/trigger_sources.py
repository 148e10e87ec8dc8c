"""What ``earmark keygen --triggers-from`` can name, and what its owner is told about it."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from earmark.cli import output as terminal
from earmark.cli.output import Output
from earmark.triggers.tables import sampler_named

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from earmark.data import ClassificationData
    from earmark.data.held_out import PartOfData
    from earmark.data.rows import Table
    from earmark.data.texts import Texts
    from earmark.keys import Task
    from earmark.suspects import ScoringSuspect
    from earmark.triggers import Sampler
    from earmark.triggers.image import Pixels
    from earmark.triggers.mixtures import Pair

IN_DISTRIBUTION = "in-distribution"
FORMS = (
    *("abstract", "noise", "noise:gaussian", "folder:PATH", f"{IN_DISTRIBUTION}:DATA[#PART]"),
    *("mixtures:DATA[#PART]", "negatives:DATA[#PART]"),
    *("rows", "audio", "text", "text:own"),
)
_WITHOUT_MORE = ("abstract", "audio", "text")
_AT_ONCE = 256  # pictures decoded
_SPARE = 16  # for every so many hard pictures one more: of pictures nearly alike one is left out
_DECODED_BYTES = 1 << 30  # of pictures that are kept decoded while they are mixed
_CANDIDATES = 60  # mixtures looked at for each that is taken
_SPARE_MIXTURES = 4  # as _SPARE: two mixtures may have a picture in common
MODELS_CHOICE = (IN_DISTRIBUTION, "mixtures")  # what --hardest-for chooses


class Making(NamedTuple):
    """What there is to make triggers with.

    Attributes:
        task: What is classified.
        own: Its own rows or texts, where its data are such.
        load: Reads data by name.
        output: For remarks; a warning is given even if remarks are not wanted.
        hardest_for: Models that held-out pictures and mixtures are to be hard for; none for any pictures.
    """

    task: "Task"
    own: "Table | Texts | None"
    load: "Callable[[str], ClassificationData]"
    output: Output
    hardest_for: tuple[str, ...] = ()


def sampler_from(text: str, making: Making, count: int) -> "Sampler":
    """Return the sampler that the command line names, after saying what it asks of the owner.

    Args:
        text: One of ``FORMS``.
        making: Task, data, and where to speak.
        count: Of the triggers that are to be made.

    Raises:
        FormatError: The pictures cannot be found or read.
        ValueError: The text is none of the forms, or does not suit the task.
        SuspectError: The model cannot be asked about pictures.
    """
    sampler = _named(text, making, count)
    if sampler.kind != making.task.geometry.kind:
        raise ValueError(
            f"--triggers-from {text} makes triggers of kind {sampler.kind}, but the task is of kind "
            f"{making.task.geometry.kind}"
        )
    return sampler


def _named(text: str, making: Making, count: int) -> "Sampler":
    if text in ("rows", "text:own"):
        return _from_own(text, making.own)
    if text in _WITHOUT_MORE:
        return sampler_named(text)()
    name, _, rest = text.partition(":")
    if text == "noise" or (name == "noise" and rest):
        from earmark.triggers.noise import NoiseSampler

        sampler = NoiseSampler(rest or "uniform")
        making.output.remark(
            "noise is easy to tell from real inputs and to refuse; abstract pictures are less so"
        )
        return sampler
    if name == "folder" and rest:
        return _from_folder(Path(rest), making.output)
    if name in (IN_DISTRIBUTION, "mixtures", "negatives") and rest:
        return _from_data(name, rest, making, count)
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


def _from_data(name: str, text: str, making: Making, count: int) -> "Sampler":
    from earmark.data.held_out import held_out_pictures
    from earmark.triggers.image import ImageGeometry
    from earmark.triggers.in_distribution import InDistributionSampler
    from earmark.triggers.mixtures import MixturesSampler
    from earmark.triggers.negatives import NegativesSampler

    geometry = making.task.geometry
    if not isinstance(geometry, ImageGeometry):
        raise ValueError(f"--triggers-from {name} needs a task of images, not {geometry}")
    shape = geometry.height, geometry.width, geometry.channels
    held_out = held_out_pictures(text, shape, making.load)
    if name in ("mixtures", "negatives"):
        terminal.warn(
            f"triggers are made of {held_out.description}: keep it as secret as the key, if you can, for "
            "whoever has one of two pictures finds their trigger among his questions"
        )
        if name == "negatives":
            return NegativesSampler(held_out)
        pairs = None
        if making.hardest_for:
            pairs = _hardest_pairs(held_out, making.hardest_for, count, making.output)
        return MixturesSampler(held_out, pairs)
    accuracy = ", and do not report the accuracy on it" if held_out.is_test_part else ""
    terminal.warn(
        f"triggers come from {held_out.description}: NEVER train on it with the true classes{accuracy}; "
        "a picture cannot keep two labels"
    )
    if making.hardest_for:
        held_out = _hardest(held_out, making.hardest_for, count, making.output)
    return InDistributionSampler(held_out)


def _hardest(held_out: "PartOfData", models: tuple[str, ...], count: int, output: Output) -> "PartOfData":
    """Return the pictures that models are least sure of, with a few more than are asked for."""
    from earmark.data.held_out import least_sure

    said = _said_by(models, len(held_out.names), held_out.pixels, output)
    chosen = least_sure(held_out, said, count + count // _SPARE)
    _remark_on_hard("pictures", said, len(chosen.names), models, output)
    return chosen


def _hardest_pairs(
    held_out: "PartOfData", models: tuple[str, ...], count: int, output: Output
) -> "tuple[Pair, ...]":
    """Return pairs of pictures of whose mixture models are least sure, with a few more than are asked for."""
    import numpy as np

    from earmark.data.held_out import least_sure_pairs, some_pairs
    from earmark.triggers.mixtures import mixed

    pairs = some_pairs(len(held_out.names), _CANDIDATES * count, np.random.default_rng())
    if not pairs:
        return ()
    # Each is in dozens of pairs.
    pixels = lru_cache(maxsize=_DECODED_BYTES // held_out.pixels(0).nbytes)(held_out.pixels)

    def mixture(place: int) -> "Pixels":
        one, other = pairs[place]
        return mixed(pixels(one), pixels(other))

    said = _said_by(models, len(pairs), mixture, output)
    chosen = least_sure_pairs(pairs, said, count + count // _SPARE_MIXTURES)
    _remark_on_hard("mixtures", said, len(chosen), models, output)
    return chosen


def _said_by(
    models: tuple[str, ...], total: int, pixels: "Callable[[int], Pixels]", output: Output
) -> "npt.NDArray[np.float64]":
    """Return models' mean probabilities for so many pictures, ``(pictures, classes)``."""
    import numpy as np

    from earmark.suspects import Miss

    suspects = [_scoring(model) for model in models]
    rows: list[npt.NDArray[np.float64]] = []
    with output.progress("looking for hard pictures") as on_progress:
        for first in range(0, total, _AT_ONCE):
            some = [pixels(place) for place in range(first, min(first + _AT_ONCE, total))]
            said = [suspect.probabilities(some) for suspect in suspects]
            for model, answers in zip(models, said, strict=True):
                if any(isinstance(answer, Miss) for answer in answers):
                    raise ValueError(
                        f"--hardest-for {model}: it has no probabilities for some of the pictures"
                    )
                if len({len(answers[0]), len(said[0][0])}) > 1:
                    raise ValueError(f"--hardest-for {model}: it has other classes than {models[0]}")
            rows.append(np.array(said, np.float64).mean(0))
            on_progress(first + len(some), total)
    return np.concatenate(rows)


def _scoring(model: str) -> "ScoringSuspect":
    """Return a model that can be asked here for probabilities."""
    from earmark.suspects import ScoringSuspect
    from earmark.suspects.opening import MAPPINGS, open_suspect

    refusal = f"--hardest-for {model}: a model on this machine that gives probabilities is needed"
    if "://" in model or model.endswith(MAPPINGS):
        raise ValueError(f"{refusal}, for whoever runs a service would see the pictures")
    suspect = open_suspect(model)
    if not isinstance(suspect, ScoringSuspect):
        raise ValueError(refusal)
    return suspect


def _remark_on_hard(
    what: str, said: "npt.NDArray[np.float64]", count: int, models: tuple[str, ...], output: Output
) -> None:
    surest = sorted(said.max(1))[count - 1] if count else 0.0
    who = f"{models[0]} is" if len(models) == 1 else f"{', '.join(models)} together are"
    output.remark(f"of {len(said)} {what} the {count} of which {who} least sure, the surest {surest:.0%}")
