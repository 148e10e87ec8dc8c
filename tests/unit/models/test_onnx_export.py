import sys
import warnings

import numpy as np
import pytest

from earmark.errors import EarmarkError, MissingExtraError
from earmark.models.onnx_export import export_onnx
from earmark.models.prediction import predict_scores
from earmark.suspects.opening import open_suspect
from earmark.suspects.torch import TorchSuspect
from small_models import NAMES, description, network, questions

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """One export for all tests: PyTorch takes seconds for it."""
    path = tmp_path_factory.mktemp("export") / "marked.onnx"
    module = network().train()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        export_onnx(path, module, description())
    return path, module


@pytest.fixture
def torch_scores(exported):
    _, module = exported
    return predict_scores(module, np.stack(questions(100)), description().preprocessing)


def test_the_export_gives_pytorchs_scores_for_every_batch_size(exported, torch_scores):
    import onnxruntime

    session = onnxruntime.InferenceSession(exported[0].read_bytes(), providers=["CPUExecutionProvider"])
    inputs = description().preprocessing(np.stack(questions(100)))
    for size in (1, 7, 100):
        scores = session.run(None, {session.get_inputs()[0].name: inputs[:size]})[0]
        assert np.abs(scores - torch_scores[:size]).max() < 1e-4


def test_a_network_and_its_export_answer_alike(exported, torch_scores):
    from earmark.models.weights import LoadedModel

    path, module = exported
    torch_suspect = TorchSuspect(LoadedModel(module, description(), "00"), "weights")
    answers = open_suspect(str(path)).answer(questions(100))
    assert answers == torch_suspect.answer(questions(100))
    assert len(set(answers)) > 2


def test_the_export_carries_the_description(exported):
    suspect = open_suspect(str(exported[0]))
    assert suspect.class_names == NAMES
    assert suspect.preprocessing == f"from the suspect's own metadata: {description().preprocessing}"


def test_the_export_leaves_the_network_as_it_was(exported):
    assert exported[1].training


def test_the_export_is_one_file_without_notes_of_where_it_was_made(exported):
    path, _ = exported
    assert [item.name for item in path.parent.iterdir()] == ["marked.onnx"]
    data = path.read_bytes()
    for trace in (b".py", b"site-packages", b"stack_trace", b"class_hierarchy", b"earmark.models"):
        assert trace not in data
    onnx.checker.check_model(onnx.load_from_string(data), full_check=True)


def test_an_export_that_fails_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "marked.onnx"
    path.write_bytes(b"before")
    with pytest.raises(ValueError, match="cannot be exported"):
        export_onnx(path, unexportable(), description())
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_an_export_into_no_folder_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("earmark.models.onnx_export._exported", lambda module, description: onnx.ModelProto())
    with pytest.raises(EarmarkError, match="cannot be written"):
        export_onnx(tmp_path / "missing" / "marked.onnx", network(), description())


@pytest.mark.parametrize("package", ["onnx", "onnxscript"])
def test_a_missing_package_is_named_with_its_extra(tmp_path, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=r"earmark\[onnx\]") as caught:
        export_onnx(tmp_path / "marked.onnx", network(), description())
    assert package in str(caught.value)


def unexportable():
    import torch

    class Unexportable(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(1))

        def forward(self, images):
            return images * float(images.sum().item() > 0) if images.sum() > 0 else self.weight

    return Unexportable()
