"""Draw docs/images/proof-growth.png from proof_growth.py's result. Needs the extra "plots".

python benchmarks/proof_growth_plot.py
"""

import matplotlib as mpl
from matplotlib import pyplot as plt

from measuring import IMAGES
from proof_growth import NAME
from written import result

INK, GREY, BLUE = "#1f2933", "#7b8794", "#2f80c2"


def main() -> None:
    """Draw."""
    found = result(NAME)
    mpl.rcParams.update({"font.size": 9, "axes.edgecolor": GREY, "text.color": INK, "axes.labelcolor": INK})
    figure, both = plt.subplots(1, 2, figsize=(8, 3.4), dpi=150, layout="constrained", sharey=True)
    parts = (
        ("triggers", "triggers, width 16", [row for row in found["rows"] if row["width"] == 16]),
        ("width", "width, 100 triggers", [row for row in found["rows"] if row["triggers"] == 100]),
    )
    for axes, (name, label, rows) in zip(both, parts, strict=True):
        chosen = sorted(rows, key=lambda row: row[name])
        horizontal = [row[name] for row in chosen]
        for step, doing, style in (("prove", "proving", "o-"), ("check", "checking", "s--")):
            seconds = [row[step][doing]["seconds"] for row in chosen]
            axes.plot(
                horizontal, seconds, style, color=BLUE if step == "prove" else GREY, ms=4, lw=1.2, label=step
            )
            for place in zip(horizontal, seconds, strict=True):
                axes.annotate(
                    f"{place[1]:.0f} s",
                    place,
                    (0, 6 if step == "prove" else -13),
                    textcoords="offset points",
                    ha="center",
                    fontsize=8,
                )
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_ylim(0.5, 1000)
        axes.set_xticks(horizontal, [str(value) for value in horizontal])
        axes.minorticks_off()
        axes.set_xlabel(label)
        axes.set_title(f"proving grows with the power {found['exponents'][name]:.2f}", fontsize=9)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    both[0].set_ylabel("seconds on two cores")
    both[0].legend(frameon=False, loc="upper left")
    figure.savefig(IMAGES / "proof-growth.png")


if __name__ == "__main__":
    main()
