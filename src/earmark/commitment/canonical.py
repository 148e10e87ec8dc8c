"""One byte string per JSON value, so that a hash or signature over it means one thing.

Written by RFC 8785. Read strictly: what does not re-encode to the very same bytes is refused, and with
it duplicate names, spare spaces, odd escapes and anything after the value. Only null, booleans,
integers below 2^53, text, lists and objects are allowed: no floats, whose text forms differ.
"""

import json
from typing import Any, NoReturn, TypeAlias

import rfc8785

from earmark.errors import FormatError

Json: TypeAlias = "bool | int | str | list[Json] | dict[str, Json] | None"


def canonical_json(value: Json) -> bytes:
    """Return the canonical bytes of a JSON value.

    Args:
        value: None, bool, int (magnitude below 2^53), str, list or dict of these.

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
    _refuse_floats(value)
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


def _refuse_floats(value: Json) -> None:
    if isinstance(value, float):
        raise ValueError("floats have no place in canonical files; use an integer or a decimal text")
    if isinstance(value, list):
        for item in value:
            _refuse_floats(item)
    elif isinstance(value, dict):
        for item in value.values():
            _refuse_floats(item)
