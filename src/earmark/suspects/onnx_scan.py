"""Looks through an ONNX file without running it: refuses what could reach beyond the file.

A reader of protobuf's wire format that knows only what it needs of ONNX. It reads every occurrence of
every field and refuses on the first bad one, so no other reader's way of merging repeated fields can
show it a harmless file and onnxruntime another one. It imports nothing but the standard library: the
child process that questions the file must start fast, and must not trust a parser it can avoid.

Operators may come from the standard's domains, from ``com.microsoft``, which onnxruntime has built in
and its quantiser and optimiser write (a copy that was quantised must stay a suspect that can be
questioned), and from the file's own functions. Everything else needs a library from the file's maker.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from earmark.errors import FormatError
from earmark.suspects.frames import METADATA_LIMIT_BYTES

DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")
_NESTING_LIMIT = 64
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED_SIZES = {_FIXED64: 8, _FIXED32: 4}

# Messages of onnx.proto3 and the fields that lead to graphs, tensors and names; all others are skipped.
_MESSAGES: dict[str, dict[int, str]] = {
    "model": {7: "graph", 14: "entry", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {1: "name", 7: "node", 10: "domain", 11: "attribute"},
    "node": {4: "name", 5: "attribute", 7: "domain"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "external", 14: "location"},
    "entry": {1: "name", 2: "value"},
}
_TEXTS = frozenset({"name", "domain", "value"})


@dataclass
class _Findings:
    nodes: set[tuple[str, str]] = field(default_factory=set)
    functions: set[tuple[str, str]] = field(default_factory=set)
    metadata: dict[str, str] = field(default_factory=dict)
    graph_count: int = 0


def scan(data: bytes) -> dict[str, str]:
    """Return an ONNX file's metadata, after checking that nothing in it reaches beyond the file.

    Args:
        data: The whole file.

    Returns:
        The entries of ``metadata_props``.

    Raises:
        FormatError: It is not ONNX; a tensor's data lies in another file; an operator is not built in.
    """
    if data[4:8] == b"ORTM":
        # onnxruntime's own format, which it recognises by these bytes: none of the checks below would
        # be about what it loads then.
        raise FormatError("it is in onnxruntime's own format; give the ONNX file")
    findings = _Findings()
    _read_message("model", memoryview(data), 0, findings)
    if findings.graph_count == 0:
        raise FormatError("it is not an ONNX model: it holds no graph")
    for domain, operator in sorted(findings.nodes - findings.functions):
        if domain not in DOMAINS:
            raise FormatError(
                f"the operator {_shown(domain)}.{_shown(operator)} is not part of ONNX, "
                "and code that comes with a suspect is never run"
            )
    return findings.metadata


def _read_message(kind: str, data: memoryview, nesting: int, findings: _Findings) -> None:
    if nesting > _NESTING_LIMIT:
        raise FormatError(f"its graphs are nested more than {_NESTING_LIMIT} deep")
    known = _MESSAGES[kind]
    texts: dict[str, str] = {}
    for number, wire, value in _fields(data):
        name = known.get(number)
        if name is None:
            continue
        if name in ("external", "location"):
            _check_location(name, wire, value)
        elif not isinstance(value, memoryview):
            raise FormatError(f"it is not an ONNX model: a {kind}'s {name} is not a message")
        elif name in _TEXTS:
            if name in texts:
                # Readers keep the last one; a checker that kept the first would check something else.
                raise FormatError(f"it is not an ONNX model: a {kind} has two {name}s")
            texts[name] = _text(value, kind)
        else:
            _read_message(name, value, nesting + 1, findings)
    _note(kind, texts, findings)


def _check_location(name: str, wire: int, value: memoryview | int) -> None:
    # onnxruntime would open whatever path stands there, or read its own memory at an address that
    # stands there, and the answers could carry the contents out.
    if name == "external" or wire != _VARINT or value != 0:
        raise FormatError("a tensor's data lies outside the file; give a single file without external data")


def _note(kind: str, texts: dict[str, str], findings: _Findings) -> None:
    name = texts.get("name", "")
    if kind == "node":
        findings.nodes.add((texts.get("domain", ""), name))
    elif kind == "function":
        findings.functions.add((texts.get("domain", ""), name))
    elif kind == "graph":
        findings.graph_count += 1
    elif kind == "entry":
        if name in findings.metadata:
            raise FormatError(f"its metadata hold {_shown(name)} twice")
        findings.metadata[name] = texts.get("value", "")


def _text(value: memoryview, kind: str) -> str:
    if len(value) > METADATA_LIMIT_BYTES:
        raise FormatError(f"a text in a {kind} is longer than {METADATA_LIMIT_BYTES} bytes")
    try:
        return str(value, "utf-8")
    except UnicodeDecodeError as error:
        raise FormatError(f"it is not an ONNX model: a {kind} holds text that is not UTF-8") from error


def _fields(data: memoryview) -> Iterator[tuple[int, int, memoryview | int]]:
    """Yield (number, wire type, value) of a message's fields."""
    position, end = 0, len(data)
    while position < end:
        key, position = _varint(data, position)
        number, wire = key >> 3, key & 7
        if number == 0 or key >= 1 << 32:
            # Above 32 bits C++ readers cut the key off, and would see another field than this one.
            raise FormatError("it is not an ONNX model: a field has no valid number")
        if wire == _VARINT:
            value, position = _varint(data, position)
            yield number, wire, value
            continue
        if wire == _BYTES:
            size, position = _varint(data, position)
        elif wire in _FIXED_SIZES:
            size = _FIXED_SIZES[wire]
        else:
            # Groups, which ONNX never uses: a second way to nest that readers need not agree about.
            raise FormatError(f"it is not an ONNX model: wire type {wire}")
        if size > end - position:
            raise FormatError("it is not an ONNX model, or it is cut short")
        yield number, wire, data[position : position + size]
        position += size


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position == len(data):
            break
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & (1 << 64) - 1, position
    raise FormatError("it is not an ONNX model, or it is cut short")


def _shown(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text[:60])
