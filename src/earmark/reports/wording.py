"""Chances, bits and foreign names in words. Roundings are always against the claim."""

from fractions import Fraction
from math import ceil, floor

from earmark.statistics import fewest_matches, strength_bits

_PLAUSIBLE_OUTSIDE = Fraction(1, 1000)
_FRACTION_FROM = Fraction(1, 100)
_COUNT_FROM = Fraction(1, 10**6)
_FLOAT_NOISE_DIGITS = 6


def visible(text: str) -> str:
    r"""Return a foreign text so that all of it can be seen, on one line.

    Whoever names a class or a suspect could otherwise turn the direction of writing around, hide
    letters, or break a line, and make one verdict look like another.

    Args:
        text: Any text, lone surrogates included.

    Returns:
        The text with every unprintable character as ``\u{hexadecimal}``.

    Example:
        >>> visible("cat\u202egod")
        'cat\\u{202e}god'
    """
    return "".join(
        character if character.isprintable() else f"\\u{{{ord(character):x}}}" for character in text
    )


def bits(value: float, *, paid: bool = False) -> str:
    """Return bits with one decimal: rounded down, or up where they are paid.

    Args:
        value: Bits; may be negative.
        paid: Whether it is a penalty.

    Returns:
        For instance ``"305.4"``; whole numbers have no decimal.
    """
    tenths = round(value * 10, _FLOAT_NOISE_DIGITS)
    rounded = ceil(tenths) if paid else floor(tenths)
    return f"{rounded // 10}" if rounded % 10 == 0 else f"{rounded / 10:.1f}"


def power_of_two(probability: Fraction) -> str:
    """Return a probability as a power of two, e.g. ``"2^-305.4"``.

    Args:
        probability: Above 0; a bound above 1 has a positive exponent.
    """
    exponent = bits(strength_bits(probability))
    if exponent == "0":
        return "2^0"
    return f"2^{exponent[1:]}" if exponent.startswith("-") else f"2^-{exponent}"


def odds(probability: Fraction) -> str:
    """Return a probability in everyday words.

    Args:
        probability: Above 0; 1 and more is "no bound at all".

    Returns:
        ``"about 42 in 100"``, ``"about 1 in 12,345"`` or ``"at most 1 in 10^91"``.

    Example:
        >>> odds(Fraction(1, 10) ** 91)
        'at most 1 in 10^91'
    """
    if probability >= 1:
        return "100 in 100" if probability == 1 else "no bound at all"
    if probability >= _FRACTION_FROM:
        share = round(100 * probability)
        return f"about {share} in 100" if share < 100 else "more than 99 in 100"
    if probability >= _COUNT_FROM:
        return f"about 1 in {floor(1 / probability):,}"
    return f"at most 1 in 10^{_whole_exponent(probability, 10)}"


def coin_tosses(probability: Fraction) -> int:
    """Return k so that a fair coin shows heads k times in a row at least as often as this happens.

    Args:
        probability: Above 0, at most 1.
    """
    return _whole_exponent(probability, 2)


def one_in(count: int) -> str:
    """Return how often one of so many classes comes by chance, e.g. ``"one time in 10"``."""
    return f"one time in {count:,}"


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """Return a count with its noun, e.g. ``"1 set"``, ``"1,000 triggers"``."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def listed(parts: list[str]) -> str:
    """Return parts as a person lists them: ``"a, b and c"``."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def plausible_matches(question_count: int, chance: Fraction) -> tuple[int, int]:
    """Return the range that holds the matches of at least 999 of 1,000 independent models.

    Each side leaves out at most 1 in 2,000; exact, from the binomial distribution.

    Args:
        question_count: n, at least 1.
        chance: Chance of one match, above 0 and below 1.

    Returns:
        Fewest and most matches, both included.

    Example:
        >>> plausible_matches(100, Fraction(1, 10))
        (2, 21)
    """
    side = _PLAUSIBLE_OUTSIDE / 2
    too_many = fewest_matches(question_count, chance, side)
    too_many_misses = fewest_matches(question_count, 1 - chance, side)
    low = 0 if too_many_misses is None else question_count - too_many_misses + 1
    return low, question_count if too_many is None else too_many - 1


def _whole_exponent(probability: Fraction, radix: int) -> int:
    """Return the largest k with probability <= radix^-k, exactly."""
    guess = floor(strength_bits(probability) / strength_bits(Fraction(1, radix)))
    while Fraction(1, radix ** (guess + 1)) >= probability:
        guess += 1
    while guess > 0 and Fraction(1, radix**guess) < probability:
        guess -= 1
    return guess
