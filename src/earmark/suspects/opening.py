"""Names on the command line to suspects.

FILE.safetensors   weights with their description                    in this process
FILE.onnx          an ONNX model                                     in a child process, extra "onnx"
FILE.skops         a scikit-learn classifier                         in a child process, extra "skops"
FILE.ubj           a classifier of XGBoost                           in a child process, extra "xgboost"
xgboost:FILE       the same whatever it is called, JSON too          in a child process, extra "xgboost"
FILE.txt           a classifier of LightGBM                          in a child process, extra "lightgbm"
FILE.keras         a model of Keras 3                                in a child process, extra "keras"
hf:FOLDER          a Hugging Face classifier of images or texts      in this process, extra "hf"
FILE.pt2           a program of torch.export                         in this process, only with trust_code
FILE.py:NAME       a Python callable                                 in this process, only with trust_code
https://…          a service, asked one question at a time           where it is, extra "http"
FILE.toml or .json a service that a mapping describes                where it is, extra "http"

Frameworks are imported when a suspect of their kind is opened.
"""

from importlib import import_module
from pathlib import Path
from typing import Any, cast

from earmark.errors import FormatError
from earmark.files import shown
from earmark.models.preprocessing import (
    AUDIO,
    ROWS,
    TEXT,
    AsTheyAre,
    InputPreparation,
    Preprocessing,
)
from earmark.suspects.http.terms import Terms
from earmark.suspects.protocol import Suspect

_FOLDER_PREFIX = "hf:"
_XGBOOST_PREFIX = "xgboost:"  # for .json, which by itself is the mapping of a service
_CODE_INFIX = ".py:"
_PREFIXES = (_FOLDER_PREFIX, _XGBOOST_PREFIX)
_ADDRESSES = ("https://", "http://")
MAPPINGS = (".toml", ".json")
SUSPECTS = {
    ".safetensors": "earmark.suspects.torch:open_weights",
    ".onnx": "earmark.suspects.onnx:open_onnx",
    ".skops": "earmark.suspects.skops:open_skops",
    **dict.fromkeys((".ubj", _XGBOOST_PREFIX), "earmark.suspects.xgboost:open_xgboost"),
    ".txt": "earmark.suspects.lightgbm:open_lightgbm",
    ".keras": "earmark.suspects.keras:open_keras",
    _FOLDER_PREFIX: "earmark.suspects.transformers:open_folder",
    ".pt2": "earmark.suspects.exported:open_exported",
    _CODE_INFIX: "earmark.suspects.python_callable:open_callable",
    **dict.fromkeys(_ADDRESSES, "earmark.suspects.http.suspect:open_url"),
    **dict.fromkeys(MAPPINGS, "earmark.suspects.http.suspect:open_mapping"),
}
_FORMS = {ending: f"FILE{ending}" for ending in SUSPECTS} | {
    _FOLDER_PREFIX: "hf:FOLDER",
    _XGBOOST_PREFIX: "xgboost:FILE.json",
    _CODE_INFIX: "FILE.py:NAME",
    "https://": "https://HOST/PATH",
    "http://": "http://HOST/PATH",
}
# The options of open_suspect that a kind takes, where they are not these two.
_TAKES = {"preprocessing", "fallback"}
_TAKES_OTHERS = {
    ".safetensors": {"preprocessing", "architecture", "trust_code"},  # a description is never without one
    ".pt2": {"preprocessing", "fallback", "trust_code"},
    _CODE_INFIX: {"trust_code"},  # its preprocessing is its own code's
    **{kind: {"preprocessing", "fallback", "terms"} for kind in (*_ADDRESSES, *MAPPINGS)},
}
# Who reads inputs that are no pictures.
_NUMBER_READERS = (".skops", ".ubj", _XGBOOST_PREFIX, ".txt", ".keras", ".onnx")
_READS = {
    **dict.fromkeys((ROWS, AUDIO), (*_NUMBER_READERS, _CODE_INFIX, *_ADDRESSES, *MAPPINGS)),
    TEXT: (_FOLDER_PREFIX, _CODE_INFIX, *_ADDRESSES, *MAPPINGS),
}
_PICKLES = (".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle")


def open_suspect(
    name: str,
    *,
    preprocessing: Preprocessing | None = None,
    fallback: InputPreparation | None = None,
    architecture: str | None = None,
    trust_code: bool = False,
    terms: Terms | None = None,
) -> Suspect:
    """Return the suspect of that name.

    Args:
        name: See the table above.
        preprocessing: Picked by the checker and paid for; or None.
        fallback: The transcript's, for releases that name none, or that of tables; or None.
        architecture: ``FILE.py:FACTORY`` for weights, in place of what their description says.
        trust_code: Allow ``architecture``, a program or a callable to run.
        terms: On which a service is asked.

    Returns:
        The suspect, ready to be questioned.

    Raises:
        FormatError: It is malformed, or of a kind that is never loaded.
        SuspectError: It crashed, or exceeded a limit, when it was opened; or a service does not answer.
        MissingExtraError: Its framework is not installed.
        ValueError: No suspect has such a name, or takes such options.
    """
    ending = _ending(name)
    if ending in _PICKLES:
        raise FormatError(
            f"{shown(Path(Path(name).name))} is a pickle: loading it would run code of its maker's choice, "
            "so it never is; whoever holds the model saves it as safetensors "
            "(earmark.models.weights.save_weights) or as ONNX (earmark.models.onnx_export.export_onnx)"
        )
    if ending not in SUSPECTS:
        raise ValueError(f"unknown suspect {name!r}; known: {', '.join(_FORMS.values())}")
    options: dict[str, Any] = {
        "preprocessing": preprocessing,
        "fallback": fallback,
        "architecture": architecture,
        "trust_code": trust_code,
        "terms": terms,
    }
    takes = _TAKES_OTHERS.get(ending, _TAKES)
    # Nobody chose the transcript's preprocessing for this suspect: where it has no use it is left out.
    if unused := [key for key, value in options.items() if value and key not in takes | {"fallback"}]:
        raise ValueError(f"{_FORMS[ending]} takes no {' and no '.join(unused)}")
    if isinstance(fallback, AsTheyAre) and ending not in _READS[fallback.kind]:
        forms = ", ".join(_FORMS[each] for each in _READS[fallback.kind])
        raise ValueError(f"{_FORMS[ending]} cannot be asked with the key's {fallback.words}: {forms} can")
    module, _, function = SUSPECTS[ending].partition(":")
    is_place = ending not in (_CODE_INFIX, *_ADDRESSES)
    prefix = ending if ending in _PREFIXES else ""
    place = Path(name.removeprefix(prefix)) if is_place else name
    opened = getattr(import_module(module), function)(
        place, **{key: value for key, value in options.items() if key in takes}
    )
    return cast("Suspect", opened)


def _ending(name: str) -> str:
    for prefix in _PREFIXES:
        if name.startswith(prefix):
            return prefix
    for scheme in _ADDRESSES:
        if name.lower().startswith(scheme):
            return scheme
    return _CODE_INFIX if _CODE_INFIX in name else Path(name).suffix.lower()
