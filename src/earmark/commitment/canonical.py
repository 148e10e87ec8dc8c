"""One byte string per JSON value, so that a hash or signature over it means one thing.

Written by RFC 8785. Read strictly: what does not re-encode to the very same bytes is refused, and with
it duplicate names, spare spaces, odd escapes and anything after the value. Only null, booleans,
integers below 2^53, text, lists and objects are allowed: no floats, whose text forms differ. Nesting
is bounded by a number and not by the interpreter's stack, or two checkers could disagree about a file.
"""

import json
from typing import Any, NoReturn, TypeAlias

import rfc8785

from earmark.errors import FormatError

NESTING_LIMIT = 32

Json: TypeAlias = "bool | int | str | list[Json] | dict[str, Json] | None"


def canonical_json(value: Json) -> bytes:
    """Return the canonical bytes of a JSON value.

    Args:
        value: None, bool, int (magnitude below 2^53), str, list or dict of these, nested at most
            ``NESTING_LIMIT`` deep.

    Returns:
        UTF-8 bytes by RFC 8785, without a final newline.

    Raises:
        ValueError: The value holds something else, a float for instance.

    Source:
        RFC 8785

    Example:
        >>> canonical_json({"b": 1, "a": [None, True]})
        b'{"a":[null,true],"b":1}'
    """
    _check(value, 0)
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError) as error:
        raise ValueError(f"not canonical JSON: {error}") from error


def parse_canonical_json(data: bytes, what: str, size_limit_bytes: int = 1 << 20) -> Any:
    """Read canonical JSON and refuse any other bytes, equivalent or not.

    Args:
        data: The bytes.
        what: What they are meant to be, for the message.
        size_limit_bytes: Longest accepted input.

    Returns:
        The value.

    Raises:
        FormatError: The bytes are too many, not JSON, nested too deeply, or not canonical.
    """
    if len(data) > size_limit_bytes:
        raise FormatError(f"{what} is larger than {size_limit_bytes} bytes")
    try:
        value = json.loads(data.decode("utf-8"), parse_float=_refuse_number, parse_constant=_refuse_number)
        canonical = canonical_json(value)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{what} is not canonical JSON: {error}") from error
    if canonical != data:
        raise FormatError(f"{what} is not in canonical form (RFC 8785)")
    return value


def _refuse_number(text: str) -> NoReturn:
    raise ValueError(f"number {text[:20]} is not an integer")


def _check(value: Any, nesting: int) -> None:
    if isinstance(value, float):
        raise ValueError("floats have no place in canonical files; use an integer or a decimal text")
    if isinstance(value, list | tuple | dict):
        if nesting == NESTING_LIMIT:
            raise ValueError(f"lists and objects are nested more than {NESTING_LIMIT} deep")
        for item in value.values() if isinstance(value, dict) else value:
            _check(item, nesting + 1)
