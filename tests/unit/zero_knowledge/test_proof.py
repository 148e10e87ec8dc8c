import dataclasses
import hashlib

import numpy as np
import pytest

from earmark.commitment.linear import commitment_matrix
from earmark.errors import ProofError
from earmark.zero_knowledge.checker import check_proof
from earmark.zero_knowledge.proof import proof_bytes
from earmark.zero_knowledge.prover import prove
from earmark.zero_knowledge.statement import Layout
from small_proofs import seeded, tiny_openings, tiny_proof, tiny_statement


def test_an_honest_proof_is_accepted_and_as_long_as_the_statement_says():
    check_proof(tiny_statement(), tiny_proof())
    assert len(tiny_proof()) == proof_bytes(Layout(tiny_statement()))


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
    assert tiny_statement().digest.hex() == "e1d3c8ec6121e5144cf4ae891c54e561beeeb5db5e90471fefc854e7ff18ff93"
    assert (
        hashlib.sha256(tiny_proof()).hexdigest()
        == "474d23800db17bfb27dc42a064e60140babd68ef1bb7cc2117b8350f2af3ca44"
    )
