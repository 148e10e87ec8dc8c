"""A deadline for what runs in this process and cannot be stopped."""

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TypeVar

from earmark.errors import SuspectError

QUESTION_SECONDS = 60.0
"""For each question to a suspect that runs in this process."""

_Result = TypeVar("_Result")


def within(seconds: float, name: str, ask: Callable[[], _Result]) -> _Result:
    """Return what ``ask`` returns, or raise when it takes too long.

    It runs in a thread of its own, which no deadline can end: it is left behind, and ends with the process.
    Whatever needs a stronger hold is questioned in a child process instead.

    Args:
        seconds: For all of it.
        name: Who is asked, for the message.
        ask: The question.

    Returns:
        Its result; what it raises is raised here, whatever it is.

    Raises:
        SuspectError: There was no result in time.
    """
    results: SimpleQueue[tuple[_Result, None] | tuple[None, BaseException]] = SimpleQueue()

    def run() -> None:
        try:
            results.put((ask(), None))
        except BaseException as error:  # noqa: BLE001 - raised again where it was asked
            results.put((None, error))

    threading.Thread(target=run, name=f"question to {name[:60]}", daemon=True).start()
    try:
        result, error = results.get(timeout=seconds)
    except Empty:
        raise SuspectError(f"{name} did not answer within {seconds:g} seconds") from None
    if error is not None:
        raise error
    return result  # type: ignore[return-value]  # no error, so a result
