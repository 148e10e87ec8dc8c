"""What a proof says, and how the secret values that make it true lie in rows.

Statement: for the public network Q, commitments c_i, labels y_i and number k, I know bits b_i of which
exactly k are 1, and bytes t_i, s_i with A t_i + B s_i = b_i c_i, such that b_i = 1 implies that Q scores y_i
on t_i above every other class by at least 1.

Every equation is homogeneous in b_i: an input that does not count is all zeros, layer after layer, because
its biases are multiplied by b_i too. So nothing needs a gate, and nothing shows which inputs count.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from earmark.commitment.hashing import digest
from earmark.commitment.linear import RANDOM_BYTES, ROW_COUNT, VALUE_BYTES_LIMIT
from earmark.fields import EXTENSION_DEGREE, PRIME
from earmark.fields.compiling import Words
from earmark.zero_knowledge.network import TABLE_SIZE, IntegerNetwork, Table

LABEL = "earmark/ownership-statement/v1"
QUERY_COUNT = 192
BLOW_UP = 8
INPUT_LIMIT = 1 << 14
LOOKUP_LIMIT = 1 << 28  # far below p: no number of look-ups becomes zero in the field
DEGREE_BOUNDS = tuple(1 << power for power in range(11, 17))
MASK_ROWS = EXTENSION_DEGREE * 7  # proximity 1, linear 3, quadratic 3
_DIGEST_WORDS = 8
_FAR = 3 / 8  # below half of the code's distance, so that decoding is unique


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
        degree_bound: k, the length of a row with its randomness: a power of two, at least twice QUERY_COUNT.
            0: the one of DEGREE_BOUNDS that makes the proof shortest.
    """

    network: IntegerNetwork
    commitments: Words
    labels: npt.NDArray[np.int64]
    needed: int
    context: bytes
    degree_bound: int = 0

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
        if self.degree_bound == 0:
            object.__setattr__(self, "degree_bound", _shortest(self))
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


def _shortest(statement: Statement) -> int:
    """Return the degree bound of the shortest proof; of two, the smaller."""
    sizes = {bound: Layout(statement, bound).proof_words for bound in DEGREE_BOUNDS}
    return min(sizes, key=lambda bound: (sizes[bound], bound))


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
        given_bound: Another degree bound than the statement's, to compare sizes.
    """

    statement: Statement
    given_bound: int = 0

    @property
    def degree_bound(self) -> int:
        """Values in a row with its randomness."""
        return self.given_bound or self.statement.degree_bound

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
    def lookups_per_input(self) -> int:
        """Rows of one input that are looked up."""
        return self.byte_blocks + (self.rows_per_input - self.byte_blocks) // 2

    @property
    def limb_lookups_start(self) -> int:
        """Number of the first look-up that is no input's."""
        return self.statement.input_count * self.lookups_per_input

    @property
    def lookup_rows(self) -> int:
        """Rows that are looked up."""
        return self.limb_lookups_start + self.counts_start - self.limbs_start

    @property
    def lookup_count(self) -> int:
        """Places that are looked up, those without a value included."""
        return self.lookup_rows * self.width

    @property
    def proof_words(self) -> int:
        """Words of 4 bytes in a proof, its first line and three digests aside."""
        depth = self.code_length.bit_length() - 1
        of_column = self.first_rows + self.second_rows + 2 * _DIGEST_WORDS * (1 + depth)  # salts, siblings
        return 5 * EXTENSION_DEGREE * self.degree_bound + QUERY_COUNT * of_column

    @cached_property
    def inside(self) -> npt.NDArray[np.int64]:
        """The look-ups of one input, ``(look-ups, 3)``: row of x, row of y or -1 for zeros, table."""
        rows = [(row, -1, int(Table.BYTE)) for row in range(self.byte_blocks)]
        for table, (sums, results) in self.starts.items():
            rows += [(sums + i, results + i, int(table)) for i in range(results - sums)]
        return np.array(rows, np.int64)

    def parts(self, most_rows: int) -> "list[Part]":
        """Return both matrices in parts of about so many rows, whole inputs first.

        Args:
            most_rows: Of both together; an input is never divided.
        """
        each = self.rows_per_input + EXTENSION_DEGREE * self.lookups_per_input
        step = max(1, most_rows // each)
        count, found = self.statement.input_count, []
        for first in range(0, count, step):
            last = min(first + step, count)
            found.append(
                Part(
                    (first * self.rows_per_input, last * self.rows_per_input),
                    (first * self.lookups_per_input, last * self.lookups_per_input),
                    (first, last),
                )
            )
        # With each row go five of inverses and, in the linear combination, a public vector: five, held twice.
        step = max(1, most_rows // (1 + 3 * EXTENSION_DEGREE))
        for row in range(self.bits_start, self.first_rows, step):
            last_row = min(row + step, self.first_rows)
            limbs = [min(max(end, self.limbs_start), self.counts_start) for end in (row, last_row)]
            looked_up = [self.limb_lookups_start + end - self.limbs_start for end in limbs]
            found.append(Part((row, last_row), (looked_up[0], looked_up[1]), None))
        return found

    @cached_property
    def lookups(self) -> npt.NDArray[np.int64]:
        """The rows looked up: ``(look-ups, 3)``: row of x, row of y or -1 for zeros, table."""
        starts = np.arange(self.statement.input_count) * self.rows_per_input
        rows = np.tile(self.inside, (len(starts), 1, 1))
        rows[:, :, 0] += starts[:, None]
        rows[:, :, 1] += np.where(self.inside[:, 1] < 0, 0, starts[:, None])
        limbs = np.arange(self.limbs_start, self.counts_start)
        others = np.stack([limbs, np.full_like(limbs, -1), np.full_like(limbs, Table.LIMB)], axis=1)
        return np.concatenate([rows.reshape(-1, 3), others])

    @cached_property
    def masks_start(self) -> int:
        """First row of the masks in the second matrix."""
        return EXTENSION_DEGREE * self.lookup_rows

    @cached_property
    def second_rows(self) -> int:
        """Rows of the second matrix."""
        return self.masks_start + MASK_ROWS

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


@dataclass(frozen=True)
class Part:
    """Rows of both matrices that belong together.

    Attributes:
        rows: First and last (not included) row of the first matrix.
        lookups: First and last look-up; each has five rows of the second matrix.
        inputs: First and last input, if the part is inputs.
    """

    rows: tuple[int, int]
    lookups: tuple[int, int]
    inputs: tuple[int, int] | None

    @property
    def row_count(self) -> int:
        """Rows of the first matrix."""
        return self.rows[1] - self.rows[0]

    @property
    def lookup_count(self) -> int:
        """Look-ups."""
        return self.lookups[1] - self.lookups[0]


def soundness_bits(layout: Layout) -> float:
    """Return how unlikely a false statement is proven, in bits for one hash query of a prover.

    The largest term of docs/mathematics/zero-knowledge.md: columns that were not looked at, or a look-up that
    the tables' challenge misses.
    """
    size = EXTENSION_DEGREE * math.log2(PRIME)
    columns = -QUERY_COUNT * math.log2(_FAR + (2 * layout.degree_bound - 1) / layout.code_length)
    tables = size - math.log2(3 * TABLE_SIZE + layout.lookup_count)
    combined = size - math.log2(layout.code_length)
    return min(columns, -QUERY_COUNT * math.log2(1 - _FAR), tables, combined)
