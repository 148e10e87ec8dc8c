"""Turns a network of real numbers into one of integers, the same for everybody who does it.

Every channel has a unit of its own, taken from the largest sum that constant synthetic inputs cause in it.
A thief who multiplies a channel and divides the next layer's weights changes the unit and nothing else.
Nothing is calibrated on anything that a prover, or the file's maker, could choose.

Sums are what machines disagree about, since they add in different orders. So no sum of floats decides
anything here: weights are first rounded to 24 bits of their channel's largest, and sums of those are exact.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from earmark.commitment.linear import field_words
from earmark.errors import FormatError
from earmark.fields import PRIME
from earmark.zero_knowledge.limits import too_large
from earmark.zero_knowledge.network import (
    BYTE_LIMIT,
    NONZERO_LIMIT,
    REACH,
    SHIFT,
    TERM_LIMIT,
    VARIABLE_LIMIT,
    WORK_LIMIT,
    IntegerNetwork,
    Layer,
    Table,
)
from earmark.zero_knowledge.ordered import Reals, columns_of
from earmark.zero_knowledge.sums import Convolution, Matrix, Picture, Sums
from earmark.zero_knowledge.tensors import RealConvolution, RealMatrix, RealTensor, ScaledPicture

CALIBRATION_SEED = b"earmark/quantiser/v1"
CALIBRATION_COUNT = 64
# The largest sum that calibration causes gives the byte 128: others may be twice as large before they are cut
# off, and four times as large before they leave the table.
CALIBRATED_BYTE = 128
SCORE_REACH = 1 << 20
WEIGHT_BITS = 24  # times 255 and the most weights there can be: below 2^53
_SUM_REACH = PRIME // 4  # for sums before they are rounded: half of what the field allows


class Quantiser:
    """Builds an integer network layer by layer.

    Args:
        shape: (channels, height, width) of an input.
        scale: Per channel: the network reads pixel * scale + shift.
        shift: Per channel.
    """

    def __init__(self, shape: tuple[int, int, int], scale: Reals, shift: Reals) -> None:
        self._input_size = int(np.prod(shape))
        # Triggers are committed row by row with channels innermost; networks read channel by channel.
        picture = Picture(0, *shape, interleaved=True)
        self.input = RealTensor.of_picture(ScaledPicture(picture, scale, shift))
        self._space = calibration_inputs(shape)
        self._values = self._space.T
        self._layers: list[Layer] = []
        self._work = self._terms = 0

    def rectify(self, tensor: RealTensor) -> RealTensor:
        """Return max(x, 0) as bytes: sums, requantised."""
        if tensor.unit is not None:
            return tensor  # bytes are not negative
        self._account(tensor)
        channels, each = tensor.shape[0], tensor.size // tensor.shape[0]
        unit = _unit(tensor, self._values, channels, CALIBRATED_BYTE, _SUM_REACH / (1 << SHIFT))
        factor = (1 << SHIFT) / unit
        of_row = np.repeat(factor, each)
        terms: list[Sums] = []
        for term in tensor.terms:
            if isinstance(term, RealConvolution):
                kernel = _whole(term.kernel * factor[:, None, None, None])
                terms.append(_convolution(term, kernel))
            else:
                terms.append(Matrix(_rounded(sparse.diags(of_row) @ term.matrix(len(self._values)))))
        bias = _whole(tensor.bias * of_row) + (1 << SHIFT >> 1)  # so that shifting rounds to the nearest
        start = self._looked_up(Table.REQUANTISE, tuple(terms), bias)
        height, width = tensor.shape[1:] if len(tensor.shape) == 3 else (1, 1)
        picture = Picture(start, channels, height, width, interleaved=False)
        made = RealTensor.of_picture(ScaledPicture(picture, unit, np.zeros(channels)), is_bytes=True)
        return made if len(tensor.shape) == 3 else made.flattened()

    def largest(self, tensor: RealTensor, shape: tuple[int, ...], taps: npt.NDArray[np.int64]) -> RealTensor:
        """Return the largest of several places of a tensor of bytes.

        max(x, y) = x + max(y - x, 0), tap after tap; a tap outside the picture is a zero, which no byte is
        below.

        Args:
            tensor: Bytes.
            shape: Of the result.
            taps: ``(taps, size of the result)``: places, -1 outside.
        """
        if tensor.unit is None:
            raise AssertionError("only bytes are compared")
        self._allow((len(taps) - 1) * taps[0].size, 2 * tensor.integers.nnz * len(taps), len(taps) - 1)
        found = _rows(tensor.integers, taps[0])
        unit = tensor.unit[taps.max(axis=0)]
        for places in taps[1:]:
            other = _rows(self._widened(tensor.integers), places)
            difference = _sorted(self._widened(found) - other)
            none = np.zeros(len(places), np.int64)
            start = self._looked_up(Table.RECTIFY, (Matrix(difference),), none)
            above = (np.ones(len(places), np.int64), (np.arange(len(places)), start + np.arange(len(places))))
            found = sparse.csr_matrix(above, shape=(len(places), len(self._values))) + self._widened(other)
        found = _sorted(found)
        return RealTensor(
            shape, (RealMatrix(sparse.diags(unit) @ found),), np.zeros(len(unit)), integers=found, unit=unit
        )

    def finish(self, tensor: RealTensor) -> IntegerNetwork:
        """Return the network whose scores are this tensor, less what all classes have in common.

        That changes no answer. Left in, it could be made so large that the differences are rounded away.

        Raises:
            FormatError: A sum could wrap around the field.
        """
        weights = tensor.matrix(len(self._values))
        used = columns_of(weights)
        if len(used) * tensor.size > NONZERO_LIMIT:
            raise too_large(f"scores of {len(used) * tensor.size} terms")
        dense = weights[:, used].toarray()
        narrowed = sparse.csr_matrix(_without_mean(dense))
        less = sparse.csr_matrix(
            (narrowed.data, used[narrowed.indices], narrowed.indptr), shape=(len(dense), len(self._values))
        )
        without = RealTensor(tensor.shape, (RealMatrix(less),), _without_mean(tensor.bias[:, None])[:, 0])
        factor = 1 / _unit(without, self._values, 1, SCORE_REACH, _SUM_REACH / 2)[0]
        terms = (Matrix(_rounded(less * factor)),)
        scores = Layer(Table.REQUANTISE, terms, _whole(without.bias * factor))
        try:
            return IntegerNetwork(self._input_size, tuple(self._layers), scores)
        except ValueError as error:
            raise FormatError(f"the network cannot be proven about: {error}") from error

    def _account(self, tensor: RealTensor) -> None:
        self._allow(tensor.size, sum(term.work for term in tensor.terms), len(tensor.terms))

    def _allow(self, values: int, work: int, terms: int) -> None:
        """Refuse what would take too long, before anything is computed."""
        self._work += work
        self._terms += terms
        if len(self._values) + values > VARIABLE_LIMIT:
            raise too_large(f"more than {VARIABLE_LIMIT} values")
        if self._work > WORK_LIMIT or self._terms > TERM_LIMIT:
            raise too_large(f"more than {WORK_LIMIT} multiplications or {TERM_LIMIT} convolutions")

    def _looked_up(self, table: Table, terms: tuple[Sums, ...], bias: npt.NDArray[np.int64]) -> int:
        """Add a layer; return the number of its first result."""
        before = len(self._values)
        layer = Layer(table, terms, bias)
        if max(layer.largest_sums) >= PRIME // 2:
            raise FormatError("the network cannot be proven about: a sum could wrap around the field")
        results = table.look_up(layer.sums(self._values)).astype(np.uint8)
        self._layers.append(layer)
        end = before + len(results)
        if end > self._space.shape[1]:
            room = np.empty((CALIBRATION_COUNT, min(VARIABLE_LIMIT, 2 * end)), np.uint8)
            room[:, :before] = self._space[:, :before]
            self._space = room
        self._space[:, before:end] = results.T
        self._values = self._space[:, :end].T
        return before

    def _widened(self, weights: Any) -> Any:
        wide = weights.copy()
        wide.resize((weights.shape[0], len(self._values)))
        return wide


def calibration_inputs(shape: tuple[int, int, int]) -> npt.NDArray[np.uint8]:
    """Return the constant synthetic pictures: noise in blocks of 1, 2, 4 and 8 pixels, ``(64, size)``."""
    channels, height, width = shape
    pictures = []
    for number in range(CALIBRATION_COUNT):
        block = 1 << number % 4
        rows, columns = -(-height // block), -(-width // block)
        words = field_words(CALIBRATION_SEED + bytes([number]), rows * columns * channels)
        coarse = (words & 255).astype(np.uint8).reshape(rows, columns, channels)
        fine = coarse.repeat(block, axis=0).repeat(block, axis=1)[:height, :width]
        pictures.append(fine.reshape(-1))
    return np.stack(pictures)


def _unit(
    tensor: RealTensor, values: npt.NDArray[np.uint8], channels: int, steps: int, reach: float
) -> Reals:
    """Return what 1 stands for in each channel, ``(channels,)``.

    The channel's largest absolute sum over the calibration's values becomes ``steps``; or less, so that no
    sum of bytes can exceed ``reach``. Without that, a channel never used could refuse a whole network.

    Weights are rounded to multiples of a power of two, the bias too, so every sum is exact.
    """
    each = tensor.size // channels
    bias = np.abs(tensor.bias).reshape(channels, each).max(axis=1)
    most = np.max([term.largest(channels) for term in tensor.terms] + [bias / BYTE_LIMIT], axis=0)
    if not np.isfinite(most).all():
        raise FormatError("the network holds numbers that are not finite, or leads to some")
    _, exponents = np.frexp(most)  # most is below 2^exponent
    shift = WEIGHT_BITS - exponents
    constant = np.rint(np.ldexp(tensor.bias, np.repeat(shift, each)))
    sums, sizes = constant[:, None], np.abs(constant).reshape(channels, each).max(axis=1)
    for term in tensor.terms:
        whole = term.in_multiples(shift)
        sums = sums + whole.apply(values)
        sizes = sizes + BYTE_LIMIT * whole.sizes(channels)
    largest = np.abs(sums).reshape(channels, -1).max(axis=1)
    found = np.where(largest > 0, np.ldexp(largest, -shift), 1.0) / steps
    return np.asarray(np.maximum(found, np.ldexp(sizes, -shift) / reach))


def _without_mean(values: Reals) -> Reals:
    """Subtract from each column its mean, added row after row, so that everyone rounds alike."""
    total = np.zeros(values.shape[1])
    for row in values:
        total = total + row
    return values - total / len(values)


def _convolution(term: RealConvolution, kernel: npt.NDArray[np.int64]) -> Convolution:
    try:
        return Convolution(term.picture, kernel, term.window, term.groups)
    except ValueError as error:
        raise FormatError(f"the network cannot be proven about: {error}") from error


def _whole(values: Reals) -> npt.NDArray[np.int64]:
    rounded = np.rint(values)
    if rounded.size and not np.abs(rounded).max() < REACH << 24:
        raise FormatError("the network's weights are too far apart to be written as integers")
    return rounded.astype(np.int64)


def _rounded(weights: Any) -> Any:
    whole = weights.tocsr()
    return _sorted(sparse.csr_matrix((_whole(whole.data), whole.indices, whole.indptr), shape=whole.shape))


def _sorted(weights: Any) -> Any:
    result = weights.tocsr()
    result.sum_duplicates()
    result.eliminate_zeros()
    result.sort_indices()
    return result


def _rows(weights: Any, places: npt.NDArray[np.int64]) -> Any:
    inside = np.flatnonzero(places >= 0)
    shape = (len(places), weights.shape[0])
    chosen = sparse.csr_matrix((np.ones(len(inside), np.int64), (inside, places[inside])), shape=shape)
    return chosen @ weights
