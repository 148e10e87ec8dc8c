import hashlib

import pytest

from earmark.commitment import (
    Stream,
    commit,
    digest,
    frame,
    merkle_path,
    merkle_root,
    open_commitment,
    path_root,
)
from earmark.commitment.canonical import NESTING_LIMIT, canonical_json, parse_canonical_json
from earmark.errors import FormatError


def test_frames_keep_parts_apart():
    assert frame("ab", "c") != frame("a", "bc") != frame("abc")
    assert frame(b"x") == (1).to_bytes(8, "big") + b"x"
    for bad in (-1, 2**64):
        with pytest.raises(OverflowError):
            frame(bad)


def test_digests_are_sha256_over_the_frame():
    assert digest("label", b"x", 3) == hashlib.sha256(frame("label", b"x", 3)).digest()


def test_a_stream_is_shake256_however_it_is_read():
    whole = hashlib.shake_256(frame("s", 1)).digest(1000)
    stream = Stream("s", 1)
    assert b"".join(stream.read(size) for size in (0, 1, 7, 92, 300, 600)) == whole


@pytest.mark.parametrize("bound", [1, 2, 3, 10, 2**63 + 1, 2**64])
def test_draws_lie_within_the_bound(bound):
    stream = Stream("draws")
    assert all(0 <= stream.uniform(bound) < bound for _ in range(50))


def test_words_beyond_the_last_whole_multiple_are_drawn_again(monkeypatch):
    stream = Stream("x")
    words = iter([2**64 - 1, 2**64 - 6, 17])  # 2^64 mod 10 is 6: the last six words are refused
    monkeypatch.setattr(stream, "read", lambda size: next(words).to_bytes(size, "big"))
    assert stream.uniform(10) == 7


def test_salts_have_32_bytes():
    for salt in (b"", bytes(31), bytes(33)):
        with pytest.raises(ValueError, match="32 bytes"):
            commit(b"x", salt)
    assert not open_commitment(commit(b"x", bytes(32)), b"x", bytes(31) + b"\1")


@pytest.mark.parametrize("count", range(1, 18))
def test_every_leaf_of_every_tree_leads_to_its_root(count):
    leaves = [bytes([number]) for number in range(count)]
    root = merkle_root(leaves)
    for place in range(count):
        path = merkle_path(leaves, place)
        assert path_root(leaves[place], place, count, path) == root
        assert path_root(b"other", place, count, path) != root
        for wrong in range(count):
            if wrong != place:
                try:
                    assert path_root(leaves[place], wrong, count, path) != root
                except ValueError:
                    continue


def test_trees_refuse_what_cannot_be():
    with pytest.raises(ValueError, match="at least one"):
        merkle_root([])
    for place in (-1, 2):
        with pytest.raises(IndexError):
            merkle_path([b"a", b"b"], place)
        with pytest.raises(IndexError):
            path_root(b"a", place, 2, [bytes(32)])
    with pytest.raises(ValueError, match="longer"):
        path_root(b"a", 0, 1, [bytes(32)])
    with pytest.raises(ValueError, match="32|digest|bytes"):
        path_root(b"a", 0, 2, [b"short"])


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b'{"a":1}\n', b'{"b":1,"a":2}', b'{"a":1,"a":1}', b'{"a": 1}', b"1.0", b"1e3", b"NaN", b"-Infinity", b"-0",
     b'"\\u0041"', b"\xff", b'"\xed\xa0\x80"', b"9007199254740992", b"[1,]", b"[" * 5000, b"[" * 100_000],
)  # fmt: skip
def test_other_bytes_than_canonical_json_are_refused(data):
    with pytest.raises(FormatError):
        parse_canonical_json(data, "it")


@pytest.mark.parametrize(
    "value", [None, True, 0, -5, 2**53 - 1, "é\n\u2028", [], {}, {"b": [1, {"a": None}], "a": "x"}]
)
def test_values_are_read_back(value):
    assert parse_canonical_json(canonical_json(value), "it") == value


def test_nesting_and_size_are_bounded():
    nested = []
    for _ in range(NESTING_LIMIT):
        nested = [nested]
    with pytest.raises(ValueError, match="nested"):
        canonical_json(nested)
    with pytest.raises(FormatError, match="larger than 10 bytes"):
        parse_canonical_json(b'"xxxxxxxxxxxx"', "it", 10)


@pytest.mark.parametrize("value", [1.5, [float("nan")], {"a": 1.0}, 2**60, "\ud800"])
def test_values_without_a_canonical_form_are_refused(value):
    with pytest.raises(ValueError, match=r"float|canonical"):
        canonical_json(value)
