"""The command ``earmark keygen``."""

import getpass
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from earmark.cli import keys
from earmark.cli.advising import say_advice
from earmark.cli.output import AsJson, Output, Quiet
from earmark.cli.passphrase import (
    OWNER_VARIABLE,
    VARIABLE,
    OwnerPassphraseFile,
    PassphraseFile,
    passphrase,
)
from earmark.cli.revived import revival_to_commit
from earmark.cli.trigger_sources import MODELS_CHOICE, Making, sampler_from

if TYPE_CHECKING:
    from earmark.data import ClassificationData
    from earmark.data.rows import Table
    from earmark.data.texts import Texts
    from earmark.keys import MarkingKey, StratumPlan, Task

_CLASSES_LIMIT_BYTES = 16 << 20
DEFAULT_TRIGGERS = 100
_USUAL_SOURCES = {"image": "abstract", "rows": "rows", "audio": "audio", "text": "text"}


def keygen(
    out: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Prefix: acme makes acme.key, acme.vk.json, acme.journal."),
    ] = None,
    advise: Annotated[
        bool,
        typer.Option(
            "--advise",
            help="Make no key; say how many triggers and sets to take for so many classes, from what attacks "
            "left of the marks measured for this release.",
        ),
    ] = False,
    owner: Annotated[Path | None, typer.Option(help="Owner's signing key; without it one is made.")] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="Take input shape and classes from this data: digits, folder:PATH, torchvision:NAME; for "
            "rows table:FILE.csv#COLUMN (the column of the classes), table:iris; for texts "
            "text:FILE.csv#CLASSES[,TEXTS] (the columns of classes and texts)."
        ),
    ] = None,
    input_shape: Annotated[
        str | None,
        typer.Option(
            "--input",
            help="Input shape instead of --data: image:32x32x3, audio:SAMPLES@RATE, text:CHARACTERS (most).",
        ),
    ] = None,
    classes: Annotated[
        Path | None, typer.Option(help="With --input: a text file with one class name a line, in order.")
    ] = None,
    triggers: Annotated[
        list[int] | None,
        typer.Option(min=1, help=f"Triggers in each set [default: {DEFAULT_TRIGGERS}]."),
    ] = None,
    triggers_from: Annotated[
        list[str] | None,
        typer.Option(
            help="What the triggers are: abstract, noise, noise:gaussian, folder:PATH (your own pictures), "
            "in-distribution:DATA (its test part), in-distribution:folder:PATH#PART (the folder PATH/PART), "
            "mixtures:DATA[#PART] (two of those pictures, mixed), "
            "negatives:DATA[#PART] (two, mixed and inverted), "
            "for tables rows, for recordings audio, for texts text (invented words) or text:own (your own "
            "put together anew) [default: what suits the task]. Given again, the key has "
            "sets of that kind too: repeat --triggers and --sets in the same order."
        ),
    ] = None,
    hardest_for: Annotated[
        list[str] | None,
        typer.Option(
            "--hardest-for",
            help="Of in-distribution pictures and mixtures take those of which this trained model, the one "
            "to be marked, is least sure: training takes fewer of them. A file or hf:FOLDER as for "
            "earmark verify. Given again, too, for what 'earmark attack' made of it: all together are "
            "to be least sure.",
        ),
    ] = None,
    sets: Annotated[
        list[int] | None,
        typer.Option(min=1, help="Trigger sets; each can be opened once [default: 1]."),
    ] = None,
    survival: Annotated[
        float, typer.Option(help="Planned share of triggers that still match after attacks.")
    ] = 0.7,
    labels: Annotated[
        str,
        typer.Option(
            help="derived from the commitment; or chosen at random and committed one by one, as in the "
            "paper: then only --rule paper judges the key."
        ),
    ] = "derived",
    provable: Annotated[
        bool,
        typer.Option(
            "--provable", help="Commit so that ownership can be proven in zero knowledge: earmark prove."
        ),
    ] = False,
    revivable: Annotated[
        str | None,
        typer.Option(
            help="Commit to clean data, so that a suspect may be trained on it for some steps before it is "
            "asked: earmark verify --revive. As for --data; keep it. Costs one bit."
        ),
    ] = None,
    graft_onto: Annotated[
        Path | None,
        typer.Option(
            "--graft-onto",
            help="With --revivable: in place of training, put a suspect's weights at secret places into "
            "these trained weights, which are to be marked (earmark mark --init). Keep them, too.",
        ),
    ] = None,
    passphrase_file: PassphraseFile = None,
    owner_passphrase_file: OwnerPassphraseFile = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Make a marking key (secret) and a verification key (public): commit first, labels after.

    Each set must reach the threshold alone at the planned survival; fewer triggers are refused.

    Triggers are drawn from secrets, of abstract pictures, noise, your own pictures or held-out data, rows,
    sounds or sentences; no two are nearly alike. Your own pictures are taken whole, each at most once. When
    to use what: docs/how-to/choose-triggers.md.

    Example: earmark keygen --owner owner.key --data digits --triggers 100 --sets 1 -o acme

    Example: earmark keygen --data digits --advise

    Example: earmark keygen --data digits --triggers-from folder:my-pictures -o acme

    Example: earmark keygen --data text:questions.csv#intent --triggers-from text:own -o acme

    Example: earmark keygen --data folder:birds --triggers-from in-distribution:folder:birds#held-out -o acme

    Example: earmark keygen --data folder:birds --triggers-from abstract --triggers 256 --sets 4
    --triggers-from in-distribution:folder:birds#held-out --triggers 256 --sets 1
    --hardest-for birds.safetensors -o acme
    """
    from fractions import Fraction
    from functools import cache

    if labels not in ("derived", "chosen"):
        raise ValueError(f"--labels is derived or chosen, not {labels!r}")
    output = Output(quiet, as_json)
    if advise:
        say_advice(_class_names(data, input_shape, classes, output), output)
        return
    if out is None:
        raise ValueError("where to? -o NAME makes NAME.key, NAME.vk.json and NAME.journal")
    paths = keys.key_paths(out)
    keys.refuse_existing(paths.key, paths.verification_key, paths.journal, paths.commitments)
    load = cache(lambda name: _load(name, output))
    own = _own(data, input_shape, classes)
    task = _task(data, input_shape, classes, load) if own is None else _task_of(own)
    sources = triggers_from or [_USUAL_SOURCES[task.geometry.kind]]
    plans = _plans(sources, triggers, sets, Making(task, own, load, output, tuple(hardest_for or ())))
    trigger_count = sum(plan.trigger_count for plan in plans)
    revival = revival_to_commit(revivable, graft_onto, task, load)
    secret = passphrase(paths.key.name, passphrase_file, (VARIABLE,), new=True)
    if owner is None:
        keys.refuse_existing(paths.owner)
        owner_secret = passphrase(
            paths.owner.name, owner_passphrase_file, (OWNER_VARIABLE, VARIABLE), new=True
        )
        from earmark.keys import OwnerKey

        owner_key = OwnerKey.generate(getpass.getuser())
    else:
        owner_key = keys.read_owner(owner, owner_passphrase_file)
    with output.progress("making triggers") as on_progress:
        from earmark.keys import keygen as generate
        from earmark.keys import random_labels

        key = generate(
            owner_key,
            task,
            plans[0].sampler,
            triggers_per_set=plans[0].triggers_per_set,
            set_count=plans[0].set_count,
            further_strata=plans[1:],
            survival=Fraction(survival).limit_denominator(10_000),
            provable=provable,
            revival=revival,
            choose_labels=random_labels(len(task.class_names)) if labels == "chosen" else None,
            on_trigger=lambda done: on_progress(done, trigger_count),
        )
    if owner is None:
        keys.write_owner(paths.owner, owner_key, owner_secret)
        output.remark(f"{paths.owner}: owner's signing key, made because no --owner was given; keep it apart")
    keys.write_key(paths, key, secret)
    output.result(_words(paths, key), _facts(paths, key))


def _plans(
    sources: list[str],
    triggers: list[int] | None,
    sets: list[int] | None,
    making: Making,
) -> "list[StratumPlan]":
    """Return what the key is to have, stratum after stratum."""
    from earmark.keys import StratumPlan

    if making.hardest_for and not any(source.startswith(MODELS_CHOICE) for source in sources):
        raise ValueError(f"--hardest-for goes with --triggers-from {' or '.join(MODELS_CHOICE)}:DATA")
    counts = {"--triggers": triggers or [DEFAULT_TRIGGERS], "--sets": sets or [1]}
    for option, given in counts.items():
        if len(given) not in (1, len(sources)):
            raise ValueError(
                f"{option} is given {len(given)} times and --triggers-from {len(sources)} times: give it "
                "once for all, or once for each"
            )
    each, how_many = (given * len(sources) if len(given) == 1 else given for given in counts.values())
    return [
        StratumPlan(sampler_from(source, making, count * set_count), count, set_count)
        for source, count, set_count in zip(sources, each, how_many, strict=True)
    ]


def _class_names(
    data: str | None, input_shape: str | None, classes: Path | None, output: Output
) -> tuple[str, ...]:
    """Return the classes, which are all that advice needs to know."""
    if (own := _own(data, input_shape, classes)) is not None:
        return own.class_names
    if data is not None:
        return _load(data, output).class_names
    if classes is None:
        raise ValueError("--advise needs the classes: --data, or --classes FILE")
    return read_class_names(classes)


def _load(name: str, output: Output) -> "ClassificationData":
    from earmark.data import load_data

    with output.progress("reading data") as on_progress:
        return load_data(name, on_progress=on_progress)


def _own(data: str | None, input_shape: str | None, classes: Path | None) -> "Table | Texts | None":
    """Return the rows or texts that the data are, or None if they are something else."""
    family = (data or "").partition(":")[0]
    if data is None or family not in ("table", "text"):
        return None
    if input_shape is not None or classes is not None:
        raise ValueError("give --data, or --input with --classes, not both")
    from earmark.data.rows import load_table
    from earmark.data.texts import load_texts

    return load_table(data) if family == "table" else load_texts(data)


def _task_of(own: "Table | Texts") -> "Task":
    from earmark.data.rows import Table
    from earmark.keys import Task
    from earmark.triggers.rows import RowGeometry
    from earmark.triggers.text import TextGeometry

    geometry = RowGeometry(own.columns) if isinstance(own, Table) else TextGeometry(own.longest)
    return Task(geometry, own.class_names)


def _task(
    data: str | None,
    input_shape: str | None,
    classes: Path | None,
    load: "Callable[[str], ClassificationData]",
) -> "Task":
    from earmark.keys import Task
    from earmark.triggers import kind_named

    if data is not None:
        if input_shape is not None or classes is not None:
            raise ValueError("give --data, or --input with --classes, not both")
        from earmark.triggers.image import ImageGeometry

        loaded = load(data)
        return Task(ImageGeometry(*loaded.input_shape), loaded.class_names)
    if input_shape is None or classes is None:
        raise ValueError("give --data, or --input with --classes")
    kind, _, rest = input_shape.partition(":")
    return Task(kind_named(kind).geometry_from_text(rest), read_class_names(classes))


def read_class_names(path: Path) -> tuple[str, ...]:
    """Return the lines of a class file: at least 2, all different.

    Raises:
        FormatError: They are not.
    """
    from earmark.errors import FormatError
    from earmark.files import read_bounded

    try:
        lines = read_bounded(path, _CLASSES_LIMIT_BYTES, "class names").decode().splitlines()
    except UnicodeDecodeError as error:
        raise FormatError(f"{path} is not UTF-8 text") from error
    names = tuple(line.strip() for line in lines if line.strip())
    if len(names) < 2 or len(set(names)) != len(names):
        raise FormatError(f"{path} must name at least 2 classes, one a line, all different")
    return names


def _words(paths: keys.KeyPaths, key: "MarkingKey") -> str:
    facts = _facts(paths, key)
    kinds = [f" ({stratum['name']})" if len(facts["strata"]) > 1 else "" for stratum in facts["strata"]]
    sets = " and ".join(
        f"{stratum['sets']} set(s) of {stratum['triggers_per_set']} triggers{kind}"
        for stratum, kind in zip(facts["strata"], kinds, strict=True)
    )
    return (
        f"{paths.key}: marking key with {sets}; secret\n"
        f"{paths.verification_key}: verification key; publish it before the model\n"
        f"{paths.journal}: journal; keep it beside the key\n"
        f"{_commitments(paths, key)}"
        f"{_worth(facts)} Root {facts['root']}"
    )


def _commitments(paths: keys.KeyPaths, key: "MarkingKey") -> str:
    if key.randomness is None:
        return ""
    return f"{paths.commitments}: commitments; publish them beside the verification key\n"


def _worth(facts: "dict[str, Any]") -> str:
    if facts["labels"] == "chosen":
        return (
            "Its labels were chosen, so that only the paper's rule judges it, which shows nothing on its own."
        )
    first, *others = facts["strata"]
    further = "".join(
        f", of {stratum['name']} with {stratum['threshold']} of {stratum['triggers_per_set']}"
        for stratum in others
    )
    return f"A set shows the mark with {first['threshold']} of {first['triggers_per_set']} matches{further}."


def _facts(paths: keys.KeyPaths, key: "MarkingKey") -> "dict[str, Any]":
    from fractions import Fraction

    from earmark.statistics import match_threshold

    chance = Fraction(1, key.transcript.class_count)
    return {
        "marking_key": str(paths.key),
        "verification_key": str(paths.verification_key),
        "journal": str(paths.journal),
        "commitments": None if key.randomness is None else str(paths.commitments),
        "root": key.transcript.root.hex(),
        "labels": key.transcript.labels["rule"],
        "strata": [
            {
                "name": stratum.name,
                "sets": len(stratum.set_roots),
                "triggers_per_set": stratum.triggers_per_set,
                "threshold": match_threshold(stratum.triggers_per_set, chance),
            }
            for stratum in key.transcript.strata
        ],
    }
