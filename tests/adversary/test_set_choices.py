"""A forger with many sets would like to leave out those in which his suspect did badly.

Sets of a single trigger make the dial as fine as it can be: whoever may choose among them chooses the matches.
"""

from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from math import comb

import numpy as np
import pytest
from scipy.stats import binom

from adversary.forger import assert_exceeds, assert_within, expected_answers, noise_key
from earmark.errors import JournalError, VerificationError
from earmark.formats.answers_v1 import questions_id
from earmark.formats.journal_v1 import Journal
from earmark.keys import SetId
from earmark.statistics import is_owned, match_tail
from earmark.verification import Measurement, measure, penalties, verify
from small import MemoryJournal, ScriptedSuspect

CLASSES = tuple("abcdefgh")
CHANCE = Fraction(1, 8)
KEY = noise_key("many sets", 1, sets=480, classes=CLASSES, shape=(2, 2, 1))
PUBLIC = KEY.verification_key
SETS = PUBLIC.set_ids
LUCKY = tuple(set_id for set_id in SETS if expected_answers(KEY, set_id) == [3])


def always_d(**options):
    return ScriptedSuspect(lambda inputs: [3] * len(inputs), CLASSES, 8, **options)


@pytest.fixture
def journal(tmp_path):
    path = tmp_path / "key.journal"
    Journal.create(path, KEY.transcript.root)
    return Journal(path, KEY.transcript.root, lambda: datetime(2026, 1, 1, tzinfo=UTC))


def test_the_lucky_sets_alone_would_pass_for_anything():
    """What is there to win: a constant model, and about an eighth of the sets, all of which match."""
    lucky = verify(measure(KEY, always_d(), MemoryJournal(), set_ids=LUCKY))
    assert lucky.measurement.match_count == lucky.measurement.question_count == len(LUCKY)
    without_the_rule = tuple(penalty for penalty in lucky.penalties if penalty.name != "sets")
    assert is_owned(lucky.tail, without_the_rule)
    assert not lucky.owned, "so many runs of sets are paid for"
    honest = verify(measure(KEY, always_d(), MemoryJournal()))
    assert honest.measurement.question_count == len(SETS)
    assert not is_owned(honest.tail, (), 20)


def test_the_journal_refuses_to_skip_an_unlucky_set(journal):
    first_lucky = next(set_id for set_id in LUCKY if set_id != SETS[0])
    with pytest.raises(JournalError, match="sets are used in order"):
        journal.show_set(first_lucky, "https://api.test", SETS)
    with pytest.raises(JournalError, match="sets are used in order"):
        journal.expose(first_lucky, "Bob", questions_id(PUBLIC.transcript.root, first_lucky), SETS)
    with pytest.raises(JournalError, match="sets are used in order"):
        journal.record_opened(first_lucky, "everybody", SETS)


def test_choosing_where_to_begin_is_one_of_as_many_tries_as_there_are_sets():
    """He shows the first sets to others until the rest looks best. Looking pays for 2^24 such choices."""
    models, limit = 5000, Fraction(1, 32)
    matches = np.random.default_rng(0).random((models, len(SETS))) < float(CHANCE)
    from_there_on = matches[:, ::-1].cumsum(1)  # (models, sets): of the last 1, 2, 3 ... sets
    best = binom.sf(from_there_on - 1, np.arange(1, len(SETS) + 1), float(CHANCE)).min(1)
    assert_exceeds(int((best <= limit).sum()), models, 4 * limit)
    assert_within(int((best * len(SETS) <= limit).sum()), models, limit)
    # The real thing for one of them.
    begun = LUCKY[-2].number
    verdict = verify(measure(KEY, always_d(), MemoryJournal(exposed=SETS[:begun])))
    assert verdict.measurement.question_count == len(SETS) - begun
    assert verdict.measurement.match_count == 2
    assert not verdict.owned


def test_what_is_paid_for_runs_of_sets_covers_every_choice_of_every_subset():
    """Not measured but counted: ten sets, all 2^10 outcomes, and for each the best of all 2^10 - 1 subsets."""
    key = noise_key("ten sets", 1, sets=10)
    public, chance, limit = key.verification_key, Fraction(1, 10), Fraction(1, 16)
    subsets = np.arange(1, 1 << 10)
    ones = np.array([number.bit_count() for number in range(1 << 10)])
    sizes = ones[subsets]
    paid = np.array([float(paid_for_sets(public, int(subset))) for subset in subsets])
    tails = np.array([[float(match_tail(size, count, chance)) for count in range(11)] for size in range(11)])
    wins, wins_unpaid = Fraction(0), Fraction(0)
    for outcome in range(1 << 10):
        likelihood = chance ** outcome.bit_count() * (1 - chance) ** (10 - outcome.bit_count())
        best = tails[sizes, ones[subsets & outcome]]
        wins_unpaid += likelihood * int(best.min() <= limit)
        wins += likelihood * int((best * paid).min() <= limit)
    assert 0 < wins <= limit * 3 / 2
    assert wins_unpaid > Fraction(1, 4)


def paid_for_sets(public, subset):
    chosen = tuple(set_id for place, set_id in enumerate(public.set_ids) if subset >> place & 1)
    measured = Measurement(public, "x", "sha256:00", "none", "by order", (), 1, set_ids=chosen)
    paid = {penalty.name: penalty.alternatives for penalty in penalties(measured)}
    assert paid["looking"] == 2**24  # more than the 55 runs of ten sets; these alone are counted here
    return paid.get("sets", comb(11, 2))


def test_a_subset_of_the_sets_tried_openly_is_a_method_each_time():
    """Python callers may name sets; whoever tries several subsets on one suspect pays for every one."""
    journal = MemoryJournal()
    for count in range(1, 20):
        verdict = verify(measure(KEY, always_d(), journal, set_ids=LUCKY[:count]))
    paid = {penalty.name: penalty.alternatives for penalty in verdict.penalties}
    assert paid["methods"] == 19 * 20


def test_unlucky_sets_shown_to_a_friend_and_lucky_ones_to_the_suspect_show_no_mark(journal):
    """In order, as the journal demands; `earmark ask --to` writes any name that he likes."""
    suspect = always_d()
    for set_id in SETS:
        to = f"questioned by this program: {suspect.identity}" if set_id in LUCKY else "a friend"
        try:
            journal.expose(set_id, to, questions_id(PUBLIC.transcript.root, set_id), SETS)
        except (JournalError, ValueError):
            continue
    assert not verify(measure(KEY, suspect, journal)).owned


def test_stopping_before_every_unlucky_set_of_an_api_shows_no_mark(journal):
    """He has a copy of the model behind the API, and ends the program where the next set would miss."""
    api = always_d()
    api.is_remote, api.identity = True, "https://api.test"

    shown = 0

    def end_the_program_there(count):
        if count == shown:
            raise KeyboardInterrupt

    for set_id in SETS:
        if set_id not in LUCKY:
            journal.expose(set_id, "a friend", questions_id(PUBLIC.transcript.root, set_id), SETS)
            continue
        shown += 1
        with pytest.raises(KeyboardInterrupt):
            measure(KEY, api, journal, on_answer=end_the_program_there)
    assert not verify(measure(KEY, api, journal)).owned


def test_sets_cannot_exchange_their_triggers():
    triggers = dict(KEY.triggers)
    first, second = SetId(0, 0), SetId(0, 1)
    triggers[first], triggers[second] = triggers[second], triggers[first]
    with pytest.raises(VerificationError, match="step 2"):
        measure(replace(KEY, triggers=triggers), always_d(), MemoryJournal())
