import pytest

from earmark.errors import FormatError
from earmark.formats.answers_v1 import (
    SIZE_LIMIT_BYTES,
    Answers,
    question_names,
    questions_id,
    read,
    read_table,
    template,
)
from vectors.tiny_key import tiny_key

KEY = tiny_key().verification_key
ROOT = KEY.transcript.root
NAME = questions_id(ROOT, KEY.set_ids[0])
NAMES = question_names(NAME, 5)
TEXTS = ("cat", "7", "REFUSED", "a, b", 'a "b"')


def table(rows, header="question,answer"):
    return "".join(f"{row}\n" for row in (header, *rows)).encode()


GOOD = [
    f"{name},{text}" for name, text in zip(NAMES, ("cat", "7", "REFUSED", '"a, b"', '"a ""b"""'), strict=True)
]


def test_questions_ids_are_short_names_that_differ_between_sets_and_keys():
    found = {questions_id(root, set_id) for root in (ROOT, bytes(32)) for set_id in KEY.set_ids}
    assert len(found) == 6
    assert all(len(name) == 12 and int(name, 16) >= 0 for name in found)


def test_questions_are_numbered_from_1_and_sort_as_they_are_asked():
    assert question_names("9f2c81d0a3b4", 1000)[::999] == ["9f2c81d0a3b4-001", "9f2c81d0a3b4-1000"]


def test_a_template_lists_every_question_and_no_answer():
    assert read_table(template(NAMES)) == dict.fromkeys(NAMES, "")


def test_answers_come_back_in_the_order_of_the_questions_whatever_that_of_the_rows():
    assert read(table(GOOD), KEY) == read(table(reversed(GOOD)), KEY) == Answers(NAME, TEXTS)


def test_a_set_of_another_stratum_has_its_own_number_of_questions():
    name = questions_id(ROOT, KEY.set_ids[2])
    assert read(table(f"{item},cat" for item in question_names(name, 3)), KEY).texts == ("cat",) * 3


@pytest.mark.parametrize(
    "change",
    [
        lambda data: b"\xef\xbb\xbf" + data,
        lambda data: data.replace(b"\n", b"\r\n"),
        lambda data: data.rstrip(b"\n"),
        lambda data: data + b"\n\r\n,\n , \n",
        lambda data: data.replace(b"question,answer", b' Question ,"ANSWER",,'),
        lambda data: data.replace(b",cat\n", b",  cat \t,,\n"),
        lambda data: data.replace(NAMES[0].encode(), b" " + NAMES[0].encode() + b" "),
    ],
)
def test_what_spreadsheets_do_to_a_table_changes_nothing(change):
    assert change(table(GOOD)) != table(GOOD)
    assert read(change(table(GOOD)), KEY) == Answers(NAME, TEXTS)


def test_semicolons_are_commas_in_half_of_the_world():
    rows = [
        f"{name};{text}"
        for name, text in zip(NAMES, ("cat", "7", "REFUSED", "a, b", '"a ""b"""'), strict=True)
    ]
    assert read(table(rows, "question;answer"), KEY) == Answers(NAME, TEXTS)


def test_the_digest_depends_on_the_answers_and_not_on_the_file():
    semicolons = read(table([row.replace(",cat", ", cat ") for row in reversed(GOOD)]), KEY)
    assert semicolons.digest == read(table(GOOD), KEY).digest
    others = {Answers(NAME, texts).digest for texts in (TEXTS, TEXTS[:-1], ("dog", *TEXTS[1:]), TEXTS[::-1])}
    assert len(others | {Answers("0" * 12, TEXTS).digest}) == 5


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (GOOD[:-1], f"1 of 5 questions are missing: {NAMES[-1]}"),
        ([*GOOD, GOOD[0]], f"question {NAMES[0]} is there twice"),
        ([*GOOD, f"{NAME}-006,cat"], f"there is no question {NAME}-006"),
        ([*GOOD[1:], f"{NAME}-0001,cat"], f"there is no question {NAME}-0001"),
        ([*GOOD[1:], f"{NAME}-000,cat"], f"there is no question {NAME}-000"),
        ([*GOOD, "x,cat"], "'x' is not the name of a question"),
        ([*GOOD, ",cat"], "'' is not the name of a question"),
        ([*GOOD, f"{NAME.upper()}-001,cat"], "is not the name of a question"),
        ([*GOOD, "000000000000-001,cat"], "questions of more than one set are mixed"),
        (["000000000000-001,cat"], "000000000000 are not questions of this key"),
        (
            [f"{NAMES[0]},", *GOOD[1:-1], NAMES[-1]],
            f"2 of 5 questions have no answer, {NAMES[0]} first.*REFUSED",
        ),
        ([f"{NAMES[0]},cat,dog", *GOOD[1:]], "more than two columns"),
        ([], "no rows"),
    ],
)
def test_a_table_that_does_not_answer_every_question_once_is_refused_with_the_reason(rows, message):
    with pytest.raises(FormatError, match=message):
        read(table(rows), KEY)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the first line is not question,answer"),
        (b"\n", "the first line is not question,answer"),
        (b"answer,question\n", "the first line is not question,answer"),
        (b"question\tanswer\n", "the first line is not question,answer"),
        (b"question,answer,note\n", "the first line is not question,answer"),
        (b"question,answer\n\xff,\n", "not UTF-8"),
        ("question,answer\n".encode("utf-16"), "not UTF-8"),
        (b"question,answer\n" + b"x" * 200_000, "not a table"),
        (b" " * (SIZE_LIMIT_BYTES + 1), "larger than"),
    ],
)
def test_what_is_no_table_is_refused(data, message):
    with pytest.raises(FormatError, match=message):
        read(data, KEY)
