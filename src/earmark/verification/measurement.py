"""measure(): steps 1 to 6. It counts and never judges."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Protocol

from earmark.commitment.canonical import Json
from earmark.errors import InvalidKeyError, VerificationError
from earmark.keys import MarkingKey, SetId, VerificationKey
from earmark.statistics import EProcess
from earmark.statistics.sequential import PAYOFF_BITS
from earmark.suspects import Answer, Miss, Suspect
from earmark.verification.interview import Asked, Interview, Reply
from earmark.verification.interview import Journal as InterviewJournal
from earmark.verification.label_maps import AUTO, BEST, SPLIT, FixedMap, LabelMap, best_map, label_map_for

FIXED, SEQUENTIAL, PROBABILITIES = "fixed", "sequential", "probabilities"
STATISTICS = (FIXED, SEQUENTIAL, PROBABILITIES)
# What a claim on an opened set can be made by. Its owner chooses one of these pairs, or an ownership proof.
CLAIM_LABEL_MAPS = (AUTO, SPLIT)
METHOD_CHOICES = len(STATISTICS) * len(CLAIM_LABEL_MAPS) + 1


class Journal(InterviewJournal, Protocol):
    """What verification needs of the owner's journal."""

    def exposed_sets(self) -> frozenset[SetId]:
        """Sets that were shown to a suspect that could keep them, or opened."""
        ...

    def sets_shown_to(self, suspect: str) -> frozenset[SetId]:
        """Those of them that were shown to this suspect, question by question."""
        ...

    def record_method(self, suspect: str, method: Mapping[str, Json]) -> int:
        """Write the method down, synced, and return how many different ones this suspect has had."""
        ...


@dataclass(frozen=True, slots=True)
class Method:
    """What is chosen before the first question.

    Attributes:
        statistic: ``"fixed"`` (all questions, the binomial tail), ``"sequential"`` (one at a time, evidence
            may be read after each), or ``"probabilities"`` (the same, over the suspect's probabilities).
        label_map: ``"auto"``, ``"split"``, ``"best"``, or a map made from the checker's own clean data.
        stratum: Name of the only stratum whose sets are asked; None for all of them. Its sets are
            neighbours, and every run of neighbours is a look that is always paid.
    """

    statistic: str = FIXED
    label_map: str | FixedMap = AUTO
    stratum: str | None = None

    def __post_init__(self) -> None:
        if self.statistic not in STATISTICS:
            raise ValueError(f"unknown statistic {self.statistic!r}; known: {', '.join(STATISTICS)}")
        if self.label_map == BEST and self.statistic != FIXED:
            raise ValueError(
                "the best label map is fitted to all answers; it goes with the fixed statistic only"
            )


@dataclass(frozen=True, slots=True)
class Question:
    """One question and what came of it.

    Attributes:
        set_id: The trigger's set.
        place: Its place in the set.
        label: The label that a marked model gives, a class of the key.
        answer: The suspect's answer as a class of the key, or why there is none.
        payoff: What a stake of 1 on the label returns: C for a match, 0 for a miss; with probabilities, C
            times that of the label.
        reply: What the suspect said, in its own classes; None where only the answer is known.
    """

    set_id: SetId
    place: int
    label: int
    answer: Answer
    payoff: Fraction = Fraction(0)
    reply: Reply | None = None

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
        label_map: ``"by name"``, ``"by order"``, ``"from clean data"``, ``"split"`` or ``"best"``.
        label_map_identity: The same, with a digest where the name does not say it all.
        questions: In the order asked.
        method_count: Different methods this suspect has had, this one included.
        statistic: As in ``Method``.
        output_count: Number of the suspect's classes.
        set_ids: The sets that were to be asked, in the order of use.
    """

    verification_key: VerificationKey
    suspect_name: str
    suspect_identity: str
    preprocessing: str
    label_map: str
    questions: tuple[Question, ...]
    method_count: int
    statistic: str = FIXED
    output_count: int = 0
    set_ids: tuple[SetId, ...] = ()
    label_map_identity: str = ""

    @property
    def run_count(self) -> int:
        """How many runs of neighbouring sets were to be asked: 1 if none was left out between others."""
        asked = set(self.set_ids)
        before = (None, *self.verification_key.set_ids)
        return sum(
            set_id in asked and neighbour not in asked
            for neighbour, set_id in zip(before, self.verification_key.set_ids, strict=False)
        )

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


def measure(
    key: MarkingKey,
    suspect: Suspect,
    journal: Journal,
    *,
    method: Method = Method(),
    verification_key: VerificationKey | None = None,
    set_ids: Sequence[SetId] | None = None,
    stop_at: Callable[[Measurement], Fraction] | None = None,
    on_answer: Callable[[int], None] = lambda count: None,
) -> Measurement:
    """Question a suspect: steps 1 to 6.

    Args:
        key: The owner's marking key.
        suspect: What is questioned.
        journal: The key's journal.
        method: What is chosen before the first question.
        verification_key: The published file, to be compared with the key; None if it is not at hand.
        set_ids: The sets to ask; None for all that were never exposed. Others are the caller's to
            justify: recorded answers name the one set that was exposed for them.
        stop_at: For sequential statistics: given the measurement before its first question, the evidence at
            which questioning ends, see ``evidence_needed``. None asks everything.
        on_answer: Called with the number of questions answered so far.

    Returns:
        Questions and answers.

    Raises:
        VerificationError: A step refuses, by its number.
        JournalError: The journal cannot be written.
        SuspectError: The suspect cannot be questioned.
        ValueError: The key has no stratum of the method's name.
    """
    check_key(key, verification_key)
    if key.chosen_labels is not None:
        raise VerificationError(
            3,
            "the owner of this key chose its labels, so that no chance can be named; only the paper's rule "
            "judges it (rule paper), and that proves nothing against the owner",
        )
    names, output_count = key.transcript.task.class_names, suspect.class_count
    label_map = None  # the best one is fitted after the last question
    if method.label_map != BEST:
        label_map = label_map_for(method.label_map, names, suspect.class_names, output_count)
    asked = sets_to_ask(key, suspect, journal, set_ids, method.stratum)
    recorded: dict[str, Json] = {
        "statistic": method.statistic,
        "label_map": BEST if label_map is None else label_map.identity,
        "preprocessing": suspect.preprocessing,
        "sets": [list(set_id) for set_id in asked],
    }
    method_count = journal.record_method(suspect.identity, recorded)  # step 4
    labels = {set_id: key.verification_key.labels(set_id) for set_id in asked}
    plan = [
        Asked(set_id, place, key.triggers[set_id][place], labels[set_id][place])
        for set_id in asked
        for place in key.verification_key.order(set_id)
    ]
    before = Measurement(
        key.verification_key,
        suspect.name,
        suspect.identity,
        suspect.preprocessing,
        BEST if label_map is None else label_map.name,
        (),
        method_count,
        method.statistic,
        output_count,
        asked,
        str(recorded["label_map"]),
    )
    interview = Interview(suspect, journal, key.verification_key, on_answer)
    if label_map is None:
        questions = _read_by_best_map(interview.all_replies(plan), len(names), output_count)
    elif method.statistic == FIXED:
        replies = interview.all_replies(plan)
        questions = tuple(read_reply(asked, reply, label_map, len(names)) for asked, reply in replies)
    else:
        needed = None if stop_at is None else stop_at(before)
        questions = _ask_until(interview, plan, label_map, before, needed)
    return replace(before, questions=questions)


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


def sets_to_ask(
    key: MarkingKey,
    suspect: Suspect,
    journal: Journal,
    set_ids: Sequence[SetId] | None,
    stratum: str | None = None,
) -> tuple[SetId, ...]:
    """Return the sets that may be asked, in the order of use; see ``measure`` and ``Method``."""
    known = key.verification_key.set_ids
    if set_ids is not None:
        if stratum is not None:
            raise ValueError("a stratum and sets: one of them says what is asked")
        asked = tuple(set_id for set_id in known if set_id in set_ids)
    else:
        hidden = journal.exposed_sets() - journal.sets_shown_to(suspect.identity)
        asked = tuple(set_id for set_id in of_stratum(key, stratum) if set_id not in hidden)
    if not asked:
        which = "every trigger set" if stratum is None else f"every set of {stratum}"
        raise VerificationError(4, f"{which} was exposed or opened; none is left to ask")
    earlier = set(known[: known.index(asked[0])]) - journal.exposed_sets()
    if stratum is not None and earlier and getattr(suspect, "is_remote", False):
        # The journal would refuse the first question, when a way of questioning is written down already.
        raise ValueError(
            f"a service is asked sets in their order, and {len(earlier)} of other strata come before those "
            f"of {stratum}; ask it without naming a stratum"
        )
    return asked


def of_stratum(key: MarkingKey, stratum: str | None) -> tuple[SetId, ...]:
    """Return the sets of a stratum in the order of use, or all.

    Raises:
        ValueError: The key has no stratum of that name.
    """
    names = [each.name for each in key.transcript.strata]
    if stratum is not None and stratum not in names:
        raise ValueError(f"the key has no stratum {stratum!r}; it has {', '.join(names)}")
    return tuple(
        set_id for set_id in key.verification_key.set_ids if stratum in (None, names[set_id.stratum])
    )


def read_reply(asked: Asked, reply: Reply, label_map: LabelMap, class_count: int) -> Question:
    """Step 6: read the answer before the label is looked at, then let the map learn from it."""
    answer: Answer
    if isinstance(reply.output, Miss):
        answer, payoff = reply.output, Fraction(0)
    else:
        place = label_map.read(reply.output)
        answer = Miss.UNKNOWN_CLASS if place is None else place
        payoff = Fraction(class_count if answer == asked.label else 0)
    if reply.weights is not None:
        staked = sum(
            weight for output, weight in enumerate(reply.weights) if label_map.read(output) == asked.label
        )
        payoff = Fraction(class_count * staked, 1 << PAYOFF_BITS)
    if not isinstance(reply.output, Miss):
        label_map.learn(reply.output, asked.label)
    return Question(asked.set_id, asked.place, asked.label, answer, payoff, reply)


def _ask_until(
    interview: Interview,
    plan: Sequence[Asked],
    label_map: LabelMap,
    before: Measurement,
    needed: Fraction | None,
) -> tuple[Question, ...]:
    transcript = before.verification_key.transcript
    fortune = EProcess(transcript.experiment.mixture)
    with_weights = before.statistic == PROBABILITIES
    questions = []
    for asked, reply in interview.replies(plan, with_weights=with_weights):
        question = read_reply(asked, reply, label_map, transcript.class_count)
        questions.append(question)
        fortune.add(question.payoff)
        if needed is not None and fortune.best >= needed:
            break
    return tuple(questions)


def _read_by_best_map(
    replies: Sequence[tuple[Asked, Reply]], class_count: int, output_count: int
) -> tuple[Question, ...]:
    pairs = Counter(
        (asked.label, reply.output) for asked, reply in replies if not isinstance(reply.output, Miss)
    )
    sent = best_map(pairs, class_count, output_count)
    questions = []
    for asked, reply in replies:
        answer: Answer
        if isinstance(reply.output, Miss):
            answer = reply.output
        else:
            labels = sent.get(reply.output, frozenset())
            answer = asked.label if asked.label in labels else min(labels, default=Miss.UNKNOWN_CLASS)
        questions.append(Question(asked.set_id, asked.place, asked.label, answer, reply=reply))
    return tuple(questions)
