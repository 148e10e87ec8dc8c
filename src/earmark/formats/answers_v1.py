"""answers.csv: a suspect that was questioned by hand (docs/formats/answers-v1.md)."""

import csv
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass

from earmark.commitment import digest
from earmark.errors import FormatError
from earmark.keys import SetId, VerificationKey
from earmark.suspects.recorded import REFUSED

SIZE_LIMIT_BYTES = 16 << 20
_HEADER = ["question", "answer"]
_QUESTIONS_LABEL = "earmark/questions/v1"
_ANSWERS_LABEL = "earmark/answers/v1"
_QUESTION = re.compile(r"([0-9a-f]{12})-[0-9]{3,7}")


def questions_id(root: bytes, set_id: SetId) -> str:
    """Return the name under which the questions of a trigger set leave the owner's machine.

    Args:
        root: Root of the key, 32 bytes.
        set_id: The set.

    Returns:
        12 hexadecimal characters. They do not say which set it is, except to a holder of the public key.

    Source:
        ours (docs/formats/answers-v1.md)
    """
    return digest(_QUESTIONS_LABEL, root, *set_id).hex()[:12]


def question_names(name: str, question_count: int) -> list[str]:
    """Return the names of questions, in the order in which they are asked.

    Args:
        name: The questions id.
        question_count: How many.

    Returns:
        ``<questions id>-001`` and so on.

    Example:
        >>> question_names("9f2c81d0a3b4", 2)
        ['9f2c81d0a3b4-001', '9f2c81d0a3b4-002']
    """
    return [f"{name}-{number:03d}" for number in range(1, question_count + 1)]


def template(names: Iterable[str]) -> bytes:
    """Return an answers.csv in which every answer is still blank.

    Args:
        names: The questions, as from ``question_names``.

    Returns:
        The file's bytes.
    """
    return "".join(f"{row}\n" for row in (",".join(_HEADER), *(f"{name}," for name in names))).encode()


@dataclass(frozen=True, slots=True)
class Answers:
    """A filled-in table.

    Attributes:
        questions_id: Which questions were answered.
        texts: The answers as they were written, in the order of the questions.
    """

    questions_id: str
    texts: tuple[str, ...]

    @property
    def digest(self) -> str:
        """What the journal keeps, 64 hexadecimal characters.

        It depends on the answers, and not on how a program saved the table.
        """
        return digest(_ANSWERS_LABEL, self.questions_id, *self.texts).hex()


def read(data: bytes, key: VerificationKey) -> Answers:
    """Read a filled-in answers.csv.

    Args:
        data: The file's bytes.
        key: The key whose questions were asked: it knows how many there are.

    Returns:
        The answers to all questions of one set.

    Raises:
        FormatError: The file is not such a table; a question is unknown, missing or there twice; or an
            answer is blank.
    """
    found = read_table(data)
    name = _only_questions_id(found)
    expected = question_names(name, _question_count(name, key))
    unknown = sorted(found.keys() - set(expected))
    if unknown:
        raise FormatError(f"answers: there is no question {unknown[0]}")
    missing = [question for question in expected if question not in found]
    if missing:
        raise FormatError(f"answers: {len(missing)} of {len(expected)} questions are missing: {missing[0]} …")
    blank = [question for question in expected if not found[question]]
    if blank:
        # A forgotten row is not a refusal by the suspect; to guess which one it was would be a freedom.
        raise FormatError(
            f"answers: {len(blank)} of {len(expected)} questions have no answer, {blank[0]} first; fill them "
            f"in, and write {REFUSED} where the suspect did not answer"
        )
    return Answers(name, tuple(found[question] for question in expected))


def read_table(data: bytes) -> dict[str, str]:
    """Read the rows of an answers.csv, filled in or not, of whatever key.

    Args:
        data: The file's bytes.

    Returns:
        Question to answer, in the order of the file; a blank answer is the empty text.

    Raises:
        FormatError: It is not such a table, or a question is there twice.
    """
    found: dict[str, str] = {}
    for cells in _rows(_text(data)):
        if not any(cells):
            continue
        question, answer, *rest = *cells, ""
        if any(rest):
            raise FormatError(f"answers: the row of {question[:40]!r} has more than two columns")
        if not _QUESTION.fullmatch(question):
            raise FormatError(f"answers: {question[:40]!r} is not the name of a question")
        if question in found:
            raise FormatError(f"answers: question {question} is there twice")
        found[question] = answer
    if not found:
        raise FormatError("answers: the table has no rows")
    return found


def _text(data: bytes) -> str:
    if len(data) > SIZE_LIMIT_BYTES:
        raise FormatError(f"answers: larger than {SIZE_LIMIT_BYTES} bytes")
    try:
        return data.decode("utf-8-sig")  # spreadsheets begin the file with a byte order mark
    except UnicodeDecodeError as error:
        raise FormatError("answers: not UTF-8; save the table as CSV UTF-8") from error


def _rows(text: str) -> Iterable[list[str]]:
    """Return the rows under the header, cells stripped, split at the delimiter that fits the header."""
    for delimiter in ",;":
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        try:
            stripped = [[cell.strip() for cell in row] for row in rows]
        except csv.Error as error:
            raise FormatError(f"answers: not a table: {error}") from error
        if stripped and _is_header(stripped[0]):
            return stripped[1:]
    raise FormatError("answers: the first line is not question,answer")


def _is_header(cells: list[str]) -> bool:
    return [cell.lower() for cell in cells[:2]] == _HEADER and not any(cells[2:])


def _question_count(name: str, key: VerificationKey) -> int:
    for set_id in key.set_ids:
        if questions_id(key.transcript.root, set_id) == name:
            return key.transcript.strata[set_id.stratum].triggers_per_set
    raise FormatError(f"answers: {name} are not questions of this key")


def _only_questions_id(found: Iterable[str]) -> str:
    names = sorted({question.partition("-")[0] for question in found})
    if len(names) > 1:
        raise FormatError(f"answers: questions of more than one set are mixed: {names[0]} and {names[1]}")
    return names[0]
