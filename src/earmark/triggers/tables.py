"""Names to kinds and samplers. An entry is "module:attribute", resolved when it is used."""

from importlib import import_module
from typing import cast

from earmark.errors import FormatError
from earmark.triggers.trigger import Kind, Sampler

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


def _resolve(table: dict[str, str], name: str, what: str) -> object:
    if name not in table:
        raise FormatError(f"unknown {what} {name!r}; known: {', '.join(sorted(table))}")
    module, _, attribute = table[name].partition(":")
    return getattr(import_module(module), attribute)
