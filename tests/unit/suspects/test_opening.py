import hashlib
import subprocess
import sys

import pytest

from earmark.errors import FormatError, MissingExtraError
from earmark.models.preprocessing import for_channels
from earmark.models.table import build, describe
from earmark.models.weights import save_weights
from earmark.suspects.opening import open_suspect
from small_models import keras_file, lightgbm_file, onnx_file, questions, weights_file, xgboost_file


@pytest.mark.parametrize("name", ["model", "model.text", "ftp://example.org", "hf", "", ".onnxx"])
def test_unknown_names_are_answered_with_the_known_ones(name):
    with pytest.raises(
        ValueError, match=r"known: FILE\.safetensors, FILE\.onnx, .*hf:FOLDER, .*FILE\.py:NAME"
    ):
        open_suspect(name)


@pytest.mark.parametrize("ending", ["pt", "pth", "bin", "ckpt", "pkl", "PT"])
def test_pickles_are_never_loaded_and_the_message_says_how_to_convert(tmp_path, ending):
    path = tmp_path / f"model.{ending}"
    path.write_bytes(b"cos\nsystem\n(S'exit 1'\ntR.")
    with pytest.raises(FormatError, match="safetensors"):
        open_suspect(str(path))


@pytest.mark.parametrize(
    "name",
    ["missing.safetensors", "missing.onnx", "missing.skops", "missing.ubj", "xgboost:missing.json", "missing.txt",
     "missing.keras", "hf:missing"],
)  # fmt: skip
def test_a_release_that_is_not_there_is_a_format_error(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FormatError, match="missing"):
        open_suspect(name)


def test_an_ending_in_capitals_is_the_same_ending(tmp_path):
    path = weights_file(tmp_path / "model.safetensors").rename(tmp_path / "MODEL.SAFETENSORS")
    assert open_suspect(str(path)).class_count == 10


@pytest.mark.parametrize(
    ("options", "word"),
    [({"architecture": "net.py:make"}, "architecture"), ({"trust_code": True}, "trust_code")],
)
@pytest.mark.parametrize("name", ["model.onnx", "model.skops", "hf:model"])
def test_options_that_a_kind_does_not_take_are_refused(name, options, word):
    with pytest.raises(ValueError, match=f"takes no {word}"):
        open_suspect(name, **options)


def test_a_fallback_is_used_only_when_the_release_says_nothing(tmp_path):
    fallback = for_channels(1)
    silent = onnx_file(tmp_path / "silent.onnx", metadata=None)
    suspect = open_suspect(str(silent), fallback=fallback)
    assert suspect.preprocessing == f"fixed in the transcript: {fallback}"
    assert suspect.class_names is None
    assert suspect.class_count == 10
    speaking = open_suspect(str(onnx_file(tmp_path / "speaking.onnx")), fallback=fallback)
    assert speaking.preprocessing.startswith("from the suspect's own metadata")
    weights = open_suspect(str(weights_file(tmp_path / "w.safetensors")), fallback=fallback)
    assert weights.preprocessing.startswith("from the suspect's own metadata")


def test_without_any_preprocessing_the_message_names_the_option(tmp_path):
    with pytest.raises(FormatError, match="--preprocessing NAME"):
        open_suspect(str(onnx_file(tmp_path / "silent.onnx", metadata=None)))


@pytest.mark.parametrize(
    ("name", "package", "extra"), [("model.onnx", "onnxruntime", "onnx"), ("hf:model", "transformers", "hf")]
)
def test_a_missing_framework_is_named_with_the_extra_that_installs_it(
    tmp_path, monkeypatch, name, package, extra
):
    from importlib import util

    from small_models import hf_folder

    monkeypatch.chdir(tmp_path)
    if name.startswith("hf:"):
        hf_folder(tmp_path / "model")
    else:
        onnx_file(tmp_path / "model.onnx")
    find_spec = util.find_spec
    monkeypatch.setattr(util, "find_spec", lambda asked: None if asked == package else find_spec(asked))
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=package) as caught:
        open_suspect(name)
    assert caught.value.extra == extra


def test_questioning_an_onnx_file_imports_neither_pytorch_nor_onnx(tmp_path):
    onnx_file(tmp_path / "model.onnx")
    code = (
        "import sys, numpy as np\n"
        "from earmark.suspects.opening import open_suspect\n"
        "suspect = open_suspect(sys.argv[1])\n"
        "assert len(suspect.answer([np.zeros((8, 8, 1), np.uint8)])) == 1\n"
        "print(sorted({'torch', 'onnx', 'onnxruntime', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "model.onnx")], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("name", "write", "framework"),
    [
        ("m.ubj", xgboost_file, "xgboost"),
        ("m.txt", lightgbm_file, "lightgbm"),
        ("m.keras", keras_file, "keras"),
    ],
)
def test_questioning_a_file_imports_its_framework_in_no_process_of_ours(tmp_path, name, write, framework):
    pytest.importorskip(framework)
    write(tmp_path / name)
    code = (
        "import sys, numpy as np\n"
        "from earmark.suspects.opening import open_suspect\n"
        "suspect = open_suspect(sys.argv[1])\n"
        "assert len(suspect.answer([np.zeros((8, 8, 1), np.uint8)])) == 1\n"
        "print(sorted({'torch', 'h5py', 'keras', 'lightgbm', 'xgboost'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / name)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_every_suspect_kind_is_imported_without_its_framework():
    code = (
        "import sys, importlib\n"
        "for name in ('keras', 'h5py', 'lightgbm', 'xgboost', 'onnxruntime', 'skops'):\n"
        "    sys.modules[name] = None\n"
        "from earmark.suspects import opening\n"
        "homes = {home.partition(':')[0] for ending, home in opening.SUSPECTS.items() if home.split('.')[2]\n"
        "         .split(':')[0] in ('keras', 'lightgbm', 'onnx', 'skops', 'xgboost')}\n"
        "print([importlib.import_module(home).__name__.rpartition('.')[2] for home in sorted(homes)])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "['keras', 'lightgbm', 'onnx', 'skops', 'xgboost']\n"


def test_the_prefixes_that_the_commands_know_are_the_ones_that_are_opened():
    from earmark.cli import services
    from earmark.suspects import opening

    assert services._FILE_PREFIXES == opening._PREFIXES
    assert not services.is_service("xgboost:model.json")
    assert services.is_service("model.json")
    assert str(services.place_of("xgboost:model.json")) == "model.json"
    assert services.place_of("https://example.org/model.json") is None


def test_the_channels_of_the_questions_are_converted_to_the_models(tmp_path):
    suspect = open_suspect(str(onnx_file(tmp_path / "model.onnx")))
    grey = questions(6)
    assert suspect.answer([pixels.repeat(3, 2) for pixels in grey]) == suspect.answer(grey)


def test_code_as_architecture_is_part_of_the_identity_and_a_name_is_not(tmp_path):
    description = describe("digits-cnn", (8, 8, 1), tuple("0123456789"), 4)
    save_weights(tmp_path / "m.safetensors", build(description), description)
    (tmp_path / "net.py").write_text(
        "from earmark.models.digits_cnn import DigitsCNN\n\ndef make(classes, shape):\n    return DigitsCNN(classes, shape[2], 4)\n"
    )
    plain = open_suspect(str(tmp_path / "m.safetensors"))
    code = f"{tmp_path / 'net.py'}:make"
    wrapped = open_suspect(str(tmp_path / "m.safetensors"), architecture=code, trust_code=True)
    digest = hashlib.sha256((tmp_path / "net.py").read_bytes()).hexdigest()
    assert wrapped.identity == f"python:{plain.identity} in code sha256:{digest}:make"
