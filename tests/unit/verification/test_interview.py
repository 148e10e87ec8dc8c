from datetime import UTC, datetime
from fractions import Fraction

import pytest

from earmark.errors import JournalError, SuspectError, VerificationError
from earmark.formats.journal_v1 import Journal
from earmark.suspects import Miss
from earmark.verification import PROBABILITIES, SEQUENTIAL, Method, evidence_needed, measure, verify
from small import MemoryJournal, ScriptedSuspect, new_key

KEY = new_key(sets=2)
PUBLIC = KEY.verification_key
FIRST, SECOND = PUBLIC.set_ids


class Oracle:
    """Knows the labels; answers those questions that ``knows`` names and refuses the others."""

    name, identity, preprocessing, is_remote = "an API", "https://api.test", "its own", True
    class_names, class_count = KEY.transcript.task.class_names, 10

    def __init__(self, knows=lambda number: True, fails_at=None):
        self._labels = {
            trigger.canonical_bytes: label
            for set_id in PUBLIC.set_ids
            for trigger, label in zip(KEY.triggers[set_id], PUBLIC.labels(set_id), strict=True)
        }
        self._knows, self._fails_at = knows, fails_at
        self.asked = []

    def answer(self, inputs, on_answer=lambda count: None):
        from earmark.triggers.image import IMAGE

        answers = []
        for value in inputs:
            if self._fails_at == len(self.asked):
                self._fails_at = None
                self.asked.append(None)
                raise SuspectError("unreachable")
            label = self._labels[IMAGE.encode(value)]
            answers.append(label if self._knows(len(self.asked)) else Miss.REFUSED)
            self.asked.append(label)
        return answers

    def probabilities(self, inputs, on_answer=lambda count: None):
        return [
            answer
            if isinstance(answer, Miss)
            else tuple(0.91 if place == answer else 0.01 for place in range(10))
            for answer in self.answer(inputs)
        ]


@pytest.fixture
def journal(tmp_path):
    Journal.create(tmp_path / "key.journal", KEY.transcript.root)
    return Journal(tmp_path / "key.journal", KEY.transcript.root, lambda: datetime(2026, 1, 1, tzinfo=UTC))


def run(suspect, journal, statistic=SEQUENTIAL):
    return measure(KEY, suspect, journal, method=Method(statistic), stop_at=evidence_needed)


def test_questioning_ends_when_it_is_enough(journal):
    suspect = Oracle()
    verdict = verify(run(suspect, journal))
    assert verdict.owned
    assert len(suspect.asked) == verdict.measurement.question_count == 45
    assert [question.set_id for question in verdict.measurement.questions] == [FIRST] * 45
    assert journal.exposed_sets() == {FIRST}


def test_it_goes_on_in_the_next_set_and_gives_up_at_the_end(journal):
    half = Oracle(knows=lambda number: number % 2)
    measured = run(half, journal)
    assert verify(measured).owned
    assert journal.exposed_sets() == {FIRST, SECOND}
    nothing = Oracle(knows=lambda number: False)
    nothing.identity = "https://other.test"
    with pytest.raises(VerificationError, match="step 4: every trigger set was exposed"):
        run(nothing, journal)


def test_a_run_that_broke_off_goes_on_where_it_was_and_loses_that_question(journal):
    suspect = Oracle(fails_at=20)
    with pytest.raises(SuspectError):
        run(suspect, journal)
    measured = run(suspect, journal)
    assert verify(measured).owned
    assert measured.questions[20].answer is Miss.ERROR
    assert len(suspect.asked) == measured.question_count  # nothing was asked twice
    assert measured.match_count == measured.question_count - 1
    assert measured.method_count == 1


def test_repeating_the_command_asks_nothing(journal):
    suspect = Oracle()
    first = run(suspect, journal)
    again = Oracle()
    second = run(again, journal)
    assert again.asked == []
    assert second.questions == first.questions


def test_another_statistic_judges_the_first_answers(journal):
    run(Oracle(), journal)
    fixed = Oracle()
    measured = measure(KEY, fixed, journal, method=Method())
    assert measured.question_count == 200
    assert len(fixed.asked) == 155
    assert measured.method_count == 2
    with pytest.raises(VerificationError, match="first answers without probabilities"):
        run(Oracle(), journal, PROBABILITIES)


def test_probabilities_are_kept_and_weighed(journal):
    suspect = Oracle(fails_at=3)
    with pytest.raises(SuspectError):
        run(suspect, journal, PROBABILITIES)
    verdict = verify(run(suspect, journal, PROBABILITIES))
    assert verdict.owned
    assert verdict.threshold is None
    payoffs = {question.payoff for question in verdict.measurement.questions}
    assert max(payoffs) == pytest.approx(9.1)
    assert min(payoffs) == 0  # the question that was lost


def test_a_suspect_with_classes_only_has_no_probabilities():
    suspect = ScriptedSuspect([3])
    with pytest.raises(VerificationError, match="step 5: .* answers with classes"):
        measure(KEY, suspect, MemoryJournal(), method=Method(PROBABILITIES))


def test_one_question_wants_one_answer():
    with pytest.raises(VerificationError, match="1 question, but 2 answers"):
        measure(KEY, ScriptedSuspect([1, 2]), MemoryJournal(), method=Method(SEQUENTIAL))


def test_a_file_leaves_no_questions_in_the_journal(journal):
    suspect = ScriptedSuspect([4])
    measured = measure(
        KEY, suspect, journal, method=Method(SEQUENTIAL), stop_at=lambda before: Fraction(2**9)
    )
    assert journal.replies(suspect.identity) == {}
    assert journal.exposed_sets() == frozenset()
    assert measured.question_count == 200


def test_a_set_that_was_shown_to_another_is_not_shown_again(journal):
    run(Oracle(), journal)
    other = Oracle()
    other.identity = "https://other.test"
    measured = run(other, journal)
    assert {question.set_id for question in measured.questions} == {SECOND}
    with pytest.raises(JournalError, match="exposed or opened before"):
        journal.show_set(FIRST, "https://third.test", PUBLIC.set_ids)


def test_methods_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="unknown statistic"):
        Method("median")
    with pytest.raises(ValueError, match="fixed statistic only"):
        Method(SEQUENTIAL, "best")
