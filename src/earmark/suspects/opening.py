"""Names on the command line to suspects.

FILE.safetensors   weights with their description                    in this process
FILE.onnx          an ONNX model                                     in a child process, extra "onnx"
hf:FOLDER          a Hugging Face image-classification folder        in this process, extra "hf"

Frameworks are imported when a suspect of their kind is opened.
"""

from importlib import import_module
from pathlib import Path
from typing import Any, cast

from earmark.errors import FormatError
from earmark.files import shown
from earmark.models.preprocessing import Preprocessing
from earmark.suspects.protocol import Suspect

_FOLDER_PREFIX = "hf:"
SUSPECTS = {
    ".safetensors": "earmark.suspects.torch:open_weights",
    ".onnx": "earmark.suspects.onnx:open_onnx",
    _FOLDER_PREFIX: "earmark.suspects.transformers:open_folder",
}
_FORMS = {ending: f"FILE{ending}" for ending in SUSPECTS} | {_FOLDER_PREFIX: "hf:FOLDER"}
_WEIGHTS = ".safetensors"
_PICKLES = (".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle")


def open_suspect(
    name: str,
    *,
    preprocessing: Preprocessing | None = None,
    fallback: Preprocessing | None = None,
    architecture: str | None = None,
    trust_code: bool = False,
) -> Suspect:
    """Return the suspect of that name.

    Args:
        name: See the table above.
        preprocessing: Picked by the checker and paid for; or None.
        fallback: The transcript's, for releases that name none; or None.
        architecture: ``FILE.py:FACTORY`` for weights, in place of what their description says.
        trust_code: Allow ``architecture`` to run.

    Returns:
        The suspect, ready to be questioned.

    Raises:
        FormatError: It is malformed, or of a kind that is never loaded.
        SuspectError: It crashed, or exceeded a limit, when it was opened.
        MissingExtraError: Its framework is not installed.
        ValueError: No suspect has such a name, or takes such options.
    """
    ending = _FOLDER_PREFIX if name.startswith(_FOLDER_PREFIX) else Path(name).suffix.lower()
    if ending in _PICKLES:
        raise FormatError(
            f"{shown(Path(Path(name).name))} is a pickle: loading it would run code of its maker's choice, "
            "so it never is; whoever holds the model saves it as safetensors "
            "(earmark.models.weights.save_weights) or as ONNX (earmark.models.onnx_export.export_onnx)"
        )
    if ending not in SUSPECTS:
        raise ValueError(f"unknown suspect {name!r}; known: {', '.join(_FORMS.values())}")
    options: dict[str, Any] = {"preprocessing": preprocessing}
    code = {"architecture": architecture, "trust_code": trust_code}
    if ending == _WEIGHTS:
        options |= code  # and no fallback: weights are read only with their own description
    else:
        options["fallback"] = fallback
        if unused := [option for option, value in code.items() if value]:
            raise ValueError(f"{_FORMS[ending]} takes no {' and no '.join(unused)}")
    module, _, function = SUSPECTS[ending].partition(":")
    path = Path(name.removeprefix(_FOLDER_PREFIX))
    return cast("Suspect", getattr(import_module(module), function)(path, **options))
