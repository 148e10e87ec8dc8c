"""acme.journal in use: read, checked, appended to and synced under a lock (docs/formats/journal-v1.md).

What the verdict's arithmetic depends on and no file can prove afterwards is written here before it is done:
methods tried, sets shown, first answers.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from earmark.commitment.canonical import Json, canonical_json, parse_canonical_json
from earmark.errors import FormatError, JournalError, UnsupportedVersionError
from earmark.files import SECRET_MODE, read_bounded, shown, write_new
from earmark.formats import journal_lines_v1 as lines
from earmark.formats.answers_v1 import questions_id
from earmark.formats.locking import acquired_lock
from earmark.keys import SetId
from earmark.suspects import Miss
from earmark.verification import Reply

# Apart from sets that were shown to somebody of the same name by hand, whose answers are recorded elsewhere.
_SHOWN = "questioned by this program: "


def system_clock() -> datetime:
    """Return the time now."""
    return datetime.now(UTC)


class Journal:
    """The journal of one key.

    Every method reads the file anew, so that several processes may use one journal; lines that it has checked
    before are compared and not checked again. What it records is on the disk before the method returns.

    Args:
        path: The file.
        root: Root of the key that it belongs to, 32 bytes.
        clock: Returns the time now, aware of its time zone.

    Raises:
        JournalError: The journal is missing, altered, damaged, locked, or belongs to another key.
        UnsupportedVersionError: It is another version.
    """

    def __init__(self, path: Path, root: bytes, clock: Callable[[], datetime] = system_clock) -> None:
        self._path = path
        self._root = root
        self._clock = clock
        self._checked: tuple[bytes, lines.Contents, lines.Ledger] | None = None
        self._read()

    @staticmethod
    def create(path: Path, root: bytes) -> None:
        """Make the journal of a new key; only key generation does.

        Args:
            path: Where; nothing may exist there.
            root: Root of the key, 32 bytes.

        Raises:
            EarmarkError: The file exists already or cannot be written.
        """
        write_new(path, lines.first_line(root), SECRET_MODE)

    @property
    def head(self) -> tuple[int, str]:
        """Number of entries, and the digest that binds to them all, for reports."""
        contents, _ = self._read()
        return len(contents.entries), contents.head

    def exposed_sets(self) -> frozenset[SetId]:
        """Return the sets that were exposed or opened: whoever saw them may have unlearned them."""
        return frozenset(self._read()[1].used)

    def next_set(self, set_ids: Sequence[SetId]) -> SetId:
        """Return the first of the given sets that was neither exposed nor opened.

        Raises:
            JournalError: None is left.
        """
        used = self.exposed_sets()
        for set_id in set_ids:
            if set_id not in used:
                return set_id
        raise JournalError(
            "every trigger set of this key was exposed or opened; none is left for a suspect that can keep "
            "questions"
        )

    def exposure(self, questions_id: str) -> SetId:
        """Return the set that was exposed under this questions id.

        Raises:
            JournalError: None was.
        """
        exposures = self._read()[1].exposures
        if questions_id not in exposures:
            raise JournalError(f"questions {questions_id[:40]!r} were never asked with this key")
        return exposures[questions_id]

    def sets_shown_to(self, suspect: str) -> frozenset[SetId]:
        """Return the sets that were exposed to this suspect."""
        return frozenset(self._read()[1].shown.get(_SHOWN + suspect, ()))

    def method_count(self, statistic: str) -> int:
        """Return how many methods of one statistic are recorded, over all suspects."""
        return _count(self._read()[1], statistic)

    def opening(self, set_id: SetId) -> tuple[str, str] | None:
        """Return to whom a set was first opened, and when; None if it was not."""
        entry = self._read()[1].openings.get(set_id)
        return None if entry is None else (entry.to, entry.time)

    def replies(self, suspect: str) -> dict[tuple[SetId, int], Reply | None]:
        """Return every question that was put to a suspect; None for one whose answer never came."""
        return dict(self._read()[1].replies.get(suspect, {}))

    def show_set(self, set_id: SetId, suspect: str, set_ids: Sequence[SetId]) -> None:
        """Write down that a set is about to be shown to a suspect, question by question.

        Args:
            set_id: One that was shown to this suspect before (then nothing is written), or the first of
                ``set_ids`` that was neither exposed nor opened.
            suspect: What identifies it.
            set_ids: All sets of the key, in the order of use.

        Raises:
            JournalError: The set was shown to others, or another comes first; or the journal fails.
        """
        if set_id not in self.sets_shown_to(suspect):
            self._expose(set_id, _SHOWN + suspect, questions_id(self._root, set_id), set_ids)

    def record_asked(self, suspect: str, set_id: SetId, places: Sequence[int]) -> None:
        """Write questions of one set down before the first of them is put: all of them, synced once, or none.

        Raises:
            JournalError: One was put to this suspect before; or the journal fails.
        """
        self._record("asked", [{"suspect": suspect, "set": list(set_id), "place": place} for place in places])

    def record_replies(self, suspect: str, set_id: SetId, replies: Mapping[int, Reply]) -> None:
        """Write answers down before the next question: all of them, synced once, or none.

        Args:
            suspect: Who gave them.
            set_id: The questions' set.
            replies: By the questions' places in it.

        Raises:
            JournalError: A question was not put, or has an answer; or the journal fails.
            ValueError: An answer is too long for a line.
        """
        entries = list[dict[str, Json]]()
        for place, reply in replies.items():
            output = reply.output.value if isinstance(reply.output, Miss) else reply.output
            weights: Json = None if reply.weights is None else list(reply.weights)
            question: dict[str, Json] = {"suspect": suspect, "set": list(set_id), "place": place}
            entries.append({**question, "output": output, "weights": weights})
        self._record("replied", entries)

    def record_method(self, suspect: str, method: Mapping[str, Json]) -> int:
        """Write down how a suspect is about to be judged, before its first question.

        Args:
            suspect: What identifies it, best a digest; 1 to 1,000 characters.
            method: Everything that was chosen; canonical JSON of at most 64 KiB.

        Returns:
            How many different methods were recorded for this suspect, this one included.

        Raises:
            JournalError: The journal is missing, altered or cannot be written.
            ValueError: An argument is out of range.
        """
        wanted = canonical_json(dict(method))
        with self._locked():
            contents, ledger = self._load()
            if wanted not in ledger.methods.get(suspect, ()):
                self._append(contents, ledger, "method", {"suspect": suspect, "method": dict(method)})
            return len(ledger.methods[suspect])

    def record_within(self, suspect: str, method: Mapping[str, Json], budget: int) -> int:
        """Write a method down, unless so many of its statistic were written down already, over all suspects.

        Counting and writing happen under one lock: of several processes no more get through than the budget
        allows. One that was written down before is not written again, whatever the budget.

        Args:
            suspect: As for ``record_method``.
            method: As for ``record_method``, with its ``statistic``.
            budget: At most so many, this one included; at least 1.

        Returns:
            How many different ones are recorded over all suspects, this one included.

        Raises:
            JournalError: The budget is used up; or the journal fails.
            ValueError: An argument is out of range.
        """
        if budget < 1:
            raise ValueError("a budget is at least 1")
        wanted, statistic = canonical_json(dict(method)), method["statistic"]
        with self._locked():
            contents, ledger = self._load()
            count = _count(ledger, statistic)
            if wanted in ledger.methods.get(suspect, ()):
                return count
            if count >= budget:
                raise JournalError(
                    f"the journal {shown(self._path)} shows {count} of the method {statistic!r}, and the "
                    f"budget is {budget}"
                )
            self._append(contents, ledger, "method", {"suspect": suspect, "method": dict(method)})
            return count + 1

    def expose(self, set_id: SetId, to: str, questions_id: str, set_ids: Sequence[SetId]) -> None:
        """Write down that a set is about to be shown to someone who could keep it.

        Args:
            set_id: The first of ``set_ids`` that was neither exposed nor opened.
            to: To whom, 1 to 1,000 characters.
            questions_id: As from ``answers_v1.questions_id``.
            set_ids: All sets of the key, in the order of use.

        Raises:
            JournalError: The set was used before, or another comes first; or the journal fails.
            ValueError: An argument is out of range.
        """
        if to.startswith(_SHOWN):
            raise ValueError(f"a set is shown to somebody, whose name does not begin with {_SHOWN.strip()!r}")
        self._expose(set_id, to, questions_id, set_ids)

    def record_opened(self, set_id: SetId, to: str, set_ids: Sequence[SetId]) -> None:
        """Write down that a set is about to be published.

        Args:
            set_id: One that was used before, or the first of ``set_ids`` that was not.
            to: Where or to whom, 1 to 1,000 characters.
            set_ids: All sets of the key, in the order of use.

        Raises:
            JournalError: Another set comes first; or the journal fails.
            ValueError: An argument is out of range.
        """
        self._use(set_id, set_ids, "opened", {"set": list(set_id), "to": to})

    def record_answers(self, questions_id: str, digest_hex: str) -> None:
        """Write down the first answers to questions; the same ones again change nothing.

        Args:
            questions_id: Under which the set was exposed.
            digest_hex: As from ``answers_v1.Answers.digest``.

        Raises:
            JournalError: Other answers came first, nothing was asked, or the journal fails.
            ValueError: An argument is out of range.
        """
        with self._locked():
            contents, ledger = self._load()
            if ledger.answers.get(questions_id) != digest_hex:
                fields: dict[str, Json] = {"questions": questions_id, "digest": digest_hex}
                self._append(contents, ledger, "answers", fields)

    def _expose(self, set_id: SetId, to: str, questions: str, set_ids: Sequence[SetId]) -> None:
        fields: dict[str, Json] = {"set": list(set_id), "to": to, "questions": questions}
        self._use(set_id, set_ids, "exposed", fields)

    def _use(self, set_id: SetId, set_ids: Sequence[SetId], kind: str, fields: Mapping[str, Json]) -> None:
        with self._locked():
            contents, ledger = self._load()
            ledger.check_order(set_id, set_ids)
            self._append(contents, ledger, kind, fields)

    def _record(self, kind: str, entries: Sequence[Mapping[str, Json]]) -> None:
        with self._locked():
            contents, ledger = self._load()
            self._append(contents, ledger, kind, *entries)

    def _read(self) -> tuple[lines.Contents, lines.Ledger]:
        with self._locked():
            return self._load()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            is_there = self._path.exists()
        except OSError as error:
            raise JournalError(f"the journal {shown(self._path)} cannot be reached: {error}") from error
        if not is_there:  # looked for first: otherwise a mistyped path would leave a lock file behind
            raise JournalError(
                f"the journal {shown(self._path)} is missing; it says which sets were shown to whom and "
                "is never made anew: restore it from a copy"
            )
        lock = acquired_lock(self._path, "journal")
        try:
            yield
        finally:
            lock.release()

    def _load(self) -> tuple[lines.Contents, lines.Ledger]:
        try:
            data = read_bounded(self._path, lines.SIZE_LIMIT_BYTES, "journal")
            before, contents, ledger = self._checked or (b"", None, lines.Ledger())
            if contents is None or not data.startswith(before):
                before, contents, ledger = b"", None, lines.Ledger()
            # Taken up again only if all goes well: a ledger that is half brought up to date is of no use.
            self._checked = None
            known = 0 if contents is None else len(contents.entries)
            contents = (
                lines.read(data) if contents is None else lines.read_more(contents, data[len(before) :])
            )
        except UnsupportedVersionError:
            raise
        except FormatError as error:
            raise JournalError(str(error)) from error
        if contents.root != self._root:
            raise JournalError(f"the journal {shown(self._path)} belongs to another key")
        for entry in contents.entries[known:]:
            try:
                ledger.add(entry)
            except JournalError as error:
                raise JournalError(f"the journal's entry {entry.number} breaks a rule: {error}") from error
        self._checked = (data, contents, ledger)
        return contents, ledger

    def _append(
        self,
        contents: lines.Contents,
        ledger: lines.Ledger,
        kind: str,
        *entries: Mapping[str, Json],
    ) -> None:
        data = b"" if self._checked is None else self._checked[0]
        self._checked = None
        added = b""
        for fields in entries:
            line, entry = lines.next_line(contents, self._clock(), kind, fields)
            ledger.add(entry)
            contents, added = lines.read_more(contents, line), added + line
        try:
            _append_synced(self._path, added)
        except OSError as error:
            raise JournalError(
                f"the journal {shown(self._path)} cannot be written: {error.strerror or error}"
            ) from error
        self._checked = (data + added, contents, ledger)


def _count(ledger: lines.Ledger, statistic: Json) -> int:
    return sum(
        parse_canonical_json(method, "method", lines.METHOD_LIMIT_BYTES).get("statistic") == statistic
        for found in ledger.methods.values()
        for method in found
    )


def _append_synced(path: Path, added: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    try:
        size_bytes = os.fstat(descriptor).st_size
        if size_bytes + len(added) > lines.SIZE_LIMIT_BYTES:
            raise JournalError("the journal is full; it would no longer be readable")
        try:
            # In one call: a process that is killed then hardly ever leaves part of a line.
            if os.write(descriptor, added) != len(added):
                raise OSError("the disk is full")
            os.fsync(descriptor)
        except BaseException:
            # Nothing was asked or shown yet: the caller is told, and the journal is as it was.
            os.ftruncate(descriptor, size_bytes)
            raise
    finally:
        os.close(descriptor)
