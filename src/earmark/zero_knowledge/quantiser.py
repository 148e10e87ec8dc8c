"""Turns a network of real numbers into one of integers, the same for everybody who does it.

Every channel has a unit of its own, taken from the largest sum that constant synthetic inputs cause in it.
A thief who multiplies a channel and divides the next layer's weights changes the unit and nothing else.
Nothing is calibrated on anything that a prover, or the file's maker, could choose.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from earmark.commitment.linear import field_words
from earmark.errors import FormatError
from earmark.zero_knowledge.network import (
    NONZERO_LIMIT,
    REACH,
    SHIFT,
    VARIABLE_LIMIT,
    IntegerNetwork,
    Layer,
    Table,
)

CALIBRATION_SEED = b"earmark/quantiser/v1"
CALIBRATION_COUNT = 64
# The largest sum that calibration causes gives the byte 128: others may be twice as large before they are cut
# off, and four times as large before they leave the table.
CALIBRATED_BYTE = 128
SCORE_REACH = 1 << 20

Reals = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RealTensor:
    """An affine image of the values so far.

    Attributes:
        shape: (channels, height, width) or (features,).
        weights: CSR of float64, (size, values so far).
        bias: float64 ``(size,)``.
        integers: For bytes: CSR of int64 with tensor = unit * integers * values; else None.
        unit: float64 ``(size,)``, the same within a channel.
    """

    shape: tuple[int, ...]
    weights: Any
    bias: Reals
    integers: Any = None
    unit: Reals | None = None


class Quantiser:
    """Builds an integer network layer by layer.

    Args:
        shape: (channels, height, width) of an input.
        scale: Per channel: the network reads pixel * scale + shift.
        shift: Per channel.
    """

    def __init__(self, shape: tuple[int, int, int], scale: Reals, shift: Reals) -> None:
        self._shape = shape
        channels, height, width = shape
        size = channels * height * width
        # Triggers are committed row by row with channels innermost; networks read channel by channel.
        order = np.arange(size).reshape(height, width, channels).transpose(2, 0, 1).reshape(-1)
        pixels = sparse.csr_matrix((np.ones(size), (np.arange(size), order)), shape=(size, size))
        of_pixel = np.repeat(scale, height * width)
        self.input = RealTensor(shape, sparse.diags(of_pixel) @ pixels, np.repeat(shift, height * width))
        self._values = calibration_inputs(shape).T.astype(np.int64)
        self._layers: list[Layer] = []
        self._weight_count = 0

    def rectify(self, tensor: RealTensor) -> RealTensor:
        """Return max(x, 0) as bytes: sums, requantised."""
        if tensor.unit is not None:
            return tensor  # bytes are not negative
        weights = self._widened(tensor.weights)
        sums = weights @ self._values.astype(np.float64) + tensor.bias[:, None]
        unit = np.repeat(_largest(sums, tensor.shape), len(sums) // tensor.shape[0]) / CALIBRATED_BYTE
        factor = (1 << SHIFT) / unit
        whole = _rounded(sparse.diags(factor) @ weights)
        bias = _whole(tensor.bias * factor) + (1 << SHIFT >> 1)  # so that shifting rounds to the nearest
        return self._looked_up(Table.REQUANTISE, tensor.shape, whole, bias, unit)

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
        found = _rows(tensor.integers, taps[0])
        unit = tensor.unit[taps.max(axis=0)]
        for places in taps[1:]:
            other = _rows(self._widened(tensor.integers), places)
            difference = _sorted(self._widened(found) - other)
            found = self._looked_up(
                Table.RECTIFY, shape, difference, np.zeros(len(places), np.int64), unit
            ).integers
            found = _sorted(found + self._widened(other))
        return RealTensor(shape, sparse.diags(unit) @ found, np.zeros(len(unit)), found, unit)

    def finish(self, tensor: RealTensor) -> IntegerNetwork:
        """Return the network whose scores are this tensor, less what all classes have in common.

        That changes no answer. Left in, it could be made so large that the differences are rounded away.

        Raises:
            FormatError: A sum could wrap around the field.
        """
        weights, bias = self._widened(tensor.weights), tensor.bias - tensor.bias.mean()
        common = sparse.csr_matrix(weights.mean(axis=0))
        weights = (weights - sparse.vstack([common] * len(bias))).tocsr()
        found = np.abs(weights @ self._values.astype(np.float64) + bias[:, None]).max()
        if not np.isfinite(found):
            raise FormatError("the network holds numbers that are not finite, or leads to some")
        factor = SCORE_REACH / found if found > 0 else 1.0
        scores = Layer(Table.REQUANTISE, _rounded(weights * factor), _whole(bias * factor))
        try:
            channels, height, width = self._shape
            return IntegerNetwork(channels * height * width, tuple(self._layers), scores)
        except ValueError as error:
            raise FormatError(f"the network cannot be proven about: {error}") from error

    def _looked_up(
        self, table: Table, shape: tuple[int, ...], weights: Any, bias: npt.NDArray[np.int64], unit: Reals
    ) -> RealTensor:
        before, count = len(self._values), len(bias)
        if before + count > VARIABLE_LIMIT:
            raise FormatError(
                f"the network is too large for this version of the proof: more than {VARIABLE_LIMIT} values"
            )
        self._weight_count += weights.nnz
        if self._weight_count > NONZERO_LIMIT:
            raise FormatError(
                f"the network is too large for this version of the proof: more than {NONZERO_LIMIT} weights"
            )
        self._layers.append(Layer(table, weights, bias))
        results = table.look_up(weights @ self._values + bias[:, None])
        self._values = np.concatenate([self._values, results])
        places = (np.arange(count), before + np.arange(count))
        chosen = sparse.csr_matrix((np.ones(count, np.int64), places), shape=(count, before + count))
        return RealTensor(shape, sparse.diags(unit) @ chosen, np.zeros(count), chosen, unit)

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


def _largest(sums: Reals, shape: tuple[int, ...]) -> Reals:
    largest = np.abs(sums).reshape(shape[0], -1).max(axis=1)
    if not np.isfinite(largest).all():
        raise FormatError("the network holds numbers that are not finite, or leads to some")
    return np.where(largest > 0, largest, 1.0)


def _whole(values: Reals) -> npt.NDArray[np.int64]:
    rounded = np.rint(values)
    if rounded.size and not np.abs(rounded).max() < REACH << 24:
        raise FormatError("the network's weights are too far apart to be written as integers")
    return rounded.astype(np.int64)


def _rounded(weights: Any) -> Any:
    whole = weights.tocsr()
    whole = sparse.csr_matrix((_whole(whole.data), whole.indices, whole.indptr), shape=whole.shape)
    return _sorted(whole)


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
