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
    from earmark.formats.journal_v1 import Journal
    from earmark.keys import MarkingKey, OwnerKey, VerificationKey

KeyPath = Annotated[Path, typer.Option("--key", help="Marking key, e.g. acme.key (secret).")]
OwnerKeyPath = Annotated[
    Path | None,
    typer.Option(
        "--owner-key",
        help="Signing key of the key's owner (secret); default beside the key: acme.owner.key, else "
        "owner.key.",
    ),
]


def now() -> datetime:
    """Return the time, aware."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class KeyPaths:
    """The three files of a key, the owner key made with it if none was given, and a provable key's fourth."""

    key: Path
    verification_key: Path
    journal: Path
    owner: Path
    commitments: Path


def key_paths(prefix: Path) -> KeyPaths:
    """Return acme.key, acme.vk.json, acme.journal, acme.owner.key and acme.commitments for ``acme``."""
    folder, stem = prefix.parent, prefix.name.removesuffix(".key")
    return KeyPaths(
        folder / f"{stem}.key",
        folder / f"{stem}.vk.json",
        folder / f"{stem}.journal",
        folder / f"{stem}.owner.key",
        folder / f"{stem}.commitments",
    )


def owner_path(beside: Path) -> Path:
    """Return where the signing key of a key's owner lies: acme.owner.key beside acme.key, else owner.key."""
    stem = beside.name.removesuffix(".vk.json").removesuffix(".key")
    own, common = beside.with_name(f"{stem}.owner.key"), beside.with_name("owner.key")
    return common if common.exists() and not own.exists() else own


def read_key(path: Path, passphrase_file: Path | None) -> "MarkingKey":
    """Read a marking key, asking for its passphrase if need be."""
    from earmark.files import read_bounded
    from earmark.formats import envelope, marking_key_v1

    data = read_bounded(path, marking_key_v1.SIZE_LIMIT_BYTES, "marking key")
    envelope.read_header(data)  # nobody is asked for the passphrase of something else
    return marking_key_v1.read(data, passphrase(path.name, passphrase_file, (VARIABLE,)))


def read_verification_key(path: Path) -> "VerificationKey":
    """Read a public key file."""
    from earmark.files import read_bounded
    from earmark.formats import verification_key_v1

    return verification_key_v1.read(
        read_bounded(path, verification_key_v1.SIZE_LIMIT_BYTES, "verification key")
    )


def read_owner(path: Path, passphrase_file: Path | None) -> "OwnerKey":
    """Read an owner key, asking for its passphrase if need be."""
    from earmark.files import read_bounded
    from earmark.formats import envelope, owner_key_v1

    data = read_bounded(path, owner_key_v1.SIZE_LIMIT_BYTES, "owner key")
    envelope.read_header(data)  # nobody is asked for the passphrase of something else
    return owner_key_v1.read(data, passphrase(path.name, passphrase_file, (OWNER_VARIABLE, VARIABLE)))


def write_owner(path: Path, owner: "OwnerKey", secret: str) -> None:
    """Write an owner key; an existing file is refused."""
    from earmark.files import SECRET_MODE, write_new
    from earmark.formats import owner_key_v1

    write_new(path, owner_key_v1.write(owner, secret), SECRET_MODE)


def open_journal(key_path: Path, journal: Path | None, key: "MarkingKey") -> "Journal":
    """Open a key's journal; a missing one is refused."""
    from earmark.formats.journal_v1 import Journal

    return Journal(journal or key_paths(key_path).journal, key.transcript.root, now)


def write_key(paths: KeyPaths, key: "MarkingKey", secret: str) -> None:
    """Write key, public key file and journal, and a provable key's commitments: all of them, or none.

    Raises:
        EarmarkError: One of them exists already, or cannot be written.
    """
    from earmark.files import SECRET_MODE, write_new
    from earmark.formats import linear_commitments_v1, marking_key_v1, verification_key_v1
    from earmark.formats.journal_v1 import Journal

    public = verification_key_v1.write(key.verification_key)
    sealed = marking_key_v1.write(key, secret)
    provable: tuple[tuple[Path, Callable[[], object]], ...] = ()
    if key.randomness is not None:
        commitments = linear_commitments_v1.write(key)
        provable = ((paths.commitments, lambda: write_new(paths.commitments, commitments)),)
    steps: tuple[tuple[Path, Callable[[], object]], ...] = (
        *provable,
        (paths.journal, lambda: Journal.create(paths.journal, key.transcript.root)),
        (paths.verification_key, lambda: write_new(paths.verification_key, public)),
        (paths.key, lambda: write_new(paths.key, sealed, SECRET_MODE)),
    )
    refuse_existing(paths.key, paths.verification_key, paths.journal, paths.commitments)
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
