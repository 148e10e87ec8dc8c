"""Names to kinds and samplers. An entry is "module:attribute", resolved when it is used."""

from importlib import import_module
from typing import TYPE_CHECKING, cast

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
    "negatives": "earmark.triggers.negatives:NegativesSampler",
    "rows": "earmark.triggers.sparse_rows:SparseRowsSampler",
    "audio": "earmark.triggers.sounds:SoundSampler",
    "text": "earmark.triggers.sentences:SentenceSampler",
}


_OF_NOTHING_ELSE = ("abstract", "noise")  # but a stream of random bytes


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


def sampler_like(name: str, pictures: "TaskPictures | None" = None) -> Sampler | None:
    """Return what makes such triggers for whoever has our code and, it may be, pictures of the task.

    Args:
        name: Of the owner's sampler.
        pictures: Of the task; None for none.

    Returns:
        The sampler; None if triggers like the owner's need what only he has.
    """
    if name in _OF_NOTHING_ELSE:
        return sampler_named(name)()
    if name == "negatives" and pictures is not None:
        from earmark.triggers.negatives import NegativesSampler

        return NegativesSampler(pictures)
    return None


def _resolve(table: dict[str, str], name: str, what: str) -> object:
    if name not in table:
        raise FormatError(f"unknown {what} {name!r}; known: {', '.join(sorted(table))}")
    module, _, attribute = table[name].partition(":")
    return getattr(import_module(module), attribute)
