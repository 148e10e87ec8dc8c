import pytest

from earmark.commitment import digest, merkle_path, merkle_root, path_root

LEAVES = [bytes([place]) * 32 for place in range(5)]


def leaf(data):
    return digest("earmark/merkle-leaf/v1", data)


def node(left, right):
    return digest("earmark/merkle-node/v1", left, right)


def test_a_tree_of_one_is_the_hash_of_its_leaf():
    assert merkle_root([b"a"]) == leaf(b"a")
    assert merkle_path([b"a"], 0) == ()


def test_a_tree_splits_at_the_largest_power_of_two_below_its_size():
    a, b, c, d, e = (leaf(data) for data in LEAVES)
    left = node(node(a, b), node(c, d))
    assert merkle_root(LEAVES) == node(left, e)
    assert merkle_path(LEAVES, 2) == (d, node(a, b), e)
    assert merkle_path(LEAVES, 4) == (left,)


def test_every_path_leads_to_the_root():
    for count in range(1, 20):
        leaves = [bytes([place]) for place in range(count)]
        for index, data in enumerate(leaves):
            assert path_root(data, index, count, merkle_path(leaves, index)) == merkle_root(leaves)


def test_an_empty_tree_is_refused():
    with pytest.raises(ValueError, match="at least one leaf"):
        merkle_root([])


@pytest.mark.parametrize("index", [-1, 5])
def test_a_place_outside_the_tree_is_refused(index):
    with pytest.raises(IndexError, match=f"no leaf {index} in a tree of 5"):
        merkle_path(LEAVES, index)
    with pytest.raises(IndexError, match=f"no leaf {index} in a tree of 5"):
        path_root(LEAVES[0], index, 5, ())


def test_a_path_of_another_length_is_refused():
    path = merkle_path(LEAVES, 2)
    with pytest.raises(ValueError, match="shorter"):
        path_root(LEAVES[2], 2, 5, path[1:])
    with pytest.raises(ValueError, match="longer"):
        path_root(LEAVES[2], 2, 5, (*path, path[0]))


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_sibling_that_is_no_digest_is_refused(size):
    with pytest.raises(ValueError, match="32 bytes"):
        path_root(LEAVES[0], 0, 2, [bytes(size)])
