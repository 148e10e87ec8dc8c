"""What a service is to the suspect that asks it."""

import json
from collections.abc import Mapping
from typing import Any, Protocol

import numpy.typing as npt

from earmark.commitment.canonical import Json
from earmark.suspects.http.reading import Read
from earmark.suspects.http.transport import Request, Response, Silence


class Service(Protocol):
    """How one service is asked and understood.

    Attributes:
        name: In words.
        kind: Of its inputs: ``picture``, ``text``, ``row`` or ``recording``.
        identity: What identifies it, without credentials.
        class_names: In the order of the answers, or None.
        class_count: How many.
        preprocessing: What becomes of an input, in words.
        gives_probabilities: Whether its scores are probabilities whatever they look like.
        form_count: Forms of an input that whoever described the service could choose from.
        about: How it is asked, for the record; without credentials.
    """

    name: str
    kind: str
    identity: str
    class_names: tuple[str, ...] | None
    class_count: int
    preprocessing: str
    gives_probabilities: bool
    form_count: int
    about: Mapping[str, Json]

    def request(self, value: npt.NDArray[Any]) -> Request:
        """Return the request that puts an input, credentials included.

        Args:
            value: A picture, uint8 ``(height, width, channels)``; a row, float32 ``(columns,)``; a recording,
                int16 ``(samples,)``; or a text, an array of no dimension.
        """
        ...

    def read(self, outcome: Response | Silence) -> Read:
        """Return what a response says; it never raises."""
        ...


def json_body(value: Any) -> bytes:
    """Return a JSON body as it is sent."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
