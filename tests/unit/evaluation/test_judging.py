"""What every rule says of an attacked model, from one questioning and without the owner's journal."""

import copy
from fractions import Fraction

import numpy as np

from earmark.evaluation.judging import (
    RememberedSuspect,
    count_matches,
    judge,
    judge_restored,
    questions_of,
)
from earmark.suspects import Miss
from earmark.verification import Method, measure, verify
from earmark.verification.experiment import ThrowAwayJournal
from small import MemoryJournal, ScriptedSuspect, new_key, small_key, two_kinds

KEY = small_key()


def right_answers(key=KEY):
    labels = {
        np.asarray(key.triggers[set_id][place].value).tobytes(): key.labels(set_id)[place]
        for set_id in key.verification_key.set_ids
        for place in range(len(key.triggers[set_id]))
    }
    return lambda inputs: [labels[np.asarray(value).tobytes()] for value in inputs]


class Scoring(ScriptedSuspect):
    def probabilities(self, inputs, on_answer=lambda count: None):
        self.asked.append(list(inputs))
        return [
            tuple(0.9 if place == answer else 0.1 / 9 for place in range(10))
            for answer in self._answers(inputs)
        ]


def test_all_rules_agree_with_verification_itself():
    found = judge(KEY, lambda: Scoring(right_answers()), Fraction(6, 100))
    for statistic in ("fixed", "sequential", "probabilities"):
        alone = verify(measure(KEY, Scoring(right_answers()), MemoryJournal(), method=Method(statistic)))
        assert found[statistic]["claim_bits"] == alone.claim_bits
        assert found[statistic]["owned"] is alone.owned is True
    assert found["paper"] == {"matches": 100, "questions": 100, "epsilon": "3/50", "accepted": True}
    assert found["fixed"]["threshold"] == 69


def test_one_stratum_alone_is_judged_as_verification_judges_it():
    key, asked = two_kinds(), []

    def open_suspect():
        asked.append(Scoring(right_answers(key)))
        return asked[-1]

    found = judge(key, open_suspect, Fraction(6, 100), stratum="noise")
    assert [len(batch) for suspect in asked for batch in suspect.asked] == [80, 80]
    for statistic in ("fixed", "sequential", "probabilities"):
        method = Method(statistic, stratum="noise")
        alone = verify(measure(key, Scoring(right_answers(key)), MemoryJournal(), method=method))
        assert found[statistic]["claim_bits"] == alone.claim_bits
        assert found[statistic]["questions"] == 80 or statistic == "sequential"
    assert found["paper"] is None
    assert count_matches(key, Scoring(right_answers(key)), "noise")["matches"] == 80
    restored = judge_restored(key, Scoring(right_answers(key)), "acme", "noise")
    assert (restored["questions"], restored["owned"]) == (80, False)


def test_no_number_pays_for_the_other_rules():
    """With the owner's journal the third method would pay 12-fold: a study would judge itself, not the mark."""
    journal = MemoryJournal()
    for statistic in ("fixed", "sequential", "probabilities"):
        last = verify(measure(KEY, Scoring(right_answers()), journal, method=Method(statistic)))
    found = judge(KEY, lambda: Scoring(right_answers()), None)
    assert found["probabilities"]["claim_bits"] > last.claim_bits
    assert found["paper"] is None


def test_each_question_is_put_once_for_answers_and_once_for_probabilities():
    opened = []

    def open_suspect():
        opened.append(Scoring(right_answers()))
        return opened[-1]

    judge(KEY, open_suspect, Fraction(1, 2))
    assert [sum(len(batch) for batch in suspect.asked) for suspect in opened] == [100, 100]
    assert [value.tobytes() for value in opened[0].asked[0]] == [
        value.tobytes() for value in questions_of(KEY)
    ]


def test_a_suspect_that_is_asked_again_could_lie_and_is_not():
    """A deployer who answers the first time and refuses the second fools none of the later rules."""
    told = right_answers()
    seen = set()

    def once(inputs):
        keys = [value.tobytes() for value in inputs]
        answers = [
            Miss.REFUSED if key in seen else answer for key, answer in zip(keys, told(inputs), strict=True)
        ]
        seen.update(keys)
        return answers

    found = judge(KEY, lambda: ScriptedSuspect(once), None)
    assert found["fixed"]["matches"] == found["sequential"]["matches"] == 100
    assert found["probabilities"] is None


def test_other_class_names_are_read_by_the_split_map_even_where_their_number_is_the_same():
    renamed = ScriptedSuspect(
        lambda inputs: [(answer + 3) % 10 for answer in right_answers()(inputs)], tuple("abcdefghij")
    )
    found = count_matches(KEY, renamed)
    assert found["label_map"] == "split"
    assert found["owned"]
    assert judge(KEY, lambda: copy.copy(renamed), Fraction(1, 2))["paper"] is None


def test_a_model_that_knows_nothing_is_not_owned_by_any_rule():
    found = judge(new_key(99), lambda: ScriptedSuspect(lambda inputs: [7] * len(inputs)), Fraction(6, 100))
    assert not any(found[rule]["owned"] for rule in ("fixed", "sequential"))
    assert not found["paper"]["accepted"]


def test_a_restored_layer_never_owns():
    found = judge_restored(KEY, ScriptedSuspect(right_answers()), "marked.safetensors")
    assert found["shown"] is True
    assert found["owned"] is False


def test_the_journal_that_is_thrown_away_knows_nothing_of_yesterday():
    journal = ThrowAwayJournal()
    assert [journal.record_method("x", {"statistic": name}) for name in ("fixed", "sequential")] == [1, 1]
    assert not journal.exposed_sets() | journal.sets_shown_to("x")
    assert journal.replies("x") == {}


def test_a_remembered_suspect_keeps_misses():
    suspect = RememberedSuspect(lambda: ScriptedSuspect([Miss.TIE] + [3] * 99), questions_of(KEY))
    assert suspect.answer(questions_of(KEY)[:2]) == [Miss.TIE, 3]
