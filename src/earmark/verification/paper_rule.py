"""The paper's own Verify, for comparison: it never shows a mark on its own.

    1  no trigger's label is its true class
    2  every opening opens its commitment
    3  the suspect gives the label to all but a share epsilon of the triggers

Nothing here bounds the chance of a false claim. Whoever chooses pictures and labels can choose pictures that
models like the suspect misread in the way he wants: such false claims succeed (Liu et al., USENIX Security
2024; tests/adversary). The exact rule of ``verify`` does not ask what the pictures are, because their labels
are drawn after them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import floor

from earmark.errors import VerificationError
from earmark.keys import MarkingKey, SetId, VerificationKey
from earmark.suspects import Suspect
from earmark.verification.interview import Asked, Interview
from earmark.verification.label_maps import AUTO, label_map_for
from earmark.verification.measurement import Journal, Question, check_key, read_reply, sets_to_ask

PAPER = "paper"
NAME_LIMIT = 200
WHY_NOT_ALONE = (
    "the paper's rule bounds no chance: whoever chose the pictures, or their labels, could have chosen ones "
    "that this suspect or models like it answer so anyway"
)


@dataclass(frozen=True, slots=True)
class GroundTruth:
    """f, as somebody states it.

    Attributes:
        stated_by: A file's name, or the person who attests: 1 to 200 printable characters, not all of them
            blank. Step 1 rests on this word, so a verdict must be able to say whose it is.
        classes: For a trigger's (set, place) its true class, or None if it belongs to no class. None instead
            of the mapping if the person attests that no trigger's label is its true class.
    """

    stated_by: str
    classes: Mapping[tuple[SetId, int], int | None] | None = None

    def __post_init__(self) -> None:
        check_name(self.stated_by)

    @property
    def words(self) -> str:
        """Who says that labels are wrong, or which file."""
        by = "attested by" if self.classes is None else "by the ground truth"
        return f"wrong labels {by} {self.stated_by}"


def check_name(name: str) -> None:
    """Raise ValueError unless this can be printed as the name of somebody who states the ground truth."""
    # Control characters could blank out on a terminal what the line says besides.
    if not (name.strip() and name.isprintable() and len(name) <= NAME_LIMIT):
        raise ValueError(
            f"who states the ground truth has a name of 1 to {NAME_LIMIT} printable characters, "
            f"not {name[:80]!r}"
        )


@dataclass(frozen=True)
class PaperVerdict:
    """What the paper's rule says. There is no ``owned``: it never shows a mark on its own.

    Attributes:
        verification_key: The key's public half.
        suspect_name: What was questioned, in words.
        suspect_identity: What identifies it.
        questions: In the order asked; none if step 1 refuses, for then nothing is asked.
        epsilon: Share of triggers that may miss.
        ground_truth: Who says that the labels are wrong.
        right_labels: Triggers whose label is their true class: step 1 refuses if there are any.
    """

    verification_key: VerificationKey
    suspect_name: str
    suspect_identity: str
    questions: tuple[Question, ...]
    epsilon: Fraction
    ground_truth: GroundTruth
    right_labels: tuple[tuple[SetId, int], ...]

    @property
    def match_count(self) -> int:
        """Triggers answered with their label."""
        return sum(question.matches for question in self.questions)

    @property
    def allowed_miss_count(self) -> int:
        """Most misses that the rule allows."""
        return floor(self.epsilon * len(self.questions))

    @property
    def refused_by(self) -> int | None:
        """The step that refuses, 1 or 3; None if the rule accepts."""
        if self.right_labels:
            return 1
        misses = len(self.questions) - self.match_count
        return None if misses <= self.allowed_miss_count else 3

    @property
    def accepted(self) -> bool:
        """Whether the rule accepts."""
        return self.refused_by is None

    def __str__(self) -> str:
        word = "accepted" if self.accepted else f"refused in step {self.refused_by}"
        found = (
            f"{self.match_count} of {len(self.questions)} triggers, {self.allowed_miss_count} misses allowed"
        )
        if self.right_labels:
            found = f"{len(self.right_labels)} labels are the true class, and nothing was asked"
        return (
            f"{word} by the paper's rule: {found}; {self.ground_truth.words}; this shows nothing on its own: "
            f"{WHY_NOT_ALONE}"
        )


def verify_by_paper(
    key: MarkingKey,
    suspect: Suspect,
    journal: Journal,
    *,
    epsilon: Fraction,
    ground_truth: GroundTruth,
    verification_key: VerificationKey | None = None,
    set_ids: Sequence[SetId] | None = None,
    on_answer: Callable[[int], None] = lambda count: None,
) -> PaperVerdict:
    """Judge a suspect by the paper's rule; works for chosen and for derived labels.

    Args:
        key: The owner's marking key.
        suspect: What is questioned.
        journal: The key's journal: to be judged by this rule is a method like any other.
        epsilon: Share of triggers that may miss, 0 to below 1; the paper's is the model's error rate.
        ground_truth: Who says that the labels are wrong; if one is right, nothing is asked.
        verification_key: The published file, to be compared with the key.
        set_ids: The sets to ask; None for all that were never exposed.
        on_answer: Called with the number of questions answered so far.

    Returns:
        What the rule says.

    Raises:
        VerificationError: An opening or signature does not hold, or the ground truth is incomplete.
        ValueError: epsilon is out of range.

    Source:
        Adi et al. 2018, Section 4, Verify, steps 1 to 3
    """
    if not 0 <= epsilon < 1:
        raise ValueError(f"epsilon must be at least 0 and below 1, not {epsilon}")
    check_key(key, verification_key)
    asked = sets_to_ask(key, suspect, journal, set_ids)
    names = key.transcript.task.class_names
    label_map = label_map_for(AUTO, names, suspect.class_names, suspect.class_count)
    plan = [
        Asked(set_id, place, key.triggers[set_id][place], key.labels(set_id)[place])
        for set_id in asked
        for place in key.verification_key.order(set_id)
    ]
    right = _right_labels(plan, ground_truth)
    questions: tuple[Question, ...] = ()
    # To ask a service shows it the set, and uses the set up: not for a claim that is refused already.
    if not right:
        journal.record_method(
            suspect.identity,
            {
                "statistic": PAPER,
                "label_map": label_map.identity,
                "preprocessing": suspect.preprocessing,
                "sets": [list(set_id) for set_id in asked],
                "epsilon": f"{epsilon.numerator}/{epsilon.denominator}",
            },
        )
        replies = Interview(suspect, journal, key.verification_key, on_answer).all_replies(plan)
        questions = tuple(read_reply(item, reply, label_map, len(names)) for item, reply in replies)
    return PaperVerdict(
        key.verification_key, suspect.name, suspect.identity, questions, epsilon, ground_truth, right
    )


def _right_labels(plan: Sequence[Asked], truth: GroundTruth) -> tuple[tuple[SetId, int], ...]:
    if truth.classes is None:
        return ()
    missing = [asked for asked in plan if (asked.set_id, asked.place) not in truth.classes]
    if missing:
        raise VerificationError(
            1,
            f"the ground truth of {len(missing)} of {len(plan)} triggers is missing, of trigger "
            f"{missing[0].place} of set {missing[0].set_id.number} first",
        )
    return tuple(
        (asked.set_id, asked.place)
        for asked in plan
        if truth.classes[asked.set_id, asked.place] == asked.label
    )
