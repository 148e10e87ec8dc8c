"""Encryption under a passphrase, for files that hold secrets (docs/formats/envelope-v1.md).

scrypt makes every guess at the passphrase cost 128 MiB and about half a second; ChaCha20-Poly1305 hides the
content and notices every altered byte, the header's included.
"""

import secrets
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from earmark.commitment import frame
from earmark.commitment.canonical import canonical_json, parse_canonical_json
from earmark.commitment.reading import Fields, read_version
from earmark.errors import FormatError, PassphraseError

_LABEL = "earmark/envelope/v1"
_HEADER_LIMIT_BYTES = 1 << 16
_SALT_BYTES = 32
_NONCE_BYTES = 12
_KEY_BYTES = 32
SCRYPT_N = 1 << 17
_SCRYPT_R, _SCRYPT_P = 8, 1
_SCRYPT_LIMIT_BYTES = 512 << 20
_ABOUT_LIMIT = 16
_TEXT_LIMIT = 200


@dataclass(frozen=True, slots=True)
class Header:
    """The readable first line of an encrypted file.

    Attributes:
        format: Kind and version of the file.
        about: Public facts. Authenticated only once the file was opened.
        scrypt: The parameters n, r and p, within bounds.
        salt: 32 bytes.
        nonce: 12 bytes.
        line: The line's bytes, without its line feed.
    """

    format: str
    about: Mapping[str, str]
    scrypt: tuple[int, int, int]
    salt: bytes
    nonce: bytes
    line: bytes


def seal(
    file_format: str,
    about: Mapping[str, str],
    content: bytes,
    passphrase: str,
    *,
    TESTING_ONLY_scrypt_n: int = SCRYPT_N,  # noqa: N803 - what weakens security must catch the eye
) -> bytes:
    """Encrypt a content under a passphrase.

    The passphrase is all that protects a stolen file: use several random words.

    Args:
        file_format: Kind and version of the file, e.g. ``earmark/owner-key/v1``.
        about: Public facts, at most 16 texts of at most 200 characters; readable without the passphrase.
        content: What is hidden, below 2 GiB.
        passphrase: Any text but the empty one.
        TESTING_ONLY_scrypt_n: Cost of a guess; anything below the default makes guessing cheap.

    Returns:
        The file's bytes; different ones at every call, because salt and nonce are new.

    Raises:
        ValueError: The passphrase is empty, or ``about`` is out of range.

    Source:
        RFC 7914, RFC 8439; layout ours (docs/formats/envelope-v1.md)

    Example:
        >>> sealed = seal("example/v1", {}, b"secret", "four random words here", TESTING_ONLY_scrypt_n=2)
        >>> unseal(sealed, "example/v1", "four random words here")[1]
        b'secret'
    """
    if not passphrase:
        raise ValueError("an empty passphrase protects nothing; choose several random words")
    _check_about(about)
    salt, nonce = secrets.token_bytes(_SALT_BYTES), secrets.token_bytes(_NONCE_BYTES)
    scrypt = (TESTING_ONLY_scrypt_n, _SCRYPT_R, _SCRYPT_P)
    line = canonical_json(
        {
            "format": file_format,
            "about": dict(about),
            "kdf": {"name": "scrypt", **dict(zip("nrp", scrypt, strict=True)), "salt": salt.hex()},
            "cipher": {"name": "chacha20-poly1305", "nonce": nonce.hex()},
        }
    )
    header = Header(file_format, about, scrypt, salt, nonce, line)
    cipher = ChaCha20Poly1305(_derive(passphrase, header))
    return b"\n".join((line, cipher.encrypt(nonce, content, frame(_LABEL, line))))


def unseal(data: bytes, file_format: str, passphrase: str) -> tuple[Header, bytes]:
    """Decrypt a file.

    Args:
        data: The file's bytes, of bounded length.
        file_format: The expected kind and version.
        passphrase: As given to ``seal``.

    Returns:
        The header, now authenticated, and the content.

    Raises:
        PassphraseError: Wrong passphrase or altered bytes; the two cannot be told apart.
        UnsupportedVersionError: It is another version of this kind.
        FormatError: The header is malformed, or opening would cost too much.
    """
    header = read_header(data)
    read_version({"format": header.format}, file_format)
    cipher = ChaCha20Poly1305(_derive(passphrase, header))
    ciphertext = memoryview(data)[len(header.line) + 1 :]
    try:
        content = cipher.decrypt(header.nonce, ciphertext, frame(_LABEL, header.line))
    except InvalidTag as error:
        raise PassphraseError("the file does not open: wrong passphrase, or the file was altered") from error
    return header, content


def read_header(data: bytes) -> Header:
    """Read the first line of an encrypted file; needs no passphrase.

    Args:
        data: The file's bytes, or at least its first 64 KiB.

    Returns:
        The header. Nothing in it is authenticated yet.

    Raises:
        FormatError: It is malformed, or its parameters would cost too much time or memory.
    """
    end = data.find(b"\n", 0, _HEADER_LIMIT_BYTES + 1)
    if end < 0:
        raise FormatError("not an encrypted Earmark file: it has no header line")
    line = data[:end]
    fields = Fields(parse_canonical_json(line, "the header", _HEADER_LIMIT_BYTES), "header")
    kdf, cipher = fields.object("kdf"), fields.object("cipher")
    kdf.choice("name", ("scrypt",))
    cipher.choice("name", ("chacha20-poly1305",))
    header = Header(
        fields.text("format", _TEXT_LIMIT),
        _read_about(fields.take("about")),
        # r of at least 8 also keeps n below 2^(16 r), which RFC 7914 asks for.
        (kdf.integer("n", 2, 1 << 20), kdf.integer("r", 8, 32), kdf.integer("p", 1, 16)),
        kdf.hex("salt", _SALT_BYTES),
        cipher.hex("nonce", _NONCE_BYTES),
        line,
    )
    for part in (kdf, cipher, fields):
        part.finish()
    n, r, p = header.scrypt
    # A hostile header could otherwise ask for all memory and hours of work before the first check.
    if n & (n - 1) or 128 * n * r * p > _SCRYPT_LIMIT_BYTES:
        raise FormatError("header: the scrypt parameters are not a power of two, or cost more than 512 MiB")
    return header


def _check_about(about: Mapping[str, str]) -> None:
    try:
        _read_about(dict(about))
    except FormatError as error:
        raise ValueError(str(error)) from error


def _read_about(value: Any) -> dict[str, str]:
    fields = Fields(value, "header: about")
    if len(fields.values) > _ABOUT_LIMIT or not all(len(name) <= _TEXT_LIMIT for name in fields.values):
        raise FormatError(f"header: about has more than {_ABOUT_LIMIT} fields, or too long names")
    return {name: fields.text(name, _TEXT_LIMIT) for name in fields.values}


def _derive(passphrase: str, header: Header) -> bytes:
    n, r, p = header.scrypt
    # NFC: the same characters, typed on another system, must be the same bytes. Surrogates stand for bytes
    # of an environment variable that are not UTF-8.
    secret = unicodedata.normalize("NFC", passphrase).encode("utf-8", "surrogateescape")
    try:
        return Scrypt(header.salt, _KEY_BYTES, n, r, p).derive(secret)
    except MemoryError as error:
        raise FormatError(
            f"the passphrase needs {128 * n * r >> 20} MiB of free memory; close other programs and retry"
        ) from error
