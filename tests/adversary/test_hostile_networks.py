"""ONNX files made to exhaust whoever converts them for a proof: each is refused, soon and within bounded memory.

A child converts each of them, under a limit on its memory that the unguarded conversion passes by far.
"""

import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

pytest.importorskip("numba")

MEMORY_BYTES = 3 << 30
SECONDS = 60
# What would be refused only after minutes is tried under a limit on multiplications that is as much lower.
WORK_LIMIT = 1 << 27
CONVERT = """
import resource, sys
import numpy as np
from earmark.zero_knowledge.onnx_graph import integer_network
from earmark.errors import FormatError
from earmark.zero_knowledge import quantiser
quantiser.WORK_LIMIT = int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_DATA, (int(sys.argv[2]), int(sys.argv[2])))
try:
    integer_network(open(sys.argv[1], "rb").read(), (1, 32, 32), np.ones(1), np.ones(1))
except FormatError as error:
    assert "MemoryError" not in str(error), error
    print("refused:", error)
"""


def model(nodes, constants):
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1, 32, 32])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4])],
        [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in constants.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(made)
    return made.SerializeToString()


def grown(times):
    """A picture that grows by 128 on every side, again and again."""
    return [
        helper.make_node("Conv", [f"x{i}" if i else "x", "one"], [f"x{i + 1}"], pads=[64, 64, 64, 64])
        for i in range(times)
    ], {"one": np.ones((1, 1, 1, 1))}


def huge_window():
    """Windows of 512 x 512 over a picture of 1056 x 1056: a list of 10^11 places."""
    nodes, constants = grown(8)
    pool = helper.make_node("AveragePool", ["x8"], ["y"], kernel_shape=[512, 512])
    return [*nodes, pool], constants


def dense_after_dense():
    """Two sparse matrices whose product is dense: 2^17 rows of 1024."""
    constants = {"w": np.ones((128, 1, 32, 32)), "u": np.ones((512, 128, 1, 1))}
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], pads=[16, 16, 16, 16]),
        helper.make_node("Conv", ["a", "u"], ["y"]),
    ]
    return nodes, constants


def many_layers():
    """Every layer as large as one may be, hundreds of them."""
    nodes, constants = [], {"w": np.ones((16, 1, 31, 31)), "u": np.ones((1, 16, 1, 1))}
    before = "x"
    for i in range(300):
        nodes += [
            helper.make_node("Conv", [before, "w"], [f"a{i}"], pads=[15, 15, 15, 15]),
            helper.make_node("Relu", [f"a{i}"], [f"b{i}"]),
            helper.make_node("Conv", [f"b{i}", "u"], [f"c{i}"]),
        ]
        before = f"c{i}"
    return [*nodes, helper.make_node("Flatten", [before], ["y"])], constants


def written_out(name):
    """A convolution as large as one may be, and an average that needs it as a matrix."""
    return [
        helper.make_node("Conv", ["x", name], [f"of {name}"], pads=[15, 15, 15, 15]),
        helper.make_node("AveragePool", [f"of {name}"], [f"{name} written out"], kernel_shape=[1, 1]),
    ]


def sums_of_sums():
    """Two matrices as large as one may be, added; and so on, were it not refused."""
    constants = {"w": np.ones((16, 1, 31, 31)), "v": np.ones((16, 1, 31, 31))}
    both = helper.make_node("Add", ["w written out", "v written out"], ["y"])
    return [*written_out("w"), *written_out("v"), both], constants


def doubled():
    """A convolution added to itself, and that to itself: 2^60 convolutions."""
    nodes = [helper.make_node("Conv", ["x", "w"], ["x0"])]
    nodes += [helper.make_node("Add", [f"x{i}", f"x{i}"], [f"x{i + 1}"]) for i in range(60)]
    return [*nodes, helper.make_node("Flatten", ["x60"], ["y"])], {"w": np.ones((2, 1, 32, 32))}


def one_after_another():
    """Sums of many convolutions, rectified again and again: each could be, all together would take for ever."""
    nodes, before = [], "x"
    for i in range(100):
        nodes.append(
            helper.make_node("Conv", [before, "first" if i == 0 else "w"], [f"x{i}.0"], pads=[1] * 4)
        )
        nodes += [helper.make_node("Add", [f"x{i}.{j}", f"x{i}.{j}"], [f"x{i}.{j + 1}"]) for j in range(5)]
        nodes.append(helper.make_node("Relu", [f"x{i}.5"], [f"r{i}"]))
        before = f"r{i}"
    flat = helper.make_node("Flatten", [before], ["y"])
    draw = np.random.default_rng(0)  # weights of one sign would all be rounded to zero
    return [*nodes, flat], {"first": draw.normal(size=(8, 1, 3, 3)), "w": draw.normal(size=(8, 8, 3, 3))}


def normalised_again_and_again():
    """One layer as large as it may be, then a hundred normalisations, each as large again."""
    constants = {"w": np.ones((16, 1, 31, 31)), "one": np.ones(16), "zero": np.zeros(16)}
    nodes = written_out("w")
    nodes[-1].output[0] = "n0"
    nodes += [
        helper.make_node("BatchNormalization", [f"n{i}", "one", "zero", "zero", "one"], [f"n{i + 1}"])
        for i in range(100)
    ]
    return [*nodes, helper.make_node("Flatten", ["n100"], ["y"])], constants


def seen_everywhere():
    """37 kB: one kernel of 96 x 96, whose every tap is looked up at every place."""
    constants = {"w": np.ones((1, 1, 96, 96))}
    return [helper.make_node("Conv", ["x", "w"], ["y"], pads=[64, 64, 64, 64])], constants


def never_rectified():
    """Means of convolutions that nothing rectifies, so that no layer counts them; each is allowed."""
    nodes = []
    for i in range(300):
        nodes.append(helper.make_node("Conv", ["x", "w"], [f"c{i}"], pads=[15, 15, 15, 15]))
        nodes.append(helper.make_node("GlobalAveragePool", [f"c{i}"], [f"m{i}" if i < 299 else "y"]))
    return nodes, {"w": np.random.default_rng(0).normal(size=(4, 1, 31, 31))}


def multiplied_again():
    """One matrix times another, again and again from the start: each product is allowed."""
    nodes = [helper.make_node("Flatten", ["x"], ["f"]), helper.make_node("MatMul", ["f", "first"], ["h"])]
    nodes += [helper.make_node("MatMul", ["h", "w"], [f"y{i}" if i < 299 else "y"]) for i in range(300)]
    return nodes, {"first": np.ones((1024, 1024)), "w": np.ones((1024, 8))}


def largest_of_everything():
    """A window of 120 x 120: as many layers, each of a few values."""
    nodes, constants = grown(1)
    nodes.append(helper.make_node("Relu", ["x1"], ["r"]))
    nodes.append(helper.make_node("MaxPool", ["r"], ["y"], kernel_shape=[120, 120]))
    return nodes, constants


MADE = [
    seen_everywhere,
    never_rectified,
    multiplied_again,
    largest_of_everything,
    huge_window,
    dense_after_dense,
    many_layers,
    sums_of_sums,
    normalised_again_and_again,
    doubled,
    one_after_another,
]


@pytest.mark.parametrize("made", MADE)
def test_what_would_exhaust_the_converter_is_refused(tmp_path, made):
    (tmp_path / "model.onnx").write_bytes(model(*made()))
    command = [
        sys.executable,
        "-c",
        CONVERT,
        str(tmp_path / "model.onnx"),
        str(MEMORY_BYTES),
        str(WORK_LIMIT),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
    assert done.stdout.startswith("refused: "), done.stderr[-2000:]
    assert "too large" in done.stdout, done.stdout
