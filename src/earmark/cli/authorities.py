"""Asking time-stamping authorities, for the commands that stamp."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from earmark.cli import keys
from earmark.cli.output import Output

if TYPE_CHECKING:
    from earmark.claims.certificates import TrustedRoots
    from earmark.claims.timestamps import TimestampEvidence, TimestampRequest

DEFAULT_SECONDS = 30.0
_SECONDS_LIMIT = 600
_TYPE = "application/timestamp-reply"

Authorities = Annotated[
    list[str],
    typer.Option("--tsa", metavar="URL", help="Time-stamping authority (RFC 3161); may be given again."),
]
Roots = Annotated[
    list[Path],
    typer.Option(
        "--tsa-root",
        metavar="PEM",
        help="Root certificate of an authority, from its own site; may be given again.",
    ),
]
Seconds = Annotated[float, typer.Option("--timeout", help="Seconds for each authority, 1 to 600.")]


@dataclass(frozen=True)
class Stamped:
    """What one authority gave.

    Attributes:
        url: The authority.
        token: To be kept.
        evidence: What it shows.
    """

    url: str
    token: bytes
    evidence: "TimestampEvidence"


@dataclass(frozen=True)
class Failed:
    """Why one authority gave nothing.

    Attributes:
        url: The authority.
        reason: In one line.
    """

    url: str
    reason: str


def read_roots(files: Sequence[Path]) -> "TrustedRoots":
    """Read the roots that a checker trusts, from all files together; without any, nothing is trusted."""
    from earmark.claims.certificates import ROOTS_LIMIT_BYTES, TrustedRoots
    from earmark.claims.certificates import read_roots as read
    from earmark.files import read_bounded

    if not files:
        return TrustedRoots()
    return read(b"\n".join(read_bounded(file, ROOTS_LIMIT_BYTES, "root certificate") for file in files))


def check_asked(urls: Sequence[str], seconds: float) -> None:
    """Raise ``ValueError`` before any work unless these authorities can be asked."""
    from earmark.suspects.http.transport import check_address

    if not 1 <= seconds <= _SECONDS_LIMIT:
        raise ValueError(f"--timeout is 1 to {_SECONDS_LIMIT} seconds, not {seconds:g}")
    if len(set(urls)) != len(urls):
        raise ValueError("an authority is named twice")
    for url in urls:
        try:
            # Plain http is usual: an answer is signed, and nobody on the way learns more than a digest.
            check_address(url, allow_plain_http=True)
        except ValueError as error:
            raise ValueError(f"--tsa {url!a}: {error}") from error


def ask_authorities(
    urls: Sequence[str],
    request: Callable[[], "TimestampRequest"],
    roots: "TrustedRoots",
    seconds: float,
    output: Output,
    on_stamp: Callable[[Stamped], None] = lambda stamp: None,
) -> list[Stamped | Failed]:
    """Ask each authority in turn; what one does costs the others nothing.

    Args:
        urls: The authorities.
        request: Makes a request with a nonce of its own.
        roots: What the asker trusts.
        seconds: For each.
        output: Where progress is shown.
        on_stamp: Called with each stamp as it comes: whoever keeps it then loses none to an interruption.

    Returns:
        For each authority its stamp, or why there is none.
    """
    from earmark.claims.timestamps import check_response
    from earmark.errors import TimestampError

    found: list[Stamped | Failed] = []
    with output.progress("asking authorities") as on_progress:
        for done, url in enumerate(urls, 1):
            made = request()
            try:
                answer = _fetch(url, made.der, seconds)
                stamp = Stamped(url, *check_response(made, answer, roots, keys.now()))
            except TimestampError as error:
                found.append(Failed(url, str(error)))
            else:
                on_stamp(stamp)
                found.append(stamp)
            on_progress(done, len(urls))
    return found


def in_words(outcomes: Sequence[Stamped | Failed]) -> list[str]:
    """Return one line for each authority."""
    return [
        f"  {item.url}: {item.evidence if isinstance(item, Stamped) else f'no stamp: {item.reason}'}"
        for item in outcomes
    ]


def as_json(outcomes: Sequence[Stamped | Failed]) -> dict[str, Any]:
    """Return the outcomes as JSON values."""
    return {
        "added": [
            {"url": item.url, **item.evidence.to_json()} for item in outcomes if isinstance(item, Stamped)
        ],
        "failed": [{"url": item.url, "reason": item.reason} for item in outcomes if isinstance(item, Failed)],
    }


def _fetch(url: str, request: bytes, seconds: float) -> bytes:
    """Return what an authority answers; bounded in size and time, and from nowhere else."""
    from earmark.errors import TimestampError
    from earmark.suspects.http.transport import Request, Silence, Transport

    headers = (("Content-Type", "application/timestamp-query"), ("Accept", _TYPE))
    transport = Transport(url)
    try:
        sent = Request("POST", url, headers, request)
        answer = transport.submit(transport.exchange(sent, seconds)).result()
    finally:
        transport.close()
    if isinstance(answer, Silence):
        raise TimestampError(f"cannot be reached: {answer.reason}")
    if 300 <= answer.status < 400:
        raise TimestampError(f"sends elsewhere (HTTP status {answer.status}), which is not followed")
    if answer.status != 200:
        raise TimestampError(f"answers with HTTP status {answer.status}")
    if not answer.whole:
        raise TimestampError("its answer is too large, or broke off")
    if answer.content_type.startswith("text/"):
        raise TimestampError(f"answers with {answer.content_type[:40]!a}, which is a page and no time stamp")
    return answer.body
