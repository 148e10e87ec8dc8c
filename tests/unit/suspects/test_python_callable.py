import pytest

from earmark.errors import FormatError, SuspectError
from earmark.suspects import Miss
from earmark.suspects.opening import open_suspect
from earmark.suspects.python_callable import CallableSuspect
from small_models import NAMES, questions


def written(tmp_path, text):
    path = tmp_path / "model.py"
    path.write_text(text)
    return f"{path}:classify"


def opened(tmp_path, text):
    return open_suspect(written(tmp_path, text), trust_code=True)


def test_a_function_may_give_numbers_or_names(tmp_path):
    by_number = opened(
        tmp_path, "def classify(pixels): return int(pixels[0, 0, 0]) % 3\nclassify.class_count = 3"
    )
    assert by_number.class_names is None
    assert by_number.answer(questions(5)) == [int(one[0, 0, 0]) % 3 for one in questions(5)]
    by_name = opened(
        tmp_path,
        "def classify(pixels): return 'b' if pixels[0, 0, 0] > 99 else 'a'\nclassify.class_names = ['a', 'b']",
    )
    assert by_name.class_names == ("a", "b")
    assert by_name.answer(questions(5)) == [int(one[0, 0, 0] > 99) for one in questions(5)]


def test_any_object_that_can_be_called_will_do(tmp_path):
    suspect = opened(
        tmp_path,
        "from dataclasses import dataclass\n"
        "@dataclass\n"
        "class Model:\n"
        "    class_names: tuple\n"
        "    def __call__(self, pixels): return [0.25, 0.75]\n"
        "classify = Model(('a', 'b'))",
    )
    assert suspect.answer(questions(2)) == [1, 1]
    assert suspect.probabilities(questions(2)) == [(0.25, 0.75)] * 2


def test_probabilities_are_taken_as_they_are(tmp_path):
    suspect = opened(tmp_path, "def classify(pixels): return [3, 1]\nclassify.class_count = 2")
    assert suspect.probabilities(questions(1)) == [(3.0, 1.0)]


def test_classes_alone_are_no_probabilities(tmp_path):
    suspect = opened(tmp_path, "def classify(pixels): return 1\nclassify.class_count = 2")
    with pytest.raises(SuspectError, match="answers with classes"):
        suspect.probabilities(questions(1))


def test_refusing_everything_is_an_answer():
    def classify(pixels):
        return None

    classify.class_names = NAMES
    suspect = CallableSuspect(classify, "a callable", "sha256:00")
    assert suspect.answer(questions(2)) == [Miss.REFUSED] * 2
    assert suspect.probabilities(questions(2)) == [Miss.REFUSED] * 2


def test_it_counts_as_one_that_keeps_questions_unless_it_says_otherwise(tmp_path):
    text = "def classify(pixels): return 1\nclassify.class_count = 2\n"
    assert opened(tmp_path, text).is_remote
    assert not opened(tmp_path, text + "classify.is_remote = False").is_remote


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "does not say how many classes"),
        ("classify.class_count = 1", "does not say how many classes"),
        ("classify.class_count = '2'", "does not say how many classes"),
        ("classify.class_count = 1 << 20", "does not say how many classes"),
        ("classify.class_names = 'ab'", "texts"),
        ("classify.class_names = ['a', 2]", "texts"),
        ("classify.class_names = ['a', 'a']", "same name"),
        ("classify.class_names, classify.class_count = ['a', 'b'], 3", "class_count of 3"),
    ],
)
def test_classes_that_are_not_told_are_refused(tmp_path, text, message):
    with pytest.raises(FormatError, match=message):
        opened(tmp_path, f"def classify(pixels): return 1\n{text}")


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(ValueError, match="no callable 'classify'"):
        opened(tmp_path, "classify = 7")
    with pytest.raises(SuspectError, match="cannot be run: invalid syntax|cannot be run"):
        opened(tmp_path, "def classify(:")
    with pytest.raises(FormatError, match="does not exist"):
        open_suspect(f"{tmp_path}/missing.py:classify", trust_code=True)
