"""The lock beside a record that is written from several processes: one at a time, or a clear refusal."""

from pathlib import Path

from filelock import FileLock, Timeout

from earmark.errors import JournalError
from earmark.files import SECRET_MODE, shown

LOCK_SECONDS = 5.0


def acquired_lock(path: Path, what: str) -> FileLock:
    """Return the lock of a file, taken; whoever called releases it.

    Where the file system knows no locks it is refused. A marker file in their place would outlive the
    process that is killed, or two machines that share the folder would each take it for stale.

    Args:
        path: What it guards; the lock lies beside it as ``NAME.lock``.
        what: What to call that in messages.

    Raises:
        JournalError: Another process holds it for more than ``LOCK_SECONDS``, or it cannot be taken at all.
    """
    lock = FileLock(f"{path}.lock", timeout=LOCK_SECONDS, mode=SECRET_MODE, fallback_to_soft=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise JournalError(
            f"another process uses the {what} {shown(path)}; wait until it has finished"
        ) from error
    except OSError as error:
        raise JournalError(f"the {what} {shown(path)} cannot be locked: {error}") from error
    return lock
