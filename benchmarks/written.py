"""Parts of pages that scripts write: between ``<!-- NAME:begin -->`` and ``<!-- NAME:end -->``."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


def result(name: str) -> dict[str, Any]:
    """Return a committed result."""
    value: dict[str, Any] = json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text("utf-8"))
    return value


def write_part(page: Path, name: str, text: str, check: bool, script: str) -> None:
    """Write a part of a page; with ``check`` nothing is written, and another text there ends the process."""
    begin, end = f"<!-- {name}:begin -->\n", f"<!-- {name}:end -->"
    before, _, rest = page.read_text(encoding="utf-8").partition(begin)
    old, _, after = rest.partition(end)
    if not after:
        raise ValueError(f"{page}: no place for {name}")
    if old == text:
        return
    if check:
        sys.exit(f"{page.relative_to(ROOT)} is out of date: run python benchmarks/{script}")
    page.write_text(before + begin + text + end + after, encoding="utf-8")


def spread(values: Sequence[float], digits: int = 0) -> str:
    """Return least and greatest."""
    low, high = min(values), max(values)
    return f"{low:.{digits}f}" if low == high else f"{low:.{digits}f} to {high:.{digits}f}"


def left_after(matches: Sequence[int], points: Sequence[float], threshold: int) -> str:
    """Return what an attack left over several runs, what it cost, and in how many the mark is no longer shown."""
    lost_in = sum(count < threshold for count in matches)
    said = f"; **not shown in {lost_in} of {len(matches)}**" if lost_in else ""
    return f"{spread(matches)}, {sum(points) / len(points):.1f} points{said}"
