import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_iris

from earmark.errors import FormatError, MissingExtraError, SuspectError
from earmark.models.preprocessing import AsTheyAre, catalogue
from earmark.suspects import ubjson, xgboost_child
from earmark.suspects.opening import open_suspect
from earmark.suspects.xgboost import XGBoostSuspect
from earmark.suspects.xgboost_scan import scan
from small_models import questions, xgboost_file

xgboost = pytest.importorskip("xgboost")
INPUTS, LABELS = load_iris(return_X_y=True)
INPUTS = INPUTS.astype(np.float32)
SMALL = {"n_estimators": 5, "max_depth": 3, "n_jobs": 1}


def asked(data: bytes, rows) -> np.ndarray:
    """The probabilities that the child's own code gives, without a process of its own."""
    model = xgboost_child._load(data, scan(data), 1)
    return np.stack([model.scores(row.reshape(1, 1, 1, -1)) for row in rows])


FITTED = {
    "softprob": (xgboost.XGBClassifier(**SMALL), LABELS),
    "softmax": (xgboost.XGBClassifier(objective="multi:softmax", **SMALL), LABELS),
    "two classes": (xgboost.XGBClassifier(**SMALL), (LABELS == 1).astype(int)),
    "dart": (xgboost.XGBClassifier(booster="dart", rate_drop=0.5, **SMALL), LABELS),
    "pruned": (xgboost.XGBClassifier(tree_method="exact", gamma=5, **SMALL), LABELS),
    "forests": (xgboost.XGBClassifier(num_parallel_tree=3, subsample=0.5, **SMALL), LABELS),
    "no trees at all": (xgboost.XGBClassifier(**SMALL | {"max_depth": 1, "gamma": 1e6}), LABELS),
}  # fmt: skip


@pytest.mark.parametrize("form", ["ubj", "json"])
@pytest.mark.parametrize("kind", FITTED)
def test_the_scores_are_the_classifiers_own(kind, form):
    estimator, labels = FITTED[kind]
    fitted = estimator.fit(INPUTS, labels)
    data = bytes(fitted.get_booster().save_raw(form))
    assert np.allclose(asked(data, INPUTS[::7]), fitted.predict_proba(INPUTS[::7]), atol=1e-6)


def test_a_training_that_stopped_early_answers_as_its_own_classifier_does():
    fitted = xgboost.XGBClassifier(n_estimators=60, n_jobs=1, early_stopping_rounds=1)
    fitted.fit(INPUTS[::2], LABELS[::2], eval_set=[(INPUTS[1::2], LABELS[1::2])], verbose=False)
    assert fitted.best_iteration + 1 < fitted.get_booster().num_boosted_rounds()
    found = asked(bytes(fitted.get_booster().save_raw("ubj")), INPUTS)
    assert np.allclose(found, fitted.predict_proba(INPUTS), atol=1e-6)


def test_splits_by_categories_are_read():
    rows = np.random.default_rng(0).integers(0, 5, (200, 3)).astype(np.float32)
    labels = (rows[:, 0] % 2 + (rows[:, 1] > 2)).astype(int)
    fitted = xgboost.XGBClassifier(feature_types=["c", "c", "q"], enable_categorical=True, **SMALL)
    fitted.fit(rows, labels)
    data = bytes(fitted.get_booster().save_raw("ubj"))
    assert b"categories_nodes[$l#L\0\0\0\0\0\0\0\1" in data or np.any(
        [
            tree["split_type"].any()
            for tree in ubjson.read(data)["learner"]["gradient_booster"]["model"]["trees"]
        ]
    )
    assert np.allclose(asked(data, rows), fitted.predict_proba(rows), atol=1e-6)


def test_a_file_is_questioned_in_its_process(tmp_path):
    fitted = xgboost.XGBClassifier(**SMALL).fit(INPUTS, LABELS)
    for name in ("model.ubj", "model.json"):
        fitted.save_model(tmp_path / name)
        prefix = "xgboost:" if name.endswith("json") else ""
        suspect = open_suspect(f"{prefix}{tmp_path / name}", fallback=AsTheyAre())
        assert suspect.answer(list(INPUTS[::7])) == fitted.predict(INPUTS[::7]).tolist()
        assert suspect.class_names is None
        assert suspect.class_count == 3
        assert suspect.preprocessing.startswith("inputs that need none")


def test_pictures_are_read_flattened(tmp_path):
    images, labels = load_digits(return_X_y=True)
    fitted = xgboost.XGBClassifier(**SMALL).fit(images[:400], labels[:400])
    fitted.save_model(tmp_path / "digits.ubj")
    suspect = XGBoostSuspect(tmp_path / "digits.ubj", preprocessing=catalogue(1)["raw-rgb-nhwc"])
    pictures = [row.reshape(8, 8, 1).astype(np.uint8) for row in images[400:430]]
    assert suspect.answer(pictures) == fitted.predict(images[400:430]).tolist()
    with pytest.raises(SuspectError, match="reads inputs of 64, not 16"):
        suspect.answer(questions(1, (4, 4, 1)))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"objective": "reg:squarederror"}, "objective is 'reg:squarederror'"),
        ({"objective": "rank:ndcg"}, "objective is 'rank:ndcg'"),
        ({"objective": "count:poisson"}, "objective is 'count:poisson'"),
        ({"objective": "binary:logitraw"}, "objective is 'binary:logitraw'"),
    ],
)
def test_what_is_no_classifier_is_refused_with_its_objective(options, words):
    data = xgboost.DMatrix(INPUTS, (LABELS == 1).astype(int))
    if options["objective"].startswith("rank"):
        data.set_group([len(INPUTS)])
    booster = xgboost.train({"nthread": 1, **options}, data, 1)
    with pytest.raises(FormatError, match=words):
        scan(bytes(booster.save_raw("ubj")))


@pytest.mark.filterwarnings("ignore")  # gblinear is on its way out
def test_other_boosters_are_refused():
    data = xgboost.DMatrix(INPUTS, LABELS)
    options = {"objective": "multi:softprob", "num_class": 3, "nthread": 1}
    linear = xgboost.train({**options, "booster": "gblinear"}, data, 1)
    with pytest.raises(FormatError, match="booster is 'gblinear'"):
        scan(bytes(linear.save_raw("ubj")))
    vectors = xgboost.train({**options, "multi_strategy": "multi_output_tree"}, data, 1)
    with pytest.raises(FormatError, match="several values in a leaf"):
        scan(bytes(vectors.save_raw("ubj")))


def test_what_stands_in_the_attribute_names_classes_and_preprocessing(tmp_path):
    suspect = open_suspect(str(xgboost_file(tmp_path / "m.ubj")))
    assert suspect.class_names[0] == "ant"
    silent = xgboost_file(tmp_path / "silent.ubj", text="")
    with pytest.raises(FormatError, match="--preprocessing NAME"):
        open_suspect(str(silent))


def test_the_old_binary_form_is_refused_with_what_to_do():
    with pytest.raises(FormatError, match=r"save it again with a newer XGBoost, as \.ubj"):
        scan(b"binf" + bytes(100))


def test_what_the_writer_wrote_the_reader_reads():
    value = {
        "a": [1, -2, "three", {"b": []}],
        "floats": np.array([1.5, -0.0, np.inf], np.float32),
        "bytes": np.array([0, 255], np.uint8),
        "long": np.array([1 << 40], np.int64),
        "half": 0.5,
    }
    found = ubjson.read(ubjson.write(value))
    assert found["a"] == value["a"]
    assert found["half"] == 0.5
    for name in ("floats", "bytes", "long"):
        assert np.array_equal(found[name], value[name])


def test_both_forms_of_one_model_are_read_alike():
    booster = xgboost.XGBClassifier(**SMALL).fit(INPUTS, LABELS).get_booster()
    parsed = json.loads(bytes(booster.save_raw("json")))
    binary = ubjson.read(bytes(booster.save_raw("ubj")))
    trees = [model["learner"]["gradient_booster"]["model"]["trees"] for model in (parsed, binary)]
    for one, other in zip(*trees, strict=True):
        assert np.allclose(one["split_conditions"], other["split_conditions"])
        assert one["left_children"] == other["left_children"].tolist()


def test_a_missing_xgboost_is_named_with_its_extra(tmp_path, monkeypatch):
    from importlib import util

    path = Path(tmp_path / "m.ubj")
    path.write_bytes(b"")
    find_spec = util.find_spec
    monkeypatch.setattr(util, "find_spec", lambda asked: None if asked == "xgboost" else find_spec(asked))
    with pytest.raises(MissingExtraError, match=r"pip install 'earmark\[xgboost\]'") as caught:
        open_suspect(str(path))
    assert caught.value.extra == "xgboost"
