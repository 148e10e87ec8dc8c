import hashlib

import pytest

from earmark.commitment import Stream, digest, frame


class ScriptedStream(Stream):
    """A stream whose words are given."""

    def __init__(self, *words):
        super().__init__("scripted")
        self.words = list(words)

    def read(self, size_bytes):
        assert size_bytes == 8
        return self.words.pop(0).to_bytes(8, "big")


def test_a_frame_is_the_length_and_the_bytes_of_every_part():
    assert frame() == b""
    assert frame("é", b"", 258) == (
        b"\0\0\0\0\0\0\0\x02\xc3\xa9" + bytes(8) + b"\0\0\0\0\0\0\0\x08" + b"\0\0\0\0\0\0\1\2"
    )


def test_parts_that_join_to_the_same_text_have_different_frames():
    assert frame("ab", "c") != frame("a", "bc")
    assert frame("a", "") != frame("a")


@pytest.mark.parametrize("number", [-1, 2**64])
def test_an_integer_outside_64_bits_is_refused(number):
    with pytest.raises(OverflowError):
        frame("label", number)


def test_a_digest_is_sha256_over_the_frame():
    assert digest("label", b"x", 1) == hashlib.sha256(frame("label", b"x", 1)).digest()


def test_a_stream_is_shake256_over_the_frame_however_it_is_read():
    expected = hashlib.shake_256(frame("label", 7)).digest(10_000)
    stream = Stream("label", 7)
    chunks = [stream.read(size) for size in (0, 1, 63, 1, 64, 500, 3, 9368)]
    assert b"".join(chunks) == expected


def test_a_word_below_the_limit_gives_its_remainder():
    assert ScriptedStream(0).uniform(10) == 0
    assert ScriptedStream(123).uniform(10) == 3
    limit = 2**64 // 10 * 10
    assert ScriptedStream(limit - 1).uniform(10) == 9


def test_a_word_at_or_above_the_limit_is_drawn_again():
    limit = 2**64 // 10 * 10
    stream = ScriptedStream(limit, 2**64 - 1, 5, 6)
    assert stream.uniform(10) == 5
    assert stream.words == [6]


def test_a_bound_of_one_reads_a_word_and_gives_zero():
    stream = ScriptedStream(2**64 - 1, 4)
    assert stream.uniform(1) == 0
    assert stream.words == [4]


def test_a_bound_of_2_to_the_64_gives_the_word_itself():
    assert ScriptedStream(2**64 - 1).uniform(2**64) == 2**64 - 1


@pytest.mark.parametrize("bound", [0, -1, 2**64 + 1])
def test_a_bound_out_of_range_is_refused(bound):
    with pytest.raises(ValueError, match="bound must be"):
        Stream("label").uniform(bound)
