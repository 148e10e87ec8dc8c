"""What the benchmarks share: results as small JSON files with machine and versions, and intervals."""

import json
import math
import os
import platform
import statistics
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

import earmark

RESULTS = Path(__file__).parent / "results"
Z95 = 1.959963984540054


def save(name: str, result: dict[str, Any]) -> None:
    """Print a result and write it to results/NAME.json."""
    result = {
        "benchmark": name,
        "machine": {
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "architecture": platform.machine(),
            "python": platform.python_version(),
            "torch": version("torch"),
            "earmark": earmark.__version__,
        },
        **result,
    }
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(result, indent=2)
    (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    print(text)


def mean_interval(values: list[float]) -> dict[str, float]:
    """Return the mean with its 95% interval by the normal approximation."""
    mean = statistics.fmean(values)
    half = Z95 * statistics.stdev(values) / math.sqrt(len(values))
    return {"mean": mean, "low": mean - half, "high": mean + half, "count": len(values)}


def verdict_on(low: float, high: float, target: float) -> str:
    """Say whether an interval lies below a target."""
    if high <= target:
        return "met"
    return "missed" if low > target else "not distinguishable at this many repetitions"
