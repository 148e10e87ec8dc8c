import numpy as np
import pytest

from earmark.data.rows import load_table
from earmark.errors import FormatError
from earmark.models.columns import Column


def table(folder, text, target="kind"):
    path = folder / "t.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_table(f"table:{path}#{target}")


def test_a_file_becomes_columns_with_types_and_ranges(tmp_path):
    found = table(
        tmp_path,
        '\ufeffage, height,colour,kind\n3,0.5,red,cat\n\n12,1.25,"green, dark",dog\n-7,0.1,red,cat\n',
    )
    assert found.class_names == ("cat", "dog")
    assert found.labels.tolist() == [0, 1, 0]
    assert found.columns == (
        Column("age", "integer", "-7.0", "12.0"),
        Column("height", "number", "0.1", "1.25"),
        Column("colour", "category", categories=("green, dark", "red")),
    )
    assert found.values.dtype == np.float32
    assert np.array_equal(found.values, np.array([[3, 0.5, 1], [12, 1.25, 0], [-7, 0.1, 1]], np.float32))
    assert len(found) == 3


def test_large_whole_numbers_are_numbers(tmp_path):
    found = table(tmp_path, "id,kind\n20000000,a\n1,b\n")
    assert found.columns[0].type == "number"


@pytest.mark.parametrize(
    ("name", "shape", "classes"),
    [("iris", (150, 4), 3), ("wine", (178, 13), 3), ("breast-cancer", (569, 30), 2)],
)
def test_tables_that_need_no_file(name, shape, classes):
    found = load_table(f"table:{name}")
    assert found.values.shape == shape
    assert len(found.class_names) == classes
    assert [column.bounds for column in found.columns] == [
        (low, high)
        for low, high in zip(found.values.min(0).tolist(), found.values.max(0).tolist(), strict=True)
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no table"),
        ("x,kind\n", "fewer than two rows"),
        ("x,kind\n1,a\n", "fewer than two rows"),
        ("x,kind\n1,a\n2,a\n", "at least two in all"),
        ("x,kind\n1,a\n2,\n", "in every line"),
        ("x,other\n1,a\n2,b\n", "no column 'kind'; it has 'x', 'other'"),
        ("x,x,kind\n1,2,a\n2,2,b\n", "same name"),
        ("kind\na\nb\n", "0 columns"),
        ("x,kind\n1,a\n2\n", "row 3 has 1 cells"),
        ("x,kind\n1,a\nnan,b\n", "missing"),
        ("x,kind\n1,a\n1e60,b\n", "too large"),
        ("x,kind\nred,a\n,b\n", "empty cell"),
        ("x,kind\n1,a\n" + "y" * 1001 + ",b\n", "1000 characters"),
        (b"x,kind\n\xff,a\n1,b\n", "UTF-8"),
        ('x,kind\n"1,a\n2,b\n', "no table"),
    ],
)
def test_what_is_no_table_is_refused_with_a_reason(tmp_path, text, message):
    with pytest.raises(FormatError, match=message):
        table(tmp_path, text)


def test_a_column_of_values_is_no_column_of_classes(tmp_path):
    prices = "x,price\n" + "".join(f"{row},{100 + row * 7}\n" for row in range(60))
    with pytest.raises(FormatError, match="60 numbers in 60 lines: values to be predicted"):
        table(tmp_path, prices, "price")
    grades = "x,grade\n" + "".join(f"{row},{row % 25}\n" for row in range(60))
    assert len(table(tmp_path, grades, "grade").class_names) == 25
    words = "x,word\n" + "".join(f"{row},w{row % 50}\n" for row in range(60))
    assert len(table(tmp_path, words, "word").class_names) == 50


@pytest.mark.parametrize("name", ["iris", "table:", "table:x.csv", "table:#kind", "table:x.csv#"])
def test_other_names_are_refused(name):
    with pytest.raises(ValueError, match="table"):
        load_table(name)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FormatError, match=r"gone\.csv"):
        load_table(f"table:{tmp_path / 'gone.csv'}#kind")


def test_rows_are_put_into_the_columns_of_a_key_and_others_are_refused(tmp_path):
    own = table(tmp_path, "age,colour,kind\n3,red,cat\n12,green,dog\n")
    colours = Column("colour", "category", categories=("blue", "red", "green"))
    ages = Column("age", "integer", "0.0", "9.0")
    assert own.in_columns((ages, colours)).tolist() == [[3, 1], [12, 2]]
    assert own.values.tolist() == [[3, 1], [12, 0]], "the table's own are left as they are"
    with pytest.raises(ValueError, match="knows no 'green' in the column 'colour'"):
        own.in_columns((ages, Column("colour", "category", categories=("red",))))
    assert own.in_columns((Column("age", "number", "0.0", "9.5"), colours)).tolist() == [[3, 1], [12, 2]]
    for others in ((colours, ages), (ages,), (Column("years", "integer", "0.0", "9.0"), colours)):
        with pytest.raises(ValueError, match="not called as those of the key"):
            own.in_columns(others)
    with pytest.raises(ValueError, match="'colour' is of type category here, and integer in the key"):
        own.in_columns((ages, Column("colour", "integer", "0.0", "9.0")))
    parts = table(tmp_path, "age,kind\n1.5,cat\n2,dog\n")
    with pytest.raises(ValueError, match="of type number here, and integer"):
        parts.in_columns((ages,))
