"""How many questions a verdict takes: the sequential test against a fixed number, at 100, 80, 60 and 40% survival.

Nothing is simulated: the chance that a suspect with a given share of surviving marks has been shown to be owned
after t questions follows exactly from the boundary and the binomial distribution.

    python benchmarks/questions_needed.py
"""

from fractions import Fraction

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import binom

from earmark.statistics import (
    GRINDING_BITS,
    LOOKING_BITS,
    OWNED_BITS,
    fewest_matches_in_sequence,
    match_threshold,
)
from measuring import IMAGES, save

CHANCE = Fraction(1, 10)
NEEDED = Fraction(2 ** (OWNED_BITS + GRINDING_BITS + LOOKING_BITS))
MOST = 640
SURVIVALS = (1.0, 0.8, 0.6, 0.4)
SURE = 0.95


def sequential_chances(survival: float, boundary: list[int | None]) -> np.ndarray:
    """Return P[owned after at most t questions] for t = 0 to MOST.

    Args:
        survival: Chance that a question is answered with the label.
        boundary: Fewest matches that are enough after t questions, or None.
    """
    running = np.zeros(MOST + 2)  # P[not yet owned, k matches]
    running[0] = 1.0
    owned = [0.0]
    for count in range(1, MOST + 1):
        running[1:] = running[1:] * (1 - survival) + running[:-1] * survival
        running[0] *= 1 - survival
        least = boundary[count]
        done = 0.0 if least is None else float(running[least:].sum())
        if least is not None:
            running[least:] = 0
        owned.append(owned[-1] + done)
    return np.array(owned)


def first_at(chances: np.ndarray, level: float) -> int | None:
    """Return the first t at which the chance reaches a level for good."""
    below = np.nonzero(chances < level)[0]
    first = int(below[-1]) + 1 if len(below) else 0
    return first if first < len(chances) else None


def main() -> None:
    """Compute, draw and save."""
    boundary = [None, *(fewest_matches_in_sequence(count, CHANCE, NEEDED) for count in range(1, MOST + 1))]
    thresholds = [match_threshold(count, CHANCE) if count else None for count in range(MOST + 1)]
    figure, axes = plt.subplots(figsize=(8, 4.2), layout="constrained")
    rows = {}
    for survival, colour in zip(SURVIVALS, ("#1b6e53", "#2a6fb0", "#a15c00", "#8c2d62"), strict=True):
        sequential = sequential_chances(survival, boundary)
        fixed = np.array(
            [
                0.0 if least is None else float(binom.sf(least - 1, count, survival))
                for count, least in enumerate(thresholds)
            ]
        )
        mean = float(np.sum(1 - sequential)) if sequential[-1] > 0.999 else None
        rows[f"{survival:.0%}"] = {
            "sequential": {
                "half": first_at(sequential, 0.5),
                "sure": first_at(sequential, SURE),
                "mean": mean,
            },
            "fixed": {"half": first_at(fixed, 0.5), "sure": first_at(fixed, SURE)},
        }
        questions = np.arange(MOST + 1)
        axes.plot(questions, sequential, color=colour, label=f"{survival:.0%} of marks survive")
        axes.plot(questions, fixed, color=colour, linestyle=":")
    axes.plot([], [], color="grey", label="sequential: ends by itself")
    axes.plot([], [], color="grey", linestyle=":", label="fixed number, chosen before")
    axes.set(xlabel="questions", ylabel="chance that the mark is shown", xlim=(0, 520), ylim=(0, 1.02))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right")
    figure.savefig(IMAGES / "questions-needed.png", dpi=150)
    save("questions-needed", {"classes": 10, "bits_needed": 144, "sure": SURE, "questions": rows})


if __name__ == "__main__":
    main()
