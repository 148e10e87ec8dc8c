import hashlib

from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.commitment import Stream, commit, digest, frame, open_commitment

parts = st.lists(
    st.one_of(st.binary(max_size=40), st.text(max_size=20), st.integers(0, 2**64 - 1)), max_size=6
)
labels = st.text(min_size=1, max_size=30)


def as_bytes(part):
    if isinstance(part, str):
        return part.encode()
    return part.to_bytes(8, "big") if isinstance(part, int) else part


def unframe(data):
    """Read the parts of a frame back."""
    found = []
    while data:
        size = int.from_bytes(data[:8], "big")
        assert len(data) >= 8 + size
        found.append(data[8 : 8 + size])
        data = data[8 + size :]
    return found


@given(parts)
@settings(deadline=None)
def test_the_parts_of_a_frame_can_be_read_back(values):
    assert unframe(frame(*values)) == [as_bytes(value) for value in values]


@given(parts, parts)
@settings(deadline=None)
def test_two_tuples_have_one_frame_only_if_their_parts_are_the_same_bytes(first, second):
    same = [as_bytes(part) for part in first] == [as_bytes(part) for part in second]
    assert (frame(*first) == frame(*second)) == same


@given(st.binary(max_size=60), st.integers(0, 60), st.integers(0, 60))
@settings(deadline=None)
def test_bytes_cut_in_two_places_have_two_frames(data, first, second):
    cuts = [(data[:place], data[place:]) for place in (first, second)]
    assert (frame(*cuts[0]) == frame(*cuts[1])) == (cuts[0] == cuts[1])


@given(parts, parts)
@settings(deadline=None)
def test_a_frame_of_more_parts_begins_with_the_frame_of_fewer(first, second):
    assert frame(*first, *second) == frame(*first) + frame(*second)


@given(labels, parts)
@settings(deadline=None)
def test_a_digest_is_sha256_over_the_frame(label, values):
    assert digest(label, *values) == hashlib.sha256(frame(label, *values)).digest()


@given(labels, parts, st.lists(st.integers(0, 300), max_size=8))
@settings(deadline=None)
def test_a_stream_does_not_depend_on_how_it_is_read(label, values, sizes):
    stream = Stream(label, *values)
    chunks = [stream.read(size) for size in sizes]
    assert [len(chunk) for chunk in chunks] == sizes
    assert b"".join(chunks) == hashlib.shake_256(frame(label, *values)).digest(sum(sizes))


class ScriptedStream(Stream):
    def __init__(self, words):
        super().__init__("scripted")
        self.words = list(words)

    def read(self, size_bytes):
        return self.words.pop(0).to_bytes(size_bytes, "big")


@given(st.integers(1, 2**64), st.data())
@settings(deadline=None)
def test_exactly_the_words_below_the_last_whole_multiple_are_accepted(bound, data):
    limit = 2**64 // bound * bound
    near = st.one_of(st.integers(0, 2**64 - 1), st.integers(max(0, limit - 3), min(2**64 - 1, limit + 3)))
    word = data.draw(near)
    stream = ScriptedStream([word, 0])
    assert stream.uniform(bound) == (word % bound if word < limit else 0)
    assert len(stream.words) == (1 if word < limit else 0)
    # Every remainder then belongs to limit / bound words: the draw is exactly uniform.
    assert limit % bound == 0
    assert 2**64 - limit < bound


@given(st.integers(1, 300))
@settings(deadline=None)
def test_the_same_rule_over_words_of_one_byte_is_exactly_uniform(bound):
    # What the last test shows at places, this one shows for all words of a small size.
    bound = min(bound, 256)
    limit = 256 // bound * bound
    accepted = [word % bound for word in range(256) if word < limit]
    assert {accepted.count(value) for value in range(bound)} == {256 // bound}


@given(
    st.binary(max_size=50), st.binary(min_size=32, max_size=32), st.binary(max_size=50), st.integers(0, 255)
)
@settings(deadline=None)
def test_a_commitment_opens_to_what_was_committed_and_to_nothing_else(message, salt, other, bit):
    commitment = commit(message, salt)
    assert open_commitment(commitment, message, salt)
    assert open_commitment(commitment, other, salt) == (other == message)
    flipped = (int.from_bytes(salt, "big") ^ 1 << bit).to_bytes(32, "big")
    assert not open_commitment(commitment, message, flipped)
    assert not open_commitment(flipped, message, salt)
