import numpy as np
import pytest

from earmark.errors import FormatError, SuspectError
from earmark.models.description import METADATA_KEY
from earmark.models.preprocessing import Preprocessing, catalogue, for_channels
from earmark.suspects import Miss, frames
from earmark.suspects.onnx import OnnxSuspect
from earmark.suspects.opening import open_suspect
from small_models import NAMES, description, linear_onnx, onnx_file, questions

onnx = pytest.importorskip("onnx")
helper, TensorProto = onnx.helper, onnx.TensorProto
RAW = catalogue(1)["raw-rgb-nchw"]


def expected(weight, preprocessing=None, count=24):
    inputs = (preprocessing or for_channels(1))(np.stack(questions(count)))
    return list((inputs.reshape(count, -1) @ np.asarray(weight, np.float32)).argmax(1))


@pytest.fixture
def weight():
    return np.random.default_rng(5).normal(size=(64, 10))


def test_the_child_knows_the_metadata_key_without_importing_the_models():
    assert frames.METADATA_KEY == METADATA_KEY


def test_the_answers_are_the_models(tmp_path, weight):
    suspect = open_suspect(str(onnx_file(tmp_path / "m.onnx", weight=weight)))
    assert suspect.answer(questions(24)) == expected(weight)


@pytest.mark.parametrize("kind", ["FLOAT", "FLOAT16", "DOUBLE"])
def test_every_float_type_is_read(tmp_path, weight, kind):
    path = onnx_file(tmp_path / "m.onnx", weight=weight, input_type=kind, metadata=None)
    assert open_suspect(str(path), preprocessing=for_channels(1)).answer(questions(24)) == expected(weight)


def test_a_model_of_bytes_takes_the_pixels_as_they_are(tmp_path, weight):
    path = onnx_file(tmp_path / "m.onnx", weight=weight, input_type="UINT8", metadata=None)
    assert open_suspect(str(path), preprocessing=RAW).answer(questions(24)) == expected(weight, RAW)
    with pytest.raises(FormatError, match="raw"):
        open_suspect(str(path), preprocessing=for_channels(1))


def test_channels_may_come_last(tmp_path, weight):
    last = Preprocessing(mean=("0.5",), std=("0.5",), channels=1, layout="NHWC")
    path = onnx_file(tmp_path / "m.onnx", weight=weight, input_shape=(8, 8, 1), metadata=None)
    assert open_suspect(str(path), preprocessing=last).answer(questions(24)) == expected(weight, last)
    with pytest.raises(FormatError, match="NCHW"):
        open_suspect(str(path), preprocessing=for_channels(1))


@pytest.mark.parametrize("has_seed", [False, True])
def test_a_model_that_draws_random_numbers_draws_the_same_ones_again(tmp_path, has_seed):
    """Otherwise whoever questions it could do so until the answers please him."""
    seed = {"seed": 3.0} if has_seed else {}
    graph = helper.make_graph(
        [
            helper.make_node(
                "Constant", [], ["like"], value=onnx.numpy_helper.from_array(np.zeros((1, 10), "f"))
            ),
            helper.make_node("RandomNormalLike", ["like"], ["scores"], **seed),
        ],
        "noise",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 1, 8, 8])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 10])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = tmp_path / "noise.onnx"
    path.write_bytes(model.SerializeToString())
    said = [open_suspect(str(path), preprocessing=for_channels(1)).answer(questions(24)) for _ in range(2)]
    assert said[0] == said[1]
    assert len(set(said[0])) > 3, "it draws nothing"


def test_of_several_outputs_the_first_with_scores_counts(tmp_path, weight):
    outputs = [
        helper.make_tensor_value_info("number", TensorProto.INT64, ["batch", 1]),
        helper.make_tensor_value_info("opposite", TensorProto.FLOAT, ["batch", 10]),
    ]
    model = linear_onnx(weight=weight, extra_outputs=outputs)
    model.graph.node.append(helper.make_node("ArgMax", ["flat"], ["number"], axis=1))
    model.graph.node.append(helper.make_node("Neg", ["scores"], ["opposite"]))
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    answers = open_suspect(str(tmp_path / "m.onnx"), preprocessing=for_channels(1)).answer(questions(24))
    assert answers == expected(-weight)


def test_scores_may_have_further_dimensions_of_one(tmp_path, weight):
    model = linear_onnx(weight=weight)
    model.graph.node.append(helper.make_node("Constant", [], ["shape"], value_ints=[0, 10, 1, 1]))
    model.graph.node.append(helper.make_node("Reshape", ["scores", "shape"], ["pooled"]))
    model.graph.output.pop()
    shape = ["batch", 10, 1, 1]
    model.graph.output.append(helper.make_tensor_value_info("pooled", TensorProto.FLOAT, shape))
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    suspect = open_suspect(str(tmp_path / "m.onnx"), preprocessing=for_channels(1))
    assert suspect.answer(questions(24)) == expected(weight)


def test_a_model_that_answers_otherwise_in_company_is_asked_alone(tmp_path, weight):
    # To customers, who ask one thing at a time, it gives the marked answers; to a batch it gives class 0.
    model = linear_onnx(weight=weight)
    del model.graph.node[2:]
    model.graph.node.extend(
        [
            helper.make_node("Shape", ["images"], ["batch_size"], start=0, end=1),
            helper.make_node("Cast", ["batch_size"], ["size"], to=TensorProto.FLOAT),
            helper.make_node("Constant", [], ["first"], value_floats=[1e9] + [0.0] * 9),
            helper.make_node("Constant", [], ["one"], value_floats=[1.0]),
            helper.make_node("Sub", ["size", "one"], ["others"]),
            helper.make_node("Mul", ["others", "first"], ["lie"]),
            helper.make_node("MatMul", ["flat", "weight"], ["truth"]),
            helper.make_node("Add", ["truth", "lie"], ["scores"]),
        ]
    )
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    suspect = open_suspect(str(tmp_path / "m.onnx"), preprocessing=for_channels(1))
    assert suspect.answer(questions(24)) == expected(weight)


def test_a_question_that_fails_is_a_miss_and_the_next_is_answered(tmp_path, weight):
    # Division of integers by zero or an index out of range stops a run, not the session.
    model = linear_onnx(weight=weight)
    del model.graph.node[2:]
    model.graph.node.extend(
        [
            helper.make_node("ReduceMax", ["flat"], ["largest"], keepdims=0),
            helper.make_node("Cast", ["largest"], ["place"], to=TensorProto.INT64),
            helper.make_node("Constant", [], ["limits"], value_ints=[0]),
            helper.make_node("Gather", ["limits", "place"], ["zero"]),
            helper.make_node("Cast", ["zero"], ["nothing"], to=TensorProto.FLOAT),
            helper.make_node("MatMul", ["flat", "weight"], ["bare"]),
            helper.make_node("Add", ["bare", "nothing"], ["scores"]),
        ]
    )
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    suspect = OnnxSuspect(tmp_path / "m.onnx", preprocessing=RAW)
    dark = [np.zeros((8, 8, 1), np.uint8), np.full((8, 8, 1), 200, np.uint8), np.zeros((8, 8, 1), np.uint8)]
    answers = suspect.answer(dark)
    assert answers == [Miss.TIE, Miss.ERROR, Miss.TIE]
    assert suspect.answer([dark[1]]) == [Miss.ERROR], "it has answered before: one failure is one miss"
    with pytest.raises(SuspectError, match="answers nothing"):
        OnnxSuspect(tmp_path / "m.onnx", preprocessing=RAW).answer([dark[1]])


def test_questions_of_another_size_than_the_models_are_refused_with_both_sizes(tmp_path):
    suspect = open_suspect(str(onnx_file(tmp_path / "m.onnx")))
    with pytest.raises(SuspectError, match=r"1x8x8, not 1x4x4"):
        suspect.answer(questions(2, (4, 4, 1)))


def test_the_releases_size_is_applied(tmp_path, weight):
    sized = Preprocessing(mean=("0.5",), std=("0.5",), channels=1, size=(8, 8), interpolation="nearest")
    path = onnx_file(tmp_path / "m.onnx", weight=weight, metadata=None)
    suspect = open_suspect(str(path), preprocessing=sized)
    doubled = [np.kron(item, np.ones((2, 2, 1), np.uint8)) for item in questions(24)]
    assert suspect.answer(doubled) == expected(weight)


def test_a_spoilt_description_keeps_no_file_from_being_questioned(tmp_path, weight):
    path = onnx_file(tmp_path / "m.onnx", weight=weight, metadata={"earmark": "spoilt"})
    with pytest.raises(FormatError, match="description"):
        open_suspect(str(path))
    suspect = open_suspect(str(path), preprocessing=for_channels(1))
    assert suspect.class_names is None
    assert suspect.answer(questions(24)) == expected(weight)


def test_a_description_of_other_classes_than_the_outputs_is_refused(tmp_path):
    metadata = {"earmark": description(NAMES[:4]).to_text()}
    path = onnx_file(tmp_path / "m.onnx", metadata=metadata)
    with pytest.raises(FormatError, match="10 outputs"):
        open_suspect(str(path))
    assert open_suspect(str(path), preprocessing=for_channels(1)).class_count == 10


def test_a_closed_suspect_says_so(tmp_path):
    suspect = OnnxSuspect(onnx_file(tmp_path / "m.onnx"))
    suspect.close()
    with pytest.raises(SuspectError, match="open it again"):
        suspect.answer(questions(1))
