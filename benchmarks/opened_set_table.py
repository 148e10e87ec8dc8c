"""Write the table in docs/mathematics/opened-sets.md from the results of opened_set.py.

python benchmarks/opened_set_table.py [--check]
"""

import sys
from pathlib import Path

from written import ROOT, result, write_part

PAGE = ROOT / "docs" / "mathematics" / "opened-sets.md"


def table() -> str:
    """Return one row for each run, as it stood after the last pass."""
    found = result("opened-set")
    size = found["set_size"]
    lines = [
        f"| model | learning rate | opened triggers are trained to | opened set, of {size} | other sets, of {size} each | "
        "the others' strength | accuracy |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in found["rows"]:
        last, way = row["passes"][-1], row["way"]
        (opened, *others), way = last["matches"], {"without triggers": "not used"}.get(way, way)
        lines.append(
            f"| {row['model']} | {row['learning_rate']} | {way} | {opened} | {', '.join(map(str, others))} | "
            f"{last['others_bits']:.0f} bits | {last['accuracy_percent']:.1f} % |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    write_part(PAGE, "opened-set", table(), "--check" in sys.argv, Path(__file__).name)
