"""Verify: measure() counts, verify() judges. The steps are numbered alike here, in errors and in reports.

    1  the owner's signature covers the transcript, and the public key file is this key's
    2  every trigger opens its commitment
    3  the labels are derived from the root
    4  the method is fixed and journalled before the first question
    5  the suspect answers every question once, in the order derived from the root
    6  answers are compared with labels; refusals, errors and ties are misses
    7  the exact chance of as many matches
    8  every freedom is paid for
    9  the verdict

Steps 1 to 6 are ``measure``, steps 7 to 9 ``verify``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from earmark.commitment.canonical import Json
from earmark.errors import InvalidKeyError, VerificationError
from earmark.keys import MarkingKey, SetId, VerificationKey
from earmark.statistics import (
    GRINDING_BITS,
    LOOKING_BITS,
    OWNED_BITS,
    Penalty,
    adjusted_tail,
    fewest_matches,
    is_owned,
    match_tail,
    strength_bits,
)
from earmark.suspects import Answer, Miss, Suspect

STATISTIC = "fixed"


class Journal(Protocol):
    """What verification needs of the owner's journal."""

    def exposed_sets(self) -> frozenset[SetId]:
        """Sets that were shown to a suspect that could keep them, or opened."""
        ...

    def record_method(self, suspect: str, method: Mapping[str, Json]) -> int:
        """Write the method down, synced, and return how many different ones this suspect has had."""
        ...


@dataclass(frozen=True, slots=True)
class Question:
    """One question and what came of it.

    Attributes:
        set_id: The trigger's set.
        place: Its place in the set.
        label: The label that a marked model gives, a class of the key.
        answer: The suspect's answer as a class of the key, or why there is none.
    """

    set_id: SetId
    place: int
    label: int
    answer: Answer

    @property
    def matches(self) -> bool:
        """Whether the answer is the label."""
        return self.answer == self.label


@dataclass(frozen=True)
class Measurement:
    """What was asked and answered: counts, no verdict.

    Attributes:
        verification_key: The key's public half.
        suspect_name: What was questioned, in words.
        suspect_identity: ``"sha256:…"`` of its release, or what else identifies it.
        preprocessing: In words.
        label_map: ``"by name"`` or ``"by order"``.
        questions: In the order asked.
        method_count: Different methods this suspect has had, this one included.
    """

    verification_key: VerificationKey
    suspect_name: str
    suspect_identity: str
    preprocessing: str
    label_map: str
    questions: tuple[Question, ...]
    method_count: int

    @property
    def question_count(self) -> int:
        """Number of questions, n."""
        return len(self.questions)

    @property
    def match_count(self) -> int:
        """Number of matches, K."""
        return sum(question.matches for question in self.questions)

    @property
    def miss_counts(self) -> dict[Miss, int]:
        """How many questions got no answer, by reason."""
        misses = [question.answer for question in self.questions if isinstance(question.answer, Miss)]
        return {miss: misses.count(miss) for miss in Miss if miss in misses}


@dataclass(frozen=True)
class Verdict:
    """The answer, with everything it rests on.

    Attributes:
        measurement: What was asked and answered.
        chance: Chance of one match for a model that does not depend on the key: 1/C.
        tail: Exact chance of at least as many matches.
        penalties: Every freedom paid for.
        recorded_by: None if the verifier questioned the suspect; else where the answers were recorded.
        attested_by: Who attests to have put the recorded questions to the suspect in person.
    """

    measurement: Measurement
    chance: Fraction
    tail: Fraction
    penalties: tuple[Penalty, ...]
    recorded_by: str | None = None
    attested_by: str | None = None

    @property
    def mark_shown(self) -> bool:
        """Whether the answers, if they are the suspect's, show the mark."""
        return is_owned(self.tail, self.penalties)

    @property
    def owned(self) -> bool:
        """The verdict: the mark is shown, and by questioning the suspect itself.

        Recorded answers say at best what they are consistent with: whoever wrote them could have written
        others. They count only for a person who attests to have put the questions.
        """
        return self.mark_shown and (self.recorded_by is None or self.attested_by is not None)

    @property
    def strength_bits(self) -> float:
        """-log2 of the chance, before penalties; for display."""
        return strength_bits(self.tail)

    @property
    def claim_bits(self) -> float:
        """-log2 of the bound after penalties; negative when it exceeds 1; for display."""
        return strength_bits(adjusted_tail(self.tail, self.penalties))

    @property
    def threshold(self) -> int | None:
        """Fewest matches of this many questions that show the mark under these penalties."""
        limit = Fraction(1, 2**OWNED_BITS) / adjusted_tail(Fraction(1), self.penalties)
        return fewest_matches(self.measurement.question_count, self.chance, limit)

    def __str__(self) -> str:
        if self.owned:
            word = "owned"
        elif self.mark_shown:
            word = f"consistent with the answers recorded in {self.recorded_by}"
        else:
            word = "not shown"
        measured = self.measurement
        return (
            f"{word}: {measured.match_count} of {measured.question_count} triggers; chance "
            f"{_power(self.strength_bits)} for a model that does not depend on this key, "
            f"{_power(self.claim_bits)} after penalties"
        )


def measure(
    key: MarkingKey,
    suspect: Suspect,
    journal: Journal,
    *,
    verification_key: VerificationKey | None = None,
    set_ids: Sequence[SetId] | None = None,
    on_answer: Callable[[int], None] = lambda count: None,
) -> Measurement:
    """Question a suspect: steps 1 to 6.

    Args:
        key: The owner's marking key.
        suspect: What is questioned.
        journal: The key's journal.
        verification_key: The published file, to be compared with the key; None if it is not at hand.
        set_ids: The sets to ask; None for all that were never exposed. Others are the caller's to
            justify: recorded answers name the one set that was exposed for them.
        on_answer: Called with the number of questions answered so far.

    Returns:
        Questions and answers.

    Raises:
        VerificationError: A step refuses, by its number.
        JournalError: The journal cannot be written.
        SuspectError: The suspect cannot be questioned.
    """
    check_key(key, verification_key)
    exposed = journal.exposed_sets()
    asked = tuple(
        set_id
        for set_id in key.verification_key.set_ids
        if (set_id not in exposed if set_ids is None else set_id in set_ids)
    )
    if not asked:
        raise VerificationError(4, "every trigger set was exposed or opened; none is left to ask")
    label_map, translate = _label_map(key, suspect)
    method: dict[str, Json] = {
        "statistic": STATISTIC,
        "label_map": label_map,
        "preprocessing": suspect.preprocessing,
        "sets": [list(set_id) for set_id in asked],
    }
    method_count = journal.record_method(suspect.identity, method)  # step 4
    labels = {set_id: key.verification_key.labels(set_id) for set_id in asked}  # step 3
    plan = [
        (set_id, place, labels[set_id][place])
        for set_id in asked
        for place in key.verification_key.order(set_id)
    ]
    answers = suspect.answer([key.triggers[set_id][place].value for set_id, place, _ in plan], on_answer)
    if len(answers) != len(plan):
        raise VerificationError(5, f"{len(plan)} questions, but {len(answers)} answers")
    questions = tuple(
        Question(set_id, place, label, translate(answer))  # step 6
        for (set_id, place, label), answer in zip(plan, answers, strict=True)
    )
    return Measurement(
        key.verification_key,
        suspect.name,
        suspect.identity,
        suspect.preprocessing,
        label_map,
        questions,
        method_count,
    )


def check_key(key: MarkingKey, verification_key: VerificationKey | None) -> None:
    """Steps 1 and 2: signature, public key file, openings.

    Raises:
        VerificationError: One of them refuses.
    """
    published = verification_key or key.verification_key
    try:
        published.check()
    except InvalidKeyError as error:
        raise VerificationError(1, str(error)) from error
    if published.transcript.root != key.transcript.root:
        raise VerificationError(1, "the public key file belongs to another key than the marking key")
    try:
        key.check()
    except InvalidKeyError as error:
        raise VerificationError(2, str(error)) from error


def verify(
    measurement: Measurement,
    *,
    looks: int = 1,
    preprocessing_choices: int = 1,
    recorded_by: str | None = None,
    attested_by: str | None = None,
) -> Verdict:
    """Judge a measurement: steps 7 to 9.

    The chance is exact for every model that is independent of this key's labels, whatever the triggers
    and however unbalanced the answers. It does not say how the dependence came about.

    Args:
        measurement: What ``measure`` returned.
        looks: Suspects, keys and sets that were or might have been tried; at least 2^24 is always paid.
        preprocessing_choices: Preprocessings that the checker could pick from; 1 if the suspect's release
            or the transcript fixed it.
        recorded_by: Where the answers were recorded, if the program did not question the suspect itself.
        attested_by: Who attests to have put those questions to the suspect in person.

    Returns:
        The verdict.

    Raises:
        VerificationError: Nothing was asked: an empty test would be vacuously true.
        ValueError: A number is below 1.

    Source:
        Adi et al. 2018, Section 4 (Verify), whose fixed tolerance this replaces
        (docs/mathematics/verdict.md)
    """
    if measurement.question_count == 0:
        raise VerificationError(7, "no question was asked")
    if looks < 1 or preprocessing_choices < 1:
        raise ValueError("looks and preprocessing_choices must be at least 1")
    chance = Fraction(1, measurement.verification_key.transcript.class_count)
    tail = match_tail(measurement.question_count, measurement.match_count, chance)
    penalties = [
        Penalty(
            "grinding",
            2**GRINDING_BITS,
            "a claimant could have made up to 2^80 transcripts and kept the luckiest",
        ),
        Penalty(
            "looking",
            max(2**LOOKING_BITS, looks),
            "suspects, keys and trigger sets that might have been tried",
        ),
    ]
    if preprocessing_choices > 1:
        penalties.append(
            Penalty(
                "preprocessing",
                preprocessing_choices,
                "the checker picked the preprocessing from a catalogue of this size",
            )
        )
    if measurement.method_count > 1:
        # Whoever tries method after method and stops at the first success has all of their chances. Paying
        # k for the k-th would let their sum grow without bound; 1/(k(k+1)) over all k from 2 sums to 1/2.
        count = measurement.method_count
        penalties.append(
            Penalty(
                "methods",
                count * (count + 1),
                f"the journal shows {count} ways in which this suspect was questioned",
            )
        )
    return Verdict(measurement, chance, tail, tuple(penalties), recorded_by, attested_by)


def _label_map(key: MarkingKey, suspect: Suspect) -> tuple[str, Callable[[Answer], Answer]]:
    """Return how the suspect's classes become the key's: a fixed rule, so that nothing is to be paid."""
    names = key.transcript.task.class_names
    if suspect.class_count != len(names):
        raise VerificationError(
            4,
            f"the suspect has {suspect.class_count} classes, the key {len(names)}; "
            "this needs a label map, and none was given",
        )
    theirs = suspect.class_names
    by_name = theirs is not None and set(theirs) == set(names)
    places = [names.index(name) for name in theirs or ()] if by_name else list(range(len(names)))

    def translate(answer: Answer) -> Answer:
        if isinstance(answer, Miss):
            return answer
        return places[answer] if 0 <= answer < len(places) else Miss.UNKNOWN_CLASS

    return ("by name" if by_name else "by order"), translate


def _power(bits: float) -> str:
    return f"2^-{bits:.0f}" if bits >= 0 else "no bound"
