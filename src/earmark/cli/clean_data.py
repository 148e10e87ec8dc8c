"""How a suspect does on clean data: a wrong preprocessing shows there, before any trigger is asked."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earmark.cli.output import Output
from earmark.cli.training import read_data

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    from earmark.keys import MarkingKey
    from earmark.models.preprocessing import Preprocessing
    from earmark.suspects import Suspect
    from earmark.verification import FixedMap

INPUT_LIMIT = 1000
_SUSPICIOUS_ACCURACY = 0.8
_BETTER_BY = 0.05


@dataclass(frozen=True)
class CleanCheck:
    """What clean data showed.

    Attributes:
        words: Accuracy and how it was measured.
        remarks: What looks wrong.
    """

    words: str
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class CleanData:
    """Ordinary inputs of a task, with their classes.

    Attributes:
        name: Of the data.
        inputs: Pictures, uint8 ``(inputs, height, width, channels)``; rows, float32 ``(inputs, columns)``;
            or a list of texts.
        labels: int64 ``(inputs,)``.
        class_names: In the order of the labels: the key's if they are all classes of the key.
    """

    name: str
    inputs: Any
    labels: "npt.NDArray[np.int64]"
    class_names: tuple[str, ...]

    @property
    def words(self) -> str:
        """What they are called; only of pictures is there a part that is kept for testing."""
        return "clean test inputs" if getattr(self.inputs, "ndim", 1) == 4 else "clean inputs"


def read_clean(
    data: str, key: "MarkingKey", root: Path, output: Output, limit: int = INPUT_LIMIT
) -> CleanData:
    """Read inputs of a key's task: of pictures the test part, of a table or of texts any.

    Args:
        data: Name of the data.
        key: Whose task it is.
        root: Where ``torchvision:`` data lies.
        output: For progress.
        limit: How many at most, spread over all of them.

    Raises:
        ValueError: They are of another kind than the key's, or rows of other columns; or the key's are
            recordings, of which no data are read.
    """
    import numpy as np

    from earmark.data import rows, texts

    def spread(labels: "npt.NDArray[np.int64]") -> "npt.NDArray[np.int64]":
        # Over the whole part: folders are sorted by class.
        return np.unique(np.linspace(0, len(labels) - 1, min(limit, len(labels))).astype(np.int64))

    geometry = key.transcript.task.geometry
    if geometry.kind == "audio":
        raise ValueError("no data of recordings are read: --data and --mix-with are for other keys")
    found = {rows.PREFIX: "rows", texts.PREFIX: "text"}.get(data[: data.find(":") + 1], "image")
    if found != geometry.kind:
        raise ValueError(f"{data} holds inputs of kind {found}, and the key's are of kind {geometry.kind}")
    if found == "rows":
        table = rows.load_table(data)
        chosen = table.in_columns(getattr(geometry, "columns", ()))
        places = spread(table.labels)
        clean = CleanData(data, chosen[places], table.labels[places], table.class_names)
    elif found == "text":
        asked = texts.load_texts(data)
        places = spread(asked.labels)
        clean = CleanData(data, [asked.texts[at] for at in places], asked.labels[places], asked.class_names)
    else:
        loaded = read_data(data, root, output)
        places = spread(loaded.test.labels)
        clean = CleanData(data, loaded.test.images[places], loaded.test.labels[places], loaded.class_names)
    names = key.transcript.task.class_names
    if not set(clean.class_names) <= set(names):
        return clean
    numbers = np.array([names.index(name) for name in clean.class_names], np.int64)
    return replace(clean, labels=numbers[clean.labels], class_names=names)


def map_from(suspect: "Suspect", clean: CleanData, key_names: "Sequence[str]") -> "FixedMap":
    """Return the label map that clean inputs show.

    Raises:
        ValueError: The data does not name the key's classes.
    """
    from earmark.verification import map_from_clean_data

    if set(clean.class_names) - set(key_names):
        raise ValueError(
            f"the classes of {clean.name} are not classes of the key; their names must be the same"
        )
    numbers = [list(key_names).index(name) for name in clean.class_names]
    answers = suspect.answer(list(clean.inputs))
    outputs = [answer if isinstance(answer, int) else None for answer in answers]
    labels = [numbers[label] for label in clean.labels.tolist()]
    return map_from_clean_data(outputs, labels, suspect.class_count)


def check_clean(
    suspect: "Suspect",
    reopen: "Callable[[Preprocessing], Suspect] | None",
    catalogue: "Mapping[str, Preprocessing]",
    clean: CleanData,
    output: Output,
) -> CleanCheck:
    """Question a suspect with clean test inputs; if it does badly, try the catalogue's preprocessings.

    Args:
        suspect: As it is to be judged.
        reopen: Opens it with another preprocessing; None if it brings its own for good.
        catalogue: Names to preprocessings.
        clean: The inputs.
        output: For progress.

    Returns:
        The accuracy in words, and remarks.
    """
    from earmark.errors import EarmarkError
    from earmark.suspects.clean_check import clean_accuracy

    own = clean_accuracy(suspect, clean.inputs, clean.labels, clean.class_names)
    words = f"answers {own:.1%} of {len(clean.labels)} {clean.words} of {clean.name} rightly"
    output.remark(f"the suspect {words}")
    if own >= _SUSPICIOUS_ACCURACY or reopen is None or not catalogue:
        return CleanCheck(words, ())
    best_name, best = "", own
    with output.progress("trying preprocessings") as on_progress:
        for done, (name, preprocessing) in enumerate(catalogue.items(), 1):
            try:
                found = clean_accuracy(reopen(preprocessing), clean.inputs, clean.labels, clean.class_names)
            except EarmarkError:
                found = 0.0  # a layout that the model cannot read is no candidate
            if found > best:
                best_name, best = name, found
            on_progress(done, len(catalogue))
    if best > own + _BETTER_BY:
        remark = (
            f"the suspect answers {own:.1%} of clean inputs rightly with its stated preprocessing and "
            f"{best:.1%} with {best_name!r}: the stated one looks wrong; try --preprocessing {best_name}"
        )
    else:
        remark = f"the suspect answers only {own:.1%} of clean inputs rightly, whatever the preprocessing"
    return CleanCheck(words, (remark,))
