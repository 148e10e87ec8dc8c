from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from authority import new_authority
from earmark.claims.certificates import TrustedRoots, read_roots
from earmark.claims.key_stamps import check_key_stamps, key_digest
from earmark.claims.order import order_of
from earmark.claims.release_record import ReleasedModel, check_release, sign_release
from earmark.claims.timestamps import RefusedTimestamp, TimestampEvidence
from earmark.errors import InvalidKeyError
from earmark.keys import OwnerKey
from forged_stamps import Wish, forged_token
from small import small_key

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
OWNER = OwnerKey("Test owner", bytes(range(32)))
MODEL = ReleasedModel("marked.onnx", "file", bytes(range(32)), 1234)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return new_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def roots(authority):
    return read_roots(authority.root_pem)


def evidence(time, *, accuracy=1, root="a" * 64):
    return TimestampEvidence(
        time,
        timedelta(seconds=accuracy),
        True,
        "CN=x",
        "1.2",
        b"t" * 32,
        root,
        "CN=r",
        NOW + timedelta(days=9),
    )


def stamp(authority, digest, time):
    return forged_token(Wish(digest, time), authority.signer, authority.middle)


def test_key_then_model(authority, roots):
    key = small_key().verification_key
    first = NOW - timedelta(hours=1)
    key = replace(key, timestamps=(stamp(authority, key_digest(key), first),))
    record = sign_release(key, MODEL, check_key_stamps(key, roots, NOW), OWNER)
    assert [item.time for item in record.release.key_stamps] == [first]
    record = replace(record, timestamps=(stamp(authority, record.digest, NOW),))
    found = check_release(record, key, roots, NOW)
    assert found.model == MODEL
    assert found.order.is_evident
    assert found.order.reason == "the key was there at least 3598 s before the release"
    assert found.to_json()["order"]["key_first"] is True
    unchecked = check_release(record, key, TrustedRoots(), NOW)
    assert not unchecked.order.is_evident
    assert "no stamp whose root was checked" in unchecked.order.reason


@pytest.mark.parametrize(
    ("apart", "key_accuracy", "release_accuracy", "evident"),
    [
        (3, 1, 1, True),
        (2, 1, 1, False),
        (1, 1, 1, False),
        (0, 1, 1, False),
        (-1, 1, 1, False),
        (-3, 1, 1, False),
        (61, 60, 1, False),
        (62, 60, 1, True),
        (62, 1, 60, True),
        (61, 1, 60, False),
    ],
)
def test_the_order_is_evident_only_where_the_intervals_are_apart(
    apart, key_accuracy, release_accuracy, evident
):
    key = evidence(NOW, accuracy=key_accuracy)
    release = evidence(NOW + timedelta(seconds=apart), accuracy=release_accuracy)
    assert order_of([key], [release]).is_evident is evident


def test_the_release_before_the_key_is_said():
    found = order_of([evidence(NOW)], [evidence(NOW - timedelta(days=2))])
    assert not found.is_evident
    assert found.reason == "the release was there at least 1 day before the key"


def test_stamps_without_a_checked_root_and_refused_ones_do_not_count():
    early = evidence(NOW - timedelta(days=9), root=None)
    release = evidence(NOW + timedelta(seconds=1))
    for key_stamps in ([], [early], [RefusedTimestamp("no")]):
        assert "no stamp whose root was checked dates the key" in order_of(key_stamps, [release]).reason
    assert "dates the key and the release" in order_of([], []).reason
    # One that counts beside it decides: it is too close to the release.
    assert not order_of([early, evidence(NOW)], [release]).is_evident


def test_stamping_a_release_once_more_later_wins_nothing():
    key = [evidence(NOW)]
    close = evidence(NOW + timedelta(seconds=1))
    assert not order_of(key, [close, evidence(NOW + timedelta(days=9))]).is_evident


def test_the_earliest_stamp_of_the_key_dates_it():
    found = order_of([evidence(NOW), evidence(NOW - timedelta(days=9))], [evidence(NOW)])
    assert found.is_evident
    assert found.key.time == NOW - timedelta(days=9)


def test_a_release_is_signed_only_with_the_key_of_its_owner():
    key = small_key().verification_key
    for other in (OwnerKey.generate("Test owner"), OwnerKey("Another name", OWNER.secret)):
        with pytest.raises(InvalidKeyError, match="another owner"):
            sign_release(key, MODEL, (), other)
