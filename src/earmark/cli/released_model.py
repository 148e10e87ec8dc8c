"""A model as it lies on the disk, for the command that releases it: nothing in it is loaded or run."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from earmark.errors import FormatError

if TYPE_CHECKING:
    from earmark.claims.release_record import ReleasedModel

_CHUNK_BYTES = 1 << 20
_FOLDER_PREFIX = "hf:"
_XGBOOST_PREFIX = "xgboost:"


def read_model(
    name: str, on_progress: Callable[[int, int], None], *, for_model_signing: bool = False
) -> "tuple[ReleasedModel, dict[str, bytes]]":
    """Return which model it is, and SHA-256 of each of its files by path.

    Args:
        name: As for ``earmark verify``: a file, ``xgboost:FILE.json`` among them, or ``hf:FOLDER``.
        on_progress: Told how many bytes were read, of how many.
        for_model_signing: Also read the hidden files of a folder, which are none of the model's identity, and
            refuse links: OpenSSF model signing counts the ones and takes none of the others.

    Returns:
        The model, with the identity that it has as a suspect, and its files; of a model that is one file,
        under ``"."``.

    Raises:
        FormatError: There is no such file or folder, it is of a kind that is never loaded, or has a link.
        ValueError: It is no kind of model that can be released.
    """
    from earmark.claims.release_record import ReleasedModel
    from earmark.formats.in_toto import IGNORED_PATHS

    if name.startswith(_FOLDER_PREFIX):
        from earmark.models.hf_folder import digest_of_files, file_digests

        folder = Path(name.removeprefix(_FOLDER_PREFIX))
        if not folder.is_dir():
            raise FormatError(f"there is no folder {folder}")
        found = file_digests(folder, on_progress, IGNORED_PATHS if for_model_signing else None)
        if for_model_signing:
            _refuse_links(folder, *(folder / path for path in found))
        shown = {path: entry for path, entry in found.items() if not _is_hidden(path)}
        digest = bytes.fromhex(digest_of_files({path: sha256 for path, (sha256, _) in shown.items()}))
        size_bytes = sum(size for _, size in shown.values())
        model = ReleasedModel(_shown(folder), "folder", digest, size_bytes)
        return model, {path: sha256 for path, (sha256, _) in found.items()}
    path = Path(name.removeprefix(_XGBOOST_PREFIX))
    _check_kind(path, is_named=name.startswith(_XGBOOST_PREFIX))
    if for_model_signing:
        _refuse_links(path)
    digest, size_bytes = _file_digest(path, on_progress)
    return ReleasedModel(_shown(path), "file", digest, size_bytes), {".": digest}


def _is_hidden(path: str) -> bool:
    return any(part.startswith(".") for part in path.split("/"))


def _refuse_links(*paths: Path) -> None:
    for path in paths:
        if path.is_symlink():
            raise FormatError(
                f"{path} is a link, which OpenSSF model signing does not sign; release a copy (cp -rL), or "
                "leave out --in-toto"
            )


def _shown(path: Path) -> str:
    name = path.absolute().name[:100] or "model"
    return name if name.isprintable() else ascii(name)[:200]


def _check_kind(path: Path, *, is_named: bool) -> None:
    from earmark.suspects.opening import MAPPINGS, SUSPECTS

    # A mapping describes a service: its digest is none of a model. That a .json is one must be said.
    endings = [
        ending
        for ending in SUSPECTS
        if ending.startswith(".") and not ending.endswith(":") and ending not in MAPPINGS
    ]
    if not is_named and path.suffix.lower() not in endings:
        raise ValueError(
            f"a model that can be released is hf:FOLDER or a file ending in {', '.join(endings)} "
            f"({_XGBOOST_PREFIX}FILE.json, for JSON of XGBoost); {path.name[:80]!a} is neither"
        )
    if not path.is_file():
        raise FormatError(f"there is no file {path}")


def _file_digest(path: Path, on_progress: Callable[[int, int], None]) -> tuple[bytes, int]:
    hasher, size_bytes = hashlib.sha256(), 0
    try:
        total_bytes = path.stat().st_size
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                hasher.update(chunk)
                size_bytes += len(chunk)
                on_progress(size_bytes, total_bytes)
    except OSError as error:
        raise FormatError(f"{path} cannot be read: {error.strerror}") from error
    return hasher.digest(), size_bytes
