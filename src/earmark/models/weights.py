"""Weights in safetensors, with the model's description in their metadata. Nothing is ever unpickled."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from earmark.errors import FormatError
from earmark.files import replacing
from earmark.models.description import METADATA_KEY, ModelDescription
from earmark.models.planned import without_memory
from earmark.models.table import build

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class LoadedModel:
    """A network with its weights.

    Attributes:
        module: In evaluation mode, on the CPU.
        description: What its file says of it.
        digest: SHA-256 of the file, hexadecimal.
    """

    module: nn.Module
    description: ModelDescription
    digest: str


def save_weights(path: Path, module: nn.Module, description: ModelDescription) -> None:
    """Write weights and description; the file appears complete or not at all.

    Args:
        path: Ends in ``.safetensors``; replaced if it exists.
        module: The network.
        description: What it is.
    """
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in module.state_dict().items()}
    with replacing(path) as temporary:
        save_file(state, temporary, {METADATA_KEY: description.to_text()})


def read_description(path: Path) -> ModelDescription:
    """Return the description in a weights file.

    Raises:
        FormatError: The file is not safetensors, or holds no description of ours.
    """
    return _read(path)[0]


def load_weights(path: Path, *, architecture: str | None = None, trust_code: bool = False) -> LoadedModel:
    """Read a model; whatever the bytes are, no code in them runs.

    A description that names a Python file is not followed: a suspect would choose what runs here. Such
    an architecture must be given by the caller.

    Args:
        path: A safetensors file.
        architecture: ``FILE.py:FACTORY`` in place of the description's architecture.
        trust_code: Allow ``architecture`` to run.

    Returns:
        The model in evaluation mode.

    Raises:
        ValueError: ``architecture`` is no code.
        FormatError: The file is malformed, its weights do not fit its architecture, or are not finite.
        MissingExtraError: The architecture's library is not installed.
    """
    description, shapes = _read(path)
    if architecture is not None:
        if ".py:" not in architecture:
            raise ValueError(
                f"only code, FILE.py:FACTORY, takes a file's own architecture's place, not {architecture}"
            )
        description = replace(description, architecture=architecture, options={})
    elif ".py:" in description.architecture:
        raise FormatError(
            f"{path.name} names code as its architecture ({description.architecture[:80]}); "
            "give that code yourself: --model FILE.py:FACTORY --trust-code"
        )
    # First without memory: a hostile description could ask for a network of any size.
    with without_memory():
        expected = build(description, trust_code=trust_code).state_dict()
    _check_shapes(path, shapes, {name: tuple(tensor.shape) for name, tensor in expected.items()})
    module = build(description, trust_code=trust_code)
    state = _read_tensors(path)
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        raise FormatError(f"{path.name}: the weights do not fit {description.architecture}") from error
    return LoadedModel(module.eval(), description, file_digest(path))


def file_digest(path: Path) -> str:
    """Return SHA-256 of a file, hexadecimal."""
    hasher = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            hasher.update(chunk)
    return hasher.hexdigest()


def _read(path: Path) -> tuple[ModelDescription, dict[str, tuple[int, ...]]]:
    if not path.is_file():
        raise FormatError(f"there is no file {path}")
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(METADATA_KEY)
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError, UnicodeDecodeError, ValueError) as error:
        raise FormatError(f"{path.name} is not a safetensors file: {error}") from error
    if text is None:
        raise FormatError(
            f"{path.name} does not say its architecture, classes and preprocessing; "
            "save it with 'earmark train' or 'earmark mark', or with earmark.models.weights.save_weights"
        )
    return ModelDescription.from_text(text), shapes


def _read_tensors(path: Path) -> dict[str, Tensor]:
    tensors = {}
    try:
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 - not a dict
                tensors[name] = file.get_tensor(name)
    except (SafetensorError, OSError, TypeError, ValueError, RuntimeError) as error:
        raise FormatError(f"{path.name} is not a safetensors file: {error}") from error
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise FormatError(f"{path.name}: the weights {name[:80]!r} hold NaN or infinity")
    return tensors


def _check_shapes(
    path: Path, found: dict[str, tuple[int, ...]], expected: dict[str, tuple[int, ...]]
) -> None:
    if missing := sorted(expected.keys() - found.keys()):
        raise FormatError(f"{path.name} lacks {len(missing)} weights of its architecture, e.g. {missing[0]}")
    if unknown := sorted(found.keys() - expected.keys()):
        raise FormatError(f"{path.name} holds weights that its architecture lacks, e.g. {unknown[0][:80]!r}")
    for name, shape in expected.items():
        if found[name] != shape:
            raise FormatError(f"{path.name}: {name} has shape {found[name]}, expected {shape}")
