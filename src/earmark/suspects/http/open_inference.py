"""Services of the Open Inference Protocol, version 2: KServe, Triton, MLServer and others.

The service's own description says what it reads and what it answers. Numbers that are not bytes need a
preprocessing: the transcript's, or one that the checker picks and pays for.

Source:
    Open Inference Protocol, version 2, HTTP/REST (inference and model metadata)
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from earmark.commitment.canonical import Json
from earmark.commitment.reading import Fields
from earmark.errors import FormatError
from earmark.models.columns import shortest
from earmark.models.preprocessing import AsTheyAre, InputPreparation, Preprocessing
from earmark.suspects.frames import CLASS_LIMIT
from earmark.suspects.http.credentials import Credentials
from earmark.suspects.http.inputs import PICTURE, ROW, TEXT, kind_for
from earmark.suspects.http.reading import (
    Document,
    Read,
    Unusable,
    document,
    from_label,
    from_number,
    from_scores,
)
from earmark.suspects.http.service import json_body
from earmark.suspects.http.transport import Request, Response, Silence, canonical_address
from earmark.suspects.protocol import Miss
from earmark.suspects.release import choose_preparation

_PATH = re.compile(r"(.*/v2/models/[^/?#]+(?:/versions/[^/?#]+)?)(?:/infer)?/?")
_FLOATS = ("FP16", "FP32", "FP64", "BF16")
_WHOLE = ("INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64")
_NAME_LIMIT = 1000
_RANK_LIMIT = 8


@dataclass(frozen=True, slots=True)
class Tensor:
    """One input or output as the service describes it; unknown dimensions are -1."""

    name: str
    datatype: str
    shape: tuple[int, ...]


def model_address(url: str) -> str | None:
    """Return the address of the model if this is one of the Open Inference Protocol, else None.

    Example:
        >>> model_address("https://host/v2/models/digits/infer")
        'https://host/v2/models/digits'
    """
    found = _PATH.fullmatch(url)
    return found[1] if found else None


@dataclass(frozen=True, slots=True)
class ModelAddress:
    """What is known of a model before it is asked: its name in words, its identity, how it is asked."""

    name: str
    identity: str
    about: Mapping[str, Json]


def describe_model(address: str) -> ModelAddress:
    """Return what is known of the model at an address."""
    shown = canonical_address(address)
    about: dict[str, Json] = {"protocol": "open-inference-v2", "address": shown, "mapping": None}
    return ModelAddress(f"the model at {shown}", f"api:{shown} as open-inference-v2", about)


class OpenInferenceService:
    """A model behind the Open Inference Protocol; see ``Service``.

    Args:
        address: Of the model, without ``/infer``.
        metadata: What it says of itself: the JSON value at that address.
        headers: With placeholders for credentials.
        credentials: For them.
        key_names: Classes of the key, for answers that are names.
        picked: Preprocessing that the checker picked, or None.
        fallback: The transcript's, or how inputs are read that are no pictures; or None.

    Raises:
        FormatError: The description is malformed or of no classifier of such inputs, or nothing says how
            pictures become its numbers.
    """

    gives_probabilities = False
    form_count = 1

    def __init__(
        self,
        address: str,
        metadata: Any,
        headers: dict[str, str],
        credentials: Credentials,
        key_names: tuple[str, ...],
        *,
        picked: Preprocessing | None,
        fallback: InputPreparation | None,
    ) -> None:
        self._address, self._headers, self._credentials = address, headers, credentials
        known = describe_model(address)
        self.name, self.identity, self.about = known.name, known.identity, known.about
        inputs, self._outputs = _tensors(metadata, "inputs"), _tensors(metadata, "outputs")
        if len(inputs) != 1:
            raise FormatError(
                f"{self.name} does not say what its one input is ({len(inputs)} inputs); describe it in a "
                "mapping"
            )
        self._input = inputs[0]
        self._preparation: InputPreparation | None = None
        self.kind = kind_for(fallback)
        if self.kind == TEXT:
            if self._input.datatype != "BYTES":
                raise FormatError(f"{self.name} reads no texts, but {self._input.datatype[:20]!r}")
            self.preprocessing = "the service's own; it is sent texts"
        elif self._input.datatype == "UINT8" and self.kind == PICTURE:
            if picked is not None:
                raise ValueError("this service reads bytes: it takes no preprocessing")
            self.preprocessing = "the service's own; it is sent pixels 0-255"
        elif self._input.datatype in _FLOATS:
            self._preparation, source = choose_preparation(None, picked, fallback)
            self.preprocessing = f"{source}: {self._preparation}"
        else:
            raise FormatError(f"{self.name} reads no {self.kind}, but {self._input.datatype[:20]!r}")
        if isinstance(fallback, AsTheyAre) and fallback.size:
            self._shape(fallback.size)
        self._output = self._chosen_output()
        is_named = self._output.datatype == "BYTES"
        self.class_names: tuple[str, ...] | None = tuple(key_names) if is_named else None
        stated = self._output.shape[-1] if self._output.shape else -1
        self.class_count = stated if self._output.datatype in _FLOATS and stated > 1 else len(key_names)
        if not 2 <= self.class_count <= CLASS_LIMIT:
            raise FormatError(f"{self.name} does not say how many classes it has; describe it in a mapping")

    def request(self, value: npt.NDArray[Any]) -> Request:
        """See ``Service``."""
        data: list[Any]
        if self.kind == TEXT:
            data = [str(value)]
        elif self.kind == ROW:
            data = [shortest(number) for number in value]
        else:
            numbers = self._numbers(value)
            data = numbers.ravel().tolist()
        shape = [1, *numbers.shape] if self.kind == PICTURE else self._shape(len(data))
        described = {
            "name": self._input.name,
            "shape": shape,
            "datatype": self._input.datatype,
            "data": data,
        }
        body = json_body({"inputs": [described], "outputs": [{"name": self._output.name}]})
        filled = [(name, self._credentials.fill(text)) for name, text in self._headers.items()]
        return Request(
            "POST", f"{self._address}/infer", (("Content-Type", "application/json"), *filled), body
        )

    def _shape(self, size: int) -> list[int]:
        """Return the shape of an input of so many numbers or texts; FormatError if it fits none."""
        if len(self._input.shape) < 2:
            return [1] if self.kind == TEXT else [1, size]
        rest = list(self._input.shape[1:])
        known = math.prod(length for length in rest if length != -1)
        # One dimension holds them; what is left open beside it is 1.
        for place in [place for place, length in enumerate(rest) if length in (-1, size)][-1:]:
            if known == (size if rest[place] == size else 1):
                return [1, *(size if at == place else 1 for at in range(len(rest)))]
        raise FormatError(f"{self.name} reads {self.kind}s of the shape {rest}, and the key's are of {size}")

    def read(self, outcome: Response | Silence) -> Read:
        """See ``Service``."""
        found = document(outcome)
        if not isinstance(found, Document):
            return found
        outputs = found.value.get("outputs") if isinstance(found.value, dict) else None
        named = [
            output
            for output in (outputs if isinstance(outputs, list) else [])
            if isinstance(output, dict) and output.get("name") == self._output.name
        ]
        if len(named) != 1:
            return Unusable(
                Miss.ERROR, f"its response does not hold the output {self._output.name[:60]!r} once"
            )
        data = _flat(named[0].get("data"))
        if named[0].get("datatype") != self._output.datatype or data is None:
            return Unusable(Miss.ERROR, "its output is not of the kind that it describes")
        return self._answer(data)

    def _answer(self, data: list[Any]) -> Read:
        if self._output.datatype in _FLOATS:
            return from_scores(data, self.class_count)
        if len(data) != 1:
            return Unusable(Miss.ERROR, "it does not give one class for one input")
        if self._output.datatype in _WHOLE:
            return from_number(data[0], self.class_count)
        return from_label(data[0], self.class_names or ())

    def _chosen_output(self) -> Tensor:
        """Return the first output that can be an answer, scores before classes: nobody chooses."""
        for kinds in (_FLOATS, _WHOLE, ("BYTES",)):
            for output in self._outputs:
                if output.datatype in kinds:
                    return output
        raise FormatError(f"{self.name} does not say what it answers with; describe it in a mapping")

    def _numbers(self, pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
        shape = self._input.shape[1:]
        if self._preparation is not None:
            value: npt.NDArray[Any] = self._preparation(pixels[None])[0]
        else:
            is_planes = len(shape) == 3 and shape[0] == pixels.shape[2] != shape[2]
            value = pixels.transpose(2, 0, 1) if is_planes else pixels
        return value.ravel() if len(shape) == 1 else value


def _tensors(metadata: Any, name: str) -> tuple[Tensor, ...]:
    if not isinstance(metadata, dict):
        raise FormatError("the service's description of its model is not an object")
    found = metadata.get(name)
    if found is None:
        return ()
    tensors = []
    for item in Fields(metadata, "the service's description").list(name, 0, 64):
        fields = Fields(item, name)
        shape = fields.list("shape", 0, _RANK_LIMIT)
        if not all(type(size) is int and -1 <= size < 1 << 31 for size in shape):
            raise FormatError("the service describes a shape that is none")
        tensors.append(Tensor(fields.text("name", _NAME_LIMIT), fields.text("datatype", 20), tuple(shape)))
    return tuple(tensors)


def _flat(value: Any, depth: int = 0) -> list[Any] | None:
    if not isinstance(value, list) or depth > _RANK_LIMIT:
        return None
    flat: list[Any] = []
    for item in value:
        if isinstance(item, list):
            inner = _flat(item, depth + 1)
            if inner is None:
                return None
            flat += inner
        else:
            flat.append(item)
    return flat
