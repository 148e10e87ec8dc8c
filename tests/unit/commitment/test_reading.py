import pytest

from earmark.commitment.reading import Fields, hex_bytes, read_version
from earmark.errors import FormatError, UnsupportedVersionError


def fields(**values):
    return Fields(values, "thing")


@pytest.mark.parametrize("value", [None, [], "text", 1])
def test_what_is_not_an_object_is_refused(value):
    with pytest.raises(FormatError, match="thing is not an object"):
        Fields(value, "thing")


def test_a_missing_field_is_refused():
    with pytest.raises(FormatError, match="thing has no field 'a'"):
        fields(b=1).take("a")
    with pytest.raises(FormatError, match="thing has no field 'a'"):
        fields(b=1).skip("a")


def test_what_was_not_taken_is_unknown():
    found = fields(a=1, b=2, c=3)
    found.take("a")
    found.skip("b")
    with pytest.raises(FormatError, match="thing has unknown fields: 'c'"):
        found.finish()
    found.take("c")
    found.finish()


def test_the_message_about_unknown_fields_is_short():
    with pytest.raises(FormatError) as caught:
        Fields({"x" * 1000 + str(number): 0 for number in range(1000)}, "thing").finish()
    assert len(str(caught.value)) < 300


def test_an_object_is_read_by_its_own_name():
    assert fields(a={"b": 1}).object("a").take("b") == 1
    with pytest.raises(FormatError, match="a is not an object"):
        fields(a=1).object("a")


def test_a_text_has_one_character_to_the_limit():
    assert fields(a="😀😀").text("a", 2) == "😀😀"
    for value in ("", "abc", 1, None, ["a"]):
        with pytest.raises(FormatError, match="a is not a text of 1 to 2 characters"):
            fields(a=value).text("a", 2)


def test_an_integer_is_no_boolean_and_in_range():
    assert [fields(a=value).integer("a", 1, 3) for value in (1, 3)] == [1, 3]
    for value in (0, 4, True, "2", 2.0, None):
        with pytest.raises(FormatError, match="a is not an integer from 1 to 3"):
            fields(a=value).integer("a", 1, 3)


def test_a_choice_is_one_of_the_allowed_values():
    assert fields(a="x").choice("a", ("x", None)) == "x"
    assert fields(a=None).choice("a", ("x", None)) is None
    for value in ("y", 1, [], {}, False):
        with pytest.raises(FormatError, match="a must be one of 'x', null"):
            fields(a=value).choice("a", ("x", None))
    with pytest.raises(FormatError, match="a must be one of 'x'"):
        fields(a=None).choice("a", ("x",))


def test_a_list_has_as_many_items_as_allowed():
    assert fields(a=[1, 2]).list("a", 1, 2) == [1, 2]
    for value in ([], [1, 2, 3], "ab", {"a": 1}, None):
        with pytest.raises(FormatError, match="a is not a list of 1 to 2 items"):
            fields(a=value).list("a", 1, 2)


def test_bytes_are_lower_case_hexadecimal_of_their_size():
    assert fields(a="0aff").hex("a", 2) == b"\x0a\xff"
    for value in ("0AFF", "0af", "0aff0", "0aff\n", " aff", "0xff", "٠aff", 10, None):
        with pytest.raises(FormatError, match="a is not 2 bytes in lower-case hexadecimal"):
            hex_bytes(value, 2, "a")


def test_the_expected_version_is_read():
    read_version({"format": "earmark/thing/v1"}, "earmark/thing/v1")


@pytest.mark.parametrize("version", ["v2", "v0", "v999999"])
def test_another_version_of_the_same_kind_is_named(version):
    with pytest.raises(UnsupportedVersionError, match=f"this is earmark/thing/{version}"):
        read_version({"format": f"earmark/thing/{version}"}, "earmark/thing/v1")


@pytest.mark.parametrize(
    "value",
    [None, [], {}, {"format": 1}, {"format": "earmark/other/v1"}, {"format": "earmark/thing/v1234567"}],
)
def test_another_kind_is_refused(value):
    with pytest.raises(FormatError, match="expected earmark/thing/v1") as caught:
        read_version(value, "earmark/thing/v1")
    assert not isinstance(caught.value, UnsupportedVersionError)


def test_the_message_about_another_kind_is_short():
    with pytest.raises(FormatError) as caught:
        read_version({"format": "x" * 10_000}, "earmark/thing/v1")
    assert len(str(caught.value)) < 200
