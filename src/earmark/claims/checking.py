"""Checking a claim, in numbered steps: the numbers of errors, of the page of the format, and of the output.

     1  the archive and every file in it have the one form that claims have
     2  the owner of the checker's public key file signed the claim and every file in it
     3  the claim is for that key
     4  the opened triggers are the first of the set's order, and were committed to
     5  the labels follow from the root of the key
     6  replies are compared with labels, through the map that the suspect's own classes give
     7  the exact chance; every freedom is paid for, also those that only the owner has seen
     8  stamps and releases say what was fixed when
     9  the suspect is the one that the claim names
    10  the suspect was as it is before the set was opened
    11  the suspect is asked the same questions again, each once, and judged by what it says now
    12  the verdict: who may say what

Steps 1 to 8 need nobody. A claim is the owner's word on what a suspect said, and he could have written any:
without steps 9 to 11 it is at best consistent with what he recorded.

Step 1 is reading the archive (``earmark.formats.claim_v1``), 9 and 11 are in ``asking_again``, 12 in
``earmark.reports.claim_check``; the others are functions here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from earmark.claims.certificates import TrustedRoots
from earmark.claims.claim import Claim, ClaimedSuspect, Statement
from earmark.claims.key_stamps import check_key_stamps, key_digest
from earmark.claims.opened_set import check_opened
from earmark.claims.order import Stamp
from earmark.claims.release_record import ReleaseFindings, ReleaseRecord, check_release
from earmark.claims.timestamps import CLOCK_TOLERANCE, TimestampEvidence, check_tokens
from earmark.errors import ClaimError, InvalidKeyError, VerificationError
from earmark.keys import VerificationKey
from earmark.statistics import Penalty
from earmark.triggers import Trigger
from earmark.verification import FIXED, PROBABILITIES, Measurement, Reply, Verdict, verify
from earmark.verification.interview import Asked
from earmark.verification.label_maps import label_map_for
from earmark.verification.measurement import METHOD_CHOICES, read_reply


@dataclass(frozen=True)
class ClaimFindings:
    """What steps 1 to 8 show.

    Attributes:
        statement: What the owner says.
        triggers: The opened triggers, in the order asked.
        verdict: On the replies that he recorded; never ``owned``.
        key_stamps: Over the key.
        suspect_stamps: Over the suspect's notice.
        releases: Of the release records that the claim carries, in order.
    """

    statement: Statement
    triggers: tuple[Trigger, ...]
    verdict: Verdict
    key_stamps: tuple[Stamp, ...]
    suspect_stamps: tuple[Stamp, ...]
    releases: tuple[ReleaseFindings, ...]

    @property
    def suspect_dated(self) -> TimestampEvidence | None:
        """The stamp that shows the suspect before its set was opened, or None; step 10."""
        if not self.statement.suspect.can_be_stamped:
            return None
        opened = self.statement.opened_at
        dated = (
            stamp
            for stamp in self.suspect_stamps
            if isinstance(stamp, TimestampEvidence) and stamp.is_root_checked and stamp.latest < opened
        )
        return min(dated, key=lambda stamp: stamp.latest, default=None)


def recount(
    key: VerificationKey,
    statement: Statement,
    triggers: Sequence[Trigger],
    suspect: ClaimedSuspect,
    replies: Sequence[Reply],
) -> Measurement:
    """Steps 5 and 6: compare replies with the labels that the root gives, as ``measure`` does.

    Args:
        key: The public key file that the checker has.
        statement: Says which set, and by which method.
        triggers: The opened ones, in the order asked.
        suspect: Whose replies they are.
        replies: In the order asked; at most as many as triggers.

    Returns:
        What was asked and answered.

    Raises:
        ClaimError: The labels do not follow from the root, or no map says what the suspect's classes mean.
    """
    names, set_id = key.transcript.task.class_names, statement.set_id
    try:
        labels = key.labels(set_id)
    except InvalidKeyError as error:
        raise ClaimError(5, str(error)) from error
    try:
        label_map = label_map_for(statement.label_map, names, suspect.class_names, suspect.class_count)
    except VerificationError as error:
        raise ClaimError(6, f"no map says what the suspect's classes mean: {error}") from error
    if statement.statistic == PROBABILITIES and any(
        reply.weights is None and isinstance(reply.output, int) for reply in replies
    ):
        raise ClaimError(6, "the statistic needs probabilities, and a reply has none")
    questions = tuple(
        read_reply(Asked(set_id, place, trigger, labels[place]), reply, label_map, len(names))
        for place, trigger, reply in zip(key.order(set_id), triggers, replies, strict=False)
    )
    return Measurement(
        key,
        suspect.name,
        suspect.identity,
        suspect.preprocessing,
        label_map.name,
        questions,
        statement.freedoms.methods,
        statement.statistic,
        suspect.class_count,
        (set_id,),
        label_map.identity,
    )


def judge_claim(measurement: Measurement, statement: Statement, recorded_by: str | None) -> Verdict:
    """Step 7: the exact chance, and a price for everything that was free.

    Args:
        measurement: As from ``recount``.
        statement: Whose freedoms are paid for.
        recorded_by: Whose record it is; None if the checker questioned the suspect himself.

    Returns:
        The verdict.
    """
    freedoms = statement.freedoms
    verdict = verify(
        measurement,
        looks=freedoms.looks,
        preprocessing_choices=freedoms.forms,
        recorded_by=recorded_by,
    )
    return replace(verdict, penalties=(*verdict.penalties, METHODS_OF_A_CLAIM))


METHODS_OF_A_CLAIM = Penalty(
    "methods of a claim",
    METHOD_CHOICES,
    "which of the methods a claim can have was taken, only the owner's journal could show",
)


def check_claim(
    claim: Claim,
    releases: Sequence[ReleaseRecord],
    key: VerificationKey,
    roots: TrustedRoots,
    now: datetime,
) -> ClaimFindings:
    """Check a claim by what it holds: steps 2 to 8.

    Args:
        claim: As read; its files are those that the statement lists.
        releases: The release records in the archive.
        key: The public key file that the checker has from elsewhere, with its stamps.
        roots: What the checker trusts.
        now: The checker's time, aware.

    Returns:
        What they show.

    Raises:
        ClaimError: A step refuses, by its number.
    """
    statement = claim.statement
    _check_owner(claim, key)
    _check_key(claim, key)
    if statement.set_id not in key.set_ids:
        raise ClaimError(4, f"the key has no set {statement.set_id.stratum}:{statement.set_id.number}")
    stratum = key.transcript.strata[statement.set_id.stratum]
    if not len(statement.replies) == len(claim.opened) <= stratum.triggers_per_set:
        raise ClaimError(4, "there is not one opened trigger for each reply")
    if statement.statistic == FIXED and len(statement.replies) != stratum.triggers_per_set:
        raise ClaimError(4, "the statistic is over the whole set, and not all of it is opened")
    if key.transcript.labels["rule"] != "derived":
        raise ClaimError(5, "the owner of this key chose its labels: no chance can be named")
    triggers = check_opened(key, statement.set_id, claim.opened)
    measured = recount(key, statement, triggers, statement.suspect, statement.replies)
    recorded_by = f"the claim, by {statement.owner.name!a}"
    if statement.opened_at > now + CLOCK_TOLERANCE:
        raise ClaimError(
            8,
            f"the owner says that the set was opened at {statement.opened_at:%Y-%m-%d %H:%M:%S} UTC, "
            "which is still to come",
        )
    stamped = _with_all_stamps(key, claim.key)
    return ClaimFindings(
        statement,
        triggers,
        judge_claim(measured, statement, recorded_by),
        check_key_stamps(stamped, roots, now),
        check_tokens(statement.suspect_timestamps, statement.notice, roots, now),
        tuple(_check_release(record, stamped, roots, now) for record in releases),
    )


def _check_owner(claim: Claim, key: VerificationKey) -> None:
    try:
        claim.check_signature(key.transcript.owner)
    except InvalidKeyError as error:
        raise ClaimError(2, str(error)) from error


def _check_key(claim: Claim, key: VerificationKey) -> None:
    statement, owner = claim.statement, key.transcript.owner
    expected = key_digest(key)
    if statement.key_digest != expected or key_digest(claim.key) != expected:
        raise ClaimError(3, "the claim is for another key than the public key file")
    if (statement.owner.name, statement.owner.public_key) != (owner.name, owner.public_key):
        raise ClaimError(3, "the claim names another owner than the public key file")


def _with_all_stamps(key: VerificationKey, copy: VerificationKey) -> VerificationKey:
    """Return the checker's key with the stamps of the claim's copy as well: all are over the same digest."""
    added = tuple(token for token in copy.timestamps if token not in key.timestamps)
    return replace(key, timestamps=(*key.timestamps, *added))


def _check_release(
    record: ReleaseRecord, key: VerificationKey, roots: TrustedRoots, now: datetime
) -> ReleaseFindings:
    try:
        return check_release(record, key, roots, now)
    except InvalidKeyError as error:
        raise ClaimError(8, f"a release record: {error}") from error
