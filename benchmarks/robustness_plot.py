"""Draw what the robustness studies measured: docs/images/robustness.png.

    python benchmarks/robustness_plot.py [IMAGE]

One dot a cell of tiers 1 to 3: what an attack costs the thief, and what it leaves of the claim. Needs the extra "plots".
"""

import sys
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from robustness_table import OUTCOMES, Row, read

IMAGE = Path(__file__).parent.parent / "docs" / "images" / "robustness.png"
INK, GREY = "#1f2933", "#7b8794"
COLOURS = dict(zip(OUTCOMES, ("#d9480f", "#7b8794", "#2f80c2"), strict=True))
NEEDED_BITS, ALLOWED_POINTS, MOST_POINTS = 40, 5, 40
STUDIES = ("robustness-tier1", "robustness-tier2", "robustness-tier3")


def cells() -> list[Row]:
    """Return the cells whose accuracy is that of the marked models' own task."""
    rows = [
        row
        for study in STUDIES
        if (Path(__file__).parent / "results" / f"{study}.csv").exists()
        for row in read(study)
    ]
    return [row for row in rows if row["points_lost"] and row["claim_bits"]]


def label_once(axes: Axes, rows: list[Row], places: list[tuple[float, float]]) -> None:
    """Name each attack at its leftmost dot, in a column beside the dots and in their order."""
    leftmost: dict[str, tuple[float, float]] = {}
    for row, place in sorted(zip(rows, places, strict=True), key=lambda item: item[1]):
        leftmost.setdefault(row["attack"].partition(" ")[0], place)
    for number, (name, place) in enumerate(sorted(leftmost.items(), key=lambda item: -item[1][1])):
        axes.annotate(
            name, place, (0.24, 0.385 - 0.033 * number), textcoords="axes fraction", va="center", fontsize=7.5,
            color=INK, arrowprops={"arrowstyle": "-", "color": GREY, "linewidth": 0.4, "relpos": (0, 0.5)},
        )  # fmt: skip


def main() -> None:
    """Draw."""
    mpl.rcParams.update({"font.size": 9, "axes.edgecolor": GREY, "text.color": INK, "axes.labelcolor": INK})
    figure, axes = plt.subplots(figsize=(8, 4.6), dpi=150, layout="constrained")
    axes.axhspan(-150, NEEDED_BITS, xmax=1, color="#f7f9fb", zorder=0)
    axes.axhline(NEEDED_BITS, color=GREY, linewidth=0.8)
    axes.axvline(ALLOWED_POINTS, color=GREY, linewidth=0.8)
    for outcome in reversed(OUTCOMES):
        chosen = [row for row in cells() if row["outcome"] == outcome]
        places = [(min(MOST_POINTS, float(row["points_lost"])), float(row["claim_bits"])) for row in chosen]
        if places:
            horizontal, vertical = zip(*places, strict=True)
            label = f"{outcome} ({len(places)})"
            axes.scatter(horizontal, vertical, s=16, color=COLOURS[outcome], alpha=0.75, label=label, lw=0)
        if outcome == "removed":
            label_once(axes, chosen, places)
    axes.set_yscale("symlog", linthresh=150)
    axes.set_ylim(-150, 2200)
    axes.set_yticks([-100, 0, NEEDED_BITS, 150, 500, 1500], ["-100", "0", "40", "150", "500", "1500"])
    axes.set_xlim(-4, MOST_POINTS + 1)
    axes.set_xlabel(f"points of accuracy that the attack costs (at most {MOST_POINTS} shown)")
    axes.set_ylabel("bits of the claim, after penalties")
    axes.legend(loc="upper right", frameon=False)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.savefig(Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGE)


if __name__ == "__main__":
    main()
