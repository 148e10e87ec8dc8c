"""Results on the disk: what ended is there, what is not a file of results is refused."""

import sqlite3
from contextlib import closing

import pytest

pytest.importorskip("torch")

from earmark.errors import EarmarkError, FormatError
from earmark.evaluation.cells import Cell
from earmark.evaluation.driver import open_results
from earmark.evaluation.store import DONE, FAILED, Store

ONE, TWO = (Cell(name * 64, "marked", "ftal", 200, 0.2, 0) for name in "ab")


def test_what_was_recorded_is_there_when_it_is_opened_again(tmp_path):
    with Store(tmp_path / "cells.sqlite") as store:
        store.record_done(ONE, {"bits": -1.5, "seen": [1, None]})
        store.record_failed(TWO, "why", "a log")
    assert [path.name for path in tmp_path.iterdir()] == [
        "cells.sqlite"
    ]  # no second file that a copy could lack
    with Store(tmp_path / "cells.sqlite") as store:
        found = store.records([ONE, TWO])
        assert (found[ONE.id].state, found[ONE.id].result) == (DONE, {"bits": -1.5, "seen": [1, None]})
        assert (found[TWO.id].state, found[TWO.id].message, found[TWO.id].log) == (FAILED, "why", "a log")
        assert store.records([TWO]).keys() == {TWO.id}
        store.record_done(TWO, {})
        assert store.records([TWO])[TWO.id].state == DONE


def test_a_number_that_is_none_is_never_written(tmp_path):
    with Store(tmp_path / "cells.sqlite") as store:
        with pytest.raises(ValueError, match="JSON"):
            store.record_done(ONE, {"bits": float("nan")})
        assert store.records([ONE]) == {}


@pytest.mark.parametrize(
    "content", [b"not a database, but long enough to be read as one" * 100, b"SQLite format 3\0"]
)
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "cells.sqlite"
    path.write_bytes(content)
    with pytest.raises(EarmarkError):
        Store(path)
    assert path.read_bytes() == content


def test_another_database_is_refused_and_left_as_it_is(tmp_path):
    path = tmp_path / "cells.sqlite"
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE cells (id TEXT)")
        other.commit()
    before = path.read_bytes()
    with pytest.raises(FormatError, match="not a file of results"):
        Store(path)
    assert path.read_bytes() == before


def test_a_result_that_somebody_broke_is_refused(tmp_path):
    path = tmp_path / "cells.sqlite"
    with Store(path) as store:
        store.record_done(ONE, {})
    with closing(sqlite3.connect(path)) as other:
        other.execute("UPDATE cells SET result = '{'")
        other.commit()
    with Store(path) as store, pytest.raises(FormatError, match="not JSON"):
        store.records([ONE])


def test_a_disk_without_room_is_an_error_of_the_world_and_loses_nothing(tmp_path):
    with Store(tmp_path / "cells.sqlite") as store:
        store.record_done(ONE, {"kept": 1})
        pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
        store._connection.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(EarmarkError, match="full"):
            store.record_failed(TWO, "why", "x" * 100_000)
        assert store.records([ONE, TWO])[ONE.id].result == {"kept": 1}
        assert TWO.id not in store.records([ONE, TWO])


def test_one_driver_at_a_time_and_results_only_with_resume(tmp_path):
    with (
        open_results(tmp_path / "r", resume=False),
        pytest.raises(EarmarkError, match="another"),
        open_results(tmp_path / "r", resume=True),
    ):
        pass
    with pytest.raises(EarmarkError, match="--resume"), open_results(tmp_path / "r", resume=False):
        pass
    with open_results(tmp_path / "r", resume=True) as store:
        assert store.records([ONE]) == {}
