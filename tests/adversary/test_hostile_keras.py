"""Files of Keras made to hurt whoever questions them. Each test turns one dial."""

import copy
import io
import json
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from earmark.errors import FormatError, SuspectError
from earmark.models.preprocessing import catalogue
from earmark.suspects import Miss, keras_child, keras_scan
from earmark.suspects.contained import Limits
from earmark.suspects.keras import KerasSuspect
from earmark.suspects.keras_scan import scan
from small_models import keras_bytes, keras_file, questions, saved_keras

keras = pytest.importorskip("keras")
h5py = pytest.importorskip("h5py")
layers = keras.layers
RAW = catalogue(1)["raw-rgb-nhwc"]
SMALL = Limits(memory_bytes=2 << 30, load_seconds=100, question_seconds=30)
TRAP = "TRAP"
pytestmark = pytest.mark.filterwarnings("ignore")  # Keras's own words on NumPy


def refusal(path: Path, limits: Limits = SMALL) -> str:
    """The message with which a suspect is refused: one printable line, whatever the file holds."""
    with pytest.raises((FormatError, SuspectError)) as caught:
        KerasSuspect(path, preprocessing=RAW, limits=limits)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 700
    return str(caught.value)


def refused_by_scan(data: bytes) -> str:
    with pytest.raises(FormatError) as caught:
        scan(data)
    return str(caught.value)


def refused_by_child(data: bytes) -> str:
    """What only the child's code decides, without a process of its own."""
    with pytest.raises(FormatError) as caught:
        keras_child._load(data, scan(data), 1)
    return str(caught.value)


def with_config(change, data: bytes | None = None) -> bytes:
    """The small network's file with its configuration changed in place."""
    with zipfile.ZipFile(io.BytesIO(keras_bytes() if data is None else data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    change(config)
    return archived(members | {"config.json": json.dumps(config).encode()})


def archived(members: dict[str, bytes], compression=zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    return buffer.getvalue()


def with_weights(change, tmp_path: Path) -> bytes:
    """The same with its weights changed in place."""
    return keras_file(tmp_path / "changed.keras", lambda config, weights: change(weights)).read_bytes()


# What the configuration names


def thing(module, name, config=None, registered=None, **rest):
    return {
        "module": module,
        "class_name": name,
        "config": config or {},
        "registered_name": registered,
        **rest,
    }


CODE = {"class_name": "__lambda__", "config": {"value": ["4wEAAAA=", None, None]}}
EVIL = {
    "a lambda layer": thing("keras.layers", "Lambda", {"function": CODE}),
    "a lambda": CODE,
    "a lambda with a module": {"module": "builtins", **CODE},
    "a wrapped module of PyTorch": thing("keras.layers", "TorchModuleWrapper", {"module": "AAAA"}),
    "a program of TensorFlow": thing("keras.layers", "TFSMLayer", {"filepath": "/etc/evil"}),
    "a program of JAX": thing("keras.layers", "JaxLayer"),
    "a program of Flax": thing("keras.layers", "FlaxLayer"),
    "a vocabulary in a file": thing("keras.layers", "StringLookup", {"vocabulary": "/etc/passwd"}),
    "a vocabulary of texts": thing("keras.layers", "TextVectorization", {"vocabulary": "/etc/passwd"}),
    "a function of another module": thing("os", "function", "system"),
    "a function under a harmless name": {"module": "builtins", "class_name": "function", "config": "exec"},
    "a class of another module": thing("subprocess", "Popen", {"args": "true"}),
    "a function of Keras that fetches": thing("keras.utils", "get_file", {"origin": "https://example.org"}),
    "a function that switches safety off": thing("keras.config", "enable_unsafe_deserialization"),
    "a class of somebody's": thing(None, "Evil", registered="Custom>Evil"),
    "a class of somebody's under a layer's name": thing("keras.layers", "Dense", registered="Custom>Dense"),
    "a class without a module": {"class_name": "Dense", "config": {}},
    "a module within Keras": thing("keras.src.utils.python_utils", "func_load"),
    "a module with a tail": thing("keras.layers.", "Dense"),
    "a private class": thing("keras.src.layers.core.lambda_layer", "Lambda"),
    "an operation that calls functions": thing("keras.src.ops.core", "VectorizedMap"),
    "a loop": thing("keras.src.ops.core", "WhileLoop"),
    "a type of TensorFlow": {**thing("builtins", "__typespec__"), "spec_name": "x"},
    "an array": {"class_name": "__numpy__", "config": {"value": [1], "dtype": "object"}},
    "bytes": {"class_name": "__bytes__", "config": {"value": "x"}},
    "a list for a name": thing("keras.layers", ["Dense"]),
    "a number for a module": thing(7, "Dense"),
    "a policy that quantises": thing("keras.dtype_policies", "QuantizedDTypePolicy"),
    "a model compiled within": {**thing("keras", "Sequential"), "compile_config": {"optimizer": "adam"}},
    "a name alone": {"registered_name": "Custom>Evil"},
}


@pytest.mark.parametrize("kind", EVIL)
def test_what_is_beyond_the_list_is_refused_and_named(kind):
    evil = EVIL[kind]

    def change(config) -> None:
        config["config"]["layers"][1]["config"]["activation"] = copy.deepcopy(evil)

    message = refused_by_scan(with_config(change))
    assert "never loaded" in message
    assert message.isprintable()


@pytest.mark.parametrize("place", ["build_config", "nobody reads this", "config"])
def test_it_is_refused_wherever_it_stands(place):
    def change(config) -> None:
        config["config"]["layers"][2].setdefault(place, {})["deep"] = [[{"here": [EVIL["a lambda layer"]]}]]

    assert "keras.layers Lambda" in refused_by_scan(with_config(change))


@pytest.mark.parametrize("kind", ["a lambda layer", "a class of somebody's", "a vocabulary in a file"])
def test_it_cannot_be_the_model_itself(kind):
    def change(config) -> None:
        config.clear()
        config.update(copy.deepcopy(EVIL[kind]))

    assert "never loaded" in refused_by_scan(with_config(change))


def test_a_layer_cannot_be_the_model_itself():
    def change(config) -> None:
        first = config["config"]["layers"][1]
        config.clear()
        config.update(first)

    assert "Conv2D" in refused_by_scan(with_config(change))


def test_a_real_lambda_is_refused_though_keras_wrote_it():
    model = keras.Sequential([keras.Input((4,)), layers.Lambda(lambda value: value * 2), layers.Dense(2)])
    assert "Lambda" in refused_by_scan(saved_keras(model))


def test_a_real_custom_layer_is_refused_though_it_is_registered_here():
    @keras.saving.register_keras_serializable("earmark-test")
    class Custom(layers.Layer):
        def call(self, inputs):
            Path("/nowhere").touch()
            return inputs

    model = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
    data = with_config(
        lambda config: config["config"]["layers"].append(
            thing("builtins", "Custom", {}, "earmark-test>Custom")
        ),
        saved_keras(model),
    )
    assert "earmark-test>Custom" in refused_by_scan(data)


def test_a_module_of_pytorch_is_not_unpickled(tmp_path):
    import base64
    import pickle

    class Trap:
        def __reduce__(self):
            return Path.touch, (tmp_path / TRAP,)

    code = base64.b64encode(pickle.dumps(Trap())).decode()

    def change(config) -> None:
        config["config"]["layers"][1] = thing("keras.layers", "TorchModuleWrapper", {"module": code})

    path = tmp_path / "m.keras"
    path.write_bytes(with_config(change))
    assert "TorchModuleWrapper" in refusal(path)
    assert not (tmp_path / TRAP).exists()


# Configurations that contradict themselves


def layer_set(number: int, name: str, value):
    def change(config) -> None:
        config["config"]["layers"][number]["config"][name] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        layer_set(1, "activation", "evil"),
        layer_set(1, "activation", "../../etc/passwd"),
        layer_set(1, "filters", -1),
        layer_set(1, "filters", "4"),
        layer_set(1, "kernel_size", [99, 99]),
        layer_set(5, "units", 7),
        layer_set(0, "batch_shape", [None, 9, 9, 1]),
        layer_set(0, "batch_shape", "evil"),
        lambda config: config["config"].update(layers=[]),
        lambda config: config["config"].update(layers="evil"),
        lambda config: config.update(config=None),
        lambda config: config["config"]["layers"].append(config["config"]["layers"][1]),
    ],
)
def test_a_configuration_that_does_not_hold_is_refused(change):
    refused_by_child(with_config(change))


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"7", b"{", b"[" * 200_000, b"null", b"\xff\xfe", b'{"class_name": "Sequential"}']
)
def test_a_configuration_that_is_none_is_refused(text):
    with zipfile.ZipFile(io.BytesIO(keras_bytes())) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    refused_by_scan(archived(members | {"config.json": text}))


def test_a_configuration_nested_without_end_is_refused():
    deep = "[" * 900 + "]" * 900
    with zipfile.ZipFile(io.BytesIO(keras_bytes())) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    text = members["config.json"].decode().replace('"valid"', deep)
    assert text.count("[" * 900) == 1
    refused_by_child(archived(members | {"config.json": text.encode()}))


# Archives


@pytest.mark.parametrize("size", [0, 1, 100, 100_000])
def test_random_bytes_are_refused(size):
    refused_by_scan(np.random.default_rng(size).bytes(size))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_file_cut_short_is_refused(share):
    refused_by_scan(keras_bytes()[: int(share * len(keras_bytes()))])


@pytest.mark.parametrize(
    "name",
    ["assets/vocabulary.txt", "../evil", "/etc/evil", "model.weights.npz", "code.py", "model.weights.json"],
)
def test_members_beyond_the_list_are_refused(name):
    with zipfile.ZipFile(io.BytesIO(keras_bytes())) as archive:
        members = {item: archive.read(item) for item in archive.namelist()}
    assert "never loaded" in refused_by_scan(archived(members | {name: b"x"}))


@pytest.mark.parametrize("name", ["config.json", "model.weights.h5"])
def test_a_file_without_a_part_is_refused(name):
    with zipfile.ZipFile(io.BytesIO(keras_bytes())) as archive:
        members = {item: archive.read(item) for item in archive.namelist() if item != name}
    assert "not a Keras 3 file" in refused_by_scan(archived(members))


def test_an_archive_that_unpacks_to_more_than_the_bound_is_not_unpacked(monkeypatch):
    members = {"config.json": b"{}", "model.weights.h5": bytes(64 << 20)}
    data = archived(members, zipfile.ZIP_DEFLATED)
    assert len(data) < 1 << 18
    monkeypatch.setattr(keras_scan, "UNPACKED_LIMIT_BYTES", 40 << 20)
    assert "unpacks to more than" in refused_by_scan(data)


def test_a_configuration_that_unpacks_to_much_is_not_read():
    data = archived({"config.json": bytes(80 << 20), "model.weights.h5": b""}, zipfile.ZIP_DEFLATED)
    assert "config.json is longer than" in refused_by_scan(data)


def test_two_members_of_one_name_are_refused():
    buffer = io.BytesIO(keras_bytes())
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("config.json", b"{}")
    assert "same name" in refused_by_scan(buffer.getvalue())


# Weights


def replaced_by(make):
    def change(weights) -> None:
        del weights["layers/dense/vars/0"]
        make(weights["layers/dense/vars"], weights)

    return change


def external_storage(group, weights) -> None:
    group.create_dataset("0", (144, 10), "f4", external=[("/etc/passwd", 0, 5760)])


def virtual(group, weights) -> None:
    layout = h5py.VirtualLayout((144, 10), "f4")
    layout[...] = h5py.VirtualSource("/etc/passwd", "x", (144, 10))
    group.create_virtual_dataset("0", layout)


def circle(group, weights) -> None:
    group["0"] = weights["layers"]


def set_link(link):
    def make(group, weights) -> None:
        group["0"] = link

    return make


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (set_link(h5py.ExternalLink("/etc/passwd", "/x")), "link to other places or files"),
        (set_link(h5py.ExternalLink("other.h5", "/x")), "link to other places or files"),
        (set_link(h5py.SoftLink("/layers/dense/vars/1")), "link to other places or files"),
        (external_storage, "lie in other files"),
        (virtual, "lie in other files"),
        (circle, "are one thing"),
        (lambda group, weights: group.__setitem__("0", group["1"]), "are one thing"),
        (lambda group, weights: group.create_dataset("0", (144, 10), "f4"), "not stored as they are"),
        (lambda group, weights: group.create_dataset("0", (1 << 40,), "f4"), "not stored as they are"),
        (
            lambda group, weights: group.create_dataset("0", (1 << 20, 1 << 20), "f4", chunks=(64, 64)),
            "not stored as they are",
        ),
        (
            lambda group, weights: group.create_dataset(
                "0", data=np.zeros((1000, 1000), "f4"), compression="gzip"
            ),
            "not stored as they are",
        ),
        (lambda group, weights: group.create_dataset("0", data=["evil"]), "not all arrays of numbers"),
        (
            lambda group, weights: group.create_dataset("0", data=[group.ref], dtype=h5py.ref_dtype),
            "not all arrays of numbers",
        ),
        (lambda group, weights: group.__setitem__("0", np.dtype("f4")), "not all arrays of numbers"),
        (lambda group, weights: group.create_dataset("0", data=np.zeros((3, 3), "f4")), "cannot load it"),
        (lambda group, weights: None, "cannot load it"),
    ],
)
def test_weights_that_lead_elsewhere_or_are_false_are_refused(tmp_path, make, words):
    assert words in refused_by_child(with_weights(replaced_by(make), tmp_path))


def test_links_beside_what_is_read_are_refused_too(tmp_path):
    def change(weights) -> None:
        weights["nobody/reads/this"] = h5py.ExternalLink("/etc/passwd", "/x")

    assert "link to other" in refused_by_child(with_weights(change, tmp_path))


def test_more_groups_than_the_bound_are_not_walked(tmp_path, monkeypatch):
    monkeypatch.setattr(keras_child, "_GROUP_LIMIT", 50)

    def change(weights) -> None:
        for number in range(100):
            weights.create_group(f"more/{number}")

    assert "more than 50 groups" in refused_by_child(with_weights(change, tmp_path))


@pytest.mark.parametrize(
    "weights", [b"", b"\x89HDF\r\n\x1a\n", b"\x89HDF\r\n\x1a\n" + bytes(5000), b"x" * 5000]
)
def test_weights_that_are_none_are_refused(weights):
    with zipfile.ZipFile(io.BytesIO(keras_bytes())) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    refused_by_child(archived(members | {"model.weights.h5": weights}))


# In a process of its own


def test_the_child_can_open_nothing(tmp_path):
    suspect = KerasSuspect(keras_file(tmp_path / "m.keras"), limits=SMALL)
    assert Miss.ERROR not in suspect.answer(questions(3))
    limits = Path("/proc", str(suspect.pid), "limits")
    if limits.exists():
        assert "Max open files            0" in limits.read_text()
        assert "Max file size             0" in limits.read_text()


def test_a_layer_that_asks_for_much_memory_is_stopped(tmp_path):
    def change(config) -> None:
        config["config"]["layers"][5]["config"]["units"] = 1 << 31

    path = tmp_path / "m.keras"
    path.write_bytes(with_config(change))
    refusal(path)


def test_weights_damaged_anywhere_end_the_child_at_most(tmp_path):
    start = time.monotonic()
    data = bytearray(keras_bytes())
    place = data.index(b"\x89HDF")
    for step in range(0, 2000, 16):
        data[place + 100 + step] ^= 0xFF
    path = tmp_path / "m.keras"
    with zipfile.ZipFile(io.BytesIO(keras_bytes())) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    size = len(members["model.weights.h5"])
    path.write_bytes(archived(members | {"model.weights.h5": bytes(data[place : place + size])}))
    refusal(path)
    assert time.monotonic() - start < 110


def test_a_file_that_takes_too_long_or_is_too_large_is_stopped(tmp_path):
    path = keras_file(tmp_path / "m.keras")
    assert "within 0.01 seconds" in refusal(path, replace(SMALL, load_seconds=0.01))
    assert "larger than 100 bytes" in refusal(path, replace(SMALL, file_bytes=100))
