"""The archive of a claim: one form, and no byte in it without a step that reads it."""

import io
import random
import struct
import zipfile
import zlib
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.claims.certificates import TrustedRoots
from earmark.claims.checking import check_claim
from earmark.claims.release_record import ReleasedModel, sign_release
from earmark.errors import ClaimError, InvalidKeyError, UnsupportedVersionError
from earmark.formats import claim_v1
from earmark.keys import OwnerKey
from small import new_key
from small_claims import NOW, OWNER, PAGE, SET, archive_of, marked, statement_of, two_sets

KEY = two_sets()
MODEL = ReleasedModel("marked.onnx", "file", bytes(range(32)), 1234)
RECORD = sign_release(KEY.verification_key, MODEL, (), OWNER)
STATEMENT = statement_of(KEY, marked(KEY))
DATA = archive_of(KEY, STATEMENT, releases=(RECORD,))
NAMES = ["claim.json", "key.vk.json", "openings.bin", "releases/0.json", "report.html"]


def checked(data):
    file = claim_v1.read(data)
    return check_claim(file.claim, file.releases, KEY.verification_key, TrustedRoots(), NOW)


def members_of(data=DATA):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


def packed(members, **options):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **options) as archive:
        for name, content in members:
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.create_system, info.external_attr = 3, 0o100644 << 16
            info.compress_type = options.get("compression", zipfile.ZIP_STORED)
            archive.writestr(info, content)
    return buffer.getvalue()


def refused(data, step, match=None):
    with pytest.raises(ClaimError, match=match) as caught:
        checked(data)
    assert caught.value.step == step


def test_what_was_written_is_read():
    file = claim_v1.read(DATA)
    assert file.report == PAGE
    assert file.releases == (RECORD,)
    assert replace(file.claim.statement, members=()) == STATEMENT
    assert [item.name for item in file.claim.statement.members] == NAMES[1:]
    assert file.claim.key == KEY.verification_key
    findings = checked(DATA)
    assert findings.verdict.mark_shown
    assert not findings.verdict.owned, "the owner's record alone"
    assert findings.verdict.measurement.match_count == 100


def zip64(offset):
    """The archive with a central directory whose last entry says by a ZIP64 extra where its member is."""
    start = int.from_bytes(DATA[-6:-2], "little")
    size = int.from_bytes(DATA[-10:-6], "little")
    entry = bytearray(DATA[start : start + size])
    last = entry.rindex(b"PK\x01\x02")
    extra = struct.pack("<HHQ", 1, 8, offset)
    entry[last + 30 : last + 32] = struct.pack("<H", len(extra))
    entry[last + 42 : last + 46] = b"\xff" * 4
    end = bytearray(DATA[-22:])
    end[12:16] = struct.pack("<I", size + len(extra))
    return DATA[:start] + bytes(entry) + extra + bytes(end)


@pytest.mark.parametrize("offset", [0, 1 << 31, (1 << 63) - 1, 1 << 63, (1 << 64) - 1])
def test_members_at_impossible_places(offset):
    refused(zip64(offset), 1)


@given(st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), min_size=1, max_size=12))
@settings(max_examples=300, deadline=None)
def test_no_altered_directory_is_more_than_a_refused_claim(changes):
    """Whatever the library for archives raises, it is step 1."""
    start = int.from_bytes(DATA[-6:-2], "little")
    data = bytearray(zip64(1 << 63))
    for place, value in changes:
        data[start + place % (len(data) - start)] = value
    with pytest.raises(ClaimError) as caught:
        claim_v1.read(bytes(data))
    assert caught.value.step == 1


def test_it_is_the_same_bytes_each_time():
    assert archive_of(KEY, STATEMENT, releases=(RECORD,)) == DATA
    assert packed(members_of().items()) == DATA, (
        "the page of the format describes what any zip program writes"
    )


def test_a_common_program_unpacks_it(tmp_path):
    (tmp_path / "claim.zip").write_bytes(DATA)
    with zipfile.ZipFile(tmp_path / "claim.zip") as archive:
        assert archive.testzip() is None
        assert archive.namelist() == NAMES


def test_an_altered_byte_anywhere_is_refused_at_a_step():
    """Every byte of the headers and of the statement, and of the rest a thousand, one bit each."""
    draws = random.Random(0)  # noqa: S311 - nothing secret
    bodies, start = set(), 0
    for name, content in members_of().items():
        start = DATA.index(content, start)
        if name != "claim.json":
            bodies |= set(range(start, start + len(content)))
        start += len(content)
    headers = sorted(set(range(len(DATA))) - bodies)
    assert len(headers) > 1900
    for place in (*headers, *draws.sample(sorted(bodies), 1000)):
        altered = bytearray(DATA)
        altered[place] ^= 1 << draws.randrange(8)
        with pytest.raises(ClaimError) as caught:
            checked(bytes(altered))
        assert caught.value.step in (1, 2)


def test_a_byte_altered_with_its_checksum_is_refused_by_the_signature():
    """Who repairs the archive's own checksums alters what the owner signed."""
    for name in NAMES[1:]:
        members = members_of()
        content = bytearray(members[name])
        content[len(content) // 2] ^= 1
        members[name] = bytes(content)
        refused(packed(members.items()), 2, "not those that the owner signed")


@pytest.mark.parametrize("name", NAMES)
def test_every_member_is_needed(name):
    members = members_of()
    del members[name]
    data = packed(members.items())
    refused(data, 2 if name.startswith("releases/") else 1)


@pytest.mark.parametrize(
    "name", ["more.txt", "../outside", "/etc/passwd", "releases/1.json", "CLAIM.JSON", "openings.bin"]
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_nothing_more_is_taken(name):
    members = list(members_of().items())
    refused(packed([*members[:4], (name, b"{}"), members[4]]), 2 if name == "releases/1.json" else 1)
    refused(packed([*members, (name, b"{}")]), 1)


def test_another_order_is_another_file():
    members = list(members_of().items())
    refused(packed([members[1], members[0], *members[2:]]), 1, "in order")


@pytest.mark.parametrize(
    "altered",
    [
        DATA + b"\0",
        b"\0" + DATA,
        DATA[:-1],
        DATA[: len(DATA) // 2],
        DATA[:-2] + b"\x05\x00hello",
        b"",
        b"PK\x05\x06" + bytes(18),
        b"no archive",
        packed(members_of().items(), compression=zipfile.ZIP_DEFLATED),
    ],
    ids=["behind", "before", "shorter", "half", "comment", "empty", "no members", "text", "packed"],
)
def test_another_form_of_the_archive(altered):
    refused(altered, 1)


def test_a_bomb_is_not_unpacked(monkeypatch):
    """It states small sizes or large ones: either is refused before anything is unpacked."""
    members = members_of()
    members["report.html"] = bytes(50 << 20)
    data = packed(members.items(), compression=zipfile.ZIP_DEFLATED)
    assert len(data) < 1 << 20
    monkeypatch.setattr(zipfile.ZipFile, "read", lambda *_: pytest.fail("unpacked"))
    refused(data, 1, "packed")


def test_a_link_is_no_file():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members_of().items():
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.create_system = 3
            info.external_attr = (0o120777 if name == "report.html" else 0o100644) << 16
            archive.writestr(info, content)
    refused(buffer.getvalue(), 1, "one form")


def test_two_archives_in_one():
    """A directory at the end that lists one, and another in front of it that a stream reader meets first."""
    members = members_of()
    members["report.html"] = b"another page"
    refused(packed(members.items()) + DATA, 1, "one form")


def test_too_large_is_said_before_reading(monkeypatch):
    monkeypatch.setattr(claim_v1, "SIZE_LIMIT_BYTES", len(DATA) - 1)
    refused(DATA, 1, "larger than")
    with pytest.raises(ValueError, match="larger than"):
        archive_of(KEY, STATEMENT, releases=(RECORD,))


def test_another_version_says_so():
    members = members_of()
    members["claim.json"] = members["claim.json"].replace(b"earmark/claim/v1", b"earmark/claim/v2")
    with pytest.raises(UnsupportedVersionError):
        checked(packed(members.items()))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"methods":1', b'"methods":0'),
        (b'"looks":1', b'"looks":9007199254740992'),
        (b'"forms":1', b'"forms":true'),
        (b'"statistic":"fixed"', b'"statistic":"best"'),
        (b'"label_map":"auto"', b'"label_map":"fitted"'),
        (b'"is_remote":false', b'"is_remote":0'),
        (b'"class_count":10', b'"class_count":1'),
        (b'"class_count":10', b'"class_count":11'),
        (b'"set":[0,1]', b'"set":[0,true]'),
        (b'"set":[0,1]', b'"set":[0,1,2]'),
        (b'"opened_at":"2026-11-23T11:00:00Z"', b'"opened_at":"2026-11-23T11:00:60Z"'),
        (b'"opened_at":"2026-11-23T11:00:00Z"', b'"opened_at":"2026-11-23T11:00:0\xd9\xa0Z"'),
        (b'"statistic":', b'"said":1,"statistic":'),
        (b'"suspect_timestamps":[]', b'"suspect_timestamps":[""]'),
        (b'"suspect_timestamps":[]', b'"suspect_timestamps":["0g"]'),
        (b'"replies":[', b'"replies":[10,'),
        (b'"replies":[', b'"replies":["perhaps",'),
        (b'"replies":[', b'"replies":[1.0,'),
        (b'"replies":[', b'"replies":[{"output":1,"weights":[1]},'),
        (b'"claim":{', b'"claim": {'),
    ],
)
def test_a_statement_out_of_range(old, new):
    members = members_of()
    assert old in members["claim.json"]
    members["claim.json"] = members["claim.json"].replace(old, new, 1)
    refused(packed(members.items()), 1)


@pytest.mark.parametrize(
    "weights", [[-1, *[0] * 9], [1 << 32, 1, *[0] * 8], [True, *[0] * 9], [0.5, *[0] * 9]], ids=repr
)
def test_weights_out_of_range(weights):
    from earmark.claims.claim import Statement
    from earmark.errors import FormatError

    value = STATEMENT.to_json()
    value["replies"][0] = {"output": 1, "weights": weights}
    with pytest.raises(FormatError):
        Statement.from_json(value)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data[:-1],
        lambda data: data + b"\0",
        lambda data: data + bytes(8),
        lambda data: b"\xff" * 8 + data[8:],
        lambda data: data[:7] + b"\x07" + data[8:],
        lambda data: data[:7],
    ],
)
def test_openings_that_end_elsewhere(change, monkeypatch):
    """Signed by the owner himself, so that only the reader of openings can refuse."""
    honest = claim_v1._write_opening
    monkeypatch.setattr(claim_v1, "_write_opening", lambda item: change(honest(item)))
    data = archive_of(KEY, STATEMENT)
    with pytest.raises(ClaimError) as caught:
        claim_v1.read(data)
    assert caught.value.step == 1


def test_only_the_owner_signs():
    with pytest.raises(InvalidKeyError, match="another owner"):
        archive_of(KEY, STATEMENT, owner=OwnerKey("Test owner", bytes(32)))
    with pytest.raises(InvalidKeyError, match="another owner"):
        archive_of(KEY, STATEMENT, owner=OwnerKey("Test 0wner", bytes(range(32))))


def test_releases_are_counted():
    with pytest.raises(ValueError, match="at most 16"):
        archive_of(KEY, STATEMENT, releases=(RECORD,) * 17)
    sixteen = archive_of(KEY, STATEMENT, releases=(RECORD,) * 16)
    assert len(checked(sixteen).releases) == 16


def test_a_claim_holds_no_secret_and_no_trigger_that_was_not_asked():
    data = archive_of(KEY, replace(STATEMENT, replies=STATEMENT.replies[:10]))
    order = KEY.verification_key.order(SET)
    for place, (trigger, secret) in enumerate(zip(KEY.triggers[SET], KEY.secrets[SET], strict=True)):
        assert secret not in data
        assert (trigger.value.tobytes() in data) == (place in order[:10])
    assert not any(secret in data for secret in KEY.secrets[SET._replace(number=0)])


def test_checksums_are_of_the_members():
    """So that the test of altered bytes does not rest on a checksum alone: they are what zlib computes."""
    with zipfile.ZipFile(io.BytesIO(DATA)) as archive:
        assert [info.CRC for info in archive.infolist()] == [
            zlib.crc32(item) for item in members_of().values()
        ]


def test_another_key_of_the_same_owner_is_refused():
    other = new_key(5, sets=2)
    file = claim_v1.read(DATA)
    with pytest.raises(ClaimError) as caught:
        check_claim(file.claim, file.releases, other.verification_key, TrustedRoots(), NOW)
    assert caught.value.step == 3
