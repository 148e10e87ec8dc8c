import dataclasses
import hashlib
import math

import numpy as np
import pytest

from earmark.commitment.linear import commitment_matrix
from earmark.errors import ProofError
from earmark.zero_knowledge.checker import check_proof
from earmark.zero_knowledge.proof import proof_bytes
from earmark.zero_knowledge.prover import WitnessRows, prove
from earmark.zero_knowledge.sealing import ProofSecret, seal
from earmark.zero_knowledge.statement import DEGREE_BOUNDS, LOOKUP_LIMIT, Layout, soundness_bits
from small_proofs import seeded, tiny_openings, tiny_proof, tiny_statement


def test_an_honest_proof_is_accepted_and_as_long_as_the_statement_says():
    check_proof(tiny_statement(), tiny_proof())
    assert len(tiny_proof()) == proof_bytes(Layout(tiny_statement()))


@pytest.mark.parametrize("part_bytes", [20_000, 1 << 20])
def test_a_matrix_made_part_by_part_and_anew_for_every_pass_gives_a_proof(monkeypatch, part_bytes):
    """Some inputs at a time, and everything at once; nothing is kept from pass to pass."""
    from earmark.zero_knowledge import sealing

    monkeypatch.setattr(sealing, "_KEPT_BYTES", 0)
    layout, secret, told = Layout(tiny_statement()), ProofSecret(seeded(6)(32)), []
    rows = WitnessRows(layout, tiny_openings(), secret)
    proof = seal(layout, rows, secret, lambda *done: told.append(done), part_bytes)
    check_proof(tiny_statement(), proof.to_bytes())
    assert [done for done, _ in told] == list(range(1, told[0][1] + 1)), "progress goes from first to last"


def test_a_matrix_is_its_parts_in_order():
    layout = Layout(tiny_statement())
    for most_rows in (1, 100, 1 << 20):
        parts = layout.parts(most_rows)
        rows = [row for part in parts for row in range(*part.rows)]
        lookups = [lookup for part in parts for lookup in range(*part.lookups)]
        assert rows == list(range(layout.first_rows))
        assert lookups == list(range(layout.lookup_rows))


def test_the_length_of_a_row_makes_the_proof_shortest():
    fitted = dataclasses.replace(tiny_statement(), degree_bound=0)
    sizes = {
        bound: proof_bytes(Layout(dataclasses.replace(tiny_statement(), degree_bound=bound)))
        for bound in DEGREE_BOUNDS
    }
    assert proof_bytes(Layout(fitted)) == min(sizes.values())


def test_soundness_is_the_smallest_term_of_the_theorem(monkeypatch):
    small = Layout(tiny_statement())
    assert soundness_bits(small) == pytest.approx(-192 * math.log2(5 / 8), abs=0.1)  # the columns decide
    monkeypatch.setattr(Layout, "lookup_count", LOOKUP_LIMIT)
    assert 126 < soundness_bits(small) < 127  # the tables' challenge does


@pytest.mark.parametrize("needed", [1, 4])
def test_any_number_up_to_the_matching_ones_can_be_shown(needed):
    statement = tiny_statement(needed)
    check_proof(statement, prove(statement, tiny_openings(), random_bytes=seeded(needed)).to_bytes())


def test_more_than_match_is_refused_without_saying_how_many_do():
    with pytest.raises(ProofError, match="step 0: fewer than 5 triggers") as refusal:
        prove(tiny_statement(5), tiny_openings(), random_bytes=seeded(1))
    assert "4" not in str(refusal.value)


def test_openings_of_another_size_are_a_callers_mistake():
    with pytest.raises(ValueError, match="one opening"):
        prove(tiny_statement(), tiny_openings(4))


def test_the_number_of_look_ups_is_the_number_of_places_looked_up():
    layout = Layout(tiny_statement())
    assert layout.lookup_count == len(layout.lookups) * layout.width


def test_more_look_ups_than_the_theorem_allows_are_refused(monkeypatch):
    import earmark.zero_knowledge.statement as module

    monkeypatch.setattr(module, "LOOKUP_LIMIT", Layout(tiny_statement()).lookup_count - 1)
    with pytest.raises(ValueError, match="too much"):
        dataclasses.replace(tiny_statement(), needed=2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"needed": 0}, "number needed"),
        ({"needed": 6}, "number needed"),
        ({"degree_bound": 256}, "power of two"),
        ({"degree_bound": 600}, "power of two"),
        ({"labels": np.array([0, 1, 2, 3, 0])}, "not a class"),
        ({"commitments": np.zeros((5, 319), np.uint32)}, "one commitment"),
    ],
)
def test_statements_that_make_no_sense_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(tiny_statement(), **change)


def test_constants_statement_and_proof_are_the_ones_of_version_1():
    matrix = commitment_matrix(64).astype("<u4").tobytes()
    assert (
        hashlib.sha256(matrix).hexdigest()
        == "b4171291913d235d329f5525bb4c95a36ba5269c62cc27af0c8ee0a4e3b85fee"
    )
    assert tiny_statement().digest.hex() == "b4eb87b535b2163602dfcb2cab8cb6a3571455a6479575de3da1e1c38111e29a"
    assert (
        hashlib.sha256(tiny_proof()).hexdigest()
        == "a25d3f762e5426985d3c6c5c46002b639f0852937ff5ed805bb8ea5fcc05a50b"
    )
