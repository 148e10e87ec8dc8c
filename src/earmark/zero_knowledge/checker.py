"""Checks an ownership proof, step by step; the numbers are those of docs/formats/ownership-proof-v1.md.

1. the proof is about this statement
2. alpha is no pair of the tables
3. the linear combination adds up to its target
4. the quadratic combination vanishes wherever values lie
5. the opened columns of the first matrix lead to its root
6. those of the second matrix lead to its root
7. at every opened column the proximity combination is the polynomial sent
8. so is the linear one
9. so is the quadratic one
"""

from collections.abc import Iterator

import numpy as np

from earmark.errors import ProofError
from earmark.fields import EXTENSION_DEGREE
from earmark.fields.arrays import evaluate, sum_mod
from earmark.fields.compiling import Words
from earmark.fields.transforms import transform
from earmark.zero_knowledge.combining import column_points, combinations
from earmark.zero_knowledge.equations import equations, table_challenge
from earmark.zero_knowledge.proof import OwnershipProof
from earmark.zero_knowledge.statement import QUERY_COUNT, Layout, Statement
from earmark.zero_knowledge.transcript import ProofTranscript


def check_proof(statement: Statement, data: bytes) -> None:
    """Check a proof; returning means that it holds.

    The statement comes from the checker: he reads the key, obtains and converts the model and computes the
    number needed himself.

    Args:
        statement: What is to be shown.
        data: The proof's bytes, hostile.

    Raises:
        FormatError: The bytes are no proof of a statement of this size.
        ProofError: A numbered step refuses it.

    Source:
        Ames, Hazay, Ishai, Venkitasubramaniam 2017 (Ligero); Haboeck 2022 (look-ups); composition ours
        (docs/mathematics/zero-knowledge.md)
    """
    layout = Layout(statement)
    for step, holds, reason in steps(layout, OwnershipProof.from_bytes(data, layout)):
        if not holds:
            raise ProofError(step, reason)


def steps(layout: Layout, proof: OwnershipProof) -> Iterator[tuple[int, bool, str]]:
    """Yield each step's number, whether it holds, and what it means if not; all of them must hold.

    Args:
        layout: Of the statement.
        proof: The proof.

    Yields:
        Steps 1 to 9, each computed when it is asked for; nothing comes after a failure of step 2.
    """
    statement = layout.statement
    yield 1, proof.statement_digest == statement.digest, "it is about another key, model, label or number"
    transcript = ProofTranscript(statement.digest)
    transcript.absorb("first root", proof.first_root)
    try:
        tables = table_challenge(transcript)
    except ZeroDivisionError:
        yield 2, False, "a challenge hit a pair of the tables"
        return
    yield 2, True, ""
    transcript.absorb("second root", proof.second_root)
    equation = equations(layout, tables, transcript)
    absorb_combinations(transcript, proof.proximity, proof.linear, proof.quadratic)
    places = transcript.columns("columns", QUERY_COUNT, layout.code_length)

    total = sum_mod(values_where_values_lie(layout, proof.linear).astype(np.int64).sum(axis=0))
    yield 3, np.array_equal(total, equation.target), "the equations do not add up"
    vanishes = not values_where_values_lie(layout, proof.quadratic).any()
    yield 4, vanishes, "a look-up or a bit is wrong"
    yield 5, proof.first.lead_to(proof.first_root, places), "a column does not lead to the first root"
    yield 6, proof.second.lead_to(proof.second_root, places), "a column does not lead to the second root"
    found = combinations(equation, proof.first.values, proof.second.values, places)
    points = column_points(layout, places)
    for step, name in ((7, "proximity"), (8, "linear"), (9, "quadratic")):
        sent: Words = getattr(proof, name)
        same = np.array_equal(evaluate(sent, points), getattr(found, name))
        yield step, same, f"the {name} combination is not the one of the opened columns"


def absorb_combinations(transcript: ProofTranscript, *combined: Words) -> None:
    """Hash the three polynomials before columns are drawn."""
    for name, values in zip(("proximity", "linear", "quadratic"), combined, strict=True):
        transcript.absorb(name, values.astype("<u4").tobytes())


def values_where_values_lie(layout: Layout, coefficients: Words) -> Words:
    """Return a polynomial of twice the degree at the places of a row's values, ``(width, 5)``."""
    size = layout.degree_bound
    # The powers of the root are the zeros of X^size - 1: modulo it, the upper half falls onto the lower.
    folded = sum_mod(coefficients[:size], coefficients[size:])
    values = transform(np.ascontiguousarray(folded.T))
    return np.ascontiguousarray(values[:, : layout.width].T).reshape(layout.width, EXTENSION_DEGREE)
