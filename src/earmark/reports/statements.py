"""What the page says in whole sentences: the verdict, what it means, and what it does not prove."""

from collections import Counter
from fractions import Fraction

from earmark.reports.explanation import claim_bound, needed_words, penalty_bits, verdict_word
from earmark.reports.scale import expected_text
from earmark.reports.wording import bits, coin_tosses, counted, odds, one_in, power_of_two, visible
from earmark.statistics import GRINDING_BITS, OWNED_BITS
from earmark.verification import Verdict

_REMARKABLE = Fraction(1, 1000)


def title(verdict: Verdict) -> str:
    """Return the verdict as a heading."""
    word = verdict_word(verdict)
    return word[0].upper() + word[1:]


def headline(verdict: Verdict) -> str:
    """Return the verdict in a sentence."""
    measured = verdict.measurement
    owner = visible(measured.verification_key.transcript.owner.name)
    suspect = visible(measured.suspect_name)
    counts = f"{measured.match_count:,} of {counted(measured.question_count, 'trigger')}"
    if not verdict.mark_shown:
        return (
            f"The answers of “{suspect}” do not show the mark of “{owner}”: they match on {counts}, "
            f"{_needed(verdict)}."
        )
    if not verdict.owned:
        return (
            f"If these are the answers of “{suspect}”, they depend on the key of “{owner}”: they match on "
            f"{counts}, {_needed(verdict)}."
        )
    attested = (
        ""
        if verdict.attested_by is None
        else f" This rests on the word of “{visible(verdict.attested_by)}”, who attests to have put the "
        "recorded questions."
    )
    return (
        f"“{suspect}” carries the mark of “{owner}”: its answers match on {counts}, {_needed(verdict)}."
        f"{attested}"
    )


def counts_by_kind(verdict: Verdict) -> str:
    """Return, where triggers of several kinds were asked, what came of each; nothing otherwise."""
    measured = verdict.measurement
    names = [stratum.name for stratum in measured.verification_key.transcript.strata]
    asked = Counter(question.set_id.stratum for question in measured.questions)
    if len(asked) < 2:
        return ""
    matched = Counter(question.set_id.stratum for question in measured.questions if question.matches)
    return ", ".join(
        f"{matched[place]:,} of {count:,} {visible(names[place])}" for place, count in asked.items()
    )


def kinds(verdict: Verdict) -> tuple[str, ...]:
    """Return ``counts_by_kind`` as lines of a verdict, and what to do about it.

    All are judged together, and a kind that was lost hides another that was not: so whoever is told that the
    mark is not shown is told how to ask one alone.
    """
    counts = counts_by_kind(verdict)
    if not counts:
        return ()
    if verdict.mark_shown:
        return (f"by kind: {counts}",)
    return (f"by kind: {counts}; --stratum NAME asks one kind alone",)


def meaning(verdict: Verdict) -> str:
    """Return one paragraph in plain language."""
    measured = verdict.measurement
    count = measured.question_count
    transcript = measured.verification_key.transcript
    setting = (
        f"“{visible(transcript.owner.name)}” first fixed the {counted(count, 'secret input')} asked here, "
        "the triggers, and signed for them. Only then did a fixed calculation draw one of "
        f"{transcript.class_count:,} classes as the label of each. A model made without this key hits a "
        f"label only by luck, {one_in(transcript.class_count)}: {expected_text(verdict)} of {count:,} on "
        "average. "
    )
    if verdict.mark_shown:
        return setting + _shown(verdict)
    return setting + _not_shown(verdict)


def limits(verdict: Verdict, *, include_triggers: bool) -> list[tuple[str, str]]:
    """Return what the report does not prove, each with a few words as its heading.

    Args:
        verdict: The verdict.
        include_triggers: Whether the page shows the triggers.
    """
    rows = []
    if verdict.mark_shown:
        rows.append(
            (
                "Dependence, not theft.",
                "The answers depend on this key. A licence, a leaked key, a copy of the key in the hands of "
                "a judge, or training data into which somebody mixed the triggers explain that as well as "
                "a copied model does.",
            )
        )
    else:
        rows.append(
            (
                "“Not shown” is no proof of innocence.",
                "A mark can be weakened or removed, and a suspect can refuse to answer. The verdict says "
                "that these answers do not show the mark, and no more.",
            )
        )
    if verdict.recorded_by is not None:
        rows.append(_recorded(verdict))
    if verdict.restored_layer is not None:
        rows.append(
            (
                "A layer put back.",
                f"The suspect was questioned with the last layer of “{visible(verdict.restored_layer)}”. A "
                "layer can be fitted to any labels on any body, so this shows nothing on its own.",
            )
        )
    rows += [
        _date(verdict),
        (
            "One model, as it was handed in.",
            "The verdict is about the suspect with the identity given below, with its preprocessing. "
            "That this is the model in a product, or who made it, is for other evidence.",
        ),
        (
            "Assumptions.",
            "The hash functions SHA-256 and SHAKE-256 behave like random functions, and no claimant made "
            f"more than 2^{GRINDING_BITS} keys to keep the luckiest.",
        ),
        (
            "This page is not the evidence.",
            "A page can be edited. The evidence is the signed key and the suspect: repeat the verification. "
            + (
                "It shows the secret triggers: whoever reads it can learn them."
                if include_triggers
                else "This copy leaves out the triggers and their labels, and so cannot be checked alone."
            ),
        ),
    ]
    return rows


def _needed(verdict: Verdict) -> str:
    threshold = verdict.threshold
    if threshold is None:
        return f"and {needed_words(verdict)}"
    return f"and at least {threshold:,} {'is' if threshold == 1 else 'are'} needed"


def _shown(verdict: Verdict) -> str:
    measured = verdict.measurement
    bound = claim_bound(verdict)
    recorded = verdict.recorded_by is not None
    answers = "The recorded answers hit" if recorded else "The suspect hit"
    conclusion = "So the suspect’s answers depend on this key."
    if recorded:
        conclusion = "So, if the suspect gave these answers, they depend on this key."
    return (
        f"{answers} {measured.match_count:,}. The chance of luck doing as well is {odds(verdict.tail)} "
        f"({power_of_two(verdict.tail)}). Even if every freedom that anybody could have had was used to the "
        f"full (step 8, {bits(penalty_bits(verdict), paid=True)} bits), it stays {odds(bound)} "
        f"({power_of_two(bound)}): a fair coin that shows heads {coin_tosses(bound)} times in a row is no "
        f"less likely. The rule asks for 2^-{OWNED_BITS} or less, {odds(Fraction(1, 2**OWNED_BITS))}. "
        f"{conclusion}"
    )


def _not_shown(verdict: Verdict) -> str:
    measured = verdict.measurement
    answers = "The recorded answers hit" if verdict.recorded_by is not None else "The suspect hit"
    chance = f"The chance of luck doing as well is {odds(verdict.tail)} ({power_of_two(verdict.tail)})"
    if verdict.tail > _REMARKABLE:  # the bracket of the scale ends there too
        return f"{answers} {measured.match_count:,}. {chance}: that is nothing more than luck gives."
    bound = claim_bound(verdict)
    left = (
        "nothing remains"
        if bound >= 1
        else f"{odds(bound)} ({power_of_two(bound)}) remains, where the rule asks for 2^-{OWNED_BITS} or less"
    )
    return (
        f"{answers} {measured.match_count:,}. {chance}: more than luck usually gives, but not enough. Once "
        f"every freedom that anybody could have had is paid for (step 8, "
        f"{bits(penalty_bits(verdict), paid=True)} bits), {left}."
    )


def _recorded(verdict: Verdict) -> tuple[str, str]:
    if verdict.attested_by is None:
        return (
            "Recorded answers.",
            "The program did not question the suspect. Whoever wrote the answers down could have written "
            "others: they prove nothing until the suspect itself is questioned, or a person attests to "
            "have put the questions.",
        )
    return (
        "Recorded answers, attested.",
        f"The program did not question the suspect. The verdict is worth as much as the word of "
        f"“{visible(verdict.attested_by)}”.",
    )


def _date(verdict: Verdict) -> tuple[str, str]:
    count = len(verdict.measurement.verification_key.timestamps)
    if count == 0:
        return (
            "No timestamp, no date.",
            "The key carries no timestamp, so nothing here proves when it was made, nor that it is "
            "older than the suspect.",
        )
    return (
        "Dates are not checked here.",
        f"The key carries {counted(count, 'timestamp')}; this report did not check "
        f"{'it' if count == 1 else 'them'}.",
    )
