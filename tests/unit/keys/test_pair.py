from dataclasses import replace

import pytest

from earmark.errors import FormatError, InvalidKeyError
from earmark.keys import SetId, VerificationKey
from earmark.keys.pair import trigger_salt, trigger_stream
from earmark.triggers import Trigger
from vectors.tiny_key import image_trigger, sealed, signed, tiny_key

KEY = tiny_key()
FIRST = SetId(0, 0)


def test_sets_are_listed_in_the_order_of_use():
    assert KEY.verification_key.set_ids == (SetId(0, 0), SetId(0, 1), SetId(1, 0))
    assert KEY.trigger_count == 13


def test_the_backdoor_of_all_sets_has_every_trigger_and_its_label():
    backdoor = KEY.backdoor()
    assert len(backdoor) == 13
    assert backdoor.class_count == 8
    assert backdoor.triggers[5:10] == KEY.triggers[SetId(0, 1)]
    assert backdoor.labels[10:] == KEY.verification_key.labels(SetId(1, 0))


def test_the_backdoor_of_some_sets_has_only_these_in_the_order_asked_for():
    backdoor = KEY.backdoor([SetId(1, 0), FIRST])
    assert backdoor.triggers == KEY.triggers[SetId(1, 0)] + KEY.triggers[FIRST]
    assert backdoor.labels == KEY.verification_key.labels(SetId(1, 0)) + KEY.verification_key.labels(FIRST)


def test_triggers_are_found_by_what_made_them_and_left_out():
    names = [stratum.sampler for stratum in KEY.transcript.strata]
    assert len(set(names)) == 2
    assert KEY.places_of(names[1]) == (10, 11, 12)
    assert KEY.places_of("magic") == ()
    backdoor = KEY.backdoor()
    assert backdoor.without(KEY.places_of(names[1])) == KEY.backdoor([FIRST, SetId(0, 1)])
    assert backdoor.without(()) is backdoor
    with pytest.raises(ValueError, match="at least one"):
        backdoor.without(range(13))


def test_a_secret_gives_a_salt_and_an_independent_stream():
    secret = bytes(range(32))
    assert len(trigger_salt(secret)) == 32
    assert trigger_stream(secret).read(32) != trigger_salt(secret)
    assert trigger_stream(secret).read(32) == trigger_stream(secret).read(32)
    assert trigger_salt(bytes(32)) != trigger_salt(secret)


def test_secrets_and_triggers_are_not_shown():
    shown = repr(KEY)
    assert KEY.secrets[FIRST][0].hex() not in shown
    assert repr(KEY.secrets[FIRST][0]) not in shown
    assert repr(KEY.triggers[FIRST][0]) not in shown


def test_a_scheme_that_this_release_does_not_open_is_refused():
    linear = {"scheme": "sis", "prime": 97, "rows": 4, "random_bytes": 8, "sidecar": "ab" * 32}
    key = replace(KEY, verification_key=signed(replace(KEY.transcript, commitment=linear)))
    with pytest.raises(InvalidKeyError, match="commitments are linear, and the key opens others"):
        key.check()


@pytest.mark.parametrize("field", ["triggers", "secrets"])
def test_an_incomplete_set_is_refused(field):
    fewer = {**getattr(KEY, field), FIRST: getattr(KEY, field)[FIRST][:4]}
    with pytest.raises(InvalidKeyError, match="set 0 of 'abstract' is incomplete"):
        replace(KEY, **{field: fewer}).check()


@pytest.mark.parametrize("other", [image_trigger(bytes(16), (2, 8, 1)), Trigger("text", b"hello")])
def test_a_trigger_of_another_geometry_or_kind_is_refused(other):
    triggers = {**KEY.triggers, FIRST: (other, *KEY.triggers[FIRST][1:])}
    with pytest.raises(InvalidKeyError, match="geometry of the task"):
        replace(KEY, triggers=triggers).check()
    if other.kind == "image":
        with pytest.raises(InvalidKeyError, match="geometry of the task"):
            sealed(KEY.transcript, KEY.secrets, triggers).check()


def test_malformed_trigger_bytes_are_refused():
    triggers = {**KEY.triggers, FIRST: (Trigger("image", b"hello"), *KEY.triggers[FIRST][1:])}
    with pytest.raises(FormatError, match="malformed image trigger"):
        replace(KEY, triggers=triggers).check()


def test_two_keys_of_one_owner_have_nothing_in_common():
    other = tiny_key("other")
    assert not set(other.secrets[FIRST]) & set(KEY.secrets[FIRST])
    with pytest.raises(InvalidKeyError):
        VerificationKey(other.transcript, KEY.verification_key.signature).check()
