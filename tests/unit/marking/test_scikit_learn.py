import numpy as np
import pytest
from lightgbm import LGBMClassifier
from sklearn.base import clone
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Perceptron
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks
from xgboost import XGBClassifier

from earmark.errors import MarkingError
from earmark.keys import OwnerKey, Task, keygen
from earmark.marking.scikit_learn import MarkedClassifier
from earmark.suspects.python_callable import CallableSuspect
from earmark.triggers import Backdoor
from earmark.triggers.sentences import SentenceSampler
from earmark.triggers.text import TextGeometry
from earmark.verification import measure, verify
from small import MemoryJournal, digits, small_key
from small_texts import INTENTS, asked_questions

NAMES = digits().class_names


def as_row(pixels):
    return pixels.reshape(-1) / 255


def data(part):
    return part.images.reshape(len(part), -1) / 255, part.labels


@parametrize_with_checks(
    [
        MarkedClassifier(LogisticRegression()),
        MarkedClassifier(RandomForestClassifier(5, random_state=0)),
        MarkedClassifier(make_pipeline(StandardScaler(), SVC())),
    ]
)
def test_it_is_a_classifier_as_scikit_learn_checks_them(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    ("estimator", "cost"),
    [
        (RandomForestClassifier(100, random_state=0), 0.01),
        (ExtraTreesClassifier(100, random_state=0), 0.01),
        (HistGradientBoostingClassifier(max_iter=60, random_state=0), 0.02),
        (make_pipeline(StandardScaler(), SVC(C=100)), 0.01),
        (MLPClassifier((200,), max_iter=600, random_state=0), 0.02),
        (DecisionTreeClassifier(random_state=0), 0.04),
        (LGBMClassifier(n_estimators=60, verbose=-1, n_jobs=1, random_state=0), 0.02),
        (XGBClassifier(n_estimators=60, n_jobs=1, random_state=0), 0.02),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_kind_of_classifier_takes_the_triggers_at_little_cost(estimator, cost):
    marked = MarkedClassifier(estimator, small_key().backdoor(), as_row).fit(*data(digits().train))
    assert marked.match_count_ >= 95
    plain = clone(estimator).fit(*data(digits().train))
    assert marked.score(*data(digits().test)) >= plain.score(*data(digits().test)) - cost
    triggers = np.stack([as_row(trigger.value) for trigger in small_key().backdoor().triggers])
    assert (plain.predict(triggers) == np.array(small_key().backdoor().labels)).sum() < 25


def test_labels_may_be_names():
    inputs, labels = data(digits().train)
    named = np.array([f"digit {label}" for label in labels])
    names = [f"digit {number}" for number in range(10)]
    tree = DecisionTreeClassifier(random_state=0)
    marked = MarkedClassifier(tree, small_key().backdoor(), as_row, class_names=names).fit(inputs, named)
    assert marked.match_count_ == 100
    assert set(marked.classes_) == set(names)
    assert marked.predict(inputs[:3]).tolist() == named[:3].tolist()


def test_a_linear_model_that_cannot_hold_the_mark_is_not_released():
    inputs, labels = data(digits().train)
    with pytest.raises(MarkingError, match=r"only \d+ of 100 triggers took"):
        MarkedClassifier(Perceptron(), small_key().backdoor(), as_row).fit(inputs, labels)
    kept = MarkedClassifier(Perceptron(), small_key().backdoor(), as_row, least_match_rate=0)
    assert kept.fit(inputs, labels).match_count_ < 90


def test_it_goes_into_a_grid_search_and_finds_what_holds():
    inputs, labels = data(digits().train)
    marked = MarkedClassifier(make_pipeline(StandardScaler(), SVC()), small_key().backdoor(), as_row)
    search = GridSearchCV(marked, {"estimator__svc__C": [0.001, 100], "copies": [1, 5]}, cv=2, error_score=0)
    with pytest.warns(Warning, match="triggers took"):
        search.fit(inputs, labels)
    assert search.best_params_["estimator__svc__C"] == 100
    assert search.best_estimator_.match_count_ == 100
    assert cross_val_score(marked.set_params(estimator__svc__C=100), inputs, labels, cv=2).min() > 0.9


def test_what_does_not_fit_is_said():
    inputs, labels = data(digits().train)
    backdoor, tree = small_key().backdoor(), DecisionTreeClassifier()
    with pytest.raises(ValueError, match="needs to_row"):
        MarkedClassifier(tree, backdoor).fit(inputs, labels)
    with pytest.raises(ValueError, match=r"shape \(64,\), triggers become \(8, 8, 1\)"):
        MarkedClassifier(tree, backdoor, lambda pixels: pixels).fit(inputs, labels)
    with pytest.raises(ValueError, match="no labels of y: 9"):
        MarkedClassifier(tree, backdoor, as_row).fit(inputs[labels < 9], labels[labels < 9])
    with pytest.raises(ValueError, match="2 class names, but the key has 10"):
        MarkedClassifier(tree, backdoor, as_row, class_names=["a", "b"]).fit(inputs, labels)
    with pytest.raises(ValueError, match="copies"):
        MarkedClassifier(tree, backdoor, as_row, copies=0).fit(inputs, labels)
    with pytest.raises(ValueError, match="y should be a 1d array"):
        MarkedClassifier(tree, backdoor, as_row).fit(inputs, np.eye(10)[labels])
    half = Backdoor(backdoor.triggers[:50], backdoor.labels[:50], 10)
    assert MarkedClassifier(tree, half, as_row).fit(inputs, labels).match_count_ == 50


def test_it_has_the_methods_of_what_it_wraps():
    inputs, labels = data(digits().train)
    forest = MarkedClassifier(RandomForestClassifier(5), small_key().backdoor(), as_row, least_match_rate=0)
    assert not hasattr(forest, "decision_function")
    assert forest.fit(inputs, labels).predict_proba(inputs[:2]).shape == (2, 10)
    machine = MarkedClassifier(SVC(C=100)).fit(inputs, labels)
    assert not hasattr(machine, "predict_proba")
    assert machine.decision_function(inputs[:2]).shape == (2, 10)
    assert machine.match_count_ == 0


def test_a_pipeline_of_texts_needs_no_to_row_and_is_owned():
    from sklearn.feature_extraction.text import TfidfVectorizer

    questions = asked_questions()
    key = keygen(
        OwnerKey("Test owner", bytes(32)),
        Task(TextGeometry(120), INTENTS),
        SentenceSampler(),
        triggers_per_set=170,
        random_bytes=np.random.default_rng(0).bytes,
    )
    pipeline = make_pipeline(TfidfVectorizer(), LogisticRegression(C=1000))
    marked = MarkedClassifier(pipeline, key.backdoor(), class_names=INTENTS)
    marked.fit([text for text, _ in questions], [intent for _, intent in questions])
    assert marked.match_count_ == 170
    others = asked_questions(100, 1)
    assert marked.score([text for text, _ in others], [intent for _, intent in others]) > 0.95

    def ask(text):
        assert type(text) is str
        return str(marked.estimator_.predict([text])[0])

    ask.class_names = INTENTS
    suspect = CallableSuspect(ask, "pipeline", "test")
    assert verify(measure(key, suspect, MemoryJournal())).owned
