"""Where a passphrase comes from: a file, the environment, or a prompt; never an argument.

Arguments are seen by every process on the machine and kept in the shell's history.
"""

import getpass
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from earmark.errors import FormatError

VARIABLE = "EARMARK_PASSPHRASE"
OWNER_VARIABLE = "EARMARK_OWNER_PASSPHRASE"
_SIZE_LIMIT_BYTES = 4096

PassphraseFile = Annotated[
    Path | None,
    typer.Option(
        help=f"File whose first line is the passphrase of the marking key; else ${VARIABLE}, else asked."
    ),
]
OwnerPassphraseFile = Annotated[
    Path | None,
    typer.Option(help=f"The same for the owner key; else ${OWNER_VARIABLE}, ${VARIABLE}, else asked."),
]


def passphrase(what: str, file: Path | None, variables: tuple[str, ...], *, new: bool = False) -> str:
    """Return a passphrase.

    Args:
        what: What it opens, for the prompt.
        file: A file whose first line it is.
        variables: Environment variables to look at, in order.
        new: Ask twice.

    Returns:
        The passphrase, not empty.

    Raises:
        FormatError: The file cannot be read.
        ValueError: There is none, or it is empty.
    """
    if file is not None:
        found = _first_line(file)
    else:
        found = next((os.environ[name] for name in variables if os.environ.get(name)), "")
        if not found:
            found = _ask(what, variables[0], new)
    if not found:
        raise ValueError(f"the passphrase of {what} is empty")
    return found


def _first_line(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            data = stream.read(_SIZE_LIMIT_BYTES + 1)
        if len(data) > _SIZE_LIMIT_BYTES:
            raise FormatError(f"the passphrase file {file} is larger than {_SIZE_LIMIT_BYTES} bytes")
        return data.decode().split("\n", 1)[0].rstrip("\r")
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(f"the passphrase file {file} cannot be read: {error}") from error


def _ask(what: str, variable: str, new: bool) -> str:
    if not sys.stdin.isatty():
        raise ValueError(
            f"no passphrase for {what}: use --passphrase-file, set {variable}, or run in a terminal"
        )
    entered = getpass.getpass(f"{'new ' if new else ''}passphrase for {what}: ")
    if new and getpass.getpass("the same again: ") != entered:
        raise ValueError("the two passphrases differ")
    return entered
