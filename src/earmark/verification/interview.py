"""Step 5: putting the questions, each once.

A file is asked in this process, and asked again it says the same. What may answer differently the next
time, or could keep what it is asked (``is_remote``), is questioned one by one through the journal: every
question is written down before it is put and its answer before the next, so that the first answer counts
across restarts. A question without an answer is a miss: whoever kills the program when an answer displeases
him has used that question up.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from earmark.errors import VerificationError
from earmark.keys import SetId, VerificationKey
from earmark.suspects import Answer, Miss, ScoringSuspect, Suspect
from earmark.triggers import Trigger
from earmark.verification.probabilities import top_class, weights

_Given = TypeVar("_Given")


@dataclass(frozen=True, slots=True)
class Asked:
    """One question as planned.

    Attributes:
        set_id: The trigger's set.
        place: Its place in the set.
        trigger: What is shown.
        label: The label that a marked model gives, a class of the key.
    """

    set_id: SetId
    place: int
    trigger: Trigger
    label: int


@dataclass(frozen=True, slots=True)
class Reply:
    """What a suspect said, in its own classes.

    Attributes:
        output: The class, or why there is none.
        weights: With probabilities: for every class a multiple of 2^-32; else None.
    """

    output: Answer
    weights: tuple[int, ...] | None = None


class Journal(Protocol):
    """What questioning one by one needs of the owner's journal."""

    def show_set(self, set_id: SetId, suspect: str, set_ids: Sequence[SetId]) -> None:
        """Write down that a suspect that could keep a set is about to see it, unless it was shown before."""
        ...

    def replies(self, suspect: str) -> Mapping[tuple[SetId, int], Reply | None]:
        """Return every question that was put to a suspect; None for one whose answer never came."""
        ...

    def record_asked(self, suspect: str, set_id: SetId, place: int) -> None:
        """Write a question down before it is put."""
        ...

    def record_reply(self, suspect: str, set_id: SetId, place: int, reply: Reply) -> None:
        """Write its answer down before the next question."""
        ...


class Interview:
    """One suspect, questioned.

    Args:
        suspect: What is questioned.
        journal: The key's journal.
        verification_key: The key's public half: its sets, and the temperature of probabilities.
        on_answer: Called with the number of questions answered so far.
    """

    def __init__(
        self,
        suspect: Suspect,
        journal: Journal,
        verification_key: VerificationKey,
        on_answer: Callable[[int], None],
    ) -> None:
        self._suspect = suspect
        self._journal = journal
        self._key = verification_key
        self._on_answer = on_answer
        self._is_remote = bool(getattr(suspect, "is_remote", False))
        self._before = dict(journal.replies(suspect.identity)) if self._is_remote else {}
        self._count = 0

    def all_replies(self, plan: Sequence[Asked]) -> list[tuple[Asked, Reply]]:
        """Put all questions, in the order of the plan.

        Raises:
            VerificationError: The suspect gives more or fewer answers than there are questions.
            SuspectError: It cannot be questioned.
        """
        if self._is_remote:
            return [(asked, self.reply(asked)) for asked in plan]
        answers = self._suspect.answer([asked.trigger.value for asked in plan], self._on_answer)
        if len(answers) != len(plan):
            raise VerificationError(5, f"{len(plan)} questions, but {len(answers)} answers")
        return [(asked, Reply(answer)) for asked, answer in zip(plan, answers, strict=True)]

    def reply(self, asked: Asked, *, with_weights: bool = False) -> Reply:
        """Put one question, or return what the suspect said to it the first time.

        Args:
            asked: The question.
            with_weights: Whether probabilities are needed.

        Raises:
            VerificationError: The question was answered before, without the probabilities now needed.
            SuspectError: The suspect cannot be questioned.
        """
        if (asked.set_id, asked.place) in self._before:
            reply = self._first_reply(asked, with_weights)
        elif self._is_remote:
            reply = self._ask_through_journal(asked, with_weights)
        else:
            reply = self._ask(asked, with_weights)
        self._count += 1
        self._on_answer(self._count)
        return reply

    def _first_reply(self, asked: Asked, with_weights: bool) -> Reply:
        reply = self._before[asked.set_id, asked.place] or Reply(Miss.ERROR)
        if with_weights and reply.weights is None and not isinstance(reply.output, Miss):
            raise VerificationError(
                5,
                "the journal holds this suspect's first answers without probabilities, and first answers "
                "count; use another statistic, or sets that it was not asked",
            )
        return reply

    def _ask_through_journal(self, asked: Asked, with_weights: bool) -> Reply:
        identity = self._suspect.identity
        self._journal.show_set(asked.set_id, identity, self._key.set_ids)
        self._journal.record_asked(identity, asked.set_id, asked.place)
        reply = self._ask(asked, with_weights)
        self._journal.record_reply(identity, asked.set_id, asked.place, reply)
        return reply

    def _ask(self, asked: Asked, with_weights: bool) -> Reply:
        if not with_weights:
            return Reply(_only(self._suspect.answer([asked.trigger.value])))
        if not isinstance(self._suspect, ScoringSuspect):
            raise VerificationError(5, f"{self._suspect.name} answers with classes, not with probabilities")
        found = _only(self._suspect.probabilities([asked.trigger.value]))
        if isinstance(found, Miss):
            return Reply(found)
        staked = weights(found, self._key.transcript.experiment.temperature)
        return Reply(staked) if isinstance(staked, Miss) else Reply(top_class(staked), staked)


def _only(given: Sequence[_Given]) -> _Given:
    if len(given) != 1:
        raise VerificationError(5, f"1 question, but {len(given)} answers")
    return given[0]
