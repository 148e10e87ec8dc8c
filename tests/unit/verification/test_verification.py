from dataclasses import replace
from fractions import Fraction

import pytest

from earmark.errors import JournalError, VerificationError
from earmark.keys import SetId
from earmark.statistics import match_tail, match_threshold
from earmark.suspects import Miss
from earmark.verification import Measurement, measure, verify
from small import DIGITS, MemoryJournal, ScriptedSuspect, new_key, small_key

ONLY_SET = SetId(0, 0)


def in_order(key, set_id=ONLY_SET):
    labels = key.verification_key.labels(set_id)
    return [labels[place] for place in key.verification_key.order(set_id)]


def partly_right(key, match_count):
    right = in_order(key)
    return [label if place < match_count else (label + 1) % 10 for place, label in enumerate(right)]


def judged(match_count, **options):
    key = small_key()
    return verify(measure(key, ScriptedSuspect(partly_right(key, match_count)), MemoryJournal()), **options)


def test_a_model_that_answers_every_trigger_is_owned():
    verdict = judged(100)
    assert verdict.owned
    assert verdict.tail == Fraction(1, 10**100)


def test_the_sentence_says_what_was_measured_and_both_strengths():
    assert str(judged(97)) == (
        "owned: 97 of 100 triggers; chance 2^-305 for a model that does not depend on this key, "
        "2^-201 after penalties"
    )
    assert str(judged(11)).startswith("not shown: 11 of 100 triggers; chance 2^-1 ")
    assert str(judged(11)).endswith("no bound after penalties")


@pytest.mark.parametrize(("matches", "owned"), [(69, True), (68, False)])
def test_the_threshold_is_exact(matches, owned):
    verdict = judged(matches)
    assert verdict.owned is owned
    assert verdict.threshold == 69 == match_threshold(100, Fraction(1, 10))


def test_the_tail_is_the_binomial_one():
    verdict = judged(40)
    assert verdict.tail == match_tail(100, 40, Fraction(1, 10))
    assert verdict.strength_bits == pytest.approx(-float(__import__("math").log2(verdict.tail)))


def test_refusals_errors_and_ties_are_misses():
    key = small_key()
    answers = partly_right(key, 100)
    answers[:4] = [Miss.REFUSED, Miss.TIE, Miss.ERROR, Miss.NOT_A_NUMBER]
    measurement = measure(key, ScriptedSuspect(answers), MemoryJournal())
    assert measurement.match_count == 96
    assert measurement.question_count == 100
    assert measurement.miss_counts == {Miss.REFUSED: 1, Miss.ERROR: 1, Miss.TIE: 1, Miss.NOT_A_NUMBER: 1}


@pytest.mark.parametrize("answer", [-1, 10, 10**9])
def test_an_answer_outside_the_classes_is_a_miss(answer):
    key = small_key()
    measurement = measure(key, ScriptedSuspect([answer] * 100), MemoryJournal())
    assert measurement.miss_counts == {Miss.UNKNOWN_CLASS: 100}


def test_triggers_are_asked_once_each_in_the_order_of_the_root():
    key = small_key()
    suspect = ScriptedSuspect([0] * 100)
    measure(key, suspect, MemoryJournal())
    (asked,) = suspect.asked
    expected = [key.triggers[SetId(0, 0)][place].value for place in key.verification_key.order(SetId(0, 0))]
    assert all((a == b).all() for a, b in zip(asked, expected, strict=True))


def test_the_method_is_journalled_before_the_first_question():
    class Refusing(MemoryJournal):
        def record_method(self, suspect, method):
            raise JournalError("the disk is full")

    suspect = ScriptedSuspect([0] * 100)
    with pytest.raises(JournalError):
        measure(small_key(), suspect, Refusing())
    assert suspect.asked == []


def test_exposed_sets_are_not_asked_again():
    key = new_key(sets=3)
    suspect = ScriptedSuspect(lambda inputs: [0] * len(inputs))
    measurement = measure(key, suspect, MemoryJournal(exposed=[SetId(0, 1)]))
    assert {question.set_id for question in measurement.questions} == {SetId(0, 0), SetId(0, 2)}
    assert measurement.question_count == 200


def test_nothing_is_asked_when_every_set_was_exposed():
    with pytest.raises(VerificationError, match="step 4: every trigger set was exposed") as caught:
        measure(small_key(), ScriptedSuspect([]), MemoryJournal(exposed=[SetId(0, 0)]))
    assert caught.value.step == 4


def test_a_given_set_is_asked_even_if_it_was_exposed():
    measurement = measure(
        small_key(), ScriptedSuspect([0] * 100), MemoryJournal(exposed=[SetId(0, 0)]), set_ids=[SetId(0, 0)]
    )
    assert measurement.question_count == 100


def test_renamed_order_of_classes_is_undone_by_name_for_free():
    key = small_key()
    names = DIGITS[::-1]
    answers = [names.index(str(label)) for label in in_order(key)]
    measurement = measure(key, ScriptedSuspect(answers, names), MemoryJournal())
    assert measurement.label_map == "by name"
    assert measurement.match_count == 100
    assert [penalty.name for penalty in verify(measurement).penalties] == ["grinding", "looking"]


@pytest.mark.parametrize("names", [None, tuple("abcdefghij")])
def test_unknown_class_names_leave_the_order_of_the_key(names):
    key = small_key()
    measurement = measure(key, ScriptedSuspect(in_order(key), names), MemoryJournal())
    assert measurement.label_map == "by order"
    assert measurement.match_count == 100


def test_another_number_of_classes_is_refused():
    with pytest.raises(VerificationError, match="step 4: the suspect has 7 classes, the key 10"):
        measure(small_key(), ScriptedSuspect([], None, 7), MemoryJournal())


@pytest.mark.parametrize("count", [99, 101])
def test_a_suspect_that_answers_more_or_fewer_questions_is_refused(count):
    with pytest.raises(VerificationError, match=f"step 5: 100 questions, but {count} answers"):
        measure(small_key(), ScriptedSuspect([0] * count), MemoryJournal())


def test_another_keys_public_file_is_refused():
    other = new_key(1).verification_key
    with pytest.raises(VerificationError, match="step 1: the public key file belongs to another key"):
        measure(small_key(), ScriptedSuspect([0] * 100), MemoryJournal(), verification_key=other)


def test_the_keys_own_public_file_is_accepted():
    own = small_key().verification_key
    assert measure(small_key(), ScriptedSuspect([0] * 100), MemoryJournal(), verification_key=own)


def test_a_bad_signature_is_refused_at_step_1():
    key = small_key()
    forged = replace(key.verification_key, signature=bytes(64))
    with pytest.raises(VerificationError, match="step 1"):
        measure(key, ScriptedSuspect([0] * 100), MemoryJournal(), verification_key=forged)


def test_triggers_that_do_not_open_the_commitments_are_refused_at_step_2():
    key = small_key()
    triggers = {SetId(0, 0): key.triggers[SetId(0, 0)][::-1]}
    with pytest.raises(VerificationError, match="step 2"):
        measure(replace(key, triggers=triggers), ScriptedSuspect([0] * 100), MemoryJournal())


def test_an_empty_test_is_refused():
    empty = Measurement(small_key().verification_key, "x", "x", "x", "by name", (), 1)
    with pytest.raises(VerificationError, match="step 7"):
        verify(empty)


@pytest.mark.parametrize("bad", [{"looks": 0}, {"preprocessing_choices": 0}])
def test_numbers_below_one_are_refused(bad):
    with pytest.raises(ValueError, match="at least 1"):
        judged(100, **bad)


def test_every_freedom_is_paid_for():
    verdict = judged(100, looks=2**30, preprocessing_choices=34)
    bits = {penalty.name: penalty.bits for penalty in verdict.penalties}
    assert bits == pytest.approx({"grinding": 80, "looking": 30, "preprocessing": 5.087462841250339})
    assert verdict.claim_bits == pytest.approx(verdict.strength_bits - sum(bits.values()))


def test_looking_costs_at_least_24_bits():
    assert judged(100, looks=5).penalties[1].bits == 24


def test_other_methods_tried_on_the_same_suspect_are_paid_for():
    key, journal = small_key(), MemoryJournal()
    suspect = ScriptedSuspect(in_order(key))
    assert measure(key, suspect, journal).method_count == 1
    assert measure(key, suspect, journal).method_count == 1
    suspect.preprocessing = "another"
    verdict = verify(measure(key, suspect, journal))
    assert verdict.penalties[-1].name == "methods"
    assert verdict.penalties[-1].alternatives == 2 * 3


def test_penalties_raise_the_threshold():
    threshold = judged(69, looks=2**40).threshold
    assert threshold > 69
    assert judged(threshold, looks=2**40).owned
    assert not judged(threshold - 1, looks=2**40).owned


def test_recorded_answers_alone_are_not_a_verdict():
    verdict = judged(100, recorded_by="answers.csv")
    assert verdict.mark_shown
    assert not verdict.owned
    assert str(verdict).startswith("consistent with the answers recorded in answers.csv: 100 of 100")
    attested = judged(100, recorded_by="answers.csv", attested_by="A. Judge")
    assert attested.owned
    assert not judged(11, recorded_by="answers.csv", attested_by="A. Judge").owned
