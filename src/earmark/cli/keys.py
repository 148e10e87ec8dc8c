"""Reading and writing keys for the commands."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earmark.cli.passphrase import OWNER_VARIABLE, VARIABLE, passphrase
from earmark.errors import EarmarkError

if TYPE_CHECKING:
    from earmark.formats.journal import Journal
    from earmark.keys import MarkingKey, OwnerKey

KeyPath = Annotated[Path, typer.Option("--key", help="Marking key, e.g. acme.key (secret).")]


def now() -> datetime:
    """Return the time, aware."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class KeyPaths:
    """The three files of a key, and the owner key made with it if none was given."""

    key: Path
    verification_key: Path
    journal: Path
    owner: Path


def key_paths(prefix: Path) -> KeyPaths:
    """Return acme.key, acme.vk.json, acme.journal and acme.owner.key for the prefix ``acme``."""
    folder, stem = prefix.parent, prefix.name.removesuffix(".key")
    return KeyPaths(
        folder / f"{stem}.key",
        folder / f"{stem}.vk.json",
        folder / f"{stem}.journal",
        folder / f"{stem}.owner.key",
    )


def read_key(path: Path, passphrase_file: Path | None) -> "MarkingKey":
    """Read a marking key, asking for its passphrase if need be."""
    from earmark.formats import marking_key_v1

    return marking_key_v1.load(path, passphrase(path.name, passphrase_file, (VARIABLE,)))


def read_owner(path: Path, passphrase_file: Path | None) -> "OwnerKey":
    """Read an owner key, asking for its passphrase if need be."""
    from earmark.formats import owner_key_v1

    return owner_key_v1.load(path, passphrase(path.name, passphrase_file, (OWNER_VARIABLE, VARIABLE)))


def open_journal(key_path: Path, journal: Path | None, key: "MarkingKey") -> "Journal":
    """Open a key's journal; a missing one is refused."""
    from earmark.formats.journal import Journal

    return Journal(journal or key_paths(key_path).journal, key.verification_key, now)


def write_key(paths: KeyPaths, key: "MarkingKey", secret: str) -> None:
    """Write key, public key file and journal: all three, or none.

    Raises:
        EarmarkError: One of them exists already, or cannot be written.
    """
    from earmark.formats import marking_key_v1, verification_key_v1
    from earmark.formats.journal import Journal

    steps: tuple[tuple[Path, Callable[[], object]], ...] = (
        (paths.journal, lambda: Journal.create(paths.journal, key.transcript.root)),
        (
            paths.verification_key,
            lambda: verification_key_v1.save(paths.verification_key, key.verification_key),
        ),
        (paths.key, lambda: marking_key_v1.save(paths.key, key, secret)),
    )
    refuse_existing(paths.key, paths.verification_key, paths.journal)
    written: list[Path] = []
    try:
        for path, write in steps:
            write()
            written.append(path)
    except BaseException:
        for path in written:
            path.unlink(missing_ok=True)
        raise


def refuse_existing(*paths: Path) -> None:
    """Raise before any work if one of the files exists."""
    for path in paths:
        if path.exists() or path.is_symlink():
            raise EarmarkError(f"{path} exists already; keys are never overwritten: choose another name")
