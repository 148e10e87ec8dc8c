"""The owner's signing key: Ed25519, made once and kept apart from marking keys."""

from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from earmark.commitment import frame
from earmark.errors import InvalidKeyError
from earmark.keys.transcript import Owner

_LABEL = "earmark/signature/v1"
_FIELD = 2**255 - 19
_Y_OF_ORDER_8 = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
# The y of all eight points whose order divides 8. Under such a "public key" one signature fits every
# message: its owner could let anybody sign, and deny any transcript by showing another.
_SMALL_ORDER_Y = frozenset({0, 1, _FIELD - 1, _Y_OF_ORDER_8, _FIELD - _Y_OF_ORDER_8})


@dataclass(frozen=True)
class OwnerKey:
    """Who signs.

    Attributes:
        name: The owner's name as the transcript will state it.
        secret: 32 bytes, the Ed25519 seed.
    """

    name: str
    secret: bytes = field(repr=False)

    @classmethod
    def generate(cls, name: str) -> "OwnerKey":
        """Make a new key from the operating system's randomness.

        Args:
            name: The owner's name, 1 to 200 characters.

        Returns:
            The key.
        """
        return cls(name, Ed25519PrivateKey.generate().private_bytes_raw())

    @property
    def owner(self) -> Owner:
        """The public half, as the transcript states it."""
        public = Ed25519PrivateKey.from_private_bytes(self.secret).public_key()
        return Owner(self.name, public.public_bytes_raw(), None)

    def sign(self, root: bytes) -> bytes:
        """Return the Ed25519 signature, 64 bytes, over a label and the root of a transcript."""
        return Ed25519PrivateKey.from_private_bytes(self.secret).sign(frame(_LABEL, root))


def check_owner(known: Owner, key: OwnerKey) -> None:
    """Raise unless this is the signing key of an owner.

    Args:
        known: As a transcript states him.
        key: The key that is about to sign.

    Raises:
        InvalidKeyError: It is another's.
    """
    given = key.owner
    if (known.name, known.public_key) != (given.name, given.public_key):
        raise InvalidKeyError(
            f"the owner key is that of {given.name!a}, and the key belongs to {known.name!a}; give his with "
            "--owner-key"
        )


def check_signature(owner: Owner, root: bytes, signature: bytes) -> None:
    """Raise unless the owner signed the root.

    Args:
        owner: Whose public key it should be.
        root: Hash of the transcript, 32 bytes.
        signature: 64 bytes.

    Raises:
        InvalidKeyError: The signature does not fit, or the public key is no point, of small order, or not
            in the one canonical encoding.

    Source:
        RFC 8032, without the cofactor; weak keys as in docs/formats/transcript-v1.md, "Signature"
    """
    y = int.from_bytes(owner.public_key, "little") & (2**255 - 1)
    if y >= _FIELD or y in _SMALL_ORDER_Y:
        raise InvalidKeyError("the owner's public key is weak: one signature under it fits everything")
    try:
        Ed25519PublicKey.from_public_bytes(owner.public_key).verify(signature, frame(_LABEL, root))
    except (InvalidSignature, ValueError) as error:
        raise InvalidKeyError(
            "the owner's signature does not fit the transcript: one of the two was altered"
        ) from error
