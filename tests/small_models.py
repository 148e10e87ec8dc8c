"""Tiny models in every form that a suspect can have: 10 classes, pictures of 8x8, made in milliseconds."""

import json
import shutil
import tempfile
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pytest

NAMES = ("ant", "bee", "cat", "dog", "eel", "fox", "gnu", "hen", "ibis", "jay")
SHAPE = (8, 8, 1)


def questions(count: int = 24, shape: tuple[int, int, int] = SHAPE, seed: int = 0) -> list[np.ndarray]:
    """Pictures that differ in more than noise: random networks answer noise with one class."""
    randomness = np.random.default_rng(seed)
    coarse = randomness.integers(0, 256, (count, 2, 2, shape[2]), np.uint8)
    return [np.kron(item, np.ones((shape[0] // 2, shape[1] // 2, 1), np.uint8)) for item in coarse]


def description(names=NAMES, shape=SHAPE, **options):
    from earmark.models.table import describe

    return describe("digits-cnn", shape, names, options.get("width", 4))


def network(seed: int = 0, names=NAMES, shape=SHAPE):
    """A network with random weights whose answers differ from picture to picture."""
    import torch

    from earmark.models.table import build

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = build(description(names, shape)).eval()
        with torch.no_grad():
            for layer in (module.hidden, module.classifier):
                layer.weight.mul_(4).sub_(layer.weight.mean(1, keepdim=True))
    return module


def weights_file(path: Path, change=lambda module: None, seed: int = 0) -> Path:
    from earmark.models.weights import save_weights

    module = network(seed)
    change(module)
    save_weights(path, module, description())
    return path


@cache
def hf_template() -> Path:
    pytest.importorskip("transformers")
    import torch
    from transformers import ViTConfig, ViTForImageClassification
    from transformers.utils import logging

    folder = Path(tempfile.mkdtemp(prefix="earmark-test-hf-"))
    config = ViTConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=8,
        patch_size=4,
        id2label=dict(enumerate(NAMES)),
        label2id={name: place for place, name in enumerate(NAMES)},
    )
    logging.disable_progress_bar()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = ViTForImageClassification(config)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.dim() > 1:
                    parameter.normal_(std=0.5)
            model.vit.embeddings.cls_token.zero_()
        model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(
        '{"do_normalize": true, "do_rescale": true, "do_resize": true, "image_mean": [0.5, 0.4, 0.3], '
        '"image_processor_type": "ViTImageProcessor", "image_std": [0.5, 0.25, 0.3], "resample": 2, '
        '"rescale_factor": 0.00392156862745098, "size": {"height": 8, "width": 8}}'
    )
    return folder


def hf_folder(path: Path, change=lambda tensors: None) -> Path:
    """A copy of a tiny vision transformer's folder, with its tensors changed in place."""
    from safetensors.numpy import load_file, save_file

    shutil.copytree(hf_template(), path)
    tensors = load_file(path / "model.safetensors")
    change(tensors)
    save_file(tensors, path / "model.safetensors", {"format": "pt"})
    return path


def linear_onnx(
    *,
    batch="batch",
    input_shape=(1, 8, 8),
    input_type="FLOAT",
    weight=None,
    classes=10,
    metadata=None,
    extra_nodes=(),
    extra_outputs=(),
    extra_domains=(),
    before="flat",
):
    """An ONNX model of one linear layer, as a message of onnx; every part can be replaced."""
    onnx = pytest.importorskip("onnx")
    helper, types = onnx.helper, onnx.TensorProto
    size = int(np.prod(input_shape))
    if weight is None:
        weight = np.random.default_rng(0).normal(size=(size, classes))
    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], to=types.FLOAT),
        helper.make_node("Flatten", ["floats"], ["flat"]),
        *extra_nodes,
        helper.make_node("MatMul", [before, "weight"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info("images", getattr(types, input_type), [batch, *input_shape])],
        [*extra_outputs, helper.make_tensor_value_info("scores", types.FLOAT, [batch, classes])],
        [onnx.numpy_helper.from_array(np.asarray(weight, np.float32), "weight")],
    )
    opsets = [helper.make_opsetid("", 18), *(helper.make_opsetid(name, 1) for name in extra_domains)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    if metadata is not None:
        helper.set_model_props(model, metadata)
    return model


def onnx_file(path: Path, **options) -> Path:
    """The same in a file, with a description unless other metadata are given."""
    options.setdefault("metadata", {"earmark": description().to_text()})
    path.write_bytes(linear_onnx(**options).SerializeToString())
    return path


def exported_file(path: Path, change=lambda module: None, *, text=None, batch=1) -> Path:
    """A program of torch.export, with a description unless another text is given."""
    import torch

    module = network()
    change(module)
    # With one example the batch is fixed to one, as exports are that nobody thought about.
    program = torch.export.export(module, (torch.zeros(batch, 1, 8, 8),))
    text = description().to_text() if text is None else text
    torch.export.save(program, path, extra_files={"earmark": text} if text else None)
    return path


def linear_classifier(names=NAMES):
    """A logistic regression that was given its weights: no training, the same on every machine."""
    linear_model = pytest.importorskip("sklearn.linear_model")
    classifier = linear_model.LogisticRegression()
    classifier.classes_ = np.array(names)
    classifier.n_features_in_ = 64
    classifier.coef_ = np.random.default_rng(0).normal(size=(len(names), 64))
    classifier.intercept_ = np.zeros(len(names))
    classifier.n_iter_ = np.array([1])
    return classifier


def skops_file(path: Path, change=lambda classifier: None, *, classifier=None, text=None) -> Path:
    """A scikit-learn classifier in a skops file, with a description unless another text is given."""
    from zipfile import ZipFile

    io = pytest.importorskip("skops.io")
    classifier = linear_classifier() if classifier is None else classifier
    change(classifier)
    io.dump(classifier, path)
    text = description().to_text() if text is None else text
    if text:
        with ZipFile(path, "a") as archive:
            archive.writestr("earmark", text)
    return path


def boosted_data():
    """Rows as the description's preprocessing makes them of pictures, with the classes of a linear model."""
    from earmark.models.preprocessing import for_channels

    inputs = for_channels(1)(np.stack(questions(400, seed=1))).reshape(400, -1)
    return inputs, (inputs @ np.random.default_rng(0).normal(size=(64, 10))).argmax(1)


@cache
def xgboost_text() -> str:
    xgboost = pytest.importorskip("xgboost")
    inputs, labels = boosted_data()
    options = {"objective": "multi:softprob", "num_class": 10, "nthread": 1, "max_depth": 4}
    booster = xgboost.train(options, xgboost.DMatrix(inputs, labels), 3)
    return booster.save_raw("json").decode()


def xgboost_file(path: Path, change=lambda model: None, *, text=None) -> Path:
    """Boosted trees of XGBoost, changed as JSON, with a description unless another text is given."""
    model = json.loads(xgboost_text())
    text = description().to_text() if text is None else text
    model["learner"]["attributes"] = {"earmark": text} if text else {}
    change(model)
    data = json.dumps(model)
    if path.suffix == ".ubj":
        xgboost = pytest.importorskip("xgboost")
        xgboost.Booster(model_file=bytearray(data.encode())).save_model(path)
    else:
        path.write_text(data)
    return path


@cache
def lightgbm_text() -> str:
    lightgbm = pytest.importorskip("lightgbm")
    inputs, labels = boosted_data()
    options = {
        "objective": "multiclass", "num_class": 10, "num_threads": 1, "verbosity": -1, "num_leaves": 15,
        "min_data_in_leaf": 2,
    }  # fmt: skip
    return lightgbm.train(options, lightgbm.Dataset(inputs, labels), 3).model_to_string()


def lightgbm_file(path: Path, change=lambda text: text, *, text=None) -> Path:
    """Boosted trees of LightGBM, their text changed, with a description unless another is given."""
    model = change(lightgbm_text())
    text = description().to_text() if text is None else text
    if text:
        model = model.replace("pandas_categorical:", f"earmark:{text}\n\npandas_categorical:")
    path.write_text(model)
    return path


@cache
def keras_bytes() -> bytes:
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(0)
    layers = [
        keras.Input((8, 8, 1)),
        keras.layers.Conv2D(4, 3, activation="relu"),
        keras.layers.BatchNormalization(),
        keras.layers.Flatten(),
        keras.layers.Dropout(0.5),
        keras.layers.Dense(10, kernel_initializer=keras.initializers.RandomNormal(stddev=1)),
    ]
    return saved_keras(keras.Sequential(layers))


def keras_description():
    from dataclasses import replace

    plain = description()
    return replace(plain, preprocessing=replace(plain.preprocessing, layout="NHWC"))


def saved_keras(model) -> bytes:
    """The file that a model of Keras is saved as."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras's own, of NumPy
        path = Path(folder, "model.keras")
        model.save(path)
        return path.read_bytes()


def keras_file(path: Path, change=lambda config, weights: None, *, text=None, data=None) -> Path:
    """A Keras file, its configuration and its weights changed in place, with a description unless another is given."""
    from io import BytesIO
    from zipfile import ZipFile

    h5py = pytest.importorskip("h5py")
    with ZipFile(BytesIO(keras_bytes() if data is None else data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config, weights = json.loads(members["config.json"]), BytesIO(members["model.weights.h5"])
    with h5py.File(weights, "r+") as file:
        change(config, file)
    members |= {"config.json": json.dumps(config).encode(), "model.weights.h5": weights.getvalue()}
    text = keras_description().to_text() if text is None else text
    if text:
        members["earmark"] = text.encode()
    with ZipFile(path, "w") as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    return path


def callable_file(path: Path, change: str = "") -> Path:
    """A Python file with a callable ``classify`` that gives probabilities."""
    path.write_text(
        f"""import numpy as np

weight = np.random.default_rng(0).normal(size=(64, 10))
{change}


def classify(pixels):
    scores = pixels.reshape(-1) / 255 @ weight
    powers = np.exp(scores - scores.max())
    return powers / powers.sum()


classify.class_names = {NAMES!r}
classify.is_remote = False
"""
    )
    return path
