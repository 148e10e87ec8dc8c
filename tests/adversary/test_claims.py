"""A claimant before a stranger, and a stranger who would like the claim to be about another model.

Each test turns one dial. The claimant holds his own keys and signs whatever he likes; the stranger has the
public key file, the claim, and sometimes the suspect.
"""

from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from unittest.mock import patch

import numpy as np
import pytest

from authority import new_authority
from earmark.claims.asking_again import ask_again
from earmark.claims.certificates import TrustedRoots, read_roots
from earmark.claims.checking import METHODS_OF_A_CLAIM, check_claim
from earmark.claims.claim import Freedoms, Statement, request_for_suspect
from earmark.claims.key_stamps import check_key_stamps, key_digest
from earmark.claims.opened_set import open_asked
from earmark.claims.release_record import ReleasedModel, sign_release
from earmark.errors import ClaimError, FormatError
from earmark.formats import claim_v1, verification_key_v1
from earmark.keys import OwnerKey, SetId, VerificationKey
from earmark.reports.claim_check import AskedAgain, steps_of
from earmark.statistics import is_owned, match_tail
from earmark.suspects import Miss
from earmark.verification import Reply
from earmark.verification.measurement import METHOD_CHOICES
from forged_stamps import Wish, forged_token
from small import MemoryJournal, ScriptedSuspect, chosen_key, new_key
from small_claims import NOW, OPENED, OWNER, SET, archive_of, marked, statement_of, two_sets

KEY = two_sets()
PUBLIC = KEY.verification_key
OTHER_SET = SetId(0, 0)
STATEMENT = statement_of(KEY, marked(KEY))
OPENINGS = open_asked(KEY, SET, 100)
WANTED = Statement.from_json(STATEMENT.to_json()).replies
NOTHING = ScriptedSuspect(lambda inputs: [0] * len(inputs))


def checked(data, *, public=PUBLIC, roots=None):
    file = claim_v1.read(data)
    return check_claim(file.claim, file.releases, public, roots or TrustedRoots(), NOW)


def refused(data, step, **given):
    with pytest.raises(ClaimError) as caught:
        checked(data, **given)
    assert caught.value.step == step, caught.value


def concluded(findings, suspect, older_by="Judge"):
    return steps_of(findings, AskedAgain(ask_again(findings, PUBLIC, suspect, None)), older_by)


def test_the_honest_claim_convinces():
    report = concluded(checked(archive_of(KEY, STATEMENT)), marked(KEY))
    assert report.owned
    assert [step.number for step in report.steps] == list(range(1, 13))


def test_answers_that_nobody_gave():
    """He writes what he wishes. Offline that is consistent with his own record; asked again it is nothing."""
    findings = checked(archive_of(KEY, statement_of(KEY, NOTHING, replies=WANTED)))
    offline = steps_of(findings, None, None)
    assert (offline.word, offline.owned) == ("consistent", False)
    assert "ask the suspect yourself" in offline.verdict
    again = concluded(findings, NOTHING)
    assert (again.word, again.owned) == ("not shown", False)


def test_a_claim_alone_never_owns():
    findings = checked(archive_of(KEY, STATEMENT))
    assert findings.verdict.mark_shown
    assert not findings.verdict.owned
    assert not steps_of(findings, None, "Judge").owned


@pytest.mark.parametrize(
    "change",
    [
        lambda item, other: replace(item, canonical_bytes=other.canonical_bytes),
        lambda item, other: replace(item, salt=other.salt),
        lambda item, other: replace(item, siblings=other.siblings),
        lambda item, other: replace(item, siblings=item.siblings[:-1]),
        lambda item, other: replace(item, siblings=(*item.siblings, bytes(32))),
        lambda item, other: replace(item, siblings=item.siblings[::-1]),
        lambda item, other: replace(item, place=other.place),
        lambda item, other: replace(other, place=item.place),
        lambda item, other: other,
        lambda item, other: replace(item, canonical_bytes=item.canonical_bytes + b"\0"),
        lambda item, other: replace(item, canonical_bytes=b""),
    ],
)
@pytest.mark.parametrize("at", [0, 57, 99])
def test_another_trigger_in_the_place_of_one(change, at):
    opened = list(OPENINGS)
    opened[at] = change(opened[at], opened[(at + 1) % 100])
    refused(archive_of(KEY, STATEMENT, opened=opened), 4)


@pytest.mark.parametrize(
    "order",
    [
        lambda opened: opened[::-1],
        lambda opened: (opened[1], opened[0], *opened[2:]),
        lambda opened: (opened[0], *opened[:-1]),
        lambda opened: (*opened[:-1], opened[0]),
    ],
    ids=["backwards", "two swapped", "one twice", "the first last"],
)
def test_another_order(order):
    refused(archive_of(KEY, STATEMENT, opened=order(OPENINGS)), 4)


@pytest.mark.parametrize("statistic", ["fixed", "sequential", "probabilities"])
def test_only_the_lucky_triggers(statistic):
    """Of a model that always answers 0, he opens the triggers whose label is 0."""
    labels = KEY.labels(SET)
    lucky = tuple(item for item in OPENINGS if labels[item.place] == 0)
    weights = (1 << 32, *[0] * 9) if statistic == "probabilities" else None
    said = replace(STATEMENT, replies=(Reply(0, weights),) * len(lucky), statistic=statistic)
    assert is_owned(match_tail(len(lucky), len(lucky), Fraction(1, 10)), (), 20), "what he would win"
    refused(archive_of(KEY, said, opened=lucky), 4)


def test_stopping_at_the_luckiest_moment():
    """A fixed number of questions is fixed by the key. Who may stop where he likes has a hundred tries."""
    refused(archive_of(KEY, replace(STATEMENT, replies=WANTED[:60])), 4)
    stopped = checked(archive_of(KEY, replace(STATEMENT, replies=WANTED[:60], statistic="sequential")))
    whole = checked(archive_of(KEY, STATEMENT))
    assert stopped.verdict.mark_shown
    assert stopped.verdict.claim_bits < whole.verdict.claim_bits


def test_more_replies_than_opened_triggers():
    for count in (1, 59, 61, 99):
        said = replace(STATEMENT, replies=WANTED[:count], statistic="sequential")
        refused(archive_of(KEY, said, opened=OPENINGS[:60]), 4)


def test_another_set_than_was_opened():
    refused(archive_of(KEY, replace(STATEMENT, set_id=OTHER_SET), opened=OPENINGS), 4)
    for set_id in (SetId(0, 2), SetId(1, 0)):
        data = claim_v1.write(replace(STATEMENT, set_id=set_id), PUBLIC, OPENINGS, (), b"", OWNER)
        refused(data, 4)


def test_another_key_of_his():
    """A claim for the key that fires, shown beside the public file of the key that was stamped years ago."""
    stamped_long_ago = new_key(7, sets=2).verification_key
    refused(archive_of(KEY, STATEMENT), 3, public=stamped_long_ago)
    inside = archive_of(KEY, replace(STATEMENT, key_digest=bytes(32)))
    refused(inside, 3)
    refused(archive_of(KEY, STATEMENT, public=stamped_long_ago), 3)


def test_another_owner_signs():
    thief = OwnerKey("Thief", bytes(32))
    stolen = replace(STATEMENT, owner=thief.owner)
    own = replace(PUBLIC, transcript=replace(PUBLIC.transcript, owner=thief.owner))
    resigned = VerificationKey(own.transcript, thief.sign(own.transcript.root))
    data = claim_v1.write(stolen, resigned, OPENINGS, (), b"", thief)
    refused(data, 2)
    # Under his own name, with a key file of his own, the labels are other ones: they follow from the root.
    assert resigned.labels(SET) != PUBLIC.labels(SET)
    with pytest.raises(ClaimError) as caught:
        checked(data, public=resigned)
    assert caught.value.step == 3, "key digests are of the signed transcript"


def test_the_thief_publishes_the_same_commitments_as_his_own_key():
    """Everything opened is his now, under his name. His root gives other labels, which no model has learned."""
    thief = OwnerKey("Thief", bytes(32))
    transcript = replace(PUBLIC.transcript, owner=thief.owner)
    own = VerificationKey(transcript, thief.sign(transcript.root))
    order = own.order(SET)
    at = {item.place: item for item in OPENINGS}
    known = dict(zip(PUBLIC.order(SET), WANTED, strict=True))
    said = replace(
        STATEMENT,
        owner=thief.owner,
        key_digest=key_digest(own),
        replies=tuple(known[place] for place in order),
    )
    data = claim_v1.write(said, own, [at[place] for place in order], (), b"", thief)
    findings = checked(data, public=own)
    assert not findings.verdict.mark_shown
    assert findings.verdict.measurement.match_count < 30


def test_a_key_with_chosen_labels():
    key = chosen_key()
    only = SetId(0, 0)
    said = statement_of(key, marked(key, only), only)
    refused(archive_of(key, said), 5, public=key.verification_key)


def test_a_cheaper_price_for_what_only_he_knows():
    """He says one method and one look. Every method that a claim can have is paid for all the same."""
    findings = checked(archive_of(KEY, STATEMENT))
    assert METHODS_OF_A_CLAIM in findings.verdict.penalties
    assert METHODS_OF_A_CLAIM.alternatives == METHOD_CHOICES == 7
    more = checked(archive_of(KEY, replace(STATEMENT, freedoms=Freedoms(2, 1 << 30, 4))))
    assert more.verdict.claim_bits < findings.verdict.claim_bits


def test_the_best_of_all_methods_is_paid_for():
    """One model, chance answers, every method, ten thousand keys: the best of seven passes 2^-8 no more often."""
    draws = np.random.default_rng(0)
    wins = 0
    for _ in range(10_000):
        matches = draws.binomial(100, 0.1, METHOD_CHOICES)
        best = match_tail(100, int(matches.max()), Fraction(1, 10))
        wins += is_owned(best, (METHODS_OF_A_CLAIM,), 8)
    assert wins / 10_000 < 2**-8


def test_classes_that_the_suspect_does_not_have():
    """He says that the classes were in another order, so that what it answered fits."""
    reordered = (*"123456789", "0")
    turned = tuple(Reply((reply.output - 1) % 10) for reply in WANTED)
    said = replace(STATEMENT, suspect=replace(STATEMENT.suspect, class_names=reordered), replies=turned)
    findings = checked(archive_of(KEY, said))
    assert findings.verdict.mark_shown, "his record is consistent, with classes that he invents"
    assert concluded(findings, marked(KEY)).owned, (
        "and asked again its own classes count, which fit as they are"
    )
    wrong = ScriptedSuspect(lambda inputs: [reply.output for reply in turned])
    assert not concluded(findings, wrong).owned, "the words of the claim do not rename a suspect's classes"


def test_unknown_classes_and_refusals_are_misses():
    for miss in Miss:
        said = replace(STATEMENT, replies=(*(Reply(miss),) * 99, WANTED[-1]))
        assert checked(archive_of(KEY, said)).verdict.measurement.match_count <= 1


def test_probabilities_that_bet_on_everything():
    """Weights that add up to more than one would win whatever the label is."""
    said = replace(STATEMENT, statistic="probabilities", replies=(Reply(0, (1 << 32,) * 10),) * 100)
    with pytest.raises(Exception, match="add up to more"):
        archive_of(KEY, said)
    bare = replace(STATEMENT, statistic="probabilities")
    refused(archive_of(KEY, bare), 6)


def test_a_suspect_of_another_digest():
    findings = checked(archive_of(KEY, STATEMENT))
    other = marked(KEY)
    other.identity = "sha256:11"
    with pytest.raises(ClaimError) as caught:
        ask_again(findings, PUBLIC, other, None)
    assert caught.value.step == 9


def test_a_model_trained_on_the_opened_set():
    """Whoever has the claim can make a model that knows its triggers, and show an enemy's name on it."""
    findings = checked(archive_of(KEY, STATEMENT))
    again = ask_again(findings, PUBLIC, marked(KEY), None)
    assert again.mark_shown
    report = steps_of(findings, AskedAgain(again), None)
    assert (report.word, report.owned) == ("consistent", False)
    assert "could have made this suspect" in report.verdict


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    return new_authority(tmp_path_factory.mktemp("honest"), "Honest")


def stamped(authority, *, time, key=PUBLIC, set_id=SET, identity="sha256:00"):
    digest = request_for_suspect(key, set_id, identity).digest
    return forged_token(Wish(digest, time), authority.signer, authority.middle)


def dated(token, roots, **changes):
    data = archive_of(KEY, replace(STATEMENT, suspect_timestamps=(token,), **changes))
    findings = checked(data, roots=roots)
    return steps_of(findings, AskedAgain(ask_again(findings, PUBLIC, marked(KEY), None)), None).owned


def test_stamps_over_the_suspect(honest, tmp_path):
    roots = read_roots(honest.root_pem)
    before = OPENED - timedelta(minutes=5)
    assert dated(stamped(honest, time=before), roots)
    assert not dated(stamped(honest, time=before), TrustedRoots()), "nobody trusts the root"
    assert not dated(stamped(honest, time=OPENED + timedelta(seconds=1)), roots), "after the opening"
    assert not dated(stamped(honest, time=OPENED), roots), "not before it"
    for moved in (
        {"identity": "sha256:11"},
        {"set_id": OTHER_SET},
        {"key": new_key(3, sets=2).verification_key},
    ):
        assert not dated(stamped(honest, time=before, **moved), roots), f"moved from {moved}"
    liar = new_authority(tmp_path / "liar", "Honest")
    assert not dated(stamped(liar, time=before), roots), "another authority of the same name"


def test_an_opening_that_is_still_to_come(honest):
    """With the opening in the year 2999 every stamp would be older."""
    roots = read_roots(honest.root_pem)
    token = stamped(honest, time=NOW - timedelta(minutes=1))
    for later, is_refused in ((timedelta(minutes=4), False), (timedelta(minutes=6), True)):
        said = replace(STATEMENT, suspect_timestamps=(token,), opened_at=NOW + later)
        if is_refused:
            refused(archive_of(KEY, said), 8, roots=roots)
        else:
            assert "by the owner's word opened" in concluded(checked(archive_of(KEY, said)), marked(KEY)).steps[9].words  # fmt: skip


@pytest.mark.parametrize("identity", ["python:sha256:00", "python:sha256:00 in code sha256:11:make", "api:x"])
def test_a_stamp_dates_no_code(honest, identity):
    """The file of a callable stays the same while what it reads, imports or asks becomes another model."""
    roots = read_roots(honest.root_pem)
    token = stamped(honest, time=OPENED - timedelta(minutes=5), identity=identity)
    code = marked(KEY)
    code.identity = identity
    said = replace(STATEMENT, suspect=replace(STATEMENT.suspect, identity=identity))
    findings = checked(archive_of(KEY, replace(said, suspect_timestamps=(token,))), roots=roots)
    again = AskedAgain(ask_again(findings, PUBLIC, code, None))
    assert again.verdict.mark_shown
    assert findings.suspect_dated is None
    assert not steps_of(findings, again, None).owned
    assert steps_of(findings, again, "Judge").owned


def test_stamps_of_the_copy_in_the_claim_count_as_well(honest):
    """Whoever has an older copy of the public key file sees the stamps that the owner added since."""
    digest = key_digest(PUBLIC)
    tokens = [
        forged_token(Wish(digest, NOW - timedelta(days=days)), honest.signer, honest.middle)
        for days in (1, 2, 3)
    ]
    roots = read_roots(honest.root_pem)
    inside = replace(PUBLIC, timestamps=tuple(tokens[1:]))
    record = sign_release(
        inside,
        ReleasedModel("m.onnx", "file", bytes(32), 1),
        check_key_stamps(inside, roots, NOW),
        OWNER,
    )
    data = archive_of(KEY, STATEMENT, public=inside, releases=(record,))
    findings = checked(data, public=replace(PUBLIC, timestamps=tuple(tokens[:2])), roots=roots)
    assert [stamp.time for stamp in findings.key_stamps] == [NOW - timedelta(days=days) for days in (1, 2, 3)]
    (release,) = findings.releases
    assert all(stamp.is_root_checked for stamp in release.key_stamps)


def test_a_claim_that_would_take_for_ever_to_check():
    """The evidence of a sequential run costs the cube of its questions."""
    value = replace(STATEMENT, statistic="sequential", replies=(Reply(0),) * 2001)
    with pytest.raises(FormatError, match="2,000 replies"):
        Statement.from_json(value.to_json())
    assert Statement.from_json(replace(value, replies=(Reply(0),) * 2000).to_json())
    assert Statement.from_json(replace(value, statistic="fixed").to_json())
    signed = value.to_json()
    with patch.object(Statement, "from_json", lambda told: value):
        data = archive_of(KEY, value, opened=OPENINGS)
    assert signed["statistic"] == "sequential"
    refused(data, 1)


def test_a_stamp_dates_no_service(honest):
    """What a service is cannot be stamped: behind its address may be another model tomorrow."""
    roots = read_roots(honest.root_pem)
    remote = replace(STATEMENT.suspect, is_remote=True)
    token = stamped(honest, time=OPENED - timedelta(minutes=5))
    data = archive_of(KEY, replace(STATEMENT, suspect_timestamps=(token,), suspect=remote))
    findings = checked(data, roots=roots)
    service = marked(KEY)
    service.is_remote = True
    again = ask_again(findings, PUBLIC, service, MemoryJournal())
    assert again.mark_shown
    assert not steps_of(findings, AskedAgain(again), None).owned
    assert steps_of(findings, AskedAgain(again), "Judge").owned


def test_the_owner_cannot_call_a_service_a_file(honest):
    """He writes that it is not remote, so that a stamp over its address would do."""
    roots = read_roots(honest.root_pem)
    token = stamped(honest, time=OPENED - timedelta(minutes=5))
    findings = checked(archive_of(KEY, replace(STATEMENT, suspect_timestamps=(token,))), roots=roots)
    service = marked(KEY)
    service.is_remote = True
    with pytest.raises(ClaimError) as caught:
        ask_again(findings, PUBLIC, service, MemoryJournal())
    assert caught.value.step == 9


def test_a_release_record_of_another_key(honest):
    other = new_key(3, sets=2).verification_key
    record = sign_release(other, ReleasedModel("m.onnx", "file", bytes(32), 1), (), OWNER)
    refused(archive_of(KEY, STATEMENT, releases=(record,)), 8)


def test_a_public_key_file_inside_with_another_signature():
    """The copy inside is only a copy: what counts is the file that the stranger has from elsewhere."""
    written = verification_key_v1.write(PUBLIC)
    broken = written.replace(PUBLIC.signature.hex().encode(), bytes(64).hex().encode())
    assert broken != written
    with patch.object(claim_v1.verification_key_v1, "write", lambda key: broken):
        refused(archive_of(KEY, STATEMENT), 1)


def test_a_service_asked_again_until_it_pleases():
    """The stranger's own journal holds the first answers, whoever starts the check again."""
    remote = replace(STATEMENT.suspect, is_remote=True)
    findings = checked(archive_of(KEY, replace(STATEMENT, suspect=remote)))
    journal, moods = MemoryJournal(), [NOTHING, marked(KEY)]
    found = []
    for mood in moods:
        mood.is_remote = True
        found.append(ask_again(findings, PUBLIC, mood, journal).mark_shown)
    assert found == [False, False]
