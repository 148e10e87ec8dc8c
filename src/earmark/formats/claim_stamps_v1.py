"""acme.claim-stamps: stamps that wait for their claim (docs/formats/claim-stamps-v1.md)."""

from collections.abc import Mapping

from earmark.claims.claim import STAMP_LIMIT, read_token
from earmark.commitment.canonical import Json, canonical_json, parse_canonical_json
from earmark.commitment.reading import Fields, hex_bytes, read_version
from earmark.errors import FormatError

FORMAT = "earmark/claim-stamps/v1"
SIZE_LIMIT_BYTES = 64 << 20
_NOTICE_BYTES = 32
_NOTICE_LIMIT = 24  # with 16 stamps of 64 KiB each they fit into the file


def write(stamps: Mapping[bytes, tuple[bytes, ...]]) -> bytes:
    """Return the one file of these stamps.

    Args:
        stamps: Notices of suspects (``Statement.notice``) to the tokens over them.

    Returns:
        Canonical JSON and a line feed.

    Raises:
        FormatError: There are more than 24 notices, or more than 16 tokens over one.
    """
    listed: dict[str, Json] = {
        notice.hex(): [token.hex() for token in tokens] for notice, tokens in stamps.items()
    }
    data = canonical_json({"format": FORMAT, "stamps": listed}) + b"\n"
    read(data)
    return data


def read(data: bytes) -> dict[bytes, tuple[bytes, ...]]:
    """Read a file of stamps; what the tokens show is not checked.

    Args:
        data: The file's bytes.

    Returns:
        As given to ``write``.

    Raises:
        FormatError: It is malformed.
        UnsupportedVersionError: It is another version.
    """
    if not data.endswith(b"\n"):
        raise FormatError("the file of stamps does not end with a line feed")
    value = parse_canonical_json(data[:-1], "the file of stamps", SIZE_LIMIT_BYTES)
    read_version(value, FORMAT)
    fields = Fields(value, "the file of stamps")
    fields.skip("format")
    listed = fields.object("stamps").values
    fields.finish()
    if len(listed) > _NOTICE_LIMIT:
        raise FormatError(f"stamps of more than {_NOTICE_LIMIT} claims wait; write those claims first")
    found = {}
    for notice, tokens in listed.items():
        if not isinstance(tokens, list) or not 1 <= len(tokens) <= STAMP_LIMIT:
            raise FormatError(f"over one notice there are 1 to {STAMP_LIMIT} stamps")
        name = hex_bytes(notice, _NOTICE_BYTES, "a notice")
        found[name] = tuple(read_token(token) for token in tokens)
    return found
