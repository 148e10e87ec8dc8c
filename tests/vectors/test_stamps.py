"""Golden stamps and releases, checked offline at a fixed time; and once more by OpenSSL."""

import hashlib
import json
import subprocess
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from earmark.claims.certificates import TrustedRoots, read_roots
from earmark.claims.key_stamps import check_key_stamps, key_digest
from earmark.claims.release_record import check_release
from earmark.claims.timestamps import RefusedTimestamp
from earmark.formats import in_toto, release_record_v1, verification_key_v1
from vectors.tiny_key import tiny_key

FOLDER = Path(__file__).parent / "v1" / "stamps"
EXPECTED = json.loads((FOLDER / "expected.json").read_text())
NOW = datetime.fromisoformat(EXPECTED["now"])
FIRST, SECOND = ((FOLDER / f"{name}-root.pem").read_bytes() for name in ("first", "second"))
KEY_FILE, RECORD_FILE = ((FOLDER / name).read_bytes() for name in ("stamped.vk.json", "marked.release.json"))
KEY, RECORD = verification_key_v1.read(KEY_FILE), release_record_v1.read(RECORD_FILE)


def framed(*parts):
    """Framing written once more, from docs/formats/hashing-v1.md."""
    return b"".join(len(part).to_bytes(8, "big") + part for part in parts)


def test_files_are_written_again_byte_for_byte():
    assert verification_key_v1.write(KEY) == KEY_FILE
    assert release_record_v1.write(RECORD) == RECORD_FILE
    assert (
        in_toto.write(RECORD, {".": RECORD.release.model.digest})
        == (FOLDER / "marked.intoto.json").read_bytes()
    )


def test_digests_are_those_of_the_pages():
    # Written from docs/formats, without Earmark's own hashing.
    key, record = json.loads(KEY_FILE), json.loads(RECORD_FILE)
    statement = json.dumps(
        record["release"], sort_keys=True, separators=(",", ":"), ensure_ascii=False
    ).encode()
    root = hashlib.sha256(framed(b"earmark/release/v1", statement)).digest()
    digest = hashlib.sha256(
        framed(b"earmark/release-record/v1", root, bytes.fromhex(record["signature"]))
    ).digest()
    assert (root.hex(), digest.hex()) == (EXPECTED["release_root"], EXPECTED["record_digest"])
    transcript = json.dumps(
        key["transcript"], sort_keys=True, separators=(",", ":"), ensure_ascii=False
    ).encode()
    key_root = hashlib.sha256(framed(b"earmark/transcript/v1", transcript)).digest()
    named = hashlib.sha256(
        framed(b"earmark/verification-key/v1", key_root, bytes.fromhex(key["signature"]))
    ).hexdigest()
    assert named == EXPECTED["key_digest"] == record["release"]["key"] == key_digest(KEY).hex()
    assert key_digest(tiny_key().verification_key).hex() == named


@pytest.mark.parametrize(
    ("roots", "checked"), [(FIRST, [True, False]), (SECOND, [False, True]), (FIRST + SECOND, [True, True])]
)
def test_stamps_show_the_same_for_ever(roots, checked):
    for now in (NOW, NOW + timedelta(days=36_500)):
        found = check_key_stamps(KEY, read_roots(roots), now)
        assert [stamp.is_root_checked for stamp in found] == checked
        assert [stamp.time.isoformat() for stamp in found] == EXPECTED["key_times"]
        assert [stamp.accuracy.total_seconds() for stamp in found] == EXPECTED["accuracy_seconds"]


def test_the_order_is_evident_only_to_whoever_trusts_the_authority():
    found = check_release(RECORD, KEY, read_roots(FIRST), NOW)
    assert found.order.is_evident
    assert found.model.name == "marked.safetensors"
    for roots in (TrustedRoots(), read_roots(SECOND)):
        assert not check_release(RECORD, KEY, roots, NOW).order.is_evident


def test_tokens_do_not_fit_each_other_s_place():
    exchanged = replace(RECORD, timestamps=KEY.timestamps)
    found = check_release(exchanged, KEY, read_roots(FIRST + SECOND), NOW)
    assert all(isinstance(stamp, RefusedTimestamp) for stamp in found.release_stamps)


@pytest.mark.parametrize(
    ("place", "root", "is_good"),
    [(0, "first", True), (0, "second", False), (1, "second", True), (1, "first", False)],
)
def test_openssl_says_the_same(tmp_path, place, root, is_good):
    (tmp_path / "token").write_bytes(KEY.timestamps[place])
    command = ["openssl", "ts", "-verify", "-digest", EXPECTED["key_digest"], "-token_in", "-in", "token"]
    said = subprocess.run(
        [*command, "-CAfile", FOLDER / f"{root}-root.pem"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ("Verification: OK" in said.stdout + said.stderr) is is_good
