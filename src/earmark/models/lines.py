"""Lines of text, as classifiers of texts are asked them: NFC, one space between words, none at the ends."""

import re
import unicodedata

CHARACTER_LIMIT = 1 << 16
# Control characters, breaks of lines, marks that turn the direction of reading, the byte order mark, and what
# Unicode keeps for no character. Listed by number: nobody needs a certain version of Unicode to agree.
_NOT_ALLOWED = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufdd0-\ufdef\ufeff\ufff9-\uffff\ud800-\udfff"
    + "".join(chr((plane << 16) + last) for plane in range(1, 17) for last in (0xFFFE, 0xFFFF))
    + "]"
)


def one_line(text: str) -> str:
    """Return a text as one such line.

    Args:
        text: Any text; line breaks, tabs and whatever no such line holds count as spaces.

    Raises:
        ValueError: Nothing is left, or it is too long.
    """
    joined = " ".join(unicodedata.normalize("NFC", _NOT_ALLOWED.sub(" ", text)).split())
    if problem := problem_of(joined):
        raise ValueError(f"a text {problem}")
    return joined


def problem_of(text: str) -> str | None:
    """Return what keeps a text from being such a line, as the end of a sentence; or None."""
    if not 1 <= len(text) <= CHARACTER_LIMIT:
        return f"has 1 to {CHARACTER_LIMIT} characters, not {len(text)}"
    if found := _NOT_ALLOWED.search(text):
        return f"holds U+{ord(found[0]):04X}, which no trigger does"
    if text.startswith(" ") or text.endswith(" ") or "  " in text:
        return "has a space at an end, or two in a row"
    return None
