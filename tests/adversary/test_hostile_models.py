"""Models made to hurt whoever questions them. Each test turns one dial, and says what must stop it."""

import json
import os
import signal
import struct
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from earmark.commitment.canonical import canonical_json
from earmark.errors import FormatError, SuspectError, UnsupportedVersionError
from earmark.models.description import METADATA_KEY
from earmark.models.preprocessing import for_channels
from earmark.suspects import child as child_module
from earmark.suspects.child import Child
from earmark.suspects.onnx import Limits, OnnxSuspect
from earmark.suspects.opening import open_suspect
from small_models import description, hf_folder, linear_onnx, network, onnx_file, questions, weights_file

onnx = pytest.importorskip("onnx")
helper, TensorProto = onnx.helper, onnx.TensorProto
GREY = for_channels(1)
SMALL = Limits(memory_bytes=1 << 30, load_seconds=20, question_seconds=10)


def written(path: Path, model) -> Path:
    path.write_bytes(model.SerializeToString())
    return path


def refusal(name: str, **options) -> str:
    """The message with which a suspect is refused: one printable line, whatever the file holds."""
    with pytest.raises((FormatError, SuspectError)) as caught:
        open_suspect(name, **options)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 700
    return str(caught.value)


# Bytes that are no model at all


@pytest.mark.parametrize("ending", ["onnx", "safetensors"])
@pytest.mark.parametrize("size", [0, 1, 7, 8, 100, 100_000])
def test_random_bytes_are_refused(tmp_path, ending, size):
    path = tmp_path / f"model.{ending}"
    path.write_bytes(np.random.default_rng(size).bytes(size))
    refusal(str(path), preprocessing=GREY)


@pytest.mark.parametrize("share", [0.2, 0.6, 0.99])
@pytest.mark.parametrize("kind", ["onnx", "safetensors", "hf"])
def test_a_file_cut_short_is_refused(tmp_path, kind, share):
    if kind == "hf":
        path = hf_folder(tmp_path / "model") / "model.safetensors"
    else:
        path = (onnx_file if kind == "onnx" else weights_file)(tmp_path / f"model.{kind}")
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    refusal(f"hf:{path.parent}" if kind == "hf" else str(path))


def test_a_pipe_in_a_files_place_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "model.onnx")
    assert "not a file" in refusal(str(tmp_path / "model.onnx"))


def test_a_device_that_never_ends_is_not_read(tmp_path):
    (tmp_path / "model.onnx").symlink_to("/dev/zero")
    assert "not a file" in refusal(str(tmp_path / "model.onnx"))


def test_a_file_beyond_the_bound_is_not_loaded(tmp_path):
    path = onnx_file(tmp_path / "model.onnx")
    with pytest.raises(FormatError, match="larger than 100 bytes"):
        OnnxSuspect(path, limits=replace(SMALL, file_bytes=100))
    with path.open("r+b") as file:
        file.truncate(3 << 30)  # holes: it takes no room on the disk
    assert "larger than" in refusal(str(path))


# Files that reach beyond themselves


@pytest.mark.parametrize("form", ["{secret}", "../{name}", "secret", "sub/../../{name}"])
def test_a_tensor_that_points_at_a_secret_file_is_refused_unread(tmp_path, monkeypatch, form):
    (tmp_path / "here").mkdir()
    secret = tmp_path / "secret"
    secret.write_bytes(np.arange(640, dtype=np.float32).tobytes())
    monkeypatch.chdir(tmp_path / "here")
    model = stealing_model(form.format(secret=secret, name=secret.name))
    assert "outside the file" in refusal(
        str(written(tmp_path / "here" / "model.onnx", model)), preprocessing=GREY
    )


def stealing_model(location: str):
    model = linear_onnx()
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return model


def unscanned_child(path: Path, *, without_limits: bool) -> bytes:
    """The kind of the first frame of a child whose look through the file found nothing, in its folder."""
    code = (
        "import sys, resource\n"
        "from earmark.suspects import onnx_child\n"
        "onnx_child.scan = lambda data: {}\n"
        + ("resource.setrlimit = lambda kind, limits: None\n" if without_limits else "")
        + "onnx_child.main()\n"
    )
    with path.open("rb") as file:
        arguments = {
            "file": file.fileno(),
            "file_bytes": path.stat().st_size,
            "memory_bytes": 2 << 30,
            "cpu_seconds": 60,
            "threads": 1,
        }
        command = [sys.executable, "-c", code, json.dumps(arguments)]
        with subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[file.fileno()],
            cwd=path.parent,
        ) as process:
            try:
                return process.stdout.read(1)  # before stdin is closed: the child ends with its parent
            finally:
                process.kill()


def test_a_reference_that_nobody_noticed_still_opens_nothing(tmp_path):
    (tmp_path / "secret").write_bytes(bytes(4 * 640))
    path = written(tmp_path / "model.onnx", stealing_model("secret"))
    assert unscanned_child(path, without_limits=True) == b"H", "the file would load without limits"
    assert unscanned_child(path, without_limits=False) == b"F"


def test_an_operator_from_elsewhere_is_refused(tmp_path):
    node = helper.make_node("Run", ["flat"], ["x"], domain="evil.example")
    model = linear_onnx(extra_nodes=[node], extra_domains=["evil.example"])
    assert "evil.example.Run" in refusal(str(written(tmp_path / "model.onnx", model)), preprocessing=GREY)


def test_the_child_inherits_neither_secrets_nor_files(tmp_path, monkeypatch):
    monkeypatch.setenv("EARMARK_PASSPHRASE", "correct horse")
    with (tmp_path / "owner.key").open("wb") as file:
        os.set_inheritable(file.fileno(), True)
        suspect = OnnxSuspect(onnx_file(tmp_path / "model.onnx"), limits=SMALL)
        process = Path("/proc", str(suspect.pid))
        if not process.exists():
            pytest.skip("this system shows no processes as files")
        assert b"correct horse" not in (process / "environ").read_bytes()
        opened = {item.readlink() for item in (process / "fd").iterdir()}
    assert opened.isdisjoint({tmp_path / "owner.key", tmp_path / "model.onnx"})
    assert "Max open files            0" in (process / "limits").read_text()


# Models that use up memory or time


def bomb(where: str):
    """A model that makes 16 GiB of numbers: from constants alone, or from its input."""
    model = linear_onnx()
    del model.graph.node[2:]
    shape = helper.make_node("Constant", [], ["shape"], value_ints=[1 << 16, 1 << 16])
    if where == "constant":
        zeros = helper.make_node("ConstantOfShape", ["shape"], ["much"])
    else:
        zeros = helper.make_node("Expand", ["one", "shape"], ["much"])
    model.graph.node.extend(
        [
            shape,
            helper.make_node("ReduceMax", ["flat"], ["one"], keepdims=0),
            zeros,
            helper.make_node("ReduceMax", ["much"], ["most"], keepdims=0),
            helper.make_node("MatMul", ["flat", "weight"], ["bare"]),
            helper.make_node("Add", ["bare", "most"], ["scores"]),
        ]
    )
    return model


@pytest.mark.parametrize("where", ["constant", "input"])
def test_a_model_that_asks_for_all_memory_gets_an_error_and_not_the_memory(tmp_path, where):
    path = written(tmp_path / "model.onnx", bomb(where))
    start = time.monotonic()
    with pytest.raises((FormatError, SuspectError), match="(?i)memory|alloc"):
        OnnxSuspect(path, preprocessing=GREY, limits=SMALL).answer(questions(2))
    assert time.monotonic() - start < 10


def endless_model():
    types = (TensorProto.INT64, TensorProto.BOOL, TensorProto.FLOAT)
    names = ("turn", "go_on", "state")
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go_on"], ["go_on_still"]),
            helper.make_node("Sin", ["state"], ["next"]),
        ],
        "body",
        [helper.make_tensor_value_info(name, kind, []) for name, kind in zip(names, types, strict=True)],
        [
            helper.make_tensor_value_info("go_on_still", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, []),
        ],
    )
    model = linear_onnx()
    del model.graph.node[2:]
    model.graph.node.extend(
        [
            helper.make_node("ReduceMax", ["flat"], ["one"], keepdims=0),
            helper.make_node("Constant", [], ["turns"], value_int=(1 << 63) - 1),
            helper.make_node("Loop", ["turns", "", "one"], ["end"], body=body),
            helper.make_node("MatMul", ["flat", "weight"], ["bare"]),
            helper.make_node("Add", ["bare", "end"], ["scores"]),
        ]
    )
    return model


def test_a_model_that_never_answers_is_stopped(tmp_path):
    path = written(tmp_path / "model.onnx", endless_model())
    suspect = OnnxSuspect(path, preprocessing=GREY, limits=replace(SMALL, question_seconds=0.5))
    pid, start = suspect.pid, time.monotonic()
    with pytest.raises(SuspectError, match="within 0.5 seconds"):
        suspect.answer(questions(2))
    assert time.monotonic() - start < 5
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_model_has_so_much_processor_time_and_no_more(tmp_path):
    path = written(tmp_path / "model.onnx", endless_model())
    suspect = OnnxSuspect(path, preprocessing=GREY, limits=replace(SMALL, cpu_seconds=1))
    with pytest.raises(SuspectError, match="killed by signal"):
        suspect.answer(questions(1))


def test_a_model_that_never_answers_ends_with_its_parent(tmp_path):
    path = written(tmp_path / "model.onnx", endless_model())
    code = (
        "import sys, numpy as np\n"
        "from earmark.suspects.opening import open_suspect\n"
        "from earmark.models.preprocessing import for_channels\n"
        "suspect = open_suspect(sys.argv[1], preprocessing=for_channels(1))\n"
        "print(suspect.pid, flush=True)\n"
        "suspect.answer([np.zeros((8, 8, 1), np.uint8)])"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE) as parent:
        pid = int(parent.stdout.readline())
        time.sleep(0.2)  # the question is on its way
        parent.kill()
    for _ in range(50):
        if not is_running(pid):
            break
        time.sleep(0.1)
    assert not is_running(pid)


def is_running(pid: int) -> bool:
    if not Path("/proc/self").exists():
        pytest.skip("this system shows no processes as files")
    try:
        state = Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"  # in a container there may be nobody to collect an orphan's end


def test_a_file_of_countless_empty_parts_is_stopped(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"\x3a\x00" * (8 << 20))  # eight million empty graphs
    with pytest.raises(SuspectError, match="within 1 seconds"):
        OnnxSuspect(path, preprocessing=GREY, limits=replace(SMALL, load_seconds=1))


# The child process itself


def test_a_child_that_is_killed_in_the_middle_is_an_error_and_no_answer(tmp_path):
    suspect = OnnxSuspect(onnx_file(tmp_path / "model.onnx"), limits=SMALL)
    counts: list[int] = []

    def kill(count: int) -> None:
        counts.append(count)
        if count == 3:
            os.kill(suspect.pid, signal.SIGKILL)

    with pytest.raises(SuspectError, match="killed by signal 9"):
        suspect.answer(questions(10), kill)
    assert counts == [1, 2, 3]
    with pytest.raises(SuspectError, match="open it again"):
        suspect.answer(questions(1))


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import time; time.sleep(60)", "did not answer within"),
        ("sys.exit(3)", "ended with code 3"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "killed by signal 11"),
        ("sys.stdout.buffer.write(b'S' + b'\\xff' * 4)", "too great a length"),
        ("sys.stdout.buffer.write(b'S\\x00\\x00\\x00\\x09abc')", "ended with code 0"),
        ("print('hello'); sys.stdout.flush(); import time; time.sleep(60)", "too great a length"),
    ],
)
def test_a_child_that_was_taken_over_can_only_be_refused(monkeypatch, code, message):
    monkeypatch.setattr(child_module, "_START", f"import sys; {code}  # {{module}}")
    child = Child("onnx_child", "", [], [], "the suspect")
    with child, pytest.raises(SuspectError, match=message):
        child.receive(1 << 16, 1)


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"[]",
        b"[" * 100_000,
        b'{"digest": 1}',
        b'{"class_count":10,"description":7,"digest":"'
        + b"0" * 64
        + b'","dtype":"f","input_shape":[1,1,8,8]}',
        b'{"class_count":10,"description":null,"digest":"'
        + b"0" * 64
        + b'","dtype":"f","input_shape":["a",1,8,8]}',
        b'{"class_count":true,"description":null,"digest":"'
        + b"0" * 64
        + b'","dtype":"f","input_shape":[1,1,8,8]}',
    ],
)
def test_a_child_that_was_taken_over_cannot_break_its_parents_reading(tmp_path, monkeypatch, header):
    script = tmp_path / "script"
    script.write_bytes(b"H" + struct.pack(">I", len(header)) + header)
    code = f"import sys; sys.stdout.buffer.write(open({str(script)!r}, 'rb').read())  # {{module}}"
    monkeypatch.setattr(child_module, "_START", code)
    with pytest.raises(SuspectError, match="agreed form"):
        OnnxSuspect(onnx_file(tmp_path / "model.onnx"), preprocessing=GREY, limits=SMALL)


def test_a_child_that_does_not_read_holds_nobody_in_a_write(monkeypatch):
    monkeypatch.setattr(child_module, "_START", "import time; time.sleep(60)  # {module}")
    child = Child("onnx_child", "", [], [], "the suspect")
    with child, pytest.raises(SuspectError, match="within 0.3 seconds"):
        child.send(bytes(1 << 20), 0.3)


# Models of a form that cannot be questioned


def with_output(kind: str, shape):
    model = linear_onnx()
    model.graph.node.append(helper.make_node("Cast", ["scores"], ["other"], to=getattr(TensorProto, kind)))
    model.graph.output.pop()
    model.graph.output.append(helper.make_tensor_value_info("other", getattr(TensorProto, kind), shape))
    return model


def with_second_input():
    model = linear_onnx()
    model.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, [1]))
    return model


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (with_second_input, "2 inputs"),
        (lambda: linear_onnx(input_shape=(64,)), "four dimensions"),
        (lambda: linear_onnx(input_shape=(1, 4, 4, 4)), "four dimensions"),
        (lambda: linear_onnx(input_type="INT64"), "four dimensions"),
        (lambda: linear_onnx(input_shape=(3, 8, 8)), "1 channel"),
        (lambda: with_output("INT64", ["batch", 10]), "no output of float scores"),
        (lambda: linear_onnx(weight=np.ones((64, 1)), classes=1), "fewer than two"),
        (lambda: linear_onnx(weight=np.ones((64, 70_000)), classes=70_000), "how many classes"),
        (lambda: linear_onnx(before="nothing"), "cannot load"),
        (lambda: linear_onnx(batch=1 << 40), "answers nothing"),
    ],
)
def test_a_model_of_another_form_is_refused_or_answers_nothing(tmp_path, make, message):
    path = written(tmp_path / "model.onnx", make())
    with pytest.raises((FormatError, SuspectError), match=message):
        OnnxSuspect(path, preprocessing=GREY, limits=SMALL).answer(questions(2))


def test_more_scores_than_were_announced_are_no_answer(tmp_path):
    model = linear_onnx(weight=np.ones((64, 20)))
    model.graph.node.append(helper.make_node("Constant", [], ["shape"], value_ints=[-1, 10]))
    model.graph.node.append(helper.make_node("Reshape", ["scores", "shape"], ["split"]))
    model.graph.output.pop()
    model.graph.output.append(helper.make_tensor_value_info("split", TensorProto.FLOAT, ["rows", 10]))
    suspect = OnnxSuspect(written(tmp_path / "model.onnx", model), preprocessing=GREY, limits=SMALL)
    with pytest.raises(SuspectError, match="answers nothing"):
        suspect.answer(questions(2))


def test_names_in_a_file_cannot_write_on_the_terminal(tmp_path):
    node = helper.make_node("\x1b[2J\nowned: 100 of 100", ["flat"], ["x"])
    model = linear_onnx(extra_nodes=[node])
    refusal(str(written(tmp_path / "model.onnx", model)), preprocessing=GREY)


# Weights


def safetensors_bytes(header: dict, data: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def test_a_header_of_any_announced_size_is_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    for size in (1 << 20, 1 << 40, (1 << 64) - 1):
        path.write_bytes(struct.pack("<Q", size) + b"{}")
        assert "not a safetensors file" in refusal(str(path))


@pytest.mark.parametrize("shape", [[1 << 62], [1 << 32, 1 << 32], [1 << 20, 1 << 20]])
def test_a_tensor_of_any_announced_shape_is_refused(tmp_path, shape):
    path = tmp_path / "model.safetensors"
    header = {
        "__metadata__": {METADATA_KEY: description().to_text()},
        "classifier.weight": {"dtype": "F32", "shape": shape, "data_offsets": [0, 4]},
    }
    path.write_bytes(safetensors_bytes(header, bytes(4)))
    refusal(str(path))


def described(path: Path, text: str) -> str:
    from safetensors.torch import save_file

    save_file(
        {name: tensor.clone() for name, tensor in network().state_dict().items()}, path, {METADATA_KEY: text}
    )
    return str(path)


def test_a_description_of_a_giant_network_takes_no_memory(tmp_path):
    giant = replace(description(), options={"width": 1024})
    start = time.monotonic()
    assert "has shape" in refusal(described(tmp_path / "model.safetensors", giant.to_text()))
    assert time.monotonic() - start < 5


def test_a_description_of_another_version_is_refused_as_such(tmp_path):
    value = json.loads(description().to_text()) | {"format": "earmark/model/v2"}
    with pytest.raises(UnsupportedVersionError, match="newer Earmark"):
        open_suspect(described(tmp_path / "model.safetensors", canonical_json(value).decode()))


def test_a_description_that_blows_up_every_question_takes_bounded_memory():
    import torch

    from earmark.models.prediction import predict_scores

    class Watcher(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))
            self.sizes: list[int] = []

        def forward(self, images):
            self.sizes.append(images.numel() * images.element_size())
            return torch.zeros(len(images), 10)

    watcher, blown_up = Watcher(), replace(GREY, size=(2048, 2048))
    assert predict_scores(watcher, np.stack(questions(10)), blown_up).shape == (10, 10)
    assert max(watcher.sizes) <= 64 << 20


# Hugging Face folders


def changed_json(path: Path, changes: dict) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"auto_map": {"AutoConfig": "evil.Config"}}, "code of its own"),
        ({"vision_config": {"auto_map": {"AutoModel": "evil.Model"}}}, "code of its own"),
        ({"_attn_implementation": "evil/kernel"}, "from elsewhere"),
        ({"_attn_implementation_internal": "evil/kernel"}, "from elsewhere"),
        ({"quantization_config": {"quant_method": "evil"}}, "quantisation library"),
        ({"transformers_weights": "../weights.safetensors"}, "weights from elsewhere"),
        ({"use_pretrained_backbone": True}, "weights from elsewhere"),
        ({"model_type": "timm_wrapper", "architecture": "hf-hub:evil/model"}, "timm:NAME"),
        ({"model_type": "unheard-of"}, "cannot load"),
        ({"model_type": "bert"}, "not a classifier of images"),
        ({"model_type": ["vit"]}, "cannot load"),
        ({"hidden_size": 1 << 40}, "larger than"),
        ({"hidden_size": 1 << 19}, "larger than its weights"),
        ({"num_hidden_layers": 10**6}, "larger than"),
        ({"num_hidden_layers": 5}, "lacks"),
        ({"hidden_size": "many"}, "cannot load"),
        ({"image_size": 1024}, "cannot load"),
        ({"id2label": {"0": "a", "1": "b"}}, "cannot load"),
        ({"id2label": {"x": "a"}}, "cannot load"),
        ({"id2label": []}, "cannot load"),
    ],
)
def test_a_configuration_that_asks_for_more_than_its_weights_is_refused(tmp_path, changes, message):
    folder = hf_folder(tmp_path / "model")
    changed_json(folder / "config.json", changes)
    (folder / "evil.py").write_text("raise SystemExit('code of the suspect ran')")
    start = time.monotonic()
    assert message in refusal(f"hf:{folder}")
    assert time.monotonic() - start < 10


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"auto_map": {"AutoImageProcessor": "evil.Processor"}}, "code of its own"),
        ({"size": {"height": 1 << 20, "width": 1 << 20}}, "larger than"),
        ({"image_processor_type": "Evil"}, "cannot load"),
        ({"image_processor_type": "PreTrainedModel"}, "cannot load"),
        ({"image_processor_type": 7}, "cannot load"),
        ({"size": "large"}, "cannot load"),
    ],
)
def test_an_image_processor_that_does_more_than_prepare_images_is_refused(tmp_path, changes, message):
    folder = hf_folder(tmp_path / "model")
    changed_json(folder / "preprocessor_config.json", changes)
    (folder / "evil.py").write_text("raise SystemExit('code of the suspect ran')")
    assert message in refusal(f"hf:{folder}")


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"hidden_size": NaN}', "[" * 100_000, "\xff", '{"a":' * 5000]
)
def test_a_configuration_that_is_no_object_is_refused(tmp_path, text):
    folder = hf_folder(tmp_path / "model")
    (folder / "config.json").write_bytes(text.encode("latin-1"))
    refusal(f"hf:{folder}")


def test_a_link_out_of_the_folder_is_not_followed(tmp_path):
    secret = hf_folder(tmp_path / "secret")
    folder = hf_folder(tmp_path / "model")
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").symlink_to(secret / "model.safetensors")
    assert "link out of the folder" in refusal(f"hf:{folder}")
    (folder / "model.safetensors").unlink()
    (folder / "more").symlink_to(secret)
    assert "link out of the folder" in refusal(f"hf:{folder}")


def test_an_index_cannot_name_weights_outside_the_folder(tmp_path):
    hf_folder(tmp_path / "secret")
    folder = hf_folder(tmp_path / "model")
    (folder / "model.safetensors").unlink()
    for place in ("../secret/model.safetensors", str(tmp_path / "secret" / "model.safetensors"), "none", 7):
        text = json.dumps({"weight_map": {"classifier.weight": place}, "metadata": {}})
        (folder / "model.safetensors.index.json").write_text(text)
        assert "not in the folder" in refusal(f"hf:{folder}")


def test_a_pickle_beside_or_instead_of_the_weights_is_never_loaded(tmp_path):
    folder = hf_folder(tmp_path / "model")
    trap = b"cbuiltins\nexec\n(S'raise SystemExit(9)'\ntR."
    (folder / "pytorch_model.bin").write_bytes(trap)
    assert len(open_suspect(f"hf:{folder}").answer(questions(2))) == 2
    (folder / "model.safetensors").unlink()
    assert "pickles" in refusal(f"hf:{folder}")


def test_weights_that_are_missing_are_not_made_up(tmp_path):
    folder = hf_folder(tmp_path / "model", lambda tensors: tensors.pop("classifier.weight"))
    assert "lacks 1 weights" in refusal(f"hf:{folder}")


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors"])
def test_a_folder_that_is_not_whole_is_refused_with_the_file_it_lacks(tmp_path, missing):
    folder = hf_folder(tmp_path / "model")
    (folder / missing).unlink()
    assert missing in refusal(f"hf:{folder}")


def test_an_adapter_is_refused(tmp_path):
    folder = hf_folder(tmp_path / "model")
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "evil/model"}')
    assert "adapter" in refusal(f"hf:{folder}")
