"""A Hugging Face folder as bytes: what is in it, and whether it may be handed to transformers at all.

A suspect's folder is hostile. transformers follows what its JSON files say: code to import, kernels to
fetch, other weights to load, layers without number. So they are read here first, and refused when they ask
for any of that.
"""

import hashlib
import json
import math
import os
import stat
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from safetensors import SafetensorError, safe_open

from earmark.commitment.hashing import digest, frame
from earmark.errors import FormatError
from earmark.files import shown

CONFIG = "config.json"
PROCESSOR = "preprocessor_config.json"
TOKENIZER = "tokenizer.json"
_WEIGHTS = "model.safetensors"
_INDEX = "model.safetensors.index.json"
_JSON_LIMIT_BYTES = 16 << 20
_TOKENIZER_LIMIT_BYTES = 64 << 20  # of the largest vocabularies in use 35 million
_FILE_COUNT_LIMIT = 1000
_FILES_LIMIT_BYTES = 64 << 30
_NUMBER_LIMIT = 1 << 20
_DEPTH_LIMIT = 1000
_SIDE_LIMIT = 4096
_CHUNK_BYTES = 1 << 20
# Parts of keys by which a configuration names what lies elsewhere, and what that is.
_ELSEWHERE = {
    "auto_map": "code of its own",
    "custom_pipelines": "code of its own",
    "implementation": "an implementation from elsewhere",  # of attention or experts: may be a hub's kernel
    "kernel_config": "an implementation from elsewhere",
    "quantization_config": "a quantisation library",
    "transformers_weights": "weights from elsewhere",
    "pretrained_backbone": "weights from elsewhere",
    "base_model_name": "weights from elsewhere",
}
_DEPTH_WORDS = ("layer", "depth", "block", "stage", "expert", "repeat")


@dataclass(frozen=True)
class HFFolder:
    """A folder whose files may be read by transformers.

    Attributes:
        path: Where it lies.
        digest: SHA-256 over the names and SHA-256s of its files, hexadecimal.
        config: Its ``config.json``.
        processor: Its ``preprocessor_config.json``, or None if it has none.
        element_count: Numbers in its weights.
        has_tokenizer: Whether a ``tokenizer.json`` says how it reads texts.
    """

    path: Path
    digest: str
    config: dict[str, Any]
    processor: dict[str, Any] | None
    element_count: int
    has_tokenizer: bool


def read_folder(path: Path) -> HFFolder:
    """Look through a folder without transformers.

    Args:
        path: A folder with ``config.json`` and weights in safetensors.

    Returns:
        What is in it.

    Raises:
        FormatError: It is not such a folder, or asks for something outside itself.
    """
    if not path.is_dir():
        raise FormatError(f"there is no folder {path}")
    files = _files(path)
    if CONFIG not in files:
        raise FormatError(f"{shown_name(path)} holds no {CONFIG}; give a Hugging Face folder of a classifier")
    if "adapter_config.json" in files:
        raise FormatError(f"{shown_name(path)} is an adapter, not a model; merge it into its model first")
    config = _read_json(path / CONFIG)
    _check_config(config, path)
    processor = _read_json(path / PROCESSOR) if PROCESSOR in files else None
    _check_processor(processor, path)
    for name in ("processor_config.json", "tokenizer_config.json"):
        if name in files:
            _check_keys(_read_json(path / name), path)
    if TOKENIZER in files and files[TOKENIZER].stat().st_size > _TOKENIZER_LIMIT_BYTES:
        raise FormatError(f"{shown_name(path)}: {TOKENIZER} is larger than {_TOKENIZER_LIMIT_BYTES} bytes")
    count = _element_count(path, files)
    return HFFolder(path, folder_digest(path), config, processor, count, TOKENIZER in files)


def shown_name(path: Path) -> str:
    """Return a folder's name as messages show it."""
    return shown(Path(path.absolute().name[:80]))


def one_line(error: BaseException) -> str:
    """Return another library's message in one short line, whatever it quotes from a hostile file."""
    text = " ".join(str(error)[:2000].split())[:200]
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def folder_digest(path: Path) -> str:
    """Return the digest of a folder: over the names and SHA-256s of its files, in order of names.

    Hidden files and folders do not count: downloaders and version control keep their notes there, and
    nothing of them is loaded.

    Args:
        path: A folder.

    Returns:
        64 hexadecimal digits.

    Raises:
        FormatError: It holds a link out of itself, something that is not a file, or too many files.
    """
    return digest_of_files({name: sha256 for name, (sha256, _) in file_digests(path).items()})


def digest_of_files(digests: Mapping[str, bytes]) -> str:
    """Return the digest of a folder with these files; see ``folder_digest``.

    Args:
        digests: Names, with ``/``, to SHA-256s.

    Returns:
        64 hexadecimal digits.
    """
    files = b"".join(frame(name, digests[name]) for name in sorted(digests))
    return digest("earmark/model-folder/v1", files).hex()


def file_digests(
    path: Path,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    hidden_but: Collection[str] | None = None,
) -> dict[str, tuple[bytes, int]]:
    """Return SHA-256 and size in bytes of every file that counts in a folder, by name.

    Args:
        path: A folder.
        on_progress: Told how many bytes were read, of how many.
        hidden_but: None, and hidden files do not count; else they do, but for these at the top of the folder.

    Raises:
        FormatError: It holds a link out of itself, something that is not a file, or too many files.
    """
    files = _files(path, hidden_but)
    done, total = 0, sum(file.stat().st_size for file in files.values())
    found = {}
    for name, file in sorted(files.items()):
        hasher, size_bytes = hashlib.sha256(), 0
        with file.open("rb") as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                hasher.update(chunk)
                size_bytes += len(chunk)
                done += len(chunk)
                on_progress(done, total)
        found[name] = hasher.digest(), size_bytes
    return found


def _counts(name: str, left_out: Collection[str] | None) -> bool:
    """Return whether a file or folder counts: not hidden, or, where names are given, none of those."""
    return not name.startswith(".") if left_out is None else name not in left_out


def _files(path: Path, hidden_but: Collection[str] | None = None) -> dict[str, Path]:
    """Return names, with ``/``, to files; never follows a link that leads out of the folder."""
    home = path.resolve()
    found: dict[str, Path] = {}
    total_bytes = 0
    for parent, folders, names in os.walk(path):
        left_out = None if hidden_but is None else hidden_but if Path(parent) == path else ()
        folders[:] = [name for name in folders if _counts(name, left_out)]
        for name in (*folders, *(name for name in names if _counts(name, left_out))):
            item = Path(parent, name)
            if item.is_symlink() and (name in folders or not item.resolve().is_relative_to(home)):
                # Its target's contents would be read and could come out in the answers.
                raise FormatError(
                    f"{shown_name(path)}: {name[:80]!r} is a link out of the folder; "
                    "copy the folder with 'cp -rL'"
                )
            if name in folders:
                continue
            if not item.exists() or not stat.S_ISREG(item.stat().st_mode):
                raise FormatError(f"{shown_name(path)}: {name[:80]!r} is not a file")
            total_bytes += item.stat().st_size
            if len(found) == _FILE_COUNT_LIMIT or total_bytes > _FILES_LIMIT_BYTES:
                raise FormatError(
                    f"{shown_name(path)} holds more than {_FILE_COUNT_LIMIT} files, "
                    f"or more than {_FILES_LIMIT_BYTES} bytes"
                )
            text = item.relative_to(path).as_posix()
            if not text.isprintable():
                raise FormatError(
                    f"{shown_name(path)} holds a file whose name is not printable: {text[:80]!r}"
                )
            found[text] = item
    return found


def _read_json(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            data = file.read(_JSON_LIMIT_BYTES + 1)
        if len(data) > _JSON_LIMIT_BYTES:
            raise FormatError(f"{shown_name(path)} is larger than {_JSON_LIMIT_BYTES} bytes")
        value = json.loads(data, parse_constant=_refuse_constant)
    except (OSError, ValueError, RecursionError) as error:
        raise FormatError(f"{shown_name(path)} is not JSON: {one_line(error)}") from error
    if not isinstance(value, dict):
        raise FormatError(f"{shown_name(path)} is not an object")
    return value


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number")


def _check_config(config: dict[str, Any], path: Path) -> None:
    _check_keys(config, path)
    if config.get("model_type") == "timm_wrapper":
        raise FormatError(f"{shown_name(path)} names a network of timm; give it as timm:NAME")
    for key, number in _numbers(config):
        limit = _DEPTH_LIMIT if any(word in key for word in _DEPTH_WORDS) else _NUMBER_LIMIT
        # A million layers of nothing fill no memory, but take for ever to make.
        if abs(number) > limit:
            raise FormatError(f"{shown_name(path)}: {CONFIG} has {key[:80]!r} larger than {limit}")


def _check_processor(processor: dict[str, Any] | None, path: Path) -> None:
    if processor is None:
        return
    _check_keys(processor, path)
    for key, number in _numbers(processor):
        # Every question would be blown up to such a size.
        if abs(number) > _SIDE_LIMIT:
            raise FormatError(f"{shown_name(path)}: {PROCESSOR} has {key[:80]!r} larger than {_SIDE_LIMIT}")


def _check_keys(value: Any, path: Path) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            for part, what in _ELSEWHERE.items():
                if part in key and item not in (None, False):
                    raise FormatError(
                        f"{shown_name(path)} names {what} ({key[:80]!r}), which is never loaded"
                    )
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _check_keys(item, path)


def _numbers(value: Any, key: str = "") -> list[tuple[str, float]]:
    """Return every number with the key it stands under; class numbers are not sizes."""
    if isinstance(value, dict):
        return [
            pair
            for name, item in value.items()
            if name not in ("label2id", "id2label")
            for pair in _numbers(item, name)
        ]
    if isinstance(value, list):
        return [pair for item in value for pair in _numbers(item, key)]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return [(key, value)]
    return []


def _element_count(path: Path, files: dict[str, Path]) -> int:
    if _WEIGHTS in files:
        shards = {_WEIGHTS}
    elif _INDEX in files:
        places = _read_json(path / _INDEX).get("weight_map")
        shards = {str(name) for name in places.values()} if isinstance(places, dict) else set()
        if not shards or not all(name in files and "/" not in name for name in shards):
            # Names with "..": transformers would join them to the folder and open what is there.
            raise FormatError(f"{shown_name(path)}: {_INDEX} names weights that are not in the folder")
    else:
        raise FormatError(
            f"{shown_name(path)} holds no {_WEIGHTS}; pickles (pytorch_model.bin) are never loaded: "
            "whoever made it converts with save_pretrained(safe_serialization=True)"
        )
    total = 0
    for name in shards:
        try:
            with safe_open(path / name, framework="numpy") as file:
                total += sum(math.prod(file.get_slice(key).get_shape()) for key in file.keys())  # noqa: SIM118 - not a dict
        except (SafetensorError, OSError, ValueError) as error:
            raise FormatError(f"{name} is not a safetensors file: {one_line(error)}") from error
    return total
