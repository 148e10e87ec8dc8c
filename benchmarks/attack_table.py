"""Write the table of attacks in docs/reference/attacks.md from their cards.

    python benchmarks/attack_table.py [--check]

With --check nothing is written, and a table that is not the one of the cards is an error.
"""

import sys
from pathlib import Path

from earmark.attacks import ATTACKS, attack_named
from earmark.attacks.protocol import ModelAttack
from written import ROOT, write_part

PAGE = ROOT / "docs" / "reference" / "attacks.md"


def table() -> str:
    """Return one row for each attack, by family, in the order of the table."""
    lines = [
        "| name | attack | on a | with | the thief also needs | source | defaults |",
        "|---|---|---|---|---|---|---|",
    ]
    family = ""
    for name in ATTACKS:
        attack = attack_named(name)
        card = attack.card
        if card.family != family:
            family = card.family
            lines.append(f"| | **{family}** | | | | | |")
        subject = "model" if isinstance(attack, ModelAttack) else "suspect"
        needs = "; ".join(sorted(card.needs)) or "nothing"
        cells = (f"`{name}`", card.title, subject, str(card.access), needs, card.source, card.defaults)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the table, or compare it."""
    write_part(PAGE, "attacks", table(), "--check" in sys.argv, Path(__file__).name)


if __name__ == "__main__":
    main()
