"""Files made to hurt whoever opens them, and journals made to hide what happened. One dial each."""

import json
import os
import signal
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import pytest

import earmark
from earmark.commitment.canonical import canonical_json
from earmark.errors import EarmarkError, FormatError, JournalError
from earmark.files import write_new
from earmark.formats import (
    answers_v1,
    envelope,
    inspection,
    journal_lines_v1,
    marking_key_v1,
    owner_key_v1,
    verification_key_v1,
)
from earmark.formats.journal_v1 import Journal
from vectors.tiny_key import tiny_key

KEY = tiny_key()
PUBLIC = KEY.verification_key
ROOT = KEY.transcript.root
READERS = {
    "verification key": verification_key_v1.read,
    "marking key": lambda data: marking_key_v1.read(data, "pass"),
    "owner key": lambda data: owner_key_v1.read(data, "pass"),
    "journal": journal_lines_v1.read,
    "answers": lambda data: answers_v1.read(data, PUBLIC),
    "inspection": inspection.describe,
}
GOOD = {
    "verification key": verification_key_v1.write(PUBLIC),
    "header": envelope.seal(marking_key_v1.FORMAT, {}, b"", "pass", TESTING_ONLY_scrypt_n=2).partition(b"\n")[
        0
    ],
    "journal": journal_lines_v1.first_line(ROOT),
}
BOMBS = {
    "open brackets": b"[" * 1_000_000,
    "open objects": b'{"a":' * 200_000,
    "closed brackets": b"[" * 100_000 + b"]" * 100_000,
    "just below the parser's limit": b"[" * 900 + b"]" * 900,
    "a number of a million digits": b"9" * 1_000_000,
    "a number above 2^53": b"9007199254740993",
    "a float": b"1.0",
    "an exponent": b"1e5",
    "infinity": b"Infinity",
    "NaN": b"NaN",
    "minus zero": b"-0",
    "half a surrogate": b'"\\ud800"',
    "an overlong encoding": b'"\xc0\xaf"',
    "a zero byte": b'"\x00"',
    "nothing": b"",
}


def bombs():
    for where, good in GOOD.items():
        for name, bomb in BOMBS.items():
            yield pytest.param(b'{"format":' + bomb + b"}\n", id=f"{name} as the format of a {where}")
            yield pytest.param(
                good.rstrip(b"\n")[:-1] + b',"zzz":' + bomb + b"}\n", id=f"{name} in a {where}"
            )


@pytest.mark.parametrize("data", list(bombs()))
def test_no_bomb_goes_off_in_any_reader(data):
    for read in READERS.values():
        with pytest.raises((FormatError, JournalError)) as caught:
            read(data)
        message = str(caught.value)
        assert "\n" not in message
        assert len(message) < 500


@pytest.mark.parametrize("depth", [1, 8, 60, 61, 62, 63, 64, 65, 100, 300, 330, 450, 900, 990])
def test_no_depth_of_nesting_parses_and_then_overflows(depth):
    good = GOOD["verification key"]
    data = good.replace(
        b'"preprocessing":null', b'"preprocessing":' + b'{"a":' * depth + b"{}" + b"}" * depth
    )
    assert data != good
    for read in (verification_key_v1.read, inspection.describe):
        with pytest.raises(EarmarkError):
            read(data)


def test_a_field_given_twice_is_refused():
    signature = b'"signature":"' + PUBLIC.signature.hex().encode() + b'",'
    twice = GOOD["verification key"].replace(signature, signature * 2)
    assert json.loads(twice) == json.loads(GOOD["verification key"]), "most parsers take one of the two"
    with pytest.raises(FormatError, match="canonical"):
        verification_key_v1.read(twice)


def test_a_scrypt_bomb_costs_nothing():
    line = canonical_json(
        {
            "format": owner_key_v1.FORMAT,
            "about": {},
            "kdf": {"name": "scrypt", "n": 1 << 20, "r": 32, "p": 16, "salt": "00" * 32},
            "cipher": {"name": "chacha20-poly1305", "nonce": "00" * 12},
        }
    )
    start = time.monotonic()
    for read in (READERS["owner key"], inspection.describe):
        with pytest.raises(FormatError, match="cost more than 512 MiB"):
            read(line + b"\n" + bytes(100))
    assert time.monotonic() - start < 1


def test_a_table_of_many_tiny_cells_stays_within_memory():
    tracemalloc.start()
    with pytest.raises(FormatError):
        answers_v1.read(b"question,answer\n" + b"," * (1 << 20), PUBLIC)
    assert tracemalloc.get_traced_memory()[1] < 200 << 20
    tracemalloc.stop()


def test_a_pirate_cannot_put_his_name_on_the_owners_file():
    value = json.loads(GOOD["verification key"])
    pirate = tiny_key("pirate").transcript.owner
    value["transcript"]["owner"] = {**value["transcript"]["owner"], "name": "The pirate"}
    with pytest.raises(EarmarkError, match="signature"):
        verification_key_v1.read(canonical_json(value) + b"\n")
    assert pirate.public_key == PUBLIC.transcript.owner.public_key


def test_an_envelope_of_one_kind_is_not_opened_as_another():
    data = marking_key_v1.write(KEY, "pass", TESTING_ONLY_scrypt_n=2)
    line, _, rest = data.partition(b"\n")
    renamed = line.replace(marking_key_v1.FORMAT.encode(), owner_key_v1.FORMAT.encode()) + b"\n" + rest
    with pytest.raises(FormatError):
        owner_key_v1.read(renamed, "pass")


# An owner, or whoever sits at his machine, who would like the journal to say something else.


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "acme.journal"
    Journal.create(path, ROOT)
    journal = Journal(path, ROOT)
    for number in range(3):
        journal.record_method("sha256:00", {"preprocessing": f"choice {number}"})
    journal.expose(PUBLIC.set_ids[0], "a holder", "0" * 12, PUBLIC.set_ids)
    return path


def edited(path, change):
    lines = path.read_bytes().splitlines(keepends=True)
    change(lines)
    path.write_bytes(b"".join(lines))


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: lines.pop(1),
        lambda lines: lines.pop(2),
        lambda lines: lines.insert(2, lines[1]),
        lambda lines: lines.append(lines[-1]),
        lambda lines: lines.reverse(),
        lambda lines: lines.__setitem__(slice(2, 4), [lines[3], lines[2]]),
        lambda lines: lines.__setitem__(2, lines[2].replace(b"choice 1", b"choice 9")),
        lambda lines: lines.__setitem__(2, lines[2].replace(b"Z", b"z")),
        lambda lines: lines.__setitem__(2, b"\n"),
        lambda lines: lines.insert(1, b"\n"),
        lambda lines: lines.append(b"\n"),
    ],
)
def test_a_tried_method_or_a_shown_set_cannot_be_edited_away(path, change):
    edited(path, change)
    with pytest.raises(JournalError):
        Journal(path, ROOT)


def test_every_altered_bit_of_a_journal_is_noticed_except_in_its_last_line(path):
    data = path.read_bytes()
    last = data[:-1].rfind(b"\n") + 1
    for place in range(last):
        altered = data[:place] + bytes([data[place] ^ 1 << place % 8]) + data[place + 1 :]
        with pytest.raises((JournalError, FormatError)):
            journal_lines_v1.read(altered)


def test_removing_the_last_entries_is_not_noticed_by_the_file_but_contradicts_the_head(path):
    """What the page says is not covered: the head in an earlier report is the witness."""
    head = Journal(path, ROOT).head
    edited(path, lambda lines: lines.pop())
    assert Journal(path, ROOT).head != head


def test_every_truncation_is_refused_or_a_journal_that_once_was(path):
    data = path.read_bytes()
    for size in range(len(data)):
        part = data[:size]
        try:
            journal_lines_v1.read(part)
        except JournalError:
            assert not part.endswith(b"\n")
        else:
            assert part.endswith(b"\n")


# Several processes, and processes that die.


def child(code, *arguments):
    source = Path(earmark.__file__).parents[1]
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(source)},
        stdout=subprocess.PIPE,
        text=True,
    )


APPEND = """
import sys
from pathlib import Path
from earmark.formats.journal_v1 import Journal
journal = Journal(Path(sys.argv[1]), bytes.fromhex(sys.argv[2]))
for number in range(int(sys.argv[4])):
    journal.record_method(sys.argv[3], {"number": number})
    print(number, flush=True)
"""

EXPOSE = """
import sys
from pathlib import Path
from earmark.errors import JournalError
from earmark.formats.journal_v1 import Journal
from earmark.keys import SetId
journal = Journal(Path(sys.argv[1]), bytes.fromhex(sys.argv[2]))
try:
    journal.expose(SetId(0, 1), sys.argv[3], sys.argv[4], [SetId(0, 0), SetId(0, 1)])
    print("exposed")
except JournalError:
    print("refused")
"""


def test_processes_that_append_at_once_keep_the_chain(path):
    children = [child(APPEND, path, ROOT.hex(), f"sha256:{number}", 25) for number in range(3)]
    assert [process.communicate(timeout=60)[0].count("\n") for process in children] == [25] * 3
    contents = journal_lines_v1.read(path.read_bytes())
    assert len(contents.entries) == 4 + 75
    assert Journal(path, ROOT).record_method("sha256:1", {"number": 25}) == 26


def test_two_processes_cannot_expose_the_same_set(path):
    children = [child(EXPOSE, path, ROOT.hex(), "a holder", f"{number:012}") for number in (1, 2)]
    assert sorted(process.communicate(timeout=60)[0].strip() for process in children) == [
        "exposed",
        "refused",
    ]


@pytest.mark.parametrize("entries", [1, 5, 20])
def test_a_process_that_is_killed_leaves_a_journal_with_all_that_it_had_reported(path, entries):
    process = child(APPEND, path, ROOT.hex(), "sha256:killed", 100_000)
    reported = [process.stdout.readline() for _ in range(entries)]
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=60)
    reported += process.stdout.readlines()
    process.stdout.close()
    if not path.read_bytes().endswith(b"\n"):  # hardly ever: killed in the middle of the line
        with pytest.raises(JournalError, match="is cut off"):
            Journal(path, ROOT)
        return
    written = len(journal_lines_v1.read(path.read_bytes()).entries) - 4
    assert len(reported) <= written <= len(reported) + 1
    assert Journal(path, ROOT).record_method("sha256:after", {}) == 1, "and the lock died with it"


WRITE = """
import os, sys
from pathlib import Path
from earmark.files import SECRET_MODE, write_new
real = os.fsync
def fsync(descriptor):
    print("now", flush=True)
    sys.stdin.read()
os.fsync = fsync
write_new(Path(sys.argv[1]), b"secret", SECRET_MODE)
"""


def test_a_process_killed_while_it_writes_a_key_leaves_no_key(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", WRITE, str(tmp_path / "acme.key")],
        env={**os.environ, "PYTHONPATH": str(Path(earmark.__file__).parents[1])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:
        assert process.stdout.readline() == b"now\n"
        process.send_signal(signal.SIGKILL)
    assert not (tmp_path / "acme.key").exists()
    write_new(tmp_path / "acme.key", b"another try")
