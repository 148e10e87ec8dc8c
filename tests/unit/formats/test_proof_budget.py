"""So many proofs and no more: counted over all models, under the journal's lock, before anything is tried."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier

import pytest

from earmark.errors import JournalError
from earmark.formats.journal_v1 import Journal
from vectors.tiny_key import tiny_key

ROOT = tiny_key().verification_key.transcript.root
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def opened(path):
    return Journal(path, ROOT, lambda: NOON)


@pytest.fixture
def path(tmp_path):
    Journal.create(tmp_path / "acme.journal", ROOT)
    return tmp_path / "acme.journal"


def proof(number):
    return {"statistic": "ownership-proof", "statement": f"{number:064x}"}


def test_it_is_counted_over_all_models_and_by_whoever_opens_the_journal_next(path):
    assert opened(path).record_within("sha256:00", proof(0), 2) == 1
    assert opened(path).record_within("sha256:11", proof(1), 2) == 2
    with pytest.raises(JournalError, match="shows 2 of .* budget is 2"):
        opened(path).record_within("sha256:22", proof(2), 2)
    assert opened(path).record_within("sha256:22", proof(2), 3) == 3


def test_what_is_refused_leaves_the_journal_as_it_was(path):
    opened(path).record_within("sha256:00", proof(0), 1)
    before = path.read_bytes()
    with pytest.raises(JournalError):
        opened(path).record_within("sha256:00", proof(1), 1)
    assert path.read_bytes() == before


def test_the_same_again_is_free_and_not_written(path):
    """It has the same answer, so nobody learns anything by it."""
    opened(path).record_within("sha256:00", proof(0), 1)
    before = path.read_bytes()
    assert opened(path).record_within("sha256:00", proof(0), 1) == 1
    assert path.read_bytes() == before


def test_the_same_statement_of_another_model_is_not_the_same(path):
    opened(path).record_within("sha256:00", proof(0), 1)
    with pytest.raises(JournalError, match="budget"):
        opened(path).record_within("sha256:11", proof(0), 1)


def test_other_methods_cost_nothing_of_it(path):
    journal = opened(path)
    for number in range(5):
        journal.record_method("sha256:00", {"statistic": "fixed", "number": number})
    assert journal.record_within("sha256:00", proof(0), 1) == 1
    assert journal.method_count("ownership-proof") == 1
    assert journal.record_method("sha256:00", {"statistic": "fixed", "number": 9}) == 7


def test_a_budget_of_nothing_is_a_callers_mistake(path):
    with pytest.raises(ValueError, match="at least 1"):
        opened(path).record_within("sha256:00", proof(0), 0)


def test_of_many_that_come_at_once_no_more_get_through(path):
    """Whoever counts first and writes later lets all of them through."""
    many, budget = 12, 3
    start = Barrier(many)

    def tries(number):
        journal = opened(path)
        start.wait()
        try:
            return journal.record_within(f"sha256:{number:02d}", proof(number), budget)
        except JournalError as error:
            assert "budget" in str(error) or "another process" in str(error)  # noqa: PT017 - either refuses
            return None

    with ThreadPoolExecutor(many) as pool:
        counts = sorted(count for count in pool.map(tries, range(many)) if count is not None)
    assert counts == [1, 2, 3]
    assert opened(path).method_count("ownership-proof") == budget
