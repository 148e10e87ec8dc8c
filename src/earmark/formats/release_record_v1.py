"""marked.release.json: a signed and stamped release (docs/formats/release-record-v1.md)."""

from typing import Any

from earmark.claims.release_record import RECORD_FORMAT, Release, ReleaseRecord
from earmark.commitment.canonical import canonical_json, parse_canonical_json
from earmark.commitment.reading import Fields, read_version
from earmark.errors import FormatError
from earmark.formats.verification_key_v1 import TIMESTAMP_LIMIT, check_timestamps, read_timestamp

FORMAT = RECORD_FORMAT
SIZE_LIMIT_BYTES = 4 << 20


def write(record: ReleaseRecord) -> bytes:
    """Return the one file of a release record.

    Args:
        record: The record; its signature is checked, so that no file is written that cannot be read.

    Returns:
        Canonical JSON and a line feed.

    Raises:
        InvalidKeyError: The signature does not cover the statement.
        FormatError: The statement has a field out of range.
        ValueError: There are more than 16 timestamps, or one is empty or larger than 64 KiB.
    """
    record.check()
    Release.from_json(record.release.to_json())
    check_timestamps(record.timestamps)
    return canonical_json(to_json(record)) + b"\n"


def to_json(record: ReleaseRecord) -> dict[str, Any]:
    """Return a record as the JSON value of its file."""
    return {
        "format": FORMAT,
        "release": record.release.to_json(),
        "signature": record.signature.hex(),
        "timestamps": [token.hex() for token in record.timestamps],
    }


def read(data: bytes) -> ReleaseRecord:
    """Read and check a release record.

    Args:
        data: The file's bytes.

    Returns:
        The record; the owner that it names signed it. Whether that is the owner of a key, and what the
        tokens show, is *not* checked: see ``earmark.claims.release_record.check_release``.

    Raises:
        FormatError: The bytes are not the one file of a record.
        UnsupportedVersionError: It is another version.
        InvalidKeyError: The signature does not cover the statement.
    """
    if not data.endswith(b"\n"):
        raise FormatError("the release record does not end with a line feed; copy the file unaltered")
    value = parse_canonical_json(data[:-1], "the release record", SIZE_LIMIT_BYTES)
    read_version(value, FORMAT)
    fields = Fields(value, "release record")
    fields.skip("format")
    record = ReleaseRecord(
        Release.from_json(fields.take("release")),
        fields.hex("signature", 64),
        tuple(read_timestamp(token) for token in fields.list("timestamps", 0, TIMESTAMP_LIMIT)),
    )
    fields.finish()
    record.check()
    return record
