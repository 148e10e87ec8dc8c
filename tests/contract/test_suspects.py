"""Every kind of suspect keeps the same promises."""

import json
import re
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from earmark.errors import FormatError
from earmark.models.preprocessing import for_channels
from earmark.suspects import Miss, ScoringSuspect
from earmark.suspects.http import Terms
from earmark.suspects.opening import SUSPECTS, open_suspect
from earmark.suspects.recorded import RecordedSuspect
from loopback import classifier_app, served
from small_models import (
    NAMES,
    callable_file,
    exported_file,
    hf_folder,
    keras_file,
    lightgbm_file,
    linear_onnx,
    onnx_file,
    questions,
    skops_file,
    weights_file,
    xgboost_file,
)

SERVERS = ExitStack()


def _change_network(module, kind: str) -> None:
    if kind == "changed":
        module.classifier.bias.data[3] += 1
    if kind == "equal scores":
        module.classifier.weight.data.zero_()
        module.classifier.bias.data.zero_()
    if kind == "not a number":
        module.classifier.bias.data[3] = float("nan")


def _torch(path: Path, kind: str) -> None:
    weights_file(path, lambda module: _change_network(module, kind))


def _exported(path: Path, kind: str) -> None:
    exported_file(path, lambda module: _change_network(module, kind))


def _skops(path: Path, kind: str) -> None:
    def change(classifier) -> None:
        if kind == "changed":
            classifier.intercept_[3] += 1
        if kind == "equal scores":
            classifier.coef_[:] = 0
            classifier.intercept_[:] = 0
        if kind == "not a number":
            classifier.intercept_[3] = np.nan

    skops_file(path, change)


def _xgboost(path: Path, kind: str) -> None:
    def change(model) -> None:
        learner = model["learner"]
        booster = learner["gradient_booster"]["model"]
        for group, tree in zip(booster["tree_info"], booster["trees"], strict=True):
            for node, child in enumerate(tree["left_children"]):
                if child == -1 and kind == "equal scores":
                    tree["split_conditions"][node] = 0.0
                if child == -1 and kind == "not a number" and group == 3:
                    tree["split_conditions"][node] = float("nan")
        if kind == "changed":
            booster["trees"][3]["split_conditions"][-1] += 1
        if kind == "equal scores":
            learner["learner_model_param"]["base_score"] = str([0] * 10).replace(" ", "")

    xgboost_file(path, change)


def _lightgbm(path: Path, kind: str) -> None:
    def change(text: str) -> str:
        if kind == "equal scores":
            return re.sub(
                r"leaf_value=(.*)", lambda line: "leaf_value=" + " ".join("0" for _ in line[1].split()), text
            )
        if kind in ("changed", "not a number"):
            value = "nan" if kind == "not a number" else "7"
            return re.sub(
                r"(\nTree=3\n(?:.*\n)*?leaf_value=).*", lambda line: line[1] + spread(line[0], value), text
            )
        return text

    def spread(tree: str, value: str) -> str:
        return " ".join(value for _ in tree.rpartition("=")[2].split())

    lightgbm_file(path, change)


def _keras(path: Path, kind: str) -> None:
    def change(config, weights) -> None:
        kernel, bias = weights["layers/dense/vars/0"], weights["layers/dense/vars/1"]
        if kind == "changed":
            bias[3] += 1
        if kind == "equal scores":
            kernel[...] = 0
            bias[...] = 0
        if kind == "not a number":
            bias[3] = np.nan

    keras_file(path, change)


def _callable(path: Path, kind: str) -> None:
    changes = {
        "plain": "",
        "changed": "weight[0, 3] += 1",
        "equal scores": "weight[:] = 0",
        "not a number": "weight[0, 3] = np.nan",
    }
    callable_file(path, changes[kind])


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


@cache
def service(kind: str) -> str:
    """The address of a service whose model is of that kind; it ends with the tests."""
    pytest.importorskip("fastapi")
    weight = np.random.default_rng(0).normal(size=(64, 10))
    if kind == "changed":
        weight[0, 3] += 1
    if kind == "equal scores":
        weight[:] = 0
    if kind == "not a number":
        weight[0, 3] = np.nan
    app = classifier_app(lambda pixels: pixels.reshape(-1) / 255 @ weight, NAMES, top=10)
    return SERVERS.enter_context(served(app))


def _toml(path: Path, kind: str) -> None:
    path.write_text(
        f"""format = "earmark/api-mapping/v1"
url = "{service(kind)}/predict/json"
[request]
picture = "png"
json = {{image = "data:image/png;base64,{{{{picture}}}}"}}
[answer]
labels = "predictions[*].class"
scores = "predictions[*].confidence"
classes = {json.dumps(NAMES)}
"""
    )


def _json(path: Path, kind: str) -> None:
    request = {"picture": "png", "json": {"image": "{{picture}}"}}
    answers = {"labels": "predictions[*].class", "scores": "predictions[*].confidence", "classes": NAMES}
    url = f"{service(kind)}/predict/json"
    path.write_text(
        json.dumps({"format": "earmark/api-mapping/v1", "url": url, "request": request, "answer": answers})
    )


def _address(path: Path, kind: str) -> None:
    path.write_text(f"{service(kind)}/models/acme/digits")


@dataclass(frozen=True)
class Case:
    """A kind of suspect that is opened by name.

    Attributes:
        file_name: What its release is called.
        name: How it is opened, from its path.
        write: Writes a release: "plain", "changed", "equal scores" or "not a number".
        loads_not_a_number: Whether a release with such weights is questioned at all.
        is_code: Whether it is opened only when code is trusted.
        picks_preprocessing: Whether a checker can pick its preprocessing, and of how many channels.
        layout: Of that preprocessing.
        is_service: Whether it is named by where it is, and not by its bytes.
    """

    file_name: str
    name: Callable[[Path], str]
    write: Callable[[Path, str], None]
    loads_not_a_number: bool = False
    is_code: bool = False
    picks_preprocessing: int | None = 1
    layout: str = "NCHW"
    is_service: bool = False


CASES = {
    ".safetensors": Case("marked.safetensors", str, _torch),
    ".onnx": Case("marked.onnx", str, _onnx, loads_not_a_number=True),
    ".skops": Case("marked.skops", str, _skops, loads_not_a_number=True),
    ".ubj": Case("marked.ubj", str, _xgboost, loads_not_a_number=True),
    "xgboost:": Case("marked.json", lambda path: f"xgboost:{path}", _xgboost, loads_not_a_number=True),
    ".txt": Case("marked.txt", str, _lightgbm, loads_not_a_number=True),
    ".keras": Case("marked.keras", str, _keras, loads_not_a_number=True, layout="NHWC"),
    "hf:": Case("marked", lambda path: f"hf:{path}", _hf, picks_preprocessing=3),
    ".pt2": Case("marked.pt2", str, _exported, loads_not_a_number=True, is_code=True),
    ".py:": Case(
        "marked.py",
        lambda path: f"{path}:classify",
        _callable,
        loads_not_a_number=True,
        is_code=True,
        picks_preprocessing=None,
    ),
    ".toml": Case("service.toml", str, _toml, True, picks_preprocessing=None, is_service=True),
    ".json": Case("service.json", str, _json, True, picks_preprocessing=None, is_service=True),
    "http://": Case("address", Path.read_text, _address, True, picks_preprocessing=None, is_service=True),
}
# Served by the same function; a certificate is another matter (tests/adversary/test_hostile_services.py).
ALIKE = {"https://": "http://"}


@pytest.fixture(scope="module", params=CASES, ids=lambda kind: kind.strip(".:"))
def release(request, tmp_path_factory):
    """Writes a release of each kind once, and opens it."""
    case = CASES[request.param]
    folder = tmp_path_factory.mktemp("suspects")

    def write(kind: str = "plain"):
        path = folder / kind.replace(" ", "-") / case.file_name
        if not path.exists():
            path.parent.mkdir()
            case.write(path, kind)
        return case.name(path)

    def opened(kind: str = "plain", **options):
        if case.is_service:
            options["terms"] = Terms(class_names=NAMES)
        if case.is_code:
            options["trust_code"] = True
        return open_suspect(write(kind), **options)

    opened.case, opened.write = case, write
    yield opened
    SERVERS.close()
    service.cache_clear()


@pytest.fixture(scope="module")
def suspect(release):
    return release()


def test_the_contract_covers_every_kind_that_can_be_opened():
    assert CASES.keys() | ALIKE.keys() == SUSPECTS.keys()
    assert all(SUSPECTS[kind] == SUSPECTS[other] for kind, other in ALIKE.items())


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
    own = ("from the suspect's own", "the suspect's own, inside its code", "the service's own")
    assert suspect.preprocessing.startswith(own)


def test_a_preprocessing_picked_by_the_checker_is_used_and_named(release, suspect):
    channels = release.case.picks_preprocessing
    if channels is None:
        with pytest.raises(ValueError, match="takes no preprocessing"):
            release(preprocessing=for_channels(1))
        return
    picked = replace(for_channels(channels), layout=release.case.layout)
    other = release(preprocessing=picked)
    assert other.preprocessing == f"picked by the checker: {picked}"
    assert other.class_names == suspect.class_names
    assert all(isinstance(answer, int) for answer in other.answer(questions(3)))


def test_code_runs_only_when_it_is_trusted(release):
    if release.case.is_code:
        with pytest.raises(ValueError, match="--trust-code"):
            open_suspect(release.write())
    else:
        assert release().class_count == len(NAMES)


def test_the_identity_stays_the_same_when_opened_again(release, suspect):
    assert suspect.identity.startswith(("api:", "python:sha256:", "sha256:"))
    assert release().identity == suspect.identity


def test_the_identity_changes_with_one_weight(release, suspect):
    if release.case.is_service:
        pytest.skip("nobody sees the weights of a service")
    assert release("changed").identity != suspect.identity


def test_equal_scores_are_ties_and_never_the_first_class(release):
    equal = release("equal scores")
    assert equal.answer(questions(3)) == [Miss.TIE] * 3
    assert all(np.ptp(row) == 0 for row in equal.probabilities(questions(3)))


def test_weights_that_are_not_numbers_never_become_answers(release):
    if release.case.loads_not_a_number:
        broken = release("not a number")
        assert broken.answer(questions(3)) == [Miss.NOT_A_NUMBER] * 3
        assert broken.probabilities(questions(3)) == [Miss.NOT_A_NUMBER] * 3
    else:
        with pytest.raises(FormatError, match="NaN"):
            release("not a number")


def test_probabilities_add_up_to_one_and_are_highest_at_the_answer(suspect):
    asked = questions(24)
    assert isinstance(suspect, ScoringSuspect)
    found = suspect.probabilities(asked)
    assert all(len(row) == suspect.class_count and min(row) >= 0 for row in found)
    assert np.allclose(np.sum(found, axis=1), 1)
    assert [int(np.argmax(row)) for row in found] == suspect.answer(asked)
    assert all(type(value) is float for row in found for value in row)


def test_probabilities_come_in_order_the_same_alone_as_in_company_and_are_counted(suspect):
    asked = questions(8)
    counts: list[int] = []
    found = suspect.probabilities(asked, counts.append)
    assert counts[-1] == 8
    assert np.allclose(suspect.probabilities(asked[::-1])[::-1], found, rtol=1e-4, atol=1e-6)
    assert np.allclose([suspect.probabilities([one])[0] for one in asked], found, rtol=1e-4, atol=1e-6)


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
