"""The command ``earmark inspect``."""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earmark.cli import authorities, keys, services
from earmark.cli.output import AsJson, Output, Quiet

if TYPE_CHECKING:
    from earmark.suspects.onnx import OnnxSuspect

_SHOWN_CLASSES = 50


def inspect(
    file: Annotated[
        Path, typer.Argument(help="Any file of Earmark: key, public key, release, journal, model, answers.")
    ],
    vk: Annotated[
        Path | None, typer.Option("--vk", help="Public key that a release should be under.")
    ] = None,
    tsa_root: authorities.Roots = [],  # noqa: B006 - typer makes a new list
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Say what a file is, in words. Asks for no passphrase and shows nothing secret.

    Stamps are checked offline, against the roots that you trust.

    Example: earmark inspect acme.vk.json
    """
    facts = _facts(file, vk, tsa_root)
    width = max(len(name) for name, _ in facts)
    Output(quiet, as_json).result("\n".join(f"{name:<{width}}  {text}" for name, text in facts), dict(facts))


def _facts(file: Path, vk: Path | None, tsa_root: list[Path]) -> list[tuple[str, str]]:
    if file.suffix == ".safetensors":
        return _weights_facts(file)
    if file.suffix == ".onnx":
        return _onnx_facts(file)
    from earmark.files import read_bounded
    from earmark.formats.inspection import SIZE_LIMIT_BYTES, Known, describe

    if services.is_mapping(file):
        return services.mapping_facts(file)
    key = None if vk is None else keys.read_verification_key(vk)
    known = Known(authorities.read_roots(tsa_root), key, keys.now())
    return describe(read_bounded(file, SIZE_LIMIT_BYTES, "file"), known)


def _weights_facts(file: Path) -> list[tuple[str, str]]:
    from earmark.models.weights import file_digest, read_description

    description = read_description(file)
    options = "".join(f", {name} {value}" for name, value in description.options.items())
    return [
        ("file", "model weights in safetensors"),
        ("sha256", file_digest(file)),
        ("architecture", description.architecture + options),
        ("input", "x".join(str(side) for side in description.input_shape)),
        ("classes", ", ".join(description.class_names[:_SHOWN_CLASSES])),
        ("preprocessing", str(description.preprocessing)),
    ]


def _reading_rows(file: Path) -> list[tuple[str, str]] | None:
    """Return the facts of a model of rows or recordings, which need no preprocessing; else None."""
    from earmark.errors import FormatError
    from earmark.models.preprocessing import AsTheyAre
    from earmark.suspects.onnx import open_onnx

    try:
        suspect = open_onnx(file, fallback=AsTheyAre())
    except FormatError:
        return None
    suspect.close()
    return [
        ("file", "ONNX model of rows or recordings"),
        ("sha256", suspect.identity.removeprefix("sha256:")),
        ("classes", f"{suspect.class_count}, not named"),
        ("preprocessing", "none: inputs are read as they are"),
    ]


def _onnx_facts(file: Path) -> list[tuple[str, str]]:
    from earmark.errors import FormatError
    from earmark.suspects.onnx import open_onnx

    stated = True
    try:
        suspect = open_onnx(file)
    except FormatError as error:
        rows = _reading_rows(file)
        if rows is not None:
            return rows
        # Without a description it can still be questioned, if someone says how to preprocess.
        found = _first_that_fits(file)
        if found is None:
            raise error from error.__cause__
        stated, suspect = False, found
    names = suspect.class_names
    suspect.close()
    return [
        ("file", "ONNX model"),
        ("sha256", suspect.identity.removeprefix("sha256:")),
        (
            "classes",
            f"{suspect.class_count}, not named" if names is None else ", ".join(names[:_SHOWN_CLASSES]),
        ),
        ("preprocessing", suspect.preprocessing if stated else "not stated: verify with --preprocessing"),
    ]


def _first_that_fits(file: Path) -> "OnnxSuspect | None":
    from earmark.errors import FormatError
    from earmark.models.preprocessing import catalogue
    from earmark.suspects.onnx import open_onnx

    for preprocessing in (*catalogue(3).values(), *catalogue(1).values()):
        with suppress(FormatError):
            return open_onnx(file, preprocessing=preprocessing)
    return None
