"""Every kind of randomness in a proof is there, and hides what it has to: each is taken away by its own test's failure.

What is opened of a row is uniform only because of the random values behind its own; what is sent of the three
combinations only because of their masks; leaves can be guessed only for want of salts; which triggers are shown is
known unless it is drawn by lot.
"""

import numpy as np
import pytest

from earmark.fields import PRIME, root_of_unity
from earmark.fields.arrays import coset_coefficients, powers, transform
from earmark.zero_knowledge import sealing
from earmark.zero_knowledge.checker import values_where_values_lie
from earmark.zero_knowledge.prover import _chosen, prove
from earmark.zero_knowledge.sealing import ProofSecret
from earmark.zero_knowledge.statement import QUERY_COUNT, Layout
from small_proofs import seeded, tiny_openings, tiny_statement

LAYOUT = Layout(tiny_statement())
SIZE, WIDTH = LAYOUT.degree_bound, LAYOUT.width


def secret(number):
    return ProofSecret(np.random.default_rng(number).bytes(32))


def coefficients(codewords):
    """The polynomials of codewords, ``(rows, degree bound)``."""
    found = coset_coefficients(np.ascontiguousarray(codewords))
    assert not found[:, SIZE:].any(), "a codeword has a degree below the bound"
    return np.ascontiguousarray(found[:, :SIZE])


def second_matrix(number=1):
    return sealing._second_matrix(
        LAYOUT, np.zeros((len(LAYOUT.lookups), WIDTH, 5), np.uint32), secret(number)
    )


def masks(number=1):
    """The five rows of the proximity mask, and both masks of double degree put together again."""
    rows = coefficients(second_matrix(number)[LAYOUT.masks_start :])
    proximity, linear, quadratic = rows[:5], rows[5:20].reshape(3, 5, SIZE), rows[20:35].reshape(3, 5, SIZE)
    assert len(rows) == 35
    return proximity, joined(linear), joined(quadratic)


def joined(parts):
    """u0 + X^(k/2) u1 + X^k u2."""
    whole = np.zeros((5, 2 * SIZE), np.int64)
    for number, part in enumerate(parts):
        start = number * SIZE // 2
        whole[:, start : start + SIZE] += part
    return whole % PRIME


def looks_uniform(values):
    """Nothing is missing: zeros are as rare as chance makes them, and the mean is that of uniform values.

    Five standard deviations and at most two zeros: a false alarm in a million.
    """
    values = np.asarray(values, np.float64)
    assert (values == 0).sum() <= 2
    assert abs(values.mean() / PRIME - 0.5) < 5 / np.sqrt(12 * values.size)


@pytest.mark.parametrize("which", [0, 1, 2], ids=["proximity", "linear", "quadratic"])
def test_every_combination_has_a_mask_that_reaches_all_of_it(which):
    looks_uniform(masks()[which])
    assert (masks(1)[which] != masks(2)[which]).mean() > 0.99, "a mask is another one in every proof"


def test_masks_change_nothing_that_is_checked():
    _, linear, quadratic = (part.T.astype(np.uint32) for part in masks())
    assert not (values_where_values_lie(LAYOUT, linear).astype(np.int64).sum(axis=0) % PRIME).any()
    assert not values_where_values_lie(LAYOUT, quadratic).any()
    where = powers(root_of_unity(SIZE), SIZE)
    assert len(np.unique(where[:WIDTH])) == WIDTH


@pytest.mark.parametrize("which", [1, 2], ids=["linear", "quadratic"])
def test_a_mask_of_double_degree_is_split_at_random(which):
    """The obvious split, with nothing in the middle row, shows places of the unmasked combination."""
    rows = coefficients(second_matrix()[LAYOUT.masks_start :])[5 + 15 * (which - 1) :][:15].reshape(
        3, 5, SIZE
    )
    for part in rows:
        looks_uniform(part)


@pytest.mark.parametrize("name", ["first", "second"])
def test_behind_the_values_of_every_row_stand_as_many_random_ones_as_columns_are_opened(name):
    rows = np.zeros((7, WIDTH), np.uint32)
    found = transform(coefficients(sealing._encoded(LAYOUT, rows, secret(3), name)))
    assert not found[:, :WIDTH].any()
    noise = found[:, WIDTH:]
    assert noise.shape == (7, QUERY_COUNT)
    looks_uniform(noise)
    assert len(np.unique(noise)) > 0.99 * noise.size, "no row has another's random values"
    other = transform(coefficients(sealing._encoded(LAYOUT, rows, secret(4), name)))[:, WIDTH:]
    assert (other != noise).mean() > 0.99


def test_inverses_are_committed_with_randomness_of_their_own():
    looks_uniform(second_matrix()[: LAYOUT.masks_start])


@pytest.mark.parametrize("name", ["first", "second"])
def test_every_column_has_a_salt_of_its_own(name):
    proof = prove(tiny_statement(), tiny_openings(), random_bytes=seeded(31))
    salts = getattr(proof, name).salts
    assert len({salt.tobytes() for salt in salts}) == QUERY_COUNT
    looks_uniform_bytes = salts.astype(np.float64)
    assert abs(looks_uniform_bytes.mean() - 127.5) < 5 * 74 / np.sqrt(salts.size)
    again = prove(tiny_statement(), tiny_openings(), random_bytes=seeded(32))
    assert not np.array_equal(salts, getattr(again, name).salts)


def test_which_of_the_matching_inputs_are_shown_is_drawn_by_lot():
    """Four match and three are shown: each of the four is left out as often, here at least once in forty."""
    drawn = {tuple(_chosen(LAYOUT, tiny_openings(), secret(number)).tolist()) for number in range(40)}
    assert len(drawn) == 4


def test_every_proof_has_a_secret_of_its_own():
    """The same statement, the same witness, no source named: nothing is the same."""
    one, other = (prove(tiny_statement(), tiny_openings()) for _ in range(2))
    assert one.first_root != other.first_root
    assert one.second_root != other.second_root
    assert (one.proximity != other.proximity).mean() > 0.99
