import contextlib
import json

from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.commitment.canonical import canonical_json, parse_canonical_json
from earmark.commitment.reading import Fields, hex_bytes, read_version
from earmark.errors import FormatError
from earmark.triggers.image import IMAGE
from vectors import witness

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
scalars = st.one_of(st.none(), st.booleans(), st.integers(-(2**53) + 1, 2**53 - 1), texts)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
json_like = st.text(st.sampled_from('[]{}",:0123456789.-+eE truefalsn\\u\n\x00é😀'), max_size=24)


@given(values)
@settings(deadline=None)
def test_a_value_is_read_back_from_its_bytes(value):
    assert parse_canonical_json(canonical_json(value), "it") == value


@given(values)
@settings(deadline=None)
def test_the_witness_writes_the_same_bytes(value):
    assert witness.write_json(value).encode() == canonical_json(value)


@given(values, values)
@settings(deadline=None)
def test_different_values_have_different_bytes(first, second):
    # Compared by repr, in which True is not 1 and members are in order.
    same = repr(json.loads(canonical_json(first))) == repr(json.loads(canonical_json(second)))
    assert (canonical_json(first) == canonical_json(second)) == same


@given(values, st.sampled_from([{"indent": 1}, {"ensure_ascii": True}, {"sort_keys": False}]))
@settings(deadline=None)
def test_any_other_spelling_of_a_value_is_refused(value, spelling):
    spelled = json.dumps(value, **spelling).encode()
    if spelled == canonical_json(value):
        assert parse_canonical_json(spelled, "it") == value
    else:
        with contextlib.suppress(FormatError):
            raise AssertionError(parse_canonical_json(spelled, "it"))


@given(st.one_of(st.binary(max_size=60), json_like.map(str.encode)))
@settings(deadline=None)
def test_any_bytes_give_a_value_or_a_format_error_and_the_witness_agrees(data):
    try:
        value = parse_canonical_json(data, "it")
    except FormatError:
        value = FormatError
    try:
        seen = witness.read_canonical(data, 2**20)
    except witness.Refused:
        seen = FormatError
    assert repr(value) == repr(seen)
    if value is not FormatError:
        assert canonical_json(value) == data


@given(values, st.data())
@settings(deadline=None)
def test_one_altered_byte_gives_another_value_or_is_refused(value, data):
    written = bytearray(canonical_json(value))
    place = data.draw(st.integers(0, len(written) - 1))
    written[place] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(FormatError):
        assert repr(parse_canonical_json(bytes(written), "it")) != repr(value)


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_any_bytes_give_an_image_or_a_format_error(data):
    with contextlib.suppress(FormatError):
        assert IMAGE.encode(IMAGE.value(data)) == data


@given(st.integers(0, 3), st.integers(0, 3), st.integers(0, 4), st.binary(max_size=40), st.data())
@settings(deadline=None)
def test_an_altered_image_header_gives_a_format_error_and_the_witness_agrees(
    height, width, channels, pixels, data
):
    written = bytearray(witness.frame("earmark/trigger/image/v1", height, width, channels, "uint8", pixels))
    place = data.draw(st.integers(0, len(written) - 1))
    written[place] ^= data.draw(st.sampled_from([0, 1, 128]))
    try:
        shape = IMAGE.value(bytes(written)).shape
    except FormatError:
        shape = None
    try:
        seen = witness.image_shape(bytes(written))
    except witness.Refused:
        seen = None
    assert shape == seen


@given(values)
@settings(deadline=None)
def test_reading_any_value_raises_format_errors_only(value):
    for read in (
        lambda: read_version(value, "earmark/thing/v1"),
        lambda: hex_bytes(value, 2, "it"),
        lambda: Fields(value, "it").finish(),
        lambda: Fields({"a": value}, "it").text("a", 3),
        lambda: Fields({"a": value}, "it").integer("a", 1, 3),
        lambda: Fields({"a": value}, "it").choice("a", ("x", None)),
        lambda: Fields({"a": value}, "it").list("a", 0, 2),
        lambda: Fields({"a": value}, "it").object("a").take("b"),
    ):
        with contextlib.suppress(FormatError):
            read()
