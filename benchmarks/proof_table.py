"""Write the tables in docs/mathematics/zero-knowledge.md from zero_knowledge.py and zero_knowledge_yardstick.py.

python benchmarks/proof_table.py [--check]
"""

import sys
from pathlib import Path

from written import ROOT, result, write_part

PAGE = ROOT / "docs" / "mathematics" / "zero-knowledge.md"
COMPARED = PAGE.with_name("proofs-compared.md")


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


def growth() -> str:
    """Return one row for each size of the paper's ResNet-18 and number of triggers."""
    found = result("proof-growth")
    lines = [
        "| width | triggers | committed values | prove | memory | proof | convert | check | memory |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in sorted(found["rows"], key=lambda row: (row["width"], row["triggers"])):
        prove, check = row["prove"], row["check"]
        lines.append(
            f"| {row['width']} | {row['triggers']} | {prove['committed_values'] / 1e6:,.0f} million | "
            f"{prove['proving']['seconds']:.0f} s | {prove['peak_megabytes'] / 1000:.1f} GB | "
            f"{prove['proof_megabytes']:.1f} MB | {check['converting']['seconds']:.1f} s | "
            f"{check['checking']['seconds']:.1f} s | {check['peak_megabytes'] / 1000:.1f} GB |"
        )
    powers = found["exponents"]
    lines.append("")
    lines.append(
        f"From 10 triggers on, proving grows with the power {powers['triggers']:.2f} of their number; with the width, with the power {powers['width']:.2f}."
    )
    return "\n".join(lines) + "\n"


def ours() -> str:
    """Return the rows of the page of comparison that are ours."""
    lines = []
    for row in sorted(result("proof-growth")["rows"], key=lambda row: row["width"]):
        prove, check = row["prove"], row["check"]
        if row["triggers"] == 100 and row["width"] in (16, 64):
            lines.append(
                f"| Earmark | ResNet-18 of width {row['width']}, {prove['parameters'] / 1e6:.1f} million parameters, 32x32 | 100 | "
                f"{prove['proving']['seconds']:.0f} s | {check['checking']['seconds']:.0f} s, and {check['converting']['seconds']:.0f} s to convert | "
                f"{prove['proof_megabytes']:.1f} MB | two cores |"
            )
    return "\n".join(lines) + "\n"


def profile() -> str:
    """Return where the time of one proof goes."""
    found = result("proof-profile")
    floor = found["floor_core_seconds"]
    lines = [
        f"| part of a proof: {found['network']}, {found['triggers']} triggers | core-seconds | floor |",
        "|---|---|---|",
    ]
    for name, seconds in sorted(found["core_seconds"].items(), key=lambda item: -item[1]):
        lines.append(f"| {name} | {seconds:.1f} | {f'{floor[name]:.1f}' if name in floor else ''} |")
    return "\n".join(lines) + "\n"


WIDTHS = {"cifar10-small": "width 16", "cifar10-wide": "width 64, one pass over the data"}


def marked() -> str:
    """Return one row for each marked network."""
    lines = [
        "| model | answers alike on test pictures | accuracy, original and integers | triggers, original and integers | proof |",
        "|---|---|---|---|---|",
    ]
    rows = result("proof-of-marked")["rows"]
    for row in sorted(rows, key=lambda row: (row["study"], row["arm"], row["seed"])):
        accuracy, matches = row["accuracy_percent"], row["matches"]
        lines.append(
            f"| {WIDTHS[row['study']]}: {row['arm']}, seed {row['seed']} | {row['alike']:,} of {row['pictures']:,} | "
            f"{accuracy['original']:.1f} %, {accuracy['integers']:.1f} % | "
            f"{matches['original']} and {matches['integers']} of {row['triggers']} | {row['proof_megabytes']:.1f} MB, checked |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    texts = {
        "measured": table,
        "yardstick": yardstick,
        "growth": growth,
        "profile": profile,
        "marked": marked,
    }
    for name, text in texts.items():
        write_part(PAGE, name, text(), "--check" in sys.argv, Path(__file__).name)
    write_part(COMPARED, "ours", ours(), "--check" in sys.argv, Path(__file__).name)
