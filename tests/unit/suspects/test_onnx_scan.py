import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.errors import FormatError
from earmark.suspects.onnx_scan import scan
from small_models import linear_onnx

onnx = pytest.importorskip("onnx")
helper, TensorProto = onnx.helper, onnx.TensorProto
SECRET = "/etc/hostname"


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def message(number: int, payload: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def outside_tensor(location: str = SECRET) -> "onnx.TensorProto":
    tensor = onnx.TensorProto(name="stolen", data_type=TensorProto.FLOAT, dims=[4])
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return tensor


def in_initializer(model, tensor) -> None:
    model.graph.initializer.append(tensor)


def in_attribute(model, tensor) -> None:
    model.graph.node.append(helper.make_node("Constant", [], ["stolen"], value=tensor))


def in_list_of_tensors(model, tensor) -> None:
    node = helper.make_node("Constant", [], ["stolen"])
    attribute = onnx.AttributeProto(name="values", type=onnx.AttributeProto.TENSORS)
    attribute.tensors.append(tensor)
    node.attribute.append(attribute)
    model.graph.node.append(node)


def in_subgraph(model, tensor) -> None:
    graph = helper.make_graph([], "branch", [], [], [tensor])
    model.graph.node.append(
        helper.make_node("If", ["flag"], ["stolen"], then_branch=graph, else_branch=graph)
    )


def in_sparse(model, tensor) -> None:
    model.graph.sparse_initializer.append(onnx.SparseTensorProto(values=tensor, dims=[4]))


def in_function(model, tensor) -> None:
    node = helper.make_node("Constant", [], ["stolen"], value=tensor)
    function = helper.make_function("mine", "Steal", [], ["stolen"], [node], [helper.make_opsetid("", 18)])
    model.functions.append(function)


def in_default_of_a_function(model, tensor) -> None:
    function = helper.make_function("mine", "Steal", [], [], [], [helper.make_opsetid("", 18)])
    function.attribute_proto.append(helper.make_attribute("default", tensor))
    model.functions.append(function)


def in_training(model, tensor) -> None:
    model.training_info.add().algorithm.initializer.append(tensor)


PLACES = [
    in_initializer,
    in_attribute,
    in_list_of_tensors,
    in_subgraph,
    in_sparse,
    in_function,
    in_default_of_a_function,
    in_training,
]


def test_a_plain_model_is_accepted_and_its_metadata_are_returned():
    assert scan(linear_onnx(metadata={"earmark": "text", "other": ""}).SerializeToString()) == {
        "earmark": "text",
        "other": "",
    }


@pytest.mark.parametrize("hide", PLACES)
def test_data_outside_the_file_is_refused_wherever_it_hides(hide):
    model = linear_onnx()
    hide(model, outside_tensor())
    with pytest.raises(FormatError, match="outside the file"):
        scan(model.SerializeToString())


@pytest.mark.parametrize("location", ["../secret", "*/_ORT_MEM_ADDR_/*", "weights.bin"])
def test_data_outside_the_file_is_refused_whatever_it_is_called(location):
    model = linear_onnx()
    in_initializer(model, outside_tensor(location))
    with pytest.raises(FormatError, match="outside the file"):
        scan(model.SerializeToString())


@pytest.mark.parametrize("part", ["external_data", "data_location"])
def test_half_of_a_reference_to_the_outside_is_refused_too(part):
    tensor = outside_tensor()
    tensor.ClearField(part)
    model = linear_onnx()
    in_initializer(model, tensor)
    with pytest.raises(FormatError, match="outside the file"):
        scan(model.SerializeToString())


def test_a_second_graph_is_looked_through_like_the_first():
    second = linear_onnx()
    in_initializer(second, outside_tensor())
    # Readers merge the two graphs into one.
    data = linear_onnx().SerializeToString() + message(7, second.graph.SerializeToString())
    with pytest.raises(FormatError, match="outside the file"):
        scan(data)


def test_a_field_number_that_other_readers_cut_off_is_refused():
    graph = linear_onnx().graph.SerializeToString()
    hidden = varint((1 << 32) | (5 << 3 | 2)) + varint(0)
    with pytest.raises(FormatError, match="no valid number"):
        scan(linear_onnx().SerializeToString() + message(7, graph + hidden))


@pytest.mark.parametrize("wire", [3, 4, 6, 7])
def test_groups_and_unknown_wire_types_are_refused(wire):
    with pytest.raises(FormatError, match="wire type"):
        scan(linear_onnx().SerializeToString() + varint(9 << 3 | wire))


def test_a_graph_that_is_not_a_message_is_refused():
    with pytest.raises(FormatError, match="not a message"):
        scan(linear_onnx().SerializeToString() + varint(7 << 3) + varint(1))


def test_two_operators_in_one_node_are_refused():
    node = message(4, b"Relu") + message(4, b"Evil")
    with pytest.raises(FormatError, match="two names"):
        scan(message(7, message(1, node)))


def test_two_descriptions_are_refused():
    model = linear_onnx()
    for text in ("one", "other"):
        model.metadata_props.add(key="earmark", value=text)
    with pytest.raises(FormatError, match="twice"):
        scan(model.SerializeToString())


def test_bytes_that_onnxruntime_takes_for_its_own_format_are_refused():
    # A field that nobody knows, whose content starts with the mark that onnxruntime looks for.
    field = varint(99 << 3 | 2) + b"\x05" + b"\x00ORTM"
    data = field + linear_onnx().SerializeToString()
    assert data[4:8] == b"ORTM"
    assert onnx.load_from_string(data).graph.name == "linear"
    with pytest.raises(FormatError, match="own format"):
        scan(data)


@pytest.mark.parametrize("domain", ["evil", "com.microsoft.nchwc", "ai.onnx.ml.evil", "Ai.onnx"])
def test_operators_that_are_not_built_in_are_refused(domain):
    model = linear_onnx()
    model.graph.node.append(helper.make_node("Run", ["flat"], ["x"], domain=domain))
    with pytest.raises(FormatError, match="not part of ONNX"):
        scan(model.SerializeToString())


def test_operators_that_are_not_built_in_are_refused_inside_functions():
    node = helper.make_node("Run", ["x"], ["y"], domain="evil")
    model = linear_onnx()
    opset = [helper.make_opsetid("evil", 1)]
    model.functions.append(helper.make_function("mine", "Wrap", ["x"], ["y"], [node], opset))
    with pytest.raises(FormatError, match=r"evil\.Run"):
        scan(model.SerializeToString())


@pytest.mark.parametrize("domain", ["", "ai.onnx", "ai.onnx.ml", "com.microsoft"])
def test_operators_that_onnxruntime_has_built_in_are_accepted(domain):
    model = linear_onnx()
    model.graph.node.append(helper.make_node("Relu", ["flat"], ["x"], domain=domain))
    scan(model.SerializeToString())


def test_functions_that_the_file_defines_are_accepted():
    node = helper.make_node("Relu", ["x"], ["y"])
    model = linear_onnx()
    model.functions.append(
        helper.make_function("mine", "Activate", ["x"], ["y"], [node], [helper.make_opsetid("", 18)])
    )
    model.graph.node.append(helper.make_node("Activate", ["flat"], ["x"], domain="mine"))
    scan(model.SerializeToString())


def test_graphs_nested_without_end_are_refused_before_the_stack_is():
    data = b""
    for _ in range(3000):
        data = message(1, message(5, message(6, data)))  # graph > node > attribute > graph
    with pytest.raises(FormatError, match="nested"):
        scan(message(7, data))


def test_a_message_names_operators_without_their_control_characters():
    model = linear_onnx()
    model.graph.node.append(helper.make_node("\x1b[31mRun\n", ["flat"], ["x"], domain="e\x07vil"))
    with pytest.raises(FormatError) as caught:
        scan(model.SerializeToString())
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.9, 0.999])
def test_a_file_cut_short_is_refused(share):
    data = linear_onnx(weight=np.ones((64, 10))).SerializeToString()
    with pytest.raises(FormatError):
        scan(data[: int(share * len(data))])


@given(st.binary(max_size=200))
def test_random_bytes_raise_nothing_but_format_errors(data):
    with contextlib.suppress(FormatError):
        scan(data)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_altered_files_raise_nothing_but_format_errors(data):
    original = bytearray(linear_onnx(metadata={"earmark": "text"}).SerializeToString())
    for place in data.draw(st.lists(st.integers(0, len(original) - 1), min_size=1, max_size=5)):
        original[place] = data.draw(st.integers(0, 255))
    with contextlib.suppress(FormatError):
        scan(bytes(original))
