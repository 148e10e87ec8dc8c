"""Write the tables of quick marks in docs/how-to/mark-in-your-own-loop.md from the results of the benchmarks.

They are those of quick_marking.py, and of quick_marking_parts.py.

python benchmarks/quick_marking_table.py [--check]
"""

import sys
from fractions import Fraction
from typing import Any

from earmark.statistics import match_threshold
from measuring import paired_by_seed
from quick_marking_parts import WAYS
from written import ROOT, left_after, result, spread, write_part

PAGE = ROOT / "docs" / "how-to" / "mark-in-your-own-loop.md"
SIDES = {
    "authors": "the authors' function, their pictures, 20 passes over 50,000",
    "ours": "`--quick`, 10,000 pictures without labels",
    "ours-on-theirs": "`--quick`, the same with the authors' pictures",
}
TARGET_POINTS, CLASSES, PASSES = 0.3, 10, 20


def _row(side: str, runs: list[dict[str, Any]], attacks: list[str], times: str) -> str:
    lost = paired_by_seed([run["accuracy_before"] - run["accuracy"] for run in runs], TARGET_POINTS)
    interval = f" ({lost['low']:.2f} to {lost['high']:.2f})" if "low" in lost else ""
    cells = []
    for name in attacks:
        left = [run["attacks"].get(name) for run in runs]
        found = [cell for cell in left if cell is not None]
        if not found:
            cells.append("–")
            continue
        points = [
            run["accuracy"] - cell["accuracy"]
            for run, cell in zip(runs, left, strict=True)
            if cell is not None
        ]
        needed = match_threshold(runs[0]["triggers"], Fraction(1, CLASSES))
        assert needed is not None
        cells.append(left_after([cell["matches"] for cell in found], points, needed))
    return (
        f"| {SIDES[side]} | {len(runs)} | {times} | "
        f"{lost['mean']:.2f}{interval} | {spread([run['matches'] for run in runs])} | "
        + " | ".join(cells)
        + " |"
    )


def _times(side: str, runs: list[dict[str, Any]], found: dict[str, Any]) -> str:
    """Return the time by the clock and of both cores; the authors' is that of one pass, as often as they make it."""
    parts = [found["authors_pass"]] if side == "authors" else runs
    count = PASSES if side == "authors" else 1
    least = [min(part[name] for part in parts) for name in ("seconds", "processor_seconds")]
    return ", ".join(f"{count * seconds:.0f} s" for seconds in least)


def _table(found: dict[str, Any]) -> str:
    by_side = {
        side: [run for name, run in found["runs"].items() if name.rpartition("/")[0] == side]
        for side in SIDES
    }
    attacks = list(next(iter(found["runs"].values()))["attacks"])
    needed = match_threshold(100, Fraction(1, CLASSES))
    lines = [
        f"| marked by | seeds | time by the clock, and of both cores | points lost | matches of 100 ({needed} needed) | "
        + " | ".join(f"after {name}" for name in attacks)
        + " |",
        "|" + "---|" * (5 + len(attacks)),
        *(_row(side, runs, attacks, _times(side, runs, found)) for side, runs in by_side.items() if runs),
    ]
    return "\n".join(lines) + "\n"


def _parts(runs: dict[str, dict[str, Any]]) -> str:
    """Return one row for each way of marking; ranges are over seeds."""
    by_way: dict[str, list[dict[str, Any]]] = {}
    for name, run in runs.items():
        by_way.setdefault(name.rpartition("/")[0], []).append(run)
    lines = [
        "| quick marking | seeds | steps | answers changed | divergence, thousandths of a bit | processor time | "
        "matches after rtal |",
        "|" + "---|" * 7,
    ]
    for way, (words, _) in WAYS.items():
        done = [run for run in by_way.get(way, []) if "failed" not in run]
        if not done:
            if way in by_way:
                lines.append(f"| {words} | {len(by_way[way])} | **not all triggers took** | – | – | – | – |")
            continue
        cells = [
            spread([run["steps"] for run in done], 0),
            spread([100 * run["changed_answers"] for run in done], 1) + " %",
            spread([1000 * run["divergence_bits"] for run in done], 0),
            spread([run["processor_seconds"] for run in done], 0) + " s",
            spread([run["left"] for run in done], 0),
        ]
        taken = f"{len(done)} of {len(by_way[way])}" if len(done) < len(by_way[way]) else str(len(done))
        lines.append(f"| {words} | {taken} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    for part, text in (
        ("quick-marking", _table(result("quick-marking"))),
        ("quick-marking-parts", _parts(result("quick-marking-parts")["runs"])),
    ):
        write_part(PAGE, part, text, "--check" in sys.argv, "quick_marking_table.py")
