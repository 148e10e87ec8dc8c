"""How the cost of ownership proofs grows: with the number of triggers, and with the width of the paper's ResNet-18.

    python benchmarks/proof_growth.py

1, 10, 100 and 500 triggers at width 16; widths 8, 16, 32 and 64 (the paper's) with 100 triggers. Random weights: the cost
depends on shapes only. Each proof and each check is a process of its own, with machine code compiled before. The result is
written after every pair; the script goes on where it was stopped. Run it on a machine that does nothing else.
"""

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from measuring import save
from written import result
from zero_knowledge import in_a_process, prepare

NAME = "proof-growth"
TRIGGERS, WIDTHS = (1, 10, 100, 500), (8, 16, 32, 64)
PAIRS = sorted(
    {(16, count) for count in TRIGGERS} | {(width, 100) for width in WIDTHS},
    key=lambda pair: pair[0] ** 2 * pair[1],
)


def measure(width: int, triggers: int) -> dict[str, Any]:
    """Prove and check once."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        prepare(f"resnet18-{width}", folder, triggers)
        load = round(os.getloadavg()[0], 1)
        return {
            "width": width,
            "triggers": triggers,
            "load_average": load,
            "prove": in_a_process("prove", folder),
            "check": in_a_process("check", folder),
        }


def exponent(points: list[tuple[float, float]]) -> float:
    """Return the slope of a line through the logarithms."""
    horizontal, vertical = np.log(np.array(points)).T
    return float(np.polyfit(horizontal, vertical, 1)[0])


def exponents(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Return how proving time grows: from 10 triggers on, and with the width."""
    seconds = {(row["width"], row["triggers"]): row["prove"]["proving"]["seconds"] for row in rows}
    return {
        "triggers": exponent([(n, seconds[16, n]) for n in TRIGGERS if n >= 10 and (16, n) in seconds]),
        "width": exponent([(w, seconds[w, 100]) for w in WIDTHS if (w, 100) in seconds]),
    }


def main() -> None:
    """Measure what is missing."""
    try:
        rows: list[dict[str, Any]] = result(NAME)["rows"]
    except FileNotFoundError:
        rows = []
    for width, triggers in PAIRS:
        if not any((row["width"], row["triggers"]) == (width, triggers) for row in rows):
            rows.append(measure(width, triggers))
            save(NAME, {"rows": rows, "exponents": exponents(rows) if len(rows) > 3 else {}})


if __name__ == "__main__":
    main()
