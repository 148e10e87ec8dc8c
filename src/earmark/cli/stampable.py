"""Files that carry stamps, for the commands: reading them, and adding stamps without losing any."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from earmark.cli.authorities import Failed, Stamped, ask_authorities, in_words
from earmark.cli.output import Output

if TYPE_CHECKING:
    from earmark.claims.certificates import TrustedRoots
    from earmark.claims.release_record import ReleaseRecord
    from earmark.claims.timestamps import TimestampRequest
    from earmark.keys import VerificationKey

    Stampable = VerificationKey | ReleaseRecord

_RECORD_START = b'{"format":"earmark/release-record/'


def stamp(
    path: Path, urls: Sequence[str], roots: "TrustedRoots", seconds: float, output: Output
) -> tuple[list[Stamped | Failed], int]:
    """Have a public key or a release record stamped, and add each stamp to its file as it comes.

    Args:
        path: The file.
        urls: Whom to ask.
        roots: What the asker trusts.
        seconds: For each authority.
        output: Where progress is shown.

    Returns:
        For each authority its stamp or why there is none, and how many stamps the file has now.

    Raises:
        TimestampError: Nobody gave a stamp; the file is as it was.
        FormatError: It is neither a public key nor a release record.
        ValueError: There is no room for so many stamps.
    """
    from earmark.errors import TimestampError
    from earmark.formats.verification_key_v1 import TIMESTAMP_LIMIT

    what, digest = _read(path)
    if len(what.timestamps) + len(urls) > TIMESTAMP_LIMIT:
        raise ValueError(
            f"{path} has {len(what.timestamps)} stamps and room for {TIMESTAMP_LIMIT}: name fewer authorities"
        )
    outcomes = ask_authorities(
        urls,
        lambda: _request(what),
        roots,
        seconds,
        output,
        lambda stamped: _add(path, stamped.token, digest),
    )
    if not any(isinstance(item, Stamped) for item in outcomes):
        raise TimestampError(
            "\n".join((f"no authority gave a stamp; {path} is as it was", *in_words(outcomes)))
        )
    return outcomes, len(_read(path)[0].timestamps)


def _add(path: Path, token: bytes, digest: bytes) -> None:
    """Add a stamp to a file, read anew: asking takes a while, and what was added meanwhile is not lost."""
    from earmark.errors import FormatError

    what, digest_now = _read(path)
    if digest_now != digest:
        raise FormatError(f"{path} became another file while it was stamped")
    _write(path, replace(what, timestamps=(*what.timestamps, token)))


def _read(path: Path) -> "tuple[Stampable, bytes]":
    """Return what is in the file, and what its stamps are over."""
    from earmark.claims.key_stamps import key_digest
    from earmark.files import read_bounded
    from earmark.formats import release_record_v1, verification_key_v1

    data = read_bounded(path, verification_key_v1.SIZE_LIMIT_BYTES, "public key or release record")
    if data.startswith(_RECORD_START):
        record = release_record_v1.read(data)
        return record, record.digest
    key = verification_key_v1.read(data)
    return key, key_digest(key)


def _request(what: "Stampable") -> "TimestampRequest":
    from earmark.claims.key_stamps import request_for_key
    from earmark.keys import VerificationKey

    return request_for_key(what) if isinstance(what, VerificationKey) else what.request()


def _write(path: Path, what: "Stampable") -> None:
    from earmark.files import write_replacing
    from earmark.formats import release_record_v1, verification_key_v1
    from earmark.keys import VerificationKey

    if isinstance(what, VerificationKey):
        write_replacing(path, verification_key_v1.write(what))
    else:
        write_replacing(path, release_record_v1.write(what))
