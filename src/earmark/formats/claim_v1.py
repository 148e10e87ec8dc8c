"""claim.zip: an opened set with all that a stranger checks it by (docs/formats/claim-v1.md).

There is one archive for given members. A reader makes it anew and compares: so nothing can hide in a
header, between the members or behind them, and no program can unpack something else from it.
"""

import hashlib
import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from earmark.claims.claim import CLAIM_FORMAT, RELEASE_LIMIT, Claim, Member, Statement, sign_claim
from earmark.claims.opened_set import OpenedTrigger
from earmark.claims.release_record import ReleaseRecord
from earmark.commitment import frame
from earmark.commitment.canonical import Json, canonical_json, parse_canonical_json
from earmark.commitment.linear import RANDOM_BYTES
from earmark.commitment.reading import Fields, read_version
from earmark.errors import ClaimError, FormatError, InvalidKeyError, UnsupportedVersionError
from earmark.formats import release_record_v1, verification_key_v1
from earmark.keys import OwnerKey, VerificationKey

FORMAT = CLAIM_FORMAT
SIZE_LIMIT_BYTES = 256 << 20
MAGIC = b"PK\x03\x04"
_STATEMENT_LIMIT_BYTES = 64 << 20
_CLAIM, _KEY, _OPENINGS, _REPORT = "claim.json", "key.vk.json", "openings.bin", "report.html"
_LENGTH_BYTES = 8
_DIGEST_BYTES = 32
_SIBLING_LIMIT = 32


@dataclass(frozen=True)
class ClaimFile:
    """What was read from an archive.

    Attributes:
        claim: The claim; nothing of it is checked but its form and its files' digests.
        releases: The release records, in order; their owners signed them.
        report: The owner's page.
    """

    claim: Claim
    releases: tuple[ReleaseRecord, ...]
    report: bytes = field(repr=False)


def write(
    statement: Statement,
    key: VerificationKey,
    opened: Sequence[OpenedTrigger],
    releases: Sequence[ReleaseRecord],
    report: bytes,
    owner: OwnerKey,
) -> bytes:
    """Sign a claim, and return its archive.

    Args:
        statement: All but its members.
        key: With the stamps that the owner has.
        opened: The asked triggers, in that order.
        releases: At most 16.
        report: The page for people.
        owner: Must be the key's.

    Returns:
        The bytes of the one archive; the same for the same arguments.

    Raises:
        InvalidKeyError: The owner key is another's.
        FormatError: A field of the statement is out of range.
        ValueError: There are too many release records, or the archive would be too large.
    """
    if len(releases) > RELEASE_LIMIT:
        raise ValueError(f"a claim holds at most {RELEASE_LIMIT} release records")
    members = {
        _KEY: verification_key_v1.write(key),
        _OPENINGS: b"".join(_write_opening(item) for item in opened),
        **{f"releases/{place}.json": release_record_v1.write(item) for place, item in enumerate(releases)},
        _REPORT: report,
    }
    listed = [Member(name, len(data), hashlib.sha256(data).digest()) for name, data in members.items()]
    complete, signature = sign_claim(statement, listed, key, owner)
    Statement.from_json(complete.to_json())
    signed: Json = {"format": FORMAT, "claim": complete.to_json(), "signature": signature.hex()}
    data = _archive({_CLAIM: canonical_json(signed) + b"\n", **members})
    if len(data) > SIZE_LIMIT_BYTES:
        raise ValueError(f"the claim would be larger than {SIZE_LIMIT_BYTES} bytes")
    return data


def read(data: bytes) -> ClaimFile:
    """Read an archive: steps 1, and of 2 that every file is the one in the statement.

    Args:
        data: The file's bytes.

    Returns:
        The claim, whose signature is *not* checked: see ``earmark.claims.checking``.

    Raises:
        ClaimError: Step 1 or 2 refuses.
        UnsupportedVersionError: It is another version.
    """
    try:
        members = _members(data)
        statement, signature = _read_signed(members[_CLAIM])
    except UnsupportedVersionError:
        raise
    except FormatError as error:
        raise ClaimError(1, str(error)) from error
    files = {name: content for name, content in members.items() if name != _CLAIM}
    found = tuple(
        Member(name, len(content), hashlib.sha256(content).digest()) for name, content in files.items()
    )
    if found != statement.members:
        raise ClaimError(2, "the files of the archive are not those that the owner signed")
    try:
        claim = Claim(
            statement,
            signature,
            verification_key_v1.read(files[_KEY]),
            _read_openings(files[_OPENINGS]),
        )
        records = tuple(
            release_record_v1.read(content) for name, content in files.items() if name.startswith("releases/")
        )
    except UnsupportedVersionError:
        raise
    except (FormatError, InvalidKeyError) as error:
        raise ClaimError(1, str(error)) from error
    return ClaimFile(claim, records, files[_REPORT])


def _read_signed(data: bytes) -> tuple[Statement, bytes]:
    if not data.endswith(b"\n"):
        raise FormatError("claim.json does not end with a line feed")
    value = parse_canonical_json(data[:-1], "claim.json", _STATEMENT_LIMIT_BYTES)
    read_version(value, FORMAT)
    fields = Fields(value, "claim.json")
    fields.skip("format")
    signed = Statement.from_json(fields.take("claim")), fields.hex("signature", 64)
    fields.finish()
    return signed


def _write_opening(item: OpenedTrigger) -> bytes:
    return frame(item.place, item.canonical_bytes, item.salt, b"".join(item.siblings))


def _read_openings(data: bytes) -> tuple[OpenedTrigger, ...]:
    found, start = [], 0
    while start < len(data):
        parts = []
        for _ in range(4):
            length = int.from_bytes(data[start : start + _LENGTH_BYTES])
            end = start + _LENGTH_BYTES + length
            if start + _LENGTH_BYTES > len(data) or end > len(data):
                raise FormatError("openings.bin ends within a trigger")
            parts.append(data[start + _LENGTH_BYTES : end])
            start = end
        place, content, salt, path = parts
        if len(place) != _LENGTH_BYTES or len(salt) not in (_DIGEST_BYTES, RANDOM_BYTES):
            raise FormatError(f"openings.bin: a place has 8 bytes, and a salt 32 or {RANDOM_BYTES}")
        if len(path) % _DIGEST_BYTES or len(path) > _SIBLING_LIMIT * _DIGEST_BYTES:
            raise FormatError("openings.bin: a path has at most 32 siblings of 32 bytes")
        siblings = tuple(path[at : at + _DIGEST_BYTES] for at in range(0, len(path), _DIGEST_BYTES))
        found.append(OpenedTrigger(int.from_bytes(place), content, salt, siblings))
    return tuple(found)


def _archive(members: Mapping[str, bytes]) -> bytes:
    """Return the one archive of these members, in this order."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.create_system, info.create_version, info.extract_version = 3, 20, 20
            info.external_attr = 0o100644 << 16
            archive.writestr(info, content)
    return buffer.getvalue()


def _members(data: bytes) -> dict[str, bytes]:
    """Return the members by name, in order; FormatError unless this is the one archive of them."""
    if len(data) > SIZE_LIMIT_BYTES:
        raise FormatError(f"the claim is larger than {SIZE_LIMIT_BYTES} bytes")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()
            _check_members(infos, len(data))
            members = {info.filename: archive.read(info) for info in infos}
    except FormatError:
        raise
    # A parser of foreign bytes: whatever it raises (struct, codecs, overflow), they are no archive.
    except Exception as error:
        raise FormatError(f"the claim is not a zip archive that can be read: {str(error)[:200]!a}") from error
    if _archive(members) != data:
        raise FormatError("the archive does not have the one form that claims have; copy the file unaltered")
    return members


def _check_members(infos: Sequence[zipfile.ZipInfo], size_bytes: int) -> None:
    names = [info.filename for info in infos]
    release_count = max(0, len(names) - 4)
    releases = [f"releases/{place}.json" for place in range(release_count)]
    if release_count > RELEASE_LIMIT or names != [_CLAIM, _KEY, _OPENINGS, *releases, _REPORT]:
        raise FormatError("the archive does not hold the files of a claim, each once and in order")
    if any(info.compress_type != zipfile.ZIP_STORED or info.flag_bits for info in infos):
        raise FormatError("the archive is packed or encrypted; claims are stored as they are")
    if any(info.file_size != info.compress_size for info in infos) or (
        sum(info.file_size for info in infos) > size_bytes
    ):
        raise FormatError("the archive states sizes that it does not have")
