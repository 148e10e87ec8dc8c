"""Evidence that may be looked at after every question: e-processes, in integers.

Before each question a gambler stakes a share of what he owns on the label of the key, and keeps the rest. A
win pays C times the stake, which is fair against a model that does not depend on the labels, so that his
fortune starts at 1 and does not grow on average. By Ville's inequality it ever reaches 1/a with probability
at most a: evidence may be read, and questioning ended, at any time.

Nobody knows the right share in advance, so the fortune is the average over all of them, by a beta
distribution that the transcript fixes. The integral is a polynomial's and exact.
"""

from fractions import Fraction

PAYOFF_BITS = 32
"""Payoffs are whole multiples of 2^-32."""


class EProcess:
    """The fortune of that gambler.

    Args:
        mixture: (alpha, beta) of the beta distribution of the share staked, both at least 1.

    Source:
        Ville 1939; Robbins 1970 (mixtures); Shafer 2021 (betting). The mixture over shares is ours
        (docs/mathematics/verdict.md)

    Example:
        >>> process = EProcess()
        >>> for _ in range(45):
        ...     process.add(Fraction(10))
        >>> process.best >= 2**144
        True
    """

    def __init__(self, mixture: tuple[int, int] = (1, 1)) -> None:
        if min(mixture) < 1:
            raise ValueError(f"both parameters of the mixture must be at least 1, not {mixture}")
        self._alpha, self._beta = mixture
        # Term j holds the share^j (1 - share)^(t - j) of the polynomial, integrated, times 2^(bits j) and the
        # mixture's (alpha + beta) … of t factors. A question multiplies each by small numbers, and no more.
        self._terms = [1]
        self._bits = 0  # after the point, in the finest payoff so far: most are integers
        self._norm = 1
        self._best = 1  # times all that the greatest term is multiplied by
        self._count = 0
        self._has_grown = False  # since the terms were last added up

    @property
    def question_count(self) -> int:
        """Questions so far, t."""
        return self._count

    @property
    def best(self) -> Fraction:
        """The greatest fortune so far, at least 1."""
        self._settle()
        return Fraction(self._best, self._norm << (self._bits * (len(self._terms) - 1)))

    def add(self, payoff: Fraction) -> None:
        """Take in one question.

        Args:
            payoff: What a stake of 1 returns: C for a match and 0 for a miss; or C times the probability
                that the suspect gave to the label. At least 0; rounded down to a multiple of 2^-32. Given all
                that came before, its mean must not exceed 1 for a model that does not depend on the labels.
        """
        if payoff < 0:
            raise ValueError(f"a payoff is not negative, and this one is {payoff}")
        if payoff < 1:
            self._settle()  # whatever the stake was, the fortune now falls
        whole = (payoff.numerator << PAYOFF_BITS) // payoff.denominator
        self._refine(PAYOFF_BITS + 1 - (whole & -whole).bit_length() if whole else 0)
        last, kept = self._terms, self._beta + self._count
        self._terms = [term * (kept - wins) for wins, term in enumerate(last)]
        growth = self._alpha + self._beta + self._count
        self._norm *= growth
        if whole:
            win = whole >> (PAYOFF_BITS - self._bits)
            self._terms.append(0)
            for wins, term in enumerate(last):
                self._terms[wins + 1] += term * (win * (self._alpha + wins))
            growth <<= self._bits
        self._best *= growth
        self._count += 1
        self._has_grown = self._has_grown or payoff > 1

    def _refine(self, bits: int) -> None:
        """Keep payoffs with so many bits after the point, if it were fewer."""
        if bits > self._bits:
            more = bits - self._bits
            self._terms = [term << (more * wins) for wins, term in enumerate(self._terms)]
            self._best <<= more * (len(self._terms) - 1)
            self._bits = bits

    def _settle(self) -> None:
        if self._has_grown:
            total = 0
            for term in self._terms:
                total = (total << self._bits) + term
            self._best = max(self._best, total)
            self._has_grown = False


def sequential_evidence(payoffs: list[Fraction], mixture: tuple[int, int] = (1, 1)) -> Fraction:
    """Return the greatest fortune over all prefixes; see ``EProcess``.

    Args:
        payoffs: In the order asked.
        mixture: As for ``EProcess``.

    Returns:
        At least 1; its reciprocal bounds the chance of ever getting so far.
    """
    process = EProcess(mixture)
    for payoff in payoffs:
        process.add(payoff)
    return process.best


def fewest_matches_in_sequence(
    question_count: int, chance: Fraction, needed: Fraction, mixture: tuple[int, int] = (1, 1)
) -> int | None:
    """Return the fewest matches after which the fortune is enough, whatever their order.

    Args:
        question_count: n, at least 1.
        chance: Chance of one match, 1/C.
        needed: The fortune that is enough.
        mixture: As for ``EProcess``.

    Returns:
        1 to n; None if even n of n falls short. A luckier order may do with fewer.

    Example:
        >>> fewest_matches_in_sequence(100, Fraction(1, 10), Fraction(2**144))
        70
    """
    low, high = 0, question_count + 1
    while high - low > 1:
        middle = (low + high) // 2
        is_enough = _fortune_after(question_count, middle, chance, mixture) >= needed
        low, high = (low, middle) if is_enough else (middle, high)
    return None if high > question_count else high


def _fortune_after(
    question_count: int, match_count: int, chance: Fraction, mixture: tuple[int, int]
) -> Fraction:
    """Return the fortune after so many matches and misses; it does not depend on their order."""
    alpha, beta = mixture
    total, term = Fraction(0), Fraction(1)
    # Terms C(K, j) / p^j times the mixture's mean of share^j (1 - share)^(n - j), each made from the last.
    for wins in range(question_count):
        term *= Fraction(beta + wins, alpha + beta + wins)
    for wins in range(match_count + 1):
        total += term
        left = question_count - wins
        if left:
            term *= Fraction((match_count - wins) * (alpha + wins), (wins + 1) * (beta + left - 1)) / chance
    return total
