import numpy as np
import pytest

from earmark.errors import FormatError, MissingExtraError, SuspectError
from earmark.models.preprocessing import Preprocessing, catalogue, for_channels
from earmark.suspects import Miss, skops_child, skops_scan
from earmark.suspects.opening import open_suspect
from earmark.suspects.skops import SkopsSuspect
from small_models import NAMES, linear_classifier, questions, skops_file

skops_io = pytest.importorskip("skops.io")
RAW = catalogue(1)["raw-rgb-nhwc"]


def classifiers():
    """Every classifier of the list, by its type's name, so that an entry that cannot be loaded shows."""
    from sklearn import (
        calibration,
        discriminant_analysis,
        ensemble,
        linear_model,
        multiclass,
        naive_bayes,
        neighbors,
        neural_network,
        pipeline,
        preprocessing,
        svm,
        tree,
    )

    bayes, stump = naive_bayes.GaussianNB(), tree.DecisionTreeClassifier(max_depth=3)
    made = [
        calibration.CalibratedClassifierCV(svm.LinearSVC(), cv=2),
        discriminant_analysis.LinearDiscriminantAnalysis(),
        discriminant_analysis.QuadraticDiscriminantAnalysis(solver="eigen", shrinkage=0.5),
        ensemble.BaggingClassifier(stump, n_estimators=3, n_jobs=2, max_features=0.5),
        ensemble.ExtraTreesClassifier(3),
        ensemble.RandomForestClassifier(3, n_jobs=2),
        ensemble.StackingClassifier([("a", bayes), ("b", stump)], cv=2),
        ensemble.VotingClassifier([("a", bayes), ("b", stump)], voting="soft"),
        ensemble.AdaBoostClassifier(stump, n_estimators=3),
        linear_model.LogisticRegression(),
        linear_model.LogisticRegressionCV(Cs=2, cv=2),
        linear_model.Perceptron(),
        linear_model.RidgeClassifier(),
        linear_model.RidgeClassifierCV(),
        linear_model.SGDClassifier(loss="log_loss"),
        multiclass.OneVsOneClassifier(svm.LinearSVC()),
        multiclass.OneVsRestClassifier(svm.LinearSVC()),
        naive_bayes.BernoulliNB(binarize=0.5),
        naive_bayes.ComplementNB(),
        bayes,
        naive_bayes.MultinomialNB(),
        neighbors.KNeighborsClassifier(algorithm="brute"),
        neighbors.NearestCentroid(),
        neural_network.MLPClassifier(max_iter=5),
        pipeline.make_pipeline(preprocessing.StandardScaler(), linear_model.LogisticRegression()),
        svm.LinearSVC(),
        svm.NuSVC(nu=0.05),
        svm.SVC(),
        stump,
        tree.ExtraTreeClassifier(max_depth=8),
    ]
    return {f"{type(one).__module__}.{type(one).__name__}": one for one in made}


@pytest.fixture(scope="module")
def digits():
    from sklearn.datasets import load_digits

    inputs, labels = load_digits(return_X_y=True)
    return inputs[:300], labels[:300]


def test_every_classifier_of_the_list_is_tried():
    pytest.importorskip("sklearn")
    assert classifiers().keys() == skops_scan.CLASSIFIERS


@pytest.mark.parametrize("name", sorted(skops_scan.CLASSIFIERS))
@pytest.mark.filterwarnings("ignore")  # trainings too short to converge, and scikit-learn's plans
def test_the_answers_are_what_the_classifier_predicts(digits, name):
    inputs, labels = digits
    classifier = classifiers()[name].fit(inputs, labels)
    data = skops_io.dumps(classifier)
    model = skops_child._load(data, skops_scan.scan(data), 1)
    expected = classifier.predict(inputs[:40])
    scores = [model.scores(one.reshape(1, 8, 8, 1).astype(np.float32)) for one in inputs[:40]]
    clear = [row.argsort()[-1] if np.sum(row == row.max()) == 1 else None for row in scores]
    assert sum(found is not None for found in clear) > 20
    assert all(found in (None, wanted) for found, wanted in zip(clear, expected, strict=True))
    assert model.header()["class_names"] == [str(digit) for digit in range(10)]


@pytest.mark.parametrize(
    "name", ["ensemble._bagging.BaggingClassifier", "ensemble._forest.RandomForestClassifier",
             "neighbors._classification.KNeighborsClassifier", "multiclass.OneVsOneClassifier",
             "calibration.CalibratedClassifierCV"],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore")
def test_what_is_looked_up_at_first_use_is_there_when_no_file_can_be_opened(tmp_path, digits, name):
    classifier = classifiers()[f"sklearn.{name}"].fit(*digits)
    path = skops_file(tmp_path / "m.skops", classifier=classifier, text="")
    suspect = SkopsSuspect(path, preprocessing=RAW)
    answers = suspect.answer([one.reshape(8, 8, 1).astype(np.uint8) for one in digits[0][:10]])
    assert sum(isinstance(answer, int) for answer in answers) > 5
    assert Miss.ERROR not in answers


@pytest.fixture(scope="module")
def silent(tmp_path_factory):
    return skops_file(tmp_path_factory.mktemp("skops") / "silent.skops", text="")


def test_inputs_are_flattened_in_the_order_that_the_preprocessing_makes(tmp_path):
    weight = np.random.default_rng(1).normal(size=(10, 48))

    def make(classifier) -> None:
        classifier.n_features_in_, classifier.coef_ = 48, weight

    path = skops_file(tmp_path / "m.skops", make, text="")
    asked = questions(6, (4, 4, 3))
    expected = {}
    for layout, order in (("NHWC", (0, 1, 2)), ("NCHW", (2, 0, 1))):
        plain = Preprocessing("1", ("0",) * 3, ("1",) * 3, 3, layout=layout)
        expected[layout] = [int((weight @ one.transpose(order).ravel()).argmax()) for one in asked]
        assert SkopsSuspect(path, preprocessing=plain).answer(asked) == expected[layout]
    assert expected["NHWC"] != expected["NCHW"]


def test_nothing_in_scikit_learn_says_how_pixels_become_numbers(silent):
    with pytest.raises(FormatError, match="--preprocessing NAME"):
        open_suspect(str(silent))
    suspect = open_suspect(str(silent), fallback=RAW)
    assert suspect.preprocessing == f"fixed in the transcript: {RAW}"
    assert suspect.class_names == NAMES, "its classes are its own, whoever says how to preprocess"


def test_questions_of_another_size_are_refused_with_both_sizes(silent):
    with pytest.raises(SuspectError, match="reads inputs of 64, not 16"):
        open_suspect(str(silent), fallback=RAW).answer(questions(1, (4, 4, 1)))


def test_probabilities_are_the_logistic_regressions_own(silent):
    asked = questions(5)
    found = open_suspect(str(silent), fallback=for_channels(1)).probabilities(asked)
    inputs = for_channels(1)(np.stack(asked)).reshape(5, -1)
    assert np.allclose(found, linear_classifier().predict_proba(inputs))


def test_two_classes_are_told_apart_by_the_sign_of_the_decision():
    classifier = linear_classifier(NAMES[:2])
    classifier.coef_, classifier.intercept_ = np.ones((1, 64)), np.array([-32.0])
    model = skops_child._Model(classifier, None)
    dark, bright = (model.scores(np.full((1, 8, 8, 1), value, np.float32)) for value in (0, 1))
    assert dark.argmax() == 0
    assert bright.argmax() == 1


def test_a_missing_skops_is_named_with_its_extra(silent, monkeypatch):
    from importlib import util

    find_spec = util.find_spec
    monkeypatch.setattr(util, "find_spec", lambda asked: None if asked == "skops" else find_spec(asked))
    with pytest.raises(MissingExtraError, match="skops") as caught:
        open_suspect(str(silent))
    assert caught.value.extra == "skops"
