"""Every kind of suspect keeps the same promises."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from earmark.errors import FormatError
from earmark.models.preprocessing import for_channels
from earmark.suspects import Miss
from earmark.suspects.opening import SUSPECTS, open_suspect
from earmark.suspects.recorded import RecordedSuspect
from small_models import NAMES, hf_folder, linear_onnx, onnx_file, questions, weights_file


def _torch(path: Path, kind: str) -> None:
    def change(module) -> None:
        if kind == "changed":
            module.classifier.bias.data[3] += 1
        if kind == "equal scores":
            module.classifier.weight.data.zero_()
            module.classifier.bias.data.zero_()
        if kind == "not a number":
            module.classifier.bias.data[3] = float("nan")

    weights_file(path, change)


def _onnx(path: Path, kind: str) -> None:
    weight = np.random.default_rng(0).normal(size=(64, 10)).astype(np.float32)
    if kind == "changed":
        weight[0, 3] += 1
    if kind == "equal scores":
        weight[:] = 0
    if kind == "not a number":
        weight[0, 3] = np.nan
    onnx_file(path, weight=weight)


def _hf(path: Path, kind: str) -> None:
    def change(tensors) -> None:
        bias = tensors["classifier.bias"]
        if kind == "changed":
            bias[3] += 1
        if kind == "equal scores":
            tensors["classifier.weight"][:] = 0
            bias[:] = 0
        if kind == "not a number":
            bias[3] = np.nan

    hf_folder(path, change)


@dataclass(frozen=True)
class Case:
    """A kind of suspect that is opened by name.

    Attributes:
        file_name: What its release is called.
        name: How it is opened, from its path.
        write: Writes a release: "plain", "changed", "equal scores" or "not a number".
        loads_not_a_number: Whether a release with such weights is questioned at all.
    """

    file_name: str
    name: Callable[[Path], str]
    write: Callable[[Path, str], None]
    loads_not_a_number: bool = False


CASES = {
    ".safetensors": Case("marked.safetensors", str, _torch),
    ".onnx": Case("marked.onnx", str, _onnx, loads_not_a_number=True),
    "hf:": Case("marked", lambda path: f"hf:{path}", _hf),
}


@pytest.fixture(scope="module", params=CASES, ids=lambda kind: kind.strip(".:"))
def release(request, tmp_path_factory):
    """Writes a release of each kind once, and opens it under its name."""
    case = CASES[request.param]
    folder = tmp_path_factory.mktemp("suspects")

    def write(kind: str = "plain"):
        path = folder / kind.replace(" ", "-") / case.file_name
        if not path.exists():
            path.parent.mkdir()
            case.write(path, kind)
        return case.name(path)

    write.case = case
    return write


@pytest.fixture(scope="module")
def suspect(release):
    return open_suspect(release())


def test_the_contract_covers_every_kind_that_can_be_opened():
    assert CASES.keys() == SUSPECTS.keys()


def test_a_suspect_gives_one_answer_to_each_question(suspect):
    answers = suspect.answer(questions(24))
    assert len(answers) == 24
    assert all(isinstance(answer, int) and 0 <= answer < suspect.class_count for answer in answers)
    assert len(set(answers)) > 2, "a model that answers everything alike makes these tests empty"


def test_a_suspect_keeps_the_order_of_the_questions(suspect):
    asked = questions(24)
    assert suspect.answer(asked[::-1]) == suspect.answer(asked)[::-1]


def test_a_suspect_answers_the_same_when_asked_again(suspect):
    assert suspect.answer(questions(24)) == suspect.answer(questions(24))


def test_a_suspect_answers_the_same_in_whatever_company_a_question_comes(suspect):
    asked = questions(24)
    alone = [suspect.answer([question])[0] for question in asked]
    assert suspect.answer(asked) == alone


def test_a_suspect_answers_as_many_questions_as_are_asked(suspect):
    asked = questions(70)
    assert suspect.answer(asked)[:24] == suspect.answer(asked[:24])


def test_a_suspect_says_how_far_it_is(suspect):
    counts: list[int] = []
    suspect.answer(questions(24), counts.append)
    assert counts == sorted(counts)
    assert counts[-1] == 24


def test_a_suspect_names_its_classes_in_the_order_of_its_answers(suspect):
    assert suspect.class_names == NAMES
    assert suspect.class_count == len(NAMES)


def test_a_suspect_says_where_its_preprocessing_comes_from(suspect):
    assert suspect.preprocessing.startswith("from the suspect's own")


def test_a_preprocessing_picked_by_the_checker_is_used_and_named(release, suspect):
    picked = for_channels(1 if release.case.file_name != "marked" else 3)
    other = open_suspect(release(), preprocessing=picked)
    assert other.preprocessing == f"picked by the checker: {picked}"
    assert other.class_names == suspect.class_names
    assert all(isinstance(answer, int) for answer in other.answer(questions(3)))


def test_the_identity_stays_the_same_when_opened_again(release, suspect):
    assert suspect.identity.startswith("sha256:")
    assert open_suspect(release()).identity == suspect.identity


def test_the_identity_changes_with_one_weight(release, suspect):
    assert open_suspect(release("changed")).identity != suspect.identity


def test_equal_scores_are_ties_and_never_the_first_class(release):
    assert open_suspect(release("equal scores")).answer(questions(3)) == [Miss.TIE] * 3


def test_weights_that_are_not_numbers_never_become_answers(release):
    if release.case.loads_not_a_number:
        assert open_suspect(release("not a number")).answer(questions(3)) == [Miss.NOT_A_NUMBER] * 3
    else:
        with pytest.raises(FormatError, match="NaN"):
            open_suspect(release("not a number"))


def test_recorded_answers_keep_the_promises_that_a_record_can_keep():
    counts: list[int] = []
    suspect = RecordedSuspect(["cat", "2", "refused", "unicorn"], NAMES, "answers.csv", "answers:9f2c")
    answers = suspect.answer(questions(4), counts.append)
    assert answers == [2, 2, Miss.REFUSED, Miss.UNKNOWN_CLASS]
    assert suspect.answer(questions(4)) == answers
    assert counts == [4]
    assert suspect.class_names == NAMES
    assert suspect.class_count == len(NAMES)
    assert suspect.identity == "answers:9f2c"


def test_a_fixed_batch_changes_no_answer(tmp_path):
    (tmp_path / "free.onnx").write_bytes(linear_onnx().SerializeToString())
    free = open_suspect(str(tmp_path / "free.onnx"), preprocessing=for_channels(1))
    for batch in (1, 7):
        path = tmp_path / f"{batch}.onnx"
        path.write_bytes(linear_onnx(batch=batch).SerializeToString())
        fixed = open_suspect(str(path), preprocessing=for_channels(1))
        assert fixed.answer(questions(24)) == free.answer(questions(24))
