"""The owner's signing key, encrypted under a passphrase (docs/formats/owner-key-v1.md)."""

from earmark.commitment.canonical import canonical_json, parse_canonical_json
from earmark.commitment.reading import Fields
from earmark.errors import FormatError
from earmark.formats import envelope
from earmark.keys import OwnerKey
from earmark.keys.transcript import NAME_LIMIT

FORMAT = "earmark/owner-key/v1"
SIZE_LIMIT_BYTES = 1 << 17


def write(
    key: OwnerKey,
    passphrase: str,
    *,
    TESTING_ONLY_scrypt_n: int = envelope.SCRYPT_N,  # noqa: N803 - what weakens security must catch the eye
) -> bytes:
    """Return an encrypted file of an owner key.

    Args:
        key: The key.
        passphrase: Any text but the empty one.
        TESTING_ONLY_scrypt_n: Cost of a guess, see ``envelope.seal``.

    Returns:
        The file's bytes.

    Raises:
        ValueError: The passphrase is empty, or the name does not have 1 to 200 characters.
    """
    content = canonical_json({"name": key.name, "secret": key.secret.hex()})
    return envelope.seal(
        FORMAT, _about(key), content, passphrase, TESTING_ONLY_scrypt_n=TESTING_ONLY_scrypt_n
    )


def read(data: bytes, passphrase: str) -> OwnerKey:
    """Open an owner key.

    Args:
        data: The file's bytes.
        passphrase: As given when it was written.

    Returns:
        The key.

    Raises:
        PassphraseError: Wrong passphrase or altered bytes.
        UnsupportedVersionError: It is another version.
        FormatError: It is malformed, or shows another owner than it holds.
    """
    header, content = envelope.unseal(data, FORMAT, passphrase)
    fields = Fields(parse_canonical_json(content, "the owner key", SIZE_LIMIT_BYTES), "owner key")
    key = OwnerKey(fields.text("name", NAME_LIMIT), fields.hex("secret", 32))
    fields.finish()
    if header.about != _about(key):
        raise FormatError("the owner key shows another name or public key than it holds")
    return key


def _about(key: OwnerKey) -> dict[str, str]:
    return {"owner": key.name, "public_key": key.owner.public_key.hex()}
