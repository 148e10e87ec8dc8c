"""Answers with probabilities: what a stake on each class would return."""

import math
from collections.abc import Sequence
from decimal import Context, Decimal

from earmark.statistics.sequential import PAYOFF_BITS
from earmark.suspects import Answer, Miss

# Correctly rounded, and the same on every machine.
_CONTEXT = Context(prec=40)


def weights(probabilities: Sequence[float], temperature: str = "1") -> tuple[int, ...] | Miss:
    """Return probabilities as whole multiples of 2^-32 that add up to at most 1.

    What counts is only that bound: then a stake spread so over the classes is worth no more than 1 on average
    for a uniform label, however a suspect made its numbers up.

    Args:
        probabilities: One for each class, finite and not negative; they need not add up to 1.
        temperature: Decimal text above 0; below 1 it sharpens, above 1 it flattens.

    Returns:
        One weight for each class, rounded down; or a miss if the numbers are no probabilities.

    Example:
        >>> [weight / 2**32 for weight in weights([2.0, 1.0, 1.0])]
        [0.5, 0.25, 0.25]
        >>> weights([1.0, float("nan")])
        <Miss.NOT_A_NUMBER: 'not a number'>
    """
    try:
        probabilities = [float(value) for value in probabilities]
    except (OverflowError, TypeError, ValueError):
        return Miss.NOT_A_NUMBER
    if not all(math.isfinite(value) and value >= 0 for value in probabilities) or not any(probabilities):
        return Miss.NOT_A_NUMBER
    # The greatest becomes 1: nothing overflows, and what underflows is nothing.
    greatest = max(probabilities)
    exponent = _CONTEXT.divide(Decimal(1), Decimal(temperature))
    powers = [
        Decimal(0) if value == 0 else _power(Decimal(value), Decimal(greatest), exponent)
        for value in probabilities
    ]
    whole = [int(_CONTEXT.multiply(power, Decimal(1 << 64))) for power in powers]
    total = sum(whole)
    return tuple((value << PAYOFF_BITS) // total for value in whole)


def top_class(found: Sequence[int]) -> Answer:
    """Return the class with the greatest weight; a tie is a miss."""
    greatest = max(found)
    places = [place for place, value in enumerate(found) if value == greatest]
    return places[0] if len(places) == 1 else Miss.TIE


def _power(value: Decimal, greatest: Decimal, exponent: Decimal) -> Decimal:
    ratio = _CONTEXT.divide(value, greatest)
    if exponent == 1 or ratio == 0:
        return ratio
    return _CONTEXT.exp(_CONTEXT.multiply(_CONTEXT.ln(ratio), exponent))
