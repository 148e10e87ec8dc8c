from fractions import Fraction

import pytest

from earmark.games import Oracle, OracleSpentError, marked_model
from earmark.games.world import World, seen_by_adversary
from earmark.keys import SetId
from small import ONLY_SET, new_key, small_key


def test_the_oracle_gives_every_input_once_and_no_more_than_the_budget():
    oracle = Oracle("abcde", [0, 1, 2, 3, 4], budget=3)
    assert oracle.draw(2) == ("ab", [0, 1])
    with pytest.raises(OracleSpentError, match="2 labelled inputs are asked for, and 1 are left"):
        oracle.draw(2)
    assert oracle.draw(1) == ("c", [2])
    assert (oracle.taken, oracle.left) == (3, 0)
    with pytest.raises(ValueError, match="cannot be drawn"):
        oracle.draw(-1)


def test_without_a_budget_there_is_as_much_as_the_owner_has():
    assert Oracle("abc", [0, 1, 2]).left == Oracle("abc", [0, 1, 2], 10).left == 3


def test_a_marked_model_is_trained_then_keyed_then_marked():
    """Mark is given the backdoor and never the key."""
    told = []

    def train(inputs, classes, seed):
        told.append(("train", seed))
        return "M"

    def mark(model, inputs, classes, backdoor, seed):
        told.append(("mark", model, backdoor, seed))
        return "M with a mark"

    def keygen(seed):
        told.append(("keygen", seed))
        return small_key()

    clock = iter((5, 12))
    world = World(train, mark, keygen, "ab", [0, 1], "c", [0], work=lambda: next(clock))
    made = marked_model(world, 3)
    backdoor = small_key().backdoor()
    assert told == [("train", 3), ("keygen", 3), ("mark", "M", backdoor, 3)]
    assert (made.plain, made.marked, made.training_work) == ("M", "M with a mark", 7.0)


def test_an_adversary_sees_opened_sets_and_no_others():
    key = new_key(sets=2)
    world = World(
        lambda inputs, classes, seed: "M",
        lambda model, inputs, classes, backdoor, seed: "M with a mark",
        lambda seed: key,
        "ab", [0, 1], "c", [0], Fraction(1, 20),
    )  # fmt: skip
    made = marked_model(world, 0)
    assert made.training_work == 0.0
    assert not seen_by_adversary(world, made).opened
    seen = seen_by_adversary(world, made, 1, [ONLY_SET])
    assert seen.oracle.left == 1
    assert list(seen.opened) == [ONLY_SET]
    assert seen.opened[ONLY_SET].secrets == key.secrets[ONLY_SET]
    assert SetId(0, 1) not in seen.opened
