"""How a suspect does on clean data: a wrong preprocessing shows there, before any trigger is asked."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from earmark.cli.output import Output
from earmark.cli.training import read_data

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    from earmark.models.preprocessing import Preprocessing
    from earmark.suspects import Suspect
    from earmark.verification import FixedMap

_IMAGE_LIMIT = 1000
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
    """Clean test inputs.

    Attributes:
        name: Of the data.
        images: uint8 ``(images, height, width, channels)``.
        labels: int64 ``(images,)``.
        class_names: In the order of the labels.
    """

    name: str
    images: "npt.NDArray[np.uint8]"
    labels: "npt.NDArray[np.int64]"
    class_names: tuple[str, ...]


def read_clean(data: str, root: Path, output: Output) -> CleanData:
    """Read up to a thousand clean test inputs.

    Args:
        data: Name of the data.
        root: Where ``torchvision:`` data lies.
        output: For progress.
    """
    import numpy as np

    loaded = read_data(data, root, output)
    # Spread over the whole part: folders are sorted by class.
    places = np.unique(
        np.linspace(0, len(loaded.test) - 1, min(_IMAGE_LIMIT, len(loaded.test))).astype(np.int64)
    )
    return CleanData(data, loaded.test.images[places], loaded.test.labels[places], loaded.class_names)


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
    answers = suspect.answer(list(clean.images))
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

    own = clean_accuracy(suspect, clean.images, clean.labels, clean.class_names)
    words = f"answers {own:.1%} of {len(clean.labels)} clean test inputs of {clean.name} rightly"
    output.remark(f"the suspect {words}")
    if own >= _SUSPICIOUS_ACCURACY or reopen is None:
        return CleanCheck(words, ())
    best_name, best = "", own
    with output.progress("trying preprocessings") as on_progress:
        for done, (name, preprocessing) in enumerate(catalogue.items(), 1):
            try:
                found = clean_accuracy(reopen(preprocessing), clean.images, clean.labels, clean.class_names)
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
