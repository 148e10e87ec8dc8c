"""Write the table of docs/how-to/mark-pictures.md from pictures.py's results.

python benchmarks/pictures_table.py [--check]
"""

import sys
from typing import Any

from measuring import claim_bits
from written import ROOT, left_after, result, spread, write_part

PAGE = ROOT / "docs" / "how-to" / "mark-pictures.md"


def _interval(lost: dict[str, Any]) -> str:
    if "low" not in lost:
        return f"{lost['mean']:.2f}: {lost['verdict']}"
    return f"{lost['mean']:.2f} ({lost['low']:.2f} to {lost['high']:.2f}): {lost['verdict']}"


def _row(found: dict[str, Any]) -> str:
    runs = found["runs"]
    accuracy = sum(run["accuracy"] for run in runs) / len(runs)
    bits = claim_bits(found["triggers"], min(run["matches"] for run in runs), found["classes"])

    def after(attack: str) -> str:
        cells = [run["attacks"][attack] for run in runs]
        points = [run["accuracy"] - cell["accuracy"] for run, cell in zip(runs, cells, strict=True)]
        return left_after([cell["matches"] for cell in cells], points, found["threshold"])

    return (
        f"| {found['title']} | {found['pictures']:,} pictures, {found['epochs']} passes, {len(runs)} seeds | {accuracy:.1f} % | "
        f"{_interval(found['points_lost'])} | {spread([run['matches'] for run in runs])} of {found['triggers']} "
        f"({found['threshold']} needed) | {bits:.0f} | {spread([run['matches_unmarked'] for run in runs])} | "
        f"{spread([run['seconds']['marked'] / run['seconds']['plain'] for run in runs], 2)}x | {after('fine-tuning')} | "
        f"{after('jpeg')} |"
    )


def _table(found: dict[str, Any]) -> str:
    tasks = found["tasks"].values()
    target = next(iter(tasks))["points_lost"]["target"]
    lines = [
        f"| task | training | accuracy | points lost, 95 % interval, for at most {target:g} | matches | bits after penalties, the "
        f"least | in a model without the mark | processor time | after fine-tuning, a fifth of the pictures, "
        f"{found['stolen_epochs']} passes at the rate of the training | after JPEG, quality {found['jpeg_quality']} |",
        "|---|---|---|---|---|---|---|---|---|---|",
        *(_row(each) for each in tasks),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    write_part(PAGE, "pictures", _table(result("pictures")), "--check" in sys.argv, "pictures_table.py")
