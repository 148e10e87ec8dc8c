"""Verify as a player of the games: a key and a model in, accepted or not out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

from earmark.errors import EarmarkError
from earmark.games.definitions import Classify
from earmark.keys import MarkingKey, Transcript, VerificationKey
from earmark.statistics import match_tail
from earmark.suspects import Answer
from earmark.verification import measure, verify
from earmark.verification.experiment import ThrowAwayJournal
from earmark.verification.paper_rule import GroundTruth, verify_by_paper


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a rule said.

    Attributes:
        accepted: Whether it accepts.
        match_count: Triggers answered with their label.
        question_count: Triggers asked; 0 if the rule refused before.
        tail: For the exact rule: the exact chance of at least as many matches for a model that does not
            depend on the key, before penalties. None for a rule that bounds nothing.
        false_acceptance: For the exact rule: the exact chance that such a model is accepted with this key:
            P[Bin(n, 1/C) >= threshold]. It does not depend on the answers. None as before.
        refused: Why it refused before it asked, or None.
    """

    accepted: bool
    match_count: int = 0
    question_count: int = 0
    tail: Fraction | None = None
    false_acceptance: Fraction | None = None
    refused: str | None = None


class Rule(Protocol):
    """Verify(mk, vk, M)."""

    def __call__(self, key: MarkingKey, verification_key: VerificationKey, model: Classify) -> Judgement:
        """Judge a model by a key; a key that contradicts itself or the published one is refused."""
        ...


def exact_rule(key: MarkingKey, verification_key: VerificationKey, model: Classify) -> Judgement:
    """Judge by the exact rule, with its default penalties; see ``earmark.verification``."""
    try:
        published = _read_again(verification_key)
        suspect = _Suspect(model, published.transcript.class_count)
        measured = measure(_own(key), suspect, ThrowAwayJournal(), verification_key=published)
        verdict = verify(measured)
    except EarmarkError as error:
        return Judgement(False, refused=str(error))
    threshold, asked = verdict.threshold, measured.question_count
    chance = Fraction(0) if threshold is None else match_tail(asked, threshold, verdict.chance)
    return Judgement(verdict.owned, measured.match_count, asked, verdict.tail, chance)


def paper_rule(epsilon: Fraction, truth: Callable[[Any], int | None] | None = None) -> Rule:
    """Return the paper's rule with a share epsilon of misses.

    Args:
        epsilon: The share of triggers that may miss.
        truth: f, by which step 1 refuses labels that are right; None stands for ⊥. Without it the
            challenger lets every claim about f pass.

    Source:
        Adi et al. 2018, Section 4 (Verify)
    """

    def rule(key: MarkingKey, verification_key: VerificationKey, model: Classify) -> Judgement:
        try:
            published, own = _read_again(verification_key), _own(key)
            verdict = verify_by_paper(
                own,
                _Suspect(model, published.transcript.class_count),
                ThrowAwayJournal(),
                epsilon=epsilon,
                ground_truth=_ground_truth(own, truth),
                verification_key=published,
            )
        except EarmarkError as error:
            return Judgement(False, refused=str(error))
        refused = "step 1: a label is the true class" if verdict.refused_by == 1 else None
        return Judgement(verdict.accepted, verdict.match_count, len(verdict.questions), refused=refused)

    return rule


def _ground_truth(key: MarkingKey, truth: Callable[[Any], int | None] | None) -> GroundTruth:
    if truth is None:
        return GroundTruth("the game")
    classes = {
        (set_id, place): truth(trigger.value)
        for set_id, triggers in key.triggers.items()
        for place, trigger in enumerate(triggers)
    }
    return GroundTruth("the ground truth of the game", classes)


def _read_again(key: VerificationKey) -> VerificationKey:
    # What an adversary hands in is an object of this process. Its root is computed anew from its bytes, as
    # if it came in a file: a remembered root could be another's.
    return VerificationKey(Transcript.from_bytes(key.transcript.canonical_bytes), bytes(key.signature))


def _own(key: MarkingKey) -> MarkingKey:
    published = _read_again(key.verification_key)
    return MarkingKey(published, dict(key.secrets), dict(key.triggers), key.chosen_labels, key.randomness)


class _Suspect:
    name, identity, preprocessing = "the model of a game", "game", "none"
    class_names: tuple[str, ...] | None = None

    def __init__(self, model: Classify, class_count: int) -> None:
        # A claimant who declares other classes than the model has gains nothing: what lies beyond them is
        # not read, and a label drawn from C classes is matched with chance 1/C whatever the model says.
        self._model = model
        self.class_count = class_count

    def answer(
        self, inputs: Sequence[Any], on_answer: Callable[[int], None] = lambda count: None
    ) -> list[Answer]:
        answers: list[Answer] = [int(answer) for answer in self._model(inputs)]
        on_answer(len(answers))
        return answers
