"""Two ways from an ONNX file to integers that share no code find the same network."""

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from earmark.zero_knowledge.onnx_graph import integer_network
from vectors.quantiser_witness import network_digest

FOLDER = Path(__file__).parent
GOLDEN = FOLDER / "v1" / "proofs"
SCALE, SHIFT = np.array([1 / 127.5, 1 / 100, 1 / 64]), np.array([-1.0, -1.2, 0.7])


@pytest.mark.parametrize("name", ["residual", "preactivation"])
def test_the_witness_finds_the_golden_digests(name):
    data = (GOLDEN / f"{name}.onnx").read_bytes()
    found = network_digest(data, (2, 8, 8), (1 / 127.5, 1 / 100), (-1, -1.2))
    assert found.hex() + "\n" == (GOLDEN / f"{name}.network-digest").read_text("utf-8")


class Drawn:
    """A network that is written down operator by operator, with random weights."""

    def __init__(self, *shape, seed=0):
        self.shape, self.draw, self.nodes, self.constants = shape, np.random.default_rng(seed), [], {}

    def weights(self, *shape):
        values = self.draw.normal(size=shape) / np.sqrt(np.prod(shape[1:]))
        return self.constant(values.astype(np.float32))

    def constant(self, values):
        name = f"constant {len(self.constants)}"
        self.constants[name] = np.asarray(values)
        return name

    def add(self, kind, *inputs, **attributes):
        result = f"result {len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [result], **attributes))
        return result

    def conv(self, source, *shape, bias=True, **attributes):
        biases = [self.weights(shape[0])] if bias else []
        return self.add("Conv", source, self.weights(*shape), *biases, **attributes)

    def norm(self, source, size, **attributes):
        names = [self.weights(size) for _ in range(3)]
        variance = self.constant(self.draw.uniform(0.2, 2, size).astype(np.float32))
        return self.add("BatchNormalization", source, *names, variance, **attributes)

    def file(self, result):
        ends = [("x", ["n", *self.shape]), (result, None)]
        first, last = (helper.make_tensor_value_info(name, TensorProto.FLOAT, sides) for name, sides in ends)
        initial = [numpy_helper.from_array(value, name) for name, value in self.constants.items()]
        graph = helper.make_graph(self.nodes, "g", [first], [last], initial)
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        return made.SerializeToString()


def residual_block():
    """A shortcut of 1x1, the mean of a block's end, and Gemm with factors."""
    net = Drawn(3, 8, 8)
    first = net.add("Relu", net.conv("x", 4, 3, 3, 3, pads=[1] * 4))
    inner = net.add("Relu", net.norm(net.conv(first, 6, 4, 3, 3, pads=[1] * 4, strides=[2, 2]), 6))
    block = net.norm(net.conv(inner, 6, 6, 3, 3, bias=False, pads=[1] * 4), 6, epsilon=1e-3)
    both = net.add("Relu", net.add("Add", net.conv(first, 6, 4, 1, 1, strides=[2, 2]), block))
    flat = net.add("Flatten", net.add("GlobalAveragePool", both))
    return net, net.add("Gemm", flat, net.weights(5, 6), net.weights(5), transB=1, alpha=0.7, beta=1.3)


def shortcut_that_was_never_rectified():
    """Convolutions and a matrix in one sum, and the mean of all of them."""
    net = Drawn(2, 7, 6)
    first = net.add("Relu", net.conv("x", 4, 2, 3, 3))
    second = net.add("Relu", net.conv(first, 4, 4, 3, 3, pads=[1] * 4))
    both = net.add("Add", first, net.conv(second, 4, 4, 3, 3, pads=[1] * 4))
    three = net.add("Add", both, net.conv(first, 4, 4, 1, 1))
    last = net.add("Relu", net.add("ReduceMean", three, axes=[-1, -2], keepdims=0))
    return net, net.add("MatMul", last, net.weights(4, 3))


def maximum_behind_relu():
    """Taps outside the picture, a maximum of maxima, and a convolution of what is no picture."""
    net = Drawn(1, 8, 8)
    first = net.add("Relu", net.conv("x", 3, 1, 3, 3))
    pooled = net.add("MaxPool", first, kernel_shape=[3, 2], pads=[1, 0, 1, 1], strides=[2, 1])
    again = net.add("MaxPool", pooled, kernel_shape=[1, 2], dilations=[1, 2], strides=[1, 2])
    last = net.add("Relu", net.conv(again, 4, 3, 2, 2))
    return net, net.add("Gemm", net.add("Flatten", last), net.weights(8, 3), net.weights(3))


def maximum_before_relu():
    """The layer stands where the maximum does, though another Relu comes before its own."""
    net = Drawn(2, 6, 6)
    one, other = net.conv("x", 3, 2, 3, 3), net.conv("x", 3, 2, 3, 3, strides=[2, 2])
    pooled = net.add("MaxPool", one, kernel_shape=[2, 2], strides=[2, 2])
    second = net.add("Relu", other)
    first = net.add("Relu", net.add("Relu", pooled))
    flat = net.add("Reshape", net.add("Add", second, first), net.constant(np.array([-1, 12])))
    return net, net.add("MatMul", flat, net.weights(12, 3))


def averages():
    """AveragePool with and without what lies outside the picture, then Gemm."""
    net = Drawn(3, 7, 7)
    first = net.add("Relu", net.norm(net.conv("x", 4, 3, 2, 2, pads=[1, 0, 0, 1]), 4))
    one = net.add("AveragePool", first, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    two = net.add("AveragePool", one, kernel_shape=[2, 2], pads=[0, 1, 1, 0], count_include_pad=1)
    flat = net.add("Flatten", two)
    dense = net.add("Relu", net.add("Gemm", flat, net.weights(64, 6), net.weights(1, 6)))
    return net, net.add(
        "Add", net.constant(np.float32([3, 1, 2])), net.add("MatMul", dense, net.weights(6, 3))
    )


def dead_channels():
    """Channels that have no weights, or are never lit, and large weights that read only such a one."""
    net = Drawn(3, 8, 8)
    first = net.add("Relu", net.conv("x", 4, 3, 3, 3, dilations=[2, 2]))
    bias, kernel = net.constants.values()
    kernel[:2], bias[:] = 0, [-1, 0, -100, 0.1]
    last = net.add("Relu", net.conv(first, 4, 4, 2, 2, strides=[1, 2]))
    bias, kernel = list(net.constants.values())[2:]
    bias[0], kernel[0], kernel[0, 2] = 0, 0, 100
    scores = net.add("Gemm", net.add("Flatten", last), net.weights(24, 3))
    net.constants["constant 4"][:6] *= 10**5
    return net, scores


def groups():
    """Groups, also of one channel, a constant added to each channel, and a convolution of a mean."""
    net = Drawn(2, 7, 5)
    first = net.add("Relu", net.conv("x", 6, 1, 3, 3, group=2, pads=[1, 2, 0, 1]))
    second = net.add("Relu", net.norm(net.conv(first, 6, 1, 3, 3, group=6, pads=[1] * 4), 6))
    added = net.add("Add", net.conv(second, 4, 3, 1, 1, group=2, bias=False), net.weights(4, 1, 1))
    mean = net.add("GlobalAveragePool", added)
    return net, net.add("Flatten", net.conv(net.add("Relu", net.conv(mean, 5, 4, 1, 1)), 3, 5, 1, 1))


def convolution_of_a_convolution():
    """Of the normalised input, of a convolution, and of a sum of two."""
    net = Drawn(2, 6, 6)
    first = net.conv(net.norm("x", 2), 3, 2, 3, 3, pads=[1] * 4)
    second = net.add("Relu", net.conv(first, 4, 3, 3, 3, pads=[1, 0, 0, 1]))
    both = net.add("Add", net.conv(second, 4, 4, 2, 2), net.conv(second, 4, 4, 2, 2))
    third = net.add("Relu", net.conv(both, 4, 4, 2, 2))
    return net, net.add("Flatten", net.add("GlobalAveragePool", net.conv(third, 3, 4, 2, 2)))


def normalised_matrices():
    """BatchNormalization between a matrix and Relu: of Gemm, and of a convolution of a maximum."""
    net = Drawn(1, 6, 6)
    pooled = net.add("MaxPool", net.add("Relu", net.conv("x", 3, 1, 3, 3)), kernel_shape=[2, 2])
    first = net.add("Flatten", net.add("Relu", net.norm(net.conv(pooled, 2, 3, 2, 2), 2)))
    second = net.add("Relu", net.norm(net.add("Gemm", first, net.weights(8, 6)), 6))
    return net, net.add("MatMul", second, net.weights(6, 3))


def mean_of_the_input():
    """Of a convolution whose picture has its channels innermost."""
    net = Drawn(3, 4, 4)
    mean = net.add("Relu", net.add("GlobalAveragePool", net.conv("x", 8, 3, 2, 2)))
    return net, net.add("MatMul", net.add("Flatten", mean), net.weights(8, 5))


def ties():
    """Channels of which the pictures show nothing have units that are powers of two; then weights are halves."""
    net = Drawn(1, 4, 4)
    dead = net.constant(np.zeros((2, 1, 2, 2))), net.constant(np.full(2, -128.0))
    first = net.add("Relu", net.add("Conv", "x", *dead))
    odd = 2 * net.draw.integers(-500, 500, (3, 2, 2, 2)) + 1
    second = net.add("Relu", net.add("Conv", first, net.constant(odd * 2.0**-16)))
    odd = 2 * net.draw.integers(-500, 500, (12, 1)) + 1
    weights = net.constant(np.hstack([odd, -odd]) * 2.0**-14)
    return net, net.add("MatMul", net.add("Flatten", second), weights)


def scores_with_much_in_common():
    """So much that taking it away leaves how it was rounded."""
    net = Drawn(1, 4, 4)
    first = net.add("Flatten", net.add("Relu", net.conv("x", 2, 1, 2, 2)))
    weights = net.constant(net.draw.normal(size=(18, 7)) + 1e11 * net.draw.normal(size=(18, 1)))
    return net, net.add("Gemm", first, weights, net.constant(net.draw.normal(size=7) + 1e12 / 3))


# Below, two ways to write the same scores, one less the other: all that remains is how each was rounded.


def rounding_of_the_input():
    """A convolution, less the same as a matrix."""
    net = Drawn(3, 6, 6)
    kernel, bias = net.draw.normal(size=(4, 3, 3, 3)), net.draw.normal(size=4)
    whole = np.zeros((4, 4, 4, 3, 6, 6))
    for row, column in np.ndindex(4, 4):
        whole[:, row, column, :, row : row + 3, column : column + 3] = -kernel
    one = net.add("Conv", "x", net.constant(kernel), net.constant(bias))
    constants = net.constant(whole.reshape(64, 108).T), net.constant(-bias.repeat(16))
    other = net.add("Gemm", net.add("Flatten", "x"), *constants)
    return net, net.add("Add", net.add("Flatten", one), other)


def rounding_of_means():
    """A mean of convolutions and a matrix, less the same as a matrix product."""
    net = Drawn(2, 7, 7)
    first = net.add("Relu", net.conv("x", 4, 2, 3, 3))
    total = net.conv("x", 6, 1, 5, 5, group=2, pads=[1] * 4, strides=[2, 2])
    for groups in (1, 2, 1):
        total = net.add("Add", total, net.conv(first, 6, 4 // groups, 3, 3, group=groups))
    total = net.add("Add", net.conv(net.conv(first, 3, 4, 1, 1), 6, 3, 3, 3), total)
    normal = net.norm(total, 6)
    one = net.add("Flatten", net.add("GlobalAveragePool", normal))
    matrix = net.constant(np.kron(np.eye(6), np.full((9, 1), 1 / 9)))
    other = net.add("Gemm", net.add("Flatten", normal), matrix, alpha=-1.0)
    return net, net.add("Add", one, other)


def rounding_of_averages_and_normalisation():
    """AveragePool and BatchNormalization, less the same as a matrix product and with another mean."""
    net = Drawn(2, 5, 5)
    first = net.add("Relu", net.conv("x", 3, 2, 3, 3, pads=[1] * 4))
    pooled = net.add("AveragePool", first, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    ones = np.array([[abs(2 * i - j) < 2 for i in range(3)] for j in range(5)], float)
    whole = np.kron(np.eye(3), np.kron(ones, ones))
    other = net.add("Gemm", net.add("Flatten", first), net.constant(-whole / whole.sum(0)))
    averaged = net.add("Add", net.add("Flatten", pooled), other)
    scale, shift, mean, dense = (net.draw.normal(size=size) for size in (27, 27, 27, (75, 27)))
    gemm = net.add("Gemm", net.add("Flatten", first), net.constant(dense), net.constant(shift))
    variance = net.constant(np.full(27, 0.3))
    names = net.constant(scale), net.constant(shift), net.constant(mean), variance
    one = net.add("BatchNormalization", gemm, *names)
    factor = scale / np.sqrt(0.3 + 1e-5)
    names = net.constant(-scale), net.constant(mean * factor / 2 - shift), net.constant(mean / 2), variance
    both = net.add("Add", one, net.add("BatchNormalization", gemm, *names))
    return net, net.add("Add", averaged, both)


NETWORKS = [
    residual_block,
    maximum_behind_relu,
    maximum_before_relu,
    averages,
    dead_channels,
    groups,
    convolution_of_a_convolution,
    ties,
    scores_with_much_in_common,
    rounding_of_the_input,
    rounding_of_means,
    rounding_of_averages_and_normalisation,
    shortcut_that_was_never_rectified,
    normalised_matrices,
    mean_of_the_input,
]


@pytest.mark.parametrize("network", NETWORKS)
def test_both_find_the_same_network(network):
    net, scores = network()
    channels = net.shape[0]
    given = (net.file(scores), net.shape, SCALE[:channels], SHIFT[:channels])
    assert network_digest(*given) == integer_network(*given).digest


def test_the_witness_imports_nothing_of_earmark():
    lines = (FOLDER / "quantiser_witness.py").read_text("utf-8").splitlines()
    imports = {line.split()[1] for line in lines if line.startswith(("import ", "from "))}
    libraries = {"sys", "dataclasses", "fractions", "math", "pathlib", "numpy", "onnx"}
    assert imports <= libraries | {"proof_witness", "witness"}
