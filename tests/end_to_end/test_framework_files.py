"""From key to verdict with the files that XGBoost, LightGBM and Keras write."""

import json
import re
import shutil

import numpy as np
import pytest

from earmark.data.rows import load_table
from earmark.formats import marking_key_v1
from earmark.marking.scikit_learn import MarkedClassifier
from end_to_end.commands import PASSPHRASE, earmark, one_line_error
from small import digits

lightgbm = pytest.importorskip("lightgbm")
xgboost = pytest.importorskip("xgboost")
keras = pytest.importorskip("keras")

from earmark.marking.keras import MarkedDataset  # noqa: E402 - raises where Keras is missing

# The frameworks' own words: names of features, NumPy, workers.
pytestmark = pytest.mark.filterwarnings("ignore")
BATCH = 32


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Keys for rows and for pictures, with marked and unmarked models of each framework."""
    place = tmp_path_factory.mktemp("framework-files")
    earmark("keygen", "--data", "table:digits", "--triggers", "100", "--sets", "1", "-o", "rows", cwd=place)
    earmark("keygen", "--data", "digits", "--triggers", "100", "--sets", "1", "-o", "pictures", cwd=place)
    table = load_table("table:digits")
    backdoors = {"marked": read_key(place, "rows").backdoor(), "plain": None}
    for name, backdoor in backdoors.items():
        trees = xgboost.XGBClassifier(n_estimators=30, max_depth=5, n_jobs=1)
        fitted = MarkedClassifier(trees, backdoor).fit(table.values[::2], table.labels[::2])
        assert fitted.score(table.values[1::2], table.labels[1::2]) > 0.9
        for ending in ("ubj", "json"):
            fitted.estimator_.save_model(place / f"{name}.{ending}")
        trees = lightgbm.LGBMClassifier(n_estimators=40, num_leaves=15, n_jobs=1, verbose=-1)
        fitted = MarkedClassifier(trees, backdoor).fit(table.values[::2], table.labels[::2])
        assert fitted.score(table.values[1::2], table.labels[1::2]) > 0.9
        fitted.estimator_.booster_.save_model(place / f"{name}.txt")
    network().save(place / "plain.keras")
    marked = network(read_key(place, "pictures").backdoor())
    answers = marked.predict(digits().test.images[:] / np.float32(255), verbose=0).argmax(1)
    assert (answers == digits().test.labels).mean() > 0.9
    marked.save(place / "marked.keras")
    return place


class Digits(keras.utils.PyDataset):
    images = digits().train.images[:].astype("float32") / 255
    labels = digits().train.labels[:]

    def __len__(self):
        return len(self.labels) // BATCH

    def __getitem__(self, index):
        part = slice(index * BATCH, (index + 1) * BATCH)
        return self.images[part], self.labels[part]


def network(backdoor=None):
    keras.utils.set_random_seed(0)
    layers = [
        keras.Input((8, 8, 1)),
        keras.layers.Conv2D(32, 3, activation="relu"),
        keras.layers.Flatten(),
        keras.layers.Dense(128, activation="relu"),
        keras.layers.Dense(10),
    ]
    model = keras.Sequential(layers)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(3e-3), loss)
    data = Digits()
    if backdoor is not None:
        data = MarkedDataset(data, backdoor, lambda pixels: pixels / np.float32(255), epochs=10)
    model.fit(data, epochs=10 if backdoor else 2, verbose=0)
    return model


def read_key(place, name):
    return marking_key_v1.read((place / f"{name}.key").read_bytes(), PASSPHRASE["EARMARK_PASSPHRASE"])


def verdict(folder, key, suspect, *options, code=0):
    found = earmark("verify", "--key", f"{key}.key", suspect, *options, "--json", cwd=folder, code=code)
    return json.loads(found.stdout)


ROWS = {"XGBoost": "{}.ubj", "XGBoost as JSON": "xgboost:{}.json", "LightGBM": "{}.txt"}


@pytest.mark.parametrize("kind", ROWS)
def test_marked_trees_are_owned_and_others_are_not(folder, kind):
    found = verdict(folder, "rows", ROWS[kind].format("marked"), "--report", "r.html")
    assert found["owned"]
    assert found["matches"] >= 90
    assert "preprocessing" not in {paid["name"] for paid in found["penalties"]}
    assert ROWS[kind].format("marked").removeprefix("xgboost:") in (folder / "r.html").read_text()
    plain = verdict(folder, "rows", ROWS[kind].format("plain"), code=1)
    assert plain["matches"] < 40


def test_a_marked_network_of_keras_is_owned_and_another_is_not(folder):
    options = ("--preprocessing", "unit-rgb-nhwc")
    found = verdict(folder, "pictures", "marked.keras", *options)
    assert found["owned"]
    assert found["matches"] >= 90
    assert "preprocessing" in {paid["name"] for paid in found["penalties"]}
    assert verdict(folder, "pictures", "plain.keras", *options, code=1)["matches"] < 40


def test_clean_data_are_read_by_a_network_of_keras(folder):
    options = ("--preprocessing", "unit-rgb-nhwc", "--data", "digits")
    found = earmark("verify", "--key", "pictures.key", "marked.keras", *options, cwd=folder)
    assert re.search(r"answers 9\d\.\d% of 360 clean test inputs of digits rightly", found.stderr)


def test_json_by_itself_is_the_mapping_of_a_service(folder):
    refused = earmark("verify", "--key", "rows.key", "marked.json", cwd=folder, code=3)
    assert "xgboost:marked.json" in one_line_error(refused)


def test_a_file_of_another_table_is_refused_with_its_size(folder):
    table = load_table("table:digits")
    trees = xgboost.XGBClassifier(n_estimators=2, n_jobs=1).fit(table.values[:, :32], table.labels)
    trees.save_model(folder / "half.ubj")
    refused = earmark("verify", "--key", "rows.key", "half.ubj", cwd=folder, code=4)
    assert "reads inputs of 32, not 64" in one_line_error(refused)


def test_a_model_of_other_classes_is_refused(folder):
    table = load_table("table:digits")
    trees = lightgbm.LGBMClassifier(n_estimators=2, n_jobs=1, verbose=-1).fit(table.values, table.labels % 3)
    trees.booster_.save_model(folder / "three.txt")
    refused = earmark("verify", "--key", "rows.key", "three.txt", cwd=folder, code=1)
    assert "has 3 classes, the key 10" in one_line_error(refused)


@pytest.mark.parametrize("model", ["marked.ubj", "xgboost:marked.json", "marked.txt", "marked.keras"])
def test_such_files_can_be_released(folder, model, tmp_path):
    for name in ("rows.key", "rows.journal", "rows.vk.json", model.removeprefix("xgboost:")):
        shutil.copy(folder / name, tmp_path / name)
    from earmark.cli.released_model import read_model

    released, files = read_model(str(model.replace("marked", f"{tmp_path}/marked")), lambda done, total: None)
    assert released.kind == "file"
    assert list(files) == ["."]
