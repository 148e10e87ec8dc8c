from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.keys import derive_labels, question_order
from vectors import witness

roots = st.binary(min_size=32, max_size=32)
places = st.integers(0, 2**32)
counts = st.integers(0, 40)
beacons = st.none() | st.binary(max_size=40)


@given(roots, places, places, counts, st.integers(2, 2**16), beacons)
@settings(deadline=None)
def test_labels_are_classes_and_the_witness_agrees(root, stratum, number, count, classes, beacon):
    labels = derive_labels(root, stratum, number, count, classes, beacon)
    assert len(labels) == count
    assert all(0 <= label < classes for label in labels)
    assert list(labels) == witness.labels_of(root, stratum, number, count, classes, beacon)


@given(roots, places, places, counts)
@settings(deadline=None)
def test_the_order_is_a_permutation_and_the_witness_agrees(root, stratum, number, count):
    order = question_order(root, stratum, number, count)
    assert sorted(order) == list(range(count))
    assert list(order) == witness.order_of(root, stratum, number, count)


@given(roots, st.integers(0, 255))
@settings(max_examples=20, deadline=None)
def test_one_bit_of_the_root_redraws_labels_and_order(root, bit):
    # 60 labels of 2^16 classes agree in 5 or more places with probability below 1e-17.
    other = (int.from_bytes(root, "big") ^ 1 << bit).to_bytes(32, "big")
    labels = [derive_labels(some, 0, 0, 60, 2**16) for some in (root, other)]
    assert sum(a == b for a, b in zip(*labels, strict=True)) < 5
    assert question_order(root, 0, 0, 60) != question_order(other, 0, 0, 60)
