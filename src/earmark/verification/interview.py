"""Step 5: putting the questions, each once.

A file is asked in this process, and asked again it says the same. What may answer differently the next
time, or could keep what it is asked (``is_remote``), is questioned one by one through the journal: every
question is written down before it is put and its answer before the next, so that the first answer counts
across restarts. A question without an answer is a miss: whoever kills the program when an answer displeases
him has used that question up.

A suspect with the attribute ``window`` is put so many questions of one set at once. All of them are written
down before the first leaves, so all of them count: nobody can keep the answers of a window that please him.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
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

    def record_asked(self, suspect: str, set_id: SetId, places: Sequence[int]) -> None:
        """Write questions of one set down before the first of them is put."""
        ...

    def record_replies(self, suspect: str, set_id: SetId, replies: Mapping[int, Reply]) -> None:
        """Write their answers down, by the questions' places, before the next question."""
        ...


class Interview:
    """One suspect, questioned.

    Args:
        suspect: What is questioned.
        journal: The key's journal; None will do for a suspect that always says the same.
        verification_key: The key's public half: its sets, and the temperature of probabilities.
        on_answer: Called with the number of questions answered so far.
        is_opened: Whether the sets are published already, so that asking shows nothing to anybody: no set has
            to be the next one.
    """

    def __init__(
        self,
        suspect: Suspect,
        journal: Journal | None,
        verification_key: VerificationKey,
        on_answer: Callable[[int], None],
        *,
        is_opened: bool = False,
    ) -> None:
        self._is_opened = is_opened
        self._suspect = suspect
        self._journal = journal
        self._key = verification_key
        self._on_answer = on_answer
        self._is_remote = bool(getattr(suspect, "is_remote", False))
        self._window = int(getattr(suspect, "window", 1)) if self._is_remote else 1
        if self._is_remote and journal is None:
            raise ValueError("a suspect that may answer differently the next time is questioned by a journal")
        self._before = dict(journal.replies(suspect.identity)) if self._is_remote and journal else {}
        self._count = 0

    def all_replies(self, plan: Sequence[Asked]) -> list[tuple[Asked, Reply]]:
        """Put all questions, in the order of the plan.

        Raises:
            VerificationError: The suspect gives more or fewer answers than there are questions.
            SuspectError: It cannot be questioned.
        """
        if self._is_remote:
            return list(self.replies(plan))
        answers = self._suspect.answer([asked.trigger.value for asked in plan], self._on_answer)
        if len(answers) != len(plan):
            raise VerificationError(5, f"{len(plan)} questions, but {len(answers)} answers")
        return [(asked, Reply(answer)) for asked, answer in zip(plan, answers, strict=True)]

    def replies(self, plan: Sequence[Asked], *, with_weights: bool = False) -> Iterator[tuple[Asked, Reply]]:
        """Put questions in the order of the plan, and yield what the suspect said to each the first time.

        Args:
            plan: The questions; when the caller stops, those of the last window have been put nevertheless.
            with_weights: Whether probabilities are needed.

        Raises:
            VerificationError: A question was answered before, without the probabilities now needed.
            SuspectError: The suspect cannot be questioned.
        """
        for place, asked in enumerate(plan):
            if self._is_remote and (asked.set_id, asked.place) not in self._before:
                ahead = plan[place : place + self._window]
                self._ask_through_journal(
                    [
                        other
                        for other in ahead
                        if other.set_id == asked.set_id and (other.set_id, other.place) not in self._before
                    ],
                    with_weights,
                )
            if self._is_remote:
                reply = self._first_reply(asked, with_weights)
            else:
                (reply,) = self._ask([asked], with_weights)
            self._count += 1
            self._on_answer(self._count)
            yield asked, reply

    def _first_reply(self, asked: Asked, with_weights: bool) -> Reply:
        reply = self._before[asked.set_id, asked.place] or Reply(Miss.ERROR)
        if with_weights and reply.weights is None and not isinstance(reply.output, Miss):
            raise VerificationError(
                5,
                "the journal holds this suspect's first answers without probabilities, and first answers "
                "count; use another statistic, or sets that it was not asked",
            )
        return reply

    def _ask_through_journal(self, window: Sequence[Asked], with_weights: bool) -> None:
        identity = self._suspect.identity
        prepare = getattr(self._suspect, "prepare", None)
        if prepare is not None:
            prepare([asked.trigger.value for asked in window])  # whatever it raises, no question is used up
        journal = self._journal
        if journal is None:
            raise AssertionError("checked when this was made")
        set_id, places = window[0].set_id, [asked.place for asked in window]
        if not self._is_opened:
            journal.show_set(set_id, identity, self._key.set_ids)
        journal.record_asked(identity, set_id, places)
        replies = dict(zip(places, self._ask(window, with_weights), strict=True))
        journal.record_replies(identity, set_id, replies)
        self._before.update({(set_id, place): reply for place, reply in replies.items()})

    def _ask(self, window: Sequence[Asked], with_weights: bool) -> list[Reply]:
        values = [asked.trigger.value for asked in window]
        if not with_weights:
            return [Reply(answer) for answer in _each(self._suspect.answer(values), len(window))]
        if not isinstance(self._suspect, ScoringSuspect):
            raise VerificationError(5, f"{self._suspect.name} answers with classes, not with probabilities")
        return [self._weighed(found) for found in _each(self._suspect.probabilities(values), len(window))]

    def _weighed(self, found: tuple[float, ...] | Miss) -> Reply:
        if isinstance(found, Miss):
            return Reply(found)
        staked = weights(found, self._key.transcript.experiment.temperature)
        return Reply(staked) if isinstance(staked, Miss) else Reply(top_class(staked), staked)


def _each(given: Sequence[_Given], count: int) -> Sequence[_Given]:
    if len(given) != count:
        questions = "1 question" if count == 1 else f"{count} questions"
        raise VerificationError(5, f"{questions}, but {len(given)} answers")
    return given
