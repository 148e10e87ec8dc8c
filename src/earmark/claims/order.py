"""Which came first, by two sets of stamps: said only where the authorities' clocks can tell."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from earmark.claims.timestamps import RefusedTimestamp, TimestampEvidence

Stamp = TimestampEvidence | RefusedTimestamp


@dataclass(frozen=True, slots=True)
class Order:
    """Whether the key was there before the model was released.

    Attributes:
        is_evident: Whether the stamps show that the key was first.
        reason: Why, or why not, in one sentence.
        key: The stamp that dates the key, or None.
        release: The stamp that dates the release, or None.
    """

    is_evident: bool
    reason: str
    key: TimestampEvidence | None
    release: TimestampEvidence | None

    def to_json(self) -> dict[str, Any]:
        """Return the finding as JSON values."""
        return {
            "key_first": self.is_evident,
            "reason": self.reason,
            "key": self.key and self.key.to_json(),
            "release": self.release and self.release.to_json(),
        }


def order_of(key_stamps: Iterable[Stamp], release_stamps: Iterable[Stamp]) -> Order:
    """Say whether the stamps show that the key was there before the release; step 5.

    The key was there at the latest at the end of the first interval of its stamps. The release counts from
    the beginning of the first interval of *its* stamps: a claimant who stamps a record once more, later,
    gains nothing.

    Args:
        key_stamps: Over the key. Only those with a checked root count.
        release_stamps: Over the release record, likewise.

    Returns:
        The finding; evident only where the two intervals do not overlap.
    """
    key = min(_with_root(key_stamps), key=lambda stamp: stamp.latest, default=None)
    release = min(_with_root(release_stamps), key=lambda stamp: stamp.earliest, default=None)
    if key is None or release is None:
        missing = " and ".join(
            name for name, stamp in (("the key", key), ("the release", release)) if stamp is None
        )
        reason = f"not evident: no stamp whose root was checked dates {missing}"
        return Order(False, reason, key, release)
    between = release.earliest - key.latest
    if between > timedelta(0):
        reason = f"the key was there at least {_in_words(between)} before the release"
        return Order(True, reason, key, release)
    if release.latest < key.earliest:
        reason = f"the release was there at least {_in_words(key.earliest - release.latest)} before the key"
        return Order(False, reason, key, release)
    reason = "not evident: the two times are closer than the authorities' clocks can tell apart"
    return Order(False, reason, key, release)


def _with_root(stamps: Iterable[Stamp]) -> list[TimestampEvidence]:
    return [stamp for stamp in stamps if isinstance(stamp, TimestampEvidence) and stamp.is_root_checked]


def _in_words(duration: timedelta) -> str:
    if duration.days:
        return f"{duration.days} day{'s' * (duration.days != 1)}"
    seconds = int(duration.total_seconds())
    return f"{seconds // 3600} h {seconds % 3600 // 60} min" if seconds >= 3600 else f"{seconds} s"
