"""Refusing what would take too much memory or time before it is made: the file's author chose its sizes."""

from earmark.errors import FormatError
from earmark.zero_knowledge.network import NONZERO_LIMIT, WORK_LIMIT


def too_large(what: str) -> FormatError:
    """Return the error that says so."""
    return FormatError(f"the network is too large for this version of the proof: {what}")


def bounded(size: int, what: str) -> None:
    """Raise FormatError unless a matrix of so many entries may be made."""
    if size > NONZERO_LIMIT:
        raise too_large(f"a {what} of {size} terms")


def affordable(cost: int, what: str) -> None:
    """Raise FormatError unless so many multiplications may be made."""
    if cost > WORK_LIMIT:
        raise too_large(f"a {what} of {cost} multiplications")
