"""Universal Binary JSON, as far as XGBoost writes it: read with bounds, and written again.

Arrays of numbers become NumPy's. Only forms that cost at least a byte for each thing are read, so that a few
bytes cannot ask for much memory.
"""

import struct
from typing import TYPE_CHECKING, Any

from earmark.errors import FormatError

if TYPE_CHECKING:
    import numpy.typing as npt

NESTING_LIMIT = 32
_INTEGERS = {b"i": ">b", b"U": ">B", b"I": ">h", b"l": ">i", b"L": ">q"}
_NUMBERS = _INTEGERS | {b"d": ">f", b"D": ">d"}
_ITEMS = {b"i": ">i1", b"U": ">u1", b"I": ">i2", b"l": ">i4", b"L": ">i8", b"d": ">f4", b"D": ">f8"}
_CONSTANTS = {b"Z": None, b"T": True, b"F": False}


def read(data: bytes) -> Any:
    """Return what the bytes say: dictionaries, lists, texts, numbers, and arrays of numbers.

    Args:
        data: One value and nothing behind it.

    Raises:
        FormatError: They are cut short, nested too deeply, or of a form that is not read.
    """
    reader = _Reader(data)
    try:
        value = reader.value(0)
    except (struct.error, UnicodeDecodeError) as error:
        raise FormatError(f"it is cut short or damaged: {error}") from error
    if not reader.is_at_end:
        raise FormatError("something stands behind its end")
    return value


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data, self._place = data, 0

    @property
    def is_at_end(self) -> bool:
        return self._place == len(self._data)

    def value(self, depth: int) -> Any:
        if depth > NESTING_LIMIT:
            raise FormatError(f"it is nested more than {NESTING_LIMIT} levels deep")
        mark = self._bytes(1)
        if mark in _CONSTANTS:
            return _CONSTANTS[mark]
        if mark in _NUMBERS:
            return self._number(_NUMBERS[mark])
        if mark == b"S":
            return self._text()
        if mark == b"[":
            return self._array(depth)
        if mark == b"{":
            return self._object(depth)
        raise FormatError(f"it holds a value of an unknown type, {mark.decode('latin-1')!a}")

    def _bytes(self, size: int) -> bytes:
        end = self._place + size
        if size < 0 or end > len(self._data):
            raise FormatError("it is cut short")
        found = self._data[self._place : end]
        self._place = end
        return found

    def _number(self, form: str) -> int | float:
        number: int | float = struct.unpack(form, self._bytes(struct.calcsize(form)))[0]
        return number

    def _size(self) -> int:
        mark = self._bytes(1)
        if mark not in _INTEGERS:
            raise FormatError("a length in it is no whole number")
        return int(self._number(_INTEGERS[mark]))

    def _text(self) -> str:
        return self._bytes(self._size()).decode()

    def _next_is(self, mark: bytes) -> bool:
        is_next = self._data[self._place : self._place + 1] == mark
        self._place += is_next
        return is_next

    def _array(self, depth: int) -> "list[Any] | npt.NDArray[Any]":
        if self._next_is(b"$"):
            return self._numbers()
        if self._next_is(b"#"):
            count = self._size()
            if not 0 <= count <= len(self._data):
                raise FormatError("an array in it is longer than the file")
            return [self.value(depth + 1) for _ in range(count)]
        values = []
        while not self._next_is(b"]"):
            values.append(self.value(depth + 1))
        return values

    def _numbers(self) -> "npt.NDArray[Any]":
        import numpy as np

        mark = self._bytes(1)
        if mark not in _ITEMS or not self._next_is(b"#"):
            raise FormatError("an array in it is of another type than numbers")
        item = np.dtype(_ITEMS[mark])
        return np.frombuffer(self._bytes(self._size() * item.itemsize), item).astype(item.newbyteorder("="))

    def _object(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not self._next_is(b"}"):
            name = self._text()
            if name in found:
                # Readers differ in which of two they take.
                raise FormatError("it says one thing twice")
            found[name] = self.value(depth + 1)
        return found


def write(value: Any) -> bytes:
    """Return the bytes of a value.

    Args:
        value: Dictionaries, lists, texts, integers, floats of 32 bits, NumPy's arrays of int32, int64, uint8
            and float32; and nothing else.
    """
    parts: list[bytes] = []
    _write(value, parts)
    return b"".join(parts)


def _write(value: Any, parts: list[bytes]) -> None:
    import numpy as np

    if isinstance(value, dict):
        parts.append(b"{")
        for name, inner in value.items():
            parts.append(_sized(name.encode()))
            _write(inner, parts)
        parts.append(b"}")
    elif isinstance(value, list):
        parts.append(b"[#L" + struct.pack(">q", len(value)))
        for inner in value:
            _write(inner, parts)
    elif isinstance(value, str):
        parts.append(b"S" + _sized(value.encode()))
    elif isinstance(value, np.ndarray):
        mark = {"int32": b"l", "int64": b"L", "uint8": b"U", "float32": b"d"}[value.dtype.name]
        parts.append(b"[$" + mark + b"#L" + struct.pack(">q", len(value)))
        parts.append(value.astype(_ITEMS[mark]).tobytes())
    elif isinstance(value, float):
        parts.append(b"d" + struct.pack(">f", value))
    else:
        parts.append(b"L" + struct.pack(">q", value))


def _sized(data: bytes) -> bytes:
    return b"L" + struct.pack(">q", len(data)) + data
