"""Questioning one kind of trigger alone."""

import pytest

from earmark.errors import VerificationError
from earmark.keys import SetId
from earmark.reports.statements import kinds
from earmark.verification import Method, evidence_needed, measure, verify
from small import MemoryJournal, ScriptedSuspect, two_kinds

OWN, OTHER = [SetId(0, 0), SetId(0, 1)], [SetId(1, 0)]


def knows(key, set_ids):
    """A suspect that answers the triggers of these sets with their labels, and others with the first class."""
    labels = {
        trigger.value.tobytes(): label
        for set_id in set_ids
        for trigger, label in zip(key.triggers[set_id], key.labels(set_id), strict=True)
    }
    return ScriptedSuspect(lambda inputs: [labels.get(value.tobytes(), 0) for value in inputs])


class Service(ScriptedSuspect):
    is_remote = True
    prepared = 0

    def prepare(self, inputs):
        self.prepared += len(inputs)


def test_a_stratum_is_asked_alone_and_shows_the_mark_that_is_left_in_it():
    key, journal = two_kinds(), MemoryJournal()
    suspect = knows(key, OTHER)
    everything = verify(measure(key, suspect, journal))
    assert (everything.measurement.question_count, everything.owned) == (220, False)
    alone = verify(measure(key, suspect, journal, method=Method(stratum="noise")))
    assert (alone.measurement.question_count, alone.measurement.match_count) == (80, 80)
    assert alone.owned
    # The second way of questioning is paid for, and that the stratum was chosen by the looks.
    assert {penalty.name: penalty.alternatives for penalty in alone.penalties} == {
        "grinding": 2**80, "looking": 2**24, "methods": 6,
    }  # fmt: skip


def test_a_verdict_says_what_came_of_each_kind_and_how_to_ask_one_alone():
    key, journal = two_kinds(), MemoryJournal()
    lost = verify(measure(key, knows(key, OTHER), journal))
    matched = lost.measurement.match_count - 80
    assert kinds(lost) == (
        f"by kind: {matched} of 140 abstract, 80 of 80 noise; --stratum NAME asks one kind alone",
    )
    shown = verify(measure(key, knows(key, [*OWN, *OTHER]), MemoryJournal()))
    assert kinds(shown) == ("by kind: 140 of 140 abstract, 80 of 80 noise",)
    alone = verify(measure(key, knows(key, OTHER), journal, method=Method(stratum="noise")))
    assert kinds(alone) == ()


def test_the_sets_of_a_stratum_that_others_saw_are_left_out():
    key = two_kinds()
    measured = measure(key, knows(key, OWN), MemoryJournal({SetId(0, 0)}), method=Method(stratum="abstract"))
    assert {question.set_id for question in measured.questions} == {SetId(0, 1)}
    with pytest.raises(VerificationError, match="every set of noise"):
        measure(key, knows(key, OWN), MemoryJournal({SetId(1, 0)}), method=Method(stratum="noise"))


def test_a_service_is_not_asked_out_of_turn_and_nothing_is_used_up():
    key, journal = two_kinds(), MemoryJournal()
    service = Service([0] * 80)
    with pytest.raises(ValueError, match="2 of other strata come before"):
        measure(key, service, journal, method=Method("sequential", stratum="noise"))
    assert (journal.methods, service.prepared, service.asked) == ({}, 0, [])


def test_a_service_is_asked_a_stratum_whose_turn_it_is():
    key = two_kinds()
    first = measure(key, Service([0]), MemoryJournal(), method=Method("sequential", stratum="abstract"))
    assert first.question_count == 140
    last = measure(key, Service([0]), MemoryJournal(set(OWN)), method=Method("sequential", stratum="noise"))
    assert last.question_count == 80


@pytest.mark.parametrize(("left", "owned"), [(OWN, True), (OTHER, False)])
def test_in_sequence_a_mark_is_shown_by_what_comes_first_and_hidden_by_it(left, owned):
    key = two_kinds()
    measured = measure(
        key, knows(key, left), MemoryJournal(), method=Method("sequential"), stop_at=evidence_needed
    )
    assert verify(measured).owned is owned
    assert (measured.question_count < 140) is owned


def test_a_stratum_must_be_there_and_goes_with_no_sets():
    key = two_kinds()
    with pytest.raises(ValueError, match="no stratum 'x'; it has abstract, noise"):
        measure(key, knows(key, OWN), MemoryJournal(), method=Method(stratum="x"))
    with pytest.raises(ValueError, match="one of them"):
        measure(key, knows(key, OWN), MemoryJournal(), method=Method(stratum="noise"), set_ids=OTHER)
