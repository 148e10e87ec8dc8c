"""Verification in experiments, which must not spend an owner's journal."""

from collections.abc import Mapping, Sequence

from earmark.commitment.canonical import Json
from earmark.keys import SetId
from earmark.verification.interview import Reply


class ThrowAwayJournal:
    """A journal with one measurement in it, which ends with it: for games and studies, never for a claim."""

    def exposed_sets(self) -> frozenset[SetId]:
        """Return no set: an experiment shows nothing to anybody."""
        return frozenset()

    def sets_shown_to(self, suspect: str) -> frozenset[SetId]:  # noqa: ARG002 - nothing is ever shown
        """Return no set."""
        return frozenset()

    def record_method(self, suspect: str, method: Mapping[str, Json]) -> int:  # noqa: ARG002 - it is the first
        """Return 1: the first method."""
        return 1

    def show_set(self, set_id: SetId, suspect: str, set_ids: Sequence[SetId]) -> None:
        """Nothing is kept."""

    def replies(self, suspect: str) -> Mapping[tuple[SetId, int], Reply | None]:  # noqa: ARG002 - none came before
        """Return nothing: no question was put before."""
        return {}

    def record_asked(self, suspect: str, set_id: SetId, places: Sequence[int]) -> None:
        """Nothing is kept."""

    def record_replies(self, suspect: str, set_id: SetId, replies: Mapping[int, Reply]) -> None:
        """Nothing is kept."""
