"""How a suspect does on clean data: a wrong preprocessing shows there, before any trigger is asked."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from earmark.cli.output import Output
from earmark.cli.training import read_data

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from earmark.models.preprocessing import Preprocessing
    from earmark.suspects import Suspect

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


def check_clean(
    suspect: "Suspect",
    reopen: "Callable[[Preprocessing], Suspect] | None",
    catalogue: "Mapping[str, Preprocessing]",
    data: str,
    root: Path,
    output: Output,
) -> CleanCheck:
    """Question a suspect with clean test inputs; if it does badly, try the catalogue's preprocessings.

    Args:
        suspect: As it is to be judged.
        reopen: Opens it with another preprocessing; None if it brings its own for good.
        catalogue: Names to preprocessings.
        data: Name of the data.
        root: Where ``torchvision:`` data lies.
        output: For progress.

    Returns:
        The accuracy in words, and remarks.
    """
    import numpy as np

    from earmark.errors import EarmarkError
    from earmark.suspects.clean_check import clean_accuracy

    loaded = read_data(data, root, output)
    # Spread over the whole part: folders are sorted by class.
    places = np.unique(
        np.linspace(0, len(loaded.test) - 1, min(_IMAGE_LIMIT, len(loaded.test))).astype(np.int64)
    )
    images, labels = loaded.test.images[places], loaded.test.labels[places]
    own = clean_accuracy(suspect, images, labels, loaded.class_names)
    words = f"answers {own:.1%} of {len(labels)} clean test inputs of {data} rightly"
    output.remark(f"the suspect {words}")
    if own >= _SUSPICIOUS_ACCURACY or reopen is None:
        return CleanCheck(words, ())
    best_name, best = "", own
    with output.progress("trying preprocessings") as on_progress:
        for done, (name, preprocessing) in enumerate(catalogue.items(), 1):
            try:
                found = clean_accuracy(reopen(preprocessing), images, labels, loaded.class_names)
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
