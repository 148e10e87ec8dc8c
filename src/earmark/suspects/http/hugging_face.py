"""Services in the style of Hugging Face inference: the bytes of a picture in, labels with scores out."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from earmark.commitment.canonical import Json
from earmark.errors import FormatError
from earmark.suspects.http.credentials import Credentials
from earmark.suspects.http.pictures import MEDIA_TYPES, PNG, picture_file
from earmark.suspects.http.reading import Document, Read, Unusable, document, from_pairs
from earmark.suspects.http.transport import Request, Response, Silence, canonical_address
from earmark.suspects.protocol import Miss


class HuggingFaceService:
    """A service of the task image-classification; see ``Service``.

    Args:
        url: Its address.
        headers: With placeholders for credentials.
        credentials: For them.
        key_names: Classes of the key: such a service names the likeliest classes only.

    Raises:
        FormatError: There is no key whose classes they could be.
    """

    gives_probabilities = True
    form_count = 1

    def __init__(
        self, url: str, headers: dict[str, str], credentials: Credentials, key_names: tuple[str, ...]
    ) -> None:
        if not key_names:
            raise FormatError("this service does not list its classes; say class_names in its terms")
        self._url, self._headers, self._credentials = url, headers, credentials
        address = canonical_address(url)
        self.name = f"the service at {address}"
        self.identity = f"api:{address} as hugging-face"
        self.class_names: tuple[str, ...] | None = key_names
        self.class_count = len(key_names)
        self.preprocessing = "the service's own; it is sent png"
        self.about: Mapping[str, Json] = {"protocol": "hugging-face", "address": address, "mapping": None}

    def request(self, pixels: npt.NDArray[np.uint8]) -> Request:
        """See ``Service``."""
        filled = [(name, self._credentials.fill(text)) for name, text in self._headers.items()]
        headers = (("Content-Type", MEDIA_TYPES[PNG]), *filled)
        return Request("POST", self._url, headers, picture_file(pixels, PNG))

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
