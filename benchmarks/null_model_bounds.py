"""Between which counts must the tail of independent models lie, and how often would it not: bounds and tests.

What is tested is the statement that for each model the numbers of matches over R keys are R independent draws from
Bin(n, 1/C). Keys are independent, because each has a root of its own. Models are not independent of each other, because
all answer under the same labels. So every model is tested by itself, models are joined only by the union bound, and the
share over all models and keys is a mean of R independent numbers, one for each key, and never of 30 R.

A correct derivation fails with probability at most `FALSE_ALARM`, one third of it for each of three families of tests,
divided evenly among the tests of a family:

- *tails*: for every size, model and k, the number of keys with at least k matches is Bin(R, P[K >= k]): its exact
  quantiles, two-sided;
- *shapes*: for every size and model, Pearson's goodness of fit to the whole distribution (its law is the chi-square
  distribution only nearly, and therefore every bin expects at least 100 keys);
- *pooled*: for every size and k, the mean over all models, by the bound of Chernoff and Hoeffding, which holds for
  means of independent numbers in [0, 1] of any law, and so for any dependence between models.
"""

from dataclasses import dataclass
from fractions import Fraction
from math import log
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import binom, chi2

from earmark.statistics import match_tail, strength_bits

FALSE_ALARM = 0.01
FAMILIES = 3
LEAST_EXPECTED = 100
Histogram = npt.NDArray[np.int64]  # (n + 1,), keys by number of matches


@dataclass(frozen=True)
class Null:
    """What theory says for keys of one size.

    Attributes:
        question_count: n.
        key_count: R.
        class_count: C.
        tail_alarm: Chance of a false alarm of one side of one test of the tails.
        shape_alarm: Of one test of the shapes.
        pooled_alarm: Of one side of one test of the pooled tail.
    """

    question_count: int
    key_count: int
    class_count: int
    tail_alarm: float
    shape_alarm: float
    pooled_alarm: float

    @property
    def tail(self) -> npt.NDArray[np.float64]:
        """P[K >= k] for k = 0 to n, each the nearest float to the exact fraction."""
        chance = Fraction(1, self.class_count)
        n = self.question_count
        return np.array([float(match_tail(n, matches, chance)) for matches in range(n + 1)])

    def band(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the fewest and the most keys with at least k matches that pass, for k = 0 to n."""
        tail = self.tail
        low = binom.ppf(self.tail_alarm, self.key_count, tail)
        high = binom.isf(self.tail_alarm, self.key_count, tail)
        return low.astype(np.int64), high.astype(np.int64)

    def pooled_band(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return the least and the greatest mean share with at least k matches that pass, for k = 0 to n."""
        reach = -log(self.pooled_alarm) / self.key_count
        pairs = [(_edge(p, 0.0, reach), _edge(p, 1.0, reach)) for p in self.tail]
        low, high = np.array(pairs).T
        return low, high

    def shape_probability(self, histogram: Histogram) -> float:
        """Return the p-value of the goodness of fit."""
        tail = np.append(self.tail, 0.0)
        expected = self.key_count * (tail[:-1] - tail[1:])  # (n + 1,)
        starts = _bin_starts(expected)
        wanted, found = np.add.reduceat(expected, starts), np.add.reduceat(histogram, starts)
        return float(chi2.sf(((found - wanted) ** 2 / wanted).sum(), len(starts) - 1))

    def tail_probabilities(self, histogram: Histogram) -> npt.NDArray[np.float64]:
        """Return, for k = 1 to n, the smaller of the two one-sided p-values of the number of keys at k or more."""
        reached, tail = keys_at_least(histogram)[1:], self.tail[1:]
        above = binom.sf(reached - 1, self.key_count, tail)
        return np.minimum(above, binom.cdf(reached, self.key_count, tail))


def compare(null: Null, counted: npt.NDArray[np.int64], names: list[str]) -> dict[str, Any]:
    """Compare the counts of one size with theory.

    Args:
        null: What theory says.
        counted: (models, n + 1), keys by number of matches.
        names: Of the models.

    Returns:
        What goes into the result.
    """
    reached = keys_at_least(counted)  # (models, n + 1)
    low, high = null.band()
    outside = (reached < low) | (reached > high)
    shares, (pooled_low, pooled_high) = reached.mean(0) / null.key_count, null.pooled_band()
    pooled_outside = (shares < pooled_low) | (shares > pooled_high)
    shapes = [null.shape_probability(histogram) for histogram in counted]
    tails = [float(null.tail_probabilities(histogram).min()) for histogram in counted]
    places = np.arange(null.question_count + 1)
    best = int(places[counted.any(0)].max())
    return {
        "tails": {
            "comparisons": int(outside[:, 1:].size),
            "outside": int(outside[:, 1:].sum()),
            "smallest_p": min(tails),
            "fails_below_p": null.tail_alarm,
        },
        "shapes": {
            "comparisons": len(shapes),
            "outside": sum(p < null.shape_alarm for p in shapes),
            "smallest_p": min(shapes),
            "fails_below_p": null.shape_alarm,
        },
        "pooled": {
            "comparisons": int(pooled_outside[1:].size),
            "outside": int(pooled_outside[1:].sum()),
            "fails_below_p": null.pooled_alarm,
        },
        "most_matches_of_any_key_and_model": best,
        "their_bits_before_penalties": strength_bits(
            match_tail(null.question_count, best, Fraction(1, null.class_count))
        ),
        "models": [
            {
                "name": name,
                "mean_matches": float(histogram @ places / null.key_count),
                "most_matches": int(places[histogram > 0].max()),
                "smallest_tail_p": tail,
                "shape_p": shape,
            }
            for name, histogram, tail, shape in zip(names, counted, tails, shapes, strict=True)
        ],
    }


def nulls(sizes: tuple[int, ...], model_count: int, key_count: int, class_count: int) -> dict[int, Null]:
    """Return the theory for every size, with the chance of a false alarm divided among all tests."""
    share, places = FALSE_ALARM / FAMILIES, sum(sizes)
    return {
        size: Null(
            size,
            key_count,
            class_count,
            tail_alarm=share / (2 * places * model_count),
            shape_alarm=share / (len(sizes) * model_count),
            pooled_alarm=share / (2 * places),
        )
        for size in sizes
    }


def keys_at_least(histogram: Histogram) -> Histogram:
    """Return the number of keys with at least k matches, for k = 0 to n, along the last axis."""
    return histogram[..., ::-1].cumsum(-1)[..., ::-1]


def _bin_starts(expected: npt.NDArray[np.float64]) -> list[int]:
    """Divide 0 … n into bins of neighbours that each expect enough."""
    starts, gathered = [0], 0.0
    for place, value in enumerate(expected):
        if gathered >= LEAST_EXPECTED:
            starts.append(place)
            gathered = 0.0
        gathered += value
    if gathered < LEAST_EXPECTED and len(starts) > 1:
        starts.pop()
    return starts


def _edge(p: float, end: float, reach: float) -> float:
    """Return the share q between p and an end at which R · KL(q ‖ p) = -log(alarm), by bisection."""
    inside, outside = p, end
    for _ in range(80):
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if _divergence(middle, p) <= reach else (inside, middle)
    return outside


def _divergence(q: float, p: float) -> float:
    if (p >= 1 and q < 1) or (p <= 0 < q):
        return float("inf")
    terms = ((q, p), (1 - q, 1 - p))
    return sum(a * (log(a) - log(b)) for a, b in terms if a > 0)
