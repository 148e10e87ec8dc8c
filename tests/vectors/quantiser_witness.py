"""A second way from an ONNX file to the digest of its integer network, to check the first: slow and plain.

It follows the sections "Statement" and "From an ONNX file to integers" of docs/formats/ownership-proof-v1.md
and imports nothing of Earmark. No file is refused for its size.
"""

import sys
from dataclasses import dataclass, replace
from fractions import Fraction
from math import prod
from pathlib import Path

import numpy as np
import onnx

sys.path.insert(0, str(Path(__file__).parent))
from proof_witness import RECTIFY, REQUANTISE, P, entries_of, field_words
from witness import digest, need


@dataclass(frozen=True)
class Tensor:
    """Numbers: a bias, convolutions of the network's values, and behind these one matrix over all values."""

    shape: tuple  # without the batch
    bias: np.ndarray  # of each number, channels outermost
    convolutions: tuple = ()
    matrix: np.ndarray | None = None  # a row for each number, a column for each value so far
    picture: tuple | None = None  # of the input and of a layer's result: where its values lie
    units: np.ndarray | None = None  # of the input and of bytes: what multiplies each channel
    bytes: np.ndarray | None = None  # of bytes: the matrix before the units

    @property
    def channel(self):
        """The channel of each number."""
        return np.repeat(np.arange(self.shape[0]), prod(self.shape[1:]))

    def largest(self, numbers):
        """The largest of these in each channel."""
        return numbers.reshape(self.shape[0], -1).max(1)

    def scaled(self, factors):
        """Weights and bias times the factor of their channel."""
        rows, outputs = factors[self.channel], factors[:, None, None, None]
        terms = tuple({**term, "kernel": term["kernel"] * outputs} for term in self.convolutions)
        matrix = None if self.matrix is None else self.matrix * rows[:, None]
        return Tensor(self.shape, self.bias * rows, terms, matrix)

    def rounded(self):
        """Weights and bias as the nearest integers, ties to even."""
        terms = tuple({**term, "kernel": np.rint(term["kernel"])} for term in self.convolutions)
        matrix = None if self.matrix is None else np.rint(self.matrix)
        return Tensor(self.shape, np.rint(self.bias), terms, matrix)


def taps_met(term):
    """Sum, value and weight wherever a tap of a convolution lies inside the picture."""
    return entries_of({**term, "kernel": term["kernel"].reshape(-1), "kernel_shape": term["kernel"].shape})


def written_out(term, size, values):
    """A convolution as a matrix."""
    found = np.zeros((size, values))
    for row, value, weight in taps_met(term):
        found[row, value] = weight
    return found


def widened(matrix, values):
    """The matrix with a column for every value so far."""
    return np.pad(matrix, ((0, 0), (0, values - matrix.shape[1])))


def one_matrix(tensor, values):
    """All terms, in their order, as one matrix."""
    found = np.zeros((tensor.bias.size, values))
    for term in tensor.convolutions:
        found += written_out(term, tensor.bias.size, values)
    return found if tensor.matrix is None else found + widened(tensor.matrix, values)


def multiplied(left, right):
    """The product of two matrices, added in the order of the inner index."""
    found = np.zeros((left.shape[0], right.shape[1]))
    for inner in range(left.shape[1]):
        rows = np.flatnonzero(left[:, inner])
        found[rows] += left[rows, inner, None] * right[inner]
    return found


def eight_bytes(numbers):
    """Integers of 8 bytes each."""
    return np.asarray(numbers).reshape(-1).astype("<i8").tobytes()


class Network:
    """Integer layers, and all values that the 64 pictures lead to."""

    def __init__(self, shape):
        channels, rows, columns = shape
        self.layers, self.input_size, known = [], prod(shape), []
        for number in range(64):
            block = 2 ** (number % 4)
            size = (-(-rows // block), -(-columns // block), channels)
            seed = b"earmark/quantiser/v1" + bytes([number])
            words = np.array(field_words(seed, prod(size))) & 255
            picture = words.reshape(size).repeat(block, 0).repeat(block, 1)
            known.append(picture[:rows, :columns].reshape(-1))
        self.known = np.array(known, np.float64)

    @property
    def values(self):
        """How many values there are so far."""
        return self.known.shape[1]

    def sums(self, tensor):
        """The numbers of an integer tensor on the 64 pictures."""
        return self.known @ one_matrix(tensor, self.values).T + tensor.bias

    def append(self, table, tensor):
        """Add a layer of integers; return the number of its first result."""
        first, sums = self.values, self.sums(tensor)
        self.layers.append((table, first, tensor))
        bytes_of = {REQUANTISE: np.clip(np.floor(sums / 256), 0, 255), RECTIFY: np.maximum(sums, 0)}
        self.known = np.hstack([self.known, bytes_of[table]])
        return first

    def units(self, tensor, goal, limit):
        """Each channel's unit, steps 1 and 2 of the page."""
        sizes = [tensor.largest(abs(tensor.bias)) / 255]
        sizes += [tensor.largest(abs(term["kernel"])) for term in tensor.convolutions]
        sizes += [] if tensor.matrix is None else [tensor.largest(abs(tensor.matrix).max(1))]
        exponent = np.frexp(np.max(sizes, 0))[1]
        rounded = tensor.scaled(np.ldexp(1.0, 24 - exponent)).rounded()
        most = tensor.largest(abs(rounded.bias))
        for term in rounded.convolutions:
            most += 255 * abs(term["kernel"]).sum((1, 2, 3))
        if rounded.matrix is not None:
            most += 255 * tensor.largest(abs(rounded.matrix).sum(1))
        seen = tensor.largest(abs(self.sums(rounded)).max(0))
        found = np.where(seen == 0, 1 / goal, np.ldexp(seen, exponent - 24) / goal)
        return np.maximum(found, np.ldexp(most, exponent - 24) / limit)

    def rectified(self, tensor):
        """Relu: a layer, and its bytes times the units; bytes stay as they are."""
        if tensor.bytes is not None:
            return tensor
        units = self.units(tensor, 128, P // 4 / 256)
        layer = tensor.scaled(256 / units).rounded()
        first = self.append(REQUANTISE, replace(layer, bias=layer.bias + 128))
        chosen = np.eye(tensor.bias.size, self.values, first)
        picture = (first, *tensor.shape, 0) if len(tensor.shape) == 3 else None
        weights = chosen * units[tensor.channel, None]
        return Tensor(tensor.shape, np.zeros(len(chosen)), (), weights, picture, units, chosen)

    def maximum(self, tensor, attributes):
        """MaxPool: a layer for each tap but the first; a tap outside the picture is a zero."""
        tensor, kernel = self.rectified(tensor), attributes["kernel_shape"]
        window = window_of(attributes, tensor.shape, kernel)
        shape, found = (tensor.shape[0], *window[6:]), None
        numbers = np.arange(prod(shape))
        for tap in np.ndindex(*kernel):
            one = np.zeros((shape[0], 1, *kernel))
            one[:, :, *tap] = 1
            chosen = written_out(of_picture(tensor, window, one, shape[0]), len(numbers), tensor.bias.size)
            other = widened(chosen @ tensor.bytes, self.values)
            if found is None:
                found = other
                continue
            rows = widened(found, self.values) - other
            first = self.append(RECTIFY, Tensor(shape, np.zeros(len(numbers)), (), rows))
            found = widened(other, self.values)
            found[numbers, first + numbers] = 1
        units = np.repeat(tensor.units, prod(shape[1:]))
        return Tensor(shape, np.zeros(len(numbers)), (), found * units[:, None], None, tensor.units, found)

    def digest(self, tensor):
        """The network digest, if this tensor is the scores."""
        numbers = np.column_stack([one_matrix(tensor, self.values), tensor.bias])
        total = np.zeros(self.values + 1)
        for row in numbers:
            total = total + row
        numbers = numbers - total / len(numbers)
        scores = Tensor((1, len(numbers)), numbers[:, -1], (), numbers[:, :-1])
        scores = scores.scaled(1 / self.units(scores, 2**20, P // 4 / 2)).rounded()
        parts = [self.input_size, len(self.layers), 8, 2**17, 2**12]
        for table, values, layer in (*self.layers, (REQUANTISE, self.values, scores)):
            parts += [table, layer.bias.size, len(layer.convolutions) + (layer.matrix is not None)]
            for term in layer.convolutions:
                sizes = (*term["picture"], *term["window"], term["groups"], *term["kernel"].shape)
                parts += [b"convolution", *map(int, sizes), eight_bytes(term["kernel"])]
            if layer.matrix is not None:
                matrix = widened(layer.matrix, values)
                rows, columns = np.nonzero(matrix)
                pointers = np.searchsorted(rows, np.arange(len(matrix) + 1))
                parts += [b"matrix", values, *map(eight_bytes, (pointers, columns, matrix[rows, columns]))]
            parts.append(eight_bytes(layer.bias))
        return digest("earmark/integer-network/v1", *parts)


def input_tensor(shape, scale, shift):
    """The input: bytes with channels innermost, times the scale plus the shift of their channel."""
    places = prod(shape[1:])
    order = np.arange(prod(shape)).reshape(places, shape[0]).T.reshape(-1)
    matrix = np.eye(prod(shape))[order] * np.repeat(scale, places)[:, None]
    return Tensor(shape, np.repeat(shift, places), (), matrix, (0, *shape, 1), scale)


def window_of(attributes, shape, kernel):
    """Strides, zeros above and left, dilations, rows and columns of the result."""
    need(not attributes.get("ceil_mode") and attributes.get("auto_pad", b"NOTSET") == b"NOTSET", "operator")
    strides, dilations = attributes.get("strides", [1, 1]), attributes.get("dilations", [1, 1])
    pads = attributes.get("pads", [0, 0, 0, 0])
    room = [shape[1 + i] + pads[i] + pads[2 + i] - dilations[i] * (kernel[i] - 1) - 1 for i in (0, 1)]
    sides = [room[i] // strides[i] + 1 for i in (0, 1)]
    return [*strides, *pads[:2], *dilations, *sides]


def of_picture(tensor, window, kernel, groups):
    """A convolution of the tensor's own numbers."""
    term = {"kind": "convolution", "picture": (0, *tensor.shape, 0), "window": window, "groups": groups}
    return {**term, "kernel": kernel}


def convolution(network, attributes, tensor, kernel, bias=None):
    """A term of its own if the picture lies in the values as it is; else a matrix product."""
    window = window_of(attributes, tensor.shape, kernel.shape[2:])
    shape, groups = (kernel.shape[0], *window[6:]), attributes.get("group", 1)
    bias = np.repeat(np.zeros(shape[0]) if bias is None else bias, prod(shape[1:]))
    term = of_picture(tensor, window, kernel, groups)
    if tensor.picture is None:
        return product(network, tensor, written_out(term, bias.size, tensor.bias.size), bias, shape)
    if tensor.bias.any():
        totals = [Fraction(0)] * bias.size
        for row, number, weight in taps_met(term):
            totals[row] += Fraction(weight * tensor.bias[number])
        bias = bias + np.array([float(total) for total in totals])
    group = np.arange(shape[0]) // (shape[0] // groups)
    channels = group[:, None] * kernel.shape[1] + np.arange(kernel.shape[1])
    weights = kernel * tensor.units[channels][:, :, None, None]
    return Tensor(shape, bias, ({**term, "picture": tensor.picture, "kernel": weights},))


def product(network, tensor, left, bias, shape):
    """A matrix times the tensor, plus a bias."""
    matrix = multiplied(left, one_matrix(tensor, network.values))
    return Tensor(shape, multiplied(left, tensor.bias[:, None])[:, 0] + bias, (), matrix)


def dense(network, attributes, tensor, weights, bias=0.0):
    """Gemm and MatMul."""
    need(not attributes.get("transA"), "operator")
    left = (weights if attributes.get("transB") else weights.T) * attributes.get("alpha", 1.0)
    bias = np.broadcast_to(np.ravel(bias * attributes.get("beta", 1.0)), len(left))
    return product(network, tensor, left, bias, (len(left),))


def normalised(_, attributes, tensor, scale, shift, mean, variance):
    """BatchNormalization."""
    factor = scale / np.sqrt(variance + attributes.get("epsilon", 1e-5))
    found = tensor.scaled(factor)
    return replace(found, bias=found.bias + (shift - mean * factor)[tensor.channel])


def added(network, _, left, right):
    """Add: of a constant to the bias; of two tensors term by term."""
    if isinstance(left, np.ndarray):
        left, right = right, left
    if isinstance(right, np.ndarray):
        constant = np.broadcast_to(right, (1, *left.shape)).reshape(-1)
        return Tensor(left.shape, left.bias + constant, left.convolutions, left.matrix)
    need(left.shape == right.shape, "operator")
    matrices = [widened(x.matrix, network.values) for x in (left, right) if x.matrix is not None]
    matrix = sum(matrices[1:], matrices[0]) if matrices else None
    return Tensor(left.shape, left.bias + right.bias, left.convolutions + right.convolutions, matrix)


def average(network, attributes, tensor):
    """AveragePool: a matrix product with 1 / places."""
    kernel, channels = attributes["kernel_shape"], tensor.shape[0]
    window = window_of(attributes, tensor.shape, kernel)
    shape = (channels, *window[6:])
    ones = of_picture(tensor, window, np.ones((channels, 1, *kernel)), channels)
    left = written_out(ones, prod(shape), tensor.bias.size)
    places = prod(kernel) if attributes.get("count_include_pad") else left.sum(1, keepdims=True)
    return product(network, tensor, left * (1 / places), np.zeros(prod(shape)), shape)


def mean(network, _, tensor):
    """The mean over all places: of each convolution, then of the matrix; and of the bias."""
    channels, places = tensor.shape[0], prod(tensor.shape[1:])
    found = np.zeros((channels, network.values))
    for term in tensor.convolutions:
        own = np.zeros_like(found)
        for row, value, weight in taps_met(term):
            own[row // places, value] += weight
        found += own / places
    numbers = tensor.bias[:, None]
    if tensor.matrix is not None:
        numbers = np.hstack([numbers, widened(tensor.matrix, network.values)])
    total = np.zeros((channels, numbers.shape[1]))
    for place in range(places):
        total += numbers[place::places] * (1 / places)
    matrix = found if tensor.matrix is None else found + total[:, 1:]
    return Tensor((channels, 1, 1), total[:, 0], (), matrix)


def mean_of_axes(network, attributes, tensor, axes=()):
    """ReduceMean over rows and columns."""
    need(sorted(int(axis) % 4 for axis in attributes.get("axes", axes)) == [2, 3], "operator")
    found = mean(network, attributes, tensor)
    return found if attributes.get("keepdims", 1) else flat(network, {}, found)


def flat(network, attributes, tensor, shape=(1, -1)):
    """Flatten and Reshape: every number a channel of its own."""
    need(attributes.get("axis", 1) == 1 and len(shape) == 2, "operator")
    need(shape[0] in (-1, 0, 1) and shape[1] in (-1, tensor.bias.size), "operator")
    units = None if tensor.bytes is None else tensor.units[tensor.channel]
    matrix = one_matrix(tensor, network.values)
    return Tensor((tensor.bias.size,), tensor.bias, (), matrix, None, units, tensor.bytes)


OPERATORS = {
    "Conv": convolution,
    "Gemm": dense,
    "MatMul": dense,
    "BatchNormalization": normalised,
    "Relu": lambda network, _, tensor: network.rectified(tensor),
    "Add": added,
    "MaxPool": lambda network, attributes, tensor: network.maximum(tensor, attributes),
    "AveragePool": average,
    "GlobalAveragePool": mean,
    "ReduceMean": mean_of_axes,
    "Flatten": flat,
    "Reshape": flat,
}


def network_digest(data, shape, scale, shift):
    """The digest of an ONNX file's integer network; the shape of its input is channels, rows, columns."""
    graph = onnx.load_from_string(data).graph
    known = {item.name: onnx.numpy_helper.to_array(item).astype(np.float64) for item in graph.initializer}
    (name,) = [item.name for item in graph.input if item.name not in known]
    network = Network(shape)
    known[name] = input_tensor(tuple(shape), np.array(scale, np.float64), np.array(shift, np.float64))
    for node in graph.node:
        need(node.op_type in OPERATORS, "operator")
        attributes = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
        given = [known[name] for name in node.input if name]
        if node.op_type == "MaxPool" and given[0].bytes is None:
            readers = {other.op_type for other in graph.node if node.output[0] in other.input}
            need(readers == {"Relu"}, "operator")
        known[node.output[0]] = OPERATORS[node.op_type](network, attributes, *given)
    return network.digest(known[graph.output[0].name])
