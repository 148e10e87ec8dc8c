"""acme.api-record in use: locked, appended to and synced (docs/formats/api-record-v1.md).

What is sent to a service and what comes back is written here: the request before it leaves, the answer before
anything else, and all that came back together is synced before it is used. A killed process loses nothing
that was written; of what only a loss of power could take, the journal holds the questions, synced before.
"""

import os
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from earmark.commitment.canonical import Json
from earmark.errors import FormatError, JournalError, UnsupportedVersionError
from earmark.files import SECRET_MODE, read_bounded, shown, write_new
from earmark.formats import api_record_lines_v1 as lines
from earmark.formats.locking import acquired_lock
from earmark.suspects.http.terms import Received


def system_clock() -> datetime:
    """Return the time now."""
    return datetime.now(UTC)


class ApiRecord:
    """The record of one key, held by one process as long as it is open.

    It is made when it does not exist: unlike the journal it decides nothing, and one that is gone is missed
    by whoever compares it with a report.

    Args:
        path: The file.
        root: Root of the key that it belongs to, 32 bytes.
        clock: Returns the time now, aware of its time zone.

    Raises:
        JournalError: The record is altered, damaged, locked, or belongs to another key.
        UnsupportedVersionError: It is another version.
        EarmarkError: It cannot be written.
    """

    def __init__(self, path: Path, root: bytes, clock: Callable[[], datetime] = system_clock) -> None:
        self._path, self._clock = path, clock
        self._writing = threading.Lock()
        self._lock = acquired_lock(path, "record")
        try:
            if not path.exists():
                write_new(path, lines.first_line(root), SECRET_MODE)
            contents = self._load(root)
            self._ledger, self._dropped_bytes = contents.ledger, contents.unfinished_bytes
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
            if self._dropped_bytes:
                # What a killed process left of its last line was never synced: nothing was done upon it.
                os.ftruncate(self._file, os.fstat(self._file).st_size - self._dropped_bytes)
        except BaseException:
            self._lock.release()
            raise

    @property
    def head(self) -> tuple[int, str]:
        """Number of entries, and the digest that binds to them all, for reports."""
        return self._ledger.entry_count, self._ledger.head

    def query_count(self, suspect: str) -> int:
        """Return how many requests were ever sent to this suspect."""
        return self._ledger.query_counts.get(suspect, 0)

    def again_count(self, suspect: str) -> int:
        """Return how many of them were sent again because nothing had come back."""
        return self._ledger.again_counts.get(suspect, 0)

    def begin(self, suspect: str, about: Mapping[str, Json]) -> None:
        """Write down that a suspect is about to be questioned.

        Args:
            suspect: What identifies it, 1 to 1,000 characters.
            about: How it is asked, without credentials.

        Raises:
            JournalError: The record cannot be written.
            ValueError: An argument is out of range.
        """
        from earmark import __version__

        fields: dict[str, Json] = {"suspect": suspect, "about": {**about, "earmark": __version__}}
        self._append(lines.RUN, {**fields, "dropped_bytes": self._dropped_bytes})
        self._dropped_bytes = 0

    def sent(self, purpose: str, input_digest: str | None, request_digest: str, attempt: int) -> int:
        """Write a request down before it leaves.

        Args:
            purpose: ``question``, ``ordinary`` or ``metadata``.
            input_digest: Of the input, hexadecimal; or None.
            request_digest: Of the body without credentials, hexadecimal.
            attempt: 1 for the first try.

        Returns:
            The entry's number.

        Raises:
            JournalError: The record cannot be written.
            ValueError: An argument is out of range.
        """
        fields: dict[str, Json] = {"purpose": purpose, "input": input_digest, "request": request_digest}
        return self._append(lines.SENT, {**fields, "attempt": attempt})

    def received(self, sent: int, received: Received) -> None:
        """Write down what came back, before it is used.

        Raises:
            JournalError: The record cannot be written.
            ValueError: There is no such request without an answer.
        """
        fields = lines.received_fields(
            sent,
            received.status,
            received.content_type,
            received.body,
            whole=received.whole,
            milliseconds=received.milliseconds,
        )
        self._append(lines.RECEIVED, fields)

    def failed(self, sent: int, reason: str, milliseconds: int) -> None:
        """Write down that nothing came back.

        Raises:
            JournalError: The record cannot be written.
            ValueError: There is no such request without an answer.
        """
        self._append(lines.FAILED, {"sent": sent, "milliseconds": milliseconds, "reason": reason})

    def sync(self) -> None:
        """Have everything on the disk: before what came back is used.

        Raises:
            JournalError: The record cannot be written.
        """
        with self._writing:
            if self._file < 0:
                return  # whoever wrote was told why
            try:
                os.fsync(self._file)
            except OSError as error:
                self.close()
                raise self._unwritable(error) from error

    def close(self) -> None:
        """Let other processes use the record."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        self._lock.release()

    def __enter__(self) -> "ApiRecord":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _load(self, root: bytes) -> lines.Contents:
        try:
            contents = lines.read(read_bounded(self._path, lines.SIZE_LIMIT_BYTES, "record"))
        except UnsupportedVersionError:
            raise
        except FormatError as error:
            raise JournalError(
                f"the record {shown(self._path)}: {error}; keep it and move it away"
            ) from error
        if contents.root != root:
            raise JournalError(f"the record {shown(self._path)} belongs to another key")
        return contents

    def _unwritable(self, error: OSError) -> JournalError:
        return JournalError(f"the record {shown(self._path)} cannot be written: {error.strerror or error}")

    def _append(self, kind: str, fields: Mapping[str, Json]) -> int:
        with self._writing:
            if self._file < 0:
                raise JournalError(f"the record {shown(self._path)} was closed")
            line = lines.next_line(self._ledger, self._clock(), kind, fields)
            size_bytes = os.fstat(self._file).st_size
            if size_bytes + len(line) > lines.SIZE_LIMIT_BYTES:
                self.close()
                raise JournalError(f"the record {shown(self._path)} is full; move it away")
            try:
                if os.write(self._file, line) != len(line):
                    raise OSError("the disk is full")
            except OSError as error:
                os.ftruncate(self._file, size_bytes)
                self.close()  # its chain is one entry ahead of the file
                raise self._unwritable(error) from error
            return self._ledger.entry_count
