import pytest

from earmark.errors import SuspectError
from earmark.suspects import Miss
from earmark.suspects.recorded import RecordedSuspect, read_answer

ANIMALS = ("cat", "dog", "REFUSED")
DIGITS = ("1", "2", "0", "ten")


@pytest.mark.parametrize(
    ("text", "names", "meaning"),
    [
        ("dog", ANIMALS, 1),
        ("0", ANIMALS, 0),
        ("2", ANIMALS, 2),
        ("REFUSED", ANIMALS, 2),  # a class of that name comes first
        ("refused", ANIMALS, Miss.REFUSED),
        ("Refused", DIGITS, Miss.REFUSED),
        ("3", ANIMALS, Miss.UNKNOWN_CLASS),
        ("-1", ANIMALS, Miss.UNKNOWN_CLASS),
        ("01", ANIMALS, Miss.UNKNOWN_CLASS),
        ("1.0", ANIMALS, Miss.UNKNOWN_CLASS),
        ("1_0", ANIMALS, Miss.UNKNOWN_CLASS),
        ("\u0661", ANIMALS, Miss.UNKNOWN_CLASS),  # a digit, but not one of ours
        ("1" * 5000, ANIMALS, Miss.UNKNOWN_CLASS),
        ("Cat", ANIMALS, Miss.UNKNOWN_CLASS),
        (" cat", ANIMALS, Miss.UNKNOWN_CLASS),
        ("", ANIMALS, Miss.UNKNOWN_CLASS),
        ("0", DIGITS, 2),  # by name
        ("3", DIGITS, Miss.UNKNOWN_CLASS),  # never by place where names are numbers
        ("ten", DIGITS, 3),
    ],
)
def test_a_text_means_a_name_first_then_a_number_then_nothing(text, names, meaning):
    assert read_answer(text, names) == meaning


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_record_of_another_length_than_the_questions_is_refused(count):
    suspect = RecordedSuspect(["cat", "dog"], ANIMALS, "answers.csv", "answers:1")
    with pytest.raises(SuspectError, match="2 recorded answers"):
        suspect.answer([None] * count)
