"""Stamps over a verification key: what exactly is stamped, and what the stamps in its file show."""

from datetime import datetime

from earmark.claims.certificates import TrustedRoots
from earmark.claims.timestamps import (
    RefusedTimestamp,
    TimestampEvidence,
    TimestampRequest,
    check_tokens,
    create_request,
)
from earmark.commitment import digest
from earmark.keys import VerificationKey

_LABEL = "earmark/verification-key/v1"


def key_digest(key: VerificationKey) -> bytes:
    """Return the digest that names a verification key: over its root and its signature, not its stamps.

    The root covers the whole transcript, the owner's public key included. So a stamp over this digest cannot
    be moved to another key, and it shows that the signature existed too.

    Args:
        key: The key.

    Returns:
        32 bytes. This is what authorities stamp.

    Source:
        ours (docs/formats/verification-key-v1.md, "Timestamps")
    """
    return digest(_LABEL, key.transcript.root, key.signature)


def request_for_key(key: VerificationKey) -> TimestampRequest:
    """Return a request for a stamp over a verification key, with a new nonce.

    Args:
        key: The key.

    Returns:
        The request. It shows the authority a digest, and nothing of the key.
    """
    return create_request(_LABEL, key.transcript.root, key.signature)


def check_key_stamps(
    key: VerificationKey, roots: TrustedRoots, now: datetime
) -> tuple[TimestampEvidence | RefusedTimestamp, ...]:
    """Check every stamp that a verification key carries.

    Args:
        key: The key.
        roots: What the checker trusts.
        now: The checker's time, aware.

    Returns:
        For each stamp, in order, what it shows or why it shows nothing.
    """
    return check_tokens(key.timestamps, key_digest(key), roots, now)
