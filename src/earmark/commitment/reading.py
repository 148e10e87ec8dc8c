"""Strict reading of the fields of a JSON object: every field once, none unknown, each in range."""

import re
from typing import Any

from earmark.errors import FormatError, UnsupportedVersionError


class Fields:
    """The fields of a JSON object, taken one by one; ``finish`` refuses what was not taken.

    Args:
        value: What should be an object.
        what: Its name in messages.
    """

    def __init__(self, value: Any, what: str) -> None:
        if not isinstance(value, dict):
            raise FormatError(f"{what} is not an object")
        self.values: dict[str, Any] = value
        self._what = what
        self._left = set(value)

    def take(self, name: str) -> Any:
        """Return a field's value; FormatError if it is missing."""
        if name not in self.values:
            raise FormatError(f"{self._what} has no field {name!r}")
        self._left.discard(name)
        return self.values[name]

    def skip(self, name: str) -> None:
        """Take a field that was read before."""
        self.take(name)

    def finish(self) -> None:
        """Raise FormatError if a field was never taken: unknown fields are refused."""
        if self._left:
            unknown = ", ".join(sorted(repr(name)[:40] for name in self._left)[:5])
            raise FormatError(f"{self._what} has unknown fields: {unknown}")

    def object(self, name: str) -> "Fields":
        """Return an object's fields."""
        return Fields(self.take(name), name)

    def text(self, name: str, length_limit: int) -> str:
        """Return a text of 1 to ``length_limit`` characters."""
        value = self.take(name)
        if not isinstance(value, str) or not 0 < len(value) <= length_limit:
            raise FormatError(f"{self._what}: {name} is not a text of 1 to {length_limit} characters")
        return value

    def integer(self, name: str, low: int, high: int) -> int:
        """Return an integer from low to high."""
        value = self.take(name)
        if type(value) is not int or not low <= value <= high:
            raise FormatError(f"{self._what}: {name} is not an integer from {low} to {high}")
        return value

    def choice(self, name: str, allowed: tuple[str | None, ...]) -> str | None:
        """Return one of the allowed values."""
        value = self.take(name)
        if (value is not None and not isinstance(value, str)) or value not in allowed:
            names = ", ".join("null" if item is None else repr(item) for item in allowed)
            raise FormatError(f"{self._what}: {name} must be one of {names}")
        return value

    def list(self, name: str, low: int, high: int) -> list[Any]:
        """Return a list of low to high items."""
        value = self.take(name)
        if not isinstance(value, list) or not low <= len(value) <= high:
            raise FormatError(f"{self._what}: {name} is not a list of {low} to {high} items")
        return value

    def hex(self, name: str, size_bytes: int) -> bytes:
        """Return bytes written in lower-case hexadecimal."""
        return hex_bytes(self.take(name), size_bytes, f"{self._what}: {name}")


def hex_bytes(value: Any, size_bytes: int, what: str) -> bytes:
    """Return bytes written in lower-case hexadecimal; FormatError for anything else."""
    if not isinstance(value, str) or not re.fullmatch(rf"[0-9a-f]{{{2 * size_bytes}}}", value):
        raise FormatError(f"{what} is not {size_bytes} bytes in lower-case hexadecimal")
    return bytes.fromhex(value)


def read_version(value: Any, expected: str) -> None:
    """Raise unless the value's ``format`` is the expected label.

    Args:
        value: A JSON value.
        expected: e.g. ``earmark/transcript/v1``.

    Raises:
        UnsupportedVersionError: It is the same kind in another version.
        FormatError: It is another kind, or none.
    """
    found = value.get("format") if isinstance(value, dict) else None
    if found == expected:
        return
    kind = expected.rpartition("/")[0]
    if isinstance(found, str) and re.fullmatch(re.escape(kind) + r"/v\d{1,6}", found):
        raise UnsupportedVersionError(
            f"this is {found}, and this release reads {expected}; use a newer Earmark"
        )
    shown = repr(found)[:60] if isinstance(found, str) else "no format field"
    raise FormatError(f"expected {expected}, found {shown}")
