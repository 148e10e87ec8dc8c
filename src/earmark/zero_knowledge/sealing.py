"""Turns rows of values into a proof: random values behind each row, masks, trees, combinations.

It does not ask whether the values are true: a proof of false values is refused by the checker, and the tests
make many.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from earmark.commitment.hashing import Stream, frame
from earmark.commitment.linear import field_words
from earmark.fields import EXTENSION_DEGREE, PRIME
from earmark.fields.arrays import Words, coset_coefficients, difference_mod, sum_mod, transform
from earmark.zero_knowledge.checker import absorb_combinations, values_where_values_lie
from earmark.zero_knowledge.columns import SALT_BYTES, ColumnTree, encode
from earmark.zero_knowledge.equations import TableChallenge, combinations, equations, table_challenge
from earmark.zero_knowledge.proof import OwnershipProof
from earmark.zero_knowledge.statement import QUERY_COUNT, Layout
from earmark.zero_knowledge.transcript import ProofTranscript

LABEL = "earmark/ownership-prover/v1"
_DEGREE = EXTENSION_DEGREE


class ProofSecret:
    """Everything random in one proof, from one seed that is never used again.

    Args:
        seed: 32 random bytes.
    """

    def __init__(self, seed: bytes) -> None:
        self._seed = seed

    def elements(self, purpose: str, count: int) -> Words:
        """Return uniform elements of F_p for one purpose."""
        return field_words(frame(LABEL, self._seed, purpose), count)

    def stream(self, purpose: str) -> Stream:
        """Return a stream of bytes for one purpose."""
        return Stream(LABEL, self._seed, purpose)


def seal(
    layout: Layout,
    rows: Words,
    inverses: Callable[[TableChallenge], Words],
    secret: ProofSecret,
    on_progress: Callable[[str], None] = lambda _: None,
) -> OwnershipProof:
    """Make the proof of these rows.

    Args:
        layout: Where everything lies.
        rows: Values of the first matrix, uint32 ``(first_rows, width)``.
        inverses: Given alpha and beta, the inverse of every look-up, ``(look-ups, width, 5)``.
        secret: Everything random.
        on_progress: Told what begins.

    Returns:
        The proof, true or not.
    """
    on_progress("committing to the values")
    first = _encoded(layout, rows, secret, "first")
    first_tree = ColumnTree(first, _salts(layout, secret, "first"))
    transcript = ProofTranscript(layout.statement.digest)
    transcript.absorb("first root", first_tree.root)
    tables = table_challenge(transcript)
    on_progress("committing to the look-ups")
    second = _second_matrix(layout, inverses(tables), secret)
    second_tree = ColumnTree(second, _salts(layout, secret, "second"))
    transcript.absorb("second root", second_tree.root)
    on_progress("combining")
    sent = _combined(layout, tables, transcript, first, second)
    absorb_combinations(transcript, *sent)
    columns = transcript.columns("columns", QUERY_COUNT, layout.code_length)
    return OwnershipProof(
        layout.statement.digest,
        first_tree.root,
        second_tree.root,
        *sent,
        first_tree.open(columns),
        second_tree.open(columns),
    )


def _combined(
    layout: Layout, tables: TableChallenge, transcript: ProofTranscript, first: Words, second: Words
) -> tuple[Words, Words, Words]:
    equation = equations(layout, tables, transcript)
    # Polynomials of degree below 2k are known by 2k points: every fourth column is such a coset.
    step = layout.code_length // (2 * layout.degree_bound)
    some = np.arange(0, layout.code_length, step)
    first_part, second_part = (np.ascontiguousarray(matrix[:, ::step]) for matrix in (first, second))
    found = combinations(equation, first_part, second_part, some)
    proximity, linear, quadratic = (
        np.ascontiguousarray(coset_coefficients(np.ascontiguousarray(values.T)).T)
        for values in (found.proximity, found.linear, found.quadratic)
    )
    return proximity[: layout.degree_bound], linear, quadratic


def _encoded(layout: Layout, rows: Words, secret: ProofSecret, name: str) -> Words:
    noise = secret.elements(f"{name} rows", len(rows) * QUERY_COUNT).reshape(len(rows), QUERY_COUNT)
    return encode(np.concatenate([rows, noise], axis=1), layout.code_length)


def _salts(layout: Layout, secret: ProofSecret, name: str) -> npt.NDArray[np.uint8]:
    data = secret.stream(f"{name} salts").read(layout.code_length * SALT_BYTES)
    return np.frombuffer(data, np.uint8).reshape(layout.code_length, SALT_BYTES)


def _second_matrix(layout: Layout, inverses: Words, secret: ProofSecret) -> Words:
    rows = np.ascontiguousarray(inverses.transpose(0, 2, 1)).reshape(-1, layout.width)
    encoded = _encoded(layout, rows, secret, "second")
    size = layout.degree_bound
    proximity = secret.elements("proximity mask", _DEGREE * size).reshape(_DEGREE, size)
    linear = _with_sum_zero(layout, secret.elements("linear mask", 2 * _DEGREE * size).reshape(_DEGREE, -1))
    quadratic = _vanishing(layout, secret)
    coefficients = [
        proximity,
        _split(layout, linear, secret, "linear"),
        _split(layout, quadratic, secret, "quadratic"),
    ]
    masks = encode(transform(np.concatenate(coefficients)), layout.code_length)
    return np.concatenate([encoded, masks])


def _with_sum_zero(layout: Layout, mask: Words) -> Words:
    """Shift a random polynomial so that its values where values lie add up to zero."""
    values = values_where_values_lie(layout, np.ascontiguousarray(mask.T))
    total = values.astype(np.int64).sum(axis=0) % PRIME
    shifted = mask.copy()
    shifted[:, 0] = difference_mod(mask[:, 0], total * pow(layout.width, -1, PRIME) % PRIME)
    return shifted


def _vanishing(layout: Layout, secret: ProofSecret) -> Words:
    """Return a random polynomial of degree below 2k that is zero wherever values lie."""
    size = layout.degree_bound
    values = np.zeros((_DEGREE, size), np.uint32)
    values[:, layout.width :] = secret.elements("quadratic rest", _DEGREE * QUERY_COUNT).reshape(_DEGREE, -1)
    low = transform(values, inverted=True)
    high = secret.elements("quadratic mask", _DEGREE * size).reshape(_DEGREE, size)
    return np.concatenate([difference_mod(low, high), high], axis=1)  # low + (X^size - 1) high


def _split(layout: Layout, mask: Words, secret: ProofSecret, name: str) -> Words:
    """Write a polynomial of degree below 2k as u0 + X^(k/2) u1 + X^k u2, at random among all ways.

    With the one obvious way u0 + X^k u2, opened places of u0 would be those of the combination's lower
    half without its mask: values that nobody may learn.
    """
    size, half = layout.degree_bound, layout.degree_bound // 2
    lower, upper = secret.elements(f"{name} split", 2 * _DEGREE * half).reshape(2, _DEGREE, half)
    none = np.zeros_like(lower)
    u0 = difference_mod(mask[:, :size], np.concatenate([none, lower], axis=1))
    u1 = np.concatenate([lower, upper], axis=1)
    u2 = difference_mod(mask[:, size:], np.concatenate([upper, none], axis=1))
    return sum_mod(np.concatenate([u0, u1, u2]))
