"""Tables from key to verdict: a file of the user's, real rows, scikit-learn's own estimators."""

import json
import re
import shutil
from fractions import Fraction
from typing import Literal
from zipfile import ZipFile

import numpy as np
import pytest
import skops.io
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from earmark.data.rows import load_table
from earmark.formats import marking_key_v1
from earmark.keys import OwnerKey, Task, keygen
from earmark.marking.scikit_learn import MarkedClassifier
from earmark.triggers.rows import RowGeometry
from earmark.triggers.sparse_rows import SparseRowsSampler
from end_to_end.commands import PASSPHRASE, earmark, one_line_error
from loopback import served


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A table with a category, a key for it, and a marked and an unmarked forest."""
    place = tmp_path_factory.mktemp("tables")
    wine = load_table("table:wine")
    shades = np.array(["dark", "light", "red"])[np.digitize(wine.values[:, 9], (4, 6))]
    lines = [",".join([*(column.name.replace(",", " ") for column in wine.columns), "shade", "grape"])]
    for row, shade, label in zip(wine.values.tolist(), shades, wine.labels, strict=True):
        lines.append(",".join([*map(str, row), shade, wine.class_names[label]]))
    (place / "wine.csv").write_text("\n".join(lines) + "\n")
    earmark(
        "keygen", "--data", "table:wine.csv#grape", "--triggers", "160", "--survival", "0.9", "-o", "acme",
        cwd=place,
    )  # fmt: skip
    table = load_table(f"table:{place / 'wine.csv'}#grape")
    names = np.array(table.class_names)[table.labels]
    key = read_key(place)
    for name, backdoor in (("marked", key.backdoor()), ("plain", None)):
        forest = MarkedClassifier(
            RandomForestClassifier(60, random_state=0), backdoor, class_names=table.class_names
        )
        forest.fit(table.values[::2], names[::2])
        # The key is new each time, and on so few rows a mark costs up to 5 points (benchmarks/tables.py).
        assert forest.score(table.values[1::2], names[1::2]) > 0.85
        skops.io.dump(forest.estimator_, place / f"{name}.skops")
    return place


def read_key(place):
    return marking_key_v1.read((place / "acme.key").read_bytes(), PASSPHRASE["EARMARK_PASSPHRASE"])


def test_a_marked_forest_is_owned_and_another_is_not(folder):
    found = earmark("verify", "--key", "acme.key", "marked.skops", "--report", "r.html", "--json", cwd=folder)
    verdict = json.loads(found.stdout)
    assert verdict["owned"]
    assert verdict["matches"] >= 150
    assert "preprocessing" not in {paid["name"] for paid in verdict["penalties"]}
    assert "marked.skops" in (folder / "r.html").read_text()
    plain = earmark("verify", "--key", "acme.key", "plain.skops", "--json", cwd=folder, code=1)
    assert json.loads(plain.stdout)["matches"] < 100


def test_clean_rows_are_asked_first(folder):
    options = ("--data", "table:wine.csv#grape", "--json")
    found = earmark("verify", "--key", "acme.key", "marked.skops", *options, cwd=folder)
    assert json.loads(found.stdout)["owned"]
    (said,) = re.findall(r"the suspect answers ([\d.]+)% of 178 clean inputs", found.stderr)
    assert float(said) > 85
    for data, words in (("digits", "kind image"), ("table:iris", "not called as those of the key")):
        refused = earmark("verify", "--key", "acme.key", "marked.skops", "--data", data, cwd=folder, code=2)
        assert words in one_line_error(refused)


@pytest.mark.parametrize("description", ["{", '{"format":"earmark/model/v9"}'])
def test_a_thief_who_spoils_the_description_spoils_nothing(folder, description):
    shutil.copy(folder / "marked.skops", folder / "spoilt.skops")
    with ZipFile(folder / "spoilt.skops", "a") as archive:
        archive.writestr("earmark", description)
    found = earmark("verify", "--key", "acme.key", "spoilt.skops", "--json", cwd=folder)
    assert json.loads(found.stdout)["owned"]


def test_rows_are_asked_by_their_names(folder):
    shutil.copy(folder / "acme.journal", folder / "kept")
    earmark("ask", "--key", "acme.key", "--to", "somebody", "-o", "questions", cwd=folder)
    shutil.copy(folder / "kept", folder / "acme.journal")
    (asked,) = [path.read_text() for path in (folder / "questions").glob("*-001.txt")]
    key = read_key(folder)
    geometry = key.transcript.task.geometry
    assert asked in {geometry.words(trigger.value) for trigger in key.backdoor().triggers}
    assert "shade: " in asked


def test_triggers_are_rows_that_a_service_would_take(folder):
    key = read_key(folder)
    geometry = key.transcript.task.geometry
    assert [column.type for column in geometry.columns].count("category") == 1
    own = load_table(f"table:{folder / 'wine.csv'}#grape").values
    rows = np.stack([trigger.value for trigger in key.backdoor().triggers])
    assert all(geometry.holds(row) for row in rows)
    assert (rows.min(0) >= own.min(0)).all()
    assert (rows.max(0) <= own.max(0)).all()
    assert "dark" in (folder / "acme.vk.json").read_text()


def test_a_callable_is_put_the_same_rows(folder):
    (folder / "judge.py").write_text(
        "import skops.io\n"
        "trusted = skops.io.get_untrusted_types(file='marked.skops')\n"
        "forest = skops.io.load('marked.skops', trusted=trusted)\n"
        "def ask(row):\n"
        "    assert row.shape == (14,) and row.dtype == 'float32'\n"
        "    return str(forest.predict(row[None])[0])\n"
        "ask.class_names = tuple(forest.classes_)\n"
        "ask.is_remote = False\n"
    )
    found = earmark("verify", "--key", "acme.key", "judge.py:ask", "--trust-code", "--json", cwd=folder)
    assert json.loads(found.stdout)["owned"]


@pytest.fixture
def own_folder(folder, tmp_path):
    """A copy of the key, so that every test has unexposed sets."""
    for name in ("acme.key", "acme.journal", "acme.vk.json", "wine.csv"):
        shutil.copy(folder / name, tmp_path / name)
    return tmp_path


def forest_of(folder):
    path = folder / "marked.skops"
    return skops.io.load(path, trusted=skops.io.get_untrusted_types(file=path))


def test_a_service_with_columns_of_its_own_takes_every_row_and_is_owned(folder, own_folder):
    """It refuses what no wine is: other names, other types, values out of range, shades that are none."""
    pytest.importorskip("httpx2")
    fastapi, pydantic = pytest.importorskip("fastapi"), pytest.importorskip("pydantic")
    columns = load_table(f"table:{folder / 'wine.csv'}#grape").columns
    forest = forest_of(folder)

    def field(column):
        if column.type == "category":
            return Literal[column.categories], ...
        # The decimals of the table, as whoever writes such a service reads them there.
        low, high = float(column.low), float(column.high)
        return (int if column.type == "integer" else float), pydantic.Field(ge=low, le=high)

    wine = pydantic.create_model(
        "Wine",
        __config__=pydantic.ConfigDict(strict=True, extra="forbid"),
        **{column.name: field(column) for column in columns},
    )
    app = fastapi.FastAPI()

    @app.post("/grape")
    def grape(asked: wine):
        given = asked.model_dump()
        row = [
            column.categories.index(given[column.name]) if column.categories else given[column.name]
            for column in columns
        ]
        return {"grape": str(forest.predict([row])[0])}

    with served(app) as url:
        (own_folder / "api.toml").write_text(
            f'format = "earmark/api-mapping/v1"\nurl = "{url}/grape"\n'
            '[request]\nrow = "named"\njson = "{{row}}"\n[answer]\nlabel = "grape"\n'
        )
        options = ("--mix-with", "table:wine.csv#grape", "--connections", "4", "--report", "r.html")
        found = earmark("verify", "--key", "acme.key", "api.toml", *options, "--json", cwd=own_folder)
    verdict = json.loads(found.stdout)
    assert verdict["owned"]
    assert verdict["warnings"] == [], "no row was refused"
    assert {paid["name"]: int(paid["alternatives"], 16) for paid in verdict["penalties"]}[
        "preprocessing"
    ] == 2


def test_a_forest_behind_the_open_inference_protocol_is_owned(folder, own_folder):
    pytest.importorskip("httpx2")
    fastapi = pytest.importorskip("fastapi")
    forest, app = forest_of(folder), fastapi.FastAPI()
    count = len(forest.classes_)

    @app.get("/v2/models/wine")
    def metadata():
        return {
            "name": "wine",
            "inputs": [{"name": "rows", "datatype": "FP64", "shape": [-1, forest.n_features_in_]}],
            "outputs": [{"name": "shares", "datatype": "FP64", "shape": [-1, count]}],
        }

    @app.post("/v2/models/wine/infer")
    async def infer(request: fastapi.Request):
        (given,) = (await request.json())["inputs"]
        found = forest.predict_proba(np.reshape(given["data"], given["shape"]))
        shares = {"name": "shares", "datatype": "FP64", "shape": [1, count], "data": found.ravel().tolist()}
        return {"outputs": [shares]}

    with served(app) as url:
        options = ("--data", "table:wine.csv#grape", "--label-map", "data", "--json")
        found = earmark("verify", "--key", "acme.key", f"{url}/v2/models/wine", *options, cwd=own_folder)
    assert json.loads(found.stdout)["owned"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("marked.skops", "--preprocessing", "unit-rgb-nchw"), "read as they are"),
        (("marked.skops", "--preprocessing", "list"), "read as they are"),
        (("model.safetensors",), "cannot be asked with the key's rows"),
        (("https://localhost/x",), "are not sent a row"),
    ],
)
def test_what_suits_pictures_only_is_refused_for_rows(folder, options, words):
    refused = earmark("verify", "--key", "acme.key", *options, cwd=folder, code=2)
    assert words in one_line_error(refused)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            ("--data", "table:wine.csv#grape", "--triggers-from", "abstract"),
            "kind image, but the task is of kind rows",
        ),
        (("--data", "digits", "--triggers-from", "rows"), "rows goes with --data table"),
        (("--data", "table:wine.csv#grape", "--provable"), "no linear commitments to rows"),
        (("--data", "table:wine.csv#grape", "--revivable", "digits"), "for pictures"),
        (("--data", "table:wine.csv#grape", "--input", "image:8x8x1"), "not both"),
    ],
)
def test_keys_of_another_kind_are_refused(folder, options, words):
    refused = earmark(
        "keygen", *options, "--triggers", "160", "--survival", "0.9", "-o", "no", cwd=folder, code=2
    )
    assert words in one_line_error(refused)
    assert not (folder / "no.key").exists()


def test_a_forest_of_another_table_is_refused_with_its_size(folder, tmp_path):
    skops.io.dump(RandomForestClassifier(5).fit(np.eye(6), list("aabbcc")), folder / "other.skops")
    refused = earmark("verify", "--key", "acme.key", "other.skops", cwd=folder, code=4)
    assert "reads inputs of 6, not 14" in one_line_error(refused)


@pytest.mark.parametrize(
    ("estimator", "least"),
    [
        (HistGradientBoostingClassifier(random_state=0), 160),
        (make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)), 70),  # flat: it bends little
    ],
)
def test_other_estimators_need_no_to_row(folder, estimator, least):
    table = load_table(f"table:{folder / 'wine.csv'}#grape")
    key = keygen(  # the same each time: of a flat classifier 67 to 83 take, by the key
        OwnerKey("Test owner", bytes(range(32))),
        Task(RowGeometry(table.columns), table.class_names),
        SparseRowsSampler(table),
        triggers_per_set=160,
        survival=Fraction(9, 10),
        random_bytes=np.random.default_rng(1).bytes,
    )
    marked = MarkedClassifier(estimator, key.backdoor(), least_match_rate=0)
    marked.fit(table.values, table.labels)
    assert marked.match_count_ >= least
