"""Verify as a player of the games: a key and a model in, accepted or not out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

from earmark.commitment.canonical import Json
from earmark.errors import EarmarkError
from earmark.games.definitions import Classify
from earmark.keys import MarkingKey, SetId, VerificationKey
from earmark.suspects import Answer
from earmark.verification import Reply, measure, verify
from earmark.verification.paper_rule import GroundTruth, verify_by_paper


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a rule said.

    Attributes:
        accepted: Whether it accepts.
        match_count: Triggers answered with their label.
        question_count: Triggers asked; 0 if the rule refused before.
        bound: For the exact rule: no model that is independent of the key is accepted with a higher chance
            than this, before penalties. None for a rule that bounds nothing.
        refused: Why it refused before it asked, or None.
    """

    accepted: bool
    match_count: int = 0
    question_count: int = 0
    bound: Fraction | None = None
    refused: str | None = None


class Rule(Protocol):
    """Verify(mk, vk, M)."""

    def __call__(self, key: MarkingKey, verification_key: VerificationKey, model: Classify) -> Judgement:
        """Judge a model by a key; a key that contradicts itself or the published one is refused."""
        ...


def exact_rule(key: MarkingKey, verification_key: VerificationKey, model: Classify) -> Judgement:
    """Judge by the exact rule; see ``earmark.verification``."""
    try:
        suspect = _Suspect(model, key.transcript.class_count)
        verdict = verify(measure(key, suspect, _NoJournal(), verification_key=verification_key))
    except EarmarkError as error:
        return Judgement(False, refused=str(error))
    measured = verdict.measurement
    return Judgement(verdict.owned, measured.match_count, measured.question_count, verdict.tail)


def paper_rule(epsilon: Fraction, stated_by: str = "the game") -> Rule:
    """Return the paper's rule with a share epsilon of misses; the labels are attested to be wrong.

    Args:
        epsilon: The share of triggers that may miss.
        stated_by: Who attests; in the games the challenger lets every claim about f pass.
    """

    def rule(key: MarkingKey, verification_key: VerificationKey, model: Classify) -> Judgement:
        try:
            verdict = verify_by_paper(
                key,
                _Suspect(model, key.transcript.class_count),
                _NoJournal(),
                epsilon=epsilon,
                ground_truth=GroundTruth(stated_by),
                verification_key=verification_key,
            )
        except EarmarkError as error:
            return Judgement(False, refused=str(error))
        return Judgement(verdict.accepted, verdict.match_count, len(verdict.questions))

    return rule


class _Suspect:
    name, identity, preprocessing = "the model of a game", "game", "none"
    class_names: tuple[str, ...] | None = None

    def __init__(self, model: Classify, class_count: int) -> None:
        self._model = model
        self.class_count = class_count

    def answer(
        self, inputs: Sequence[Any], on_answer: Callable[[int], None] = lambda count: None
    ) -> list[Answer]:
        answers: list[Answer] = [int(answer) for answer in self._model(inputs)]
        on_answer(len(answers))
        return answers


class _NoJournal:
    """A game has one judgement and no history."""

    def exposed_sets(self) -> frozenset[SetId]:
        return frozenset()

    def sets_shown_to(self, suspect: str) -> frozenset[SetId]:  # noqa: ARG002 - nothing is ever shown
        return frozenset()

    def record_method(self, suspect: str, method: Mapping[str, Json]) -> int:  # noqa: ARG002 - it is the first
        return 1

    def show_set(self, set_id: SetId, suspect: str, set_ids: Sequence[SetId]) -> None:
        """Nothing is kept."""

    def replies(self, suspect: str) -> Mapping[tuple[SetId, int], Reply | None]:  # noqa: ARG002 - none came before
        return {}

    def record_asked(self, suspect: str, set_id: SetId, place: int) -> None:
        """Nothing is kept."""

    def record_reply(self, suspect: str, set_id: SetId, place: int, reply: Reply) -> None:
        """Nothing is kept."""
