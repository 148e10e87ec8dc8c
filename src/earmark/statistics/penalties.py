"""The verdict's arithmetic: bits, freedoms paid for, and what is enough."""

from dataclasses import dataclass
from fractions import Fraction
from math import log2

OWNED_BITS = 40
GRINDING_BITS = 80
LOOKING_BITS = 24
_MANTISSA_BITS = 64


@dataclass(frozen=True, slots=True)
class Penalty:
    """A freedom that somebody had, paid for by the number of ways in which it could be used.

    Attributes:
        name: Short name, e.g. ``"grinding"``.
        alternatives: How many ways there were, at least 1. Exact; its log2 are the bits paid.
        reason: What the freedom is, in words for the report.
    """

    name: str
    alternatives: int
    reason: str

    def __post_init__(self) -> None:
        if self.alternatives < 1:
            raise ValueError(f"penalty {self.name} needs at least 1 alternative")

    @property
    def bits(self) -> float:
        """The penalty in bits, for display."""
        return strength_bits(Fraction(1, self.alternatives))


def strength_bits(probability: Fraction) -> float:
    """Return -log2 of a probability, for display only.

    Args:
        probability: At least 0; 0 gives infinity.

    Returns:
        Bits, accurate to about 1e-12 relative however small the fraction is.

    Example:
        >>> strength_bits(Fraction(1, 1024))
        10.0
    """
    if probability == 0:
        return float("inf")
    return _log2(probability.denominator) - _log2(probability.numerator)


def is_owned(tail: Fraction, penalties: tuple[Penalty, ...], owned_bits: int = OWNED_BITS) -> bool:
    """Decide: does the tail, times all alternatives paid for, stay within 2^-owned_bits?

    Args:
        tail: P[at least as many matches by chance].
        penalties: Every freedom; the union bound multiplies.
        owned_bits: Bits that must remain, at least 1.

    Returns:
        True if the mark is shown.

    Example:
        >>> grinding = Penalty("grinding", 2**80, "hashing again")
        >>> is_owned(Fraction(1, 2**120), (grinding,)), is_owned(Fraction(1, 2**119), (grinding,))
        (True, False)
    """
    return adjusted_tail(tail, penalties) <= Fraction(1, 2**owned_bits)


def adjusted_tail(tail: Fraction, penalties: tuple[Penalty, ...]) -> Fraction:
    """Return the tail times the alternatives of every penalty: a union bound, not capped at 1.

    Args:
        tail: A probability.
        penalties: Every freedom.

    Returns:
        The bound on the chance of a false claim.
    """
    bound = tail
    for penalty in penalties:
        bound *= penalty.alternatives
    return bound


def _log2(value: int) -> float:
    shift = max(0, value.bit_length() - _MANTISSA_BITS)
    return log2(value >> shift) + shift
