"""Stamps over the suspect of a claim: had before its set is opened, and kept until the claim is written."""

import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from earmark.cli import authorities, keys
from earmark.cli.output import Output, warn

if TYPE_CHECKING:
    from earmark.claims.certificates import TrustedRoots
    from earmark.claims.claim import Statement
    from earmark.claims.timestamps import TimestampEvidence
    from earmark.keys import VerificationKey

_WAIT_LIMIT_SECONDS = 150  # of an authority that states no accuracy a minute is counted


class ClaimStamps:
    """The stamps of one claim, in a file beside the journal until the claim is written.

    Args:
        journal: The key's journal.
        key: The key that the claim is for.
        statement: What the claim will say.
    """

    def __init__(self, journal: Path, key: "VerificationKey", statement: "Statement") -> None:
        self.path = journal.with_name(f"{journal.name.removesuffix('.journal')}.claim-stamps")
        self._key, self._statement = key, statement

    def obtain(
        self,
        opened_at: datetime | None,
        asked: tuple[list[str], list[Path], float],
        output: Output,
    ) -> tuple[bytes, ...]:
        """Return the stamps that go into the claim, kept ones or new ones.

        Args:
            opened_at: When the set was opened, if it was.
            asked: Authorities, files with roots, and seconds for each authority.
            output: For progress.

        Returns:
            The tokens. If the set is to be opened now, it may be: it will be evidently later.

        Raises:
            TimestampError: Nobody gives a stamp, or it would not be evidently earlier; nothing was opened.
        """
        from earmark.claims.claim import STAMP_LIMIT

        urls, files, seconds = asked
        if not self._statement.suspect.can_be_stamped:
            if urls:
                warn(
                    "no stamp can date a service or code, so none was asked for; whoever checks says with "
                    "--older-by who attests its age"
                )
            return ()
        roots = authorities.read_roots(files)
        kept = self._kept(roots)
        if opened_at is not None:
            if (urls or kept) and not any(evidence.latest < opened_at for evidence in kept.values()):
                warn(
                    f"the set was opened before, at {opened_at:%Y-%m-%d %H:%M:%S} UTC, and no stamp at hand "
                    "is older: none was asked for, and whoever checks needs --older-by"
                )
            return tuple(kept)
        is_enough = any(evidence.is_root_checked or not roots.anchors for evidence in kept.values())
        if urls and not is_enough:
            kept = dict([*kept.items(), *self._asked(urls, roots, seconds, output).items()][-STAMP_LIMIT:])
        if kept:
            _wait_until_later(min(evidence.latest for evidence in kept.values()), output)
        return tuple(kept)

    def forget(self) -> None:
        """Remove what was kept for this claim: it is written."""
        self._keep(())

    def _asked(
        self, urls: list[str], roots: "TrustedRoots", seconds: float, output: Output
    ) -> "dict[bytes, TimestampEvidence]":
        from earmark.claims.claim import request_for_suspect
        from earmark.errors import TimestampError

        statement = self._statement
        outcomes = authorities.ask_authorities(
            urls,
            lambda: request_for_suspect(self._key, statement.set_id, statement.suspect.identity),
            roots,
            seconds,
            output,
            lambda stamped: self._keep((*self._read().get(statement.notice, ()), stamped.token)),
        )
        for outcome in outcomes:
            if isinstance(outcome, authorities.Failed):
                warn(f"{outcome.url}: no stamp: {outcome.reason}")
        stamped = [item for item in outcomes if isinstance(item, authorities.Stamped)]
        if not stamped:
            raise TimestampError("no authority gave a stamp; no set was opened")
        return {item.token: item.evidence for item in stamped}

    def _kept(self, roots: "TrustedRoots") -> "dict[bytes, TimestampEvidence]":
        from earmark.claims.timestamps import check_token
        from earmark.errors import TimestampError

        found = {}
        for token in self._read().get(self._statement.notice, ()):
            try:
                found[token] = check_token(token, self._statement.notice, roots, keys.now())
            except TimestampError as error:
                warn(f"{self.path}: a stamp that was kept shows nothing: {error}")
        return found

    def _read(self) -> dict[bytes, tuple[bytes, ...]]:
        from earmark.files import read_bounded
        from earmark.formats import claim_stamps_v1

        if not self.path.exists():
            return {}
        return claim_stamps_v1.read(
            read_bounded(self.path, claim_stamps_v1.SIZE_LIMIT_BYTES, "stamps of claims")
        )

    def _keep(self, tokens: tuple[bytes, ...]) -> None:
        from earmark.claims.claim import STAMP_LIMIT
        from earmark.files import SECRET_MODE, write_replacing
        from earmark.formats import claim_stamps_v1

        every = {name: kept for name, kept in self._read().items() if name != self._statement.notice}
        if tokens:
            every[self._statement.notice] = tokens[-STAMP_LIMIT:]
        if every:
            write_replacing(self.path, claim_stamps_v1.write(every), SECRET_MODE)
        else:
            self.path.unlink(missing_ok=True)


def _wait_until_later(stamped: datetime, output: Output) -> None:
    """Wait until nobody can doubt that what comes next comes after a stamp: its clock is not exact."""
    from earmark.errors import TimestampError

    ready = stamped + timedelta(seconds=1)  # times of opening are whole seconds
    seconds = (ready - keys.now()).total_seconds()
    if seconds > _WAIT_LIMIT_SECONDS:
        raise TimestampError(
            f"the stamp's time is not certain for another {seconds:.0f} s, and an opening before would not "
            "be evidently later: no set was opened. The stamp is kept; run the same command again then"
        )
    total = max(1, round(seconds * 10))
    with output.progress("until clocks can tell") as on_progress:
        while (left := (ready - keys.now()).total_seconds()) > 0:
            on_progress(min(total, max(0, total - round(left * 10))), total)
            time.sleep(min(left, 0.1))
