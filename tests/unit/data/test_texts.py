import numpy as np
import pytest

from earmark.data.texts import load_texts
from earmark.errors import FormatError


def written(folder, text):
    path = folder / "asked.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_a_file_of_two_columns_is_texts_with_classes(tmp_path):
    path = written(tmp_path, 'text,intent\n"Where,\n is it? ",lost\nHow much?,price\nGone!,lost\n')
    found = load_texts(f"text:{path}#intent")
    assert found.texts == ("Where, is it?", "How much?", "Gone!")
    assert found.class_names == ("lost", "price")
    assert np.array_equal(found.labels, [0, 1, 0])
    assert (len(found), found.longest) == (3, 13)


def test_of_more_columns_the_texts_are_named(tmp_path):
    path = written(tmp_path, "id,intent,said\n1,a,one\n2,b,two\n")
    assert load_texts(f"text:{path}#intent,said").texts == ("one", "two")
    with pytest.raises(FormatError, match="2 columns; say which one holds the texts"):
        load_texts(f"text:{path}#intent")
    with pytest.raises(FormatError, match="no column 'saod'"):
        load_texts(f"text:{path}#intent,saod")
    with pytest.raises(FormatError, match="no column 'intend'"):
        load_texts(f"text:{path}#intend")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("text,intent\na,b\n,c\n", "row 3: a text has 1 to 65536 characters, not 0"),
        ("text,intent\na,b\nc,b\n", "at least two in all"),
        ("text,intent\na,\nc,b\n", "a class in every line"),
        ("intent,intent\na,b\nc,d\n", "same name"),
        (b"text,intent\n\xff,b\nc,d\n", "UTF-8"),
        ("text,intent\n" + "a" * 65537 + ",b\nc,d\n", "more than 65536 characters"),
    ],
)
def test_other_files_are_refused_with_the_place(tmp_path, text, words):
    with pytest.raises(FormatError, match=words):
        load_texts(f"text:{written(tmp_path, text)}#intent")


@pytest.mark.parametrize("name", ["text:", "text:asked.csv", "text:#intent", "text:asked.csv#", "table:iris"])
def test_other_names_are_refused(name):
    with pytest.raises(ValueError, match="texts are text:FILE"):
        load_texts(name)
