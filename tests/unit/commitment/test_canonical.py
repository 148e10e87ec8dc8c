import sys

import pytest

from earmark.commitment.canonical import NESTING_LIMIT, canonical_json, parse_canonical_json
from earmark.errors import FormatError


def nested(depth):
    value = []
    for _ in range(depth - 1):
        value = [value]
    return value


def test_a_value_is_written_by_rfc_8785():
    value = {"b": [None, True, False, -1], "a": {"€": "\u20ac", "\n": "\x00/"}}
    assert canonical_json(value) == '{"a":{"\\n":"\\u0000/","€":"€"},"b":[null,true,false,-1]}'.encode()


@pytest.mark.parametrize(
    "value",
    [1.0, [1.5], {"a": {"b": 0.5}}, (0.5,), float("nan"), 2**53, -(2**53), b"x", {1: 2}, {1}, object()],
)
def test_what_has_no_one_form_is_not_written(value):
    with pytest.raises(ValueError, match=r"canonical"):
        canonical_json(value)


@pytest.mark.parametrize("value", ["\ud800", {"\udfff": 1}])
def test_a_surrogate_alone_is_not_written(value):
    with pytest.raises(ValueError, match="not canonical JSON"):
        canonical_json(value)


def test_nesting_is_bounded_when_writing_and_when_reading():
    data = canonical_json(nested(NESTING_LIMIT))
    assert parse_canonical_json(data, "the file") == nested(NESTING_LIMIT)
    with pytest.raises(ValueError, match="nested more than 32 deep"):
        canonical_json(nested(NESTING_LIMIT + 1))
    with pytest.raises(FormatError, match="nested more than 32 deep"):
        parse_canonical_json(b"[" + data + b"]", "the file")


def test_nesting_beyond_the_stack_is_a_format_error():
    deep = sys.getrecursionlimit() * 10
    with pytest.raises(FormatError, match="the file is not canonical JSON"):
        parse_canonical_json(b"[" * deep + b"]" * deep, "the file")


def test_a_list_that_holds_itself_is_refused():
    endless = []
    endless.append(endless)
    with pytest.raises(ValueError, match="nested"):
        canonical_json(endless)


def test_more_bytes_than_allowed_are_refused_before_they_are_parsed():
    assert parse_canonical_json(b'"ab"', "the file", 4) == "ab"
    with pytest.raises(FormatError, match="the file is larger than 4 bytes"):
        parse_canonical_json(b"not JSON at all", "the file", 4)


@pytest.mark.parametrize(
    "data", [b'{"a": 1}', b"{}\n", b'{"a":1,"a":1}', b'{"b":1,"a":1}', b"-0", b'"\\u0061"']
)
def test_other_bytes_of_the_same_value_are_refused(data):
    with pytest.raises(FormatError, match="not in canonical form"):
        parse_canonical_json(data, "the file")


@pytest.mark.parametrize("data", [b"", b"{", b"1.0", b"NaN", b"1e5", b"\xff", b"9" * 5000, b'"\\ud800"'])
def test_what_is_not_restricted_json_is_refused(data):
    with pytest.raises(FormatError, match="the file is not canonical JSON"):
        parse_canonical_json(data, "the file")
