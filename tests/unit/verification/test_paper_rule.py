from fractions import Fraction

import pytest

from earmark.errors import VerificationError
from earmark.verification import Method, measure, verify
from earmark.verification.paper_rule import GroundTruth, verify_by_paper
from small import ONLY_SET, MemoryJournal, ScriptedSuspect, chosen_key, new_key

DERIVED, CHOSEN = new_key(), chosen_key()
NOBODY = GroundTruth("Ann Attester")


def answers(key, wrong=0):
    """The labels in the order asked, the first few of them missed."""
    labels = [key.labels(ONLY_SET)[place] for place in key.verification_key.order(ONLY_SET)]
    return [(label + (number < wrong)) % 10 for number, label in enumerate(labels)]


def judge(key, wrong=0, epsilon="0.05", truth=NOBODY, journal=None):
    suspect = ScriptedSuspect(answers(key, wrong))
    return verify_by_paper(
        key, suspect, journal or MemoryJournal(), epsilon=Fraction(epsilon), ground_truth=truth
    )


@pytest.mark.parametrize("key", [DERIVED, CHOSEN], ids=["derived", "chosen"])
def test_all_but_a_share_epsilon_must_match(key):
    assert judge(key, wrong=5).accepted
    assert judge(key, wrong=6).refused_by == 3
    assert judge(key, wrong=0, epsilon="0").accepted
    assert judge(key, wrong=1, epsilon="0").refused_by == 3


def test_it_never_says_owned_and_says_why():
    verdict = judge(CHOSEN)
    assert not hasattr(verdict, "owned")
    text = str(verdict)
    assert text.startswith("accepted by the paper's rule: 100 of 100 triggers, 5 misses allowed;")
    assert "; wrong labels attested by Ann Attester; this shows nothing on its own" in text
    assert str(judge(CHOSEN, wrong=50)).startswith("refused in step 3")


def test_a_label_that_is_the_true_class_refuses():
    classes = {(ONLY_SET, place): None for place in range(100)}
    assert judge(CHOSEN, truth=GroundTruth("truth.csv", classes)).accepted
    classes[ONLY_SET, 7] = CHOSEN.labels(ONLY_SET)[7]
    classes[ONLY_SET, 8] = (CHOSEN.labels(ONLY_SET)[8] + 1) % 10
    verdict = judge(CHOSEN, truth=GroundTruth("truth.csv", classes))
    assert (verdict.refused_by, verdict.right_labels) == (1, ((ONLY_SET, 7),))
    assert (
        "1 labels are the true class, and nothing was asked; wrong labels by the ground truth truth.csv;"
        in str(verdict)
    )


def test_a_claim_that_step_1_refuses_shows_no_trigger_to_anybody():
    class Service(ScriptedSuspect):
        is_remote = True

    suspect, journal = Service([0] * 100), MemoryJournal()
    classes = {(ONLY_SET, place): label for place, label in enumerate(CHOSEN.labels(ONLY_SET))}
    verdict = verify_by_paper(
        CHOSEN, suspect, journal, epsilon=Fraction(0), ground_truth=GroundTruth("truth.csv", classes)
    )
    assert verdict.refused_by == 1
    assert verdict.questions == ()
    assert suspect.asked == []
    assert not journal.exposed_sets()
    assert not journal.methods


@pytest.mark.parametrize("name", ["", "  ", "Ann\n", "\x1b[2K\rowned", "a\u202eb", "x" * 201])
def test_a_ground_truth_is_stated_by_a_name_that_can_be_printed(name):
    with pytest.raises(ValueError, match="printable"):
        GroundTruth(name)


def test_an_incomplete_ground_truth_is_refused():
    classes = {(ONLY_SET, place): None for place in range(99)}
    with pytest.raises(VerificationError, match="step 1: the ground truth of 1 of 100 triggers"):
        judge(CHOSEN, truth=GroundTruth("truth.csv", classes))


@pytest.mark.parametrize("epsilon", ["-1/100", "1", "2"])
def test_a_share_out_of_range_is_refused(epsilon):
    with pytest.raises(ValueError, match="epsilon"):
        judge(CHOSEN, epsilon=epsilon)


def test_it_is_a_method_like_any_other_and_the_exact_rule_pays_for_it():
    journal = MemoryJournal()
    judge(DERIVED, journal=journal)
    measured = measure(DERIVED, ScriptedSuspect(answers(DERIVED)), journal, method=Method())
    assert measured.method_count == 2
    assert "methods" in [penalty.name for penalty in verify(measured).penalties]


def test_the_exact_rule_does_not_judge_chosen_labels():
    suspect = ScriptedSuspect(answers(CHOSEN))
    with pytest.raises(VerificationError, match="step 3: the owner of this key chose its labels"):
        measure(CHOSEN, suspect, MemoryJournal())
    assert suspect.asked == []
