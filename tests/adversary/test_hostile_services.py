"""Services made to hurt whoever questions them: they hang, lie, echo secrets, and never win by it."""

import base64
import gzip
import json
import logging
import ssl
import time
import zlib
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import numpy as np
import pytest

pytest.importorskip("httpx2")

import itertools
import os

from earmark.errors import BudgetError, SuspectError
from earmark.formats.api_record_lines_v1 import read
from earmark.formats.api_record_v1 import ApiRecord
from earmark.formats.journal_v1 import Journal
from earmark.suspects import Miss
from earmark.suspects.http import Terms
from earmark.suspects.http.inputs import input_digest
from earmark.suspects.opening import open_suspect
from earmark.verification import SEQUENTIAL, Method, evidence_needed, measure, verify
from loopback import Rude, answer
from small import DIGITS, new_key

KEY = new_key(sets=2)
PUBLIC = KEY.verification_key
SECRET = "s3cret/To+ken=42"
QUICK = {"pause_seconds": 0.001, "try_seconds": 0.4, "patience_seconds": 0.2}
GOOD = answer([{"label": "7", "score": 0.9}, {"label": "1", "score": 0.1}])
PICTURES = [np.full((8, 8, 1), value, np.uint8) for value in range(8)]


@pytest.fixture
def record(tmp_path):
    with ApiRecord(tmp_path / "key.api-record", KEY.transcript.root) as opened:
        yield opened


@pytest.fixture
def journal(tmp_path):
    Journal.create(tmp_path / "key.journal", KEY.transcript.root)
    return Journal(tmp_path / "key.journal", KEY.transcript.root)


def entries(tmp_path):
    return read((tmp_path / "key.api-record").read_bytes()).entries


def asked(script, pictures=PICTURES[:1], **terms):
    """What a rude service's suspect answers to pictures."""
    with Rude(script).served() as url:
        suspect = open_suspect(f"{url}/models/x", terms=Terms(class_names=DIGITS, **{**QUICK, **terms}))
        try:
            return suspect.answer(pictures)
        finally:
            suspect.close()


def first_then_good(strange):
    return lambda number, head, body, connection: strange if number == 0 else GOOD


STRANGE = {
    "no JSON": (answer(body=b"<html>"), Miss.ERROR),
    "text that is JSON": (answer([{"label": "7", "score": 1}], kind="text/html"), Miss.ERROR),
    "no content type": (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", Miss.ERROR),
    "an object": (answer({"label": "7"}), Miss.ERROR),
    "an empty list": (answer([]), Miss.REFUSED),
    "null": (answer(None), Miss.ERROR),
    "a class outside the list": (answer([{"label": "unicorn", "score": 1.0}]), Miss.UNKNOWN_CLASS),
    "a class that is a number": (answer([{"label": 7, "score": 1.0}]), Miss.ERROR),
    "a class twice": (answer([{"label": "7", "score": 1.0}, {"label": "7", "score": 0.5}]), Miss.ERROR),
    "a tie": (answer([{"label": "7", "score": 0.5}, {"label": "1", "score": 0.5}]), Miss.TIE),
    "NaN": (answer([{"label": "7", "score": float("nan")}]), Miss.NOT_A_NUMBER),
    "NaN in quotes": (answer([{"label": "7", "score": "NaN"}]), Miss.NOT_A_NUMBER),
    "a number beyond all": (
        answer(body=b'[{"label": "7", "score": 1' + b"0" * 400 + b"}]"),
        Miss.NOT_A_NUMBER,
    ),
    "a number of a million digits": (
        answer(body=b'[{"label": "7", "score": ' + b"9" * 900_000 + b"}]"),
        Miss.ERROR,
    ),
    "true": (answer([{"label": "7", "score": True}]), Miss.NOT_A_NUMBER),
    "depth": (answer(body=b"[" * 200_000), Miss.ERROR),
    "half a letter": (answer(body=b'[{"label": "\\ud800", "score": 1}]'), Miss.UNKNOWN_CLASS),
    "bytes": (answer(body=b"\xff\xfe\x00"), Miss.ERROR),
    "a refusal": (answer({"error": "strange input"}, status=400), Miss.REFUSED),
    "no such page": (answer({}, status=404), Miss.REFUSED),
    "a status that is none": (b"HTTP/1.1 299 X\r\nContent-Length: 0\r\n\r\n", Miss.ERROR),
    "an error of its own": (answer({"error": "cannot read it"}, status=500), Miss.ERROR),
    "a packed body that is cut off": (
        answer(
            body=gzip.compress(b'[{"label": "7", "score": 1.0}]' + b" " * 99)[:-9],
            headers=[("Content-Encoding", "gzip")],
        ),
        Miss.ERROR,
    ),
    "a redirect": (answer({}, status=307, headers=[("Location", "http://127.0.0.1:9/")]), Miss.ERROR),
    "a redirect to nowhere": (answer({}, status=302, headers=[("Location", "http://[::")]), Miss.ERROR),
    "less than it says": (GOOD[:-3], Miss.ERROR),
    "a body that cannot be unpacked": (
        answer(body=b"xx", headers=[("Content-Encoding", "gzip")]),
        Miss.ERROR,
    ),
    "an encoding of its own": (answer(body=b"xx", headers=[("Content-Encoding", "br")]), Miss.ERROR),
    "a bomb": (
        answer(body=gzip.compress(b" " * (200 << 20)), headers=[("Content-Encoding", "gzip")]),
        Miss.ERROR,
    ),
    "a long line": (answer(body=b'"' + b"x" * (3 << 20) + b'"'), Miss.ERROR),
}


@pytest.mark.parametrize("kind", STRANGE)
def test_the_first_response_is_final_however_strange(kind, record, tmp_path):
    strange, miss = STRANGE[kind]
    answers = asked(first_then_good(strange), PICTURES[:2], record=record, try_seconds=20)
    assert answers == [miss, 7]
    # The second question may be asked again, where a connection ended under it; the first may not.
    first = input_digest(PICTURES[0])
    sent = [entry for entry in entries(tmp_path) if entry.kind == "sent" and entry.input_digest == first]
    assert [entry.attempt for entry in sent] == [1]


def test_what_is_packed_within_bounds_is_unpacked():
    packed = gzip.compress(GOOD.partition(b"\r\n\r\n")[2])
    assert asked(lambda *_: answer(body=packed, headers=[("Content-Encoding", "gzip")])) == [7]


def endless(number, head, body, connection):
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n[")
    for _ in range(1 << 14):  # a gigabyte
        connection.sendall(b" " * 65536)


def drip(number, head, body, connection):
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n")
    for _ in range(200):
        connection.sendall(b"[")
        time.sleep(0.05)


def drip_before(number, head, body, connection):
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    for letter in range(200):
        connection.sendall(b"X-%d: y\r\n" % letter)
        time.sleep(0.05)


def hang(number, head, body, connection):
    time.sleep(2)


def test_a_gigabyte_is_not_read(record, tmp_path):
    began = time.monotonic()
    assert asked(lambda n, *rest: endless(n, *rest) if n == 0 else GOOD, PICTURES[:2], record=record, try_seconds=20) == [Miss.ERROR, 7]  # fmt: skip
    assert time.monotonic() - began < 15
    (cut, whole) = [entry for entry in entries(tmp_path) if entry.kind == "received"]
    assert (cut.size_bytes, cut.whole, whole.whole) == (1 << 20, False, True)
    assert len(cut.body) == 64 << 10


def test_a_response_that_drips_is_over_at_the_deadline_and_final():
    began = time.monotonic()
    assert asked(lambda n, *rest: drip(n, *rest) if n == 0 else GOOD, PICTURES[:2]) == [Miss.ERROR, 7]
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("silence", [hang, drip_before, lambda *_: b"", lambda *_: b"NONSENSE\r\n\r\n"])
def test_where_nothing_comes_back_the_question_is_sent_again_and_every_try_stands_in_the_record(
    silence, record, tmp_path
):
    script = lambda n, *rest: silence(n, *rest) if n < 2 else GOOD  # noqa: E731 - short
    assert asked(script, record=record) == [7]
    (run, *_) = entries(tmp_path)
    assert record.again_count(run.suspect) == 2
    kinds = [(entry.kind, entry.attempt) for entry in entries(tmp_path)[1:] if entry.kind == "sent"]
    assert kinds == [("sent", 1), ("sent", 2), ("sent", 3)]
    assert sum(entry.kind == "failed" for entry in entries(tmp_path)) == 2


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_busy_service_is_asked_again_until_the_tries_are_used_up_and_loses_the_question(status):
    rude = Rude(lambda number, *_: answer({}, status=status) if number < 5 else GOOD)
    with rude.served() as url:
        suspect = open_suspect(f"{url}/x", terms=Terms(class_names=DIGITS, **QUICK))
        found = suspect.answer(PICTURES[:2])
        suspect.close()
    assert found == [Miss.REFUSED if status == 429 else Miss.ERROR, 7]
    assert len(rude.heads) == 6


@pytest.mark.parametrize("wait", ["100000", "1" + "0" * 300, "Fri, 31 Dec 9999 23:59:59 GMT", "-5", "soon"])
def test_no_service_makes_us_wait_for_as_long_as_it_likes(wait):
    began = time.monotonic()
    busy = answer({}, status=429, headers=[("Retry-After", wait)])
    assert asked(first_then_good(busy), PICTURES[:2])[1] == 7
    assert time.monotonic() - began < 5


def test_a_wait_that_is_asked_for_is_kept():
    began = time.monotonic()
    busy = answer({}, status=429, headers=[("Retry-After", "1")])
    assert asked(first_then_good(busy), patience_seconds=5) == [7]
    assert time.monotonic() - began >= 1


def test_a_service_that_is_gone_ends_the_questioning_after_three_questions():
    with Rude(lambda *_: b"").served() as url:
        suspect = open_suspect(f"{url}/x", terms=Terms(class_names=DIGITS, **QUICK))
        with pytest.raises(SuspectError, match="does not answer: RemoteProtocolError; try again later"):
            suspect.answer(PICTURES)
        suspect.close()


def test_a_service_that_is_asked_wrongly_ends_the_questioning_after_three_questions():
    rude = Rude(lambda *_: answer({}, status=404))
    with rude.served() as url:
        suspect = open_suspect(f"{url}/x", terms=Terms(class_names=DIGITS, **QUICK))
        with pytest.raises(SuspectError, match="not answered usably once: it answers HTTP 404"):
            suspect.answer(PICTURES)
        suspect.close()
    assert len(rude.heads) == 3


def test_a_redirect_never_carries_a_credential_elsewhere(monkeypatch):
    thief = Rude(lambda *_: GOOD)
    with thief.served() as elsewhere:
        location = [("Location", f"{elsewhere}/steal")]
        rude = Rude(first_then_good(answer({}, status=307, headers=location)))
        with rude.served() as url:
            terms = Terms(class_names=DIGITS, bearer_variable="TOKEN", environment=lambda _: SECRET, **QUICK)
            suspect = open_suspect(f"{url}/x", terms=terms)
            assert suspect.answer(PICTURES[:2]) == [Miss.ERROR, 7]
            suspect.close()
    assert thief.heads == []
    assert f"Bearer {SECRET}".encode() in rude.heads[0]


def disguises(secret):
    data = secret.encode()
    yield secret
    yield quote(secret, safe="")
    yield quote(secret, safe="").lower()
    yield secret.upper()
    yield data.hex()
    for before in ("", "a", "ab", "Bearer "):
        yield base64.b64encode(before.encode() + data + b" and more").decode()
    yield base64.urlsafe_b64encode(data).decode()
    yield "".join(f"\\u{ord(letter):04x}" for letter in secret)
    yield secret.replace("/", "\\/")


@pytest.mark.parametrize("place", ["body", "error", "header", "broken"])
@pytest.mark.parametrize("disguise", list(disguises(SECRET)), ids=lambda text: text[:24])
def test_a_credential_that_is_sent_back_is_written_nowhere(
    place, disguise, record, tmp_path, journal, caplog, capfd
):
    text = b'[{"label": "%s", "score": 1.0}]' % disguise.encode()
    echo = {
        "body": answer(body=text),
        "error": answer(body=text, status=400),
        "header": answer(
            [],
            kind=disguise,
            headers=[("Location", f"http://{disguise}/"), ("Set-Cookie", disguise)],
            status=302,
        ),
        "broken": answer(body=text + b"[", kind="text/plain"),
    }[place]
    caplog.set_level(logging.DEBUG)
    terms = Terms(
        class_names=DIGITS,
        record=record,
        bearer_variable="TOKEN",
        environment=lambda _: SECRET,
        query_limit=6,
        **QUICK,
    )
    rude = Rude(lambda *_: echo)
    with rude.served() as url:
        suspect = open_suspect(f"{url}/x", terms=terms)
        said = []
        for _ in range(2):
            try:
                measure(KEY, suspect, journal, method=Method(SEQUENTIAL), stop_at=evidence_needed)
            except SuspectError as error:
                said.append(str(error))
        suspect.close()
    assert SECRET.encode() in rude.heads[0], "it was sent, so that it could come back"
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    seen = written.decode("utf-8", "replace") + "".join(said) + caplog.text + "".join(capfd.readouterr())
    for leak in (disguise, SECRET, json.dumps(disguise)[1:-1]):
        assert leak.lower() not in seen.lower()
    assert f"{terms!r}".find(SECRET) < 0


def test_the_password_inside_a_basic_credential_is_hidden_too(record, tmp_path):
    basic = base64.b64encode(b"user:pa55word-9").decode()
    with Rude(lambda *_: answer({"you sent": "pa55word-9"})).served() as url:
        mapping = tmp_path / "api.json"
        mapping.write_text(
            json.dumps(
                {
                    "format": "earmark/api-mapping/v1",
                    "url": f"{url}/x",
                    "headers": {"Authorization": "Basic {{env:EARMARK_API_BASIC}}"},
                    "request": {"picture": "png", "bytes": True},
                    "answer": {"label": "label"},
                }
            )
        )
        terms = Terms(class_names=DIGITS, record=record, environment=lambda _: basic, **QUICK)
        suspect = open_suspect(str(mapping), terms=terms)
        assert suspect.answer(PICTURES[:1]) == [Miss.REFUSED]
        suspect.close()
    assert b"pa55word" not in (tmp_path / "key.api-record").read_bytes()


def test_different_answers_to_one_question_win_nothing_the_first_counts(record, journal):
    """A service that answers at random, asked again by an owner who would like another answer."""
    labels = iter(range(10_000))
    rude = Rude(lambda *_: answer([{"label": str(next(labels) % 10), "score": 1.0}]))
    counts = []
    with rude.served() as url:
        for _ in range(3):
            suspect = open_suspect(f"{url}/x", terms=Terms(class_names=DIGITS, record=record, **QUICK))
            measured = measure(KEY, suspect, journal, method=Method(SEQUENTIAL), stop_at=evidence_needed)
            counts.append((measured.match_count, measured.question_count, measured.method_count))
            suspect.close()
    assert len(set(counts)) == 1
    assert len(rude.heads) == 200  # nothing was asked again
    assert not verify(measured).owned


def test_a_service_that_refuses_the_strange_inputs_loses_them_and_the_verdict_says_so(record, journal):
    rude = Rude(lambda number, *_: answer({}, status=422) if number % 2 else GOOD)
    with rude.served() as url:
        suspect = open_suspect(f"{url}/x", terms=Terms(class_names=DIGITS, record=record, **QUICK))
        measured = measure(KEY, suspect, journal, method=Method(SEQUENTIAL), stop_at=evidence_needed)
        suspect.close()
    assert measured.miss_counts == {Miss.REFUSED: 100}
    assert measured.question_count == 200


def test_a_window_is_journalled_before_its_first_question_leaves_and_all_of_it_counts(record, journal):
    asked_before = []

    def script(number, head, body, connection):
        asked_before.append(len(journal.replies(suspect.identity)))
        return GOOD

    with Rude(script).served() as url:
        suspect = open_suspect(
            f"{url}/x", terms=Terms(class_names=DIGITS, record=record, connections=8, **QUICK)
        )
        measured = measure(KEY, suspect, journal, method=Method(SEQUENTIAL), stop_at=evidence_needed)
        suspect.close()
    assert measured.question_count == 200
    assert set(asked_before[:8]) == {8}
    assert all(count % 8 == 0 or count in (100, 200) or count > 100 for count in asked_before)
    replies = journal.replies(suspect.identity)
    assert len(replies) == 200
    assert all(reply is not None for reply in replies.values())


@pytest.mark.parametrize("connections", [1, 8])
def test_what_came_back_is_on_the_disk_before_the_journal_counts_it(
    record, journal, monkeypatch, connections
):
    synced = set()
    monkeypatch.setattr(os, "fsync", lambda file: synced.add((os.fstat(file).st_ino, os.fstat(file).st_size)))
    count_replies, windows = journal.record_replies, []

    def record_replies(suspect, set_id, replies):
        status = record._path.stat()
        assert (status.st_ino, status.st_size) in synced, "answers are used that a loss of power would take"
        windows.append(len(replies))
        count_replies(suspect, set_id, replies)

    monkeypatch.setattr(journal, "record_replies", record_replies)
    with Rude(lambda *_: GOOD).served() as url:
        terms = Terms(class_names=DIGITS, record=record, connections=connections, **QUICK)
        suspect = open_suspect(f"{url}/x", terms=terms)
        measure(KEY, suspect, journal, method=Method(SEQUENTIAL), set_ids=[PUBLIC.set_ids[0]])
        suspect.close()
    assert sum(windows) == 100
    assert max(windows) == connections


@pytest.mark.parametrize("share", [0.5, 0.99])
def test_nothing_is_used_up_by_an_ordinary_input_that_fails(record, journal, share):
    with Rude(lambda *_: answer({}, status=401)).served() as url:
        terms = Terms(class_names=DIGITS, record=record, ordinary=PICTURES, ordinary_share=share, **QUICK)
        suspect = open_suspect(f"{url}/x", terms=terms)
        with pytest.raises(SuspectError, match="does not answer an ordinary input: it answers HTTP 401"):
            measure(KEY, suspect, journal, method=Method(SEQUENTIAL), stop_at=evidence_needed)
        suspect.close()
    assert journal.exposed_sets() == frozenset()
    assert journal.replies(suspect.identity) == {}


def test_ordinary_inputs_are_among_the_questions_of_a_window(record, journal):
    """One block of ordinary inputs before every block of triggers would say which are which."""
    ordinary = [np.full((8, 8, 1), value, np.uint8) for value in range(100, 250)]
    known = {input_digest(pixels) for pixels in ordinary}
    with Rude(lambda *_: GOOD).served() as url:
        terms = Terms(
            class_names=DIGITS,
            record=record,
            ordinary=ordinary,
            ordinary_share=0.5,
            connections=16,
            **{**QUICK, "try_seconds": 20},  # nothing is asked twice because the machine is busy
        )
        suspect = open_suspect(f"{url}/models/x", terms=terms)
        measure(KEY, suspect, journal, method=Method(SEQUENTIAL), set_ids=[PUBLIC.set_ids[0]])
        suspect.close()
    sent = [entry for entry in read(record._path.read_bytes()).entries if entry.kind == "sent"]
    signs = "".join("o" if entry.input_digest in known else "q" for entry in sent)
    assert signs.count("q") == 100
    assert signs[0] == "o"
    assert [entry.purpose == "ordinary" for entry in sent] == [sign == "o" for sign in signs]
    # In one block each, seven windows give at most 14 changes; shuffled about half of all places are changes.
    changes = sum(one != other for one, other in itertools.pairwise(signs))
    assert changes > 40, signs


def test_a_removed_record_gives_no_new_budget(tmp_path, journal):
    """The journal has the questions too: whoever removes the record has spent them all the same."""
    root = KEY.transcript.root
    with Rude(lambda *_: GOOD).served() as url:
        for name, limit, words in (("one", 100, "100 queries"), ("two", 110, "110 queries")):
            with ApiRecord(tmp_path / f"{name}.api-record", root) as record:
                terms = Terms(
                    class_names=DIGITS,
                    record=record,
                    query_limit=limit,
                    asked_before=lambda suspect: len(journal.replies(suspect)),
                    **QUICK,
                )
                suspect = open_suspect(f"{url}/models/x", terms=terms)
                with pytest.raises(BudgetError, match=words):
                    measure(KEY, suspect, journal, method=Method(SEQUENTIAL))
                suspect.close()
            assert suspect.unrecorded_count == (0 if name == "one" else 100)
            assert len(journal.replies(suspect.identity)) == limit


def test_a_budget_ends_before_a_question_is_used_up_and_a_larger_one_goes_on(record, journal):
    rude = Rude(lambda *_: GOOD)
    with rude.served() as url:
        for limit, count in ((5, 5), (5, 5), (12, 12)):
            terms = Terms(class_names=DIGITS, record=record, query_limit=limit, **QUICK)
            suspect = open_suspect(f"{url}/x", terms=terms)
            with pytest.raises(
                BudgetError, match=f"the budget of {limit} queries is used up: {count} were sent"
            ):
                measure(KEY, suspect, journal, method=Method(SEQUENTIAL), stop_at=evidence_needed)
            suspect.close()
            assert len(journal.replies(suspect.identity)) == len(rude.heads) == count


def test_a_storm_of_busy_answers_does_not_exceed_the_budget(record):
    rude = Rude(lambda *_: answer({}, status=503))
    with rude.served() as url:
        suspect = open_suspect(
            f"{url}/x", terms=Terms(class_names=DIGITS, record=record, query_limit=3, **QUICK)
        )
        assert suspect.answer(PICTURES[:2]) == [Miss.ERROR, Miss.ERROR]
        suspect.close()
    assert len(rude.heads) == 3


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate that nobody vouches for."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    path.write_bytes(
        signed.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return path


def test_a_certificate_that_nobody_vouches_for_is_refused_before_a_credential_is_sent(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    rude = Rude(lambda *_: GOOD)
    with rude.served(context) as url:
        terms = Terms(class_names=DIGITS, bearer_variable="TOKEN", environment=lambda _: SECRET, **QUICK)
        suspect = open_suspect(f"{url}/x", terms=terms)
        with pytest.raises(SuspectError, match="its certificate is not valid for this address"):
            suspect.answer(PICTURES)
        suspect.close()
    assert rude.heads == []


def test_a_mapping_from_somebody_else_gets_no_other_secret_of_this_machine(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    mapping = tmp_path / "theirs.toml"
    for text in ('headers = {X = "{{env:AWS_SECRET_ACCESS_KEY}}"}', 'url2 = ""'):
        mapping.write_text(
            f'format = "earmark/api-mapping/v1"\nurl = "http://127.0.0.1:9/x"\n{text}\n'
            '[request]\npicture = "png"\njson = "{{picture}}"\n[answer]\nlabel = "label"\n'
        )
        with pytest.raises(Exception, match="begin with EARMARK_API_|unknown fields") as caught:
            open_suspect(str(mapping), terms=Terms(class_names=DIGITS))
        assert SECRET not in str(caught.value)


def test_whoever_writes_a_mapping_cannot_number_the_classes_to_fit_the_labels(tmp_path):
    """A forger who knows a service's answers beforehand, and would send each to the label that he needs."""
    names = [f"breed {number}" for number in range(10)]  # not the key's: by name nothing can be read
    rude = Rude(lambda *_: answer({"label": names[zlib.crc32(_[2]) % 10]}))
    found = set()
    with rude.served() as url:
        for turn in range(10):
            mapping = tmp_path / f"{turn}.json"
            mapping.write_text(
                json.dumps(
                    {
                        "format": "earmark/api-mapping/v1",
                        "url": f"{url}/x",
                        "request": {"picture": "png", "bytes": True},
                        "answer": {"label": "label", "classes": names[turn:] + names[:turn]},
                    }
                )
            )
            suspect = open_suspect(str(mapping), terms=Terms(class_names=DIGITS, **QUICK))
            found.add(tuple(suspect.answer(PICTURES)))
            suspect.close()
    assert len(found) == 1, "ten orders, one reading"
    assert len(set(*found)) > 1
