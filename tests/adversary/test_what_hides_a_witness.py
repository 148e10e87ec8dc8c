"""Every kind of randomness in a proof is there, and hides what it has to: each is taken away by its own test's failure.

What is opened of a row is uniform only because of the random values behind its own; what is sent of the three
combinations only because of their masks; leaves can be guessed only for want of salts; which triggers are shown is
known unless it is drawn by lot.
"""

import numpy as np
import pytest

from earmark.fields import PRIME, root_of_unity
from earmark.fields.arrays import powers
from earmark.fields.transforms import out_of_lanes, transform
from earmark.zero_knowledge.checker import values_where_values_lie
from earmark.zero_knowledge.network import infer
from earmark.zero_knowledge.prover import drawn_by_lot, prove
from earmark.zero_knowledge.sealing import Matrices, ProofSecret
from earmark.zero_knowledge.statement import QUERY_COUNT, Layout
from small_proofs import seeded, tiny_openings, tiny_statement

LAYOUT = Layout(tiny_statement())
SIZE, WIDTH = LAYOUT.degree_bound, LAYOUT.width


def secret(number):
    return ProofSecret(np.random.default_rng(number).bytes(32))


class Zeros:
    """Rows without anything in them: what is found in the matrices is what hides."""

    def first(self, begin, end):
        return np.zeros((end - begin, WIDTH), np.uint32)

    def inverses(self, tables, begin, end):
        return np.zeros((end - begin, WIDTH, 5), np.uint32)


def matrices(number=1):
    return Matrices(LAYOUT, Zeros(), secret(number))


def coefficients(polynomials):
    """The polynomials of some rows, ``(rows, degree bound)``."""
    return out_of_lanes(polynomials.lanes, polynomials.count)


def rows_of(name, number=1):
    """All rows of a matrix but the masks, by their values, ``(rows, degree bound)``."""
    made = matrices(number)
    parts = [made.first(part) if name == "first" else made.second(part, None) for part in made.parts]
    return transform(np.concatenate([coefficients(part) for part in parts]))


def masks(number=1):
    """The five rows of the proximity mask, and both masks of double degree put together again."""
    rows = coefficients(matrices(number).masks())
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
    rows = coefficients(matrices().masks())[5 + 15 * (which - 1) :][:15].reshape(3, 5, SIZE)
    for part in rows:
        looks_uniform(part)


@pytest.mark.parametrize("name", ["first", "second"])
def test_behind_the_values_of_every_row_stand_as_many_random_ones_as_columns_are_opened(name):
    found = rows_of(name)
    assert len(found) == (LAYOUT.first_rows if name == "first" else LAYOUT.masks_start)
    assert not found[:, :WIDTH].any()
    noise = found[:, WIDTH:]
    assert noise.shape == (len(found), QUERY_COUNT)
    looks_uniform(noise)
    assert len(np.unique(noise, axis=0)) == len(noise), "no row has another's random values"
    other = rows_of(name, 2)[:, WIDTH:]
    assert (other != noise).mean() > 0.99


def test_inverses_are_committed_with_randomness_of_their_own():
    first, second = (rows_of(name)[:, WIDTH:] for name in ("first", "second"))
    assert not {row.tobytes() for row in first} & {row.tobytes() for row in second}


def test_made_again_the_rows_have_the_same_random_values():
    """Random values that differed from pass to pass would answer for two different matrices."""
    made = Matrices(LAYOUT, Zeros(), secret(1), part_bytes=1 << 16)
    part = made.parts[0]
    before = made.first(part).lanes
    made._kept.clear()
    assert np.array_equal(made.first(part).lanes, before)


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
    inference = infer(tiny_statement().network, tiny_openings().values)
    drawn = {
        tuple(drawn_by_lot(tiny_statement(), inference, secret(number)).tolist()) for number in range(40)
    }
    assert len(drawn) == 4


def test_every_proof_has_a_secret_of_its_own():
    """The same statement, the same witness, no source named: nothing is the same."""
    one, other = (prove(tiny_statement(), tiny_openings()) for _ in range(2))
    assert one.first_root != other.first_root
    assert one.second_root != other.second_root
    assert (one.proximity != other.proximity).mean() > 0.99
