"""A forger chooses with hindsight: roots, suspects, methods, moments to stop. Each shows his win without the rule.

The thresholds are small, so that wins really happen and can be counted against their law.
"""

from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction

import numpy as np
import pytest

from adversary.forger import (
    RandomApi,
    agreement,
    assert_exceeds,
    assert_follows,
    assert_within,
    constant,
    expected_answers,
    noise_key,
    shown_in_small,
    with_transcript,
)
from earmark.errors import JournalError, VerificationError
from earmark.formats.answers_v1 import question_names, questions_id
from earmark.formats.answers_v1 import read as read_answers
from earmark.formats.journal_v1 import Journal
from earmark.keys import VerificationKey, derive_labels
from earmark.statistics import (
    EProcess,
    Penalty,
    fewest_matches,
    fewest_matches_in_sequence,
    is_owned,
    match_tail,
)
from earmark.suspects import Miss
from earmark.suspects.recorded import RecordedSuspect
from earmark.triggers.image import IMAGE
from earmark.verification import (
    FIXED,
    SEQUENTIAL,
    SPLIT,
    Measurement,
    Method,
    Question,
    evidence_needed,
    measure,
    verify,
)
from small import DIGITS, ONLY_SET, MemoryJournal, ScriptedSuspect

TENTH = Fraction(1, 10)
BITS = 10


@pytest.fixture
def new_journal(tmp_path):
    def make(key):
        path = tmp_path / f"{key.transcript.root.hex()[:8]}.journal"
        Journal.create(path, key.transcript.root)
        return Journal(path, key.transcript.root, lambda: datetime(2026, 1, 1, tzinfo=UTC))

    return make


# Tries with other roots, other suspects, other methods.

QUESTIONS = 22
ENOUGH = fewest_matches(QUESTIONS, TENTH, Fraction(1, 2**BITS))
LUCK = match_tail(QUESTIONS, ENOUGH, TENTH)


def test_four_forgers_grind_a_thousand_roots_each_and_win_as_often_as_the_union_bound_says():
    key, tries = noise_key("grinding", QUESTIONS), 2**10
    nonces = [number.to_bytes(32, "big") for number in range(4 * tries)]
    roots = [replace(key.transcript, nonce=nonce).root for nonce in nonces]
    counts = [derive_labels(root, 0, 0, QUESTIONS, 10).count(3) for root in roots]
    wins = sum(count >= ENOUGH for count in counts)
    assert_follows(wins, len(roots), LUCK)

    # Unpaid, a forger of 2^10 tries nearly always has a root that passes for 10 bits. Paid, he needs 20.
    best = [max(counts[start : start + tries]) for start in range(0, len(counts), tries)]
    assert sum(count >= ENOUGH for count in best) >= 2
    grinding = (Penalty("grinding", tries, "other roots"),)
    assert not any(is_owned(match_tail(QUESTIONS, count, TENTH), grinding, BITS) for count in best)

    # The luckiest root of all, brought to the real verdict.
    forged = with_transcript(key, nonce=nonces[counts.index(max(counts))])
    verdict = verify(measure(forged, constant(3, QUESTIONS), MemoryJournal()))
    assert verdict.measurement.match_count == max(counts)
    assert shown_in_small(verdict, BITS)  # had the verdict not paid for what it says it pays
    paid = {penalty.name: penalty for penalty in verdict.penalties}
    assert paid["grinding"].alternatives == 2**80
    assert not is_owned(verdict.tail, (paid["grinding"],), BITS)
    assert not verdict.owned


def test_who_scans_thousands_of_suspects_finds_a_lucky_one_and_pays_for_looking():
    key, suspects = noise_key("scanning", QUESTIONS), 2**12
    answers = np.random.default_rng(0).integers(0, 10, (suspects, QUESTIONS))
    counts = (answers == np.array(expected_answers(key))).sum(1)  # (suspects,)
    assert_follows(int((counts >= ENOUGH).sum()), suspects, LUCK)

    luckiest = answers[counts.argmax()].tolist()
    verdict = verify(measure(key, ScriptedSuspect(luckiest), MemoryJournal()), looks=suspects)
    assert shown_in_small(verdict, BITS)
    looking = (Penalty("looking", suspects, "suspects tried"),)
    assert not is_owned(verdict.tail, looking, BITS)
    paid = {penalty.name: penalty.alternatives for penalty in verdict.penalties}
    assert paid == {"grinding": 2**80, "looking": 2**24}
    assert not shown_in_small(verdict, BITS, unpaid=("grinding",))  # looking alone is enough
    more = verify(measure(key, ScriptedSuspect(luckiest), MemoryJournal()), looks=2**30)
    assert {penalty.name: penalty.alternatives for penalty in more.penalties}["looking"] == 2**30


def judged_as(key, match_count, method_count):
    """The verdict on the k-th method with which a suspect was questioned."""
    questions = tuple(Question(ONLY_SET, place, 1, int(place < match_count)) for place in range(QUESTIONS))
    public = key.verification_key
    return verify(Measurement(public, "x", "sha256:00", "none", "by order", questions, method_count))


def test_method_after_method_on_one_suspect_wins_at_most_half_as_much_again_as_the_first():
    key, journal, methods, bits = noise_key("methods", QUESTIONS), MemoryJournal(), 12, 6
    for number in range(methods):  # the journal counts them, whatever it is that differs
        suspect = constant(0, QUESTIONS)
        suspect.preprocessing = f"choice {number}"
        assert measure(key, suspect, journal).method_count == number + 1
    assert measure(key, suspect, journal, method=Method(FIXED, SPLIT)).method_count == methods + 1

    limits = [Fraction(1, 2**bits * (k * (k + 1) if k > 1 else 1)) for k in range(1, methods + 1)]
    needed = [fewest_matches(QUESTIONS, TENTH, limit) for limit in limits]
    for k, count in enumerate(needed, 1):
        assert shown_in_small(judged_as(key, count, k), bits)
        assert not shown_in_small(judged_as(key, count - 1, k), bits)

    # The worst case: every method sees other answers. He stops at the first that succeeds.
    claimants = 20_000
    counts = np.random.default_rng(1).binomial(QUESTIONS, 0.1, (claimants, methods))
    unpaid = int((counts >= needed[0]).any(1).sum())
    paid = int((counts >= np.array(needed)).any(1).sum())
    assert_exceeds(unpaid, claimants, 5 * Fraction(1, 2**bits) / 2)
    assert_within(paid, claimants, Fraction(3, 2) / 2**bits)
    assert sum(match_tail(QUESTIONS, count, TENTH) for count in needed) <= Fraction(3, 2) / 2**bits


# When to stop, when to begin again.

RUN, RUNS, ONCE_IN = 100, 20_000, 32


def test_peeking_after_every_question_multiplies_false_alarms_and_the_sequential_test_does_not():
    matches = (np.random.default_rng(2).random((RUNS, RUN)) < 0.1).cumsum(1)  # (runs, questions)
    limit = Fraction(1, ONCE_IN)
    fixed = [fewest_matches(count, TENTH, limit) or RUN + 1 for count in range(1, RUN + 1)]
    ours = [fewest_matches_in_sequence(count, TENTH, 1 / limit) or RUN + 1 for count in range(1, RUN + 1)]
    at_the_end = int((matches[:, -1] >= fixed[-1]).sum())
    peeked = (matches >= np.array(fixed)).any(1)
    sequential = (matches >= np.array(ours)).any(1)
    assert_within(at_the_end, RUNS, limit)
    assert_exceeds(int(peeked.sum()), RUNS, 3 * limit)
    assert_within(int(sequential.sum()), RUNS, limit)

    # Whoever also begins anew with every hundred questions, and forgets the old ones, has as many tries.
    begun_anew = sequential.reshape(-1, 10).any(1)
    assert_exceeds(int(begun_anew.sum()), len(begun_anew), 2 * limit)

    # The table of thresholds is the process itself.
    for run in np.flatnonzero(sequential)[:3].tolist() + np.flatnonzero(~sequential)[:3].tolist():
        fortune = EProcess()
        for payoff in np.diff(matches[run], prepend=0).tolist():
            fortune.add(Fraction(10 * payoff))
        assert (fortune.best >= ONCE_IN) == sequential[run]


def test_one_process_over_all_restarts_is_what_the_journal_makes_of_ten_hasty_ones(new_journal):
    """He ends the program whenever a run looks hopeless, and starts it again: it goes on where it was."""
    key = noise_key("restarts", 60)
    journal, runs, whole = new_journal(key), 0, None
    api = RandomApi(3, is_remote=True)
    labels = expected_answers(key)

    def hopeless(asked_so_far):
        fresh = len(api.given) - began
        if fresh >= 5 and agreement(api.given[-5:], labels[asked_so_far - 5 : asked_so_far]) == 0:
            raise KeyboardInterrupt

    while whole is None:
        runs, began = runs + 1, len(api.given)
        try:
            whole = measure(key, api, journal, method=Method(SEQUENTIAL), on_answer=hopeless)
        except KeyboardInterrupt:
            continue
    assert runs >= 5
    assert len(api.given) == whole.question_count == 60
    assert whole.match_count == agreement(api.given, labels)
    uninterrupted = measure(
        key, ScriptedSuspect(iterated(api.given)), MemoryJournal(), method=Method(SEQUENTIAL)
    )
    assert verify(whole).tail == verify(uninterrupted).tail


def iterated(answers):
    left = iter(answers)
    return lambda inputs: [next(left) for _ in inputs]


# In which order.


def test_whoever_chooses_the_order_puts_the_lucky_ones_first(monkeypatch):
    """A model that always says 3 matches about 51 of 512: asked first, they are more than a verdict needs."""
    key, model = noise_key("reordering", 512), ScriptedSuspect(lambda inputs: [3] * len(inputs))
    labels = key.labels(ONLY_SET)
    lucky_first = tuple(sorted(range(512), key=lambda place: labels[place] != 3))

    def judged():
        measured = measure(key, model, MemoryJournal(), method=Method(SEQUENTIAL), stop_at=evidence_needed)
        return verify(measured)

    with monkeypatch.context() as without:
        without.setattr(VerificationKey, "order", lambda self, set_id: lucky_first)
        won = judged()
    assert won.owned
    assert won.measurement.match_count == won.measurement.question_count < labels.count(3)
    lost = judged()
    assert lost.measurement.question_count == 512
    assert lost.measurement.match_count == labels.count(3)
    assert not lost.owned
    assert not is_owned(lost.tail, (), BITS)
    # He cannot ask them in another order by keeping them in another order: the places are committed to.
    moved = [key.triggers[ONLY_SET][place] for place in lucky_first]
    with pytest.raises(VerificationError, match="step 2"):
        measure(replace(key, triggers={ONLY_SET: tuple(moved)}), model, MemoryJournal())


def test_rows_of_recorded_answers_are_read_by_name_and_renumbered_once_at_most(new_journal):
    """Whoever gives the answers other numbers makes nearly every one a match; the first table counts."""
    key, journal = noise_key("renumbering", 100), new_journal(noise_key("renumbering", 100))
    public, name = key.verification_key, questions_id(key.transcript.root, ONLY_SET)
    journal.expose(ONLY_SET, "a shop", name, public.set_ids)
    labels, names = expected_answers(key), question_names(name, 100)
    said = np.random.default_rng(6).integers(0, 10, 100).tolist()  # what the suspect answered, in order

    def table(answers, rows=range(100)):
        lines = ["question,answer", *(f"{names[row]},{answers[row]}" for row in rows)]
        return read_answers(("\n".join(lines) + "\n").encode(), public)

    left = {label: said.count(label) for label in range(10)}
    renumbered = []
    for label in labels:  # the same hundred answers, each beside a question that it suits
        suits = label if left[label] else max(left, key=left.__getitem__)
        left[suits] -= 1
        renumbered.append(suits)
    assert sorted(renumbered) == sorted(said)

    def judged(answers, **attested):
        suspect = RecordedSuspect(answers.texts, DIGITS, "answers", f"answers:{name}")
        return verify(measure(key, suspect, MemoryJournal()), recorded_by="answers.csv", **attested)

    won = judged(table(renumbered), attested_by="Mallory")
    assert won.measurement.match_count >= 69
    assert won.owned  # of a table that nobody compares with the first one, on somebody's word
    first = table(said)
    journal.record_answers(name, first.digest)
    assert not judged(first, attested_by="Mallory").owned
    # Lines in another order, lucky ones on top, are the same table.
    lucky_on_top = sorted(range(100), key=lambda row: said[row] != labels[row])
    assert table(said, lucky_on_top) == first
    journal.record_answers(name, table(said, lucky_on_top).digest)
    with pytest.raises(JournalError, match="answers"):
        journal.record_answers(name, table(renumbered).digest)


# An API that answers otherwise the next time.


def test_the_best_of_many_runs_of_a_random_api_is_the_first_run(new_journal):
    key = noise_key("best of many", 50)
    labels = expected_answers(key)
    forgetful = RandomApi(4, is_remote=False)
    best = max(measure(key, forgetful, MemoryJournal()).match_count for _ in range(200))
    assert is_owned(match_tail(50, best, TENTH), (), 6)  # unpaid: one in 64, and he has it for sure
    api, journal = RandomApi(4, is_remote=True), new_journal(key)
    counts = {measure(key, api, journal).match_count for _ in range(5)}
    assert counts == {agreement(api.given, labels)}
    assert len(api.given) == 50
    assert not is_owned(match_tail(50, counts.pop(), TENTH), (), 6)


def test_an_answer_that_displeases_is_a_question_used_up(new_journal):
    """He kills the program when the answer is not the label. Left out, only matches would remain."""
    key = noise_key("killing", 60)
    wanted = {
        trigger.canonical_bytes: label
        for trigger, label in zip(key.triggers[ONLY_SET], key.labels(ONLY_SET), strict=True)
    }
    api = RandomApi(
        5, is_remote=True, is_displeased=lambda answer, value: answer != wanted[IMAGE.encode(value)]
    )
    journal, deaths, measured = new_journal(key), 0, None
    while measured is None:
        try:
            measured = measure(key, api, journal)
        except KeyboardInterrupt:
            deaths += 1
    assert deaths == measured.miss_counts[Miss.ERROR] == 60 - measured.match_count
    answered = [question for question in measured.questions if question.answer is not Miss.ERROR]
    assert all(question.matches for question in answered)
    assert match_tail(len(answered), len(answered), TENTH) < Fraction(1, 2**BITS)  # without the rule
    assert verify(measured).tail == match_tail(60, measured.match_count, TENTH) > Fraction(1, 2**BITS)
    assert measured.method_count == 1
    assert len(api.given) == 60
