"""What the benchmarks share: results as small JSON files with machine and versions, and intervals."""

import argparse
import json
import math
import os
import platform
import statistics
import sys
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

import earmark
from earmark.processor import keep_freed_memory
from earmark.statistics import match_tail, strength_bits
from earmark.statistics.penalties import GRINDING_BITS, LOOKING_BITS

RESULTS = Path(__file__).parent / "results"
IMAGES = Path(__file__).parents[1] / "docs" / "images"
Z95 = 1.959963984540054


def draw_alike_everywhere() -> None:
    """Start the script again without numpy's AVX-512 code, unless it runs without already.

    Sines and exponentials of that code differ in the last bit from those of other processors. A pixel of an
    abstract trigger then differs, and with it the root and every label: a key drawn again from its seed would
    not be the one that a kept model was marked with.
    """
    if "NPY_DISABLE_CPU_FEATURES" not in os.environ:
        os.environ["NPY_DISABLE_CPU_FEATURES"] = "X86_V4"  # numpy's own name for it
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - the same program, no shell


def seeds_asked_for(description: str | None, seeds: list[int]) -> list[int]:
    """Begin a script that trains: read ``--seeds`` and ``--threads``, and draw alike everywhere.

    Args:
        description: Of the script.
        seeds: Those taken if none are given.
    """
    return asked_for(description, seeds)[0]


def asked_for(description: str | None, seeds: list[int], *variants: str) -> tuple[list[int], str | None]:
    """Begin such a script that has variants, each an option: return the seeds, and the variant if one is given."""
    draw_alike_everywhere()
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--seeds", type=int, nargs="+", default=seeds)
    parser.add_argument("--threads", type=int, default=2)
    one_of_them = parser.add_mutually_exclusive_group()
    for variant in variants:
        one_of_them.add_argument(f"--{variant}", dest="variant", action="store_const", const=variant)
    arguments = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(arguments.threads)
    return arguments.seeds, getattr(arguments, "variant", None)


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


def known_runs(name: str) -> dict[str, Any]:
    """Return the runs of a result that were made so far; none without a file."""
    path = RESULTS / f"{name}.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["runs"] if path.exists() else {}
    return found


def claim_bits(question_count: int, match_count: int, class_count: int) -> float:
    """Return what so many matches are worth as a claim, after what every verdict pays."""
    tail = match_tail(question_count, match_count, Fraction(1, class_count))
    return strength_bits(tail) - GRINDING_BITS - LOOKING_BITS


def mean_interval(values: list[float]) -> dict[str, float]:
    """Return the mean with its 95% interval by the normal approximation."""
    mean = statistics.fmean(values)
    half = Z95 * statistics.stdev(values) / math.sqrt(len(values))
    return {"mean": mean, "low": mean - half, "high": mean + half, "count": len(values)}


def median_interval(values: list[float]) -> dict[str, float]:
    """Return the median with its exact 95% interval from order statistics, whatever the distribution.

    For timings: what else the machine does makes a few of them many times longer, and a mean follows those.
    """
    from scipy.stats import binom

    ordered = sorted(values)
    outside = int(binom.ppf(0.025, len(ordered), 0.5)) - 1  # values left out on each side
    return {
        "median": statistics.median(ordered),
        "low": ordered[max(0, outside)],
        "high": ordered[-1 - max(0, outside)],
        "count": len(ordered),
    }


def verdict_on(low: float, high: float, target: float) -> str:
    """Say whether an interval lies below a target."""
    if high <= target:
        return "met"
    return "missed" if low > target else "not distinguishable at this many repetitions"


def paired_by_seed(losses: list[float], target: float) -> dict[str, Any]:
    """Return the mean of paired differences with its 95% interval over seeds, by Student's distribution.

    Over seeds and not over images: two trainings differ by more than the images they are tested on.

    Args:
        losses: One difference for each seed.
        target: What the mean is not to exceed.

    Returns:
        Mean, interval and what it says about the target; no interval for a single seed.
    """
    from scipy.stats import t

    mean = statistics.fmean(losses) if losses else math.nan
    if len(losses) < 2:
        return {"mean": mean, "count": len(losses), "target": target, "verdict": "too few seeds"}
    half = float(t.ppf(0.975, len(losses) - 1)) * statistics.stdev(losses) / math.sqrt(len(losses))
    low, high = mean - half, mean + half
    verdict = verdict_on(low, high, target)
    return {
        "mean": mean, "low": low, "high": high, "count": len(losses), "target": target, "verdict": verdict,
    }  # fmt: skip
