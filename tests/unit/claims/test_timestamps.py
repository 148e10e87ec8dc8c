from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from authority import new_authority
from earmark.claims.certificates import TrustedRoots, read_roots
from earmark.claims.signed_data import read_signed
from earmark.claims.timestamps import (
    ASSUMED_ACCURACY,
    RefusedTimestamp,
    TimestampRequest,
    check_response,
    check_token,
    check_tokens,
    create_request,
)
from earmark.commitment import digest
from earmark.errors import FormatError, TimestampError
from forged_stamps import Wish, forged_response, forged_token

NOW = datetime.now(UTC).replace(microsecond=0)
IMPRINT = bytes(range(32))
REQUEST = TimestampRequest(IMPRINT, 7, b"")
# A status of 60,000 bytes: turning such a number into a text is refused by Python.
HUGE_STATUS = bytes.fromhex("3082ea683082ea640282ea60") + b"\x7f" * 60_000


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return new_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    return new_authority(tmp_path_factory.mktemp("other"), "Other")


@pytest.fixture(scope="module")
def roots(authority):
    return read_roots(authority.root_pem)


def forged(authority, **changes):
    return forged_token(replace(Wish(IMPRINT, NOW), **changes), authority.signer, authority.middle)


def asked(authority, roots):
    request = create_request("a message", 7)
    return request, *check_response(request, authority.reply(request.der), roots, datetime.now(UTC))


def test_a_request_shows_a_digest_and_never_the_same_nonce():
    first, second = create_request("label", b"part", 1), create_request("label", b"part", 1)
    assert first.digest == second.digest == digest("label", b"part", 1)
    assert first.digest in first.der
    assert first.nonce != second.nonce
    assert min(first.nonce, second.nonce) > 2**40


def test_openssl_s_answer_is_evidence_under_its_root(authority, roots):
    before = datetime.now(UTC) - timedelta(seconds=2)
    request, token, evidence = asked(authority, roots)
    assert before <= evidence.time <= datetime.now(UTC)
    assert (evidence.accuracy, evidence.states_accuracy) == (timedelta(seconds=1), True)
    assert evidence.authority == "CN=Test time stamps"
    assert evidence.policy == "1.2.3.4.1"
    assert evidence.is_root_checked
    assert evidence.chain_end.startswith("CN=Test root, SHA-256 ")
    assert check_token(token, request.digest, roots, NOW + timedelta(days=3000)) == evidence


def test_without_a_root_a_stamp_is_read_and_said_to_be_unchecked(authority):
    _, _, evidence = asked(authority, TrustedRoots())
    assert not evidence.is_root_checked
    assert "root not checked: CN=Test intermediate" in str(evidence)
    assert evidence.to_json()["root_checked"] is False


def test_the_kept_token_holds_its_whole_chain_and_openssl_reads_it(authority, roots, tmp_path):
    import subprocess

    request, token, evidence = asked(authority, roots)
    assert authority.root.certificate in read_signed(token).certificates
    (tmp_path / "token").write_bytes(token)
    (tmp_path / "root.pem").write_bytes(authority.root_pem)
    digest_text = request.digest.hex()
    said = subprocess.run(
        [
            "openssl",
            "ts",
            "-verify",
            "-digest",
            digest_text,
            "-in",
            "token",
            "-token_in",
            "-CAfile",
            "root.pem",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "Verification: OK" in said.stdout + said.stderr
    # A root that lies in the token is no root that the checker gave.
    assert not check_token(token, request.digest, TrustedRoots(), NOW + timedelta(hours=1)).is_root_checked
    assert check_token(token, request.digest, TrustedRoots(), NOW + timedelta(hours=1)).token_digest == (
        evidence.token_digest
    )


def test_an_intermediate_that_the_authority_leaves_out_comes_from_the_checker(tmp_path):
    short = new_authority(tmp_path, "Short", carries_chain=False)
    both = read_roots(short.root_pem + b"\nsome words\n" + short.middle.pem)
    assert (len(both.anchors), len(both.intermediates)) == (1, 1)
    with pytest.raises(TimestampError, match="ends in none of the given roots"):
        asked(short, read_roots(short.root_pem))
    request, token, evidence = asked(short, both)
    assert evidence.is_root_checked
    assert check_token(
        token, request.digest, read_roots(short.root_pem), NOW + timedelta(days=1)
    ).is_root_checked


def test_one_of_many_roots_is_enough_and_is_named(authority, other):
    both = read_roots(other.root_pem + authority.root_pem)
    assert "CN=Test root" in asked(authority, both)[2].chain_end
    assert "CN=Other root" in asked(other, both)[2].chain_end


def test_a_missing_accuracy_is_assumed_and_said(tmp_path):
    vague = new_authority(tmp_path, "Vague", accuracy=None)
    _, _, evidence = asked(vague, read_roots(vague.root_pem))
    assert (evidence.accuracy, evidence.states_accuracy) == (ASSUMED_ACCURACY, False)
    assert "± 60 s, assumed" in str(evidence)
    assert evidence.latest - evidence.earliest == 2 * ASSUMED_ACCURACY


@pytest.mark.parametrize(("accuracy", "seconds"), [("millisecs:5", 1), ("secs:2, millisecs:500", 2.5)])
def test_no_accuracy_is_finer_than_the_seconds_in_which_times_are_written(tmp_path, accuracy, seconds):
    fine = new_authority(tmp_path, accuracy=accuracy)
    assert asked(fine, read_roots(fine.root_pem))[2].accuracy.total_seconds() == seconds


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"days": (-30, -1)}, "was not valid at the time"),
        ({"days": (1, 30)}, "was not valid at the time"),
        ({"usages": (ExtendedKeyUsageOID.CODE_SIGNING,)}, "not for time stamps alone"),
        (
            {"usages": (ExtendedKeyUsageOID.TIME_STAMPING, ExtendedKeyUsageOID.CODE_SIGNING)},
            "not for time stamps alone",
        ),
        ({"usages": ()}, "does not say that it is for time stamps"),
        ({"critical": False}, "not for time stamps alone"),
    ],
)
@pytest.mark.parametrize("is_root_given", [False, True])
def test_a_certificate_that_may_not_sign_stamps_is_refused(tmp_path, options, words, is_root_given):
    bad = new_authority(tmp_path, **options)
    given = read_roots(bad.root_pem) if is_root_given else TrustedRoots()
    with pytest.raises(TimestampError, match=words):
        check_response(REQUEST, forged_response(forged(bad)), given, NOW)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"nonce": 8}, "another nonce"),
        ({"nonce": None}, "another nonce"),
        ({"imprint": bytes(32)}, "over something else"),
        ({"imprint": IMPRINT[:31]}, "over something else"),
        ({"algorithm": "1.3.14.3.2.26"}, "over something else"),
        ({"time": NOW + timedelta(days=2)}, "still to come"),
        ({"time": NOW + timedelta(minutes=6)}, "still to come"),
        ({"time": NOW - timedelta(days=2)}, "one of the two clocks is wrong"),
        ({"time": NOW - timedelta(minutes=6)}, "one of the two clocks is wrong"),
        ({"accuracy_seconds": 86_401}, "more than a day"),
        ({"accuracy_seconds": 2**80}, "more than a day"),
        ({"with_certificate_id": False}, "does not name the certificate"),
        ({"with_content_type": False}, "malformed"),
        ({"kind": "1.2.840.113549.1.7.1"}, "not a time stamp"),
    ],
)
def test_an_answer_that_lies_is_refused(authority, roots, changes, words):
    answer = forged_response(forged(authority, **changes))
    for given in (roots, TrustedRoots()):
        with pytest.raises(TimestampError, match=words):
            check_response(REQUEST, answer, given, NOW)


def test_the_forger_s_honest_answer_is_accepted(authority, roots):
    token, evidence = check_response(REQUEST, forged_response(forged(authority)), roots, NOW)
    assert evidence.time == NOW
    assert check_token(token, IMPRINT, roots, NOW + timedelta(days=1000)) == evidence


def test_what_is_granted_with_modifications_is_checked_like_any_other(authority, roots):
    """PKIStatus 1, grantedWithMods (RFC 3161 section 2.4.2)."""
    honest = check_response(REQUEST, forged_response(forged(authority)), roots, NOW)
    assert (
        check_response(REQUEST, forged_response(forged(authority), 1), roots, NOW)[1].time == honest[1].time
    )
    with pytest.raises(TimestampError, match="not a time stamp"):
        check_response(REQUEST, forged_response(b"", 1), roots, NOW)


@pytest.mark.parametrize("status", [2, 3, 4, 5])
def test_what_is_not_granted_is_no_stamp(authority, roots, status):
    for token in (b"", forged(authority)):
        with pytest.raises(TimestampError, match=f"did not grant the stamp .status {status}"):
            check_response(REQUEST, forged_response(token, status), roots, NOW)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"0",
        b"<html>",
        b"\x30\x80",
        b"\x30\x84\xff\xff\xff\xff",
        b"0\x03\x02\x01\x00",
        b"\x30" * 60_000,
        HUGE_STATUS,
    ],
)
def test_what_is_no_answer_is_refused_in_one_line(roots, answer):
    with pytest.raises(TimestampError) as refused:
        check_response(REQUEST, answer, roots, NOW)
    assert len(str(refused.value)) < 300
    assert "\n" not in str(refused.value)


def test_a_huge_answer_is_refused_unread(roots):
    for check in (lambda data: check_response(REQUEST, data, roots, NOW), read_signed):
        with pytest.raises(TimestampError, match="larger than 65536 bytes"):
            check(b"0" * 65_537)


def test_a_kept_token_is_not_from_the_future(authority, roots):
    token = forged(authority)
    with pytest.raises(TimestampError, match="still to come"):
        check_token(token, IMPRINT, roots, NOW - timedelta(minutes=6))


def test_one_bad_token_takes_nothing_from_the_others(authority, roots):
    found = check_tokens(
        [b"junk", forged(authority), forged(authority, imprint=bytes(32))], IMPRINT, roots, NOW
    )
    assert [isinstance(item, RefusedTimestamp) for item in found] == [True, False, True]
    assert "over something else" in str(found[2])
    assert found[2].to_json() == {"refused": found[2].reason}


@pytest.mark.parametrize("bit", [0, 6])
def test_altered_bytes_of_what_is_signed_are_noticed(authority, roots, bit):
    token = forged(authority)
    signed = read_signed(token)
    honest = check_token(token, IMPRINT, roots, NOW)
    for place in range(bit, len(token), 7):
        altered = token[:place] + bytes([token[place] ^ 1 << bit]) + token[place + 1 :]
        (found,) = check_tokens([altered], IMPRINT, roots, NOW)
        # Certificates beside the signer's are not signed: altering one costs the root, and nothing else changes.
        if not isinstance(found, RefusedTimestamp):
            assert (found.time, found.token_digest) == (honest.time, signed.token_digest)
            assert found == honest or not found.is_root_checked


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"no certificate",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
        b"-----BEGIN CERTIFICATE-----\n" * 3,
        b"x" * ((4 << 20) + 1),
    ],
)
def test_roots_that_are_none_are_refused(pem):
    with pytest.raises(FormatError, match="roots: "):
        read_roots(pem)


def test_a_file_without_a_root_is_refused(authority):
    with pytest.raises(FormatError, match="no certificate is a root"):
        read_roots(authority.middle.pem)
