import pytest

from earmark.errors import FormatError
from earmark.formats import ground_truth_v1
from earmark.keys import SetId
from small import new_key

KEY = new_key(sets=2).verification_key
HEADER = "stratum,set,place,class\n"


def read(text):
    return ground_truth_v1.read(text.encode(), KEY)


def test_rows_are_read_and_blank_means_no_class():
    found = read(HEADER + "0,0,0,7\n0, 1 ,99,\n\n")
    assert found == {(SetId(0, 0), 0): 7, (SetId(0, 1), 99): None}


def test_spreadsheets_begin_with_a_byte_order_mark():
    assert ground_truth_v1.read("\ufeff".encode() + (HEADER + "0,0,1,3\n").encode(), KEY)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "first line"),
        ("set,place,class\n", "first line"),
        (HEADER + "0,0,0\n", "line 2 does not have 4 columns"),
        (HEADER + "0,0,0,7\n0,0,0,7\n", "line 3 names a trigger for the second time"),
        (HEADER + "0,0,0,eleven\n", "no class 'eleven'"),
        (HEADER + "0,2,0,7\n", "no such trigger"),
        (HEADER + "1,0,0,7\n", "no such trigger"),
        (HEADER + "0,0,100,7\n", "no such trigger"),
        (HEADER + "0,0,-1,7\n", "numbers from 0"),
        (HEADER + "0,0,٣,7\n", "numbers from 0"),
        (HEADER + "0,0,99999999999,7\n", "numbers from 0"),
        (HEADER + '0,0,"0,7\n', "line 2"),
    ],
)
def test_what_is_no_such_table_is_refused(text, message):
    with pytest.raises(FormatError, match=message):
        read(text)


def test_other_bytes_and_too_many_are_refused(monkeypatch):
    with pytest.raises(FormatError, match="UTF-8"):
        ground_truth_v1.read(b"\xff\xfe", KEY)
    monkeypatch.setattr(ground_truth_v1, "SIZE_LIMIT_BYTES", 10)
    with pytest.raises(FormatError, match="larger than 10 bytes"):
        read(HEADER)
