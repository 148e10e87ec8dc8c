"""Two claimants of one model: whose key fires on whose *released* models.

Dates of keys decide nothing: a pirate can stamp keys years ahead and use one of them later. But a pirate
marks a model that its owner has marked before. So the owner's key fires on the models that either of them
released, and the pirate's only on his own. Which models are whose, release records say: signed by who
released them, so that nobody is saddled with a model that he never gave out.

A set that is opened is evidence only about models that are older than its opening: a release counts here if
a stamp over it, with a root that the checker trusts, is older, or if somebody attests it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from earmark.claims.order import Stamp
from earmark.claims.release_record import ReleaseFindings
from earmark.claims.timestamps import TimestampEvidence
from earmark.verification import Verdict


@dataclass(frozen=True)
class CrossCheck:
    """One claimant's opened set, put to one released model.

    Attributes:
        claimant: 0 or 1: whose key asks.
        releaser: 0 or 1: whose release record names the model.
        model: Its name in the record.
        verdict: By the checker's own questions; None if the model was not at hand.
        dated: Why the model is older than the opening of the claimant's set; None if nothing shows it.
    """

    claimant: int
    releaser: int
    model: str
    verdict: Verdict | None
    dated: str | None

    @property
    def fires(self) -> bool:
        """Whether the key is shown in the model, and the model is older than the opening."""
        return self.verdict is not None and self.verdict.mark_shown and self.dated is not None


@dataclass(frozen=True, slots=True)
class Decision:
    """Who of two claimants is the first, or why nobody can say.

    Attributes:
        winner: 0, 1, or None: undecided.
        reason: In one sentence.
    """

    winner: int | None
    reason: str


def dated_before(opened_at: datetime, release: ReleaseFindings, attested_by: str | None) -> str | None:
    """Say why a released model is older than the opening of a set.

    Args:
        opened_at: Of the other claimant's set, aware.
        release: Of the record that names the model.
        attested_by: Who says so where no stamp does, or None.

    Returns:
        The reason, or None.
    """
    stamps = [stamp for stamp in release.release_stamps if _counts(stamp, opened_at)]
    if stamps:
        return f"stamped {stamps[0]}"
    return None if attested_by is None else f"“{attested_by}” attests it"


def _counts(stamp: Stamp, opened_at: datetime) -> bool:
    return isinstance(stamp, TimestampEvidence) and stamp.is_root_checked and stamp.latest < opened_at


def decide(names: tuple[str, str], on_suspect: tuple[bool, bool], checks: Sequence[CrossCheck]) -> Decision:
    """Decide between two claimants by what their keys do on each other's released models.

    Args:
        names: Of the claimants.
        on_suspect: Whether each one's claim holds for the suspect itself.
        checks: Every key on every model that the other released.

    Returns:
        The decision. The winner's key is shown in the suspect and fires on a model that the other released;
        the other's is not shown in any that the winner released, and all of those were asked.

    Raises:
        ValueError: A check is of a third claimant, or of a key on its own owner's model.
    """
    if any({check.claimant, check.releaser} != {0, 1} for check in checks):
        raise ValueError("a cross-check puts one claimant's key to the other's model")
    standings = [_standing([check for check in checks if check.claimant == place]) for place in (0, 1)]
    if standings == [_FIRES, _FIRES]:
        return Decision(None, "both keys fire on a model that the other released")
    if standings == [_SILENT, _SILENT]:
        return Decision(None, "neither key fires on a model that the other released")
    for standing, words in _UNDECIDED.items():
        if standing in standings:
            place = standings.index(standing)
            return Decision(None, words.format(own=ascii(names[place]), other=ascii(names[1 - place])))
    winner = standings.index(_FIRES)
    own, other = ascii(names[winner]), ascii(names[1 - winner])
    if not on_suspect[winner]:
        return Decision(None, f"the key of {own} fires on what {other} released, but not on the suspect")
    return Decision(winner, f"the key of {own} fires on what {other} released, and not the other way round")


_FIRES, _SILENT, _UNDATED, _UNASKED, _NO_RELEASE = range(5)
_UNDECIDED = {
    _NO_RELEASE: "the claim of {other} names no released model, so the key of {own} can be put to none",
    _UNASKED: "a model that {other} released was not at hand, so the key of {own} was not put to it",
    _UNDATED: (
        "the key of {own} is shown in a model that {other} released, but nothing shows that the model is "
        "older than the opening of the set"
    ),
}


def _standing(asked: Sequence[CrossCheck]) -> int:
    """Say what one claimant's key does on the other's models."""
    if not asked:
        return _NO_RELEASE
    if any(check.fires for check in asked):
        return _FIRES
    if any(check.verdict is None for check in asked):
        return _UNASKED
    return _UNDATED if any(check.verdict and check.verdict.mark_shown for check in asked) else _SILENT
