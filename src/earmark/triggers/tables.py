"""Names to kinds and samplers. An entry is "module:attribute", resolved when it is used."""

from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, cast

from earmark.commitment.canonical import Json
from earmark.errors import FormatError
from earmark.triggers.trigger import Kind, Sampler

if TYPE_CHECKING:
    from earmark.triggers.pool import TaskPictures

KINDS = {
    "image": "earmark.triggers.image:IMAGE",
    "rows": "earmark.triggers.rows:ROWS",
    "audio": "earmark.triggers.audio:AUDIO",
    "text": "earmark.triggers.text:TEXT",
}

SAMPLERS = {
    "abstract": "earmark.triggers.abstract:AbstractSampler",
    "noise": "earmark.triggers.noise:NoiseSampler",
    "folder": "earmark.triggers.folder:FolderSampler",
    "in-distribution": "earmark.triggers.in_distribution:InDistributionSampler",
    "mixtures": "earmark.triggers.mixtures:MixturesSampler",
    "negatives": "earmark.triggers.negatives:NegativesSampler",
    "rows": "earmark.triggers.sparse_rows:SparseRowsSampler",
    "audio": "earmark.triggers.sounds:SoundSampler",
    "text": "earmark.triggers.sentences:SentenceSampler",
}
_OF_NOTHING_ELSE: dict[str, tuple[str, ...]] = {"abstract": (), "noise": ("distribution", "deviation")}
"""Samplers that need nothing but a stream of random bytes, and what their public parameters say of them."""
_OF_PICTURES = ("negatives", "mixtures")
THIEFS_SAMPLERS = (*_OF_NOTHING_ELSE, *_OF_PICTURES)
"""Samplers that others can have too; the last ones with pictures of the task."""
LIKE_THE_TASK = ("in-distribution", "mixtures")
"""Samplers whose triggers show what the task's pictures show."""


def kind_named(name: str) -> Kind:
    """Return the kind of that name.

    Raises:
        FormatError: This release knows no such kind.
    """
    return cast(Kind, _resolve(KINDS, name, "kind of trigger"))


def sampler_named(name: str) -> type[Sampler]:
    """Return the class of the sampler of that name.

    Raises:
        FormatError: This release knows no such sampler.
    """
    return cast("type[Sampler]", _resolve(SAMPLERS, name, "sampler"))


def sampler_of_a_thief(
    kinds: Iterable[tuple[str, Mapping[str, Json]]], pictures: "TaskPictures | None" = None
) -> Sampler | None:
    """Return what makes triggers like the owner's for whoever has our code and perhaps pictures of the task.

    Args:
        kinds: Name and public parameters of the owner's samplers; the first counts that he can have.
        pictures: Of the task; None for none.

    Returns:
        The sampler; None if triggers like the owner's need what only he has.
    """
    for name, parameters in kinds:
        if name in _OF_NOTHING_ELSE:
            told = {part: value for part, value in parameters.items() if part in _OF_NOTHING_ELSE[name]}
            return sampler_named(name)(**told)
        if name in _OF_PICTURES and pictures is not None:
            return cast("Callable[[TaskPictures], Sampler]", sampler_named(name))(pictures)
    return None


def _resolve(table: dict[str, str], name: str, what: str) -> object:
    if name not in table:
        raise FormatError(f"unknown {what} {name!r}; known: {', '.join(sorted(table))}")
    module, _, attribute = table[name].partition(":")
    return getattr(import_module(module), attribute)
