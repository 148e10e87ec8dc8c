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
from earmark.fields.arrays import Words
from earmark.zero_knowledge.network import MARGIN_LIMB, TABLE_SIZE, Integers, Table, infer, matches
from earmark.zero_knowledge.proof import OwnershipProof
from earmark.zero_knowledge.sealing import ProofSecret, seal
from earmark.zero_knowledge.statement import Layout, Statement


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
    on_progress: Callable[[str], None] = lambda _: None,
) -> OwnershipProof:
    """Make a proof.

    Exactly ``statement.needed`` of the inputs that match are proven, drawn by lot, so that neither their
    number nor which they are can be seen.

    Args:
        statement: What is proven.
        openings: Of all commitments, in order.
        random_bytes: Source of the one secret of this proof.
        on_progress: Told what begins.

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
    on_progress("evaluating the network")
    rows, places = rows_and_places(layout, openings, secret)
    return seal(layout, rows, lambda tables: tables.inverses[places], secret, on_progress)


def _chosen(layout: Layout, openings: Openings, secret: ProofSecret) -> npt.NDArray[np.int64]:
    statement = layout.statement
    matching = np.flatnonzero(matches(infer(statement.network, openings.values), statement.labels))
    if len(matching) < statement.needed:
        # The number is not said: it would tell more about the triggers than that there is no proof.
        raise ProofError(0, f"fewer than {statement.needed} triggers are answered as the key says")
    stream = secret.stream("choice")
    left = matching.tolist()
    return np.array(sorted(left.pop(stream.uniform(len(left))) for _ in range(statement.needed)), np.int64)


def rows_and_places(
    layout: Layout, openings: Openings, secret: ProofSecret
) -> tuple[Words, npt.NDArray[np.int64]]:
    """Return the rows' values, and for every look-up its place in the tables, ``(look-ups, width)``."""
    statement = layout.statement
    count, size = statement.input_count, statement.network.input_size
    if openings.values.shape != (count, size) or openings.randomness.shape != (count, RANDOM_BYTES):
        raise ValueError("there is one opening of the right size for every commitment")
    chosen = _chosen(layout, openings, secret)
    bits = np.zeros(count, np.int64)
    bits[chosen] = 1
    inference = infer(statement.network, openings.values[chosen])
    rows = np.zeros((layout.first_rows, layout.width), np.int64)
    inputs = np.zeros((count, layout.rows_per_input * layout.width), np.int64)
    value_places, sum_places = layout.places
    inputs[chosen[:, None], value_places] = inference.values
    inputs[chosen, size : size + RANDOM_BYTES] = openings.randomness[chosen]
    for places, sums in zip(sum_places, inference.sums, strict=True):
        inputs[chosen[:, None], places] = sums
    rows[: layout.bits_start] = inputs.reshape(-1, layout.width)

    scores = np.zeros((count, statement.network.class_count), np.int64)
    scores[chosen] = inference.scores
    _fill(layout, rows, layout.bits_start, bits[None])
    _fill(layout, rows, layout.scores_start, scores.T)
    limbs = _limbs(scores, bits, statement.labels)
    _fill(layout, rows, layout.limbs_start, np.concatenate([limbs % MARGIN_LIMB, limbs // MARGIN_LIMB]))
    return counted(layout, rows)


def counted(layout: Layout, rows: Integers) -> tuple[Words, npt.NDArray[np.int64]]:
    """Count what is looked up, write it into its rows, return the rows in F_p and the look-ups' places."""
    lookups = layout.lookups
    starts = np.array([table.start - table.lowest for table in Table])
    places = np.asarray(rows[lookups[:, 0]] + starts[lookups[:, 2]][:, None])
    counts = np.bincount(places.reshape(-1), minlength=TABLE_SIZE)
    rows.reshape(-1)[layout.counts_start * layout.width :][:TABLE_SIZE] = counts
    return np.asarray(rows % PRIME).astype(np.uint32), places


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
