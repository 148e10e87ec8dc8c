"""ground-truth.csv: what each trigger shows, for the paper's rule (docs/formats/ground-truth-v1.md)."""

import csv
import io

from earmark.errors import FormatError
from earmark.keys import SetId, VerificationKey

SIZE_LIMIT_BYTES = 64 << 20
_HEADER = ["stratum", "set", "place", "class"]
_DIGITS = 7


def read(data: bytes, key: VerificationKey) -> dict[tuple[SetId, int], int | None]:
    """Read a table of true classes.

    Args:
        data: The file's bytes: UTF-8, header ``stratum,set,place,class``; a blank class means that the
            trigger belongs to no class.
        key: Whose triggers and classes.

    Returns:
        For a trigger's (set, place) its true class, or None. Triggers may be missing; none is there twice.

    Raises:
        FormatError: It is not such a table, or names a trigger or class that the key does not have.
    """
    if len(data) > SIZE_LIMIT_BYTES:
        raise FormatError(f"ground truth: larger than {SIZE_LIMIT_BYTES} bytes")
    try:
        rows = [
            [cell.strip() for cell in row]
            for row in csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""))
        ]
    except (UnicodeDecodeError, csv.Error) as error:
        raise FormatError(f"ground truth: not a UTF-8 table: {error}") from error
    if not rows or rows[0] != _HEADER:
        raise FormatError(f"ground truth: the first line is not {','.join(_HEADER)}")
    names = key.transcript.task.class_names
    numbers = {name: number for number, name in enumerate(names)}
    found: dict[tuple[SetId, int], int | None] = {}
    for line, row in enumerate(rows[1:], 2):
        if not any(row):
            continue
        if len(row) != len(_HEADER):
            raise FormatError(f"ground truth: line {line} does not have {len(_HEADER)} columns")
        where = _place(row[:3], key, line)
        if where in found:
            raise FormatError(f"ground truth: line {line} names a trigger for the second time")
        if row[3] and row[3] not in numbers:
            raise FormatError(f"ground truth: line {line}: the key has no class {row[3][:80]!r}")
        found[where] = numbers[row[3]] if row[3] else None
    return found


def _place(cells: list[str], key: VerificationKey, line: int) -> tuple[SetId, int]:
    if not all(cell.isascii() and cell.isdigit() and len(cell) <= _DIGITS for cell in cells):
        raise FormatError(f"ground truth: line {line}: stratum, set and place are numbers from 0")
    stratum, number, place = (int(cell) for cell in cells)
    set_id = SetId(stratum, number)
    if set_id not in key.set_ids or place >= key.transcript.strata[stratum].triggers_per_set:
        raise FormatError(f"ground truth: line {line}: the key has no such trigger")
    return set_id, place
