"""The field F_p with p = 15 * 2^27 + 1, and K = F_p[x] / (x^5 - 2).

p is below 2^31, so that products fit 64 bits, and 2^27 divides p - 1, so that there are fast transforms.
Values live in F_p; whatever a cheater must not guess is drawn from K, which has about 2^154.5 elements.
x^5 - 2 is irreducible: 5 divides p - 1 and 2 is no fifth power (a test computes 2^((p-1)/5) != 1).
"""

from typing import TypeAlias

PRIME = 15 * 2**27 + 1
EXTENSION_DEGREE = 5
NON_RESIDUE = 2  # x^5 = 2 in the extension
GENERATOR = 31  # of the multiplicative group of F_p
TWO_ADICITY = 27

Element: TypeAlias = tuple[int, int, int, int, int]


def add(left: Element, right: Element) -> Element:
    """Return the sum of two elements of K, each five coefficients in [0, p), constant term first."""
    a, b, c, d, e = ((x + y) % PRIME for x, y in zip(left, right, strict=True))
    return (a, b, c, d, e)


def multiply(left: Element, right: Element) -> Element:
    """Return the product of two elements of K.

    Source:
        Schoolbook multiplication modulo x^5 - 2

    Example:
        >>> multiply((0, 1, 0, 0, 0), (0, 0, 0, 0, 1))
        (2, 0, 0, 0, 0)
    """
    total = [0] * EXTENSION_DEGREE
    for i, x in enumerate(left):
        for j, y in enumerate(right):
            turns, place = divmod(i + j, EXTENSION_DEGREE)
            total[place] += x * y * (NON_RESIDUE if turns else 1)
    a, b, c, d, e = (value % PRIME for value in total)
    return (a, b, c, d, e)


def inverse(value: Element) -> Element:
    """Return the inverse of a non-zero element of K, as its power p^5 - 2.

    Raises:
        ZeroDivisionError: The element is zero.
    """
    if not any(value):
        raise ZeroDivisionError("zero has no inverse")
    result: Element = (1, 0, 0, 0, 0)
    exponent = PRIME**EXTENSION_DEGREE - 2
    for bit in bin(exponent)[2:]:
        result = multiply(result, result)
        if bit == "1":
            result = multiply(result, value)
    return result


def root_of_unity(order: int) -> int:
    """Return the root of unity of this order: the generator 31 to the power (p - 1) / order.

    Args:
        order: A power of two, at most 2^27.

    Raises:
        ValueError: There is no such root.

    Example:
        >>> root_of_unity(2) == PRIME - 1
        True
    """
    if order < 1 or order & (order - 1) or order > 1 << TWO_ADICITY:
        raise ValueError(f"a transform's size is a power of two up to 2^{TWO_ADICITY}, not {order}")
    return pow(GENERATOR, (PRIME - 1) // order, PRIME)
