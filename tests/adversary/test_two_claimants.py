"""Owner and pirate before an arbiter: whose key fires on whose released models, and how a pirate would have it.

Suspects here are scripted: each answers the labels of the keys that it is said to be marked with.
"""

from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from authority import new_authority
from earmark.claims.asking_again import ask_again, put_questions
from earmark.claims.certificates import read_roots
from earmark.claims.checking import check_claim
from earmark.claims.comparing import CrossCheck, dated_before, decide
from earmark.claims.release_record import ReleasedModel, sign_release
from earmark.formats import claim_v1
from earmark.keys import OwnerKey, SetId, Task, keygen
from earmark.triggers.abstract import AbstractSampler
from earmark.triggers.image import ImageGeometry
from forged_stamps import Wish, forged_token
from small import DIGITS, ScriptedSuspect
from small_claims import NOW, OPENED, archive_of, statement_of

ONLY = SetId(0, 0)
NAMES = ("Owner", "Pirate")


@dataclass(frozen=True)
class Party:
    """One claimant."""

    owner: OwnerKey
    key: object


def party(name, number):
    owner = OwnerKey(name, bytes([number] * 32))
    return Party(
        owner, keygen(owner, Task(ImageGeometry(8, 8, 1), DIGITS), AbstractSampler(), triggers_per_set=100)
    )


OWNER, PIRATE = party("Owner", 1), party("Pirate", 2)
BOTH = (OWNER, PIRATE)


def model(number, *marks):
    """A suspect that knows the triggers of these parties."""
    known = {}
    for side in marks:
        for trigger, label in zip(side.key.triggers[ONLY], side.key.labels(ONLY), strict=True):
            known[trigger.value.tobytes()] = label
    suspect = ScriptedSuspect(lambda inputs: [known.get(item.tobytes(), 0) for item in inputs])
    suspect.identity = f"sha256:{bytes([number] * 32).hex()}"
    return suspect


OWNERS, PIRATES, CLEAN = model(1, OWNER), model(2, OWNER, PIRATE), model(3)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return new_authority(tmp_path_factory.mktemp("authority"))


def release_of(side, suspect, authority, *, days=30):
    """A release record, stamped so many days before the sets were opened."""
    digest = bytes.fromhex(suspect.identity.removeprefix("sha256:"))
    record = sign_release(
        side.key.verification_key, ReleasedModel("m.onnx", "file", digest, 1), (), side.owner
    )
    if days is None:
        return record
    wish = Wish(record.digest, OPENED - timedelta(days=days))
    return replace(record, timestamps=(forged_token(wish, authority.signer, authority.middle),))


def arbiter(authority, suspect, releases, at_hand, *, attested=None):
    """What an arbiter finds: both claims checked, both keys put to the suspect and to the other's models."""
    roots = read_roots(authority.root_pem)
    found = []
    for side, records in zip(BOTH, releases, strict=True):
        data = archive_of(side.key, statement_of(side.key, suspect, ONLY), owner=side.owner, releases=records)
        file = claim_v1.read(data)
        found.append(check_claim(file.claim, file.releases, side.key.verification_key, roots, NOW))
    keys = [side.key.verification_key for side in BOTH]
    shown = tuple(ask_again(found[at], keys[at], suspect, None).mark_shown for at in (0, 1))
    known = {item.identity: item for item in at_hand}
    checks = []
    for asker, releaser in ((0, 1), (1, 0)):
        for release in found[releaser].releases:
            item = known.get(release.model.identity)
            verdict = item and put_questions(found[asker], keys[asker], item, None)
            dated = dated_before(found[asker].statement.opened_at, release, attested)
            checks.append(CrossCheck(asker, releaser, release.model.name, verdict, dated))
    return decide(NAMES, shown, checks)


def test_the_owner_is_found(authority):
    releases = ((release_of(OWNER, OWNERS, authority),), (release_of(PIRATE, PIRATES, authority),))
    found = arbiter(authority, PIRATES, releases, (OWNERS, PIRATES))
    assert found.winner == 0
    assert found.reason == "the key of 'Owner' fires on what 'Pirate' released, and not the other way round"


def test_a_pirate_with_the_older_date(authority):
    """He stamped his key and even his release years before: dates decide nothing between them."""
    releases = (
        (release_of(OWNER, OWNERS, authority, days=1),),
        (release_of(PIRATE, PIRATES, authority, days=900),),
    )
    assert arbiter(authority, PIRATES, releases, (OWNERS, PIRATES)).winner == 0


def test_a_pirate_who_calls_the_owners_model_his_release(authority):
    releases = ((release_of(OWNER, OWNERS, authority),), (release_of(PIRATE, OWNERS, authority),))
    assert arbiter(authority, PIRATES, releases, (OWNERS, PIRATES)).winner == 0


def test_a_pirate_who_hides_his_model(authority):
    """He names a model without any mark, or none, or one that nobody can ask: it never makes him the winner."""
    owners = (release_of(OWNER, OWNERS, authority),)
    for releases, words in (
        ((release_of(PIRATE, CLEAN, authority),), "neither key fires"),
        ((), "names no released model"),
        ((release_of(PIRATE, model(9), authority),), "was not at hand"),
    ):
        found = arbiter(authority, PIRATES, (owners, releases), (OWNERS, PIRATES, CLEAN))
        assert found.winner is None
        assert words in found.reason


def test_a_pirate_who_wants_the_owner_to_have_released_less(authority):
    """Without the owner's models at hand nothing is decided for the pirate either."""
    releases = ((release_of(OWNER, OWNERS, authority),), (release_of(PIRATE, PIRATES, authority),))
    found = arbiter(authority, PIRATES, releases, (PIRATES,))
    assert found.winner is None
    assert "was not at hand, so the key of 'Pirate' was not put to it" in found.reason


def test_a_release_that_is_not_dated_before_the_opening(authority):
    """Whoever had the opened set could have slipped its triggers into what the other trained on."""
    owners = (release_of(OWNER, OWNERS, authority),)
    for late in (None, -1):
        releases = (owners, (release_of(PIRATE, PIRATES, authority, days=late),))
        found = arbiter(authority, PIRATES, releases, (OWNERS, PIRATES))
        assert found.winner is None
        assert "nothing shows that the model is older" in found.reason
        assert arbiter(authority, PIRATES, releases, (OWNERS, PIRATES), attested="Escrow").winner == 0


def test_both_marks_on_both_sides(authority):
    other = model(4, OWNER, PIRATE)
    releases = ((release_of(OWNER, other, authority),), (release_of(PIRATE, PIRATES, authority),))
    found = arbiter(authority, PIRATES, releases, (other, PIRATES))
    assert found.winner is None
    assert "both keys fire" in found.reason


def test_a_quarrel_about_another_model(authority):
    """The owner's key fires on what the pirate released, but not on the model that they quarrel about."""
    releases = ((release_of(OWNER, OWNERS, authority),), (release_of(PIRATE, PIRATES, authority),))
    found = arbiter(authority, model(5, PIRATE), releases, (OWNERS, PIRATES))
    assert found.winner is None
    assert "but not on the suspect" in found.reason


def test_roots_that_nobody_trusts_date_nothing(authority, tmp_path):
    releases = ((release_of(OWNER, OWNERS, authority),), (release_of(PIRATE, PIRATES, authority),))
    other = new_authority(tmp_path / "other")
    assert arbiter(other, PIRATES, releases, (OWNERS, PIRATES)).winner is None


def test_a_key_on_its_own_owners_model_decides_nothing():
    with pytest.raises(ValueError, match="the other's model"):
        decide(NAMES, (True, True), [CrossCheck(0, 0, "m", None, None)])
