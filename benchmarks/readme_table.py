"""Write the README's table of measurements from the results, so that no number stands there without its script.

python benchmarks/readme_table.py [--check]
"""

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
BEGIN, END = "<!-- measured:begin -->\n", "<!-- measured:end -->"


def result(name: str) -> dict[str, Any]:
    """Return a committed result."""
    value: dict[str, Any] = json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text())
    return value


def rows() -> list[str]:
    """Return the rows of the table."""
    digits, mixing = result("digits-from-scratch"), result("mixing-cost")
    verifying, start = result("verify-cost")["models"], result("start-up")["seconds"]
    lost, matches = digits["points_lost_by_marking"], digits["matches_of_100"]
    table = [
        f"| accuracy lost by a mark from scratch, digits, 5 folds x {digits['seeds']} seeds, paired | ≤ 0.3 points | "
        f"{lost['mean']:.2f} points, 95% interval {lost['low']:.2f} to {lost['high']:.2f}: {digits['target']} |",
        f"| triggers that take | 100 of 100 | {matches['least']} or more in all {matches['runs']} runs |",
    ]
    for name, part in mixing.items():
        if isinstance(part, dict) and "ratio" in part:
            table.append(
                f"| an epoch with mixing, k = 2 of 100, {name} | ≤ 1.03 times | {part['ratio']:.3f}, 95% interval "
                f"{part['low']:.3f} to {part['high']:.3f}: {part['verdict']} |"
            )
    for name, part in verifying.items():
        table.append(
            f"| verifying 100 triggers, {name} (bare passes {part['bare_seconds']:.3f} s) | "
            f"≤ {part['target_seconds']:.2f} s | {part['verify_seconds']:.2f} s: {'met' if part['met'] else 'missed'} |"
        )
    for name in ("earmark --help", "import earmark"):
        part = start[name]
        table.append(
            f"| `{name}` | < {part['target']} s | {part['median']:.2f} s (a bare interpreter: "
            f"{start['python']['median']:.2f} s): {'met' if part['met'] else 'missed'} |"
        )
    return table


def main() -> None:
    """Write the table, or check that it is up to date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    readme = ROOT / "README.md"
    old = readme.read_text(encoding="utf-8")
    table = BEGIN + "\n".join(rows()) + "\n" + END
    new = re.sub(re.escape(BEGIN) + ".*?" + re.escape(END), lambda _: table, old, flags=re.DOTALL)
    if arguments.check:
        sys.exit("README.md: run python benchmarks/readme_table.py" if new != old else 0)
    readme.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
