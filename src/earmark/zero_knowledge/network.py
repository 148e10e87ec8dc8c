"""Networks of integers, evaluated exactly: what a proof speaks about.

Every value between layers is a byte. A layer takes integer sums of the bytes before it and looks each one up
in a table; the last sums are the scores. So there are only two things to prove: sums, which are linear in
the secret values because the model is public, and look-ups.
"""

from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from earmark.commitment.hashing import digest
from earmark.fields import PRIME
from earmark.zero_knowledge.sums import Sums

LABEL = "earmark/integer-network/v1"
SHIFT = 8
REACH = 1 << 17  # sums from -REACH to REACH - 1 can be looked up; what lies outside is a miss
MARGIN_LIMB = 1 << 12  # score differences are two limbs: below 2^24, or a miss
BYTE_LIMIT = 255
VARIABLE_LIMIT = 1 << 20
NONZERO_LIMIT = 1 << 24
WORK_LIMIT = 1 << 30  # multiplications for one input
TERM_LIMIT = 1 << 12
_AT_ONCE = 32  # inputs evaluated together

Integers = npt.NDArray[np.int64]


class Table(IntEnum):
    """The tables that are looked up in; pairs (x, y).

    BYTE: (x, 0) for x in [0, 256). REQUANTISE: (x, x / 256 rounded down, not below 0 nor above 255) for x in
    [-REACH, REACH). RECTIFY: (x, max(x, 0)) for x in [-255, 255]. LIMB: (x, 0) for x in [0, 2^12).
    """

    BYTE = 0
    REQUANTISE = 1
    RECTIFY = 2
    LIMB = 3

    @property
    def lowest(self) -> int:
        """The smallest x."""
        return {Table.REQUANTISE: -REACH, Table.RECTIFY: -BYTE_LIMIT}.get(self, 0)

    @property
    def size(self) -> int:
        """The number of pairs: x runs from ``lowest`` on without gaps."""
        return (256, 2 * REACH, 2 * BYTE_LIMIT + 1, MARGIN_LIMB)[self]

    @property
    def start(self) -> int:
        """Where its pairs begin when the tables stand one behind the other."""
        return sum(table.size for table in Table if table < self)

    def look_up(self, sums: Integers) -> Integers:
        """Return y for each x; what lies outside the table counts as its nearest x."""
        inside = np.clip(sums, self.lowest, self.lowest + self.size - 1)
        if self is Table.REQUANTISE:
            return np.asarray(np.clip(inside >> SHIFT, 0, BYTE_LIMIT))
        return np.asarray(np.maximum(inside, 0)) if self is Table.RECTIFY else np.zeros_like(inside)

    def holds(self, sums: Integers) -> npt.NDArray[np.bool_]:
        """Say of each x whether the table has it."""
        return np.asarray((sums >= self.lowest) & (sums < self.lowest + self.size))


TABLE_SIZE = sum(table.size for table in Table)


@dataclass(frozen=True, eq=False)
class Layer:
    """Sums of earlier values, and the table in which they are looked up.

    Attributes:
        table: ``Table.REQUANTISE`` or ``Table.RECTIFY``.
        terms: What is added up; each has as many sums as there are biases.
        bias: int64 ``(sums,)``.
    """

    table: Table
    terms: tuple[Sums, ...]
    bias: Integers

    def sums(self, values: npt.NDArray[Any]) -> Integers:
        """Return the sums of a batch, ``(sums, inputs)``, from values ``(values before, inputs)``."""
        found = np.tile(self.bias, (values.shape[1], 1)).T
        for term in self.terms:
            found += term.apply(values)
        return found

    @cached_property
    def largest_sums(self) -> list[int]:
        """For each sum, what its absolute value cannot exceed, as Python's integers."""
        found = [abs(int(bias)) for bias in self.bias]
        for term in self.terms:
            found = [total + BYTE_LIMIT * size for total, size in zip(found, term.sizes(), strict=True)]
        return found


@dataclass(frozen=True, eq=False)
class IntegerNetwork:
    """A classifier of bytes.

    The values are numbered: first the input's bytes, then each layer's results in order.

    Attributes:
        input_size: Bytes of an input.
        layers: In order; each sees all values before it.
        scores: The last sums: weights over all values, and bias; its table is not used.

    Raises:
        ValueError: Sizes do not fit, or a sum could leave the range in which integers and field
            elements are the same thing: a proof would then speak about other sums.
    """

    input_size: int
    layers: tuple[Layer, ...]
    scores: Layer

    def __post_init__(self) -> None:
        seen, work, terms = self.input_size, 0, 0
        for layer in (*self.layers, self.scores):
            if any(term.count != len(layer.bias) or term.seen > seen for term in layer.terms):
                raise ValueError("a layer does not fit the values before it")
            # Scores are subtracted from each other and must stay unambiguous then.
            limit = PRIME // 4 - 1 if layer is self.scores else PRIME // 2
            if max(layer.largest_sums, default=0) >= limit:
                raise ValueError("a sum could wrap around the field: the weights are too large")
            work += sum(term.work for term in layer.terms)
            terms += len(layer.terms)
            if layer is not self.scores:
                if layer.table not in (Table.REQUANTISE, Table.RECTIFY):
                    raise ValueError(f"a layer cannot look up in the table {layer.table.name}")
                seen += len(layer.bias)
        if seen > VARIABLE_LIMIT or work > WORK_LIMIT or terms > TERM_LIMIT:
            raise ValueError("the network is too large for this version of the proof")
        if len(self.scores.bias) < 2:
            raise ValueError("a classifier has at least two scores")

    @property
    def class_count(self) -> int:
        """C."""
        return len(self.scores.bias)

    @property
    def value_count(self) -> int:
        """Values of one input: its bytes and all layers' results."""
        return self.input_size + sum(len(layer.bias) for layer in self.layers)

    @cached_property
    def digest(self) -> bytes:
        """Hash of every integer of the network, 32 bytes."""
        parts: list[bytes | int] = [self.input_size, len(self.layers), SHIFT, REACH, MARGIN_LIMB]
        for layer in (*self.layers, self.scores):
            parts += [int(layer.table), len(layer.bias), len(layer.terms)]
            for term in layer.terms:
                parts += term.parts()
            parts.append(layer.bias.astype("<i8").tobytes())
        return digest(LABEL, *parts)


@dataclass(frozen=True, eq=False)
class Inference:
    """What a batch leads to; values between layers follow from the sums and are not kept.

    Attributes:
        sums: For each layer, int32 ``(inputs, sums)``.
        scores: int64 ``(inputs, C)``.
        fits: For each input, whether every sum was in its table; if not, it counts as a miss.
    """

    sums: tuple[npt.NDArray[np.int32], ...]
    scores: Integers
    fits: npt.NDArray[np.bool_]


def infer(network: IntegerNetwork, inputs: npt.NDArray[np.uint8]) -> Inference:
    """Evaluate the network exactly.

    Args:
        network: The network.
        inputs: uint8 ``(inputs, input_size)``.

    Returns:
        Every sum on the way.
    """
    count = len(inputs)
    sums = tuple(np.empty((count, len(layer.bias)), np.int32) for layer in network.layers)
    scores = np.empty((count, network.class_count), np.int64)
    fits = np.ones(count, np.bool_)
    for first in range(0, count, _AT_ONCE):
        part = slice(first, min(first + _AT_ONCE, count))
        values = np.zeros((part.stop - first, network.value_count), np.uint8).T
        seen = network.input_size
        values[:seen] = inputs[part].T
        for layer, kept in zip(network.layers, sums, strict=True):
            found = layer.sums(values)
            fits[part] &= layer.table.holds(found).all(axis=0)
            kept[part] = found.T
            values[seen : seen + len(found)] = layer.table.look_up(found)
            seen += len(found)
        scores[part] = network.scores.sums(values).T
    return Inference(sums, scores, fits)


def matches(inference: Inference, labels: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Say of each input whether its label wins by at least 1; ties and what left a table are misses."""
    count = len(labels)
    own = inference.scores[np.arange(count), labels]
    others = inference.scores.copy()
    others[np.arange(count), labels] = np.iinfo(np.int64).min
    lowest_other = inference.scores.min(axis=1)
    below = own - lowest_other - 1 < MARGIN_LIMB**2
    return np.asarray(inference.fits & (own > others.max(axis=1)) & below)
