import unicodedata
from itertools import pairwise

import pytest

from earmark.commitment import Stream, frame
from earmark.errors import FormatError
from earmark.models.lines import CHARACTER_LIMIT, one_line
from earmark.triggers import Trigger
from earmark.triggers.image import ImageGeometry
from earmark.triggers.sentences import SentenceSampler
from earmark.triggers.text import TEXT, TextGeometry

LONG = TextGeometry(200)


class Own:
    texts = (
        "How do I top up my card from abroad?",
        "My card was declined when I paid for a taxi",
        "Why does my top up take so long to arrive in the account?",
        "Where do I find the account number of my card?",
        "I paid for a hotel and the account shows it two times",
    )


def words(number, own=None):
    return SentenceSampler(own).sample(LONG, Stream("text", number)).value


def test_a_text_is_its_bytes_and_back():
    data = TEXT.encode("wie geht's? 你好 🙂")
    assert data == frame("earmark/trigger/text/v1", "wie geht's? 你好 🙂")
    assert Trigger("text", data).value == "wie geht's? 你好 🙂"
    assert TEXT.fits(data, TextGeometry(17))
    assert len("wie geht's? 你好 🙂") == 16
    assert not TEXT.fits(data, TextGeometry(15))
    assert not TEXT.fits(data, ImageGeometry(8, 8, 1))


@pytest.mark.parametrize(
    "text",
    ["", " a", "a ", "a  b", "a\nb", "a\tb", "a\x00", "a\x85b", "a\u2028b", "a\u202eb", "\ufeffa", "a\uffff", "x" * (CHARACTER_LIMIT + 1)],
    ids=ascii,
)  # fmt: skip
def test_what_is_no_line_of_text_has_no_bytes_and_no_bytes_stand_for_it(text):
    with pytest.raises(ValueError, match="a text"):
        TEXT.encode(text)
    with pytest.raises(FormatError, match="malformed text"):
        TEXT.value(frame("earmark/trigger/text/v1", text))


def test_other_values_have_no_bytes():
    with pytest.raises(ValueError, match="str"):
        TEXT.encode(b"a")
    with pytest.raises(ValueError, match="NFC"):
        TEXT.encode(unicodedata.normalize("NFD", "é"))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x" * 100,
        TEXT.encode("a") + b"\0",
        TEXT.encode("ab")[:-1],
        frame("earmark/trigger/text/v1", b"\xff"),
        frame("earmark/trigger/text/v1", b"\xed\xa0\x80"),
        frame("earmark/trigger/text/v2", "a"),
        frame("earmark/trigger/text/v1", "a", "b"),
    ],
)
def test_other_bytes_are_refused(data):
    with pytest.raises(FormatError, match="malformed text"):
        TEXT.value(data)


def test_geometries_are_read_and_written():
    assert TEXT.geometry_from_text("200") == LONG
    assert str(LONG) == "text:200"
    assert TEXT.geometry_from_json(LONG.to_json()) == LONG
    for text in ("", "0", "-1", "2e2", "65537", "٣"):
        with pytest.raises(ValueError, match="text"):
            TEXT.geometry_from_text(text)
    for changes in ({"characters": 0}, {"characters": "9"}, {"encoding": "utf-16"}, {"more": 1}):
        with pytest.raises(FormatError):
            TEXT.geometry_from_json(LONG.to_json() | changes)


def test_any_text_becomes_one_line():
    assert one_line("  a\r\n\tb\u00a0c\u202e d\x00") == "a b c d"
    assert one_line(unicodedata.normalize("NFD", "é")) == "é"
    for nothing in ("", " \n", "\u200e"):
        with pytest.raises(ValueError, match="characters"):
            one_line(nothing)


def test_a_text_is_shown_as_it_is():
    shown = Trigger("text", TEXT.encode("<b>é</b>")).show()
    assert (shown.media_type, shown.data) == ("text/plain; charset=utf-8", "<b>é</b>".encode())


def test_the_nearest_are_found_whatever_their_case():
    texts = [words(number) for number in range(600)]  # more than are compared at once
    texts[3] = texts[590].upper()
    found = TEXT.nearest([TEXT.encode(text) for text in texts])
    assert found[:2] == (3, 590)
    assert found[2] == pytest.approx(0, abs=1e-5)
    del texts[3]
    assert TEXT.nearest([TEXT.encode(text) for text in texts])[2] > TEXT.too_near


def test_invented_sentences_are_what_lower_casing_and_tidying_leave():
    for number in range(50):
        text = words(number)
        assert text == " ".join(text.lower().split())
        assert text.endswith(".")
        assert 3 <= len(text.split()) <= 12
    assert len(SentenceSampler().sample(TextGeometry(40), Stream("text")).value) <= 40


def test_natural_sentences_are_of_the_owners_words_and_none_of_his_texts():
    known = {word.casefold() for text in Own.texts for word in text.split()}
    pairs = {
        (one.casefold(), other.casefold()) for text in Own.texts for one, other in pairwise(text.split())
    }
    for number in range(60):
        made = [word.casefold() for word in words(number, Own()).split()]
        assert set(made) <= known
        assert all(pair in pairs for pair in pairwise(made))
        assert not any(" ".join(made) in text.casefold() for text in Own.texts)


def test_too_few_texts_are_said_to_be_so():
    class Few:
        texts = ("one two three", "four five six")

    class No:
        texts = ()

    for own in (Few(), No()):
        with pytest.raises(ValueError, match="too few words in common"):
            words(1, own)


def test_sentences_are_made_for_texts_only():
    for geometry in (ImageGeometry(8, 8, 1), TextGeometry(39)):
        with pytest.raises(ValueError, match="text:40"):
            SentenceSampler().sample(geometry, Stream("x"))
