import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.commitment import merkle_path, merkle_root, path_root
from vectors import witness

leaf_lists = st.lists(st.binary(max_size=6), min_size=1, max_size=40)
distinct_leaves = st.lists(st.binary(max_size=6), min_size=1, max_size=40, unique=True)


@given(leaf_lists, st.data())
@settings(deadline=None)
def test_every_path_leads_to_the_root_and_the_witness_agrees(leaves, data):
    index = data.draw(st.integers(0, len(leaves) - 1))
    root, path = merkle_root(leaves), merkle_path(leaves, index)
    assert path_root(leaves[index], index, len(leaves), path) == root
    assert witness.tree(leaves) == root
    assert witness.lead(leaves[index], index, len(leaves), path) == root
    assert len(path) <= (len(leaves) - 1).bit_length()


@given(leaf_lists, leaf_lists)
@settings(deadline=None)
def test_two_lists_have_one_root_only_if_they_are_equal(first, second):
    assert (merkle_root(first) == merkle_root(second)) == (first == second)


@given(leaf_lists, st.data())
@settings(deadline=None)
def test_any_rearrangement_changes_the_root(leaves, data):
    others = data.draw(st.permutations(leaves))
    assert (merkle_root(leaves) == merkle_root(others)) == (leaves == others)
    assert merkle_root([*leaves, leaves[-1]]) != merkle_root(leaves)


@given(distinct_leaves, st.binary(max_size=6), st.data())
@settings(deadline=None)
def test_a_path_leads_to_the_root_from_its_own_leaf_and_place_only(leaves, other, data):
    count = len(leaves)
    index, place = (data.draw(st.integers(0, count - 1)) for _ in range(2))
    root, path = merkle_root(leaves), merkle_path(leaves, index)
    assert (path_root(other, index, count, path) == root) == (other == leaves[index])
    if len(merkle_path(leaves, place)) != len(path):
        with pytest.raises(ValueError, match="Merkle path"):
            path_root(leaves[index], place, count, path)
    elif place != index:
        assert path_root(leaves[index], place, count, path) != root


@given(leaf_lists, st.data())
@settings(deadline=None)
def test_an_altered_path_is_refused_or_leads_elsewhere(leaves, data):
    index = data.draw(st.integers(0, len(leaves) - 1))
    path = list(merkle_path(leaves, index))
    shorter, longer = path[:-1], [*path, bytes(32)]
    for wrong in (shorter, longer) if path else (longer,):
        with pytest.raises(ValueError, match="Merkle path"):
            path_root(leaves[index], index, len(leaves), wrong)
    if path:
        place = data.draw(st.integers(0, len(path) - 1))
        path[place] = bytes(byte ^ 1 for byte in path[place])
        assert path_root(leaves[index], index, len(leaves), path) != merkle_root(leaves)
