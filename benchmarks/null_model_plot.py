"""Draw what `null_models.py` measured: docs/images/null-models.png.

    python benchmarks/null_model_plot.py [IMAGE]

Needs the extra "plots".
"""

import csv
import json
import sys
from collections import Counter
from dataclasses import dataclass
from math import log10
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MultipleLocator
from PIL import Image

from measuring import RESULTS
from null_model_bounds import FALSE_ALARM, Null, keys_at_least, nulls

IMAGE = Path(__file__).parent.parent / "docs" / "images" / "null-models.png"
INK, GREY, BAND, MODEL, CHOSEN = "#1f2933", "#7b8794", "#d9e2ec", "#2f80c2", "#d9480f"
SHADES = (
    "#2f80c2",
    "#5b9bd0",
    "#82b5dd",
    "#a5cae7",
    "#c2dbef",
    "#d8e8f5",
    "#e6f0f9",
    "#eef5fb",
    "#f4f9fd",
    "#f9fcfe",
)


@dataclass(frozen=True)
class Measured:
    """One number of triggers.

    Attributes:
        null: What theory says.
        counts: ``(models, n + 1)``, keys by number of matches.
        answers: One text of digits for each model.
        chosen: What labels chosen after the answers give.
    """

    null: Null
    counts: npt.NDArray[np.int64]
    answers: list[str]
    chosen: dict[str, Any]

    @property
    def shares(self) -> npt.NDArray[np.float64]:
        """Share of keys with at least k matches, ``(models, n + 1)``."""
        return keys_at_least(self.counts) / self.null.key_count


def read() -> tuple[list[str], dict[int, Measured]]:
    """Return the names of the models, and what was measured by number of triggers."""
    result = json.loads((RESULTS / "null-models.json").read_text(encoding="utf-8"))
    names = [model["name"] for model in result["models"]]
    sizes = tuple(int(size) for size in result["triggers"])
    theory = nulls(sizes, len(names), result["keys_of_each_size"], 10)
    measured = {}
    for size, null in theory.items():
        counts = np.zeros((len(names), size + 1), np.int64)
        with (RESULTS / f"null-models-{size}.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                counts[:, int(row["matches"])] = [int(row[name]) for name in names]
        part = result["triggers"][str(size)]["labels_chosen_afterwards"]
        measured[size] = Measured(null, counts, result["answers"][str(size)], part)
    return names, measured


def draw_tail(axes: Axes, part: Measured, span: tuple[int, int]) -> None:
    """Draw exact tail, band and measured tails on a logarithmic scale."""
    places, (low, high) = np.arange(part.null.question_count + 1), part.null.band()
    keys, floor = part.null.key_count, 0.4 / part.null.key_count
    axes.fill_between(
        places,
        np.maximum(low / keys, floor),
        np.maximum(high / keys, floor),
        color=BAND,
        lw=0,
        label="bounds",
    )
    for number, shares in enumerate(part.shares):
        seen = shares > 0
        label = f"{len(part.shares)} models, measured" if number == 0 else None
        axes.plot(places[seen], shares[seen], color=MODEL, lw=0.8, alpha=0.55, label=label)
    axes.plot(places, part.null.tail, color=INK, lw=1.1, ls=(0, (4, 2)), label="exact")
    axes.set(yscale="log", ylim=(floor, 2), xlim=span)
    axes.set_title(f"{part.null.question_count} triggers", loc="left", fontsize=10, color=INK)
    axes.tick_params(labelbottom=False)


def draw_ratio(axes: Axes, part: Measured, span: tuple[int, int]) -> None:
    """Draw measured over exact, where at least one key in a thousand times R is expected."""
    places = np.arange(part.null.question_count + 1)
    tail, (low, high) = part.null.tail, part.null.band()
    held = tail * part.null.key_count > 0.1
    expected = (tail * part.null.key_count)[held]
    axes.fill_between(places[held], low[held] / expected, high[held] / expected, color=BAND, lw=0)
    for shares in part.shares:
        axes.plot(places[held], shares[held] / tail[held], color=MODEL, lw=0.8, alpha=0.55)
    axes.axhline(1, color=INK, lw=1.1, ls=(0, (4, 2)))
    axes.set(ylim=(0.45, 1.55), xlim=span, xlabel=f"matches of {part.null.question_count}, k")


def draw_contrast(axes: Axes, part: Measured) -> None:
    """Draw the same tails beside the one of labels that were chosen after the answers."""
    size, floor = part.null.question_count, 0.4 / part.null.key_count
    places = np.arange(size + 1)
    for shares in part.shares:
        axes.plot(places[shares > 0], shares[shares > 0], color=MODEL, lw=0.8, alpha=0.55)
    matches = np.array(part.chosen["commonest_answer"]["matches"])
    reached = (matches[:, None] >= places).mean(0)  # (n + 1,), share of models
    axes.step(np.append(places, size), np.append(reached, floor), where="pre", color=CHOSEN, lw=1.8)
    threshold, owned = (
        part.chosen["matches_that_owned_takes"],
        (matches >= part.chosen["matches_that_owned_takes"]).sum(),
    )
    axes.axvspan(threshold, size + 1, color="#fff1e8", lw=0, zorder=0)
    axes.set(yscale="log", ylim=(floor, 2), xlim=(0, size + 1), xlabel=f"matches of {size}, k")
    axes.set_ylabel("share with at least k")
    beside = {"fontsize": 9, "va": "center", "transform": axes.transAxes}
    axes.text(0.72, 0.22, f"“owned”:\n{threshold} matches or more", color=CHOSEN, **beside)
    axes.text(
        0.27, 0.55, f"labels chosen after the answers: share of models,\n{owned} of {len(matches)} would be “owned”",
        color=CHOSEN, **beside,
    )  # fmt: skip
    axes.text(
        0.27, 0.22, "labels derived after the commitment: share of keys,\none line for each model", color=MODEL, **beside
    )  # fmt: skip


def draw_answers(bars: Axes, means: Axes, names: list[str], part: Measured) -> None:
    """Draw what each model answers, and how many matches that gives it on the average."""
    size, keys = part.null.question_count, part.null.key_count
    ranked = [Counter(text).most_common() for text in part.answers]
    order = sorted(range(len(names)), key=lambda model: ranked[model][0][1])
    half = 2.576 * (size * 0.09 / keys) ** 0.5  # 99% of the means of R keys
    means.axvspan(size / 10 - half, size / 10 + half, color=BAND, lw=0)
    means.axvline(size / 10, color=INK, lw=1.1, ls=(0, (4, 2)))
    for row, model in enumerate(order):
        left = 0
        for rank, (digit, count) in enumerate(ranked[model]):
            bars.barh(row, count, left=left, color=SHADES[rank], height=0.82, lw=0.4, edgecolor="white")
            if count >= 4:
                ink = "white" if rank < 2 else INK
                bars.text(left + count / 2, row, digit, color=ink, fontsize=7, ha="center", va="center")
            left += count
        means.plot(part.counts[model] @ np.arange(size + 1) / keys, row, "o", color=MODEL, ms=4)
    bars.axvline(part.chosen["matches_that_owned_takes"], color=CHOSEN, lw=1.2)
    bars.set_yticks(range(len(order)), [names[model] for model in order], fontsize=8.5)
    bars.set(xlim=(0, size), ylim=(-0.6, len(order) - 0.4), xlabel=f"answers to the {size} triggers")
    means.set(
        ylim=(-0.6, len(order) - 0.4), xlim=(size / 10 - 0.055, size / 10 + 0.055), xlabel="mean matches"
    )
    means.xaxis.set_major_locator(MultipleLocator(0.04))
    means.tick_params(left=False, labelleft=False)


def power_of_ten(share: float, _: int) -> str:
    """Return the text of a tick."""
    return "1" if share == 1 else f"$10^{{{round(log10(share))}}}$"


def headline(figure: Figure, axes: Axes, text: str, more: str) -> None:
    """Write a heading above a panel: what it shows, and how to read it."""
    top = axes.get_position().y1 + (0.019 if axes.get_title("left") else 0.008)
    figure.text(0.03, top + 0.0155, text, fontsize=12.5, weight="bold", color=INK)
    figure.text(0.03, top + 0.003, more, fontsize=8.5, color=GREY)


def main() -> None:
    """Draw it."""
    names, measured = read()
    mpl.rcParams.update(
        {
            "font.size": 9, "mathtext.default": "regular", "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": GREY,
            "axes.labelcolor": INK, "xtick.color": GREY, "ytick.color": GREY, "xtick.labelcolor": INK,
            "ytick.labelcolor": INK, "ytick.minor.size": 0,
        }
    )  # fmt: skip
    figure = plt.figure(figsize=(9, 14.4))
    top = figure.add_gridspec(
        2,
        2,
        left=0.095,
        right=0.985,
        top=0.945,
        bottom=0.675,
        height_ratios=(2.4, 1),
        hspace=0.08,
        wspace=0.14,
    )
    small, large = (part for _, part in sorted(measured.items()))
    tails = [figure.add_subplot(top[0, column]) for column in (0, 1)]
    ratios = [figure.add_subplot(top[1, column]) for column in (0, 1)]
    for column, (part, span) in enumerate(((small, (0, 30)), (large, (20, 92)))):
        draw_tail(tails[column], part, span)
        draw_ratio(ratios[column], part, span)
    tails[0].set_ylabel("share of keys with at least k")
    ratios[0].set_ylabel("measured / exact")
    tails[0].legend(loc="lower left", frameon=False)
    contrast = figure.add_subplot(
        figure.add_gridspec(1, 1, left=0.095, right=0.985, top=0.60, bottom=0.462)[0]
    )
    draw_contrast(contrast, small)
    low = figure.add_gridspec(
        1, 2, left=0.235, right=0.985, top=0.385, bottom=0.032, width_ratios=(3.6, 1), wspace=0.06
    )
    bars = figure.add_subplot(low[0])
    draw_answers(bars, figure.add_subplot(low[1]), names, small)
    for axes in (*tails, *ratios, contrast):
        axes.yaxis.set_minor_locator(mpl.ticker.NullLocator())
        axes.grid(axis="y", color="#eef1f4", lw=0.7)
        axes.set_axisbelow(True)
    for axes in (*tails, contrast):
        axes.yaxis.set_major_formatter(FuncFormatter(power_of_ten))
    others = small.chosen["answers_of_the_first_model"]["matches_of_the_others"][:4]
    headline(
        figure, tails[0], "Models that know no key match as often as theory says",
        f"Each line is one model under {small.null.key_count:,} keys. If theory holds, any line leaves the bounds anywhere "
        f"with probability below {FALSE_ALARM:.0%}.",
    )  # fmt: skip
    headline(
        figure, contrast, "If labels could be chosen afterwards, anybody could “own” other people's models",
        "Every trigger labelled with the suspect's commonest answer. (With the answers of a digits-cnn of one's own, four "
        f"others match {min(others)} to {max(others)}.)",
    )  # fmt: skip
    headline(
        figure, bars, "However unbalanced the answers, derived labels match one in ten",
        "Left: how often each model gives which class, commonest first; past the line that class alone would “own” it. "
        "Right: mean, and 99% of such means.",
    )  # fmt: skip
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGE
    figure.savefig(path, dpi=180, facecolor="white")
    Image.open(path).convert("RGB").quantize(128).save(path, optimize=True)


if __name__ == "__main__":
    main()
