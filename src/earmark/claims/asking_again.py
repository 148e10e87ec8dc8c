"""Steps 9 and 11 of checking a claim: the checker puts the opened questions to the suspect himself."""

from collections.abc import Callable
from dataclasses import replace

from earmark.claims.checking import ClaimFindings, judge_claim, recount
from earmark.claims.claim import ClaimedSuspect
from earmark.errors import ClaimError
from earmark.keys import MarkingKey, VerificationKey
from earmark.suspects import Suspect
from earmark.verification import FIXED, PROBABILITIES, Verdict
from earmark.verification.interview import Asked, Interview, Journal


def ask_again(
    findings: ClaimFindings,
    key: VerificationKey,
    suspect: Suspect,
    journal: Journal | None,
    forms: int = 1,
    on_answer: Callable[[int], None] = lambda count: None,
) -> Verdict:
    """Steps 9 and 11: put the opened questions to the suspect, and judge what it says now.

    Args:
        findings: Of steps 1 to 8.
        key: The public key file that the checker has.
        suspect: What the checker questions.
        journal: The checker's own; a suspect that may answer differently the next time is questioned
            through it, so that first answers count here as well. None will do for others.
        forms: Forms in which the suspect could be asked.
        on_answer: Called with the number of questions answered so far.

    Returns:
        The verdict, by the checker's own questions. Whether it may be given is step 10, which this leaves
        to the caller.

    Raises:
        ClaimError: It is another suspect.
        SuspectError: It cannot be questioned.
    """
    statement = findings.statement
    if suspect.identity != statement.suspect.identity:
        raise ClaimError(
            9,
            f"the claim is about {statement.suspect.identity[:200]!a}, "
            f"and this is {suspect.identity[:200]!a}",
        )
    if describe_suspect(suspect).is_remote != statement.suspect.is_remote:
        raise ClaimError(
            9, "the claim says otherwise whether the suspect is a file: no stamp dates a service"
        )
    return put_questions(findings, key, suspect, journal, forms, on_answer)


def put_questions(
    findings: ClaimFindings,
    key: VerificationKey,
    suspect: Suspect,
    journal: Journal | None,
    forms: int = 1,
    on_answer: Callable[[int], None] = lambda count: None,
) -> Verdict:
    """Step 11 for any suspect: put the opened questions to it, and judge what it says.

    Args:
        findings: Of steps 1 to 8.
        key: The public key file that the checker has.
        suspect: What the checker questions; also another than the claim's.
        journal: As for ``ask_again``.
        forms: Forms in which the suspect could be asked.
        on_answer: Called with the number of questions answered so far.

    Returns:
        The verdict, by the checker's own questions.

    Raises:
        SuspectError: It cannot be questioned.
    """
    statement = findings.statement
    labels = key.labels(statement.set_id)
    plan = [
        Asked(statement.set_id, place, trigger, labels[place])
        for place, trigger in zip(key.order(statement.set_id), findings.triggers, strict=False)
    ]
    interview = Interview(suspect, journal, key, on_answer, is_opened=True)
    if statement.statistic == FIXED:
        replies = [reply for _, reply in interview.all_replies(plan)]
    else:
        with_weights = statement.statistic == PROBABILITIES
        replies = [reply for _, reply in interview.replies(plan, with_weights=with_weights)]
    measured = recount(key, statement, findings.triggers, describe_suspect(suspect), replies)
    own = replace(statement.freedoms, forms=max(forms, statement.freedoms.forms))
    return judge_claim(measured, replace(statement, freedoms=own), None)


def held_key(findings: ClaimFindings, key: VerificationKey) -> MarkingKey:
    """Return what a stranger holds of a key: its public half, and the triggers that were opened.

    Args:
        findings: Of the claim that opened them.
        key: The public key file that the checker has.

    Returns:
        A key with the opened triggers at their places and no secrets. At the places of triggers that stayed
        secret stands one that was opened: nothing may be asked or shown of those.
    """
    set_id, opened = findings.statement.set_id, findings.triggers
    at = dict(zip(key.order(set_id), opened, strict=False))
    count = key.transcript.strata[set_id.stratum].triggers_per_set
    return MarkingKey(key, {}, {set_id: tuple(at.get(place, opened[0]) for place in range(count))})


def describe_suspect(suspect: Suspect) -> ClaimedSuspect:
    """Return what a claim says of a suspect."""
    return ClaimedSuspect(
        suspect.name,
        suspect.identity,
        bool(getattr(suspect, "is_remote", False)),
        suspect.class_names,
        suspect.class_count,
        suspect.preprocessing,
    )
