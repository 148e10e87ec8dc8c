from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_iris

from earmark.errors import FormatError, MissingExtraError
from earmark.models.preprocessing import AsTheyAre, catalogue
from earmark.suspects import lightgbm_child
from earmark.suspects.lightgbm import LightGBMSuspect
from earmark.suspects.lightgbm_scan import scan
from earmark.suspects.opening import open_suspect
from small_models import lightgbm_file

lightgbm = pytest.importorskip("lightgbm")
INPUTS, LABELS = load_iris(return_X_y=True)
INPUTS = INPUTS.astype(np.float32)
SMALL = {"n_estimators": 5, "num_leaves": 6, "n_jobs": 1, "verbose": -1, "min_child_samples": 5}


def fit(labels=LABELS, inputs=INPUTS, **options):
    return lightgbm.LGBMClassifier(**SMALL | options).fit(inputs, labels)


def asked(text: str, rows) -> np.ndarray:
    """The probabilities that the child's own code gives, without a process of its own."""
    data = text.encode()
    model = lightgbm_child._load(data, scan(data), 1)
    return np.stack([model.scores(row.reshape(1, 1, 1, -1)) for row in rows])


@pytest.mark.parametrize(
    ("options", "labels"),
    [
        ({}, LABELS),
        ({}, (LABELS == 1).astype(int)),
        ({"sigmoid": 0.5}, (LABELS == 1).astype(int)),
        ({"boosting_type": "dart"}, LABELS),
        ({"boosting_type": "rf", "subsample": 0.5, "subsample_freq": 1}, LABELS),
        ({"min_child_samples": 100}, LABELS),  # trees of one leaf
        ({"zero_as_missing": True}, LABELS),
    ],
)
@pytest.mark.filterwarnings("ignore")  # LightGBM's word on names of features
def test_the_scores_are_the_classifiers_own(options, labels):
    fitted = fit(labels, **options)
    found = asked(fitted.booster_.model_to_string(), INPUTS[::7])
    assert np.allclose(found, fitted.predict_proba(INPUTS[::7]))


@pytest.mark.filterwarnings("ignore")
def test_one_against_all_answers_as_its_own_classifier_does():
    fitted = fit(objective="multiclassova")
    found = asked(fitted.booster_.model_to_string(), INPUTS)
    assert np.allclose(found.sum(1), 1)
    assert found.argmax(1).tolist() == fitted.predict(INPUTS).tolist()


@pytest.mark.filterwarnings("ignore")
def test_splits_by_categories_are_read():
    rows = np.random.default_rng(0).integers(0, 40, (400, 3)).astype(np.float32)
    labels = (rows[:, 0] % 2 + (rows[:, 1] % 3 > 1)).astype(int)
    fitted = lightgbm.LGBMClassifier(**SMALL).fit(rows, labels, categorical_feature=[0, 1])
    text = fitted.booster_.model_to_string()
    assert "cat_threshold=" in text
    assert np.allclose(asked(text, rows), fitted.predict_proba(rows))


@pytest.mark.filterwarnings("ignore")
def test_a_file_is_questioned_in_its_process(tmp_path):
    fitted = fit()
    fitted.booster_.save_model(tmp_path / "model.txt")
    suspect = open_suspect(str(tmp_path / "model.txt"), fallback=AsTheyAre())
    assert suspect.answer(list(INPUTS[::7])) == fitted.predict(INPUTS[::7]).tolist()
    assert suspect.class_names is None
    assert suspect.class_count == 3


@pytest.mark.filterwarnings("ignore")
def test_pictures_are_read_flattened(tmp_path):
    images, labels = load_digits(return_X_y=True)
    fitted = fit(labels[:400], images[:400])
    fitted.booster_.save_model(tmp_path / "digits.txt")
    suspect = LightGBMSuspect(tmp_path / "digits.txt", preprocessing=catalogue(1)["raw-rgb-nhwc"])
    pictures = [row.reshape(8, 8, 1).astype(np.uint8) for row in images[400:430]]
    assert suspect.answer(pictures) == fitted.predict(images[400:430]).tolist()


@pytest.mark.parametrize("objective", ["regression", "lambdarank", "poisson", "cross_entropy"])
def test_what_is_no_classifier_is_refused_with_its_objective(objective):
    data = lightgbm.Dataset(
        INPUTS, (LABELS == 1).astype(int), group=[50] * 3 if "rank" in objective else None
    )
    booster = lightgbm.train({"objective": objective, "num_threads": 1, "verbosity": -1}, data, 1)
    with pytest.raises(FormatError, match=f"objective is '{objective}'"):
        scan(booster.model_to_string().encode())


def test_trees_with_linear_models_in_their_leaves_are_refused():
    options = {"objective": "binary", "linear_tree": True, "num_threads": 1, "verbosity": -1}
    booster = lightgbm.train(options, lightgbm.Dataset(INPUTS, (LABELS == 1).astype(int)), 2)
    with pytest.raises(FormatError, match="linear models"):
        scan(booster.model_to_string().encode())


def test_what_stands_in_the_line_names_classes_and_preprocessing_and_lightgbm_reads_over_it(tmp_path):
    path = lightgbm_file(tmp_path / "m.txt")
    assert open_suspect(str(path)).class_names[0] == "ant"
    assert lightgbm.Booster(model_file=path).num_trees() == 30
    with pytest.raises(FormatError, match="--preprocessing NAME"):
        open_suspect(str(lightgbm_file(tmp_path / "silent.txt", text="")))


def test_nothing_of_the_parameters_reaches_lightgbm(tmp_path):
    path = lightgbm_file(tmp_path / "m.txt", lambda text: text.replace("[data: ]", "[data: /etc/passwd]"))
    assert "[data: /etc/passwd]" in path.read_text()
    written = scan(path.read_bytes()).model
    assert "passwd" not in written
    assert "parameters" not in written


def test_a_missing_lightgbm_is_named_with_its_extra(tmp_path, monkeypatch):
    from importlib import util

    path = Path(tmp_path / "m.txt")
    path.write_bytes(b"")
    find_spec = util.find_spec
    monkeypatch.setattr(util, "find_spec", lambda asked: None if asked == "lightgbm" else find_spec(asked))
    with pytest.raises(MissingExtraError, match=r"pip install 'earmark\[lightgbm\]'") as caught:
        open_suspect(str(path))
    assert caught.value.extra == "lightgbm"
