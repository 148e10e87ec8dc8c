from earmark.commitment import Stream
from earmark.keys import derive_labels, question_order

ROOT = bytes(range(32))
OTHER_ROOT = bytes(range(1, 33))


def test_each_label_is_the_first_draw_of_a_stream_of_its_own():
    labels = derive_labels(ROOT, 2, 3, 50, 10)
    expected = [Stream("earmark/label/v1", ROOT, 2, 3, index).uniform(10) for index in range(50)]
    assert list(labels) == expected


def test_a_beacon_redraws_the_labels():
    plain = derive_labels(ROOT, 0, 0, 64, 10)
    assert derive_labels(ROOT, 0, 0, 64, 10, b"") != plain
    assert derive_labels(ROOT, 0, 0, 64, 10, b"value") != plain
    expected = Stream("earmark/label/v1", ROOT, 0, 0, 63, b"value").uniform(10)
    assert derive_labels(ROOT, 0, 0, 64, 10, b"value")[63] == expected


def test_the_order_is_a_shuffle_from_the_last_place_down():
    draws = Stream("earmark/order/v1", ROOT, 0, 0)
    expected = list(range(6))
    for last in (5, 4, 3, 2, 1):
        chosen = draws.uniform(last + 1)
        expected[last], expected[chosen] = expected[chosen], expected[last]
    assert list(question_order(ROOT, 0, 0, 6)) == expected


def test_no_triggers_have_no_labels_and_no_order():
    assert derive_labels(ROOT, 0, 0, 0, 10) == ()
    assert question_order(ROOT, 0, 0, 0) == ()
    assert question_order(ROOT, 0, 0, 1) == (0,)


def test_labels_are_uniform_over_the_classes():
    # Fixed inputs. For labels that are uniform, a chi-square of 9 degrees above 68.2 has probability 3.5e-11.
    count, classes = 20_000, 10
    labels = derive_labels(ROOT, 0, 0, count, classes)
    expected = count / classes
    chi_square = sum((labels.count(label) - expected) ** 2 / expected for label in range(classes))
    assert chi_square < 68.2


def test_every_order_of_three_is_about_as_frequent_as_any_other():
    # Fixed inputs. For uniform orders, a chi-square of 5 degrees above 60 has probability 1.2e-11.
    count = 3000
    orders = [question_order(ROOT, 0, number, 3) for number in range(count)]
    frequencies = [orders.count(order) for order in set(orders)]
    assert len(frequencies) == 6
    assert sum((frequency - count / 6) ** 2 / (count / 6) for frequency in frequencies) < 60
