"""What a proof says, and how the secret values that make it true lie in rows.

Statement: for the public network Q, commitments c_i, labels y_i and number k, I know bits b_i of which
exactly k are 1, and bytes t_i, s_i with A t_i + B s_i = b_i c_i, such that b_i = 1 implies that Q scores y_i
on t_i above every other class by at least 1.

Every equation is homogeneous in b_i: an input that does not count is all zeros, layer after layer, because
its biases are multiplied by b_i too. So nothing needs a gate, and nothing shows which inputs count.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from earmark.commitment.hashing import digest
from earmark.commitment.linear import RANDOM_BYTES, ROW_COUNT, VALUE_BYTES_LIMIT
from earmark.fields import EXTENSION_DEGREE
from earmark.fields.arrays import Words
from earmark.zero_knowledge.network import TABLE_SIZE, IntegerNetwork, Table

LABEL = "earmark/ownership-statement/v1"
QUERY_COUNT = 160
BLOW_UP = 8
INPUT_LIMIT = 1 << 14
LOOKUP_LIMIT = 1 << 26  # far below p: no number of look-ups becomes zero in the field
_MASK_ROWS = EXTENSION_DEGREE * 7  # proximity 1, linear 3, quadratic 3


@dataclass(frozen=True, eq=False)
class Statement:
    """What is proven.

    Attributes:
        network: The integer network Q.
        commitments: uint32 ``(n, 320)``: all linear commitments of the key, in order.
        labels: int64 ``(n,)``: the label of each, in [0, C).
        needed: k, fixed by the verdict's threshold and never by what was found; 1 to n.
        context: Everything else the proof is bound to (the key's root, the digest of the original
            model, the name of the quantiser), framed by the caller.
        degree_bound: Length of a row with its randomness, a power of two, at least twice QUERY_COUNT.
    """

    network: IntegerNetwork
    commitments: Words
    labels: npt.NDArray[np.int64]
    needed: int
    context: bytes
    degree_bound: int = 2048

    def __post_init__(self) -> None:
        count = len(self.labels)
        if not 1 <= self.needed <= count <= INPUT_LIMIT:
            raise ValueError(f"the number needed is 1 to the number of inputs, at most {INPUT_LIMIT}")
        if self.commitments.shape != (count, ROW_COUNT):
            raise ValueError("there is one commitment of 320 elements for every label")
        if self.labels.min() < 0 or self.labels.max() >= self.network.class_count:
            raise ValueError("a label is not a class of the network")
        if self.network.input_size > VALUE_BYTES_LIMIT:
            raise ValueError(f"inputs have at most {VALUE_BYTES_LIMIT} bytes")
        # Half a row must have room for as many random values as columns are opened, or masks would not hide.
        if self.degree_bound < 2 * QUERY_COUNT or self.degree_bound & (self.degree_bound - 1):
            raise ValueError(f"the degree bound is a power of two of at least {2 * QUERY_COUNT}")
        if Layout(self).lookup_count > LOOKUP_LIMIT:
            raise ValueError(
                "so many inputs of so large a network are too much for this version of the proof"
            )

    @property
    def input_count(self) -> int:
        """N."""
        return len(self.labels)

    @cached_property
    def digest(self) -> bytes:
        """Hash of everything that is stated, 32 bytes."""
        return digest(
            LABEL,
            self.network.digest,
            self.commitments.astype("<u4").tobytes(),
            self.labels.astype("<i8").tobytes(),
            self.needed,
            self.context,
            self.degree_bound,
            QUERY_COUNT,
            BLOW_UP,
        )


def blocks(count: int, width: int) -> int:
    """Return how many rows of this width hold so many values."""
    return -(-count // width)


@dataclass(frozen=True, eq=False)
class Layout:
    """Which row holds what.

    Rows of the first matrix: for each input its bytes (t, then s), sums to requantise, their results,
    sums to rectify, their results; then, with one place per input: bits, scores, low limbs, high
    limbs; then how often each pair of the tables is looked up. Second matrix: the inverses of the
    look-ups, five rows each, then the masks. Each part begins a new row; what is left of it is zero.

    Attributes:
        statement: What is stated.
    """

    statement: Statement

    @property
    def degree_bound(self) -> int:
        """Values in a row with its randomness."""
        return self.statement.degree_bound

    @property
    def width(self) -> int:
        """Values in a row without its randomness."""
        return self.degree_bound - QUERY_COUNT

    @property
    def code_length(self) -> int:
        """Columns."""
        return BLOW_UP * self.degree_bound

    @cached_property
    def byte_blocks(self) -> int:
        """Rows of one input's bytes."""
        return blocks(self.statement.network.input_size + RANDOM_BYTES, self.width)

    def _sum_blocks(self, table: Table) -> int:
        layers = self.statement.network.layers
        return blocks(sum(len(layer.bias) for layer in layers if layer.table is table), self.width)

    @cached_property
    def starts(self) -> dict[Table, tuple[int, int]]:
        """For each table of layers, the rows within an input where its sums and its results begin."""
        first = self.byte_blocks
        second = first + 2 * self._sum_blocks(Table.REQUANTISE)
        return {
            Table.REQUANTISE: (first, first + self._sum_blocks(Table.REQUANTISE)),
            Table.RECTIFY: (second, second + self._sum_blocks(Table.RECTIFY)),
        }

    @cached_property
    def rows_per_input(self) -> int:
        """Rows of one input."""
        return self.byte_blocks + 2 * sum(self._sum_blocks(table) for table in self.starts)

    @cached_property
    def groups(self) -> int:
        """Rows that hold one place per input."""
        return blocks(self.statement.input_count, self.width)

    @cached_property
    def bits_start(self) -> int:
        """First row of the bits."""
        return self.statement.input_count * self.rows_per_input

    @cached_property
    def scores_start(self) -> int:
        """First row of the scores; class c has rows c * groups on."""
        return self.bits_start + self.groups

    @cached_property
    def limbs_start(self) -> int:
        """First row of the limbs: for every other class the low limbs, then for every one the high."""
        return self.scores_start + self.groups * self.statement.network.class_count

    @cached_property
    def counts_start(self) -> int:
        """First row of how often each pair is looked up."""
        return self.limbs_start + 2 * self.groups * (self.statement.network.class_count - 1)

    @cached_property
    def first_rows(self) -> int:
        """Rows of the first matrix."""
        return self.counts_start + blocks(TABLE_SIZE, self.width)

    @property
    def lookup_count(self) -> int:
        """Places that are looked up, those without a value included."""
        of_input = self.byte_blocks + (self.rows_per_input - self.byte_blocks) // 2
        return (self.statement.input_count * of_input + self.counts_start - self.limbs_start) * self.width

    @cached_property
    def lookups(self) -> npt.NDArray[np.int64]:
        """The rows looked up: ``(look-ups, 3)``: row of x, row of y or -1 for zeros, table."""
        inside = [(row, -1, Table.BYTE) for row in range(self.byte_blocks)]
        for table, (sums, results) in self.starts.items():
            inside += [(sums + i, results + i, table) for i in range(results - sums)]
        rows = []
        for number in range(self.statement.input_count):
            start = number * self.rows_per_input
            rows += [(start + x, -1 if y < 0 else start + y, table) for x, y, table in inside]
        rows += [(row, -1, Table.LIMB) for row in range(self.limbs_start, self.counts_start)]
        return np.array(rows, np.int64)

    @cached_property
    def masks_start(self) -> int:
        """First row of the masks in the second matrix."""
        return EXTENSION_DEGREE * len(self.lookups)

    @cached_property
    def second_rows(self) -> int:
        """Rows of the second matrix."""
        return self.masks_start + _MASK_ROWS

    @cached_property
    def places(self) -> tuple[npt.NDArray[np.int64], tuple[npt.NDArray[np.int64], ...]]:
        """Where an input's values lie among its rows, counted through; and where each layer's sums lie."""
        network = self.statement.network
        values = [np.arange(network.input_size)]
        sums = []
        used = dict.fromkeys(self.starts, 0)
        for layer in network.layers:
            steps = used[layer.table] + np.arange(len(layer.bias))
            used[layer.table] += len(layer.bias)
            before, after = self.starts[layer.table]
            sums.append(before * self.width + steps)
            values.append(after * self.width + steps)
        return np.concatenate(values), tuple(sums)
