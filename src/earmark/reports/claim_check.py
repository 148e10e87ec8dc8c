"""What checking a claim showed, step by step, numbered as in ``earmark.claims.checking``."""

from dataclasses import dataclass

from earmark.claims.checking import ClaimFindings
from earmark.claims.order import Stamp
from earmark.claims.timestamps import RefusedTimestamp
from earmark.reports.wording import visible
from earmark.verification import Verdict


@dataclass(frozen=True, slots=True)
class AskedAgain:
    """What the checker's own questions gave.

    Attributes:
        verdict: On the answers.
        earlier: How many of them are first answers from the checker's own journal, not given now; None
            for a suspect that is asked without a journal.
        remarks: What else is to be said of it, for people.
    """

    verdict: Verdict
    earlier: int | None = None
    remarks: tuple[str, ...] = ()

    @property
    def put_now(self) -> int:
        """How many questions were put now."""
        return self.verdict.measurement.question_count - (self.earlier or 0)

    @property
    def by_journal(self) -> str:
        """What is to be added of a suspect that was asked through a journal; else nothing."""
        if self.earlier is None:
            return ""
        return f"; {self.put_now} put now, {self.earlier} first answers from the journal"


@dataclass(frozen=True, slots=True)
class CheckedStep:
    """One step.

    Attributes:
        number: Its number.
        words: What it showed.
    """

    number: int
    words: str

    def __str__(self) -> str:
        return f"step {self.number:2}: {self.words}"


@dataclass(frozen=True, slots=True)
class CheckReport:
    """All steps that were taken, and what follows.

    Attributes:
        steps: In order.
        owned: Whether the checker's own questions show the mark, on a suspect older than the opening.
        word: ``"owned"``, ``"consistent"`` or ``"not shown"``.
        verdict: In one sentence.
    """

    steps: tuple[CheckedStep, ...]
    owned: bool
    word: str
    verdict: str


def steps_of(findings: ClaimFindings, again: AskedAgain | None, older_by: str | None) -> CheckReport:
    """Return what checking a claim showed.

    Args:
        findings: Of steps 1 to 8.
        again: What the checker's own questions gave; None if the suspect was not at hand.
        older_by: Who attests that the suspect is older than the opening, or None.

    Returns:
        Every step, and the conclusion: step 12.
    """
    statement, recorded = findings.statement, findings.verdict
    measured = recorded.measurement
    owner, place = visible(statement.owner.name), f"{statement.set_id.stratum}:{statement.set_id.number}"
    steps = [
        CheckedStep(1, "the archive has the one form of a claim"),
        CheckedStep(2, f"{owner!a} signed the claim and every file in it"),
        CheckedStep(3, "it is for the key in the public key file"),
        CheckedStep(4, f"{len(findings.triggers)} opened triggers of set {place} are the ones committed to"),
        CheckedStep(5, "their labels follow from the root of the key"),
        CheckedStep(6, f"{measured.match_count} of {measured.question_count} recorded answers are the label"),
        CheckedStep(7, f"{recorded.claim_bits:.0f} bits after every freedom is paid for"),
        CheckedStep(8, _dates(findings)),
    ]
    if again is None:
        consistent = recorded.mark_shown
        words = (
            f"consistent with what {owner!a} recorded; ask the suspect yourself, with --suspect"
            if consistent
            else "not shown, even by what the owner recorded"
        )
        return _concluded(steps, False, "consistent" if consistent else "not shown", words)
    older, why = _age(findings, older_by)
    asked = again.verdict.measurement
    steps += [
        CheckedStep(9, f"the suspect is the one of the claim: {visible(statement.suspect.identity)}"),
        CheckedStep(10, why),
        CheckedStep(
            11,
            f"asked again, it gives the label to {asked.match_count} of {asked.question_count} triggers"
            f"{again.by_journal}",
        ),
    ]
    if not again.verdict.mark_shown:
        return _concluded(steps, False, "not shown", f"not shown: {again.verdict}")
    if not older:
        words = (
            "consistent, and no more: whoever has the opened set could have made this suspect; let a stamp "
            "or --older-by NAME say that it is older"
        )
        return _concluded(steps, False, "consistent", words)
    return _concluded(steps, True, "owned", str(again.verdict))


def _concluded(steps: list[CheckedStep], owned: bool, word: str, verdict: str) -> CheckReport:
    return CheckReport((*steps, CheckedStep(12, verdict)), owned, word, verdict)


def _age(findings: ClaimFindings, older_by: str | None) -> tuple[bool, str]:
    """Return whether the suspect is older than the opening, and why."""
    # When it was opened nobody but the owner saw: see docs/mathematics/opened-sets.md, "The time of opening".
    opened = f"by the owner's word opened {findings.statement.opened_at:%Y-%m-%d %H:%M:%S} UTC"
    dated = findings.suspect_dated
    if dated is not None:
        return True, f"the suspect is older than the set ({opened}): stamped {dated}"
    if older_by is not None:
        return True, f"“{visible(older_by)}” attests that the suspect is older than the set ({opened})"
    return False, f"nothing shows that the suspect is older than the set ({opened})"


def _dates(findings: ClaimFindings) -> str:
    parts = [f"stamps of the key: {_counted(findings.key_stamps)}"]
    parts.append(f"of the suspect: {_counted(findings.suspect_stamps)}")
    parts.extend(
        f"release of {visible(release.model.name)}: {release.order.reason}" for release in findings.releases
    )
    return "; ".join(parts)


def _counted(stamps: tuple[Stamp, ...]) -> str:
    if not stamps:
        return "none"
    trusted = [stamp for stamp in stamps if not isinstance(stamp, RefusedTimestamp) and stamp.is_root_checked]
    first = min((stamp.time for stamp in trusted), default=None)
    since = "" if first is None else f", the first {first:%Y-%m-%d %H:%M:%S} UTC"
    return f"{len(trusted)} of {len(stamps)} with a trusted root{since}"
