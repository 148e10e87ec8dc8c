"""Write the tables in docs/mathematics/zero-knowledge.md from zero_knowledge.py and zero_knowledge_yardstick.py.

python benchmarks/proof_table.py [--check]
"""

import sys
from pathlib import Path

from written import ROOT, result, write_part

PAGE = ROOT / "docs" / "mathematics" / "zero-knowledge.md"


def table() -> str:
    """Return one row for each network."""
    found = result("zero-knowledge")
    lines = [
        "| network | parameters | values of an input | as the original | prove: warm, cold | memory | proof | check: warm, cold | memory |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, part in found["networks"].items():
        prove, check = part["prove, warm"], part["check, warm"]
        lines.append(
            f"| {name} | {prove['parameters']:,} | {prove['values_per_input']:,} | {prove['alike']} of {found['triggers']} | "
            f"{prove['proving']['seconds']:.1f} s, {part['prove, cold']['proving']['seconds']:.1f} s | "
            f"{prove['peak_megabytes'] / 1000:.2f} GB | {prove['proof_megabytes']:.1f} MB | "
            f"{check['checking']['seconds']:.1f} s, {part['check, cold']['checking']['seconds']:.1f} s | "
            f"{check['peak_megabytes'] / 1000:.2f} GB |"
        )
    return "\n".join(lines) + "\n"


def yardstick() -> str:
    """Return one proof of a yardstick beside ours for the same network."""
    other = result("zero-knowledge-yardstick")
    ours, steps = result("zero-knowledge"), other["steps"]
    part = ours["networks"][other["network"]]
    prove, check = part["prove, cold"], part["check, cold"]
    set_up = steps["reference string"]["core_seconds"] + steps["set up"]["core_seconds"]
    proving = steps["witness"]["core_seconds"] + steps["prove"]["core_seconds"]
    return (
        "| core-seconds, of both cores together | pictures | set up | prove | check | memory | proof |\n"
        "|---|---|---|---|---|---|---|\n"
        f"| {other['package']}, {other['network']} | 1 | {set_up:.0f} | {proving:.0f} | "
        f"{steps['check']['core_seconds']:.1f} | {steps['prove']['peak_megabytes'] / 1000:.1f} GB | "
        f"{other['proof_bytes'] / 1000:.0f} kB |\n"
        f"| Earmark, {other['network']}, cold | {ours['triggers']} | none | {prove['proving']['core_seconds']:.0f} | "
        f"{check['checking']['core_seconds']:.1f} | {prove['peak_megabytes'] / 1000:.1f} GB | "
        f"{1000 * prove['proof_megabytes']:,.0f} kB |\n"
    )


if __name__ == "__main__":
    for name, text in (("measured", table()), ("yardstick", yardstick())):
        write_part(PAGE, name, text, "--check" in sys.argv, Path(__file__).name)
