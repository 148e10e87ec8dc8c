"""Matches from 0 to n as a drawing: what chance gives, what the rule asks for, what was observed."""

from dataclasses import dataclass
from fractions import Fraction
from math import floor, log10

from earmark.reports.explanation import needed_words
from earmark.reports.wording import counted, plausible_matches
from earmark.verification import Verdict

WIDE, NARROW = 700, 330
_MARGIN = 14.0  # room for a mark and for half a number at both ends
_LETTER, _STRONG_LETTER = (
    7.2,
    9.6,
)  # a little more than the mean width of a letter of the labels, so that they stay inside
_TICK_STEPS = (1, 2, 5, 10, 20)
_MOST_TICKS = 5


@dataclass(frozen=True, slots=True)
class Label:
    """A text of the drawing, and where its middle lies."""

    text: str
    x: float
    at: float

    @classmethod
    def beside(cls, text: str, at: float, width: int, letter: float = _LETTER) -> "Label":
        """Return a label for the place ``at`` on the scale, moved so that it does not leave the drawing."""
        half = min(len(text) * letter, width) / 2
        return cls(text, min(max(at, half), width - half), at)


@dataclass(frozen=True, slots=True)
class Scale:
    """A drawing of one width; places are in its units, from the left.

    Attributes:
        width: Of the whole drawing.
        left: Place of 0 matches.
        right: Place of n matches.
        ticks: Numbers under the axis.
        expected: Matches by chance, n/C.
        plausible: Fewest and most matches of 999 in 1,000 independent models, as places.
        threshold: Fewest matches that show the mark, or None if none are enough.
        observed: The matches.
    """

    width: int
    left: float
    right: float
    ticks: tuple[Label, ...]
    expected: Label
    plausible: tuple[float, float]
    threshold: Label | None
    observed: Label


def draw_scale(verdict: Verdict, width: int) -> Scale:
    """Return the drawing.

    Args:
        verdict: What is drawn.
        width: ``WIDE`` or ``NARROW``.

    Returns:
        The places of everything.
    """
    measured = verdict.measurement
    count = measured.question_count

    def place(matches: Fraction | int) -> float:
        return _MARGIN + float(Fraction(matches, count)) * (width - 2 * _MARGIN)

    low, high = plausible_matches(count, verdict.chance)
    by_chance = f"by chance: {expected_text(verdict)} expected, {low:,} to {high:,} plausible"
    threshold = verdict.threshold
    return Scale(
        width,
        place(0),
        place(count),
        tuple(Label.beside(f"{tick:,}", place(tick), width) for tick in _ticks(count)),
        Label.beside(by_chance, place(count * verdict.chance), width),
        (place(low), place(high)),
        None
        if threshold is None
        else Label.beside(f"{threshold:,} needed after penalties", place(threshold), width),
        Label.beside(
            f"{measured.match_count:,} observed", place(measured.match_count), width, _STRONG_LETTER
        ),
    )


def scale_text(verdict: Verdict) -> str:
    """Return what the drawing shows, for people who do not see it."""
    measured = verdict.measurement
    count = measured.question_count
    low, high = plausible_matches(count, verdict.chance)
    needed = (
        f"after penalties, {needed_words(verdict)}"
        if verdict.threshold is None
        else f"at least {verdict.threshold:,} are needed after penalties"
    )
    return (
        f"A scale of matches from 0 to {count:,}. By chance {expected_text(verdict)} are expected, and "
        f"{low:,} to {high:,} in 999 of 1,000 models that do not depend on the key; {needed}; "
        f"{counted(measured.match_count, 'match was', 'matches were')} observed."
    )


def expected_text(verdict: Verdict) -> str:
    """Return n/C with at most one decimal."""
    expected = verdict.measurement.question_count * verdict.chance
    return f"{expected.numerator:,}" if expected.denominator == 1 else f"{float(expected):,.1f}"


def _ticks(count: int) -> list[int]:
    """Return round numbers from 0, and the count itself as the last."""
    magnitude = 10 ** floor(log10(count))
    steps = [max(1, scale * magnitude // 10) for scale in _TICK_STEPS]
    step = next(step for step in steps if count / step <= _MOST_TICKS)
    rounds = list(range(0, count, step))
    if len(rounds) > 1 and count - rounds[-1] < step / 2:
        rounds.pop()  # its number would run into the last one
    return [*rounds, count]
