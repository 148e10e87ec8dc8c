"""Opening suspects and putting questions to them, for the commands."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from earmark.cli.clean_data import CleanData, map_from
from earmark.cli.output import Output

if TYPE_CHECKING:
    from earmark.formats.journal_v1 import Journal
    from earmark.keys import MarkingKey, VerificationKey
    from earmark.models.preprocessing import InputPreparation, Preprocessing
    from earmark.suspects import Suspect
    from earmark.suspects.http.terms import Terms
    from earmark.verification import Measurement, Method


@dataclass(frozen=True)
class Freedoms:
    """What the verdict has to pay for.

    Attributes:
        looks: Suspects, keys and sets tried so far.
        preprocessing_choices: Preprocessings that the checker could pick from.
    """

    looks: int = 1
    preprocessing_choices: int = 1


def pick(name: str | None, key: "MarkingKey") -> "Preprocessing | None":
    """Return the catalogue's entry of that name; ``list`` prints them all and ends the command."""
    if name is None:
        return None
    from earmark.models.preprocessing import catalogue

    entries = catalogue_for(key)
    if not entries:
        raise ValueError("--preprocessing is for pictures: the key's inputs are read as they are")
    if name == "list":
        for entry, value in catalogue(_channels(key)).items():
            print(f"{entry:24} {value}")
        raise typer.Exit
    if name not in entries:
        raise ValueError(f"unknown preprocessing {name!r}; --preprocessing list shows the catalogue")
    return entries[name]


def _channels(key: "MarkingKey") -> int:
    return int(getattr(key.transcript.task.geometry, "channels", 3))


def catalogue_for(key: "MarkingKey") -> "dict[str, Preprocessing]":
    """Return the preprocessings that fit the key's inputs, by name."""
    from earmark.models.preprocessing import catalogue

    if key.transcript.task.geometry.kind != "image":
        return {}

    return dict(catalogue(_channels(key)))


def open_named(
    name: str,
    key: "MarkingKey",
    picked: "Preprocessing | None",
    model: str | None,
    trust_code: bool,
    owner_layer: Path | None,
    terms: "Terms | None" = None,
) -> "Suspect":
    """Return the suspect of that name, with the owner's last layer put back if one is given."""
    from earmark.suspects.opening import open_suspect

    if owner_layer is not None:
        return _with_owners_layer(Path(name), owner_layer, picked, model, trust_code)
    return open_suspect(
        name,
        preprocessing=picked,
        fallback=_fallback(key),
        architecture=model,
        trust_code=trust_code,
        terms=terms,
    )


def _fallback(key: "MarkingKey") -> "InputPreparation | None":
    """Return how inputs are read by a suspect whose release does not say it."""
    from earmark.models.preprocessing import AsTheyAre, Preprocessing

    geometry = key.transcript.task.geometry
    if geometry.kind != "image":
        known = {
            name: getattr(geometry, name)
            for name in ("columns", "samples", "rate")
            if hasattr(geometry, name)
        }
        return AsTheyAre(geometry.kind, **known)
    fixed = key.transcript.experiment.preprocessing
    return None if fixed is None else Preprocessing.from_json(fixed)


def _with_owners_layer(
    path: Path, owner_path: Path, picked: "Preprocessing | None", model: str | None, trust_code: bool
) -> "Suspect":
    from earmark.models.last_layer import restore_last_layer
    from earmark.models.weights import load_weights
    from earmark.suspects.torch import TorchSuspect

    suspect, owner = (
        load_weights(each, architecture=model, trust_code=trust_code) for each in (path, owner_path)
    )
    name = f"weights {path.name} with the last layer of {owner_path.name}"
    return TorchSuspect(restore_last_layer(suspect, owner), name, picked)


def check_stratum(key: "MarkingKey", stratum: str | None) -> None:
    """Raise ValueError, before anything is asked or trained, unless the key has such a stratum."""
    from earmark.verification.measurement import of_stratum

    of_stratum(key, stratum)


def question(
    suspect: "Suspect",
    key: "MarkingKey",
    journal: "Journal",
    verification_key: "VerificationKey | None",
    method: "Method",
    freedoms: Freedoms,
    output: Output,
) -> "Measurement":
    """Question a suspect with a progress bar; sequential statistics end when it is enough."""
    from earmark.verification import evidence_needed, measure
    from earmark.verification.measurement import of_stratum

    most = sum(len(key.triggers[set_id]) for set_id in of_stratum(key, method.stratum))
    with output.progress("questioning") as on_progress:
        return measure(
            key,
            suspect,
            journal,
            method=method,
            verification_key=verification_key,
            stop_at=lambda before: evidence_needed(
                before, looks=freedoms.looks, preprocessing_choices=freedoms.preprocessing_choices
            ),
            on_answer=lambda done: on_progress(done, most),
        )


def method_for(
    statistic: str,
    label_map: str,
    stratum: str | None,
    suspect: "Suspect",
    key: "MarkingKey",
    clean: "CleanData | None",
) -> "Method":
    """Return what is chosen before the first question; a map from clean data is made here."""
    from earmark.verification import Method

    if label_map != "data" or clean is None:
        return Method(statistic, label_map, stratum)
    return Method(statistic, map_from(suspect, clean, key.transcript.task.class_names), stratum)
