"""Small real claims, for the tests of their form, of their checking and of those who forge them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from earmark.claims.asking_again import describe_suspect
from earmark.claims.claim import Freedoms, Statement
from earmark.claims.key_stamps import key_digest
from earmark.claims.opened_set import open_asked
from earmark.formats import claim_v1
from earmark.keys import OwnerKey, SetId
from earmark.verification import Reply
from small import ScriptedSuspect, new_key

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
OPENED = NOW - timedelta(hours=1)
OWNER = OwnerKey("Test owner", bytes(range(32)))
SET = SetId(0, 1)
PAGE = b"<!doctype html>\n<title>Claim</title>\n"


def two_sets():
    """A key with two sets of a hundred."""
    return new_key(sets=2)


def marked(key, set_id=SET, *, misses=0):
    """A suspect that gives the labels of one set, but for the first that are asked; class 0 to all else."""
    labels = key.labels(set_id)
    known = {
        trigger.value.tobytes(): label for trigger, label in zip(key.triggers[set_id], labels, strict=True)
    }
    for place in key.verification_key.order(set_id)[:misses]:
        known[key.triggers[set_id][place].value.tobytes()] = (labels[place] + 1) % 10
    return ScriptedSuspect(lambda inputs: [known.get(item.tobytes(), 0) for item in inputs])


def statement_of(key, suspect, set_id=SET, **changes):
    """What an owner says who questioned a suspect honestly."""
    order = key.verification_key.order(set_id)
    answers = suspect.answer([key.triggers[set_id][place].value for place in order])
    said = Statement(
        key_digest(key.verification_key),
        key.verification_key.transcript.owner,
        set_id,
        describe_suspect(suspect),
        "fixed",
        "auto",
        Freedoms(),
        tuple(Reply(answer) for answer in answers),
        OPENED,
        (3, bytes(range(32))),
    )
    return replace(said, **changes)


def archive_of(key, statement, *, opened=None, owner=OWNER, public=None, releases=(), page=PAGE):
    """The claim's bytes."""
    return claim_v1.write(
        statement,
        public or key.verification_key,
        open_asked(key, statement.set_id, len(statement.replies)) if opened is None else opened,
        releases,
        page,
        owner,
    )
