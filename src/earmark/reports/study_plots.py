"""Plots of a study: what matches are left, what that cost, and how it came about. Needs the extra "plots".

Every plot is SVG text for a page that fetches nothing. Colours are told apart by people who see red and green
alike, and every outcome has a sign of its own besides.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from earmark.errors import MissingExtraError
from earmark.statistics import OWNED_BITS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Rows = Sequence[Mapping[str, Any]]
INK, GREY, LINE = "#1b1a17", "#6b675e", "#d8d3c6"
SIGNS = {"survived": ("#0072b2", "o"), "removed": ("#d55e00", "X"), "too costly": ("#b8860b", "^")}
"""Outcomes to a colour (after Okabe and Ito) and a sign."""
_SHADES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#7a7a7a")
_NAME_LIMIT = 46
_MOST_PANELS = 48
_POINTS_SHOWN = 40.0


@dataclass(frozen=True, slots=True)
class Plot:
    """One drawing.

    Attributes:
        title: What it shows.
        words: How to read it.
        svg: The drawing.
    """

    title: str
    words: str
    svg: str


def draw_all(table: Rows, passes: Mapping[str, Sequence[Mapping[str, Any]]]) -> tuple[Plot, ...]:
    """Return the plots of a study, those without any dot left out.

    Args:
        table: Rows of cells.
        passes: By a cell's id, what was seen after each pass.

    Returns:
        Matches after each attack; accuracy against claim bits; matches pass by pass.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise MissingExtraError("matplotlib", "plots") from error
    style = {
        "font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": GREY,
        "axes.labelcolor": INK, "text.color": INK, "xtick.color": GREY, "ytick.color": GREY,
        "xtick.labelcolor": INK, "ytick.labelcolor": INK, "svg.fonttype": "path", "svg.hashsalt": "earmark",
    }  # fmt: skip
    measured = [row for row in table if row["outcome"] in SIGNS]
    with mpl.rc_context(style):  # type: ignore[arg-type]  # its stub lists every key
        drawn = (_matches(measured), _accuracy(measured), _passes(measured, passes))
    return tuple(plot for plot in drawn if plot is not None)


def _matches(table: Rows) -> Plot | None:
    if not table:
        return None
    attacks = _worst_first(table)
    sizes = sorted({(row["questions"], row["threshold"]) for row in table})
    figure = _figure(9.6, 0.9 + 0.27 * len(attacks))
    for place, (questions, threshold) in enumerate(sizes):
        axes = figure.add_subplot(1, len(sizes), place + 1)
        own = [row for row in table if (row["questions"], row["threshold"]) == (questions, threshold)]
        for outcome, (colour, sign) in SIGNS.items():
            dots = [row for row in own if row["outcome"] == outcome]
            axes.scatter(
                [row["matches"] for row in dots],
                [attacks.index(row["attack"]) for row in dots],
                c=colour, marker=sign, s=34, alpha=0.85, linewidths=0, label=outcome if dots else None,
                zorder=3,
            )  # fmt: skip
        if threshold is not None:
            axes.axvline(threshold, color=INK, lw=1.2, ls=(0, (4, 2)))
            axes.annotate(
                f"{threshold} needed", (threshold, 1), xycoords=("data", "axes fraction"), ha="center",
                xytext=(0, 4), textcoords="offset points", fontsize=8,
            )  # fmt: skip
        axes.set(xlim=(-0.02 * questions, 1.04 * questions), ylim=(len(attacks) - 0.4, -0.6))
        axes.set_xlabel(f"matches of {questions}")
        names = [_short(name) for name in attacks] if place == 0 else [""] * len(attacks)
        axes.set_yticks(range(len(attacks)), names)
        axes.grid(axis="y", color=LINE, lw=0.7)
        axes.tick_params(left=False)
    _legend(figure)
    return Plot(
        "Matches left after each attack",
        "One sign for each cell; the attack that leaves least stands first. Left of the dashed line the mark "
        "is not shown.",
        _svg(figure),
    )


def _accuracy(table: Rows) -> Plot | None:
    compared = [row for row in table if row["points_lost"] is not None]
    if not compared:
        return None
    figure = _figure(9.6, 4.4)
    axes = figure.add_subplot()
    for outcome, (colour, sign) in SIGNS.items():
        dots = [row for row in compared if row["outcome"] == outcome]
        axes.scatter(
            [row["claim_bits"] for row in dots],
            [max(-row["points_lost"], -_POINTS_SHOWN) for row in dots],
            c=colour, marker=sign, s=38, alpha=0.8, linewidths=0, label=outcome if dots else None, zorder=3,
        )  # fmt: skip
    axes.axvline(OWNED_BITS, color=INK, lw=1.2, ls=(0, (4, 2)))
    axes.axhline(-5, color=GREY, lw=1.0, ls=(0, (1, 2)))
    axes.axhline(0, color=LINE, lw=0.8)
    axes.set_xlabel(f"claim strength after penalties, in bits (shown from {OWNED_BITS})")
    axes.set_ylabel("accuracy gained or lost, points")
    axes.grid(color=LINE, lw=0.5, alpha=0.6)
    _legend(figure)
    return Plot(
        "What is left of the claim, and of the accuracy",
        "One sign for each cell. A mark is lost cheaply left of the dashed line and above the dotted one (5 "
        f"points). Losses of more than {_POINTS_SHOWN:.0f} points are drawn at {_POINTS_SHOWN:.0f}; attacks "
        "that move a model to another task are left out.",
        _svg(figure),
    )


def _passes(table: Rows, passes: Mapping[str, Sequence[Mapping[str, Any]]]) -> Plot | None:
    from matplotlib.ticker import MaxNLocator

    watched = [row for row in table if row["id"] in passes]
    attacks = _worst_first(watched)[:_MOST_PANELS]
    if not attacks:
        return None
    models = sorted({row["model"] for row in watched})
    columns = min(3, len(attacks))
    lines = -(-len(attacks) // columns)
    figure = _figure(9.6, 0.5 + 1.75 * lines)
    for place, attack in enumerate(attacks, 1):
        axes = figure.add_subplot(lines, columns, place)
        for row in (row for row in watched if row["attack"] == attack):
            seen = passes[row["id"]]
            numbers = [0, *(item["pass"] for item in seen)]
            matches = [row["matches_before"], *(item["matches"] for item in seen)]
            shade = models.index(row["model"])
            axes.plot(
                numbers, [count / row["questions"] for count in matches],
                color=_SHADES[shade % len(_SHADES)], ls=("-", "--", ":")[shade // len(_SHADES) % 3],
                lw=1.3, marker=".", ms=4, alpha=0.85, label=row["model"],
            )  # fmt: skip
            if row["threshold"] is not None:
                axes.axhline(row["threshold"] / row["questions"], color=GREY, lw=0.7, ls=(0, (4, 2)))
        axes.set(ylim=(0, 1.05))
        axes.set_title(_short(attack), fontsize=8.5, loc="left")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _legend(figure)
    return Plot(
        "Matches pass by pass",
        "Share of triggers that still match after each pass over the thief's pictures; 0 is the model as "
        "it was stolen. Dashed: what the exact rule needs.",
        _svg(figure),
    )


def _worst_first(table: Rows) -> list[str]:
    shares: dict[str, float] = {}
    for row in table:
        share = row["matches"] / row["questions"]
        shares[row["attack"]] = min(share, shares.get(row["attack"], 1.0))
    return sorted(shares, key=lambda attack: (shares[attack], attack))


def _short(name: str) -> str:
    return name if len(name) <= _NAME_LIMIT else f"{name[: _NAME_LIMIT - 1]}…"


def _figure(width: float, height: float) -> "Figure":
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _legend(figure: "Figure") -> None:
    found: dict[str, Any] = {}
    for axes in figure.axes:
        handles, names = _labelled(axes)
        found |= dict(zip(names, handles, strict=True))
    if found:
        figure.legend(
            found.values(),
            found.keys(),
            loc="outside upper right",
            ncols=min(4, len(found)),
            frameon=False,
            fontsize=8,
        )


def _labelled(axes: "Axes") -> tuple[list[Any], list[str]]:
    handles, names = axes.get_legend_handles_labels()
    return list(handles), [str(name) for name in names]


def _svg(figure: "Figure") -> str:
    text = io.StringIO()
    figure.savefig(text, format="svg", facecolor="white", metadata={"Date": None})
    return text.getvalue()
