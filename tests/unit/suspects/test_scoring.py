import threading

import numpy as np
import pytest

from earmark.errors import SuspectError
from earmark.suspects import Miss
from earmark.suspects.scoring import AnswersFromScores, Failed, softmax
from earmark.suspects.torch import TorchSuspect
from small_models import description, questions, weights_file


class Scripted(AnswersFromScores):
    def __init__(self, *said) -> None:
        self.name, self.class_count, self._said = "a scripted suspect", 3, said

    def _question(self, inputs):
        yield from (np.array(one) if isinstance(one, list) else one for one in self._said)


def test_scores_that_look_like_probabilities_are_not_flattened_again():
    found = Scripted([0.7, 0.2, 0.1], [7.0, 2.0, 1.0], [0.5, 0.5, 0.5]).probabilities([0] * 3)
    assert found[0] == (0.7, 0.2, 0.1)
    powers = np.exp([7.0, 2.0, 1.0])
    assert np.allclose(found[1], powers / powers.sum())
    assert np.allclose(found[2], 1 / 3)


def test_the_answer_is_the_same_whether_scores_or_probabilities_are_asked():
    rows = np.random.default_rng(0).normal(size=(50, 3)).tolist()
    answers = Scripted(*rows).answer([0] * 50)
    assert answers == [int(np.argmax(row)) for row in Scripted(*rows).probabilities([0] * 50)]


def test_large_and_infinite_logits():
    assert softmax(np.array([1e300, 0.0])) == (1.0, 0.0)
    assert softmax(np.array([-np.inf, 0.0])) == (0.0, 1.0)
    for scores in ([np.inf, 0.0], [np.nan, 0.0], [-np.inf, -np.inf]):
        assert softmax(np.array(scores)) == Miss.NOT_A_NUMBER


def test_failures_and_wrong_lengths_are_misses_when_something_was_answered():
    suspect = Scripted(Failed("no"), [1.0, 2.0], [1.0, 2.0, 3.0], Miss.REFUSED, 2)
    assert suspect.answer([0] * 5) == [Miss.ERROR, Miss.ERROR, 2, Miss.REFUSED, 2]


def test_nothing_but_failures_is_an_error_with_the_first_reason():
    with pytest.raises(SuspectError, match="answers nothing: first"):
        Scripted(Failed("first"), Failed("second")).answer([0, 0])


def test_no_question_is_no_failure():
    assert Scripted().answer([]) == []
    assert Scripted().probabilities([]) == []


def test_a_network_that_hangs_is_not_waited_for(tmp_path):
    from earmark.models.weights import load_weights

    held = threading.Event()
    model = load_weights(weights_file(tmp_path / "m.safetensors"))
    model.module.forward = lambda images: held.wait(30)
    suspect = TorchSuspect(model, "weights m.safetensors", question_seconds=0.1)
    try:
        with pytest.raises(SuspectError, match=r"within 0\.2 seconds"):
            suspect.answer(questions(2))
    finally:
        held.set()
    assert suspect.class_count == len(description().class_names)
