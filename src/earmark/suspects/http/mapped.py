"""A service by its mapping."""

import base64
import secrets
from collections.abc import Mapping
from typing import Any

import numpy.typing as npt

from earmark.commitment.canonical import Json
from earmark.errors import FormatError
from earmark.models.preprocessing import AsTheyAre, InputPreparation, Preprocessing
from earmark.suspects.http.credentials import Credentials
from earmark.suspects.http.inputs import (
    FILES,
    FORM_COUNTS,
    PICTURE,
    ROW,
    TEXT,
    check_form,
    file_of,
    kind_for,
    row_of,
)
from earmark.suspects.http.mapping import ApiMapping
from earmark.suspects.http.pictures import NUMBERS, PREPROCESSED, numbers
from earmark.suspects.http.reading import (
    Document,
    Read,
    document,
    from_label,
    from_named_scores,
    from_number,
    from_pairs,
    from_scores,
)
from earmark.suspects.http.service import json_body
from earmark.suspects.http.transport import Request, Response, Silence, canonical_address
from earmark.suspects.release import choose_preprocessing


class MappedService:
    """A service that a person described; see ``Service``.

    Args:
        mapping: The description.
        credentials: For its placeholders.
        key_names: Classes of the key, for services that answer with names and list none.
        picked: Preprocessing of numbers that the checker picked, or None.
        fallback: The transcript's, or how inputs are read that are no pictures; or None.

    Raises:
        FormatError: Nothing says what the classes or the columns are, or how numbers are made.
        ValueError: The mapping is for another kind of input.
    """

    def __init__(
        self,
        mapping: ApiMapping,
        credentials: Credentials,
        key_names: tuple[str, ...],
        picked: Preprocessing | None,
        fallback: InputPreparation | None,
    ) -> None:
        self._mapping, self._credentials = mapping, credentials
        address = canonical_address(mapping.url)
        self.name = f"the service at {address}"
        self.identity = f"api:{address} by sha256:{mapping.digest}"
        answer, form = mapping.answer, mapping.request
        self._classes = answer.classes or (() if answer.class_count else tuple(key_names))
        if not self._classes and not answer.class_count:
            raise FormatError("the mapping lists no classes, and there is no key whose classes they could be")
        self.class_names: tuple[str, ...] | None = self._classes or None
        self.class_count = answer.class_count or len(self._classes)
        self.gives_probabilities = bool(self._classes)
        self.form_count, self.kind = FORM_COUNTS[form.kind], form.kind
        self.constants = form.constants if form.kind == TEXT else ()
        self._prepare(picked, fallback)
        self.about: Mapping[str, Json] = {
            "protocol": "mapping",
            "address": address,
            "mapping": mapping.source,
        }

    def _prepare(self, picked: Preprocessing | None, fallback: InputPreparation | None) -> None:
        form, wanted = self._mapping.request, kind_for(fallback)
        if form.kind != wanted:
            raise ValueError(f"this mapping sends a {form.kind}, and the key's inputs are each a {wanted}")
        check_form(form.form, fallback)
        self._fallback = fallback
        self._preprocessing = None
        self.preprocessing = f"the service's own; it is sent {form.kind} as {form.form}"
        if form.values == PREPROCESSED and not isinstance(fallback, AsTheyAre):
            self._preprocessing, source = choose_preprocessing(None, picked, fallback)
            self.preprocessing = f"{source}: {self._preprocessing}"
        elif picked is not None:
            raise ValueError("this mapping takes no preprocessing: its service is sent inputs as they are")
        elif (form.kind, form.form) == (PICTURE, NUMBERS):
            self.preprocessing += f" {form.values} {form.layout}"

    def fill_credentials(self) -> None:
        """Raise SuspectError if a credential is not in the environment, before anything is sent."""
        form = self._mapping.request
        for text in (self._mapping.url, *self._mapping.headers.values(), *form.fields.values()):
            self._credentials.fill(text)
        self._filled(form.template, "")

    def request(self, value: npt.NDArray[Any]) -> Request:
        """See ``Service``."""
        mapping, form, fill = self._mapping, self._mapping.request, self._credentials.fill
        kind = "application/json"
        if form.body == "json":
            body = json_body(self._filled(form.template, self._in_json(value)))
        else:
            body = file_of(value, form.form, self._fallback)
            kind = FILES[form.form]
            if form.body == "multipart":
                texts = {name: fill(text) for name, text in form.fields.items()}
                body, kind = _multipart(form.file, f"{form.kind}.{form.form}", kind, body, texts)
        headers = [("Content-Type", kind), *((name, fill(text)) for name, text in mapping.headers.items())]
        return Request(mapping.method, fill(mapping.url), tuple(headers), body)

    def read(self, outcome: Response | Silence) -> Read:
        """See ``Service``."""
        found = document(outcome)
        if not isinstance(found, Document):
            return found
        values = {name: path.find(found.value) for name, path in self._mapping.answer.paths.items()}
        if "label" in values:
            return from_label(values["label"], self._classes)
        if "number" in values:
            return from_number(values["number"], self.class_count)
        if "labels" in values:
            return from_named_scores(values["labels"], values["scores"], self._classes)
        if self._classes and isinstance(values["scores"], dict):
            return from_pairs(list(values["scores"].items()), self._classes)
        return from_scores(values["scores"], self.class_count)

    def _in_json(self, value: npt.NDArray[Any]) -> Any:
        form, fallback = self._mapping.request, self._fallback
        if form.form in FILES:
            return base64.b64encode(file_of(value, form.form, fallback)).decode()
        if form.kind == TEXT:
            return str(value)
        if form.kind == ROW:
            return row_of(value, form.form, getattr(fallback, "columns", ()))
        if isinstance(fallback, AsTheyAre):
            return fallback(value[None])[0].tolist()
        found = numbers(value, form.values, form.layout, self._preprocessing)
        return (found.ravel() if form.flat else found).tolist()

    def _filled(self, template: Any, value: Any) -> Any:
        if isinstance(template, dict):
            return {name: self._filled(item, value) for name, item in template.items()}
        if isinstance(template, list):
            return [self._filled(item, value) for item in template]
        if not isinstance(template, str):
            return template
        place = self._mapping.request.placeholder
        if template == place:
            return value
        # Credentials first: what an input says is never looked for in the environment.
        filled = self._credentials.fill(template)
        return filled.replace(place, value) if place in template else filled


def _multipart(name: str, file_name: str, kind: str, data: bytes, texts: dict[str, str]) -> tuple[bytes, str]:
    boundary = secrets.token_hex(16)

    def head(field: str, rest: str) -> bytes:
        quoted = field.replace("\\", "\\\\").replace('"', '\\"').replace("\r", " ").replace("\n", " ")
        return f'--{boundary}\r\nContent-Disposition: form-data; name="{quoted}"{rest}\r\n\r\n'.encode()

    parts = [head(field, "") + text.encode() + b"\r\n" for field, text in texts.items()]
    parts.append(head(name, f'; filename="{file_name}"\r\nContent-Type: {kind}') + data + b"\r\n")
    return b"".join(parts) + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"
