"""Write the tables of docs/how-to/mark-tables.md from tables.py's results.

python benchmarks/tables_table.py [--check]
"""

import sys
from typing import Any

from written import ROOT, result, spread, write_part

PAGE = ROOT / "docs" / "how-to" / "mark-tables.md"


def _costs(rows: dict[str, Any]) -> str:
    lines = [
        "| table, estimator | accuracy | points lost, 95 % interval | matches | bits, the least | time to fit |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in rows.items():
        lost = row["points_lost"]
        lines.append(
            f"| {name.removeprefix('table:')} | {row['accuracy']:.1f} % | {lost['mean']:.2f} "
            f"({lost['low']:.2f} to {lost['high']:.2f}) | {spread(row['matches'])} of {row['triggers']} | "
            f"{row['least_claim_bits']:.0f} | {row['time_ratio']:.1f}x |"
        )
    return "\n".join(lines) + "\n"


def _attacks(rows: dict[str, Any]) -> str:
    lines = [
        "| attack | estimator | survived | matches, as a share of the threshold | points lost, mean |",
        "|---|---|---|---|---|",
    ]
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for name, row in rows.items():
        estimator = name.partition(", ")[2]
        for attack, measured in row["attacks"].items():
            for matches in measured["matches"]:
                share = matches / row["threshold"]
                found.setdefault((attack, estimator), []).append((share, measured["points_lost"]))
    least: dict[str, float] = {}
    for (attack, _), values in found.items():
        least[attack] = min(least.get(attack, float("inf")), *(share for share, _ in values))
    for (attack, estimator), values in sorted(
        found.items(),
        key=lambda item: (least[item[0][0]], item[0][0], sum(share for share, _ in item[1])),
    ):
        shares = [share for share, _ in values]
        lost = sum(points for _, points in values) / len(values)
        lines.append(
            f"| {attack} | {estimator} | {sum(share >= 1 for share in shares)} of {len(shares)} | "
            f"{100 * min(shares):.0f} to {100 * max(shares):.0f} % | {lost:.1f} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write or check both parts."""
    rows = result("tables")["rows"]
    check = "--check" in sys.argv
    write_part(PAGE, "tables", _costs(rows), check, "tables_table.py")
    write_part(PAGE, "table-attacks", _attacks(rows), check, "tables_table.py")


if __name__ == "__main__":
    main()
