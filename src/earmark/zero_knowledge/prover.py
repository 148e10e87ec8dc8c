"""Makes ownership proofs.

Whatever the rows hold is hidden: each row ends in as many random values as columns are opened, each of the
three combinations is masked, each column is hashed under a salt. All of it comes from one fresh secret per
proof; a secret used twice would answer two challenges and reveal the rows.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from earmark.commitment.linear import RANDOM_BYTES
from earmark.errors import ProofError
from earmark.fields import PRIME
from earmark.fields.compiling import Words
from earmark.zero_knowledge.equations import TableChallenge
from earmark.zero_knowledge.network import (
    MARGIN_LIMB,
    TABLE_SIZE,
    Inference,
    Integers,
    Table,
    infer,
    matches,
)
from earmark.zero_knowledge.proof import OwnershipProof
from earmark.zero_knowledge.sealing import ProofSecret, seal
from earmark.zero_knowledge.statement import Layout, Statement

_ROWS_AT_ONCE = 1 << 11


@dataclass(frozen=True, eq=False)
class Openings:
    """What only the owner knows.

    Attributes:
        values: uint8 ``(n, input_size)``: the triggers' bytes.
        randomness: uint8 ``(n, 1272)``.
    """

    values: npt.NDArray[np.uint8]
    randomness: npt.NDArray[np.uint8]


def prove(
    statement: Statement,
    openings: Openings,
    *,
    random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    on_progress: Callable[[int, int], None] = lambda *_: None,
) -> OwnershipProof:
    """Make a proof.

    Exactly ``statement.needed`` of the inputs that match are proven, drawn by lot, so that neither their
    number nor which they are can be seen.

    Args:
        statement: What is proven.
        openings: Of all commitments, in order.
        random_bytes: Source of the one secret of this proof.
        on_progress: Told the steps done and how many there are.

    Returns:
        The proof. That there is one is itself an answer about the triggers: write it down (journal)
        before it leaves.

    Raises:
        ProofError: Step 0: the network does not answer enough triggers as the key says.
        ValueError: The openings do not have the statement's sizes.

    Source:
        Ames, Hazay, Ishai, Venkitasubramaniam 2017 (Ligero); Haboeck 2022 (look-ups); composition ours
        (docs/mathematics/zero-knowledge.md)
    """
    layout = Layout(statement)
    secret = ProofSecret(random_bytes(32))
    return seal(layout, WitnessRows(layout, openings, secret), secret, on_progress)


class WitnessRows:
    """The rows of a true statement; of each input the sums are kept, everything else follows from them.

    Args:
        layout: Where everything lies.
        openings: Of all commitments, in order.
        secret: Draws which of the matching inputs count.

    Raises:
        ProofError: Step 0: the network does not answer enough triggers as the key says.
        ValueError: The openings do not have the statement's sizes.
    """

    def __init__(self, layout: Layout, openings: Openings, secret: ProofSecret) -> None:
        statement = layout.statement
        count, size = statement.input_count, statement.network.input_size
        if openings.values.shape != (count, size) or openings.randomness.shape != (count, RANDOM_BYTES):
            raise ValueError("there is one opening of the right size for every commitment")
        self._layout, self._openings = layout, openings
        inference = infer(statement.network, openings.values)
        chosen = drawn_by_lot(statement, inference, secret)
        self._bits = np.zeros(count, np.int64)
        self._bits[chosen] = 1
        self._sums = inference.sums
        self._others = self._other_rows(np.where(self._bits[:, None] == 1, inference.scores, 0))

    def first(self, begin: int, end: int) -> Words:
        """Return rows of the first matrix; rows of inputs are asked for by whole inputs."""
        layout = self._layout
        if begin >= layout.bits_start:
            found = self._others[begin - layout.bits_start : end - layout.bits_start]
        else:
            found = self._inputs(begin // layout.rows_per_input, end // layout.rows_per_input)
        return np.asarray(found % PRIME).astype(np.uint32)

    def inverses(self, tables: TableChallenge, begin: int, end: int) -> Words:
        """Return the inverses of look-ups."""
        return tables.inverses[self._places(begin, end)]

    def _inputs(self, first: int, last: int) -> Integers:
        layout, network = self._layout, self._layout.statement.network
        found = np.zeros((last - first, layout.rows_per_input * layout.width), np.int64)
        here = np.flatnonzero(self._bits[first:last])
        value_places, sum_places = layout.places
        size = network.input_size
        found[here, :size] = self._openings.values[first + here]
        found[here, size : size + RANDOM_BYTES] = self._openings.randomness[first + here]
        seen = size
        for layer, places, sums in zip(network.layers, sum_places, self._sums, strict=True):
            own = sums[first + here].astype(np.int64)
            found[here[:, None], places] = own
            found[here[:, None], value_places[seen : seen + len(places)]] = layer.table.look_up(own)
            seen += len(places)
        return found.reshape(-1, layout.width)

    def _places(self, begin: int, end: int) -> Integers:
        """Return the places in the tables of look-ups; those of inputs are asked for by whole inputs."""
        layout = self._layout
        if begin >= layout.limb_lookups_start:
            start = layout.limbs_start - layout.bits_start - layout.limb_lookups_start
            return places_in_tables(
                self._others[start + begin : start + end], np.full(end - begin, Table.LIMB)
            )
        first, last = begin // layout.lookups_per_input, end // layout.lookups_per_input
        values = self._inputs(first, last).reshape(last - first, layout.rows_per_input, layout.width)
        looked_up = values[:, layout.inside[:, 0]].reshape(-1, layout.width)
        return places_in_tables(looked_up, np.tile(layout.inside[:, 2], last - first))

    def _other_rows(self, scores: Integers) -> Integers:
        layout, labels = self._layout, self._layout.statement.labels
        rows = np.zeros((layout.first_rows - layout.bits_start, layout.width), np.int64)
        limbs = _limbs(scores, self._bits, labels)
        start = layout.bits_start
        _fill(layout, rows, 0, self._bits[None])
        _fill(layout, rows, layout.scores_start - start, scores.T)
        parts = np.concatenate([limbs % MARGIN_LIMB, limbs // MARGIN_LIMB])
        _fill(layout, rows, layout.limbs_start - start, parts)
        self._others = rows
        counts = np.zeros(TABLE_SIZE, np.int64)
        for part in layout.parts(_ROWS_AT_ONCE):
            if part.lookup_count:
                counts += np.bincount(self._places(*part.lookups).reshape(-1), minlength=TABLE_SIZE)
        rows.reshape(-1)[(layout.counts_start - start) * layout.width :][:TABLE_SIZE] = counts
        return rows


def drawn_by_lot(statement: Statement, inference: Inference, secret: ProofSecret) -> npt.NDArray[np.int64]:
    """Return which inputs count, in rising order: as many as are needed of those that match.

    Raises:
        ProofError: Step 0: too few match.
    """
    matching = np.flatnonzero(matches(inference, statement.labels))
    if len(matching) < statement.needed:
        # The number is not said: it would tell more about the triggers than that there is no proof.
        raise ProofError(0, f"fewer than {statement.needed} triggers are answered as the key says")
    stream = secret.stream("choice")
    left = matching.tolist()
    return np.array(sorted(left.pop(stream.uniform(len(left))) for _ in range(statement.needed)), np.int64)


def places_in_tables(values: Integers, tables: Integers) -> Integers:
    """Return for rows of x, each with its table's number, where the pairs stand among all tables' pairs."""
    starts = np.array([table.start - table.lowest for table in Table])
    return np.asarray(values + starts[tables][:, None])


def _fill(layout: Layout, rows: Integers, start: int, values: Integers) -> None:
    for number, row in enumerate(values):
        block = rows[start + number * layout.groups : start + (number + 1) * layout.groups].reshape(-1)
        block[: len(row)] = row  # reshape of whole rows is a view


def _limbs(scores: Integers, bits: Integers, labels: npt.NDArray[np.int64]) -> Integers:
    everyone = np.arange(len(labels))
    classes = scores.shape[1]
    own = scores[everyone, labels]
    return np.stack(
        [own - scores[everyone, (labels + offset) % classes] - bits for offset in range(1, classes)]
    )
