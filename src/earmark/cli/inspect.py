"""earmark inspect"""

from pathlib import Path
from typing import Annotated

import typer

from earmark.cli.output import AsJson, Output, Quiet


def inspect(
    file: Annotated[
        Path, typer.Argument(help="Any file of Earmark: key, public key, journal, model, answers.")
    ],
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Say what a file is, in words. Asks for no passphrase and shows nothing secret.

    Example: earmark inspect acme.vk.json
    """
    facts = _facts(file)
    width = max(len(name) for name, _ in facts)
    Output(quiet, as_json).result("\n".join(f"{name:<{width}}  {text}" for name, text in facts), dict(facts))


def _facts(file: Path) -> list[tuple[str, str]]:
    if file.suffix in (".safetensors", ".onnx"):
        return _model_facts(file)
    from earmark.files import read_bounded
    from earmark.formats.inspect import LIMIT_BYTES, describe

    return describe(read_bounded(file, LIMIT_BYTES, "file"))


def _model_facts(file: Path) -> list[tuple[str, str]]:
    from earmark.models.weights import file_digest, read_description

    if file.suffix == ".onnx":
        from earmark.suspects.onnx import read_onnx_description

        description = read_onnx_description(file)
        kind = "ONNX model"
    else:
        description = read_description(file)
        kind = "model weights in safetensors"
    facts = [("file", kind), ("sha256", file_digest(file))]
    if description is not None:
        options = ", ".join(f"{name} {value}" for name, value in description.options.items())
        facts += [
            ("architecture", f"{description.architecture}{', ' + options if options else ''}"),
            ("input", "x".join(str(side) for side in description.input_shape)),
            ("classes", ", ".join(description.class_names[:50])),
            ("preprocessing", str(description.preprocessing)),
        ]
    return facts
