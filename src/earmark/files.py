"""Reading within bounds, and writing that happens wholly or not at all.

A file that somebody hands in may be endless, a pipe that never answers, or a device. A file that we
write may be a key that exists nowhere else: it appears under its name complete and synced, or not at
all, and never in the place of another.
"""

import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EINVAL, ENOTSUP
from pathlib import Path

from earmark.errors import EarmarkError, FormatError

PUBLIC_MODE = 0o644
SECRET_MODE = 0o600


def shown(path: Path) -> str:
    """Return a path as messages show it: on one line, whatever its name holds."""
    text = str(path)
    return text if text.isprintable() else ascii(text)


def read_bounded(path: Path, limit_bytes: int, what: str) -> bytes:
    """Return the bytes of a regular file.

    Args:
        path: The file; a symbolic link is followed.
        limit_bytes: Longest accepted file.
        what: What it is meant to be, for messages, e.g. ``"verification key"``.

    Returns:
        Everything in it.

    Raises:
        FormatError: The file is missing, unreadable, not a regular file, or too large.
    """
    try:
        # Without O_NONBLOCK, opening a named pipe would wait for a writer for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            return _read_regular(descriptor, limit_bytes)
        finally:
            os.close(descriptor)
    except FileNotFoundError as error:
        raise FormatError(f"{what}: {shown(path)} does not exist") from error
    except OSError as error:
        raise FormatError(f"{what}: {shown(path)} cannot be read: {error.strerror}") from error
    except FormatError as error:
        raise FormatError(f"{what}: {shown(path)} {error}") from error


def _read_regular(descriptor: int, limit_bytes: int) -> bytes:
    status = os.fstat(descriptor)
    if stat.S_ISDIR(status.st_mode):
        raise FormatError("is a folder, not a file")
    if not stat.S_ISREG(status.st_mode):
        raise FormatError("is not a regular file")
    if status.st_size > limit_bytes:
        raise FormatError(f"is larger than {limit_bytes} bytes")
    with open(descriptor, "rb", closefd=False) as file:
        data = file.read(status.st_size + 1)
    # The system's own files say that they are empty, and a file may grow while it is read.
    if len(data) != status.st_size:
        raise FormatError("changed while it was read")
    return data


def write_new(path: Path, data: bytes, mode: int = PUBLIC_MODE) -> None:
    """Write a file that must not exist yet: complete and synced, or not at all.

    Args:
        path: Where; its folder exists.
        data: The content.
        mode: Permissions, narrowed by the process's umask.

    Raises:
        EarmarkError: Something of that name exists already, or the file cannot be written.
    """
    with _temporary(path) as temporary:
        _write_synced(temporary, data, mode)
        try:
            _move_to_new(temporary, path)
        except FileExistsError as error:
            raise EarmarkError(
                f"{shown(path)} exists already; keys are never overwritten: choose another name"
            ) from error
        try:
            _sync_folder(path.parent)
        except BaseException:
            # It exists only since a moment ago: whoever is told that writing failed finds nothing there.
            path.unlink(missing_ok=True)
            raise


def write_replacing(path: Path, data: bytes, mode: int = PUBLIC_MODE) -> None:
    """Write a file in one step, in the place of another if there is one.

    Args:
        path: Where; its folder exists.
        data: The content.
        mode: Permissions, narrowed by the process's umask.

    Raises:
        EarmarkError: The file cannot be written; what was there before is untouched.
    """
    with _temporary(path) as temporary:
        _write_synced(temporary, data, mode)
        temporary.replace(path)
        _sync_folder(path.parent)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a name under which a library may write a file that then takes the place of ``path``.

    If the body raises, the file is removed and what was there before is untouched.

    Args:
        path: Where the file is to be; its folder exists.

    Yields:
        A name in the same folder, with the same ending; nothing exists there yet.

    Raises:
        EarmarkError: The file cannot be written, or the body wrote none.
    """
    with _temporary(path) as temporary:
        yield temporary
        _sync(temporary, os.O_RDONLY)
        temporary.replace(path)
        _sync_folder(path.parent)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield a folder to be filled, which then gets its name: complete, or not at all.

    Args:
        path: Where the folder is to be; nothing may exist there.

    Yields:
        An empty folder beside it. If the body raises, it is removed with all it holds.

    Raises:
        EarmarkError: Something of that name exists already, or the folder cannot be made.
    """
    temporary = path.parent / _hidden_name("")
    try:
        # Before the body and not only after it: what the body does besides may not be undone.
        if path.exists() or path.is_symlink():
            raise EarmarkError(f"{shown(path)} exists already; choose another name")
        temporary.mkdir()
        yield temporary
        temporary.rename(path)
    except OSError as error:
        raise EarmarkError(f"{shown(path)} cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def _temporary(path: Path) -> Iterator[Path]:
    # In the same folder: a rename is atomic only within one file system.
    temporary = path.parent / _hidden_name(path.suffix[:20])
    try:
        yield temporary
    except OSError as error:
        raise EarmarkError(f"{shown(path)} cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def _hidden_name(suffix: str) -> str:
    # It cannot be guessed: in a shared folder nobody can put a link there first.
    return f".earmark-{secrets.token_hex(16)}{suffix}"


def _write_synced(path: Path, data: bytes, mode: int) -> None:
    # The mode is set as the file is made: a secret is never readable by others, not even for a moment.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)


def _move_to_new(temporary: Path, path: Path) -> None:
    """Give the file its name, unless the name is taken: FileExistsError."""
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        raise
    except OSError:
        # Some file systems (FAT, some network shares) have no hard links. Then the name is reserved by an
        # empty file, and the complete one takes its place.
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, SECRET_MODE))
        try:
            temporary.replace(path)
        except BaseException:
            path.unlink()
            raise


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    """Make the new name itself survive a loss of power."""
    try:
        _sync(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        if error.errno not in (EINVAL, ENOTSUP):  # some file systems cannot sync a folder, and need not
            raise
