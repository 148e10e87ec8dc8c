"""The owner's signed statement of which model he released under which key, and what its stamps show.

A date of a key alone decides nothing: a pirate can stamp keys for years ahead and use one of them later.
A release record ties a model's digest to a key and to the stamps that the key had by then, and is stamped
itself. So "key, then model" can be read off by anyone who has a root of the authorities.

1  the record's owner signed it
2  it is for this key, and the key's owner is the record's
3  stamps of the key that the record names, and no others, date the key
4  stamps over the record date the release
5  the order is evident only where the two intervals do not overlap
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from earmark.claims.certificates import TrustedRoots
from earmark.claims.key_stamps import check_key_stamps, key_digest
from earmark.claims.order import Order, Stamp, order_of
from earmark.claims.timestamps import (
    RefusedTimestamp,
    TimestampEvidence,
    TimestampRequest,
    check_tokens,
    create_request,
)
from earmark.commitment import digest
from earmark.commitment.canonical import canonical_json
from earmark.commitment.reading import Fields, read_version
from earmark.errors import FormatError, InvalidKeyError
from earmark.keys import Owner, OwnerKey, VerificationKey
from earmark.keys.owner import check_signature

RELEASE_FORMAT = "earmark/release/v1"
RECORD_FORMAT = "earmark/release-record/v1"
MODEL_KINDS = ("file", "folder")
NAME_LIMIT = 200
STAMP_LIMIT = 16
_SIZE_LIMIT_BYTES = 1 << 50
_TIME = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, slots=True)
class ReleasedModel:
    """Which model it is.

    Attributes:
        name: Of the file or folder, 1 to 200 printable characters; for people.
        kind: One of ``MODEL_KINDS``.
        digest: SHA-256 of the file, or the digest of the folder, 32 bytes.
        size_bytes: Of the file, or of all files in the folder.
    """

    name: str
    kind: str
    digest: bytes
    size_bytes: int

    @property
    def identity(self) -> str:
        """The identity that a suspect of these bytes has."""
        return f"sha256:{self.digest.hex()}"


@dataclass(frozen=True, slots=True)
class NamedStamp:
    """A stamp that the key had when the release was signed.

    Attributes:
        token_digest: 32 bytes that name the token.
        time: Whole seconds, aware, UTC, as the token states it.
    """

    token_digest: bytes
    time: datetime


@dataclass(frozen=True)
class Release:
    """What the owner signs.

    Attributes:
        key_digest: Names the verification key, 32 bytes.
        owner: Whose key it is; signs.
        model: What is released.
        key_stamps: At most 16, in the order in which the key carries them.
    """

    key_digest: bytes
    owner: Owner
    model: ReleasedModel
    key_stamps: tuple[NamedStamp, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the statement as its canonical JSON value."""
        return {
            "format": RELEASE_FORMAT,
            "key": self.key_digest.hex(),
            "owner": {"name": self.owner.name, "public_key": self.owner.public_key.hex()},
            "model": {
                "name": self.model.name,
                "kind": self.model.kind,
                "digest": self.model.digest.hex(),
                "size_bytes": self.model.size_bytes,
            },
            "key_timestamps": [
                {"token": stamp.token_digest.hex(), "time": stamp.time.strftime(_TIME)}
                for stamp in self.key_stamps
            ],
        }

    @classmethod
    def from_json(cls, value: Any) -> "Release":
        """Read a statement strictly.

        Raises:
            FormatError: A field is missing, unknown, or out of range.
        """
        read_version(value, RELEASE_FORMAT)
        fields = Fields(value, "release")
        fields.skip("format")
        owner, model = fields.object("owner"), fields.object("model")
        release = cls(
            fields.hex("key", 32),
            Owner(owner.text("name", NAME_LIMIT), owner.hex("public_key", 32), None),
            ReleasedModel(
                _printable_name(model),
                str(model.choice("kind", MODEL_KINDS)),
                model.hex("digest", 32),
                model.integer("size_bytes", 0, _SIZE_LIMIT_BYTES),
            ),
            tuple(_named_stamp(item) for item in fields.list("key_timestamps", 0, STAMP_LIMIT)),
        )
        for part in (owner, model, fields):
            part.finish()
        return release

    @cached_property
    def root(self) -> bytes:
        """The statement's hash, 32 bytes: what the owner signs.

        The owner's key signs hashes of transcripts as well. Each hash has a label of its own, so no
        signature over one can be shown as a signature over the other.
        """
        return digest(RELEASE_FORMAT, canonical_json(self.to_json()))


@dataclass(frozen=True)
class ReleaseRecord:
    """A signed release with its stamps.

    Attributes:
        release: The statement.
        signature: The owner's Ed25519 signature over its hash, 64 bytes.
        timestamps: Tokens of time-stamping authorities over statement and signature, in order.
    """

    release: Release
    signature: bytes
    timestamps: tuple[bytes, ...] = ()

    def check(self) -> None:
        """Raise unless the owner that the statement names signed it; step 1.

        Raises:
            InvalidKeyError: He did not.
        """
        try:
            check_signature(self.release.owner, self.release.root, self.signature)
        except InvalidKeyError as error:
            raise InvalidKeyError("the owner's signature does not fit the release record") from error

    @property
    def digest(self) -> bytes:
        """What authorities stamp: over the statement's hash and the signature, 32 bytes."""
        return digest(RECORD_FORMAT, self.release.root, self.signature)

    def request(self) -> TimestampRequest:
        """Return a request for a stamp over this record, with a new nonce."""
        return create_request(RECORD_FORMAT, self.release.root, self.signature)


@dataclass(frozen=True, slots=True)
class ReleaseFindings:
    """What a release record shows.

    Attributes:
        model: What was released.
        key_stamps: Every stamp of the key that the record names.
        release_stamps: Every stamp of the record.
        order: Whether the key was first.
    """

    model: ReleasedModel
    key_stamps: tuple[Stamp, ...]
    release_stamps: tuple[Stamp, ...]
    order: Order

    def to_json(self) -> dict[str, Any]:
        """Return the findings as JSON values."""
        return {
            "model": self.model.name,
            "identity": self.model.identity,
            "key_timestamps": [stamp.to_json() for stamp in self.key_stamps],
            "release_timestamps": [stamp.to_json() for stamp in self.release_stamps],
            "order": self.order.to_json(),
        }


def sign_release(
    key: VerificationKey, model: ReleasedModel, stamps: Sequence[TimestampEvidence], owner: OwnerKey
) -> ReleaseRecord:
    """Sign a release; it can be stamped afterwards.

    Args:
        key: The key with which the model was marked.
        model: What is released.
        stamps: What the key's own stamps show; those that were refused are left out.
        owner: Must be the key's.

    Returns:
        The record, without stamps.

    Raises:
        InvalidKeyError: The owner key is another's.
    """
    _check_owner(key, owner.owner)
    named = tuple(
        NamedStamp(stamp.token_digest, stamp.time.replace(microsecond=0)) for stamp in stamps[:STAMP_LIMIT]
    )
    release = Release(key_digest(key), owner.owner, model, named)
    return ReleaseRecord(release, owner.sign(release.root))


def check_release(
    record: ReleaseRecord, key: VerificationKey, roots: TrustedRoots, now: datetime
) -> ReleaseFindings:
    """Check a release record against its key, offline; steps 1 to 5.

    It says nothing of a model by itself: compare ``model.identity`` with the suspect's.

    Args:
        record: As read.
        key: The verification key that it should be for, with its stamps.
        roots: What the checker trusts. Stamps of other authorities are reported and decide nothing.
        now: The checker's time, aware.

    Returns:
        What was released, every stamp, and the order of key and release.

    Raises:
        InvalidKeyError: The record is not signed by its owner, or is for another key or owner.
    """
    record.check()
    if record.release.key_digest != key_digest(key):
        raise InvalidKeyError("the release record is for another key")
    _check_owner(key, record.release.owner)
    key_stamps = _named_stamps(record.release.key_stamps, check_key_stamps(key, roots, now))
    release_stamps = check_tokens(record.timestamps, record.digest, roots, now)
    order = order_of(key_stamps, release_stamps)
    return ReleaseFindings(record.release.model, key_stamps, release_stamps, order)


def _named_stamps(named: Sequence[NamedStamp], carried: Sequence[Stamp]) -> tuple[Stamp, ...]:
    """Return what the stamps show that the record names; step 3."""
    known = {stamp.token_digest: stamp for stamp in carried if isinstance(stamp, TimestampEvidence)}
    found: list[Stamp] = []
    for name in named:
        stamp = known.get(name.token_digest)
        if stamp is None:
            found.append(
                RefusedTimestamp("the record names a stamp that this copy of the key does not carry")
            )
        elif stamp.time.replace(microsecond=0) != name.time:
            found.append(RefusedTimestamp("the record names another time than the stamp itself"))
        else:
            found.append(stamp)
    return tuple(found)


def _check_owner(key: VerificationKey, owner: Owner) -> None:
    known = key.transcript.owner
    if (known.name, known.public_key) != (owner.name, owner.public_key):
        raise InvalidKeyError(f"the release is signed by another owner than {known.name!a}, whose key it is")


def _printable_name(model: Fields) -> str:
    text = model.text("name", NAME_LIMIT)
    if not text.isprintable():
        raise FormatError("release: the name of the model is not printable")
    return text


def _named_stamp(value: Any) -> NamedStamp:
    fields = Fields(value, "a key timestamp")
    text = fields.text("time", 20)
    try:
        if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z", text):
            raise ValueError(text)
        time = datetime.strptime(text, _TIME).replace(tzinfo=UTC)
    except ValueError as error:
        raise FormatError("a key timestamp: time is not YYYY-MM-DDTHH:MM:SSZ") from error
    stamp = NamedStamp(fields.hex("token", 32), time)
    fields.finish()
    return stamp
