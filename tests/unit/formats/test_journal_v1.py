import errno
import fcntl
import json
import os
import stat
from datetime import UTC, datetime, timedelta, timezone

import pytest
from filelock import FileLock

from earmark.commitment import digest
from earmark.commitment.canonical import canonical_json
from earmark.errors import EarmarkError, JournalError, UnsupportedVersionError
from earmark.formats import journal_lines_v1
from earmark.formats.answers_v1 import questions_id
from earmark.formats.journal_v1 import Journal
from earmark.keys import SetId
from earmark.suspects import Miss
from earmark.verification import Reply
from vectors.tiny_key import tiny_key

KEY = tiny_key().verification_key
ROOT = KEY.transcript.root
SETS = KEY.set_ids
FIRST, SECOND, THIRD = SETS
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
METHOD = {"statistic": "fixed", "sets": [[0, 0]], "preprocessing": "none", "label_map": "by name"}
IDS = ("000000000001", "000000000002", "000000000003")
DIGEST = "ab" * 32


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "acme.journal"
    Journal.create(path, ROOT)
    return path


@pytest.fixture
def journal(path):
    return Journal(path, ROOT, lambda: NOON)


def chained(*entries, first=None, **common):
    """A journal whose chain holds, whatever its entries say."""
    line = first or canonical_json({"format": "earmark/journal/v1", "root": ROOT.hex()})
    lines = [line]
    for number, fields in enumerate(entries, 1):
        value = {
            "entry": number,
            "previous": digest("earmark/journal-entry/v1", lines[-1]).hex(),
            "time": "2026-01-31T12:00:00Z",
            **common,
            **fields,
        }
        lines.append(json.dumps(value, sort_keys=True, separators=(",", ":")).encode())
    return b"".join(line + b"\n" for line in lines)


def exposed(place=(0, 0), questions=IDS[0], to="a holder"):
    return {"kind": "exposed", "set": list(place), "to": to, "questions": questions}


def answered(questions=IDS[0], value=DIGEST):
    return {"kind": "answers", "questions": questions, "digest": value}


# Making and opening


def test_a_new_journal_says_whose_it_is_and_nothing_else(path, journal):
    assert path.read_bytes() == canonical_json({"format": "earmark/journal/v1", "root": ROOT.hex()}) + b"\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert journal.exposed_sets() == frozenset()
    assert journal.head[0] == 0


def test_a_journal_is_never_made_anew_over_another(path):
    with pytest.raises(EarmarkError, match="exists already"):
        Journal.create(path, ROOT)


def test_a_missing_journal_is_refused_and_not_made(tmp_path):
    with pytest.raises(JournalError, match="is missing.*never made anew: restore it"):
        Journal(tmp_path / "acme.journal", ROOT)
    assert list(tmp_path.iterdir()) == []


def test_a_journal_that_disappears_while_it_is_used_is_refused(path, journal):
    path.unlink()
    with pytest.raises(JournalError, match="is missing"):
        journal.record_method("sha256:00", METHOD)


def test_the_journal_of_another_key_is_refused(path):
    with pytest.raises(JournalError, match="belongs to another key"):
        Journal(path, bytes(32))


def test_a_folder_or_an_endless_file_in_place_of_a_journal_is_refused(tmp_path, monkeypatch):
    with pytest.raises(JournalError, match="is a folder"):
        Journal(tmp_path, ROOT)
    monkeypatch.setattr(journal_lines_v1, "SIZE_LIMIT_BYTES", 10)
    (tmp_path / "long").write_bytes(chained())
    with pytest.raises(JournalError, match="larger than"):
        Journal(tmp_path / "long", ROOT)
    with pytest.raises(JournalError, match="the journal is larger than"):
        journal_lines_v1.read(chained())


def test_without_another_clock_the_system_says_the_time(path):
    Journal(path, ROOT).record_method("sha256:00", METHOD)
    said = datetime.fromisoformat(json.loads(path.read_bytes().splitlines()[1])["time"])
    assert abs(datetime.now(UTC) - said) < timedelta(minutes=1)


# Methods


def test_methods_are_counted_for_each_suspect_and_the_same_one_once(path, journal):
    assert journal.record_method("sha256:00", METHOD) == 1
    assert journal.record_method("sha256:00", METHOD) == 1
    assert journal.record_method("sha256:00", METHOD | {"statistic": "sequential"}) == 2
    assert journal.record_method("sha256:00", dict(reversed(METHOD.items()))) == 2, "still the two"
    assert journal.record_method("sha256:11", METHOD) == 1
    assert len(path.read_bytes().splitlines()) == 1 + 3


def test_methods_are_remembered_by_the_next_process(path, journal):
    journal.record_method("sha256:00", METHOD)
    again = Journal(path, ROOT, lambda: NOON)
    assert again.record_method("sha256:00", METHOD | {"sets": [[0, 1]]}) == 2


@pytest.mark.parametrize(
    ("suspect", "method"),
    [
        ("", METHOD),
        ("x" * 1001, METHOD),
        ("s", {"temperature": 0.5}),
        ("s", {"text": "x" * 70_000}),
        ("s", {"text": "x" * 200_000}),
        ("\ud800", METHOD),
    ],
)
def test_what_a_reader_would_refuse_is_a_mistake_of_the_caller_and_not_written(
    path, journal, suspect, method
):
    before = path.read_bytes()
    with pytest.raises(ValueError, match="."):
        journal.record_method(suspect, method)
    assert path.read_bytes() == before


# Sets


def test_sets_are_exposed_in_order_and_once(journal):
    assert journal.next_set(SETS) == FIRST
    journal.expose(FIRST, "a holder", IDS[0], SETS)
    assert journal.next_set(SETS) == SECOND
    assert journal.exposed_sets() == {FIRST}
    with pytest.raises(JournalError, match="was exposed or opened before"):
        journal.expose(FIRST, "a holder", IDS[1], SETS)
    with pytest.raises(JournalError, match="set 1 of stratum 0 comes before set 0 of stratum 1"):
        journal.expose(THIRD, "a holder", IDS[2], SETS)
    journal.expose(SECOND, "another", IDS[1], SETS)
    journal.expose(THIRD, "another", IDS[2], SETS)
    with pytest.raises(JournalError, match="none is left"):
        journal.next_set(SETS)


def test_an_opened_set_counts_as_exposed_and_cannot_be_asked_any_more(journal):
    journal.record_opened(FIRST, "the court", SETS)
    assert journal.exposed_sets() == {FIRST}
    with pytest.raises(JournalError, match="was exposed or opened before"):
        journal.expose(FIRST, "a holder", IDS[0], SETS)


def test_an_exposed_set_may_be_opened_and_opened_to_others(journal):
    journal.expose(FIRST, "a holder", IDS[0], SETS)
    journal.record_opened(FIRST, "the court", SETS)
    journal.record_opened(FIRST, "the press", SETS)
    assert journal.exposed_sets() == {FIRST}


def test_sets_are_opened_in_order_too(journal):
    with pytest.raises(JournalError, match="sets are used in order"):
        journal.record_opened(SECOND, "the court", SETS)


def test_the_last_set_may_be_opened_when_all_were_used(journal):
    for set_id, name in zip(SETS, IDS, strict=True):
        journal.expose(set_id, "a holder", name, SETS)
    journal.record_opened(THIRD, "the court", SETS)
    assert journal.head[0] == 4


def test_a_set_that_the_key_does_not_have_is_refused(journal):
    with pytest.raises(JournalError, match="the key has no set 7 of stratum 0"):
        journal.expose(SetId(0, 7), "a holder", IDS[0], SETS)


def test_one_questions_id_stands_for_one_set(journal):
    journal.expose(FIRST, "a holder", IDS[0], SETS)
    with pytest.raises(JournalError, match="were asked before"):
        journal.expose(SECOND, "a holder", IDS[0], SETS)


@pytest.mark.parametrize(("to", "name"), [("", IDS[0]), ("x" * 1001, IDS[0]), ("a holder", "xyz"), ("a", "")])
def test_an_exposure_with_a_malformed_field_is_a_mistake_of_the_caller(journal, to, name):
    with pytest.raises(ValueError, match="cannot be recorded"):
        journal.expose(FIRST, to, name, SETS)
    assert journal.exposed_sets() == frozenset()


# Answers


def test_a_questions_id_leads_back_to_its_set(journal):
    journal.expose(FIRST, "a holder", IDS[0], SETS)
    assert journal.exposure(IDS[0]) == FIRST
    with pytest.raises(JournalError, match="never asked"):
        journal.exposure("\n" * 1000)


def test_the_first_answers_count(path, journal):
    journal.expose(FIRST, "a holder", IDS[0], SETS)
    journal.record_answers(IDS[0], DIGEST)
    before = path.read_bytes()
    journal.record_answers(IDS[0], DIGEST)
    with pytest.raises(JournalError, match="the first ones count"):
        journal.record_answers(IDS[0], "cd" * 32)
    assert path.read_bytes() == before


def test_answers_to_questions_that_were_not_asked_are_refused(journal):
    with pytest.raises(JournalError, match="never asked"):
        journal.record_answers(IDS[0], DIGEST)
    with pytest.raises(ValueError, match="cannot be recorded"):
        journal.record_answers(IDS[0], "short")


# The file


def test_the_head_binds_to_every_entry(journal):
    heads = {journal.head}
    for number in range(5):
        journal.record_method(f"sha256:{number}", METHOD)
        heads.add(journal.head)
    assert len({value for _, value in heads}) == 6
    assert max(heads)[0] == 5


def test_times_are_written_in_utc_to_the_second(path):
    there = timezone(timedelta(hours=2))
    journal = Journal(path, ROOT, lambda: datetime(2026, 1, 31, 14, 0, 0, 999_999, tzinfo=there))
    journal.record_method("sha256:00", METHOD)
    assert json.loads(path.read_bytes().splitlines()[1])["time"] == "2026-01-31T12:00:00Z"


def test_a_clock_without_a_time_zone_is_a_mistake_of_the_caller(path):
    journal = Journal(path, ROOT, lambda: datetime(2026, 1, 31))  # noqa: DTZ001 - that is the mistake
    with pytest.raises(ValueError, match="time zone"):
        journal.record_method("sha256:00", METHOD)


def test_the_page_describes_the_lines(path, journal):
    journal.expose(FIRST, "a holder", IDS[0], SETS)
    assert path.read_bytes() == chained(exposed())


@pytest.mark.parametrize(
    "entries",
    [
        [exposed(), exposed(questions=IDS[1])],
        [exposed(), exposed((0, 1))],
        [answered()],
        [exposed(), answered(), answered()],
        [exposed(), answered(), answered(value="cd" * 32)],
        [{"kind": "method", "suspect": "s", "method": {}}] * 2,
        [{"kind": "opened", "set": [0, 0], "to": "x"}, exposed()],
    ],
)
def test_a_journal_that_breaks_a_rule_is_refused_by_its_entry(path, entries):
    path.write_bytes(chained(*entries))
    with pytest.raises(JournalError, match=f"entry {len(entries)} breaks a rule"):
        Journal(path, ROOT)


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "forgiven"},
        {"kind": None},
        {},
        exposed() | {"more": 1},
        exposed((0,)),
        exposed((0, -1)),
        exposed((0, 1 << 20)),
        exposed((0, True)),
        exposed(to=""),
        exposed(to=1),
        exposed() | {"entry": 2},
        exposed() | {"entry": 0},
        exposed() | {"previous": "00" * 32},
        exposed() | {"time": "2026-02-31T12:00:00Z"},
        exposed() | {"time": "2026-01-31 12:00:00Z"},
        exposed() | {"time": "2026-01-31T12:00:00.5Z"},
        exposed() | {"time": 1},
        answered(value=""),
        answered(questions="ABCDEF012345"),
        {"kind": "method", "suspect": "s", "method": []},
        {"kind": "method", "suspect": "s", "method": {"x": "y" * 70_000}},
        {"kind": "method", "suspect": "s", "method": {"x": 0.5}},
    ],
)
def test_a_malformed_entry_is_refused_by_its_number(path, fields):
    path.write_bytes(
        chained(exposed((5, 5), IDS[2]), fields | {"entry": fields.get("entry", 2) + ("entry" in fields)})
    )
    with pytest.raises(JournalError, match="the journal's entry 2 was altered or damaged"):
        Journal(path, ROOT)


@pytest.mark.parametrize(
    "first",
    [
        b"x",
        b"[]",
        b'{"format":"earmark/journal/v1"}',
        b'{"format":"earmark/journal/v1","root":"00"}',
        canonical_json({"format": "earmark/journal/v1", "root": ROOT.hex(), "more": 1}),
        canonical_json({"format": "earmark/transcript/v1", "root": ROOT.hex()}),
    ],
)
def test_a_malformed_first_line_is_refused(path, first):
    path.write_bytes(chained(first=first))
    with pytest.raises(JournalError):
        Journal(path, ROOT)


def test_another_version_is_reported_as_such(path):
    path.write_bytes(chained(first=canonical_json({"format": "earmark/journal/v2"})))
    with pytest.raises(UnsupportedVersionError):
        Journal(path, ROOT)


def test_a_journal_cut_off_in_its_first_line_is_refused(path):
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(JournalError, match="first line is cut off"):
        Journal(path, ROOT)


# When writing fails


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()], ids=["full", "^C"]
)
@pytest.mark.parametrize("call", ["write", "fsync"])
def test_an_entry_that_cannot_be_written_leaves_the_journal_as_it_was(
    path, journal, monkeypatch, call, error
):
    before = path.read_bytes()
    real = os.write

    def fail(descriptor, *data):
        if data:
            real(descriptor, data[0][:20])
        raise error

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(JournalError if isinstance(error, OSError) else KeyboardInterrupt):
        journal.expose(FIRST, "a holder", IDS[0], SETS)
    assert path.read_bytes() == before


def test_half_a_line_is_taken_back(path, journal, monkeypatch):
    before, real = path.read_bytes(), os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:20]))
    with pytest.raises(JournalError, match="the disk is full"):
        journal.expose(FIRST, "a holder", IDS[0], SETS)
    assert path.read_bytes() == before


def test_an_entry_is_synced_before_the_method_returns(journal, monkeypatch):
    synced, real = [], os.fsync
    monkeypatch.setattr(
        os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_size) or real(descriptor)
    )
    journal.expose(FIRST, "a holder", IDS[0], SETS)
    assert synced == [journal._path.stat().st_size]


def test_a_full_journal_stays_readable(path, journal, monkeypatch):
    before = path.read_bytes()
    monkeypatch.setattr(journal_lines_v1, "SIZE_LIMIT_BYTES", len(before) + 100)
    with pytest.raises(JournalError, match="is full"):
        journal.record_method("sha256:00", METHOD)
    assert path.read_bytes() == before


def test_a_journal_that_another_process_holds_is_waited_for_and_then_refused(path, journal, monkeypatch):
    monkeypatch.setattr("earmark.formats.locking.LOCK_SECONDS", 0.1)
    with FileLock(f"{path}.lock"), pytest.raises(JournalError, match="another process uses the journal"):
        journal.exposed_sets()
    assert journal.exposed_sets() == frozenset()


@pytest.mark.parametrize("number", [errno.EROFS, errno.ENOSYS, errno.ENOLCK])
def test_a_journal_on_a_file_system_without_locks_is_refused(path, journal, monkeypatch, number):
    """As the system says it, with the library's own lock: nothing takes the lock's place."""

    def flock(descriptor, how):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(JournalError, match=f"cannot be locked.*{os.strerror(number)}"):
        journal.exposed_sets()
    monkeypatch.undo()
    assert journal.exposed_sets() == frozenset()  # and nothing is left that keeps others out


# Questions put one by one


def asked(place=0, suspect="api"):
    return {"kind": "asked", "suspect": suspect, "set": [0, 0], "place": place}


def replied(place=0, output=3, weights=None, suspect="api"):
    return {**asked(place, suspect), "kind": "replied", "output": output, "weights": weights}


def test_questions_and_answers_are_read_back(path, journal):
    journal.record_asked("api", FIRST, [5])
    assert journal.replies("api") == {(FIRST, 5): None}
    journal.record_replies("api", FIRST, {5: Reply(7, (1 << 31, 1 << 30))})
    journal.record_asked("api", FIRST, [2])
    journal.record_replies("api", FIRST, {2: Reply(Miss.REFUSED)})
    journal.record_asked("api", SECOND, [2])
    expected = {(FIRST, 5): Reply(7, (1 << 31, 1 << 30)), (FIRST, 2): Reply(Miss.REFUSED), (SECOND, 2): None}
    assert journal.replies("api") == expected
    assert Journal(path, ROOT).replies("api") == expected
    assert journal.replies("another") == {}


def test_a_question_is_put_once_and_answered_once(journal):
    with pytest.raises(JournalError, match="never put"):
        journal.record_replies("api", FIRST, {0: Reply(1)})
    journal.record_asked("api", FIRST, [0])
    with pytest.raises(JournalError, match="was put before"):
        journal.record_asked("api", FIRST, [0])
    journal.record_replies("api", FIRST, {0: Reply(1)})
    for reply in (Reply(1), Reply(2), Reply(Miss.ERROR)):
        with pytest.raises(JournalError, match="the first answers count"):
            journal.record_replies("api", FIRST, {0: reply})
    journal.record_asked("another", FIRST, [0])
    assert journal.replies("api") == {(FIRST, 0): Reply(1)}


def test_a_window_is_written_whole_and_synced_once_or_not_at_all(path, journal, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_size))
    journal.record_asked("api", FIRST, [4, 0, 2])
    assert len(synced) == 1
    before = path.read_bytes()
    with pytest.raises(JournalError, match="was put before"):
        journal.record_asked("api", FIRST, [1, 2, 3])
    with pytest.raises(JournalError, match="never put"):
        journal.record_replies("api", FIRST, {0: Reply(1), 1: Reply(2)})
    assert path.read_bytes() == before
    journal.record_replies("api", FIRST, {0: Reply(1), 2: Reply(Miss.ERROR)})
    assert synced == [len(before), path.stat().st_size]
    expected = {(FIRST, 4): None, (FIRST, 0): Reply(1), (FIRST, 2): Reply(Miss.ERROR)}
    assert journal.replies("api") == Journal(path, ROOT).replies("api") == expected


def test_a_set_is_shown_to_one_suspect_only(journal):
    journal.show_set(FIRST, "api", SETS)
    journal.show_set(FIRST, "api", SETS)
    assert journal.head[0] == 1
    assert journal.sets_shown_to("api") == journal.exposed_sets() == {FIRST}
    assert journal.sets_shown_to("another") == frozenset()
    with pytest.raises(JournalError, match="exposed or opened before"):
        journal.show_set(FIRST, "another", SETS)
    with pytest.raises(JournalError, match="comes before"):
        journal.show_set(THIRD, "another", SETS)


def test_nobody_bears_the_name_that_the_program_gives_to_its_own_questions(journal):
    with pytest.raises(ValueError, match="does not begin with"):
        journal.expose(FIRST, "questioned by this program: api", questions_id(ROOT, FIRST), SETS)
    assert journal.head[0] == 0


def test_a_set_shown_by_hand_is_not_asked_again_by_the_program(journal):
    journal.expose(FIRST, "api", questions_id(ROOT, FIRST), SETS)
    assert journal.sets_shown_to("api") == frozenset()


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([replied()], "never put"),
        ([asked(), asked()], "was put before"),
        ([asked(), replied(), replied(output=4)], "answered before"),
        ([asked(), replied(output=-1)], "neither a class nor a known reason"),
        ([asked(), replied(output="bored")], "neither a class nor a known reason"),
        ([asked(), replied(output=True)], "neither a class nor a known reason"),
        ([asked(), replied(output=1 << 16)], "neither a class nor a known reason"),
        ([asked(), replied(weights=[1 << 32, 1])], "more than 1"),
        ([asked(), replied(weights=[-1])], "not multiples"),
        ([asked(), replied(weights=[0.5])], "not multiples|canonical"),
        ([asked(), replied(weights={"0": 1})], "not multiples"),
        ([asked(place=-1)], "place"),
    ],
)
def test_a_journal_whose_questions_break_a_rule_is_refused(path, entries, message):
    path.write_bytes(chained(*entries))
    with pytest.raises(JournalError, match=message):
        Journal(path, ROOT)


def test_lines_of_other_processes_are_seen_and_changed_ones_refused(path, journal):
    other = Journal(path, ROOT, lambda: NOON)
    journal.record_asked("api", FIRST, [0])
    other.record_asked("api", FIRST, [1])
    journal.record_replies("api", FIRST, {0: Reply(4)})
    assert set(other.replies("api")) == {(FIRST, 0), (FIRST, 1)}
    path.write_bytes(path.read_bytes().replace(b'"place":1', b'"place":9'))
    with pytest.raises(JournalError, match="the chain is broken"):
        journal.record_asked("api", FIRST, [2])


def test_a_last_line_that_was_cut_off_is_named(path, journal):
    journal.record_method("sha256:00", METHOD)
    path.write_bytes(path.read_bytes() + b'{"entry":2')
    for use in (lambda: Journal(path, ROOT), journal.exposed_sets):
        with pytest.raises(JournalError, match="entry 2 is cut off"):
            use()
