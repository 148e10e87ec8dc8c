"""Write the tables of docs/how-to/mark-recordings.md from recordings.py's results.

python benchmarks/recordings_table.py [--check]
"""

import sys
from typing import Any

from measuring import claim_bits
from written import ROOT, result, spread, write_part

PAGE = ROOT / "docs" / "how-to" / "mark-recordings.md"


def _table(found: dict[str, Any]) -> str:
    runs, lost, triggers = found["runs"], found["points_lost"], found["triggers"]
    accuracy = sum(run["accuracy"] for run in runs) / len(runs)
    ratio = sorted(run["time_ratio"] for run in runs)[len(runs) // 2]
    lines = [
        f"{found['recordings']['training']:,} recordings of spoken digits to train on and "
        f"{found['recordings']['test']} to test on, {triggers} triggers, {len(runs)} seeds; {accuracy:.1f} % accuracy, "
        f"{lost['mean']:.2f} points lost by the mark (95 % interval {lost['low']:.2f} to {lost['high']:.2f}: "
        f"{lost['verdict']} for at most {lost['target']:g}), {ratio:.2f} times the processor time of a training "
        f"without it; {spread([run['matches'] for run in runs])} triggers take, "
        f"{spread([run['matches_unmarked'] for run in runs])} in a model without the mark. A claim is worth "
        f"{claim_bits(triggers, min(run['matches'] for run in runs), 10):.0f} bits after penalties at least, 40 are needed.",
        "",
        f"| attack, with a fifth of the recordings | matches of {triggers} | shown ({found['threshold']} needed) | "
        "points lost, mean |",
        "|---|---|---|---|",
    ]
    rows = []
    for name in runs[0]["attacks"]:
        matches = [run["attacks"][name]["matches"] for run in runs]
        points = sum(run["attacks"][name]["points_lost"] for run in runs) / len(runs)
        shown = sum(count >= found["threshold"] for count in matches)
        rows.append((min(matches), f"| {name} | {spread(matches)} | {shown} of {len(runs)} | {points:.1f} |"))
    return "\n".join([*lines, *(line for _, line in sorted(rows))]) + "\n"


if __name__ == "__main__":
    write_part(PAGE, "recordings", _table(result("recordings")), "--check" in sys.argv, "recordings_table.py")
