"""A prover without a true statement turns one dial each; each dial is stopped by one family of equations or step.

Every attack on equations and steps is run twice. Against the real checker it must be refused by exactly the
steps that are named; with the one thing that stops it taken away, from prover and checker alike, it must be
accepted. So removing that thing breaks a test here. Run once: ties, and what is altered in a finished proof.
"""

import dataclasses

import numpy as np
import pytest
from scipy import sparse

from earmark.commitment.linear import RANDOM_BYTES, commitment_matrix
from earmark.errors import FormatError, ProofError
from earmark.fields import PRIME
from earmark.fields.arrays import difference_mod, invert_elements
from earmark.zero_knowledge.checker import check_proof, steps
from earmark.zero_knowledge.network import MARGIN_LIMB, TABLE_SIZE, Table, infer, matches
from earmark.zero_knowledge.proof import OwnershipProof
from earmark.zero_knowledge.prover import WitnessRows, places_in_tables, prove
from earmark.zero_knowledge.sealing import Matrices, ProofSecret, seal
from earmark.zero_knowledge.statement import Layout
from earmark.zero_knowledge.sums import Matrix
from earmark.zero_knowledge.transcript import ProofTranscript
from small_proofs import (
    DEGREE_BOUND,
    INPUT_SIZE,
    seeded,
    tiny_network,
    tiny_openings,
    tiny_proof,
    tiny_statement,
)

LAYOUT = Layout(tiny_statement())


def honest_rows(statement=None, openings=None):
    layout = Layout(statement or tiny_statement())
    witness = WitnessRows(layout, openings or tiny_openings(), ProofSecret(bytes(32)))
    rows = np.concatenate([witness.first(*part.rows) for part in layout.parts(1 << 10)]).astype(np.int64)
    return np.where(rows > PRIME // 2, rows - PRIME, rows)


class GivenRows:
    """Rows that a cheat has written, with the inverses that he claims."""

    def __init__(self, rows, inverses):
        self._rows, self._inverses = (rows % PRIME).astype(np.uint32), inverses

    def first(self, begin, end):
        return self._rows[begin:end]

    def inverses(self, tables, begin, end):
        return self._inverses(tables)[begin:end]


def counted(rows, layout=LAYOUT):
    """Write how often each pair is looked up into its rows; return the inverses that the tables give."""
    places = places_in_tables(rows[layout.lookups[:, 0]], layout.lookups[:, 2])
    counts = np.bincount(places.reshape(-1), minlength=TABLE_SIZE)
    rows.reshape(-1)[layout.counts_start * layout.width :][:TABLE_SIZE] = counts
    return lambda tables: tables.inverses[places]


def counting_input(rows):
    """The first input whose bit is one."""
    return int(np.flatnonzero(rows[LAYOUT.bits_start])[0])


def input_view(rows, number):
    per_input = LAYOUT.rows_per_input
    return rows[number * per_input : (number + 1) * per_input].reshape(-1)


def true_inverses(rows):
    """The inverse of every look-up as it stands, whether the table has it or not."""

    def inverses(tables):
        lookups = LAYOUT.lookups
        x = rows[lookups[:, 0]]
        y = np.where(lookups[:, 1][:, None] < 0, 0, rows[lookups[:, 1]])
        weighted = y[..., None] % PRIME * tables.beta[0].astype(np.int64) % PRIME
        weighted += lookups[:, 2][:, None, None] * tables.beta_square[0].astype(np.int64)
        weighted[..., 0] += x % PRIME
        shifted = difference_mod(tables.alpha[0], weighted)
        return invert_elements(shifted.reshape(-1, 5)).reshape(shifted.shape)

    return inverses


def counted_where_possible(rows):
    """Count the look-ups that the tables have, and leave out the others."""
    lookups = LAYOUT.lookups
    counts = np.zeros(TABLE_SIZE, np.int64)
    for x_row, y_row, number in lookups:
        table, x = Table(int(number)), rows[x_row]
        y = rows[y_row] if y_row >= 0 else np.zeros_like(x)
        good = table.holds(x) & (table.look_up(x) == y)
        np.add.at(counts, table.start + x[good] - table.lowest, 1)
    rows.reshape(-1)[LAYOUT.counts_start * LAYOUT.width :][:TABLE_SIZE] = counts
    return rows


def sealed(rows, inverses=None, layout=LAYOUT):
    inverses = inverses or counted(rows, layout)
    return seal(layout, GivenRows(rows, inverses), ProofSecret(b"1" * 32))


def refused_by(proof, layout=LAYOUT):
    return {step for step, holds, _ in steps(layout, proof) if not holds}


def without(monkeypatch, *names):
    """Take families of equations away from prover and checker: their random coefficients become zero."""
    drawn = ProofTranscript.elements

    def elements(self, name, count):
        values = drawn(self, name, count)
        return np.zeros_like(values) if name in names else values

    monkeypatch.setattr(ProofTranscript, "elements", elements)


def stopped_only_by(monkeypatch, name, steps_expected, make):
    assert refused_by(make()) == steps_expected
    without(monkeypatch, name)
    assert refused_by(make()) == set()


def test_one_sum_off_by_one_that_gives_the_same_byte(monkeypatch):
    rows = honest_rows()
    values = input_view(rows, counting_input(rows))
    place = next(p for p in LAYOUT.places[1][0] if values[p] & 255 != 255)
    values[place] += 1
    stopped_only_by(monkeypatch, "layer 0", {3}, lambda: sealed(rows))


def test_scores_that_the_network_did_not_give(monkeypatch):
    rows = honest_rows()
    number, label = counting_input(rows), None
    label = tiny_statement().labels[number]
    rows[LAYOUT.scores_start + label, number] += 5
    rows[LAYOUT.limbs_start : LAYOUT.limbs_start + 2, number] += 5
    low = rows[LAYOUT.limbs_start : LAYOUT.limbs_start + 2]
    rows[LAYOUT.limbs_start + 2 : LAYOUT.limbs_start + 4] += low // MARGIN_LIMB
    low %= MARGIN_LIMB
    stopped_only_by(monkeypatch, "scores", {3}, lambda: sealed(rows))


def test_a_label_that_the_network_does_not_give(monkeypatch):
    labels = tiny_statement().labels.copy()
    number = counting_input(honest_rows())
    rows = honest_rows()
    labels[number] = (labels[number] + 1) % 3
    layout = Layout(dataclasses.replace(tiny_statement(), labels=labels))
    make = lambda: sealed(rows, layout=layout)  # noqa: E731 - one line says it
    assert refused_by(make(), layout) == {3}
    without(monkeypatch, "margins")
    assert refused_by(make(), layout) == set()


def test_a_tie_is_not_a_match(monkeypatch):
    # The margin is at least 1: limbs of -1 are no limbs.
    rows = honest_rows()
    number = counting_input(rows)
    rows[LAYOUT.limbs_start, number] = -1
    counted_where_possible(rows)
    proof = sealed(rows, true_inverses(rows))
    assert refused_by(proof) == {3}


def test_another_input_than_the_one_committed_to(monkeypatch):
    openings = tiny_openings()
    rows = honest_rows()
    number = counting_input(rows)
    randomness = openings.randomness.copy()
    randomness[number, 7] ^= 1
    input_view(rows, number)[INPUT_SIZE : INPUT_SIZE + RANDOM_BYTES] = randomness[number]
    stopped_only_by(monkeypatch, "commitments", {3}, lambda: sealed(rows))


def test_fewer_inputs_than_needed(monkeypatch):
    rows = honest_rows(tiny_statement(2))
    stopped_only_by(monkeypatch, "count", {3}, lambda: sealed(rows))


def test_an_input_that_counts_twice(monkeypatch):
    rows = honest_rows()
    bits = rows[LAYOUT.bits_start]
    first, second = np.flatnonzero(bits)[:2]
    bits[first], bits[second] = 2, 0
    # Every equation that the bits appear in besides their number is taken away, to see what stops just this.
    without(monkeypatch, "commitments", "layer 0", "layer 1", "layer 2", "scores", "margins")
    assert refused_by(sealed(rows)) == {4}
    without(monkeypatch, "products")
    assert refused_by(sealed(rows)) == set()


def off_the_table(rows, row, place, value):
    rows[row, place] = value
    return counted_where_possible(rows)


@pytest.mark.parametrize("table", list(Table))
def test_a_pair_that_its_table_does_not_have(monkeypatch, table):
    """One look-up of each table, with the inverse that makes its product right: only the total gives it away."""
    rows = honest_rows()
    x_row, y_row, _ = next(entry for entry in LAYOUT.lookups if entry[2] == table)
    wrong = y_row if y_row >= 0 else x_row
    # The last place of the row carries nothing that another equation speaks about.
    place = LAYOUT.width - 1
    off_the_table(rows, wrong, place, table.size + 3)
    # The first row of bytes is full of randomness, which the commitments speak about too.
    without(monkeypatch, *{Table.LIMB: ("margins",), Table.BYTE: ("commitments",)}.get(table, ()))
    stopped_only_by(monkeypatch, "look-ups", {3}, lambda: sealed(rows, true_inverses(rows)))


def test_a_wrong_inverse(monkeypatch):
    rows = honest_rows()
    honest = counted(rows)

    def inverses(tables):
        # Two errors that cancel in the total.
        values = honest(tables).copy()
        values[0, 0, 0] = (int(values[0, 0, 0]) + 1) % PRIME
        values[0, 1, 0] = (int(values[0, 1, 0]) - 1) % PRIME
        return values

    stopped_only_by(monkeypatch, "products", {4}, lambda: sealed(rows, inverses))


def test_a_wrong_count(monkeypatch):
    rows = honest_rows()
    inverses = counted(rows)
    rows[LAYOUT.counts_start, 5] += 1
    stopped_only_by(monkeypatch, "look-ups", {3}, lambda: sealed(rows, inverses))


def solved(matrix, target):
    """Solve a square linear system over F_p."""
    size = len(matrix)
    work = np.concatenate([matrix, target[:, None]], axis=1).astype(np.int64) % PRIME
    for column in range(size):
        pivot = column + int(np.flatnonzero(work[column:, column])[0])
        work[[column, pivot]] = work[[pivot, column]]
        work[column] = work[column] * pow(int(work[column, column]), -1, PRIME) % PRIME
        factors = work[:, column].copy()
        factors[column] = 0
        work = (work - factors[:, None] * work[column] % PRIME) % PRIME
    return work[:, -1]


def test_randomness_that_is_not_bytes_opens_a_commitment_to_anything(monkeypatch):
    rows = honest_rows()
    number = counting_input(rows)
    other = np.flatnonzero(rows[LAYOUT.bits_start])[1]
    labels = tiny_statement().labels.copy()
    labels[number] = labels[other]
    layout = Layout(dataclasses.replace(tiny_statement(), labels=labels))
    # Everything of another input, and randomness computed to fit the commitment.
    view = input_view(rows, number)
    view[:] = input_view(rows, other)
    rows[LAYOUT.scores_start : LAYOUT.counts_start, number] = rows[
        LAYOUT.scores_start : LAYOUT.counts_start, other
    ]
    matrix = commitment_matrix(INPUT_SIZE)
    begin = INPUT_SIZE + RANDOM_BYTES - 320
    target = tiny_statement().commitments[number].astype(np.int64) - matrix[:, :begin] @ view[:begin]
    view[begin : INPUT_SIZE + RANDOM_BYTES] = solved(matrix[:, begin:], target % PRIME)
    counted_where_possible(rows)
    make = lambda: sealed(rows, true_inverses(rows), layout)  # noqa: E731 - one line says it
    assert refused_by(make(), layout) == {3}
    without(monkeypatch, "look-ups")
    assert refused_by(make(), layout) == set()


def test_sums_that_could_wrap_around_the_field_are_refused_before_anything_is_proven():
    network = tiny_network()
    layer = dataclasses.replace(network.layers[0], bias=np.full(8, PRIME // 2))
    with pytest.raises(ValueError, match="wrap around"):
        dataclasses.replace(network, layers=(layer, *network.layers[1:]))
    scores = dataclasses.replace(network.scores, bias=np.full(3, PRIME // 4))
    with pytest.raises(ValueError, match="wrap around"):
        dataclasses.replace(network, scores=scores)
    heavy = sparse.csr_matrix(np.full((8, INPUT_SIZE), PRIME // (2 * 255 * INPUT_SIZE) + 1))
    layer = dataclasses.replace(network.layers[0], terms=(Matrix(heavy),), bias=np.zeros(8, np.int64))
    with pytest.raises(ValueError, match="wrap around"):
        dataclasses.replace(network, layers=(layer, *network.layers[1:]))


def read(data=None):
    return OwnershipProof.from_bytes(data or tiny_proof(), LAYOUT)


def altered(array, place=0):
    values = array.copy()
    flat = values.reshape(-1)
    flat[place] = flat[place] ^ 1 if values.dtype == np.uint8 else (int(flat[place]) + 1) % PRIME
    return values


@pytest.mark.parametrize(("name", "step"), [("first", 5), ("second", 6)])
@pytest.mark.parametrize("part", ["salts", "siblings"])
def test_columns_that_do_not_lead_to_the_root(name, step, part):
    proof = read()
    setattr(getattr(proof, name), part, altered(getattr(getattr(proof, name), part)))
    assert refused_by(proof) == {step}


def altered_combinations(monkeypatch):
    """Send each of the three polynomials altered, before the columns are drawn, so that it passes all but one step."""
    from earmark.zero_knowledge import sealing

    honest = sealing._combined
    rows = honest_rows()

    def vanishing():
        # X^k - 1 is zero wherever values lie.
        values = np.zeros((2 * DEGREE_BOUND, 5), np.uint32)
        values[0], values[DEGREE_BOUND] = PRIME - 1, 1
        return values

    for which, step in ((0, 7), (1, 8), (2, 9)):

        def combined(*arguments, which=which):
            sent = list(honest(*arguments))
            change = vanishing() if which else np.ones((DEGREE_BOUND, 5), np.uint32)
            sent[which] = ((sent[which].astype(np.int64) + change) % PRIME).astype(np.uint32)
            return tuple(sent)

        monkeypatch.setattr(sealing, "_combined", combined)
        yield step, sealed(rows).to_bytes()


def test_polynomials_that_are_not_the_combinations(monkeypatch):
    for step, data in altered_combinations(monkeypatch):
        assert refused_by(read(data)) == {step}


NO_CODEWORD = {
    "a value": ("first", 0),
    "a count": ("first", LAYOUT.first_rows - 1),
    "an inverse": ("second", 0),
    "the linear mask": ("second", LAYOUT.masks_start + 5),
    "the quadratic mask": ("second", LAYOUT.masks_start + 34),
}


@pytest.mark.parametrize("row", NO_CODEWORD)
def test_a_row_that_is_no_codeword_is_seen_by_the_proximity_combination(monkeypatch, row):
    """A row that no equation uses would be free to be anything, were it not for the proximity combination."""
    matrix, number = NO_CODEWORD[row]
    honest, honest_opened = Matrices.values, Matrices.opened
    altered_residues = set()

    def values(self, polynomials, residue):
        found = honest(self, polynomials, residue)
        place = number - polynomials.begin
        if polynomials.matrix == matrix and 0 <= place < polynomials.count:
            found[:, place] = np.random.default_rng(residue).integers(0, PRIME, len(found), np.uint32)
            altered_residues.add(residue)
        return found

    def opened(self, polynomials, columns):
        found = honest_opened(self, polynomials, columns)
        for place, column in enumerate(columns.tolist()):
            found[:, place] = values(self, polynomials, column % 8)[column // 8]
        return found

    monkeypatch.setattr(Matrices, "values", values)
    monkeypatch.setattr(Matrices, "opened", opened)
    proof = sealed(honest_rows())
    assert altered_residues == set(range(8))
    assert 7 in refused_by(proof)


@pytest.mark.parametrize("changed", ["first root", "second root", "proximity", "linear", "quadratic"])
def test_everything_said_changes_the_columns_that_are_opened(monkeypatch, changed):
    """Columns known before something is said could be passed by something made for them."""
    drawn = ProofTranscript.columns
    found = []

    def columns(self, *arguments):
        found.append(drawn(self, *arguments))
        return found[-1]

    monkeypatch.setattr(ProofTranscript, "columns", columns)
    honest = read()
    if changed.endswith("root"):
        name = changed.replace(" ", "_")
        other = dataclasses.replace(honest, **{name: bytes(32)})
    else:
        values = getattr(honest, changed).copy()
        values[-1, 0] = (int(values[-1, 0]) + 1) % PRIME
        other = dataclasses.replace(honest, **{changed: values})
    refused_by(honest)
    refused_by(other)
    assert len(found) == 2
    assert not np.array_equal(*found)


def test_a_challenge_that_hits_a_table_is_refused(monkeypatch):
    drawn = ProofTranscript.elements

    def elements(self, name, count):
        values = drawn(self, name, count)
        if name == "tables":
            values[0] = [17, 0, 0, 0, 0]  # the pair (17, 0) of the bytes
        return values

    monkeypatch.setattr(ProofTranscript, "elements", elements)
    assert refused_by(read()) == {2}


@pytest.mark.parametrize("change", ["labels", "needed", "context", "commitments", "network"])
def test_a_proof_is_about_one_statement(change):
    statement = tiny_statement()
    network = tiny_network()
    scores = dataclasses.replace(network.scores, bias=network.scores.bias + np.array([1, 0, 0]))
    other = {
        "labels": np.roll(statement.labels, 1) if len(set(statement.labels)) > 1 else 1 - statement.labels,
        "needed": 2,
        "context": b"another model",
        "commitments": np.roll(statement.commitments, 1, axis=0),
        "network": dataclasses.replace(network, scores=scores),
    }[change]
    layout = Layout(dataclasses.replace(statement, **{change: other}))
    assert 1 in refused_by(OwnershipProof.from_bytes(tiny_proof(), layout), layout)
    # Written over with the digest that is expected, it is refused by what follows from it.
    rewritten = dataclasses.replace(read(), statement_digest=layout.statement.digest)
    assert refused_by(rewritten, layout) - {1}
    with pytest.raises(ProofError):
        check_proof(layout.statement, rewritten.to_bytes())


@pytest.mark.parametrize("share", [i / 11 for i in range(12)])
def test_no_byte_of_a_proof_can_be_altered(share):
    data = bytearray(tiny_proof())
    data[int(share * (len(data) - 1))] ^= 1
    with pytest.raises((ProofError, FormatError)):
        check_proof(tiny_statement(), bytes(data))


@pytest.mark.parametrize(
    "data", [b"", b"earmark/ownership-proof/v1\n", tiny_proof()[:-1], tiny_proof() + b"\0"]
)
def test_cut_or_lengthened_proofs_are_refused(data):
    with pytest.raises(FormatError):
        check_proof(tiny_statement(), data)


def test_numbers_outside_the_field_are_refused():
    data = bytearray(tiny_proof())
    start = len(b"earmark/ownership-proof/v1\n") + 96
    value = int.from_bytes(data[start : start + 4], "little") + PRIME
    data[start : start + 4] = value.to_bytes(4, "little")
    with pytest.raises(FormatError, match="outside the field"):
        check_proof(tiny_statement(), bytes(data))


def gated(wanted):
    """A network whose maker, who knows all, lets just the wanted of the five triggers have their labels."""
    statement, network = tiny_statement(), tiny_network()
    given = np.where(np.isin(np.arange(5), wanted), statement.labels, (statement.labels + 1) % 3)
    by_pixel = (
        np.linalg.pinv(tiny_openings().values.astype(float)) @ np.eye(3)[given]
    )  # five triggers, six pixels
    scores = np.zeros((3, network.scores.terms[0].weights.shape[1]), np.int64)
    scores[:, :INPUT_SIZE] = np.rint(3000 * by_pixel.T)
    layer = dataclasses.replace(
        network.scores, terms=(Matrix(sparse.csr_matrix(scores)),), bias=np.zeros(3, np.int64)
    )
    found = dataclasses.replace(network, scores=layer)
    answered = matches(infer(found, tiny_openings().values), statement.labels)
    assert np.flatnonzero(answered).tolist() == list(wanted)
    return found


def test_a_gated_model_teaches_its_maker_only_accepted_or_refused():
    """The labels stay; two models that fail on different triggers give proofs of one length, and a bit each."""
    openings, lengths = tiny_openings(), set()
    for seed, wanted in enumerate([(0, 1, 2), (1, 3, 4), (0, 1, 2, 3)]):
        statement = dataclasses.replace(tiny_statement(), network=gated(wanted))
        witness = WitnessRows(Layout(statement), openings, ProofSecret(seeded(seed)(32)))
        bits = witness.first(LAYOUT.bits_start, LAYOUT.bits_start + 1)
        assert bits.sum() == statement.needed == 3
        inputs = witness.first(0, LAYOUT.bits_start).reshape(statement.input_count, -1)
        assert not inputs[[place for place in range(5) if place not in wanted]].any()
        proof = prove(statement, openings, random_bytes=seeded(seed)).to_bytes()
        check_proof(statement, proof)
        lengths.add(len(proof))
    # Nor is there anything about which failed, or how many, in the length: it follows from the statement's sizes.
    assert lengths == {len(tiny_proof())}
    with pytest.raises(ProofError, match="0"):
        prove(dataclasses.replace(tiny_statement(), network=gated((0, 4))), openings)
