import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from earmark.errors import FormatError, UnsupportedVersionError
from earmark.models.description import METADATA_KEY, ModelDescription
from earmark.models.prediction import predict_scores
from earmark.models.table import build, describe
from earmark.models.weights import load_weights, read_description, save_weights
from small import DIGITS, digits


def written(path, name="digits-cnn", width=4, shape=(8, 8, 1)):
    torch.manual_seed(0)
    description = describe(name, shape, DIGITS, width)
    module = build(description)
    save_weights(path, module, description)
    return module, description


@pytest.mark.parametrize(
    ("name", "shape"), [("digits-cnn", (8, 8, 1)), ("resnet18", (32, 32, 3)), ("resnet18", (16, 24, 1))]
)
def test_a_model_is_what_it_was_after_writing_and_reading(tmp_path, name, shape):
    module, description = written(tmp_path / "m.safetensors", name, 4, shape)
    loaded = load_weights(tmp_path / "m.safetensors")
    assert loaded.description == description == read_description(tmp_path / "m.safetensors")
    inputs = torch.rand(2, shape[2], *shape[:2])
    assert torch.equal(loaded.module(inputs), module.eval()(inputs))


def test_the_papers_network_has_the_papers_size():
    module = build(describe("resnet18", (32, 32, 3), DIGITS))
    # 11,171,274 is derived from the authors' published code.
    assert sum(parameter.numel() for parameter in module.parameters()) == 11_171_274


def test_predicting_leaves_the_network_in_its_mode(tmp_path):
    module, description = written(tmp_path / "m.safetensors")
    module.train()
    scores = predict_scores(module, digits().test.images[:5], description.preprocessing, batch_size=2)
    assert scores.shape == (5, 10)
    assert module.training


def altered(path, *, metadata=None, tensors=None):
    state = load_file(path)
    state.update(tensors or {})
    text = read_description(path).to_text()
    save_file(state, path, {METADATA_KEY: text} if metadata is None else metadata)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"classifier.bias": torch.full((10,), float("nan"))}, "NaN or infinity"),
        ({"classifier.bias": torch.full((10,), float("inf"))}, "NaN or infinity"),
        ({"classifier.bias": torch.zeros(11)}, "has shape"),
        ({"extra": torch.zeros(1)}, "that its architecture lacks"),
    ],
)
def test_weights_that_do_not_fit_are_refused(tmp_path, tensors, message):
    path = tmp_path / "m.safetensors"
    written(path)
    altered(path, tensors=tensors)
    with pytest.raises(FormatError, match=message):
        load_weights(path)


def test_missing_weights_are_refused(tmp_path):
    path = tmp_path / "m.safetensors"
    _, description = written(path)
    save_file({"classifier.bias": torch.zeros(10)}, path, {METADATA_KEY: description.to_text()})
    with pytest.raises(FormatError, match="lacks"):
        load_weights(path)


def test_a_description_of_an_enormous_network_takes_no_memory(tmp_path):
    path = tmp_path / "m.safetensors"
    _, description = written(path, "resnet18", 2, (32, 32, 3))
    altered(path, metadata={METADATA_KEY: replace(description, options={"width": 1024}).to_text()})
    with pytest.raises(FormatError, match="has shape"):
        load_weights(path)
    altered(path, metadata={METADATA_KEY: replace(description, options={"width": 1025}).to_text()})
    with pytest.raises(FormatError, match="not valid"):
        load_weights(path)


def changed(description, **fields):
    return json.dumps(json.loads(description.to_text()) | fields, sort_keys=True, separators=(",", ":"))


@pytest.mark.parametrize(
    "fields",
    [
        {"architecture": "magic"}, {"architecture": 3}, {"options": {"depth": 3}}, {"options": {"width": -1}},
        {"options": []}, {"input_shape": [8, 8]}, {"input_shape": [8, 8, 0]}, {"classes": ["a", "a"]},
        {"classes": ["a"]}, {"classes": ["", "b"]}, {"preprocessing": None}, {"more": 1}, {"format": "earmark/x/v1"},
    ],
)  # fmt: skip
def test_malformed_descriptions_are_refused(tmp_path, fields):
    path = tmp_path / "m.safetensors"
    _, description = written(path)
    altered(path, metadata={METADATA_KEY: changed(description, **fields)})
    with pytest.raises(FormatError):
        load_weights(path)


def test_a_description_of_a_later_version_is_refused_as_such():
    description = describe("digits-cnn", (8, 8, 1), DIGITS)
    with pytest.raises(UnsupportedVersionError):
        ModelDescription.from_text(changed(description, format="earmark/model/v2"))


def test_weights_without_a_description_are_refused_with_the_way_out(tmp_path):
    save_file({"w": torch.zeros(1)}, tmp_path / "m.safetensors")
    with pytest.raises(FormatError, match="does not say its architecture"):
        load_weights(tmp_path / "m.safetensors")


@pytest.mark.parametrize("data", [b"", b"\x00" * 7, b"\xff" * 64, b"\x10" + b"\x00" * 7 + b"{}"])
def test_other_bytes_are_refused(tmp_path, data):
    (tmp_path / "m.safetensors").write_bytes(data)
    with pytest.raises(FormatError):
        load_weights(tmp_path / "m.safetensors")


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(FormatError, match="no file"):
        load_weights(tmp_path / "m.safetensors")


def test_a_truncated_file_is_refused(tmp_path):
    path = tmp_path / "m.safetensors"
    written(path)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(FormatError):
        load_weights(path)


FACTORY = """
from torch import nn
def make(class_count, input_shape):
    open(__file__ + ".ran", "w").close()
    height, width, channels = input_shape
    return nn.Sequential(nn.Flatten(), nn.Linear(height * width * channels, class_count))
def wrong(class_count, input_shape):
    return 3
"""


def test_code_runs_only_when_it_is_trusted_and_named_by_the_caller(tmp_path):
    code, path = tmp_path / "net.py", tmp_path / "m.safetensors"
    code.write_text(FACTORY)
    ran = tmp_path / "net.py.ran"
    description = describe(f"{code}:make", (8, 8, 1), DIGITS)
    with pytest.raises(ValueError, match="--trust-code"):
        build(description)
    assert not ran.exists()
    save_weights(path, build(description, trust_code=True), description)
    ran.unlink()
    with pytest.raises(FormatError, match="names code as its architecture"):
        load_weights(path, trust_code=True)
    assert not ran.exists()
    assert load_weights(path, architecture=f"{code}:make", trust_code=True).module


RATES = """
import torch
from torch import nn
def make(class_count, input_shape):
    rates = [rate.item() for rate in torch.linspace(0, 0.2, steps=3)]  # as vision transformers do
    width = int(torch.linspace(1, 64, 2)[-1])
    return nn.Sequential(nn.Flatten(), *(nn.Dropout(rate) for rate in rates), nn.Linear(width, class_count))
def large(class_count, input_shape):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, class_count), nn.Linear(10 ** 9, 10 ** 9))
def counting(class_count, input_shape):
    return nn.Sequential(nn.Flatten(), nn.Linear(int(torch.linspace(0, 64, 10 ** 12)[-1]), class_count))
def copying(class_count, input_shape):
    return nn.Sequential(nn.Flatten(), nn.Linear(len(torch.ones(64).numpy()), class_count))
def broken(class_count, input_shape):
    raise RuntimeError("operator nms does not exist")
"""


def test_a_network_that_counts_its_rates_as_it_is_made_is_read(tmp_path):
    code, path = tmp_path / "net.py", tmp_path / "m.safetensors"
    code.write_text(RATES)
    module = build(describe(f"{code}:make", (8, 8, 1), DIGITS), trust_code=True)
    save_weights(path, module, describe(f"{code}:make", (8, 8, 1), DIGITS))
    read = load_weights(path, architecture=f"{code}:make", trust_code=True).module
    assert [part.p for part in read[1:4]] == pytest.approx([0, 0.1, 0.2])
    # Neither takes the memory that it asks for.
    for name, message in (
        ("large", "lacks 4 weights"),
        ("counting", "cannot be looked at"),
        ("copying", "cannot be looked at"),
    ):
        with pytest.raises(FormatError, match=message):
            load_weights(path, architecture=f"{code}:{name}", trust_code=True)
    # What has nothing to do with the file is not said of it.
    with pytest.raises(RuntimeError, match=r"^operator nms does not exist$"):
        load_weights(path, architecture=f"{code}:broken", trust_code=True)


@pytest.mark.parametrize(
    ("name", "error"),
    [("net.py:nothing", ValueError), ("net.py:wrong", TypeError), ("no.py:make", ValueError)],
)
def test_code_that_makes_no_network_is_refused(tmp_path, name, error):
    (tmp_path / "net.py").write_text(FACTORY)
    description = describe(f"{tmp_path}/{name}", (8, 8, 1), DIGITS)
    with pytest.raises(error):
        build(description, trust_code=True)


def test_unknown_names_and_widths_are_refused():
    with pytest.raises(ValueError, match="unknown model"):
        describe("magic", (8, 8, 1), DIGITS)
    with pytest.raises(ValueError, match="no width"):
        describe("timm:resnet18", (32, 32, 3), DIGITS, 16)
    with pytest.raises(ValueError, match="width must be"):
        describe("resnet18", (32, 32, 3), DIGITS, 5000)
