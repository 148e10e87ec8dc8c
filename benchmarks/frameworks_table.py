"""Write the table of docs/how-to/mark-in-your-own-loop.md from frameworks.py's results.

python benchmarks/frameworks_table.py [--check]
"""

import sys
from typing import Any

from measuring import claim_bits
from written import ROOT, left_after, result, spread, write_part

PAGE = ROOT / "docs" / "how-to" / "mark-in-your-own-loop.md"


def _row(name: str, lost: dict[str, Any], found: dict[str, Any]) -> str:
    runs = [run for run in found["runs"] if run["framework"] == name]
    accuracy = sum(run["accuracy"] for run in runs) / len(runs)
    ratios = [run["seconds"]["marked"] / run["seconds"]["plain"] for run in runs]
    least = min(run["matches"] for run in runs)

    def after(attack: str) -> str:
        cells = [run["attacks"][attack] for run in runs]
        points = [run["accuracy"] - cell["accuracy"] for run, cell in zip(runs, cells, strict=True)]
        return left_after([cell["matches"] for cell in cells], points, found["threshold"])

    return (
        f"| {name} | {accuracy:.1f} % | {lost['mean']:.2f} ({lost['low']:.2f} to {lost['high']:.2f}): {lost['verdict']} | "
        f"{spread([run['matches'] for run in runs])} | {claim_bits(found['triggers'], least, found['classes']):.0f} | "
        f"{spread([run['matches_unmarked'] for run in runs])} | {spread(ratios, 2)}x | {after('fine-tuning')} | {after('jpeg')} |"
    )


def _table(found: dict[str, Any]) -> str:
    lost = found["points_lost"]
    target = next(iter(lost.values()))["target"]
    lines = [
        f"{found['pictures']:,} pictures, {found['epochs']} passes, {found['triggers']} triggers of which {found['threshold']} are "
        f"needed, {max(each['count'] for each in lost.values())} seeds; the thief's fine-tuning: "
        f"{found['stolen']['pictures']:,} pictures, {found['stolen']['epochs']} passes at the rate of the training.",
        "",
        f"| framework | accuracy | points lost, 95 % interval, for at most {target:g} | matches | bits after penalties, the least | "
        "in a model without the mark | processor time | after fine-tuning | after JPEG |",
        "|---|---|---|---|---|---|---|---|---|",
        *(_row(name, each, found) for name, each in lost.items()),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    write_part(PAGE, "frameworks", _table(result("frameworks")), "--check" in sys.argv, "frameworks_table.py")
