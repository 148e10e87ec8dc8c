"""On which terms a service is asked, and who writes down what was sent and came back."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

from earmark.commitment.canonical import Json

QUESTION, ORDINARY, METADATA = "question", "ordinary", "metadata"
CONNECTION_LIMIT = 64


@dataclass(frozen=True, slots=True)
class Received:
    """What came back, with every credential replaced.

    Attributes:
        status: The HTTP status.
        content_type: One line.
        body: What was read.
        whole: Whether that is all of it.
        milliseconds: From the first byte sent.
    """

    status: int
    content_type: str
    body: bytes
    whole: bool
    milliseconds: int


class Record(Protocol):
    """Who writes down every request and what came of it, before anything else happens."""

    def begin(self, suspect: str, about: Mapping[str, Json]) -> None:
        """Write down that this suspect is about to be questioned, and how."""
        ...

    def query_count(self, suspect: str) -> int:
        """Return how many requests were ever sent to this suspect."""
        ...

    def again_count(self, suspect: str) -> int:
        """Return how many of them were sent again because nothing had come back."""
        ...

    def sent(self, purpose: str, input_digest: str | None, request_digest: str, attempt: int) -> int:
        """Write a request down before it leaves, and return its number."""
        ...

    def received(self, sent: int, received: Received) -> None:
        """Write down what came back."""
        ...

    def failed(self, sent: int, reason: str, milliseconds: int) -> None:
        """Write down that nothing came back."""
        ...

    def sync(self) -> None:
        """Have everything on the disk: before what came back is used."""
        ...


class MemoryRecord:
    """Counts and forgets: for suspects that are opened without a key, and so without a place for a record."""

    def __init__(self) -> None:
        self._count = self._again_count = 0

    def begin(self, suspect: str, about: Mapping[str, Json]) -> None:
        """Do nothing."""

    def query_count(self, suspect: str) -> int:  # noqa: ARG002 - it is the only one
        """Return how many requests were sent."""
        return self._count

    def again_count(self, suspect: str) -> int:  # noqa: ARG002 - it is the only one
        """Return how many of them were sent again."""
        return self._again_count

    def sent(self, purpose: str, input_digest: str | None, request_digest: str, attempt: int) -> int:  # noqa: ARG002 - forgotten
        """Count a request."""
        self._count += 1
        self._again_count += attempt > 1
        return self._count

    def received(self, sent: int, received: Received) -> None:
        """Do nothing."""

    def failed(self, sent: int, reason: str, milliseconds: int) -> None:
        """Do nothing."""

    def sync(self) -> None:
        """Do nothing."""


@dataclass(frozen=True)
class Terms:
    """On which terms a service is asked.

    Attributes:
        class_names: The key's, for services that answer with names and list none.
        record: Where requests and responses are written down; None counts them only.
        questions_per_second: The most requests per second, ordinary ones included; None for no limit.
        query_limit: The most requests to this suspect, earlier runs included; None for no limit.
        connections: How many requests may be under way at once. More than one makes windows: so many
            questions are journalled before the first of them leaves, and all of them count.
        ordinary: Inputs of the same shape as the triggers, to mix in; empty for none.
        ordinary_share: What share of all questions they are to be, 0 up to but not 1.
        allow_plain_http: Allow http:// beyond this machine.
        bearer_variable: Environment variable with a token, for services that are named by their address.
        environment: Looks an environment variable up.
        asked_before: How many questions were put to a suspect in earlier runs, by the journal: the budget
            counts them even if the record is gone.
        try_limit: How often a question is sent at most when nothing comes back.
        try_seconds: For each try, from the connection to the last byte.
        patience_seconds: For all pauses between the tries of one question.
        pause_seconds: The first pause; later ones double.
    """

    class_names: tuple[str, ...] = ()
    record: Record | None = None
    questions_per_second: Fraction | None = None
    query_limit: int | None = None
    connections: int = 1
    ordinary: Sequence[Any] = ()
    ordinary_share: float = 0.0
    allow_plain_http: bool = False
    bearer_variable: str | None = None
    environment: Callable[[str], str | None] = os.environ.get
    asked_before: Callable[[str], int] = lambda suspect: 0
    try_limit: int = 5
    try_seconds: float = 60.0
    patience_seconds: float = 120.0
    pause_seconds: float = 0.5

    def __post_init__(self) -> None:
        if not 1 <= self.connections <= CONNECTION_LIMIT:
            raise ValueError(f"connections must be 1 to {CONNECTION_LIMIT}, not {self.connections}")
        if not 0 <= self.ordinary_share < 1:
            raise ValueError(
                f"the share of ordinary inputs is from 0 up to but not 1, not {self.ordinary_share}"
            )
        if self.ordinary_share and not len(self.ordinary):
            raise ValueError("a share of ordinary inputs needs ordinary inputs to mix in")
        if self.questions_per_second is not None and self.questions_per_second <= 0:
            raise ValueError("questions per second must be more than 0")
        if self.query_limit is not None and self.query_limit < 1:
            raise ValueError("the budget must allow at least 1 query")
