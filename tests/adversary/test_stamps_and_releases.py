"""A claimant who wants another date, another key or another model: each test turns one dial."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pyasn1.codec.der.decoder import decode
from pyasn1.codec.der.encoder import encode
from pyasn1_modules import rfc5652

from authority import Issued, issue, new_authority
from earmark.claims.certificates import read_roots
from earmark.claims.key_stamps import check_key_stamps, key_digest
from earmark.claims.release_record import ReleasedModel, ReleaseRecord, check_release, sign_release
from earmark.claims.signed_data import read_signed, with_certificates
from earmark.claims.timestamps import RefusedTimestamp, check_tokens
from earmark.errors import InvalidKeyError
from earmark.keys import OwnerKey, Transcript, VerificationKey
from forged_stamps import Wish, forged_token
from small import new_key, small_key

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
YEARS = timedelta(days=700)
OWNER = OwnerKey("Test owner", bytes(range(32)))
MODEL = ReleasedModel("marked.onnx", "file", bytes(range(32)), 1234)
KEY = small_key().verification_key
DIGEST = key_digest(KEY)


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    return new_authority(tmp_path_factory.mktemp("honest"), "Honest")


@pytest.fixture(scope="module")
def roots(honest):
    return read_roots(honest.root_pem)


def stamp(authority, digest, time=NOW):
    return forged_token(Wish(digest, time), authority.signer, authority.middle)


def counted(tokens, roots, digest=DIGEST):
    """Whether each token would count as evidence."""
    found = check_tokens(tokens, digest, roots, NOW)
    return [not isinstance(item, RefusedTimestamp) and item.is_root_checked for item in found]


def test_a_token_moved_from_another_key(honest, roots):
    older = new_key(1).verification_key
    token = stamp(honest, key_digest(older), NOW - YEARS)
    moved = replace(KEY, timestamps=(token,))
    (found,) = check_key_stamps(moved, roots, NOW)
    assert "over something else" in found.reason


def test_a_key_signed_again_by_somebody_else_does_not_inherit_a_stamp(honest, roots):
    token = stamp(honest, DIGEST, NOW - YEARS)
    thief = OwnerKey.generate("Thief")
    transcript = replace(KEY.transcript, owner=thief.owner)
    stolen = VerificationKey(transcript, thief.sign(transcript.root), (token,))
    stolen.check()
    assert isinstance(check_key_stamps(stolen, roots, NOW)[0], RefusedTimestamp)
    assert isinstance(Transcript.from_json(transcript.to_json()), Transcript)


def test_a_release_s_stamp_is_none_of_a_key_and_the_other_way_round(honest, roots):
    record = sign_release(KEY, MODEL, (), OWNER)
    assert counted([stamp(honest, record.digest)], roots) == [False]
    assert counted([stamp(honest, DIGEST)], roots, record.digest) == [False]


def test_the_time_altered_inside_a_token(honest, roots):
    token = stamp(honest, DIGEST)
    assert counted([token], roots) == [True]
    assert token.count(b"20261123120000Z") == 1
    earlier = token.replace(b"20261123120000Z", b"20241123120000Z")
    (found,) = check_tokens([earlier], DIGEST, roots, NOW)
    assert "altered after it was signed" in found.reason


def test_an_authority_of_the_claimant_s_own(tmp_path, roots):
    own = new_authority(tmp_path, "Honest")  # with the same names, too
    (found,) = check_tokens([stamp(own, DIGEST, NOW - YEARS)], DIGEST, roots, NOW)
    assert not found.is_root_checked
    assert "root not checked" in str(found)


def test_an_authority_of_his_own_that_shows_the_honest_chain(tmp_path, honest, roots):
    own = new_authority(tmp_path, "Honest")
    tokens = [
        forged_token(Wish(DIGEST, NOW - YEARS), own.signer, own.middle, honest.middle, honest.root),
        forged_token(Wish(DIGEST, NOW - YEARS), own.signer, honest.middle, honest.root),
        with_certificates(read_signed(stamp(own, DIGEST)), (honest.root.certificate, own.root.certificate)),
    ]
    assert counted(tokens, roots) == [False] * 3


def test_the_honest_certificate_shown_for_the_claimant_s_signature(tmp_path, honest, roots):
    own = new_authority(tmp_path, "Own")
    wish = Wish(DIGEST, NOW - YEARS)
    shown = forged_token(wish, own.signer, honest.middle, shown=honest.signer)
    assert counted([shown], roots) == [False]
    # ... and with attributes that name the honest certificate, so that only the signature is false.
    named = forged_token(wish, Issued(honest.signer.certificate, own.signer.key), honest.middle)
    (found,) = check_tokens([named], DIGEST, roots, NOW)
    assert "signature does not fit" in found.reason


def test_a_second_certificate_of_the_same_key_put_in_its_place(honest, roots):
    # An authority renews its certificate and keeps the key. The old one was valid at another time.
    renewed = issue("Honest time stamps", honest.middle, key=honest.signer.key)
    token = forged_token(Wish(DIGEST, NOW), honest.signer, honest.middle, shown=renewed)
    (found,) = check_tokens([token], DIGEST, roots, NOW)
    assert "does not name the certificate" in found.reason


def test_a_certificate_that_only_looks_issued_by_itself_ends_no_chain(tmp_path, honest, roots):
    # Its issuer and subject are alike to software that ignores case; it was issued by nobody trusted.
    root = issue("HONEST ROOT")
    middle = issue("honest intermediate", root, is_authority=True)
    signer = issue("stamps", middle)
    tokens = [
        forged_token(Wish(DIGEST, NOW - YEARS), signer, *more)
        for more in itertools.permutations([middle, root, honest.root, honest.middle], 2)
    ]
    assert not any(counted(tokens, roots))


def test_a_server_s_certificate_under_the_same_root_signs_no_stamp(honest, roots):
    usage = x509.oid.ExtendedKeyUsageOID.SERVER_AUTH
    server = issue("www.example.org", honest.middle, usages=(usage,))
    token = forged_token(Wish(DIGEST, NOW - YEARS), server, honest.middle)
    assert counted([token], roots) == [False]
    # Nor does a stamping certificate act as an authority over certificates.
    below = issue("below", Issued(honest.signer.certificate, honest.signer.key))
    assert counted([forged_token(Wish(DIGEST, NOW), below, honest.signer, honest.middle)], roots) == [False]


def test_a_second_signer_is_not_smuggled_in(tmp_path, honest, roots):
    own = new_authority(tmp_path, "Own")
    good, bad = (
        decode(
            decode(stamp(who, DIGEST, time), asn1Spec=rfc5652.ContentInfo())[0]["content"],
            asn1Spec=rfc5652.SignedData(),
        )[0]
        for who, time in ((honest, NOW), (own, NOW - YEARS))
    )
    for first, second in ((good, bad), (bad, good)):
        both, _ = decode(encode(first), asn1Spec=rfc5652.SignedData())
        both["signerInfos"].append(second["signerInfos"][0])
        for certificate in second["certificates"]:
            both["certificates"].append(certificate)
        outer = rfc5652.ContentInfo()
        outer["contentType"], outer["content"] = rfc5652.id_signedData, encode(both)
        (found,) = check_tokens([encode(outer)], DIGEST, roots, NOW)
        assert "exactly one signer" in found.reason


def released(honest, roots, *, key_time, release_time):
    key = replace(KEY, timestamps=(stamp(honest, DIGEST, key_time),))
    record = sign_release(key, MODEL, check_key_stamps(key, roots, NOW), OWNER)
    return key, replace(record, timestamps=(stamp(honest, record.digest, release_time),))


def test_a_release_for_a_key_that_he_does_not_own():
    pirate = OwnerKey.generate("Pirate")
    with pytest.raises(InvalidKeyError, match="another owner"):
        sign_release(KEY, MODEL, (), pirate)
    honest_record = sign_release(KEY, MODEL, (), OWNER)
    for owner in (pirate.owner, replace(pirate.owner, name="Test owner")):
        release = replace(honest_record.release, owner=owner)
        record = ReleaseRecord(release, pirate.sign(release.root))
        record.check()
        with pytest.raises(InvalidKeyError, match="another owner"):
            check_release(record, KEY, read_roots(issue("any").pem), NOW)
    # The owner's name with the pirate's signature.
    with pytest.raises(InvalidKeyError, match="does not fit the release record"):
        replace(honest_record, signature=pirate.sign(honest_record.release.root)).check()


def test_a_record_shown_for_another_key(roots):
    record = sign_release(KEY, MODEL, (), OWNER)
    with pytest.raises(InvalidKeyError, match="for another key"):
        check_release(record, new_key(1).verification_key, roots, NOW)


def test_a_signature_over_a_transcript_is_none_over_a_release():
    record = sign_release(KEY, MODEL, (), OWNER)
    with pytest.raises(InvalidKeyError):
        replace(record, signature=KEY.signature).check()
    with pytest.raises(InvalidKeyError):
        replace(KEY, signature=record.signature).check()


def test_a_release_dated_back_by_an_old_stamp(honest, roots):
    key, old = released(honest, roots, key_time=NOW - 2 * YEARS, release_time=NOW - YEARS)
    another = replace(MODEL, digest=bytes(32))
    today = sign_release(key, another, check_key_stamps(key, roots, NOW), OWNER)
    reused = replace(today, timestamps=old.timestamps)
    found = check_release(reused, key, roots, NOW)
    assert isinstance(found.release_stamps[0], RefusedTimestamp)
    assert not found.order.is_evident


def test_a_key_s_stamp_that_the_record_does_not_name_does_not_date_the_key(honest, roots):
    # The key was stamped before, but the record was signed without that stamp: it is left aside.
    key, record = released(honest, roots, key_time=NOW - YEARS, release_time=NOW)
    silent = sign_release(key, MODEL, (), OWNER)
    silent = replace(silent, timestamps=(stamp(honest, silent.digest, NOW),))
    assert check_release(record, key, roots, NOW).order.is_evident
    assert not check_release(silent, key, roots, NOW).order.is_evident


def test_a_key_whose_named_stamp_was_taken_away_or_exchanged(honest, roots):
    key, record = released(honest, roots, key_time=NOW - YEARS, release_time=NOW)
    for tokens in ((), (stamp(honest, DIGEST, NOW - 2 * YEARS),)):
        found = check_release(record, replace(key, timestamps=tokens), roots, NOW)
        assert "does not carry" in found.key_stamps[0].reason
        assert not found.order.is_evident


def test_the_named_time_is_the_stamp_s_own(honest, roots):
    key, record = released(honest, roots, key_time=NOW - YEARS, release_time=NOW)
    (named,) = record.release.key_stamps
    release = replace(record.release, key_stamps=(replace(named, time=NOW - 2 * YEARS),))
    lying = ReleaseRecord(release, OWNER.sign(release.root))
    lying = replace(lying, timestamps=(stamp(honest, lying.digest, NOW),))
    found = check_release(lying, key, roots, NOW)
    assert "another time" in found.key_stamps[0].reason
    assert not found.order.is_evident


def test_a_key_stamped_after_the_release(honest, roots):
    key, record = released(honest, roots, key_time=NOW, release_time=NOW - timedelta(hours=3))
    found = check_release(record, key, roots, NOW)
    assert not found.order.is_evident
    assert "before the key" in found.order.reason


def test_added_certificates_change_neither_the_token_s_name_nor_what_it_shows(honest, roots):
    token = stamp(honest, DIGEST)
    more = issue("Somebody else")
    changed = with_certificates(read_signed(token), (more.certificate,))
    assert more.certificate.public_bytes(Encoding.DER) in changed
    assert check_tokens([changed], DIGEST, roots, NOW) == check_tokens([token], DIGEST, roots, NOW)
