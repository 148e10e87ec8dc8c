"""Services in the style of Hugging Face inference: a picture, sound or text in, labels with scores out."""

from collections.abc import Mapping
from typing import Any

import numpy.typing as npt

from earmark.commitment.canonical import Json
from earmark.errors import FormatError
from earmark.models.preprocessing import InputPreparation
from earmark.suspects.http.credentials import Credentials
from earmark.suspects.http.inputs import (
    FILES,
    PICTURE,
    PLAIN,
    RECORDING,
    TEXT,
    WAV,
    check_form,
    file_of,
    kind_for,
)
from earmark.suspects.http.pictures import PNG
from earmark.suspects.http.reading import Document, Read, Unusable, document, from_pairs
from earmark.suspects.http.service import json_body
from earmark.suspects.http.transport import Request, Response, Silence, canonical_address
from earmark.suspects.protocol import Miss

_SENT = {PICTURE: PNG, TEXT: PLAIN, RECORDING: WAV}


class HuggingFaceService:
    """A service of the task image-, audio- or text-classification; see ``Service``.

    Args:
        url: Its address.
        headers: With placeholders for credentials.
        credentials: For them.
        key_names: Classes of the key: such a service names the likeliest classes only.
        fallback: How inputs are read that are no pictures; else whatever it is.

    Raises:
        FormatError: There is no key whose classes they could be.
        ValueError: Such services are not asked with rows of tables.
    """

    gives_probabilities = True
    form_count = 1

    def __init__(
        self,
        url: str,
        headers: dict[str, str],
        credentials: Credentials,
        key_names: tuple[str, ...],
        fallback: InputPreparation | None = None,
    ) -> None:
        self.kind, self._fallback = kind_for(fallback), fallback
        if self.kind not in _SENT:
            raise ValueError(
                f"services named by their address are not sent a {self.kind}, but for "
                "https://HOST/…/v2/models/NAME; describe this one in a mapping"
            )
        if not key_names:
            raise FormatError("this service does not list its classes; say class_names in its terms")
        check_form(_SENT[self.kind], fallback)
        self._url, self._headers, self._credentials = url, headers, credentials
        address = canonical_address(url)
        self.name = f"the service at {address}"
        self.identity = f"api:{address} as hugging-face"
        self.class_names: tuple[str, ...] | None = key_names
        self.class_count = len(key_names)
        self.preprocessing = f"the service's own; it is sent {_SENT[self.kind]}"
        self.about: Mapping[str, Json] = {"protocol": "hugging-face", "address": address, "mapping": None}

    def request(self, value: npt.NDArray[Any]) -> Request:
        """See ``Service``."""
        filled = [(name, self._credentials.fill(text)) for name, text in self._headers.items()]
        form = _SENT[self.kind]
        if form in FILES:
            kind, body = FILES[form], file_of(value, form, self._fallback)
        else:
            kind, body = "application/json", json_body({"inputs": str(value)})
        return Request("POST", self._url, (("Content-Type", kind), *filled), body)

    def read(self, outcome: Response | Silence) -> Read:
        """See ``Service``."""
        found = document(outcome)
        if not isinstance(found, Document):
            return found
        rows: Any = found.value
        if isinstance(rows, list) and len(rows) == 1 and isinstance(rows[0], list):
            rows = rows[0]  # some servers answer as if to a batch
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            return Unusable(Miss.ERROR, "it does not answer with a list of labels and scores")
        return from_pairs([(row.get("label"), row.get("score")) for row in rows], self.class_names or ())
