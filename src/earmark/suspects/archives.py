"""Zip archives of others, looked at before anything in them is unpacked."""

from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

from earmark.errors import FormatError

MEMBER_LIMIT = 1 << 17


def check_members(archive: ZipFile, unpacked_limit_bytes: int) -> None:
    """Raise FormatError unless members are few, named once, packed in a known way, and small when unpacked.

    Args:
        archive: The archive.
        unpacked_limit_bytes: For all of them together.
    """
    members = archive.infolist()
    if len(members) > MEMBER_LIMIT:
        raise FormatError(f"it holds more than {MEMBER_LIMIT} members")
    if len({member.filename for member in members}) != len(members):
        # Readers differ in which of two they take.
        raise FormatError("two of its members have the same name")
    if any(member.compress_type not in (ZIP_STORED, ZIP_DEFLATED) for member in members):
        raise FormatError("a member is compressed in another way than deflate")
    # No member gives more than its header says, for zipfile stops reading there.
    if sum(member.file_size for member in members) > unpacked_limit_bytes:
        raise FormatError(f"it unpacks to more than {unpacked_limit_bytes} bytes")


def read_member(archive: ZipFile, name: str, limit_bytes: int) -> bytes:
    """Return what is in a member; FormatError if that is longer than the limit."""
    if archive.getinfo(name).file_size > limit_bytes:
        raise FormatError(f"its {name} is longer than {limit_bytes} bytes")
    return archive.read(name)
