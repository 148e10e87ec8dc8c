"""The random coefficients of a proof, and the public vectors that follow from them.

Coefficients are independent elements of K, not powers of one: each failure is missed with probability 1/|K|.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from earmark.commitment.linear import ROW_COUNT, commitment_matrix
from earmark.fields import EXTENSION_DEGREE, PRIME
from earmark.fields.arrays import difference_mod, invert_elements, multiply_elements, product_mod, sum_mod
from earmark.fields.compiling import Words
from earmark.zero_knowledge.network import MARGIN_LIMB, Table
from earmark.zero_knowledge.statement import Layout
from earmark.zero_knowledge.transcript import ProofTranscript

_DEGREE = EXTENSION_DEGREE


@dataclass(frozen=True, eq=False)
class TableChallenge:
    """alpha and beta, and 1 / (alpha - x - beta y - beta^2 table) for every pair of the tables.

    Raises ZeroDivisionError if alpha hits a pair: such a challenge proves nothing.
    """

    alpha: Words
    beta: Words
    inverses: Words  # (TABLE_SIZE, 5)

    @property
    def beta_square(self) -> Words:
        """beta^2, ``(1, 5)``."""
        return multiply_elements(self.beta, self.beta)


def table_challenge(transcript: ProofTranscript) -> TableChallenge:
    """Draw alpha and beta after the first matrix is fixed."""
    drawn = transcript.elements("tables", 2)
    alpha, beta = drawn[:1], drawn[1:]
    square = multiply_elements(beta, beta)
    shifted = []
    for table in Table:
        x = np.arange(table.lowest, table.lowest + table.size)
        y = table.look_up(x)
        weighted = y[:, None] * beta.astype(np.int64) % PRIME + int(table) * square.astype(np.int64)
        weighted[:, 0] += x
        shifted.append(difference_mod(alpha, weighted))
    return TableChallenge(alpha, beta, invert_elements(np.concatenate(shifted)))


@dataclass(frozen=True, eq=False)
class Equations:
    """The random coefficients of one proof, and the public vectors that follow from them.

    Attributes:
        layout: Where everything lies.
        tables: alpha and beta.
        proximity_first: ``(first_rows, 5)``.
        proximity_second: ``(masks_start + masks, 5)``.
        products: ``(look-ups + groups, 5)``.
        inputs: One coefficient per input, ``(n, 5)``.
        shared: The vector that every input's rows have in common, ``(rows_per_input, width, 5)``.
        per_input: What multiplies the bit, scores and limbs of each input, ``(1 + C + 2 (C - 1), n, 5)``.
        lookup_weight: Of every inverse of a look-up, ``(1, 5)``.
        target: What the linear combination must be, ``(5,)``.
    """

    layout: Layout
    tables: TableChallenge
    proximity_first: Words
    proximity_second: Words
    products: Words
    inputs: Words
    shared: Words
    per_input: Words
    lookup_weight: Words
    target: Words

    def others(self, first: int, last: int) -> Words:
        """Return the vectors of some rows behind the inputs' rows, ``(last - first, width, 5)``."""
        layout = self.layout
        found = np.zeros((last - first, layout.width, _DEGREE), np.uint32)
        for row in range(first, last):
            if row < layout.counts_start:
                number, group = divmod(row - layout.bits_start, layout.groups)
                values = self.per_input[number, group * layout.width : (group + 1) * layout.width]
            else:
                start = (row - layout.counts_start) * layout.width
                inverses = self.tables.inverses[start : start + layout.width]
                values = difference_mod(np.zeros((1, 1)), multiply_elements(inverses, self.lookup_weight))
            found[row - first, : len(values)] = values
        return found


def equations(layout: Layout, tables: TableChallenge, transcript: ProofTranscript) -> Equations:
    """Draw all coefficients after the second matrix is fixed."""
    statement = layout.statement
    network = statement.network
    others_count = network.class_count - 1
    inputs = transcript.elements("inputs", statement.input_count)
    of_count = transcript.elements("count", 1)
    of_lookups = transcript.elements("look-ups", 1)
    of_commitments = transcript.elements("commitments", ROW_COUNT)
    of_sums = [
        transcript.elements(f"layer {number}", len(layer.bias)) for number, layer in enumerate(network.layers)
    ]
    of_scores = transcript.elements("scores", network.class_count)
    of_margins = transcript.elements("margins", others_count)

    # One pass through the network, backwards: what multiplies each value of an input.
    weights = np.zeros((network.value_count, _DEGREE), np.int64)
    bias = np.zeros(_DEGREE, np.int64)
    for layer, drawn in zip((*network.layers, network.scores), (*of_sums, of_scores), strict=True):
        for term in layer.terms:
            term.add_transposed(drawn, weights)
        bias += _weighed(layer.bias, drawn)
    by_commitment = product_mod(np.ascontiguousarray(commitment_matrix(network.input_size).T), of_commitments)
    weights[: network.input_size] += by_commitment[: network.input_size]
    shared = np.zeros((layout.rows_per_input * layout.width, _DEGREE), np.int64)
    value_places, sum_places = layout.places
    shared[value_places] = weights
    randomness = by_commitment[network.input_size :]
    shared[network.input_size : network.input_size + len(randomness)] = randomness
    for places, drawn in zip(sum_places, of_sums, strict=True):
        shared[places] -= drawn
    return Equations(
        layout=layout,
        tables=tables,
        proximity_first=transcript.elements("proximity 1", layout.first_rows),
        proximity_second=_proximity_second(layout, transcript),
        products=transcript.elements("products", layout.lookup_rows + layout.groups),
        inputs=inputs,
        shared=np.asarray(shared % PRIME).astype(np.uint32).reshape(-1, layout.width, _DEGREE),
        per_input=_per_input(layout, inputs, bias, of_count, of_commitments, of_scores, of_margins),
        lookup_weight=of_lookups,
        target=sum_mod(statement.needed * of_count[0].astype(np.int64)),
    )


def _weighed(bias: npt.NDArray[np.int64], drawn: Words) -> npt.NDArray[np.int64]:
    """Return the sum of biases times elements, reduced at every product: sums of many would overflow."""
    terms = (bias % PRIME)[:, None] * drawn.astype(np.int64) % PRIME
    return np.asarray(terms.sum(axis=0) % PRIME)


def _per_input(
    layout: Layout,
    inputs: Words,
    bias: npt.NDArray[np.int64],
    of_count: Words,
    of_commitments: Words,
    of_scores: Words,
    of_margins: Words,
) -> Words:
    statement, margins = layout.statement, of_margins.astype(np.int64)
    classes = statement.network.class_count
    per_class = np.zeros((statement.input_count, classes, _DEGREE), np.int64)
    per_class -= of_scores
    everyone = np.arange(statement.input_count)
    for offset in range(1, classes):
        per_class[everyone, statement.labels] += of_margins[offset - 1]
        per_class[everyone, (statement.labels + offset) % classes] -= of_margins[offset - 1]
    committed = product_mod(statement.commitments.astype(np.int64), of_commitments)
    bits = bias - committed.astype(np.int64) - margins.sum(axis=0)  # (n, 5)
    limbs = np.concatenate([-margins, -MARGIN_LIMB * margins])
    result = np.empty((1 + classes + len(limbs), len(inputs), _DEGREE), np.uint32)
    for row in range(len(result)):
        if row == 0:
            values = bits
        elif row <= classes:
            values = per_class[:, row - 1]
        else:
            values = limbs[row - 1 - classes][None]
        result[row] = multiply_elements(np.asarray(values % PRIME).astype(np.uint32), inputs)
    result[0] = sum_mod(result[0], of_count)
    return result


def _proximity_second(layout: Layout, transcript: ProofTranscript) -> Words:
    drawn = transcript.elements("proximity 2", layout.second_rows)
    # The first mask is the codeword that hides the sum: its five rows are one element of K each time.
    drawn[layout.masks_start : layout.masks_start + _DEGREE] = np.eye(_DEGREE, dtype=np.uint32)
    return drawn
