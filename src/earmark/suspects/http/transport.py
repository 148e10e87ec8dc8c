"""One request and its response: bounded in time and size, to the named host and nowhere else.

Redirects are never followed: a credential must not reach another host, and a service that sends questions
elsewhere is not the suspect. What is compressed is unpacked within the same bound. The deadline covers all of
an exchange, so that a server which sends a byte now and then gains nothing.
"""

import asyncio
import logging
import ssl
import threading
import zlib
from collections.abc import Coroutine
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

from earmark.errors import MissingExtraError

RESPONSE_LIMIT_BYTES = 1 << 20
_CONNECT_SECONDS = 10.0
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Request:
    """One request, credentials included.

    Attributes:
        method: ``POST``, ``PUT`` or ``GET``.
        url: Where to.
        headers: Names and values.
        body: What is sent.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Response:
    """What came back.

    Attributes:
        status: The HTTP status.
        content_type: In small letters, without parameters.
        retry_after: The header of that name, or "".
        body: What was read, unpacked.
        whole: Whether that is all of it.
    """

    status: int
    content_type: str
    retry_after: str = ""
    body: bytes = b""
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Silence:
    """Nothing came back.

    Attributes:
        reason: Why.
        is_final: Whether another try is of no use.
    """

    reason: str
    is_final: bool = False


def is_loopback(url: str) -> bool:
    """Return whether an address is this machine's own."""
    return (urlsplit(url).hostname or "") in _LOOPBACK


class Transport:
    """Connections to one service, in a thread of their own.

    Args:
        url: Of the service; proxies of the environment are used unless it is this machine.
        connections: How many at once.

    Raises:
        MissingExtraError: httpx2 is not installed.
    """

    def __init__(self, url: str, connections: int = 1) -> None:
        try:
            import httpx2
        except ImportError as error:
            raise MissingExtraError("httpx2", "http") from error
        # Their lines name addresses and headers, credentials included.
        for name in ("httpx2", "httpcore2"):
            logging.getLogger(name).setLevel(logging.WARNING)
        self._library = httpx2
        self._trusts_environment = not is_loopback(url)
        self._connections = connections
        self._client: httpx2.AsyncClient | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="http suspect", daemon=True)
        self._thread.start()

    def submit(self, work: Coroutine[Any, Any, _Result]) -> "Future[_Result]":
        """Begin work in the thread of the connections."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def exchange(self, request: Request, seconds: float) -> Response | Silence:
        """Send a request once and return what comes back.

        A response begins with its first line; from then on whatever happens is part of it.

        Args:
            request: What is sent.
            seconds: For all of it.
        """
        begun: list[Response] = []
        body = bytearray()
        try:
            async with asyncio.timeout(seconds):
                return await self._exchange(request, begun, body)
        except TimeoutError:
            reason = f"no answer within {seconds:g} seconds"
        except (
            self._library.HTTPError,
            self._library.InvalidURL,
            ssl.SSLError,
            OSError,
            ValueError,
        ) as error:
            if _is_about_certificates(error):
                return Silence("its certificate is not valid for this address", is_final=True)
            reason = type(error).__name__
        if begun:
            return _finished(begun[0], body, is_whole=False)
        return Silence(reason)

    async def _exchange(self, request: Request, begun: list[Response], body: bytearray) -> Response:
        client = self._opened()
        # Whoever is asked must not see from a cookie that two questions belong together.
        client.cookies.clear()
        headers = [("Accept", "application/json"), ("Accept-Encoding", "identity"), *request.headers]
        async with client.stream(
            request.method, request.url, headers=headers, content=request.body
        ) as response:
            begun.append(
                Response(
                    response.status_code,
                    response.headers.get("content-type", "").partition(";")[0].strip().lower(),
                    response.headers.get("retry-after", ""),
                )
            )
            unpack = _Unpacking(response.headers.get("content-encoding", ""))
            async for chunk in response.aiter_raw():
                body += unpack(chunk, RESPONSE_LIMIT_BYTES + 1 - len(body))
                if len(body) > RESPONSE_LIMIT_BYTES:
                    break
        is_whole = len(body) <= RESPONSE_LIMIT_BYTES and unpack.is_at_end
        return _finished(begun[0], body, is_whole=is_whole)

    def _opened(self) -> Any:
        if self._client is None:
            self._client = self._library.AsyncClient(
                timeout=self._library.Timeout(None, connect=_CONNECT_SECONDS),
                limits=self._library.Limits(max_connections=self._connections),
                follow_redirects=False,
                trust_env=self._trusts_environment,
            )
        return self._client

    def close(self) -> None:
        """End all connections."""
        if self._loop.is_closed():
            return
        if self._client is not None:
            self.submit(self._client.aclose()).result(timeout=_CONNECT_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_CONNECT_SECONDS)
        if not self._loop.is_running():
            self._loop.close()


class _Unpacking:
    """Unpacks a body piece by piece, and never more than is asked for."""

    def __init__(self, encoding: str) -> None:
        encoding = encoding.strip().lower()
        if encoding not in ("", "identity", "gzip", "deflate"):
            raise ValueError(f"a body in the encoding {encoding[:20]!r}, which was not asked for")
        self._unpacked = zlib.decompressobj(wbits=47) if encoding in ("gzip", "deflate") else None

    def __call__(self, chunk: bytes, most: int) -> bytes:
        if self._unpacked is None:
            return chunk[:most]
        try:
            return self._unpacked.decompress(self._unpacked.unconsumed_tail + chunk, most)
        except zlib.error as error:
            raise ValueError("a body that cannot be unpacked") from error

    @property
    def is_at_end(self) -> bool:
        """Whether nothing is missing of what was packed."""
        return self._unpacked is None or self._unpacked.eof


def _finished(begun: Response, body: bytearray, *, is_whole: bool) -> Response:
    kept = bytes(body[:RESPONSE_LIMIT_BYTES])
    return Response(begun.status, begun.content_type, begun.retry_after, kept, is_whole)


def _is_about_certificates(error: BaseException) -> bool:
    at: BaseException | None = error
    while at is not None:
        if isinstance(at, ssl.SSLCertVerificationError):
            return True
        at = at.__cause__ or at.__context__
    return False


def check_address(url: str, *, allow_plain_http: bool) -> None:
    """Raise unless a service may be asked at this address.

    Raises:
        ValueError: It is no address, holds credentials, or is neither encrypted nor on this machine.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("the service's address cannot be read") from None
    if parts.scheme not in ("http", "https") or not host or not url.isprintable() or " " in url:
        raise ValueError("the service's address is not https://HOST/PATH")
    if parts.username is not None or parts.password is not None:
        raise ValueError(
            "an address with a user name or password would be kept in records; name an environment variable"
        )
    if parts.fragment:
        raise ValueError("the service's address has a fragment, which no service sees")
    if parts.scheme == "http" and not is_loopback(url) and not allow_plain_http:
        raise ValueError(
            "http:// shows questions and credentials to everybody on the way; use https://, or add "
            "--plain-http"
        )


def canonical_address(url: str) -> str:
    """Return an address in the one form in which it identifies a service."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    host = f"[{host}]" if ":" in host else host
    is_own_port = parts.port is None or parts.port == {"http": 80, "https": 443}.get(parts.scheme)
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme.lower()}://{host}{'' if is_own_port else f':{parts.port}'}{parts.path}{query}"
