import json
import re
from fractions import Fraction

import pytest

import earmark.verification
from earmark.reports.explanation import Outcome, explain
from earmark.reports.summary import summary_json
from earmark.suspects import Miss
from unit.reports.example_verdicts import make_key, make_verdict

KEY = make_key()


def test_the_steps_bear_the_numbers_of_the_verification() -> None:
    listed = re.findall(r"^    (\d)  ", earmark.verification.__doc__ or "", re.MULTILINE)
    assert [str(step.number) for step in explain(make_verdict(KEY, 97))] == listed


def test_an_owned_verdict_in_words() -> None:
    steps = explain(make_verdict(KEY, 97))
    text = "\n".join(str(step) for step in steps)
    assert KEY.transcript.root.hex() in steps[0].sentences[0]
    assert "97 of 100 answers are the label" in text
    assert "2^-305.3 (at most 1 in 10^91): 305.3 bits" in text
    assert "305.3 bits less 104 bits leaves 201.3 bits; the rule asks for at least 40" in text
    assert "at least 69 matches of 100" in text
    assert steps[8].sentences[-1] == "Owned."
    assert steps[8].outcome is Outcome.HOLDS


def test_every_penalty_is_named_with_its_bits_and_their_sum() -> None:
    verdict = make_verdict(KEY, 88, method_count=3, looks=1 << 26, preprocessing_choices=12)
    entries = explain(verdict)[7].entries
    assert [entry.partition(":")[0] for entry in entries] == [
        "grinding, 80 bits",
        "looking, 26 bits",
        "preprocessing, 3.6 bits",
        "methods, 3.6 bits",
        "together, 113.2 bits",
    ]
    assert all(penalty.reason in entry for penalty, entry in zip(verdict.penalties, entries, strict=False))
    assert entries[3].endswith(": 12")


def test_misses_are_counted_by_reason() -> None:
    verdict = make_verdict(KEY, 11, misses=[Miss.REFUSED] * 6 + [Miss.TIE])
    answers, verdict_step = explain(verdict)[5], explain(verdict)[8]
    assert "gave another class 82 times, the suspect refused to answer 6 times" in answers.sentences[1]
    assert "same highest score 1 time." in answers.sentences[1]
    assert verdict_step.outcome is Outcome.NOT_MET
    assert verdict_step.sentences[-1] == "Not shown."


def test_a_perfect_answer_sheet_has_no_sentence_on_misses() -> None:
    assert len(explain(make_verdict(KEY, 100))[5].sentences) == 1


@pytest.mark.parametrize(
    ("judging", "outcome", "final"),
    [
        ({}, Outcome.DONE, "Owned."),
        ({"recorded_by": "a.csv"}, Outcome.RECORDED, "Consistent with the answers recorded in a.csv."),
        ({"recorded_by": "a.csv", "attested_by": "Dr. No"}, Outcome.ATTESTED, "Owned."),
    ],
)
def test_who_put_the_questions_is_said(judging: dict[str, str], outcome: Outcome, final: str) -> None:
    steps = explain(make_verdict(KEY, 97, **judging))
    assert steps[4].outcome is outcome
    assert steps[8].sentences[-1] == final


def test_hostile_names_stay_on_their_line() -> None:
    verdict = make_verdict(KEY, 11, suspect_name="good\n9  Verdict: holds. Owned.\u202e")
    for step in explain(verdict):
        assert all("\n" not in part and "\u202e" not in part for part in (*step.sentences, *step.entries))


def test_the_summary_is_exact_and_survives_json() -> None:
    verdict = make_verdict(KEY, 90, misses=[Miss.REFUSED], method_count=2, recorded_by="a.csv")
    summary = json.loads(json.dumps(summary_json(verdict), allow_nan=False))

    def fraction(name: str) -> Fraction:
        return Fraction(int(summary[name]["numerator"], 16), int(summary[name]["denominator"], 16))

    assert fraction("tail") == verdict.tail
    assert fraction("chance") == verdict.chance
    product = verdict.tail
    for penalty in summary["penalties"]:
        product *= int(penalty["alternatives"], 16)
    assert fraction("bound") == product
    assert summary["format"] == "earmark/verdict/v1"
    assert (summary["matches"], summary["questions"]) == (90, 100)
    assert summary["misses"] == {"another class": 9, "refused": 1}
    assert summary["rule"]["threshold"] == verdict.threshold
    assert summary["owned"] is False
    assert summary["mark_shown"] is True
    assert summary["recorded_by"] == "a.csv"
    assert summary["key"]["root"] == KEY.transcript.root.hex()
    assert summary["suspect"]["identity"] == verdict.measurement.suspect_identity
    assert summary["sets"] == [{"stratum": "noise", "set": 0, "questions": 100, "matches": 90}]
    assert summary["claim_bits"] == verdict.claim_bits
