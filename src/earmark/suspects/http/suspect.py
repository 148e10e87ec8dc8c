"""A service as a suspect, and from names to services.

A question is put once. What comes back first is the answer: a refusal, an error, a shape that is none are
misses. The suspect raises only where asking on would be pointless, and where it can before a question is used
up: the service cannot be reached, what it says has never once been usable, or the budget is at its end.
"""

import asyncio
import weakref
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np

from earmark.errors import SuspectError
from earmark.models.preprocessing import InputPreparation, Preprocessing
from earmark.suspects.http.asking import Asker
from earmark.suspects.http.credentials import Credentials
from earmark.suspects.http.hugging_face import HuggingFaceService
from earmark.suspects.http.inputs import check_kind, input_digest
from earmark.suspects.http.mapped import MappedService
from earmark.suspects.http.mapping import load_mapping
from earmark.suspects.http.mixing import OrdinaryInputs
from earmark.suspects.http.open_inference import OpenInferenceService, describe_model, model_address
from earmark.suspects.http.reading import Document, Read, Unusable, document
from earmark.suspects.http.service import Service
from earmark.suspects.http.terms import METADATA, ORDINARY, QUESTION, Terms
from earmark.suspects.http.transport import Request, Transport, check_address
from earmark.suspects.scoring import AnswersFromScores, Said

# After so many without one that helped, asking on would only use questions up.
_UNANSWERED_LIMIT = 3
_UNUSABLE_LIMIT = 3


class HttpSuspect(AnswersFromScores):
    """A service that is asked over HTTP.

    Args:
        service: How it is asked and understood.
        asker: Who asks it.
        transport: The connections; they are closed with the suspect.
        terms: On which it is asked.
    """

    is_remote = True

    def __init__(self, service: Service, asker: Asker, transport: Transport, terms: Terms) -> None:
        self._service, self._asker, self._transport = service, asker, transport
        self._ordinary = OrdinaryInputs(terms.ordinary, terms.ordinary_share)
        self._places = asyncio.Semaphore(terms.connections)
        self._unusable_count, self._reason = 0, "no answer"
        self._was_usable = False
        self._mixed_in: list[Any] = []
        self.name, self.identity = service.name, service.identity
        self.class_names, self.class_count = service.class_names, service.class_count
        self.preprocessing = service.preprocessing
        self.gives_probabilities = service.gives_probabilities
        self.form_count = service.form_count
        self.constants: tuple[str, ...] = getattr(service, "constants", ())
        self.window = terms.connections
        self._stop = weakref.finalize(self, transport.close)

    @property
    def again_count(self) -> int:
        """How many requests were sent again because nothing had come back, those of earlier runs included."""
        return self._asker.again_count

    @property
    def unrecorded_count(self) -> int:
        """How many questions the journal holds that the record does not: somebody removed it."""
        return self._asker.unrecorded_count

    def prepare(self, inputs: Sequence[Any]) -> None:
        """Get ready to put these questions: nothing is used up if this raises.

        Ordinary inputs are drawn here, and put among the questions: all of them leave after the journal was
        written, in an order that chance draws, so that nobody can tell by rhythm which matter. Only as long
        as the service has not answered usably at all, they are put before.

        Args:
            inputs: What is put next.

        Raises:
            ValueError: An input is not of the kind that the service is sent.
            BudgetError: The budget does not suffice.
            SuspectError: The service does not answer, or never usably.
        """
        self._check_reachable()
        ordinary = self._ordinary.draw(len(inputs))
        for value in (*inputs, *ordinary):
            check_kind(self._service.kind, np.asarray(value))
        self._asker.check_budget(len(inputs) + len(ordinary))
        has_ordinary = bool(ordinary)
        while ordinary and not self._was_usable and self._unusable_count < _UNUSABLE_LIMIT:
            for _ in self._put([(ordinary.pop(), ORDINARY)]):
                pass
        if has_ordinary and not self._was_usable:
            raise SuspectError(f"{self.name} does not answer an ordinary input: {self._reason}")
        self._mixed_in = ordinary

    def check_budget(self, count: int) -> None:
        """Raise BudgetError unless so many more requests may be sent."""
        self._asker.check_budget(count)

    def close(self) -> None:
        """End all connections."""
        self._stop()

    def _question(self, inputs: Sequence[Any]) -> Iterator[Said]:
        order = self._ordinary.among(len(inputs), len(self._mixed_in))
        questions, mixed_in = iter(inputs), iter(self._mixed_in)
        self._mixed_in = []
        batch = [(next(questions), QUESTION) if place else (next(mixed_in), ORDINARY) for place in order]
        for purpose, read in self._put(batch):
            if purpose == QUESTION:
                yield read.miss if isinstance(read, Unusable) else read

    def _put(self, batch: Sequence[tuple[Any, str]]) -> Iterator[tuple[str, Read]]:
        waiting: deque[tuple[str, Future[Read]]] = deque()
        try:
            for value, purpose in batch:
                if len(waiting) == 2 * self.window:
                    begun, future = waiting.popleft()
                    yield begun, future.result()
                one = self._one(np.asarray(value), purpose)
                waiting.append((purpose, self._transport.submit(one)))
            while waiting:
                begun, future = waiting.popleft()
                yield begun, future.result()
        finally:
            for _, future in waiting:
                future.cancel()
            self._asker.sync()  # once for all: nobody has the last of them before

    async def _one(self, value: Any, purpose: str) -> Read:
        async with self._places:
            # Here and not only before: many questions may be waiting when a service falls silent.
            self._check_reachable()
            outcome = await self._asker.ask(self._service.request(value), purpose, input_digest(value))
            read = self._service.read(outcome)
            if isinstance(read, Unusable):
                self._unusable_count += 1
                self._reason = read.reason
            else:
                self._was_usable = True
            return read

    def _check_reachable(self) -> None:
        if self._asker.counts.unanswered >= _UNANSWERED_LIMIT:
            raise SuspectError(f"{self.name} does not answer: {self._asker.counts.reason}; try again later")
        if self._unusable_count >= _UNUSABLE_LIMIT and not self._was_usable:
            raise SuspectError(
                f"{self.name} has not answered usably once: {self._reason}; is it asked in the right way? "
                "With --mix-with DATA the first question is an ordinary one"
            )


def open_url(
    url: str,
    *,
    preprocessing: Preprocessing | None = None,
    fallback: InputPreparation | None = None,
    terms: Terms | None = None,
) -> HttpSuspect:
    """Return the service at an address.

    ``…/v2/models/NAME`` is asked by the Open Inference Protocol, everything else in the style of Hugging Face
    inference; for services that speak otherwise a mapping says how.

    Args:
        url: Without credentials and query.
        preprocessing: Picked by the checker and paid for; or None.
        fallback: The transcript's, for services that read numbers; or how inputs are read that are no
            pictures; or None.
        terms: On which it is asked.

    Raises:
        ValueError: The address is none, holds credentials or a query, or takes no preprocessing.
        FormatError: It describes itself in a way that is not understood.
        SuspectError: It does not answer.
        MissingExtraError: httpx2 is not installed.
    """
    terms = terms or Terms()
    check_address(url, allow_plain_http=terms.allow_plain_http)
    if "?" in url:
        raise ValueError("an address with a query may hold credentials; describe the service in a mapping")
    headers = {}
    if terms.bearer_variable is not None:
        headers["Authorization"] = f"Bearer {{{{env:{terms.bearer_variable}}}}}"
    credentials = Credentials(terms.environment, terms.bearer_variable)
    for text in headers.values():
        credentials.fill(text)  # whether the variable is set is noticed before anything is sent
    address = model_address(url)
    transport = Transport(url, terms.connections)
    try:
        if address is None:
            if preprocessing is not None:
                raise ValueError("this service takes no preprocessing: it is sent inputs as they are")
            service: Service = HuggingFaceService(url, headers, credentials, terms.class_names, fallback)
            return _suspect(service, transport, terms, credentials)
        known = describe_model(address)
        asker = Asker(transport, terms, credentials, known.identity, known.about)
        filled = tuple((name, credentials.fill(text)) for name, text in headers.items())
        metadata = _metadata(known.name, Request("GET", address, filled), asker, transport)
        service = OpenInferenceService(
            address,
            metadata,
            headers,
            credentials,
            terms.class_names,
            picked=preprocessing,
            fallback=fallback,
        )
        return HttpSuspect(service, asker, transport, terms)
    except BaseException:
        transport.close()
        raise


def open_mapping(
    path: Path,
    *,
    preprocessing: Preprocessing | None = None,
    fallback: InputPreparation | None = None,
    terms: Terms | None = None,
) -> HttpSuspect:
    """Return the service that a mapping describes (docs/formats/api-mapping-v1.md).

    Args:
        path: The mapping, .toml or .json.
        preprocessing: As for ``open_url``, for mappings with preprocessed numbers.
        fallback: The transcript's, or how inputs are read that are no pictures; or None.
        terms: On which it is asked.

    Raises:
        FormatError: The mapping is malformed.
        ValueError: It takes no preprocessing, or its address may not be asked.
        SuspectError: A credential is not in the environment.
        MissingExtraError: httpx2 or jmespath is not installed.
    """
    terms = terms or Terms()
    if terms.bearer_variable is not None:
        raise ValueError(
            "--bearer-from is for services named by their address; a mapping has headers of its own"
        )
    credentials = Credentials(terms.environment)
    mapping = load_mapping(path, check_name=credentials.check_name)
    check_address(mapping.url, allow_plain_http=terms.allow_plain_http)
    service = MappedService(mapping, credentials, terms.class_names, preprocessing, fallback)
    service.fill_credentials()
    transport = Transport(mapping.url, terms.connections)
    try:
        return _suspect(service, transport, terms, credentials)
    except BaseException:
        transport.close()
        raise


def _suspect(service: Service, transport: Transport, terms: Terms, credentials: Credentials) -> HttpSuspect:
    asker = Asker(transport, terms, credentials, service.identity, service.about)
    return HttpSuspect(service, asker, transport, terms)


def _metadata(name: str, request: Request, asker: Asker, transport: Transport) -> Any:
    asker.check_budget(1)
    found = document(transport.submit(asker.ask(request, METADATA, None)).result())
    asker.sync()
    if not isinstance(found, Document):
        raise SuspectError(f"{name} does not say what it reads: {found.reason}")
    return found.value
