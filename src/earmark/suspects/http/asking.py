"""Tries, pauses, the budget, and the record of each.

A question is sent again only while nothing came back: a network failure, or a service that says it is busy
(429, 502, 503, 504) and not what it thinks of the input. The first real response is final, however
strange, an error of the service's own (500) among them: a model that fails on an input says so. So a service
wins nothing by stalling: it sees the same question again, and answers or loses it. And whoever sits on the
line and drops answers that displease him gets a bounded number of tries, every one of which stands in the
record and is counted in the remarks.
"""

import asyncio
import hashlib
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from earmark.commitment.canonical import Json
from earmark.errors import BudgetError
from earmark.suspects.http.credentials import Credentials
from earmark.suspects.http.terms import MemoryRecord, Received, Record, Terms
from earmark.suspects.http.transport import Request, Response, Silence, Transport

_BUSY = frozenset({429, 502, 503, 504})
_PAUSE_LIMIT_SECONDS = 30.0
_RANDOM = secrets.SystemRandom()


@dataclass(slots=True)
class Counts:
    """What happened last in this run.

    Attributes:
        unanswered: Questions in a row to which nothing ever came back.
        reason: Why, the last time.
    """

    unanswered: int = 0
    reason: str = ""


class Asker:
    """Asks one service on given terms.

    Args:
        transport: The connections to it.
        terms: On which it is asked.
        credentials: What is replaced in everything that is written.
        suspect: What identifies it, for the record.
        about: How it is asked, for the record.

    Attributes:
        counts: What happened last in this run.
        unrecorded_count: Questions that were put before, by the journal, and are not in the record.
    """

    def __init__(
        self,
        transport: Transport,
        terms: Terms,
        credentials: Credentials,
        suspect: str,
        about: Mapping[str, Json],
    ) -> None:
        self._transport = transport
        self._terms = terms
        self._credentials = credentials
        self._record: Record = terms.record if terms.record is not None else MemoryRecord()
        self._suspect, self._about = suspect, about
        self._has_begun = False
        recorded, journalled = self._record.query_count(suspect), terms.asked_before(suspect)
        # Whoever removes the record shall not begin with a new budget: the journal has the questions too.
        self._query_count = max(recorded, journalled)
        self.unrecorded_count = max(0, journalled - recorded)
        self._next_turn = 0.0
        self.counts = Counts()

    @property
    def again_count(self) -> int:
        """How many requests were ever sent again to this suspect because nothing had come back."""
        return self._record.again_count(self._suspect)

    def check_budget(self, count: int) -> None:
        """Raise BudgetError unless so many more requests may be sent."""
        limit = self._terms.query_limit
        if limit is not None and self._query_count + count > limit:
            raise BudgetError(
                f"the budget of {limit:,} queries is used up: {self._query_count:,} were sent. What was "
                "answered is kept; run the same command with a larger budget to go on"
            )

    def sync(self) -> None:
        """Have the record on the disk: to be called before what ``ask`` returned is used."""
        self._record.sync()

    async def ask(self, request: Request, purpose: str, input_digest: str | None) -> Response | Silence:
        """Put one question: once, or again as long as nothing comes back.

        Args:
            request: What is sent, credentials included.
            purpose: ``question``, ``ordinary`` or ``metadata``.
            input_digest: Of the input, hexadecimal; or None.

        Returns:
            The first response; the last sign of a busy service or the last silence if none came.
        """
        digest = hashlib.sha256(self._credentials.redact(request.body)).hexdigest()
        patience = self._terms.patience_seconds
        outcome: Response | Silence = Silence("the budget is used up")
        for attempt in range(1, self._terms.try_limit + 1):
            limit = self._terms.query_limit
            if limit is not None and self._query_count >= limit:
                break
            await self._turn()
            outcome = await self._try(request, purpose, input_digest, digest, attempt)
            pause = self._pause_after(outcome, attempt)
            if pause is None:
                break
            if attempt == self._terms.try_limit or pause > patience:
                break
            patience -= pause
            await asyncio.sleep(pause)
        self._count(outcome)
        return outcome

    async def _try(
        self, request: Request, purpose: str, input_digest: str | None, digest: str, attempt: int
    ) -> Response | Silence:
        if not self._has_begun:
            self._record.begin(self._suspect, self._about)
            self._has_begun = True
        self._query_count += 1
        sent = self._record.sent(purpose, input_digest, digest, attempt)
        began = time.monotonic()
        outcome = await self._transport.exchange(request, self._terms.try_seconds)
        milliseconds = round(1000 * (time.monotonic() - began))
        hidden = self._credentials
        if isinstance(outcome, Silence):
            self._record.failed(sent, hidden.redact_line(outcome.reason), milliseconds)
        else:
            content_type = hidden.redact_line(outcome.content_type)
            body = hidden.redact(outcome.body)
            self._record.received(
                sent, Received(outcome.status, content_type, body, outcome.whole, milliseconds)
            )
        return outcome

    async def _turn(self) -> None:
        """Wait until the pace allows another request."""
        if self._terms.questions_per_second is None:
            return
        now = time.monotonic()
        turn = max(now, self._next_turn)
        self._next_turn = turn + float(1 / self._terms.questions_per_second)
        await asyncio.sleep(turn - now)

    def _pause_after(self, outcome: Response | Silence, attempt: int) -> float | None:
        """Return how long to wait before the next try; None if there is to be none."""
        if isinstance(outcome, Silence):
            if outcome.is_final:
                return None
            asked_for = 0.0
        elif outcome.status in _BUSY:
            asked_for = seconds_to_wait(outcome.retry_after)
        else:
            return None
        own = min(_PAUSE_LIMIT_SECONDS, self._terms.pause_seconds * 2.0 ** (attempt - 1))
        # Spread, so that many questions at once do not come back at once.
        return max(asked_for, own * _RANDOM.uniform(0.5, 1.0))

    def _count(self, outcome: Response | Silence) -> None:
        if isinstance(outcome, Silence):
            self.counts.unanswered += 1
            self.counts.reason = outcome.reason
        elif outcome.status in _BUSY:
            self.counts.unanswered += 1
            self.counts.reason = f"it says it is busy (HTTP {outcome.status})"
        else:
            self.counts.unanswered = 0


def seconds_to_wait(text: str) -> float:
    """Return what a ``Retry-After`` header asks for, in seconds: a number, or a date; else 0.

    Example:
        >>> seconds_to_wait("3"), seconds_to_wait("soon")
        (3.0, 0.0)
    """
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text[:12])
    try:
        moment = parsedate_to_datetime(text[:100])
    except (ValueError, IndexError, OverflowError):
        return 0.0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
