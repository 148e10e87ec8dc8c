"""Com and Open with a salted hash.

Binding follows from the collision resistance of SHA-256. Hiding holds in the random-oracle model: the
salt has 256 bits of its own. (The paper asks for *statistical* hiding; docs/mathematics/commitments.md
says what changes.)
"""

import hmac

from earmark.commitment.hashing import digest

SALT_BYTES = 32
_LABEL = "earmark/commitment/v1"


def commit(message: bytes, salt: bytes) -> bytes:
    """Return Com(message, salt).

    Args:
        message: The canonical bytes committed to.
        salt: 32 secret, uniformly random bytes used for nothing else.

    Returns:
        32 bytes that bind to the message and do not reveal it while the salt is secret.

    Raises:
        ValueError: The salt is not 32 bytes long.

    Source:
        Adi et al. 2018, Section 2.4; the scheme is ours (docs/formats/hashing-v1.md)
    """
    if len(salt) != SALT_BYTES:
        raise ValueError(f"a salt has {SALT_BYTES} bytes, not {len(salt)}")
    return digest(_LABEL, salt, message)


def open_commitment(commitment: bytes, message: bytes, salt: bytes) -> bool:
    """Say whether (message, salt) opens the commitment: Open(c, x, r).

    Args:
        commitment: What ``commit`` returned.
        message: The message now revealed.
        salt: The salt now revealed.

    Returns:
        True if it opens.

    Raises:
        ValueError: The salt is not 32 bytes long.

    Source:
        Adi et al. 2018, Section 2.4

    Example:
        >>> c = commit(b"a trigger", bytes(32))
        >>> open_commitment(c, b"a trigger", bytes(32)), open_commitment(c, b"another", bytes(32))
        (True, False)
    """
    return hmac.compare_digest(commit(message, salt), commitment)
