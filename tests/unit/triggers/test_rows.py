from dataclasses import replace

import numpy as np
import pytest

from earmark.commitment import Stream, frame
from earmark.errors import FormatError
from earmark.models.columns import Column, decimal_text
from earmark.triggers import Trigger
from earmark.triggers.image import IMAGE, ImageGeometry
from earmark.triggers.rows import ROWS, RowGeometry
from earmark.triggers.sparse_rows import SparseRowsSampler

TABLE = RowGeometry(
    (
        Column("age", "integer", "0.0", "99.0"),
        Column("height", "number", "0.1", "2.3"),
        Column("colour", "category", categories=("blue", "green", "red")),
    )
)


def row(*numbers):
    return np.array(numbers, np.float32)


class Own:
    def __init__(self, *rows):
        self.values = np.array(rows, np.float32)


def test_a_row_is_its_bytes_and_back():
    data = ROWS.encode(row(7, 0.1, 2))
    assert data == frame("earmark/trigger/rows/v1", 3, "float32", np.array([7, 0.1, 2], ">f4").tobytes())
    assert ROWS.value(data).tolist() == row(7, 0.1, 2).tolist()
    assert Trigger("rows", data).value.dtype == np.float32
    assert Trigger("rows", data).show().data == b"7.0\n0.1\n2.0"
    with pytest.raises(ValueError, match="read-only"):
        ROWS.value(data)[0] = 1


@pytest.mark.parametrize(
    "value",
    [
        np.zeros(3),
        np.zeros((1, 3), np.float32),
        row(),
        row(1, np.nan),
        row(np.inf),
        [1.0],
        np.zeros(5000, np.float32),
    ],
)
def test_what_is_no_row_has_no_bytes(value):
    with pytest.raises(ValueError, match="row"):
        ROWS.encode(value)


GOOD = ROWS.encode(row(7, 0.5, 2))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        GOOD[:-1],
        GOOD + b"\0",
        GOOD.replace(b"float32", b"float64"),
        GOOD.replace(b"rows", b"rowz"),
        IMAGE.encode(np.zeros((8, 8, 1), np.uint8)),
        frame("earmark/trigger/rows/v1", 0, "float32", b""),
        frame("earmark/trigger/rows/v1", 1 << 40, "float32", b"abcd"),
        frame("earmark/trigger/rows/v1", 2, "float32", np.array([1, np.nan], ">f4").tobytes()),
        frame("earmark/trigger/rows/v1", 1, "float32", np.array([-0.0], ">f4").tobytes()),
    ],
)
def test_other_bytes_are_refused(data):
    with pytest.raises(FormatError, match="malformed row"):
        ROWS.value(data)


def test_a_zero_has_one_form():
    assert ROWS.encode(row(-0.0)) == ROWS.encode(row(0.0))


@pytest.mark.parametrize(
    ("values", "fits"),
    [
        ((0, 0.1, 0), True),
        ((99, 2.3, 2), True),
        ((100, 1, 0), False),
        ((-1, 1, 0), False),
        ((1.5, 1, 0), False),
        ((1, 0.09, 0), False),
        ((1, 1, 3), False),
        ((1, 1, 0.5), False),
        ((1, 1), False),
    ],
)
def test_a_row_fits_types_ranges_and_categories(values, fits):
    assert ROWS.fits(ROWS.encode(row(*values)), TABLE) is fits
    assert not ROWS.fits(ROWS.encode(row(*values)), ImageGeometry(8, 8, 1))


def test_a_geometry_reads_back_as_it_was():
    assert ROWS.geometry_from_json(TABLE.to_json()) == TABLE
    assert str(TABLE) == "rows:3 columns"
    assert TABLE.words(row(7, 1.5, 1)) == "age: 7.0\nheight: 1.5\ncolour: green"
    exact = ROWS.encode(row(16777215, 123456.7))
    assert Trigger("rows", exact).show().data == b"16777215.0\n123456.7"


def altered(**changes):
    stated = TABLE.to_json()
    stated["columns"][1] |= changes
    return stated


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"columns": [], "dtype": "float32"},
        {"columns": TABLE.to_json()["columns"], "dtype": "float64"},
        TABLE.to_json() | {"more": 1},
        TABLE.to_json() | {"columns": 2 * TABLE.to_json()["columns"]},
        altered(low="0.10"),
        altered(low="1e-1"),
        altered(low="nan"),
        altered(low="3.0"),
        altered(high="1e60"),
        altered(high=2.5),
        altered(type="integer"),
        altered(type="word"),
        altered(type="category"),
        altered(categories=["a"]),
        altered(name=""),
        {"columns": [{"name": "c", "type": "category", "categories": []}], "dtype": "float32"},
        {"columns": [{"name": "c", "type": "category", "categories": ["a", "a"]}], "dtype": "float32"},
        {"columns": [{"name": "c", "type": "category", "categories": ["a", 1]}], "dtype": "float32"},
        {"columns": [{"name": "c", "type": "category", "categories": [""]}], "dtype": "float32"},
        {
            "columns": [{"name": "i", "type": "integer", "low": "0.0", "high": "20000000.0"}],
            "dtype": "float32",
        },
    ],
)
def test_other_geometries_are_refused(fields):
    with pytest.raises(FormatError):
        ROWS.geometry_from_json(fields)


def test_columns_are_not_written_on_the_command_line():
    with pytest.raises(ValueError, match="table:FILE"):
        ROWS.geometry_from_text("3")


@pytest.mark.parametrize("number", [0.1, 1 / 3, 3.4e38, 1.4e-45, -2.5, 16777216.0, 7.0])
def test_the_text_of_a_number_reads_back_as_the_same_float32(number):
    text = decimal_text(number)
    assert np.float32(text) == np.float32(number)
    assert decimal_text(text) == text


def test_the_nearest_rows_are_told_apart_by_the_least_share_of_the_spread():
    rows = [row(0, 0), row(100, 1), row(50, 0.5), row(51, 0.502), row(0, 1)]
    first, second, distance = ROWS.nearest([ROWS.encode(each) for each in rows])
    assert (first, second) == (2, 3)
    assert distance == pytest.approx(0.01)
    same = [ROWS.encode(row(3, 4))] * 2
    assert ROWS.nearest(same) == (0, 1, 0.0)


def test_triggers_lie_where_the_owner_has_no_rows():
    table = RowGeometry((Column("x", "number", "0.0", "1.0"), Column("y", "number", "0.0", "1.0")))
    draws = np.random.default_rng(0)
    own = Own(*draws.uniform(0, 0.4, (300, 2)), (1, 1))  # all but one in a corner

    def nearest(rows):
        return np.abs(rows[:, None] - own.values[None]).mean(axis=2).min(axis=1)

    made = np.stack([SparseRowsSampler(own).sample(table, Stream("row", n)).value for n in range(60)])
    even = draws.uniform(0, 1, (2000, 2)).astype(np.float32)
    one = np.stack([SparseRowsSampler(own, 1).sample(table, Stream("row", n)).value for n in range(60)])
    assert np.median(nearest(made)) > np.quantile(nearest(even), 0.6) > np.median(nearest(one))
    assert len({tuple(each) for each in made.tolist()}) == 60


def test_own_rows_that_are_out_of_the_stated_ranges_make_triggers_within_them():
    own = Own((500, 9, 2), (-3, 0, 0))
    for number in range(20):
        trigger = SparseRowsSampler(own).sample(TABLE, Stream("out", number))
        assert ROWS.fits(trigger.canonical_bytes, TABLE)


def test_what_cannot_be_sampled_from_is_refused():
    with pytest.raises(ValueError, match="candidates"):
        SparseRowsSampler(Own((1, 1, 1)), 0)
    with pytest.raises(ValueError, match="two or more rows of 3 columns"):
        SparseRowsSampler(Own((1, 1), (2, 2))).sample(TABLE, Stream("x"))
    with pytest.raises(ValueError, match="table"):
        SparseRowsSampler(Own((1, 1), (2, 2))).sample(ImageGeometry(8, 8, 1), Stream("x"))


@pytest.mark.parametrize(
    "changes",
    [{"name": ""}, {"type": "text"}, {"categories": ("a",)}, {"low": "2.0", "high": "1.0"}, {"low": "0.10"}],
)
def test_columns_that_contradict_themselves_are_refused(changes):
    with pytest.raises(ValueError, match=r"column|categories|range|text"):
        replace(Column("height", "number", "0.1", "2.3"), **changes)
