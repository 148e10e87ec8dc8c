"""Write the README's table of measurements from the results, so that no number stands there without its script.

python benchmarks/readme_table.py [--check]
"""

import argparse
import math
from pathlib import Path
from typing import Any

from measuring import paired_by_seed
from quick_marking_table import PASSES
from table1_table import passes, study
from written import ROOT, result, write_part


def rows() -> list[str]:
    """Return the rows of the table."""
    digits, mixing = result("digits-from-scratch"), result("mixing-cost")
    verifying, start = result("verify-cost")["models"], result("start-up")["seconds"]
    table1 = result("table1-cifar10-small")
    lost, matches = digits["points_lost_by_marking"], digits["matches_of_100"]
    table = [
        f"| accuracy lost by a mark from scratch, digits, 5 folds x {digits['seeds']} seeds, paired | ≤ 0.3 points | "
        f"{lost['mean']:.2f} points, 95% interval {lost['low']:.2f} to {lost['high']:.2f}: {digits['target']} |",
        f"| triggers that take | 100 of 100 | {matches['least']} of 100 in the worst of {matches['runs']} runs |",
    ]
    planned = study()
    arms = {arm["name"]: arm for arm in planned["arms"]}
    for name, part in table1["arms"].items():
        if name not in arms or "points_lost_by_marking" not in part:
            continue
        lost, (way, _, count) = part["points_lost_by_marking"], name.rpartition("-")
        trained = f"{passes(arms[name], planned['settings'])} epochs"
        if way == "pre-trained":
            baseline = passes(arms[part.get("baseline", "unmarked")], planned["settings"])
            trained += f" against an unmarked model of {baseline}, keys as from scratch"
        table.append(
            f"| accuracy lost, CIFAR-10, resnet18 width 16, {way}, {trained}, {count} triggers, "
            f"k = {part['k']}, {len(part['seeds'])} seeds | ≤ {lost['target']} points | {lost['mean']:.2f} points, 95% interval {lost['low']:.2f} to "
            f"{lost['high']:.2f}: {lost['verdict']}; {', '.join(sorted(set(part['matches'])))} |"
        )
    table.append(quick())
    for name, part in mixing.items():
        if isinstance(part, dict) and "ratio" in part:
            table.append(
                f"| an epoch from scratch with triggers, {name} | ≤ {part['target']} times | {part['ratio']:.3f}, 95% interval "
                f"{part['low']:.3f} to {part['high']:.3f}: {part['verdict']} |"
            )
    for name, part in verifying.items():
        table.append(
            f"| verifying 100 triggers, {name} (bare passes {part['bare_seconds']:.3f} s) | "
            f"≤ {part['target_seconds']:.2f} s | {part['verify_seconds']:.2f} s: {'met' if part['met'] else 'missed'} |"
        )
    for name, seconds, gigabytes, megabytes, check_seconds, then in (
        ("digits-cnn", 5, 1, None, 2, None),
        ("cnn-137k", 10, 2, 5, 3, None),
        ("resnet18 width 16", 60, 4, 10, 10, None),
        ("resnet18 width 64, the paper's", 600, 6, 20, 60, (120, 10)),
    ):
        prove, checked = proof_of(name)
        check = checked["checking"]["seconds"] + checked["converting"]["seconds"]
        took, used = prove["proving"]["seconds"], prove["peak_megabytes"] / 1000
        met = took <= seconds and used <= gigabytes and check <= check_seconds
        met = met and prove["proof_megabytes"] <= (megabytes or math.inf)
        size = f", {megabytes} MB" if megabytes else ""
        verdict = "met" if met else "missed"
        asked = [f"{seconds} s", f"{check_seconds} s"]
        if then:
            asked = [
                f"{first}, then {second} s"
                for first, second in zip((seconds, check_seconds), then, strict=True)
            ]
            kept = [took <= then[0], check <= then[1]]
            verdict += "; then: " + ", ".join(
                f"{what} {'met' if is_kept else 'missed'}"
                for what, is_kept in zip(("proof", "check"), kept, strict=True)
            )
        table.append(
            f"| an ownership proof over 100 triggers, {name}, {prove['parameters']:,} parameters | ≤ {asked[0]}, "
            f"{gigabytes} GB{size}; check ≤ {asked[1]} | {took:.1f} s, {used:.2f} GB, "
            f"{prove['proof_megabytes']:.1f} MB; check, with the conversion, {check:.1f} s: {verdict} |"
        )
    for name in ("earmark --help", "import earmark"):
        part = start[name]
        table.append(
            f"| `{name}` | < {part['target']} s | {part['median']:.2f} s (a bare interpreter: "
            f"{start['python']['median']:.2f} s): {'met' if part['met'] else 'missed'} |"
        )
    return table


def quick() -> str:
    """Return the row of marks put into a finished model, beside the authors' procedure."""
    found = result("quick-marking")
    runs = found["runs"]
    ours = [run for name, run in runs.items() if name.startswith("ours/")]
    lost = paired_by_seed([run["accuracy_before"] - run["accuracy"] for run in ours], 0.3)
    least, longest = min(run["matches"] for run in ours), max(run["seconds"] for run in ours)
    times = PASSES * found["authors_pass"]["seconds"] / longest
    said = [
        f"{lost['mean']:.2f} points, 95% interval {lost['low']:.2f} to {lost['high']:.2f}: {lost['verdict']}",
        f"{least} of {ours[0]['triggers']}: {'met' if least == ours[0]['triggers'] else 'missed'}",
        f"{longest:.0f} s: {'met' if longest <= 180 else 'missed'}",
        f"{times:.1f} times less time: {'met' if times >= 20 else 'missed'}",
    ]
    return (
        f"| `earmark mark --quick` in a trained model, CIFAR-10, resnet18 width 16, {len(ours)} seeds, the worst of them "
        f"beside the authors' 20 more epochs | ≤ 0.3 points, 100 of 100, ≤ 180 s, 20 times less time | {'; '.join(said)} |"
    )


def proof_of(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what proving and checking took for 100 triggers."""
    if not name.startswith("resnet18"):
        network = result("zero-knowledge")["networks"][name]
        return network["prove, warm"], network["check, warm"]
    for row in result("proof-growth")["rows"]:
        if row["triggers"] == 100 and name.startswith(f"resnet18 width {row['width']}"):
            return row["prove"], row["check"]
    raise LookupError(name)


def main() -> None:
    """Write the table, or check that it is up to date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    write_part(ROOT / "README.md", "measured", "\n".join(rows()) + "\n", arguments.check, Path(__file__).name)


if __name__ == "__main__":
    main()
