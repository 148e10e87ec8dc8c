"""The simulator of docs/mathematics/zero-knowledge.md, and what would leak without each kind of randomness.

The simulator knows no trigger. It may choose the oracle's answers, as the theorem allows it; what it
makes passes every step of the real checker.
"""

import numpy as np
from scipy.stats import fisher_exact, ks_2samp

from earmark.commitment.linear import RANDOM_BYTES, commit_linear
from earmark.fields import PRIME, root_of_unity
from earmark.fields.arrays import difference_mod, evaluate, multiply_elements, powers, sum_mod
from earmark.zero_knowledge.checker import steps, values_where_values_lie
from earmark.zero_knowledge.columns import ColumnHashes
from earmark.zero_knowledge.combining import column_points, combinations
from earmark.zero_knowledge.equations import equations, table_challenge
from earmark.zero_knowledge.network import infer
from earmark.zero_knowledge.proof import OwnershipProof
from earmark.zero_knowledge.prover import Openings, prove
from earmark.zero_knowledge.sealing import ProofSecret
from earmark.zero_knowledge.statement import QUERY_COUNT, Layout, Statement
from earmark.zero_knowledge.transcript import ProofTranscript
from small_proofs import DEGREE_BOUND, INPUT_SIZE, seeded, tiny_openings, tiny_statement

LAYOUT = Layout(tiny_statement())


def random_words(draw, *shape):
    return draw.integers(0, PRIME, shape, np.uint32)


def inverses(values):
    return np.array([pow(int(value), -1, PRIME) for value in values], np.int64)


def through(points, values):
    """Coefficients of the polynomial of degree below len(points) with these values ``(points, 5)``."""
    size = len(points)
    # Newton's divided differences, then expanded.
    table = values.astype(np.int64)
    nodes = points.astype(np.int64)
    for order in range(1, size):
        gaps = inverses((nodes[order:] - nodes[:-order]) % PRIME)
        table[order:] = (table[order:] - table[order - 1 : -1]) % PRIME * gaps[:, None] % PRIME
    result = np.zeros((size, 5), np.int64)
    for order in range(size - 1, -1, -1):
        shifted = np.concatenate([np.zeros((1, 5), np.int64), result[:-1]])
        result = (shifted - nodes[order] * result) % PRIME
        result[0] = (result[0] + table[order]) % PRIME
    return result.astype(np.uint32)


def vanishing_at(points):
    """Coefficients of the product of (X - point), in F_p."""
    result = np.array([1], np.int64)
    for point in points.astype(np.int64):
        shifted = np.concatenate([[0], result])
        shifted[:-1] = (shifted[:-1] - point * result) % PRIME
        result = shifted % PRIME
    return result


def times(base, element):
    """A polynomial of F_p times one of K."""
    result = np.zeros((len(base) + len(element) - 1, 5), np.int64)
    for place, factor in enumerate(base):
        result[place : place + len(element)] += int(factor) * element.astype(np.int64) % PRIME
    return result % PRIME


def drawn_polynomial(draw, points, values, size):
    """A uniform polynomial over K of degree below ``size`` with these values at these points."""
    fixed = np.zeros((size, 5), np.int64)
    fixed[: len(points)] = through(points, values)
    free = times(vanishing_at(points), random_words(draw, size - len(points), 5))
    return sum_mod(fixed, free)


def simulated(draw, monkeypatch):
    statement = LAYOUT.statement
    places = np.sort(draw.choice(LAYOUT.code_length, QUERY_COUNT, replace=False))
    points = column_points(LAYOUT, places)
    matrices, trees = [], []
    for rows in (LAYOUT.first_rows, LAYOUT.second_rows):
        matrix = np.zeros((rows, LAYOUT.code_length), np.uint32)
        matrix[:, places] = random_words(draw, rows, QUERY_COUNT)
        salts = draw.integers(0, 256, (LAYOUT.code_length, 32), np.uint8)
        matrices.append(np.ascontiguousarray(matrix[:, places]))
        hashes = ColumnHashes(salts, rows)
        hashes.add(np.arange(LAYOUT.code_length), np.ascontiguousarray(matrix.T))
        trees.append(hashes.tree())
    transcript = ProofTranscript(statement.digest)
    transcript.absorb("first root", trees[0].root)
    tables = table_challenge(transcript)
    transcript.absorb("second root", trees[1].root)
    equation = equations(LAYOUT, tables, transcript)
    opened = combinations(equation, matrices[0], matrices[1], places)
    size, width = LAYOUT.degree_bound, LAYOUT.width
    proximity = drawn_polynomial(draw, points, opened.proximity, size)
    # Quadratic: zero wherever values lie, so (X^width-subset product) * g with g through the opened points.
    where = powers(root_of_unity(size), size)[:width]
    zeros = vanishing_at(where)
    padded = np.zeros((len(zeros), 5), np.uint32)
    padded[:, 0] = zeros
    at = evaluate(padded, points)[:, 0]
    quotient = drawn_polynomial(
        draw, points, opened.quadratic.astype(np.int64) * inverses(at)[:, None] % PRIME, 2 * size - width
    )
    quadratic = times(zeros, quotient).astype(np.uint32)
    # Linear: any through the opened points, then corrected by a multiple of what vanishes there.
    linear = drawn_polynomial(draw, points, opened.linear, 2 * size)
    correction = np.zeros((2 * size, 5), np.uint32)
    correction[: QUERY_COUNT + 1, 0] = vanishing_at(points)
    unit = values_where_values_lie(LAYOUT, correction).astype(np.int64).sum(axis=0) % PRIME
    found = values_where_values_lie(LAYOUT, linear).astype(np.int64).sum(axis=0)
    factor = (equation.target.astype(np.int64) - found) % PRIME * pow(int(unit[0]), -1, PRIME) % PRIME
    scaled = multiply_elements(correction, factor.astype(np.uint32)[None])
    linear = sum_mod(linear, scaled)
    monkeypatch.setattr(ProofTranscript, "columns", lambda *_: places)  # the oracle is programmed here
    return OwnershipProof(
        statement.digest,
        trees[0].root,
        trees[1].root,
        proximity,
        linear,
        quadratic,
        trees[0].open(places, matrices[0]),
        trees[1].open(places, matrices[1]),
    )


def test_the_simulator_passes_every_step_without_a_trigger(monkeypatch):
    proof = simulated(np.random.default_rng(11), monkeypatch)
    assert all(holds for _, holds, _ in steps(LAYOUT, proof))


def test_a_proof_opens_as_many_columns_as_a_row_has_random_values_and_no_more():
    assert LAYOUT.degree_bound - LAYOUT.width == QUERY_COUNT


def opened_by(openings, seed):
    """What is opened in a proof about these triggers, all of them shown, with labels that the network gives them."""
    network = tiny_statement().network
    labels = infer(network, openings.values).scores.argmax(axis=1)
    commitments = np.stack(
        [
            commit_linear(v.tobytes(), s.tobytes())
            for v, s in zip(openings.values, openings.randomness, strict=True)
        ]
    )
    statement = Statement(network, commitments, labels, len(labels), b"a test", DEGREE_BOUND)
    proof = prove(statement, openings, random_bytes=seeded(seed))
    return [part.values for part in (proof.first, proof.second)]


def told_apart(one, other):
    """The smallest of many p values, of rows' distributions and of single bits, times how many there are."""
    found = []
    for left, right in zip(one, other, strict=True):
        found += [ks_2samp(a, b).pvalue for a, b in zip(left, right, strict=True)]
        for bit in range(31):
            ones = [int(((values >> bit) & 1).sum()) for values in (left, right)]
            sizes = [left.size - ones[0], right.size - ones[1]]
            found.append(fisher_exact([ones, sizes]).pvalue)
    return min(found) * len(found)


def two_sets():
    """Five black triggers, and five random ones."""
    draw, count = np.random.default_rng(41), 5
    randomness = draw.integers(0, 256, (2, count, RANDOM_BYTES), np.uint8)
    black, drawn = (
        np.zeros((count, INPUT_SIZE), np.uint8),
        draw.integers(0, 256, (count, INPUT_SIZE), np.uint8),
    )
    return Openings(black, randomness[0]), Openings(drawn, randomness[1])


def test_opened_columns_of_two_different_sets_cannot_be_told_apart():
    """A false alarm in ten thousand, were the seeds not fixed."""
    black, drawn = (opened_by(openings, seed) for seed, openings in enumerate(two_sets(), 51))
    assert told_apart(black, drawn) > 1e-4


def test_without_the_rows_random_values_they_can(monkeypatch):
    """That the test above can see something at all."""
    honest = ProofSecret.elements

    def elements(self, purpose, count):
        values = honest(self, purpose, count)
        return np.zeros_like(values) if " rows from " in purpose else values

    monkeypatch.setattr(ProofSecret, "elements", elements)
    black, drawn = (opened_by(openings, seed) for seed, openings in enumerate(two_sets(), 51))
    assert told_apart(black, drawn) < 1e-12


def test_two_proofs_of_one_statement_share_nothing_that_was_opened():
    """Opened values are uniform: those of two proofs, and of two different witnesses, are distributed alike."""
    proofs = [prove(tiny_statement(), tiny_openings(), random_bytes=seeded(seed)) for seed in (21, 22)]
    first, second = (proof.first.values.astype(np.float64) / PRIME for proof in proofs)
    for values in (first, second):
        # Means of n uniform values, five standard deviations: a false alarm in 2 million.
        assert abs(values.mean() - 0.5) < 5 / np.sqrt(12 * values.size)
        # Row by row as well: rows of zeros (inputs that do not count) look like all others.
        assert np.abs(values.mean(axis=1) - 0.5).max() < 7 / np.sqrt(12 * values.shape[1])
    assert not np.array_equal(first, second)
    assert difference_mod(proofs[0].linear, proofs[1].linear).any()
