"""acme.vk.json: the public verification key (docs/formats/verification-key-v1.md)."""

from collections.abc import Sequence
from typing import Any

from earmark.commitment.canonical import canonical_json, parse_canonical_json
from earmark.commitment.reading import Fields, hex_bytes, read_version
from earmark.errors import FormatError
from earmark.keys import Transcript, VerificationKey

FORMAT = "earmark/verification-key/v1"
SIZE_LIMIT_BYTES = 20 << 20
TIMESTAMP_LIMIT = 16
_TOKEN_LIMIT_BYTES = 1 << 16


def write(key: VerificationKey) -> bytes:
    """Return the one file of a verification key.

    Args:
        key: The key; its signature is checked, so that no file is written that cannot be read.

    Returns:
        Canonical JSON and a line feed.

    Raises:
        InvalidKeyError: The signature does not cover the transcript.
        ValueError: There are more than 16 timestamps, or one is empty or larger than 64 KiB.
    """
    key.check()
    check_timestamps(key.timestamps)
    return (
        canonical_json(
            {
                "format": FORMAT,
                "transcript": key.transcript.to_json(),
                "signature": key.signature.hex(),
                "timestamps": [token.hex() for token in key.timestamps],
            }
        )
        + b"\n"
    )


def read(data: bytes) -> VerificationKey:
    """Read and check a verification key.

    Args:
        data: The file's bytes.

    Returns:
        The key; its signature covers its transcript. Tokens of time-stamping authorities are *not* checked.

    Raises:
        FormatError: The bytes are not the one file of a key.
        UnsupportedVersionError: It is another version.
        InvalidKeyError: The signature does not cover the transcript.
    """
    # One line feed and nothing else: a second spelling of a key would have a second digest to be timestamped.
    if not data.endswith(b"\n"):
        raise FormatError("the verification key does not end with a line feed; copy the file unaltered")
    value = parse_canonical_json(data[:-1], "the verification key", SIZE_LIMIT_BYTES)
    read_version(value, FORMAT)
    fields = Fields(value, "verification key")
    fields.skip("format")
    key = VerificationKey(
        Transcript.from_json(fields.take("transcript")),
        fields.hex("signature", 64),
        tuple(read_timestamp(token) for token in fields.list("timestamps", 0, TIMESTAMP_LIMIT)),
    )
    fields.finish()
    key.check()
    return key


def check_timestamps(tokens: Sequence[bytes]) -> None:
    """Raise unless the tokens fit a file.

    Args:
        tokens: In order.

    Raises:
        ValueError: There are more than 16, or one is empty or larger than 64 KiB.
    """
    if len(tokens) > TIMESTAMP_LIMIT or not all(1 <= len(token) <= _TOKEN_LIMIT_BYTES for token in tokens):
        raise ValueError(f"at most {TIMESTAMP_LIMIT} timestamps of 1 to {_TOKEN_LIMIT_BYTES} bytes fit")


def read_timestamp(value: Any) -> bytes:
    """Return a token from its text in a file; what it shows is not checked.

    Args:
        value: As it stands in the file.

    Returns:
        1 to 65,536 bytes.

    Raises:
        FormatError: It is not such a text.
    """
    if not isinstance(value, str) or not 2 <= len(value) <= 2 * _TOKEN_LIMIT_BYTES:
        raise FormatError(f"a timestamp is not a text of 1 to {_TOKEN_LIMIT_BYTES} bytes")
    return hex_bytes(value, len(value) // 2, "a timestamp")
