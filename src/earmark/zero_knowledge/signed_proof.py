"""A proof as its owner hands it over: the argument under a cover that he signed, checked in numbered steps.

The argument alone shows that somebody knows the openings. That may be a thief of the key, and what he proves
would be taken for the owner's word; so the owner signs which argument, about which model and which sets, is
his.

    1  the file has the one form (``earmark.formats.signed_proof_v1``)
    2  the owner of the checker's public key file signed the cover
    3  the argument is the one that he signed
    4  the cover names the checker's key
    5  it names sets of that key, in their order, each once, with enough triggers to show anything
    6  it names the suspect that the checker has
    7  the argument holds, by the steps of ``earmark.zero_knowledge.checker``

Source: ours (docs/formats/signed-proof-v1.md)
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from earmark.commitment import digest
from earmark.commitment.canonical import Json, canonical_json
from earmark.commitment.reading import Fields
from earmark.errors import FormatError, InvalidKeyError, ProofError, UnsupportedVersionError
from earmark.keys import OwnerKey, SetId, VerificationKey
from earmark.keys.owner import check_owner, check_signature

SIGNED_PROOF_FORMAT = "earmark/signed-proof/v1"
# No more inputs go into one proof, and a set has at least one.
SET_LIMIT = 1 << 14
_PLACE_LIMIT = 1 << 20
_DIGEST_BYTES = 32
_IDENTITY = "sha256:"


@dataclass(frozen=True)
class Cover:
    """What the owner signs.

    Attributes:
        root: Of the key, 32 bytes.
        set_ids: The sets that the proof is about, in the order of the key; 1 to 16,384.
        suspect: SHA-256 of the suspect's file, 32 bytes.
        argument: SHA-256 of the argument's bytes, 32 bytes.
    """

    root: bytes
    set_ids: tuple[SetId, ...]
    suspect: bytes
    argument: bytes

    @cached_property
    def digest(self) -> bytes:
        """The cover's hash, 32 bytes: what the owner signs."""
        return digest(SIGNED_PROOF_FORMAT, canonical_json(self.to_json()))

    def to_json(self) -> dict[str, Json]:
        """Return the cover as its canonical JSON value."""
        return {
            "root": self.root.hex(),
            "sets": [list(set_id) for set_id in self.set_ids],
            "suspect": self.suspect.hex(),
            "argument": self.argument.hex(),
        }

    @classmethod
    def from_json(cls, value: Any) -> "Cover":
        """Read a cover strictly.

        Raises:
            FormatError: A field is missing, unknown, or out of range.
        """
        fields = Fields(value, "the cover")
        cover = cls(
            fields.hex("root", _DIGEST_BYTES),
            tuple(_read_set(item) for item in fields.list("sets", 1, SET_LIMIT)),
            fields.hex("suspect", _DIGEST_BYTES),
            fields.hex("argument", _DIGEST_BYTES),
        )
        fields.finish()
        return cover


@dataclass(frozen=True)
class SignedProof:
    """A proof under its cover.

    Attributes:
        cover: What the owner says of it.
        signature: His Ed25519 signature over the cover's digest, 64 bytes.
        argument: As from ``OwnershipProof.to_bytes``.
    """

    cover: Cover
    signature: bytes
    argument: bytes

    def check_cover(self, key: VerificationKey) -> None:
        """Steps 2 to 5, but for the number of triggers, which needs the suspect.

        Args:
            key: The public key file that the checker has from elsewhere.

        Raises:
            ProofError: A step refuses, by its number.
        """
        cover = self.cover
        try:
            check_signature(key.transcript.owner, cover.digest, self.signature)
        except InvalidKeyError as error:
            raise ProofError(2, "the owner of the public key file did not sign this proof") from error
        if hashlib.sha256(self.argument).digest() != cover.argument:
            raise ProofError(3, "the argument is not the one that the owner signed: it was altered or cut")
        if cover.root != key.transcript.root:
            raise ProofError(4, "the owner signed it for another key than the public key file")
        known = frozenset(cover.set_ids)
        if tuple(set_id for set_id in key.set_ids if set_id in known) != cover.set_ids:
            raise ProofError(5, "it does not name sets of the key, in their order, each once")

    def check_suspect(self, identity: str) -> None:
        """Step 6.

        Args:
            identity: ``"sha256:…"`` of the file that the checker has.

        Raises:
            ProofError: The owner signed a proof about another.
        """
        signed = _IDENTITY + self.cover.suspect.hex()
        if signed != identity:
            raise ProofError(6, f"it is about another model, {signed}, and the suspect is {identity}")


def sign_proof(
    key: VerificationKey,
    set_ids: Sequence[SetId],
    suspect_identity: str,
    argument: bytes,
    owner: OwnerKey,
) -> SignedProof:
    """Put an argument under a cover, and sign that.

    Args:
        key: The key that it is about.
        set_ids: The sets that it is about, in the order of the key.
        suspect_identity: ``"sha256:…"`` of the suspect's file.
        argument: The argument's bytes.
        owner: Must be the key's.

    Returns:
        The signed proof; the same for the same arguments.

    Raises:
        InvalidKeyError: The owner key is another's.
        ValueError: The sets are not sets of the key in their order, or the suspect is no file.
    """
    check_owner(key.transcript.owner, owner)
    if not suspect_identity.startswith(_IDENTITY):
        raise ValueError("a proof is about a file, which has a SHA-256")
    suspect = bytes.fromhex(suspect_identity.removeprefix(_IDENTITY))
    cover = Cover(key.transcript.root, tuple(set_ids), suspect, hashlib.sha256(argument).digest())
    signed = SignedProof(cover, owner.sign(cover.digest), argument)
    try:
        Cover.from_json(cover.to_json())
        signed.check_cover(key)
        signed.check_suspect(suspect_identity)
    except (FormatError, ProofError) as error:
        raise ValueError(f"no proof can be signed so: {error}") from error
    return signed


@contextmanager
def too_few_triggers() -> Iterator[None]:
    """The end of step 5: what refuses to be made, for want of triggers, is refused when it is checked."""
    try:
        yield
    except ProofError as error:
        raise ProofError(5, str(error).removeprefix(f"step {error.step}: ")) from error


def check_argument(check: Callable[[bytes], None], argument: bytes) -> None:
    """Step 7: check the argument, and say so with both numbers if it fails.

    Args:
        check: Raises FormatError or ProofError, as ``checker.check_proof`` for a statement does.
        argument: The argument's bytes, hostile like all that a signature may stand under.

    Raises:
        ProofError: It fails; the message says which of its own steps refuses.
        UnsupportedVersionError: It is of another version.
    """
    try:
        check(argument)
    except UnsupportedVersionError:
        raise
    except ProofError as error:
        raise ProofError(7, f"the argument's {error}") from error
    except FormatError as error:
        raise ProofError(7, f"there is no argument in it: {error}") from error


def _read_set(value: Any) -> SetId:
    if (
        not isinstance(value, list)
        or len(value) != len(SetId._fields)
        or not all(type(place) is int and 0 <= place < _PLACE_LIMIT for place in value)
    ):
        raise FormatError("the cover: a set is not a pair of places")
    return SetId(*value)
