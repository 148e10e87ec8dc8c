from dataclasses import replace
from fractions import Fraction

from earmark.games import exact_rule, paper_rule
from earmark.statistics import match_tail
from small import ONLY_SET, chosen_key, small_key

TENTH = Fraction(1, 10)


def carrier(key, match_count):
    """Gives the first triggers asked their labels, and the others another class."""
    labels = [key.labels(ONLY_SET)[place] for place in key.verification_key.order(ONLY_SET)]
    answers = [label if place < match_count else (label + 1) % 10 for place, label in enumerate(labels)]
    return lambda inputs: answers


def test_the_exact_rule_says_how_often_it_would_be_wrong():
    key = small_key()
    for matches, accepted in ((69, True), (68, False)):
        judgement = exact_rule(key, key.verification_key, carrier(key, matches))
        assert judgement.accepted == accepted
        assert (judgement.match_count, judgement.question_count) == (matches, 100)
        assert judgement.tail == match_tail(100, matches, TENTH)
        assert judgement.false_acceptance == match_tail(100, 69, TENTH)
        assert judgement.refused is None


def test_the_papers_rule_bounds_nothing():
    key = chosen_key()
    for matches, accepted in ((95, True), (94, False)):
        judgement = paper_rule(Fraction(5, 100))(key, key.verification_key, carrier(key, matches))
        assert judgement.accepted == accepted
        assert judgement.tail is judgement.false_acceptance is None


def test_the_papers_rule_asks_the_ground_truth_if_there_is_one():
    key = chosen_key()
    labels = {
        trigger.value.tobytes(): label
        for trigger, label in zip(key.triggers[ONLY_SET], key.labels(ONLY_SET), strict=True)
    }
    model = carrier(key, 100)
    right = paper_rule(Fraction(0), lambda value: labels[value.tobytes()])
    undefined, wrong = paper_rule(Fraction(0), lambda value: None), paper_rule(Fraction(0), lambda value: 10)
    assert right(key, key.verification_key, model).refused == "step 1: a label is the true class"
    assert not right(key, key.verification_key, model).accepted
    assert undefined(key, key.verification_key, model).accepted
    assert wrong(key, key.verification_key, model).accepted


def test_a_key_that_contradicts_itself_is_refused_before_a_question():
    key = small_key()
    asked = []
    forged = replace(key, secrets={ONLY_SET: (bytes(32), *key.secrets[ONLY_SET][1:])})
    for rule in (exact_rule, paper_rule(Fraction(1, 2))):
        judgement = rule(forged, key.verification_key, asked.append)
        assert not judgement.accepted
        assert "step 2" in judgement.refused
        assert judgement.question_count == 0
    assert not asked
