"""Reads an ONNX file as sums and rectifiers, and quantises it; any other operator is refused by name.

The file is looked through before it is parsed, its size is bounded, and no part of it is run.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from earmark.errors import FormatError, MissingExtraError
from earmark.suspects.onnx_scan import scan
from earmark.zero_knowledge.limits import bounded, too_large
from earmark.zero_knowledge.network import NONZERO_LIMIT, WORK_LIMIT, IntegerNetwork
from earmark.zero_knowledge.ordered import Reals
from earmark.zero_knowledge.quantiser import Quantiser
from earmark.zero_knowledge.sums import Window
from earmark.zero_knowledge.tensors import RealTensor

SIZE_LIMIT_BYTES = 64 << 20
NODE_LIMIT = 2000
OPSET_AT_LEAST = 9  # before it attributes changed what operators do
_MADE_LIMIT = 4 * NONZERO_LIMIT  # over all operators: what each makes is made in memory


def integer_network(data: bytes, shape: tuple[int, int, int], scale: Reals, shift: Reals) -> IntegerNetwork:
    """Return the integer network of an ONNX file.

    Args:
        data: The file, hostile.
        shape: (channels, height, width) of an input.
        scale: Per channel: the network reads pixel * scale + shift, from the suspect's own release.
        shift: Per channel.

    Returns:
        The network; everyone who quantises this file gets the same one.

    Raises:
        FormatError: It is not ONNX, holds an operator that cannot be proven about, or is too large.
        MissingExtraError: onnx is not installed.
    """
    if len(data) > SIZE_LIMIT_BYTES:
        raise FormatError(f"the model is larger than {SIZE_LIMIT_BYTES} bytes")
    scan(data)
    try:
        import onnx
        from onnx import numpy_helper
    except ImportError as error:
        raise MissingExtraError("onnx", "zk") from error
    try:
        model = onnx.load_from_string(data)
        _check_names(model)
        graph = model.graph
        constants = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
        return _Reader(graph, constants, Quantiser(shape, scale, shift)).read()
    except FormatError:
        raise
    except Exception as error:
        raise FormatError(f"the model cannot be read: {type(error).__name__}") from error


def _check_names(model: Any) -> None:
    """Refuse what two programs could read differently: a proof would be about another network."""
    graph = model.graph
    opset = max((item.version for item in model.opset_import if item.domain in ("", "ai.onnx")), default=0)
    if opset < OPSET_AT_LEAST:
        raise FormatError(
            f"the model's operators are of version {opset}; at least {OPSET_AT_LEAST} is needed"
        )
    if model.functions or graph.sparse_initializer:
        raise FormatError("functions and sparse constants cannot be proven about")
    names = [item.name for item in graph.initializer]
    names += [item.name for item in graph.input if item.name not in names]
    names += [name for node in graph.node for name in node.output]
    if len(set(names)) < len(names):
        raise FormatError("the model gives one name to two values; programs would run different networks")
    for node in graph.node:
        if len({item.name for item in node.attribute}) < len(node.attribute):
            raise FormatError(f"an attribute of {node.op_type[:40]!a} is there twice")


def _check_shape(declared: Any, shape: tuple[int, ...]) -> None:
    """Refuse a file that says it reads another size: what a program runs would not be what is proven."""
    sizes = [side.dim_value for side in declared.type.tensor_type.shape.dim]
    if len(sizes) != 4 or any(
        known not in (0, side) for known, side in zip(sizes[1:], shape, strict=True)
    ):  # 0: a name, or nothing
        raise FormatError(f"the model reads inputs of shape {sizes[1:]}, and the key's are {list(shape)}")


class _Reader:
    def __init__(self, graph: Any, constants: dict[str, Any], quantiser: Quantiser) -> None:
        self._graph, self._constants, self._quantiser = graph, constants, quantiser
        inputs = [item.name for item in graph.input if item.name not in constants]
        if len(inputs) != 1 or len(graph.output) != 1 or len(graph.node) > NODE_LIMIT:
            raise FormatError(f"the model needs one input, one output and at most {NODE_LIMIT} operators")
        _check_shape(next(item for item in graph.input if item.name == inputs[0]), quantiser.input.shape)
        self._tensors = {inputs[0]: quantiser.input}

    def read(self) -> IntegerNetwork:
        operators: dict[str, Callable[[Any, RealTensor], RealTensor]] = {
            "Conv": self._conv,
            "Gemm": self._gemm,
            "MatMul": self._matmul,
            "BatchNormalization": self._normalise,
            "Relu": lambda _, tensor: self._quantiser.rectify(tensor),
            "Add": self._add,
            "MaxPool": self._max_pool,
            "AveragePool": self._average_pool,
            "GlobalAveragePool": self._global_average,
            "ReduceMean": self._reduce_mean,
            "Flatten": self._flatten,
            "Reshape": self._flatten,
        }
        last = {name: place for place, node in enumerate(self._graph.node) for name in node.input}
        made = spent = 0
        for place, node in enumerate(self._graph.node):
            if node.op_type not in operators or node.domain not in ("", "ai.onnx") or len(node.output) != 1:
                shown = "".join(c if c.isprintable() else "?" for c in node.op_type[:40])
                known = ", ".join(sorted(operators))
                raise FormatError(f"the operator {shown} cannot be proven about; only {known} can")
            name = next((item for item in node.input if item in self._tensors), None)
            if name is None:
                raise FormatError(f"the operator {node.op_type} does not read what was computed before")
            self._tensors[node.output[0]] = operators[node.op_type](node, self._tensors[name])
            made += self._tensors[node.output[0]].made
            spent += self._tensors[node.output[0]].cost
            if made > _MADE_LIMIT or spent > WORK_LIMIT:
                raise too_large("too many operators")
            for done in {item for item in node.input if item in self._tensors and last[item] == place}:
                del self._tensors[done]  # what nobody reads any more would fill the memory
            bounded(sum(item.made for item in self._tensors.values()), "network")
        scores = self._tensors.get(self._graph.output[0].name)
        if scores is None or len(scores.shape) != 1:
            raise FormatError("the model's output is not one score per class")
        return self._quantiser.finish(scores)

    def _constant(self, node: Any, place: int) -> Reals:
        name = node.input[place] if len(node.input) > place else ""
        if name not in self._constants:
            raise FormatError(f"input {place} of {node.op_type} is not a constant of the file")
        values = np.asarray(self._constants[name], np.float64)
        if not np.isfinite(values).all():
            raise FormatError(f"a constant of {node.op_type} holds numbers that are not finite")
        return values

    def _conv(self, node: Any, tensor: RealTensor) -> RealTensor:
        weights = self._constant(node, 1)
        bias = self._constant(node, 2) if len(node.input) > 2 and node.input[2] else np.zeros(len(weights))
        if weights.ndim != 4 or len(tensor.shape) != 3:
            raise FormatError("only convolutions of pictures can be proven about")
        groups = int(_attributes(node).get("group", 1))
        outputs, per_group, *kernel = weights.shape
        if (
            groups < 1
            or per_group * groups != tensor.shape[0]
            or outputs % groups
            or bias.shape != (outputs,)
        ):
            raise FormatError("a convolution does not fit its input")
        return tensor.convolved(weights, bias, _window(node, tensor.shape, kernel), groups)

    def _gemm(self, node: Any, tensor: RealTensor) -> RealTensor:
        given = _attributes(node)
        if given.get("transA", 0) or node.input[0] not in self._tensors:
            raise FormatError("only Gemm of a constant matrix can be proven about")
        weights = self._constant(node, 1) * given.get("alpha", 1.0)
        weights = weights if given.get("transB", 0) else weights.T
        bias = self._constant(node, 2) * given.get("beta", 1.0) if len(node.input) > 2 else np.zeros(1)
        return self._dense(tensor, weights, np.broadcast_to(bias.reshape(-1), (len(weights),)))

    def _matmul(self, node: Any, tensor: RealTensor) -> RealTensor:
        if node.input[0] not in self._tensors:
            raise FormatError("only MatMul with a constant on the right can be proven about")
        weights = self._constant(node, 1).T
        return self._dense(tensor, weights, np.zeros(len(weights)))

    def _dense(self, tensor: RealTensor, weights: Reals, bias: Reals) -> RealTensor:
        if len(tensor.shape) != 1 or weights.ndim != 2 or weights.shape[1] != tensor.shape[0]:
            raise FormatError("a matrix does not fit its input")
        return tensor.mapped((len(weights),), sparse.csr_matrix(weights), bias)

    def _normalise(self, node: Any, tensor: RealTensor) -> RealTensor:
        scale, shift, mean, variance = (self._constant(node, place) for place in range(1, 5))
        if _attributes(node).get("training_mode", 0):
            raise FormatError("BatchNormalization that trains cannot be proven about")
        factor = scale / np.sqrt(variance + _attributes(node).get("epsilon", 1e-5))
        if len(factor) != tensor.shape[0]:
            raise FormatError("a BatchNormalization does not fit its input")
        return tensor.scaled(factor, shift - mean * factor)

    def _add(self, node: Any, tensor: RealTensor) -> RealTensor:
        left, right = (self._tensors.get(name) for name in node.input)
        if left is not None and right is not None:
            if left.shape != right.shape:
                raise FormatError("Add of different shapes cannot be proven about")
            return left.plus(right)
        constant = self._constant(node, 1 if right is None else 0)
        shape = (1, *tensor.shape)  # with the batch
        if np.broadcast_shapes(constant.shape, shape) != shape:
            raise FormatError("Add of such a constant cannot be proven about")
        added = np.broadcast_to(constant, shape).reshape(-1)
        return RealTensor(tensor.shape, tensor.terms, tensor.bias + added)

    def _max_pool(self, node: Any, tensor: RealTensor) -> RealTensor:
        readers = [other for other in self._graph.node if node.output[0] in other.input]
        if tensor.unit is None:
            # The largest of rectified values is the largest one rectified: so rectify first, if that is
            # what happens to it anyway.
            if not readers or any(other.op_type != "Relu" for other in readers):
                raise FormatError("MaxPool can be proven about only before or after Relu")
            tensor = self._quantiser.rectify(tensor)
        windows = _Windows(node, tensor.shape, _attributes(node)["kernel_shape"])
        plane = tensor.shape[1] * tensor.shape[2]
        starts = np.arange(tensor.shape[0])[:, None] * plane
        taps = np.stack([np.where(t < 0, -1, starts + t).reshape(-1) for t in windows.taps])
        if (taps.max(axis=0) < 0).any():
            raise FormatError("a MaxPool looks at nothing but padding")
        return self._quantiser.largest(tensor, (tensor.shape[0], *windows.shape), taps)

    def _average_pool(self, node: Any, tensor: RealTensor) -> RealTensor:
        given = _attributes(node)
        windows = _Windows(node, tensor.shape, given["kernel_shape"])
        counted = (windows.taps >= 0).sum(axis=0)
        size = np.full_like(counted, len(windows.taps)) if given.get("count_include_pad", 0) else counted
        return self._averaged(tensor, windows, size)

    def _global_average(self, node: Any, tensor: RealTensor) -> RealTensor:
        if len(tensor.shape) != 3:
            raise FormatError(f"{node.op_type} of anything but pictures cannot be proven about")
        return tensor.averaged()

    def _reduce_mean(self, node: Any, tensor: RealTensor) -> RealTensor:
        # As PyTorch writes global average pooling.
        given = _attributes(node)
        axes = given["axes"] if "axes" in given else self._constant(node, 1).reshape(-1).tolist()
        picture = len(tensor.shape) == 3 and sorted(axis % 4 for axis in axes) == [2, 3]
        if not picture:
            raise FormatError("ReduceMean can be proven about only over height and width")
        mean = self._global_average(node, tensor)
        return mean if given.get("keepdims", 1) else mean.flattened()

    def _averaged(self, tensor: RealTensor, windows: "_Windows", size: npt.NDArray[np.int64]) -> RealTensor:
        tap, place = np.nonzero(windows.taps >= 0)
        plane = tensor.shape[1] * tensor.shape[2]
        one = sparse.csr_matrix(
            (1.0 / size[place], (place, windows.taps[tap, place])), shape=(windows.count, plane)
        )
        matrix = sparse.kron(sparse.identity(tensor.shape[0]), one, format="csr")
        return tensor.mapped((tensor.shape[0], *windows.shape), matrix, np.zeros(matrix.shape[0]))

    def _flatten(self, node: Any, tensor: RealTensor) -> RealTensor:
        size = math.prod(tensor.shape)
        if node.op_type == "Reshape":
            target = self._constant(node, 1).tolist()
            flat = len(target) == 2 and (target[1] in (size, -1)) and (target[0] in (0, -1, 1))
        else:
            flat = _attributes(node).get("axis", 1) == 1
        if not flat:
            raise FormatError(f"{node.op_type} to anything but one row cannot be proven about")
        return tensor.flattened()


class _Windows:
    """Which places each output of a pooling sees, in each channel: ``taps``: (taps, outputs), -1 outside."""

    def __init__(self, node: Any, shape: tuple[int, ...], kernel: Any) -> None:
        window = _window(node, shape, kernel)
        self.shape = window.shape
        self.count = math.prod(window.shape)
        # Before the list is made: whoever wrote the file chose how long it would be.
        bounded(math.prod(kernel) * self.count * shape[0], node.op_type)
        padding = window.padding(tuple(kernel), (shape[1], shape[2]))
        padded = np.pad(np.arange(shape[1] * shape[2]).reshape(shape[1:]), padding, constant_values=-1)
        self.taps = np.stack([padded[window.tap(*tap)].reshape(-1) for tap in np.ndindex(*kernel)])


def _window(node: Any, shape: tuple[int, ...], kernel: Any) -> Window:
    """Return how a node's kernel moves; every size is bounded."""
    given = _attributes(node)
    if len(shape) != 3 or len(kernel) != 2:
        raise FormatError(f"{node.op_type} of anything but pictures cannot be proven about")
    if given.get("ceil_mode", 0) or given.get("auto_pad", b"NOTSET") not in (b"NOTSET", b""):
        raise FormatError(f"{node.op_type} with ceil_mode or auto_pad cannot be proven about")
    pads = given.get("pads", [0, 0, 0, 0])
    strides, dilations = given.get("strides", [1, 1]), given.get("dilations", [1, 1])
    numbers = [*kernel, *strides, *dilations]
    if len(pads) != 4 or not all(0 <= pad <= 64 for pad in pads) or not all(1 <= n <= 512 for n in numbers):
        raise FormatError(f"{node.op_type} has sizes out of range")
    counts = []
    for axis in (0, 1):
        reach = dilations[axis] * (kernel[axis] - 1) + 1
        counts.append((shape[1 + axis] + pads[axis] + pads[2 + axis] - reach) // strides[axis] + 1)
        if counts[-1] < 1:
            raise FormatError(f"{node.op_type} is larger than its input")
    (down, across), (above, left), (rows, columns) = strides, pads[:2], dilations
    return Window((down, across), (above, left), (rows, columns), (counts[0], counts[1]))


def _attributes(node: Any) -> dict[str, Any]:
    from onnx import helper

    return {item.name: helper.get_attribute_value(item) for item in node.attribute}
