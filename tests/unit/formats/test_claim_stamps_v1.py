"""Stamps that wait for their claim."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.errors import FormatError, UnsupportedVersionError
from earmark.formats import claim_stamps_v1

STAMPS = {bytes(range(32)): (b"one", b"another"), bytes(32): (b"x" * 65_536,)}


def changed(change):
    value = json.loads(claim_stamps_v1.write(STAMPS))
    change(value)
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def test_what_was_written_is_read():
    data = claim_stamps_v1.write(STAMPS)
    assert claim_stamps_v1.read(data) == STAMPS
    assert data.startswith(b'{"format":"earmark/claim-stamps/v1","stamps":{"0000')
    assert claim_stamps_v1.read(claim_stamps_v1.write({})) == {}


@pytest.mark.parametrize(
    "change",
    [
        lambda value: value.update(more=1),
        lambda value: value.pop("stamps"),
        lambda value: value.update(stamps=[]),
        lambda value: value["stamps"].update({"00": ["00"]}),
        lambda value: value["stamps"].update({"ff" * 32: []}),
        lambda value: value["stamps"].update({"ff" * 32: ["00"] * 17}),
        lambda value: value["stamps"].update({"ff" * 32: [""]}),
        lambda value: value["stamps"].update({"ff" * 32: ["0g"]}),
        lambda value: value["stamps"].update({"ff" * 32: ["00" * 65_537]}),
        lambda value: value["stamps"].update({f"{number:064x}": ["00"] for number in range(1, 25)}),
    ],
)
def test_what_is_not_as_on_the_page_is_refused(change):
    with pytest.raises(FormatError):
        claim_stamps_v1.read(changed(change))


def test_another_version_is_named():
    with pytest.raises(UnsupportedVersionError):
        claim_stamps_v1.read(changed(lambda value: value.update(format="earmark/claim-stamps/v2")))


@given(st.binary(max_size=200))
def test_foreign_bytes_are_refused(data):
    with pytest.raises(FormatError):
        claim_stamps_v1.read(data + b"\n")
