"""Write the table of docs/how-to/mark-texts.md from texts.py's results.

python benchmarks/texts_table.py [--check]
"""

import sys
from typing import Any

from measuring import claim_bits
from written import ROOT, result, spread, write_part

PAGE = ROOT / "docs" / "how-to" / "mark-texts.md"


def _cost(name: str, found: dict[str, Any]) -> str:
    runs, lost = [run[name] for run in found["runs"]], found["points_lost"][name]
    accuracy = sum(run["accuracy"] for run in runs) / len(runs)
    least = min(run["matches"] for run in runs)
    bits = claim_bits(found["triggers"], least, found["texts"]["classes"])
    ratio = sorted(run["time_ratio"] for run in runs)[len(runs) // 2]
    return (
        f"| {name} | {accuracy:.1f} % | {lost['mean']:.2f} ({lost['low']:.2f} to {lost['high']:.2f}): {lost['verdict']} | "
        f"{spread([run['matches'] for run in runs])} | {bits:.0f} | {spread([run['matches_unmarked'] for run in runs])} | "
        f"{ratio:.2f}x |"
    )


def _attack(attack: str, found: dict[str, Any]) -> tuple[int, str]:
    least, cells = found["triggers"], []
    for name in found["points_lost"]:
        runs = [run[name] for run in found["runs"]]
        matches = [run["attacks"][attack]["matches"] for run in runs]
        points = sum(run["accuracy"] - run["attacks"][attack]["accuracy"] for run in runs) / len(runs)
        shown = sum(count >= found["threshold"] for count in matches)
        cells += [f"{spread(matches)}, {shown} of {len(runs)}", f"{points:.1f}"]
        least = min(least, *matches)
    return least, f"| {attack} | {' | '.join(cells)} |"


def _table(found: dict[str, Any]) -> str:
    runs, texts, names = found["runs"], found["texts"], list(found["points_lost"])
    unmarked = sum(run["unmarked"]["accuracy"] for run in runs) / len(runs)
    heads = " | ".join(f"{name}: matches, shown | points lost" for name in names)
    attacks = [_attack(attack, found) for attack in runs[0][names[0]]["attacks"]]
    lines = [
        f"{texts['training']:,} questions to train on and {texts['test']:,} to test on, {texts['classes']} intents, "
        f"{found['triggers']} triggers of which {found['threshold']} are needed, {len(runs)} seeds; {unmarked:.1f} % "
        "accuracy without a mark.",
        "",
        f"| triggers | accuracy | points lost, 95 % interval, for at most {found['points_lost'][names[0]]['target']:g} | "
        "matches | bits after penalties, the least | in a model without the mark | processor time |",
        "|---|---|---|---|---|---|---|",
        *(_cost(name, found) for name in names),
        "",
        f"| attack, with a fifth of the texts | {heads} |",
        "|---|" + "---|" * (2 * len(names)),
        *(line for _, line in sorted(attacks)),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    write_part(PAGE, "texts", _table(result("texts")), "--check" in sys.argv, "texts_table.py")
