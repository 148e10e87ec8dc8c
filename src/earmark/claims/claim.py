"""A claim: one opened set, what a suspect answered to it, and the owner's signature over all of it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from earmark.claims.key_stamps import key_digest
from earmark.claims.opened_set import OpenedTrigger
from earmark.claims.timestamps import TimestampRequest, create_request
from earmark.commitment import digest
from earmark.commitment.canonical import Json, canonical_json
from earmark.commitment.reading import Fields, hex_bytes
from earmark.errors import FormatError, InvalidKeyError
from earmark.keys import Owner, OwnerKey, SetId, VerificationKey
from earmark.keys.owner import check_signature
from earmark.statistics.sequential import PAYOFF_BITS
from earmark.suspects import Miss
from earmark.suspects.frames import CLASS_LIMIT
from earmark.verification import FIXED, Reply
from earmark.verification.measurement import CLAIM_LABEL_MAPS, STATISTICS

CLAIM_FORMAT = "earmark/claim/v1"
MEMBER_LIMIT = 20
RELEASE_LIMIT = STAMP_LIMIT = 16
REPLY_LIMIT = 1 << 20
# Evidence that may be read at any time costs the cube of the questions to work out: 2,000 are minutes, and
# a million would keep a checker busy for ever. Some 50 are enough where the mark survives.
SEQUENTIAL_REPLY_LIMIT = 2000
_NOTICE_LABEL = "earmark/claimed-suspect/v1"
_TEXT_LIMIT = 1000
TOKEN_LIMIT_BYTES = 1 << 16
_SIZE_LIMIT_BYTES = 1 << 30
_TIME = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, slots=True)
class ClaimedSuspect:
    """What was questioned.

    Attributes:
        name: In words.
        identity: ``"sha256:…"`` of a model, or what else identifies it.
        is_remote: Whether it was asked where it is.
        class_names: In the order of its answers, or None.
        class_count: Number of its classes.
        preprocessing: In words.
    """

    name: str
    identity: str
    is_remote: bool
    class_names: tuple[str, ...] | None
    class_count: int
    preprocessing: str

    @property
    def can_be_stamped(self) -> bool:
        """Whether a stamp over its identity dates it: only where that names all of a model's bytes.

        Behind the address of a service may be another model tomorrow, and code may ask elsewhere or read
        other weights while its file stays the same.
        """
        return not self.is_remote and re.fullmatch("sha256:[0-9a-f]+", self.identity) is not None


@dataclass(frozen=True, slots=True)
class Freedoms:
    """What only the owner knows of how the suspect was questioned, by his word; all of it is paid for.

    Attributes:
        methods: Ways in which this suspect was questioned, by his journal, this one included.
        looks: Suspects, keys and sets tried so far.
        forms: Forms in which the suspect could be asked.
    """

    methods: int = 1
    looks: int = 1
    forms: int = 1


@dataclass(frozen=True, slots=True)
class Member:
    """A file of the archive.

    Attributes:
        name: Its name there.
        size_bytes: Its size.
        sha256: Its digest, 32 bytes.
    """

    name: str
    size_bytes: int
    sha256: bytes


@dataclass(frozen=True)
class Statement:
    """What the owner signs.

    Attributes:
        key_digest: Names the verification key, 32 bytes.
        owner: Whose key it is; signs.
        set_id: The set that is opened.
        suspect: What was questioned.
        statistic: ``"fixed"``, ``"sequential"`` or ``"probabilities"``.
        label_map: ``"auto"`` or ``"split"``.
        freedoms: What is paid for on his word.
        replies: What the suspect said to the first questions of the set's order.
        opened_at: When the set was opened, by his journal; whole seconds, UTC.
        journal: Number of entries, and the digest that binds to them.
        suspect_timestamps: Tokens over the suspect's notice.
        members: Every other file of the archive, in order.
    """

    key_digest: bytes
    owner: Owner
    set_id: SetId
    suspect: ClaimedSuspect
    statistic: str
    label_map: str
    freedoms: Freedoms
    replies: tuple[Reply, ...]
    opened_at: datetime
    journal: tuple[int, bytes]
    suspect_timestamps: tuple[bytes, ...] = ()
    members: tuple[Member, ...] = ()

    @cached_property
    def root(self) -> bytes:
        """The statement's hash, 32 bytes: what the owner signs."""
        return digest(CLAIM_FORMAT, canonical_json(self.to_json()))

    @property
    def notice(self) -> bytes:
        """What authorities stamp of the suspect before its set is opened, 32 bytes."""
        return digest(_NOTICE_LABEL, self.key_digest, *self.set_id, self.suspect.identity)

    def to_json(self) -> dict[str, Json]:
        """Return the statement as its canonical JSON value."""
        suspect = self.suspect
        return {
            "key": self.key_digest.hex(),
            "owner": {"name": self.owner.name, "public_key": self.owner.public_key.hex()},
            "set": list(self.set_id),
            "suspect": {
                "name": suspect.name,
                "identity": suspect.identity,
                "is_remote": suspect.is_remote,
                "classes": None if suspect.class_names is None else list(suspect.class_names),
                "class_count": suspect.class_count,
                "preprocessing": suspect.preprocessing,
            },
            "statistic": self.statistic,
            "label_map": self.label_map,
            "methods": self.freedoms.methods,
            "looks": self.freedoms.looks,
            "forms": self.freedoms.forms,
            "replies": [_reply_json(reply) for reply in self.replies],
            "opened_at": self.opened_at.strftime(_TIME),
            "journal": {"entries": self.journal[0], "head": self.journal[1].hex()},
            "suspect_timestamps": [token.hex() for token in self.suspect_timestamps],
            "members": [
                {"name": item.name, "size_bytes": item.size_bytes, "sha256": item.sha256.hex()}
                for item in self.members
            ],
        }

    @classmethod
    def from_json(cls, value: Any) -> "Statement":
        """Read a statement strictly.

        Raises:
            FormatError: A field is missing, unknown, or out of range.
        """
        fields = Fields(value, "claim")
        owner, journal = fields.object("owner"), fields.object("journal")
        suspect = _read_suspect(fields.object("suspect"))
        statement = cls(
            fields.hex("key", 32),
            Owner(owner.text("name", 200), owner.hex("public_key", 32), None),
            _read_set(fields.list("set", 2, 2)),
            suspect,
            str(fields.choice("statistic", STATISTICS)),
            str(fields.choice("label_map", CLAIM_LABEL_MAPS)),
            Freedoms(
                fields.integer("methods", 1, 1 << 16),
                fields.integer("looks", 1, (1 << 53) - 1),
                fields.integer("forms", 1, 1 << 16),
            ),
            tuple(_read_reply(item, suspect.class_count) for item in fields.list("replies", 1, REPLY_LIMIT)),
            _read_time(fields.text("opened_at", 20)),
            (journal.integer("entries", 0, (1 << 53) - 1), journal.hex("head", 32)),
            tuple(read_token(item) for item in fields.list("suspect_timestamps", 0, STAMP_LIMIT)),
            tuple(_read_member(item) for item in fields.list("members", 0, MEMBER_LIMIT)),
        )
        for part in (owner, journal, fields):
            part.finish()
        if statement.statistic != FIXED and len(statement.replies) > SEQUENTIAL_REPLY_LIMIT:
            raise FormatError(
                f"claim: more than {SEQUENTIAL_REPLY_LIMIT:,} replies go with the statistic fixed only"
            )
        return statement


@dataclass(frozen=True)
class Claim:
    """A signed claim with everything that a stranger checks it by.

    Attributes:
        statement: What the owner says.
        signature: His Ed25519 signature over its root, 64 bytes.
        key: The verification key as it lies in the archive, with the stamps that the owner had.
        opened: The triggers that were asked, in that order.
    """

    statement: Statement
    signature: bytes
    key: VerificationKey
    opened: tuple[OpenedTrigger, ...]

    def check_signature(self, owner: Owner) -> None:
        """Raise unless this owner signed the claim.

        Raises:
            InvalidKeyError: He did not.
        """
        try:
            check_signature(owner, self.statement.root, self.signature)
        except InvalidKeyError as error:
            raise InvalidKeyError("the owner's signature does not fit the claim") from error


def sign_claim(
    statement: Statement, members: Sequence[Member], key: VerificationKey, owner: OwnerKey
) -> tuple[Statement, bytes]:
    """Complete a statement by the files that go with it, and sign it.

    Args:
        statement: All but its members.
        members: Every other file of the archive, in order.
        key: The key that the claim is for.
        owner: Must be the key's.

    Returns:
        The complete statement and the signature.

    Raises:
        InvalidKeyError: The owner key is another's.
    """
    known = key.transcript.owner
    if (known.name, known.public_key) != (owner.owner.name, owner.owner.public_key):
        raise InvalidKeyError(f"the claim is signed by another owner than {known.name!a}, whose key it is")
    complete = replace(statement, members=tuple(members))
    return complete, owner.sign(complete.root)


def request_for_suspect(key: VerificationKey, set_id: SetId, identity: str) -> TimestampRequest:
    """Return a request for a stamp over a suspect's notice; to be made before its set is opened.

    Args:
        key: The key that the claim will be for.
        set_id: The set that will be opened.
        identity: What identifies the suspect.

    Returns:
        The request. It shows the authority a digest, and nothing of suspect or key.
    """
    return create_request(_NOTICE_LABEL, key_digest(key), *set_id, identity)


def _reply_json(reply: Reply) -> Json:
    output: Json = reply.output.value if isinstance(reply.output, Miss) else reply.output
    return output if reply.weights is None else {"output": output, "weights": list(reply.weights)}


def _read_reply(value: Any, class_count: int) -> Reply:
    weights = None
    if isinstance(value, Mapping):
        fields = Fields(value, "a reply")
        value = fields.take("output")
        weights = tuple(fields.list("weights", class_count, class_count))
        fields.finish()
        if not all(type(weight) is int and weight >= 0 for weight in weights):
            raise FormatError("a reply: weights are integers of at least 0")
        if sum(weights) > 1 << PAYOFF_BITS:
            raise FormatError(f"a reply: weights add up to more than 2^{PAYOFF_BITS}")
    if type(value) is int and 0 <= value < class_count:
        return Reply(value, weights)
    if isinstance(value, str) and value in list(Miss):
        return Reply(Miss(value), weights)
    raise FormatError("a reply is neither a class of the suspect nor a reason why there is none")


def _read_suspect(fields: Fields) -> ClaimedSuspect:
    names = fields.take("classes")
    count = fields.integer("class_count", 2, CLASS_LIMIT)
    if names is not None and (
        not isinstance(names, list)
        or len(names) != count
        or not all(isinstance(name, str) and 0 < len(name) <= _TEXT_LIMIT for name in names)
    ):
        raise FormatError("suspect: classes is null, or a name of 1 to 1000 characters for each class")
    is_remote = fields.take("is_remote")
    if not isinstance(is_remote, bool):
        raise FormatError("suspect: is_remote is not a boolean")
    suspect = ClaimedSuspect(
        fields.text("name", _TEXT_LIMIT),
        fields.text("identity", _TEXT_LIMIT),
        is_remote,
        None if names is None else tuple(names),
        count,
        fields.text("preprocessing", _TEXT_LIMIT),
    )
    fields.finish()
    return suspect


def _read_set(value: list[Any]) -> SetId:
    if not all(type(item) is int and 0 <= item < 1 << 20 for item in value):
        raise FormatError("claim: set is not [stratum, number]")
    return SetId(*value)


def _read_time(text: str) -> datetime:
    try:
        if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z", text):
            raise ValueError(text)
        return datetime.strptime(text, _TIME).replace(tzinfo=UTC)
    except ValueError as error:
        raise FormatError("claim: opened_at is not YYYY-MM-DDTHH:MM:SSZ") from error


def read_token(value: Any) -> bytes:
    """Return a token from its JSON value; FormatError unless it is hexadecimal of 1 byte to 64 KiB."""
    if not isinstance(value, str) or not 2 <= len(value) <= 2 * TOKEN_LIMIT_BYTES:
        raise FormatError(f"a timestamp is not a text of 1 to {TOKEN_LIMIT_BYTES} bytes")
    return hex_bytes(value, len(value) // 2, "a timestamp")


def _read_member(value: Any) -> Member:
    fields = Fields(value, "a member")
    member = Member(
        fields.text("name", 100),
        fields.integer("size_bytes", 0, _SIZE_LIMIT_BYTES),
        fields.hex("sha256", 32),
    )
    fields.finish()
    return member
