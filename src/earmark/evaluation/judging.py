"""What verification says of an attacked model. An experiment must not spend the owner's journal.

The owner's journal is evidence: which methods were tried, which sets were shown. A study tries every method
on hundreds of models that its own owner made, and none of that is a claim. So every verdict here has a
journal of its own, which knows nothing of the others and is thrown away; each number is what that rule would
say had it alone been asked. A claim in earnest goes through ``earmark verify``.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from earmark.errors import SuspectError
from earmark.keys import MarkingKey
from earmark.suspects import Answer, Miss, ScoringSuspect, Suspect
from earmark.verification import AUTO, FIXED, PROBABILITIES, SEQUENTIAL, SPLIT, Method, measure, verify
from earmark.verification.experiment import ThrowAwayJournal
from earmark.verification.measurement import of_stratum
from earmark.verification.paper_rule import GroundTruth, verify_by_paper

RESTORED = "restored last layer"
_NOBODY = "nobody: an experiment asks whether the answers would do, not whether the labels are wrong"


class RememberedSuspect:
    """A suspect that is asked each question once, in one batch, and then remembered.

    All rules then judge the same answers, and a deployer who gets suspicious when a question comes again has
    no second one to notice.

    Args:
        open_suspect: Returns the suspect as it is deployed; called once for answers and once for
            probabilities, so that neither sees the other's questions.
        questions: All that will be asked, in their order.
        on_answer: Called with the number of answers so far.
    """

    def __init__(
        self,
        open_suspect: Callable[[], Suspect],
        questions: Sequence[Any],
        on_answer: Callable[[int], None] = lambda count: None,
    ) -> None:
        suspect = open_suspect()
        self.name, self.identity = suspect.name, suspect.identity
        self.class_names, self.class_count = suspect.class_names, suspect.class_count
        self.preprocessing = suspect.preprocessing
        self._places = {_key(question): place for place, question in enumerate(questions)}
        self._answers = suspect.answer(list(questions), on_answer)
        self._probabilities: list[tuple[float, ...] | Miss] | None = None
        if isinstance(suspect, ScoringSuspect):
            try:
                self._probabilities = _scoring(open_suspect()).probabilities(list(questions))
            except SuspectError:
                self._probabilities = None  # it has the method, and what stands behind it gives classes only

    @property
    def has_probabilities(self) -> bool:
        """Whether the suspect says how sure it is."""
        return self._probabilities is not None

    def answer(
        self, inputs: Sequence[Any], on_answer: Callable[[int], None] = lambda count: None
    ) -> list[Answer]:
        """Return the answers that were given."""
        on_answer(len(inputs))
        return [self._answers[self._places[_key(value)]] for value in inputs]

    def probabilities(
        self, inputs: Sequence[Any], on_answer: Callable[[int], None] = lambda count: None
    ) -> list[tuple[float, ...] | Miss]:
        """Return the probabilities that were given."""
        if self._probabilities is None:
            raise SuspectError(f"{self.name} answers with classes, not with probabilities")
        on_answer(len(inputs))
        return [self._probabilities[self._places[_key(value)]] for value in inputs]


def questions_of(key: MarkingKey, stratum: str | None = None) -> list[Any]:
    """Return all triggers of a key, or of a stratum, as values in the order in which verification asks."""
    return [
        key.triggers[set_id][place].value
        for set_id in of_stratum(key, stratum)
        for place in key.verification_key.order(set_id)
    ]


def question_count(key: MarkingKey, stratum: str | None = None) -> int:
    """Return how many triggers a key has, or a stratum of it.

    Raises:
        ValueError: The key has no stratum of that name.
    """
    return sum(len(key.triggers[set_id]) for set_id in of_stratum(key, stratum))


def count_matches(key: MarkingKey, suspect: Suspect, stratum: str | None = None) -> dict[str, Any]:
    """Return what the exact rule with a fixed sample says of a suspect.

    Args:
        key: The owner's.
        suspect: Who is asked.
        stratum: The only one asked; None for all.

    Returns:
        ``matches``, ``questions``, ``claim_bits``, ``owned``, ``threshold``, ``label_map``.

    Raises:
        SuspectError: It cannot be questioned.
        VerificationError: A step refuses.
    """
    return _verdict(key, suspect, FIXED, stratum)


def judge(
    key: MarkingKey,
    open_suspect: Callable[[], Suspect],
    epsilon: Fraction | None,
    on_answer: Callable[[int], None] = lambda count: None,
    stratum: str | None = None,
) -> dict[str, Any]:
    """Return what every rule says of a suspect.

    Args:
        key: The owner's.
        open_suspect: Returns the suspect as it is deployed.
        epsilon: For the paper's rule; None to leave it out.
        on_answer: Called with the number of triggers answered so far.
        stratum: The only one asked; None for all. The paper's rule, which knows none, is left out with it.

    Returns:
        The rules' names to what they say; None where a rule cannot be asked.

    Raises:
        SuspectError: It cannot be questioned.
        VerificationError: A step refuses.
    """
    suspect = RememberedSuspect(open_suspect, questions_of(key, stratum), on_answer)
    return {
        FIXED: _verdict(key, suspect, FIXED, stratum),
        SEQUENTIAL: _verdict(key, suspect, SEQUENTIAL, stratum),
        PROBABILITIES: _verdict(key, suspect, PROBABILITIES, stratum) if suspect.has_probabilities else None,
        "paper": None if epsilon is None or stratum is not None else _by_paper(key, suspect, epsilon),
    }


def judge_restored(
    key: MarkingKey, suspect: Suspect, owner: str, stratum: str | None = None
) -> dict[str, Any]:
    """Return what the exact rule says of a suspect with the owner's last layer; it never owns.

    Args:
        key: The owner's.
        suspect: The attacked model with the owner's last layer put back.
        owner: Whose layer it is, in words.
        stratum: The only one asked; None for all.
    """
    return _verdict(key, suspect, FIXED, stratum, restored_layer=owner)


def _verdict(
    key: MarkingKey,
    suspect: Suspect,
    statistic: str,
    stratum: str | None,
    restored_layer: str | None = None,
) -> dict[str, Any]:
    names = key.transcript.task.class_names
    # Where classes have other names their order says nothing either: a model moved to another task is read
    # by the map that earlier questions show, and pays nothing for it.
    says_classes = suspect.class_names is None or set(names) <= set(suspect.class_names)
    method = Method(statistic, AUTO if says_classes else SPLIT, stratum=stratum)
    found = verify(measure(key, suspect, ThrowAwayJournal(), method=method), restored_layer=restored_layer)
    return {
        "matches": found.measurement.match_count,
        "questions": found.measurement.question_count,
        "claim_bits": found.claim_bits,
        "owned": found.owned,
        "shown": found.mark_shown,
        "threshold": found.threshold,
        "label_map": found.measurement.label_map,
    }


def _by_paper(key: MarkingKey, suspect: Suspect, epsilon: Fraction) -> dict[str, Any] | None:
    if suspect.class_names is not None and set(key.transcript.task.class_names) - set(suspect.class_names):
        return None  # the paper's rule has no way to read other classes
    found = verify_by_paper(
        key, suspect, ThrowAwayJournal(), epsilon=epsilon, ground_truth=GroundTruth(_NOBODY)
    )
    return {
        "matches": found.match_count,
        "questions": len(found.questions),
        "epsilon": str(epsilon),
        "accepted": found.accepted,
    }


def _scoring(suspect: Suspect) -> ScoringSuspect:
    if not isinstance(suspect, ScoringSuspect):
        raise SuspectError(f"{suspect.name} answers with classes, not with probabilities")
    return suspect


def _key(value: Any) -> bytes:
    array = np.asarray(value)
    return repr((array.shape, array.dtype.str)).encode() + array.tobytes()
