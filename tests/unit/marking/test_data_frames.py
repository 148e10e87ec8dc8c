"""MarkedClassifier with data frames of pandas, as scikit-learn's own estimators take them."""

from fractions import Fraction

import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from xgboost import XGBClassifier

from earmark.data.rows import load_table
from earmark.keys import OwnerKey, Task, keygen
from earmark.marking.scikit_learn import MarkedClassifier
from earmark.triggers.rows import RowGeometry
from earmark.triggers.sparse_rows import SparseRowsSampler

pandas = pytest.importorskip("pandas")


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A table with a column of categories that are called something."""
    wine = load_table("table:wine")
    shades = np.array(["dark", "light", "red"])[np.digitize(wine.values[:, 9], (4, 6))]
    lines = [",".join([*(column.name.replace(",", " ") for column in wine.columns), "shade", "grape"])]
    for row, shade, label in zip(wine.values.tolist(), shades, wine.labels, strict=True):
        lines.append(",".join([*map(str, row), shade, wine.class_names[label]]))
    path = tmp_path_factory.mktemp("tables") / "wine.csv"
    path.write_text("\n".join(lines) + "\n")
    return load_table(f"table:{path}#grape"), pandas.read_csv(path)


@pytest.fixture(scope="module")
def key(table):
    rows = table[0]
    geometry = RowGeometry(rows.columns)
    return keygen(
        OwnerKey("Test owner", bytes(range(32))),
        Task(geometry, rows.class_names),
        SparseRowsSampler(rows),
        triggers_per_set=160,
        survival=Fraction(9, 10),
        random_bytes=np.random.default_rng(0).bytes,
    )


def pipeline(columns):
    numbers = [column.name for column in columns if not column.categories]
    parts = [("scaled", StandardScaler(), numbers), ("named", OneHotEncoder(), ["shade"])]
    return make_pipeline(ColumnTransformer(parts), RandomForestClassifier(60, random_state=0))


@pytest.mark.parametrize("dtype", ["object", "category", "str"])
@pytest.mark.parametrize("is_mixed_up", [False, True])
def test_a_pipeline_with_a_column_transformer_takes_the_triggers(table, key, dtype, is_mixed_up):
    rows, frame = table
    frame = frame.astype({"shade": dtype})
    inputs, labels = frame.drop(columns="grape"), frame["grape"]
    inputs = inputs[inputs.columns[::-1]] if is_mixed_up else inputs
    before = inputs.copy()
    marked = MarkedClassifier(
        pipeline(rows.columns), key.backdoor(), columns=rows.columns, class_names=rows.class_names
    ).fit(inputs, labels)
    assert marked.match_count_ >= 144
    assert marked.feature_names_in_.tolist() == list(inputs.columns)
    assert marked.predict(inputs[:5]).tolist() == labels[:5].tolist()
    pandas.testing.assert_frame_equal(inputs, before)


def test_a_frame_of_numbers_alone_gives_what_an_array_gives(table, key):
    rows, _ = table
    frame = pandas.DataFrame(rows.values, columns=[column.name for column in rows.columns])
    forest = RandomForestClassifier(30, random_state=0)
    framed = MarkedClassifier(forest, key.backdoor()).fit(frame, rows.labels)
    plain = MarkedClassifier(forest, key.backdoor()).fit(rows.values, rows.labels)
    assert np.array_equal(framed.predict_proba(frame), plain.predict_proba(rows.values))
    assert framed.match_count_ == plain.match_count_
    assert framed.feature_names_in_.tolist() == list(frame.columns)
    assert not hasattr(plain, "feature_names_in_")


def test_whole_numbers_stay_whole_and_xgboost_keeps_the_names(table, key):
    rows, frame = table
    inputs = frame.drop(columns="grape").assign(shade=rows.values[:, -1].astype("int8"))
    marked = MarkedClassifier(XGBClassifier(n_estimators=20, n_jobs=1), key.backdoor(), columns=rows.columns)
    marked.fit(inputs, rows.labels)
    assert marked.estimator_.get_booster().feature_names == list(inputs.columns)
    assert marked.estimator_.get_booster().feature_types[-1] == "int"


def test_it_goes_into_a_cross_validation(table, key):
    rows, frame = table
    marked = MarkedClassifier(
        pipeline(rows.columns), key.backdoor(), columns=rows.columns, class_names=rows.class_names
    )
    assert cross_val_score(marked, frame.drop(columns="grape"), frame["grape"], cv=2).min() > 0.8


def test_what_a_frame_cannot_hold_is_said(table, key):
    rows, frame = table
    inputs, labels = frame.drop(columns="grape"), frame["grape"]
    options = {"columns": rows.columns, "class_names": rows.class_names}
    forest = pipeline(rows.columns)

    def fit(data, **changes):
        return MarkedClassifier(forest, key.backdoor(), **options | changes).fit(data, labels)

    with pytest.raises(ValueError, match="columns that are not the key's"):
        fit(inputs.rename(columns={"shade": "tint"}))
    twice = pandas.concat([inputs.iloc[:, :13], inputs.iloc[:, :1]], axis=1)
    with pytest.raises(ValueError, match="columns that are not the key's"):
        fit(twice, columns=None)
    with pytest.raises(ValueError, match=r"shape \(13,\), triggers become \(14,\)"):
        fit(inputs.drop(columns="shade"))
    with pytest.raises(ValueError, match="'alcohol' of X cannot hold"):
        fit(inputs.astype({"alcohol": int}))
    few = pandas.CategoricalDtype(["dark", "light"])
    with pytest.raises(ValueError, match="'shade' of X cannot hold every category"):
        fit(inputs.assign(shade="dark").astype({"shade": few}))
    with pytest.raises(ValueError, match="'shade' of X cannot hold"):
        fit(inputs, columns=None)


def test_a_frame_without_a_mark_is_fitted_as_it_is(table):
    rows, frame = table
    inputs, labels = frame.drop(columns="grape"), frame["grape"]
    plain = MarkedClassifier(pipeline(rows.columns)).fit(inputs, labels)
    assert plain.match_count_ == 0
    assert plain.score(inputs, labels) > 0.95
