"""A service as a person described it: docs/formats/api-mapping-v1.md, as TOML or as JSON."""

import hashlib
import json
import pathlib
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from earmark.commitment.canonical import Json, canonical_json
from earmark.commitment.reading import Fields, read_version
from earmark.errors import FormatError
from earmark.files import read_bounded
from earmark.suspects.frames import CLASS_LIMIT
from earmark.suspects.http.credentials import PLACEHOLDER, check_not_literal
from earmark.suspects.http.inputs import FILES, FORMS, PICTURE, TEXT
from earmark.suspects.http.paths import PATH_LIMIT, Path
from earmark.suspects.http.pictures import BYTES_VALUES, NUMBERS, PREPROCESSED, UNIT_VALUES

FORMAT = "earmark/api-mapping/v1"
SIZE_LIMIT_BYTES = 64 << 10
_URL_LIMIT = 800  # it is part of the identity, of which the journal keeps 1,000 characters
_TEXT_LIMIT = 4096
_HEADER_LIMIT = 32
AROUND_LIMIT = 500
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_|~-]{1,100}")
_OWN_HEADERS = frozenset(
    {"host", "content-type", "content-length", "transfer-encoding", "connection", "accept-encoding"}
)
_BODIES = ("json", "bytes", "multipart")


@dataclass(frozen=True, slots=True)
class RequestForm:
    """How an input is put into a request.

    Attributes:
        kind: ``picture``, ``text``, ``row`` or ``recording``.
        form: One of ``earmark.suspects.http.inputs.FORMS``.
        body: ``json``, ``bytes`` or ``multipart``.
        template: The JSON body with its placeholder; None for others.
        file: The name of the form's field with the file.
        fields: The form's other fields.
        values: Of a picture's numbers: ``0-255``, ``0-1`` or ``preprocessed``.
        layout: Of a picture's numbers: ``NHWC`` or ``NCHW``.
        flat: Of a picture's numbers: one flat list.
    """

    kind: str
    form: str
    body: str
    template: Any = None
    file: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    values: str = BYTES_VALUES
    layout: str = "NHWC"
    flat: bool = False

    @property
    def placeholder(self) -> str:
        """What stands in the template for the input."""
        return f"{{{{{self.kind}}}}}"

    @property
    def constants(self) -> tuple[str, ...]:
        """The other texts in the template, which go with every question."""
        return tuple(text for text in _texts(self.template) if text != self.placeholder)


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """Where the answer stands.

    Attributes:
        paths: ``label``, ``labels``, ``scores`` or ``number`` to where it stands.
        classes: The service's class names, sorted; empty if it has the key's.
        class_count: For scores and numbers in the service's own order; else 0.
    """

    paths: Mapping[str, Path]
    classes: tuple[str, ...] = ()
    class_count: int = 0


@dataclass(frozen=True, slots=True)
class ApiMapping:
    """One service.

    Attributes:
        url: With placeholders for credentials in its query.
        method: ``POST`` or ``PUT``.
        headers: Names to texts with placeholders.
        request: How an input is put.
        answer: Where the answer stands.
        source: The whole mapping without decimal numbers; it holds no credentials.
    """

    url: str
    method: str
    headers: Mapping[str, str]
    request: RequestForm
    answer: AnswerForm
    source: dict[str, Json]

    @property
    def credential_names(self) -> tuple[str, ...]:
        """The environment variables that it names."""
        texts = _fillable(self.url, self.headers, self.request)
        return tuple(sorted({name for text in texts for name in PLACEHOLDER.findall(text)}))

    @property
    def digest(self) -> str:
        """What identifies the mapping, hexadecimal."""
        return hashlib.sha256(canonical_json(self.source)).hexdigest()


def load_mapping(path: pathlib.Path, *, check_name: Callable[[str], None]) -> ApiMapping:
    """Return the mapping in a file, TOML or JSON by its ending.

    Args:
        path: FILE.toml or FILE.json.
        check_name: As for ``read_mapping``.

    Raises:
        FormatError: The file is missing, too large, or no mapping; the message names it.
    """
    is_toml = path.suffix.lower() == ".toml"
    try:
        data = read_bounded(path, SIZE_LIMIT_BYTES, "mapping")
        return read_mapping(data, is_toml=is_toml, check_name=check_name)
    except FormatError as error:
        hint = "" if is_toml or not path.is_file() else f"; a model of XGBoost is named xgboost:{path.name}"
        raise FormatError(f"{path.name} describes no service that can be asked: {error}{hint}") from error


def read_mapping(data: bytes, *, is_toml: bool, check_name: Callable[[str], None]) -> ApiMapping:
    """Read a mapping.

    Args:
        data: The file's bytes.
        is_toml: Whether it is TOML; else JSON.
        check_name: Raises ValueError for an environment variable that a mapping may not name.

    Returns:
        The mapping.

    Raises:
        FormatError: It is malformed.
        MissingExtraError: jmespath is not installed.
    """
    if len(data) > SIZE_LIMIT_BYTES:
        raise FormatError(f"the mapping is larger than {SIZE_LIMIT_BYTES} bytes")
    try:
        text = data.decode("utf-8")
        value = tomllib.loads(text) if is_toml else json.loads(text)
        source = _without_decimals(value)
        canonical_json(source)
    except (ValueError, RecursionError) as error:
        kind = "TOML" if is_toml else "JSON"
        raise FormatError(f"the mapping is not {kind}, or holds what JSON cannot: {_line(error)}") from error
    read_version(value, FORMAT)
    try:
        return _read(Fields(value, "mapping"), source, check_name)
    except ValueError as error:
        raise FormatError(f"mapping: {error}") from error


def _read(fields: Fields, source: dict[str, Json], check_name: Callable[[str], None]) -> ApiMapping:
    fields.skip("format")
    url = fields.text("url", _URL_LIMIT)
    method = fields.choice("method", ("POST", "PUT")) if "method" in fields.values else "POST"
    headers = _headers(fields.object("headers")) if "headers" in fields.values else {}
    request = _request(fields.object("request"))
    answer = _answer(fields.object("answer"))
    fields.finish()
    if PLACEHOLDER.search(urlsplit(url)._replace(query="").geturl()):
        raise FormatError("mapping: a credential in url stands in its query, or it would be part of its name")
    for name, text in (*headers.items(), *parse_qsl(urlsplit(url).query, keep_blank_values=True)):
        check_not_literal(name, text)
    mapping = ApiMapping(url, method or "POST", headers, request, answer, source)
    for name in mapping.credential_names:
        check_name(name)
    return mapping


def _fillable(url: str, headers: Mapping[str, str], request: RequestForm) -> list[str]:
    return [url, *headers.values(), *_texts(request.template), *request.fields.values()]


def _headers(fields: Fields) -> dict[str, str]:
    if len(fields.values) > _HEADER_LIMIT:
        raise FormatError(f"mapping: more than {_HEADER_LIMIT} headers")
    headers = {}
    for name in fields.values:
        if not _HEADER.fullmatch(name) or name.lower() in _OWN_HEADERS:
            raise FormatError(f"mapping: a header cannot be called {name[:40]!r}")
        value = fields.text(name, _TEXT_LIMIT)
        if not (value.isascii() and value.isprintable()):
            raise FormatError(f"mapping: the header {name} is not printable ASCII")
        headers[name] = value
    return headers


def _request(fields: Fields) -> RequestForm:
    kinds = [kind for kind in FORMS if kind in fields.values]
    if len(kinds) != 1:
        raise FormatError(f"mapping: request has exactly one of {', '.join(FORMS)}")
    kind = kinds[0]
    form = fields.choice(kind, FORMS[kind]) or ""
    found = [name for name in _BODIES if name in fields.values]
    if len(found) != 1:
        raise FormatError(f"mapping: request has exactly one of {', '.join(_BODIES)}")
    body, template, file, texts = found[0], None, "", {}
    if body == "json":
        template = fields.take("json")
    elif form not in FILES:
        raise FormatError(f"mapping: {form} goes into json")
    elif body == "bytes":
        if fields.take("bytes") is not True:
            raise FormatError("mapping: bytes is true or absent")
    else:
        parts = fields.object("multipart")
        file = parts.text("file", 100)
        rest = parts.object("fields") if "fields" in parts.values else Fields({}, "fields")
        texts = {name: rest.text(name, _TEXT_LIMIT) for name in rest.values}
        parts.finish()
    has_numbers = (kind, form) == (PICTURE, NUMBERS)
    values, layout, flat = _numbers(fields) if has_numbers else (BYTES_VALUES, "NHWC", False)
    fields.finish()
    request = RequestForm(kind, form, body, template, file, texts, values, layout, flat)
    if body == "json":
        _check_template(request)
    return request


def _numbers(fields: Fields) -> tuple[str, str, bool]:
    values = fields.choice("values", (BYTES_VALUES, UNIT_VALUES, PREPROCESSED)) or ""
    layout = "NHWC" if values == PREPROCESSED else fields.choice("layout", ("NHWC", "NCHW")) or ""
    flat = fields.take("flat") if "flat" in fields.values else False
    if not isinstance(flat, bool):
        raise FormatError("mapping: flat is true or false")
    return values, layout, flat


def _check_template(request: RequestForm) -> None:
    place = request.placeholder
    holding = [text for text in _texts(request.template) if place in text]
    if len(holding) != 1 or holding[0].count(place) != 1:
        raise FormatError(f"mapping: json holds {place} exactly once")
    if request.kind == TEXT:
        _check_constants(request)
    if request.form not in FILES and holding[0] != place:
        raise FormatError(f"mapping: {request.form} stands for the text {place} alone")


def _check_constants(request: RequestForm) -> None:
    # A model that reads instructions could be told there what to answer, by whoever knows the labels.
    if any(PLACEHOLDER.search(text) for text in _texts(request.template)):
        raise FormatError("mapping: beside a text json holds no credential; it goes into a header")
    if len(json.dumps(request.template, ensure_ascii=False)) > AROUND_LIMIT:
        raise FormatError(f"mapping: around a text json has at most {AROUND_LIMIT} characters")


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for item in inner for text in _texts(item)]


def _answer(fields: Fields) -> AnswerForm:
    kinds = frozenset(fields.values) - {"classes", "class_count"}
    named = "classes" in fields.values
    forms: dict[frozenset[str], bool] = {
        # What stands there, and whether the classes are named; None where both may be.
        frozenset({"label"}): True,
        frozenset({"labels", "scores"}): True,
        frozenset({"scores"}): named,
        frozenset({"number"}): False,
    }
    if kinds not in forms:
        raise FormatError("mapping: answer has label, labels and scores, scores, or number")
    paths = {name: Path(fields.text(name, PATH_LIMIT)) for name in sorted(kinds)}
    classes: tuple[str, ...] = ()
    class_count = 0
    if forms[kinds]:
        classes = _classes(fields.list("classes", 2, CLASS_LIMIT)) if named else ()
    else:
        class_count = fields.integer("class_count", 2, CLASS_LIMIT)
    fields.finish()
    return AnswerForm(paths, classes, class_count)


def _classes(names: list[Any]) -> tuple[str, ...]:
    if not all(isinstance(name, str) and 0 < len(name) <= 1000 for name in names):
        raise FormatError("mapping: classes are texts of 1 to 1,000 characters")
    if len(set(names)) != len(names):
        raise FormatError("mapping: two classes have the same name")
    # In an order that nobody chooses: whoever could number the classes could fit them to the labels.
    return tuple(sorted(names))


def _without_decimals(value: Any) -> Any:
    if isinstance(value, float):
        return {"$decimal": repr(value)}
    if isinstance(value, dict):
        if any(name.startswith("$") for name in value):
            raise ValueError("a name that begins with $")
        return {name: _without_decimals(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_without_decimals(item) for item in value]
    if value is None or isinstance(value, str | int):
        return value
    raise ValueError(f"a value of type {type(value).__name__}")


def _line(error: BaseException) -> str:
    text = "".join(letter if letter.isprintable() else " " for letter in str(error))
    return " ".join(text.split())[:200]
