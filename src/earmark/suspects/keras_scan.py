"""Looks through a Keras file without Keras, and writes anew what its answers depend on.

A ``.keras`` file is a zip archive: ``config.json`` says which classes are made with which arguments, and
``model.weights.h5`` holds the numbers. Keras makes what the file names; its safe mode refuses what is known
to be code, and has been too narrow more than once. Here the list says what may be made: built-in layers that
compute, their initialisers, regularisers and constraints, and operations on arrays. Nothing that holds
functions or other frameworks' programs, reads vocabularies or files, or was registered by somebody. How the
model was compiled is left out.
"""

import json
from dataclasses import dataclass
from io import BytesIO
from typing import Any
from zipfile import ZipFile

from earmark.errors import FormatError
from earmark.suspects.archives import check_members, read_member
from earmark.suspects.frames import METADATA_KEY, METADATA_LIMIT_BYTES

CONFIG, WEIGHTS, METADATA = "config.json", "model.weights.h5", "metadata.json"
UNPACKED_LIMIT_BYTES = 2 << 30
CONFIG_LIMIT_BYTES = 64 << 20

LAYERS = frozenset(
    {
        *("Activation", "ActivityRegularization", "Add", "AdditiveAttention", "AlphaDropout", "Attention"),
        *("Average", "BatchNormalization", "Bidirectional", "CategoryEncoding", "CenterCrop", "Concatenate"),
        *("Dense", "Discretization", "Dot", "Dropout", "ELU", "EinsumDense", "Embedding", "Flatten", "GRU"),
        *("GRUCell", "GaussianDropout", "GaussianNoise", "GroupNormalization", "GroupQueryAttention"),
        *("Identity", "InputLayer", "LSTM", "LSTMCell", "LayerNormalization", "LeakyReLU", "Masking"),
        *("Maximum", "MelSpectrogram", "Minimum", "MultiHeadAttention", "Multiply", "Normalization", "PReLU"),
        *("Permute", "RMSNormalization", "RNN", "RandomBrightness", "RandomContrast", "RandomCrop"),
        *("RandomFlip", "RandomRotation", "RandomTranslation", "RandomZoom", "ReLU", "RepeatVector"),
        *("Rescaling", "Reshape", "Resizing", "STFTSpectrogram", "SimpleRNN", "SimpleRNNCell", "Softmax"),
        *("SpectralNormalization", "StackedRNNCells", "Subtract", "TimeDistributed", "UnitNormalization"),
        *(f"{name}{places}D" for name in ("AveragePooling", "Conv", "Cropping") for places in (1, 2, 3)),
        *(f"{name}{places}D" for name in ("GlobalAveragePooling", "MaxPooling") for places in (1, 2, 3)),
        *(f"{name}{places}D" for name in ("GlobalMaxPooling", "SpatialDropout") for places in (1, 2, 3)),
        *(f"{name}{places}D" for name in ("UpSampling", "ZeroPadding") for places in (1, 2, 3)),
        *(f"Conv{places}DTranspose" for places in (1, 2, 3)),
        *("DepthwiseConv1D", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D"),
    }
)
_INITIALIZERS = frozenset(
    {
        *("Constant", "GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "Identity", "LecunNormal"),
        *("LecunUniform", "Ones", "Orthogonal", "OrthogonalInitializer", "RandomNormal", "RandomUniform"),
        *("TruncatedNormal", "VarianceScaling", "Zeros", "IdentityInitializer"),
    }
)
_ARRAY_OPERATIONS = frozenset(
    {
        *("Absolute", "Add", "Amax", "Amin", "BroadcastTo", "Clip", "Concatenate", "Divide", "Einsum", "Exp"),
        *("ExpandDims", "Flip", "GetItem", "Log", "Matmul", "Max", "Maximum", "Mean", "Min", "Minimum"),
        *("Moveaxis", "Multiply", "Negative", "Pad", "Power", "Prod", "Reshape", "Roll", "Sign", "Sqrt"),
        *("Square", "Squeeze", "Stack", "Std", "Subtract", "Sum", "Swapaxes", "Tanh", "Transpose"),
        *("TrueDivide", "Var"),
    }
)
_NETWORK_OPERATIONS = frozenset(
    {
        *(
            "AveragePool",
            "Celu",
            "Conv",
            "DepthwiseConv",
            "Elu",
            "Gelu",
            "HardSigmoid",
            "HardSilu",
            "HardTanh",
        ),
        *("LeakyRelu", "LogSigmoid", "LogSoftmax", "MaxPool", "Relu", "Relu6", "Selu", "SeparableConv"),
        *("Sigmoid", "Silu", "Softmax", "Softplus", "Softsign", "SoftShrink", "Normalize", "OneHot"),
    }
)
_MODELS = ("keras", "keras.models", "keras.src.models.sequential")
_ALLOWED = {
    "keras.layers": LAYERS,
    "keras.initializers": _INITIALIZERS,
    "keras.regularizers": frozenset({"L1", "L1L2", "L2", "OrthogonalRegularizer"}),
    "keras.constraints": frozenset({"MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm"}),
    "keras.src.ops.numpy": _ARRAY_OPERATIONS,
    "keras.src.ops.nn": _NETWORK_OPERATIONS,
    "keras.src.ops.core": frozenset({"Cast"}),
    "keras.src.models.functional": frozenset({"Functional"}),
    **{module: frozenset({"Sequential"}) for module in _MODELS},
    "keras": frozenset({"Sequential", "DTypePolicy"}),
    "keras.dtype_policies": frozenset({"DTypePolicy"}),
}
# What Keras makes of these is data: a place in the graph, a slice, three dots.
_DATA = frozenset({"__keras_tensor__", "__slice__", "__ellipsis__"})
_LEFT_OUT = "compile_config"


@dataclass(frozen=True, slots=True)
class Findings:
    """What a look through a Keras file found.

    Attributes:
        archive: The model alone: its configuration without how it was compiled, and its weights.
        weights: The HDF5 file in it; nothing has looked at it yet.
        description: The text of the member ``earmark``, or None.
    """

    archive: bytes
    weights: bytes
    description: str | None


def scan(data: bytes) -> Findings:
    """Return what is in a Keras file, after checking that nothing beyond the list would be made of it.

    Args:
        data: The whole file.

    Raises:
        FormatError: It is no Keras file, unpacks to too much, or names what is not in the list.
    """
    try:
        with ZipFile(BytesIO(data)) as archive:
            check_members(archive, UNPACKED_LIMIT_BYTES)
            names = set(archive.namelist())
            if not {CONFIG, WEIGHTS} <= names:
                raise FormatError(f"it is not a Keras 3 file: it has no {CONFIG} or no {WEIGHTS}")
            if others := sorted(names - {CONFIG, WEIGHTS, METADATA, METADATA_KEY}):
                raise FormatError(f"it holds what is never loaded: {others[0][:80]!a}")
            config = json.loads(read_member(archive, CONFIG, CONFIG_LIMIT_BYTES))
            weights = read_member(archive, WEIGHTS, UNPACKED_LIMIT_BYTES)
            has_text = METADATA_KEY in names
            text = read_member(archive, METADATA_KEY, METADATA_LIMIT_BYTES).decode() if has_text else None
    except (FormatError, MemoryError):
        raise
    except Exception as error:  # zipfile, zlib and json each have their own, and some are undocumented
        raise FormatError(f"it is not a Keras file, or it is damaged: {error}") from error
    if not isinstance(config, dict):
        raise FormatError(f"its {CONFIG} names no model")
    config.pop(_LEFT_OUT, None)
    _check_names(config)
    return Findings(_written(config, weights), weights, text)


def _written(config: dict[str, Any], weights: bytes) -> bytes:
    buffer = BytesIO()
    with ZipFile(buffer, "w") as archive:
        archive.writestr(METADATA, "{}")
        archive.writestr(CONFIG, json.dumps(config))
        archive.writestr(WEIGHTS, weights)
    return buffer.getvalue()


def _check_names(config: dict[str, Any]) -> None:
    """Raise FormatError that lists what the configuration names beyond the list, wherever it stands."""
    refused: set[str] = set()
    rest: list[Any] = [config]
    is_model = config.get("class_name") in ("Sequential", "Functional")
    while rest:
        value = rest.pop()
        if isinstance(value, list):
            rest += value
        if not isinstance(value, dict):
            continue
        rest += value.values()
        if _LEFT_OUT in value:
            refused.add(_LEFT_OUT)  # of a model within the model: it would be compiled
        if {"class_name", "module", "registered_name"} & value.keys() and not _is_allowed(value):
            refused.add(_named(value))
    if refused or not is_model:
        names = ", ".join(sorted(refused)[:3]) or ascii(str(config.get("class_name"))[:80])
        more = f" and {len(refused) - 3} more" if len(refused) > 3 else ""
        raise FormatError(f"it holds what is never loaded: {names}{more}")


def _is_allowed(value: dict[str, Any]) -> bool:
    name, module, registered = (value.get(key) for key in ("class_name", "module", "registered_name"))
    if not isinstance(name, str):
        return False
    if module is None:
        return name in _DATA and registered is None
    # A registered name is looked up first, before the module.
    return isinstance(module, str) and registered in (None, name) and name in _ALLOWED.get(module, ())


def _named(value: dict[str, Any]) -> str:
    texts = [str(value.get(key))[:60] for key in ("module", "class_name")]
    registered = value.get("registered_name")
    if registered not in (None, value.get("class_name")):
        texts.append(f"registered as {str(registered)[:60]}")
    return ascii(" ".join(texts)).strip("'\"")
