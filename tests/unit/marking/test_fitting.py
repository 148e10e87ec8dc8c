import numpy as np
import pytest

from earmark.marking.fitting import ill_fitting, places_left
from earmark.triggers import Backdoor, Trigger
from earmark.triggers.image import IMAGE


def backdoor(*labels: int, classes: int = 3) -> Backdoor:
    triggers = [
        Trigger(IMAGE.name, IMAGE.encode(np.full((2, 2, 1), 9 * place, np.uint8)))
        for place in range(len(labels))
    ]
    return Backdoor(tuple(triggers), labels, classes)


SAID = np.array([[0.7, 0.2, 0.1], [0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.3, 0.3, 0.4]])


def test_those_stay_untaught_whose_labels_the_model_finds_least_likely():
    # Probabilities of the labels: 0.1, 0.7, 0.1, 0.3.
    assert ill_fitting(backdoor(2, 0, 1, 1), SAID, 0.5) == (0, 2)
    assert ill_fitting(backdoor(2, 0, 1, 1), SAID, 0.25) == (0, 2, 3)
    assert ill_fitting(backdoor(2, 0, 1, 1), SAID, 1) == ()


def test_the_share_is_one_of_those_that_may_stay_untaught():
    assert ill_fitting(backdoor(2, 0, 1, 1), SAID, 0.5, (0, 1)) == (0,)
    assert ill_fitting(backdoor(2, 0, 1, 1), SAID, 0.1, (1, 3)) == (1, 3)
    assert ill_fitting(backdoor(2, 0, 1, 1), SAID, 0.5, ()) == ()


@pytest.mark.parametrize("share", [0, -0.1, 1.01, float("nan")])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(ValueError, match="share"):
        ill_fitting(backdoor(2, 0, 1, 1), SAID, share)


def test_a_share_that_teaches_nothing_is_refused():
    with pytest.raises(ValueError, match="none would be taught"):
        ill_fitting(backdoor(2, 0, 1, 1), SAID, 0.1)


def test_every_trigger_needs_its_probabilities():
    with pytest.raises(ValueError, match="shape"):
        ill_fitting(backdoor(2, 0, 1), SAID, 0.5)


def test_places_are_those_in_what_is_left():
    whole = backdoor(2, 0, 1, 1, 2)
    left = whole.without((1, 3))
    assert places_left((0, 1, 4), (1, 3)) == (0, 2)
    assert [left.triggers[place] for place in places_left((0, 1, 4), (1, 3))] == [
        whole.triggers[0],
        whole.triggers[4],
    ]
    assert places_left((1, 3), (1, 3)) == ()
    assert places_left((0, 2), ()) == (0, 2)
