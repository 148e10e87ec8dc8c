"""The nine steps of the verification in sentences: one home for ``--explain`` and for the page.

The steps and their numbers are those of ``earmark.verification``. Powers are written ``2^-305``, so that
a terminal can show them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from math import prod
from typing import TypeAlias

from earmark.reports.wording import bits, counted, listed, odds, power_of_two, visible
from earmark.statistics import OWNED_BITS, Penalty, adjusted_tail, strength_bits
from earmark.suspects import Miss
from earmark.verification import FIXED, PROBABILITIES, SEQUENTIAL, Verdict

MISS_WORDS = {
    Miss.REFUSED: "refused to answer",
    Miss.ERROR: "answered with an error",
    Miss.TIE: "gave several classes the same highest score",
    Miss.NOT_A_NUMBER: "gave a score that is not a number",
    Miss.UNKNOWN_CLASS: "answered with a class that the key does not know",
}
_MANY_WAYS = 1 << 20  # from here on the bits say more than the number
OTHER_CLASS = "gave another class"

_LABEL_MAPS = {
    "by name": "the suspect has classes of the same names as the key’s, and they are compared by name",
    "by order": "the suspect’s release does not say the key’s class names, so that its first class counts "
    "as the key’s first class, and so on",
    "from clean data": "the checker’s own clean inputs, in which the triggers play no part, say which of the "
    "suspect’s classes means what",
    "split": "each answer is read with the map that fits all questions before it best, so that no answer "
    "has a part in how it is read itself",
    "best": "the answers are read with the map from labels to the suspect’s classes that matches most, which "
    "is paid for in step 8",
}
_STATISTICS = {
    FIXED: "matches are counted",
    SEQUENTIAL: "matches are weighed one by one, and questioning may end at any time",
    PROBABILITIES: "the probability that the suspect gives to each label is weighed, one question after the "
    "other, and questioning may end at any time",
}


_Findings: TypeAlias = "tuple[Outcome, tuple[str, ...]] | tuple[Outcome, tuple[str, ...], tuple[str, ...]]"


class Outcome(StrEnum):
    """What came of a step."""

    HOLDS = "holds"
    DONE = "done"
    RECORDED = "recorded"
    ATTESTED = "attested"
    NOT_MET = "not met"


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the verification, in words.

    Attributes:
        number: As in ``earmark.verification`` and in errors.
        title: A few words.
        outcome: What came of it.
        sentences: What was done, and with which result.
        entries: Entries of an account: every penalty, and their sum.
    """

    number: int
    title: str
    outcome: Outcome
    sentences: tuple[str, ...]
    entries: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [f"{self.number}  {self.title}: {self.outcome}. {' '.join(self.sentences)}"]
        return "\n".join([*lines, *(f"   - {entry}" for entry in self.entries)])


def explain(verdict: Verdict) -> list[Step]:
    """Return the nine steps with what came of each.

    Args:
        verdict: What ``verify`` returned. That it exists means that no step refused.

    Returns:
        Steps 1 to 9.
    """
    makers: tuple[tuple[str, Callable[[Verdict], _Findings]], ...] = (
        ("Signature", _signature),
        ("Openings", _openings),
        ("Labels", _labels),
        ("Method", _method),
        ("Questions", _questions),
        ("Answers", _answers),
        ("Chance", _chance),
        ("Penalties", _penalties),
        ("Verdict", _verdict),
    )
    return [Step(number, title, *make(verdict)) for number, (title, make) in enumerate(makers, start=1)]


def verdict_word(verdict: Verdict) -> str:
    """Return the verdict: ``"owned"``, ``"not shown"``, or what recorded answers are consistent with."""
    if verdict.owned:
        return "owned"
    if verdict.mark_shown and verdict.restored_layer is not None:
        return f"consistent with the last layer of {visible(verdict.restored_layer)} put back"
    if verdict.mark_shown:
        return f"consistent with the answers recorded in {visible(verdict.recorded_by or '')}"
    return "not shown"


def penalty_sentence(penalty: Penalty) -> str:
    """Return a penalty in words with its bits."""
    return f"{penalty.name}, {bits(penalty.bits, paid=True)} bits: {penalty_reason(penalty)}"


def penalty_reason(penalty: Penalty) -> str:
    """Return the freedom in words, with the number of ways to use it if that is readable."""
    ways = penalty.alternatives
    return penalty.reason if ways >= _MANY_WAYS else f"{penalty.reason}: {ways:,}"


def penalty_bits(verdict: Verdict) -> float:
    """Return the bits of all penalties together, for display."""
    return strength_bits(Fraction(1, prod(penalty.alternatives for penalty in verdict.penalties)))


def claim_bound(verdict: Verdict) -> Fraction:
    """Return the bound on the chance of a false claim after penalties, exactly; it may exceed 1."""
    return adjusted_tail(verdict.tail, verdict.penalties)


def needed_words(verdict: Verdict) -> str:
    """Return what would have been enough, in a few words."""
    if verdict.measurement.statistic == PROBABILITIES:
        return "probabilities count, not matches alone"
    if verdict.threshold is None:
        return "no number would have been enough"
    return f"{verdict.threshold:,} needed"


def miss_reasons(verdict: Verdict) -> list[tuple[str, int]]:
    """Return why questions are no matches, in words, with counts; reasons that occur only."""
    measured = verdict.measurement
    missing = measured.miss_counts
    other = measured.question_count - measured.match_count - sum(missing.values())
    reasons = [(OTHER_CLASS, other), *((MISS_WORDS[miss], count) for miss, count in missing.items())]
    return [(words, count) for words, count in reasons if count]


def _signature(verdict: Verdict) -> _Findings:
    key = verdict.measurement.verification_key
    owner = key.transcript.owner
    stamped = (
        f"The file carries {counted(len(key.timestamps), 'timestamp')}; this step does not check them."
        if key.timestamps
        else "There is no timestamp, so that nothing here proves when the key was made."
    )
    return Outcome.HOLDS, (
        f"The signature of “{visible(owner.name)}” (Ed25519 key {owner.public_key.hex()}) covers the "
        f"transcript whose root is {key.transcript.root.hex()}.",
        stamped,
    )


def _openings(verdict: Verdict) -> _Findings:
    transcript = verdict.measurement.verification_key.transcript
    sets = sum(len(stratum.set_roots) for stratum in transcript.strata)
    count = sum(len(stratum.set_roots) * stratum.triggers_per_set for stratum in transcript.strata)
    return Outcome.HOLDS, (
        f"{_all(count)} of the key, in {counted(sets, 'set')}, {'opens its' if count == 1 else 'open their'} "
        f"{transcript.commitment['scheme']} commitment{'' if count == 1 else 's'}: none was exchanged after "
        "the transcript was signed.",
    )


def _labels(verdict: Verdict) -> _Findings:
    count = verdict.measurement.verification_key.transcript.class_count
    return Outcome.HOLDS, (
        f"Each label is drawn evenly from the {count:,} classes by a hash function from the root. No label "
        "existed before the triggers were fixed, and changing anything in the key redraws all of them.",
    )


def _method(verdict: Verdict) -> _Findings:
    measured = verdict.measurement
    label_map = _LABEL_MAPS.get(measured.label_map, f"classes are compared {visible(measured.label_map)}")
    times = (
        "It is the only method that the journal shows for this suspect."
        if measured.method_count == 1
        else f"The journal shows {measured.method_count:,} different methods for this suspect; that is paid "
        "for in step 8."
    )
    return Outcome.HOLDS, (
        "The method was written into the journal before the first question: "
        f"{_STATISTICS[measured.statistic]}; {label_map}; preprocessing: {visible(measured.preprocessing)}.",
        times,
    )


def _questions(verdict: Verdict) -> _Findings:
    measured = verdict.measurement
    asked = (
        f"{counted(measured.question_count, 'question')} to “{visible(measured.suspect_name)}” "
        f"({visible(measured.suspect_identity)}), each asked once, in the order derived from the root."
    )
    if verdict.restored_layer is not None:
        restored = (
            f"Before, the last layer of {visible(verdict.restored_layer)} was put on the suspect. Whoever "
            "brings a layer can fit it to any labels: this shows nothing on its own."
        )
        return Outcome.RECORDED, (asked, restored)
    if verdict.recorded_by is None:
        return Outcome.DONE, (asked, "The program itself put the questions.")
    recorded = (
        "The program did not put the questions: it read the answers recorded in "
        f"{visible(verdict.recorded_by)}."
    )
    if verdict.attested_by is None:
        return Outcome.RECORDED, (asked, recorded, "Nobody attests to have put them in person.")
    attested = f"“{visible(verdict.attested_by)}” attests to have put them to the suspect in person."
    return Outcome.ATTESTED, (asked, recorded, attested)


def _answers(verdict: Verdict) -> _Findings:
    measured = verdict.measurement
    sentence = (
        f"{measured.match_count:,} of {counted(measured.question_count, 'answer')} "
        f"{'is' if measured.match_count == 1 else 'are'} the label of the key."
    )
    reasons = miss_reasons(verdict)
    if not reasons:
        return Outcome.DONE, (sentence,)
    misses = listed([f"the suspect {words} {counted(count, 'time')}" for words, count in reasons])
    return Outcome.DONE, (sentence, f"The others count as misses: {misses}.")


def _chance(verdict: Verdict) -> _Findings:
    measured = verdict.measurement
    count = measured.question_count
    if measured.statistic != FIXED:
        return Outcome.DONE, (_fortune(verdict),)
    return Outcome.DONE, (
        "For a model that does not depend on this key, each answer is the label with chance "
        f"{verdict.chance}, however the model answers; that makes {_short(count * verdict.chance)} of "
        f"{counted(count, 'match', 'matches')} on average.",
        f"At least {measured.match_count:,} matches then have the exact chance {power_of_two(verdict.tail)} "
        f"({odds(verdict.tail)}): {bits(verdict.strength_bits)} bits.",
    )


def _fortune(verdict: Verdict) -> str:
    class_count = verdict.measurement.verification_key.transcript.class_count
    stake = (
        f"a stake on the label returns {class_count:,} times itself"
        if verdict.measurement.statistic == SEQUENTIAL
        else f"a stake returns {class_count:,} times what the suspect’s probabilities put on the label"
    )
    return (
        "A gambler who stakes part of what he owns before each question, where "
        f"{stake}, does not gain on average from a model that does not depend on this key. His fortune grew "
        f"2^{bits(verdict.strength_bits)}-fold; the chance that it ever grows so far is at most "
        f"{power_of_two(verdict.tail)} ({odds(verdict.tail)}), whenever questioning ends: "
        f"{bits(verdict.strength_bits)} bits."
    )


def _penalties(verdict: Verdict) -> _Findings:
    total = bits(penalty_bits(verdict), paid=True)
    return (
        Outcome.DONE,
        (
            "Every freedom that somebody had, or could have had, multiplies the chance by the number of ways "
            "to use it.",
        ),
        (*(penalty_sentence(penalty) for penalty in verdict.penalties), f"together, {total} bits"),
    )


def _verdict(verdict: Verdict) -> _Findings:
    remaining = (
        f"{bits(verdict.strength_bits)} bits less {bits(penalty_bits(verdict), paid=True)} bits leaves "
        f"{bits(verdict.claim_bits)} bits; the rule asks for at least {OWNED_BITS}."
    )
    threshold, count = verdict.threshold, verdict.measurement.question_count
    if verdict.measurement.statistic == PROBABILITIES:
        needed = "What counts are the probabilities, not the matches alone."
    elif threshold is None:
        needed = f"No number of matches among {counted(count, 'question')} would have been enough."
    else:
        needed = f"That takes at least {counted(threshold, 'match', 'matches')} of {count:,}."
    word = verdict_word(verdict)
    final = f"{word[0].upper()}{word[1:]}."
    return Outcome.HOLDS if verdict.mark_shown else Outcome.NOT_MET, (remaining, needed, final)


def _all(count: int) -> str:
    return "The one trigger" if count == 1 else f"All {count:,} triggers"


def _short(value: Fraction) -> str:
    return f"{value.numerator:,}" if value.denominator == 1 else f"about {float(value):.1f}"
