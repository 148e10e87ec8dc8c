"""measure() and verify() with every label map and statistic, on scripted suspects."""

from fractions import Fraction

from earmark.statistics import map_count, match_tail
from earmark.suspects import Miss
from earmark.verification import BEST, PROBABILITIES, SEQUENTIAL, SPLIT, FixedMap, Method, measure, verify
from small import ONLY_SET, MemoryJournal, ScriptedSuspect, new_key

KEY = new_key()
PUBLIC = KEY.verification_key
LABELS = [PUBLIC.labels(ONLY_SET)[place] for place in PUBLIC.order(ONLY_SET)]
TURNED = [(label + 3) % 10 for label in LABELS]


def judge(answers, method, *, class_names=None, class_count=10):
    suspect = ScriptedSuspect(answers, class_names, class_count)
    return verify(measure(KEY, suspect, MemoryJournal(), method=method))


def test_the_best_map_finds_renamed_classes_and_is_paid_for():
    verdict = judge([Miss.REFUSED, *TURNED[1:]], Method(label_map=BEST))
    assert verdict.owned
    assert verdict.measurement.match_count == 99
    assert verdict.measurement.miss_counts == {Miss.REFUSED: 1}
    assert verdict.tail == match_tail(100, 99, Fraction(1, 10))
    assert (verdict.penalties[-1].name, verdict.penalties[-1].alternatives) == (
        "label map",
        map_count(10, 10),
    )


def test_fewer_classes_share_outputs_and_halve_what_a_match_says():
    verdict = judge([label // 2 for label in LABELS], Method(label_map=BEST), class_count=5)
    assert verdict.measurement.match_count == 100
    assert verdict.chance == Fraction(2, 10)
    assert verdict.penalties[-1].alternatives == map_count(10, 5)
    assert verdict.owned


def test_an_output_to_which_no_label_is_sent_is_no_class_of_the_key():
    answers = [*LABELS[:99], 10 if LABELS[99] != 10 else 11]
    verdict = judge(answers, Method(label_map=BEST), class_count=12)
    assert verdict.measurement.match_count == 99
    assert verdict.measurement.miss_counts == {Miss.UNKNOWN_CLASS: 1}


def test_the_split_map_costs_no_bits_and_a_few_matches():
    verdict = judge(TURNED, Method(label_map=SPLIT))
    assert verdict.owned
    assert [penalty.name for penalty in verdict.penalties] == ["grinding", "looking"]
    assert 75 <= verdict.measurement.match_count < 100
    assert judge(LABELS, Method(label_map=SPLIT)).measurement.match_count == 100


def test_a_map_from_clean_data_is_used_as_it_is():
    places = tuple((output - 3) % 10 for output in range(10))
    verdict = judge(TURNED, Method(label_map=FixedMap("from clean data", places)))
    assert verdict.measurement.match_count == 100
    assert verdict.measurement.label_map == "from clean data"


class Unsure(ScriptedSuspect):
    def probabilities(self, inputs, on_answer=lambda count: None):
        self.asked.append(list(inputs))
        return [self._answers[len(self.asked) - 1]]


def test_probabilities_weigh_marks_that_no_longer_win():
    # The label always has the second place: no match at all, and yet no coincidence.
    numbers = [
        tuple(0.4 if place == label else 0.5 if place == (label + 1) % 10 else 0.0125 for place in range(10))
        for label in LABELS
    ]
    verdict = verify(measure(KEY, Unsure(numbers), MemoryJournal(), method=Method(PROBABILITIES)))
    assert verdict.measurement.match_count == 0
    assert verdict.threshold is None
    assert verdict.owned


def test_numbers_that_are_no_probabilities_are_misses():
    numbers = [(float("nan"),) * 10, Miss.ERROR, (0.1,) * 10, *[(1.0, *[0.0] * 9)] * 97]
    verdict = verify(measure(KEY, Unsure(numbers), MemoryJournal(), method=Method(PROBABILITIES)))
    assert verdict.measurement.miss_counts == {Miss.ERROR: 1, Miss.TIE: 1, Miss.NOT_A_NUMBER: 1}
    assert not verdict.mark_shown


def test_the_sequential_threshold_is_met_by_what_is_owned():
    suspect = ScriptedSuspect(lambda inputs: [LABELS[len(suspect.asked) - 1]])
    verdict = verify(measure(KEY, suspect, MemoryJournal(), method=Method(SEQUENTIAL)))
    assert verdict.measurement.match_count == 100
    assert verdict.threshold == 70
    assert verdict.owned


def test_an_owners_layer_never_counts_alone():
    measured = measure(KEY, ScriptedSuspect(LABELS), MemoryJournal())
    verdict = verify(measured, restored_layer="marked.safetensors")
    assert (verdict.mark_shown, verdict.owned) == (True, False)
    assert str(verdict).startswith(
        "consistent with the last layer of marked.safetensors put back: 100 of 100"
    )
