"""Names on the command line to suspects.

FILE.safetensors   weights with their description                    in this process
FILE.onnx          an ONNX model                                     in a child process, extra "onnx"
hf:FOLDER          a Hugging Face image-classification folder        in this process, extra "hf"

Frameworks are imported when a suspect of their kind is opened.
"""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from earmark.errors import FormatError
from earmark.files import shown
from earmark.models.preprocessing import Preprocessing
from earmark.suspects.protocol import Suspect


@dataclass(frozen=True, slots=True)
class Kind:
    """How suspects of one kind are opened.

    Attributes:
        form: How its names look.
        opener: "module:function", imported when it is used.
        options: The options that it takes.
    """

    form: str
    opener: str
    options: frozenset[str]


_FOLDER_PREFIX = "hf:"
KINDS = {
    ".safetensors": Kind(
        "FILE.safetensors",
        "earmark.suspects.torch:open_weights",
        frozenset({"preprocessing", "architecture", "trust_code"}),
    ),
    ".onnx": Kind("FILE.onnx", "earmark.suspects.onnx:open_onnx", frozenset({"preprocessing", "fallback"})),
    _FOLDER_PREFIX: Kind(
        "hf:FOLDER", "earmark.suspects.transformers:open_folder", frozenset({"preprocessing", "fallback"})
    ),
}
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
    kind = KINDS.get(ending)
    if kind is None:
        known = ", ".join(item.form for item in KINDS.values())
        raise ValueError(f"unknown suspect {name!r}; known: {known}")
    given: dict[str, Any] = {
        "preprocessing": preprocessing,
        "fallback": fallback,
        "architecture": architecture,
        "trust_code": trust_code,
    }
    # A fallback is what the key offers to every suspect; the rest is meant for this one.
    unused = [option for option in given.keys() - kind.options - {"fallback"} if given[option]]
    if unused:
        raise ValueError(f"{kind.form} takes no {' and no '.join(sorted(unused))}")
    module, _, function = kind.opener.partition(":")
    path = Path(name.removeprefix(_FOLDER_PREFIX))
    options = {option: given[option] for option in kind.options}
    return cast("Suspect", getattr(import_module(module), function)(path, **options))
