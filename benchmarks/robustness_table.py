"""Write the tables in docs/robustness.md, and the README's, from the results of the studies; lost marks first.

python benchmarks/robustness_table.py [--check]

A part is written where the page has its marker. Without results that is an error; without a marker nobody asks.
A cell that failed, or was not run, has a row that says so and never a number.
"""

import csv
import statistics
import sys
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any

from earmark.statistics import OWNED_BITS, match_threshold
from measuring import paired_by_seed
from written import ROOT, result, spread, write_part

PAGE = ROOT / "docs" / "robustness.md"
README = ROOT / "README.md"
RESULTS = ROOT / "benchmarks" / "results"
OUTCOMES = ("removed", "too costly", "survived")
PAPER, TORCH, TOOLBOX = "WatermarkNN", "PyTorch", "Adversarial Robustness Toolbox"
BESIDE = {
    **dict.fromkeys(("ftll", "ftal", "rtll", "rtal"), PAPER),
    **dict.fromkeys(("prune-magnitude", "prune-random", "int8", "int4"), TORCH),
    **dict.fromkeys(("jpeg", "median", "fewer-colours", "input-noise"), TOOLBOX),
    "refit": "REFIT",
    "anp": "ANP_backdoor",
    "i-bau": "I-BAU",
    "nad": "NAD",
    "fst": "stable_backdoor_purification",
    "wrk": "ClassFeatureWatermark",
}
Row = dict[str, str]


def rows_of(tier: int) -> list[Row]:
    """Return the cells of a tier."""
    return read(f"robustness-tier{tier}")


def read(name: str) -> list[Row]:
    """Return the cells of a study."""
    with (RESULTS / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def measured(rows: Iterable[Row]) -> list[Row]:
    """Return the cells that gave numbers."""
    return [row for row in rows if row["outcome"] in OUTCOMES]


def unmeasured(rows: Iterable[Row]) -> list[Row]:
    """Return the cells that failed or were not run."""
    return [row for row in rows if row["outcome"] not in OUTCOMES]


def without_numbers(first: Iterable[str], rows: list[Row], columns: int) -> str:
    """Return a row for cells without numbers: what they are, what became of them, and nothing else."""
    kinds = sorted({row["outcome"] for row in rows})
    said = ", ".join(f"{sum(row['outcome'] == kind for row in rows)} {kind}" for kind in kinds)
    cells = [*first, f"**{said if len(rows) > 1 else kinds[0]}**"]
    return "| " + " | ".join([*cells, *["–"] * (columns - len(cells))]) + " |"


def grouped(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Return cells by their attack."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row["attack"], []).append(row)
    return groups


def percent(share: str) -> str:
    """Return a share as per cent; nothing where it is not known."""
    return f"{100 * float(share):.0f} %" if share else "–"


def mean(rows: Iterable[Row], column: str) -> float:
    """Return the mean of a column."""
    return statistics.fmean(float(row[column]) for row in rows)


def worst_first(groups: dict[str, list[Row]]) -> list[tuple[str, list[Row]]]:
    """Return groups with most removed first, then by the lowest bits."""

    def key(item: tuple[str, list[Row]]) -> tuple[float, ...]:
        counts = [-sum(row["outcome"] == outcome for row in item[1]) for outcome in OUTCOMES]
        return (*counts[:2], mean(item[1], "claim_bits"))

    return sorted(groups.items(), key=key)


def tier_1() -> str:
    """Return one row for each attack, over all models: plain ones, and hardened ones beside them."""
    found, of_hardened = rows_of(1), read("robustness-rehearsed-tier1")
    hardened = grouped(measured(of_hardened))
    lines = [
        "| attack | plain: removed | too costly | survived | matches, mean share | points lost, mean | "
        "hardened: removed | too costly | survived | matches, mean share | points lost, mean |",
        "|" + "---|" * 11,
    ]
    for name, rows in worst_first(grouped(measured(found))):
        beside = over_models(hardened[name]) if name in hardened else " | ".join("–" * 5)
        lines.append(f"| {name} | {over_models(rows)} | {beside} |")
    lines += [without_numbers([name], rows, 11) for name, rows in grouped(unmeasured(found)).items()]
    nothing = grouped(unmeasured(of_hardened)).items()
    lines += [without_numbers([f"{name}, hardened"], rows, 11) for name, rows in nothing]
    return "\n".join(lines) + "\n"


def over_models(rows: list[Row]) -> str:
    """Return how many cells came out how, and their means."""
    counts = " | ".join(str(sum(row["outcome"] == outcome for row in rows)) for outcome in OUTCOMES)
    share = 100 * statistics.fmean(int(row["matches"]) / int(row["questions"]) for row in rows)
    return f"{counts} | {share:.0f} % | {mean(rows, 'points_lost'):.1f}"


def tier_2() -> str:
    """Return one row for each attack: what it left of a plain mark, and of a hardened one."""
    plain = [*rows_of(2), *read("robustness-ensemble")]
    # Those that three hardened models were attacked by stand for themselves, with the passes that they had there.
    longer = [row for row in read("robustness-rehearsed") if row["model"].endswith("-seed0")]
    hardened = {without_passes(row): row for row in longer if "then" not in row["attack"]}
    hardened |= {without_passes(row): row for row in read("robustness-rehearsed-tier2")}
    lines = [
        "| attack | plain: outcome | matches | bits after penalties | points lost | "
        "hardened: outcome | matches | bits after penalties | points lost | of the time of a training |",
        "|" + "---|" * 10,
    ]
    for row in sorted(lost_first(plain), key=lambda row: worst(row, hardened.get(without_passes(row)))):
        beside = of_cell(hardened.get(without_passes(row)))
        lines.append(f"| {row['attack']} | {of_cell(row)} | {beside} | {percent(row['share_of_training'])} |")
    lines += [without_numbers([row["attack"]], [row], 10) for row in unmeasured(plain)]
    return "\n".join(lines) + "\n"


def worst(*rows: Row | None) -> int:
    """Return the place among the outcomes of the worst that became of some marks."""
    return min(OUTCOMES.index(row["outcome"]) for row in rows if row and row["outcome"] in OUTCOMES)


def without_passes(row: Row) -> str:
    """Return an attack's name without its numbers."""
    return row["attack"].split(" (")[0]


def of_cell(row: Row | None) -> str:
    """Return what became of a mark, and what it cost the thief; in four columns."""
    if row is None or row["outcome"] not in OUTCOMES:
        return f"{'–' if row is None else '**' + row['outcome'] + '**'} | – | – | –"
    # On another task there is nothing to compare.
    points = f"{round(float(row['points_lost']), 1) + 0.0:.1f}" if row["points_lost"] else "–"
    return f"{row['outcome']} | {row['matches']} of {row['questions']} | {float(row['claim_bits']):.0f} | {points}"


def lost_first(rows: list[Row]) -> list[Row]:
    """Return the cells with numbers, what was lost first."""
    return sorted(measured(rows), key=lambda row: (OUTCOMES.index(row["outcome"]), float(row["claim_bits"])))


def by_cell(rows: list[Row]) -> str:
    """Return one row for each cell, what was lost first."""
    lines = [
        "| attack | outcome | matches | bits after penalties | accuracy | of the time of a training |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['attack']} | {row['outcome']} | {row['matches']} of {row['questions']} | {float(row['claim_bits']):.0f} | "
        f"{100 * float(row['accuracy_after']):.1f} % | {percent(row['share_of_training'])} |"
        for row in lost_first(rows)
    ]
    lines += [without_numbers([row["attack"]], [row], 6) for row in unmeasured(rows)]
    return "\n".join(lines) + "\n"


def tier_3() -> str:
    """Return one row for each attack, with every model's own numbers."""
    rows = rows_of(3)
    models = sorted({row["model"] for row in rows})
    head = " | ".join(f"{name.removeprefix('from-scratch-')}" for name in models)
    lines = [
        f"| attack | removed | points lost, mean | {head} |",
        "|" + "---|" * (3 + len(models)),
    ]
    groups, everything = grouped(measured(rows)), grouped(rows)
    for name, found in worst_first(groups):
        removed = sum(row["outcome"] == "removed" for row in found)
        by_model = {row["model"]: row for row in everything[name]}
        cells = " | ".join(in_short(by_model.get(model)) for model in models)
        lines.append(f"| {name} | {removed} of {len(found)} | {mean(found, 'points_lost'):.1f} | {cells} |")
    nothing = {name: found for name, found in everything.items() if name not in groups}
    lines += [without_numbers([name], found, 3 + len(models)) for name, found in nothing.items()]
    return "\n".join(lines) + "\n"


def in_short(row: Row | None) -> str:
    """Return matches and bits of a cell, and unless the mark survived, what became of it and what probabilities say."""
    if row is None:
        return "–"
    if row["outcome"] not in OUTCOMES:
        return f"**{row['outcome']}**"
    said = f"{row['matches']}: {float(row['claim_bits']):.0f} bits"
    if row["outcome"] == "survived":
        return said
    bits = row.get("probabilities_claim_bits")
    told = f"; {float(bits):.0f} by probabilities" if bits else ""
    return f"{said}, **{row['outcome']}**{told}"


def figure_6() -> str:
    """Return the paper's Figure 6 for 100 triggers: from scratch and pre-trained, as deployed and with the old layer."""
    paper = {"from-scratch": (100, 100, 100, 100), "pre-trained": (100, 95, 100, 80)}
    ways = ("ftll", "ftal", "rtll", "rtal")
    found = {
        ("from-scratch", row["attack"].partition(" ")[0]): row
        for row in rows_of(3)
        if "-100-" in row["model"]
    }
    found |= {("pre-trained", row["attack"].partition(" ")[0]): row for row in read("figure6")}
    lines = [
        "| recipe | way | matches of 100 | with the owner's last layer | accuracy, before and after | the paper's matches |",
        "|---|---|---|---|---|---|",
    ]
    for recipe, theirs in paper.items():
        for way, number in zip(ways, theirs, strict=True):
            row = found[recipe, way]
            if row["outcome"] not in OUTCOMES:
                lines.append(without_numbers([recipe, way.upper()], [row], 6))
                continue
            before, after = (100 * float(row[f"accuracy_{when}"]) for when in ("before", "after"))
            lines.append(
                f"| {recipe} | {way.upper()} | {row['matches']} | {row['restored_matches'] or row['matches']} | "
                f"{before:.1f} %, {after:.1f} % | {number} |"
            )
    return "\n".join(lines) + "\n"


def figure_7() -> str:
    """Return the paper's Figure 7: two marks in one model, and who wins."""
    lines = [
        "| seed | model | accuracy | owner's key | pirate's key |",
        "|---|---|---|---|---|",
    ]
    found = result("piracy")
    for run in found["runs"]:
        for row in run["rows"]:
            said = [
                f"{row[who]['matches']}: {row[who]['claim_bits']:.0f} bits" for who in ("owner", "pirate")
            ]
            lines.append(
                f"| {run['seed']} | {row['model']} | {row['accuracy_percent']:.1f} % | {said[0]} | {said[1]} |"
            )
    lines.append("")
    lines += [
        f"Seed {run['seed']}: the winner is the {run['decision']['winner'] or '— undecided'}: {run['decision']['reason']}."
        for run in found["runs"]
    ]
    return "\n".join(lines) + "\n"


def references() -> str:
    """Return our attacks beside other people's code; ranges over seeds."""
    found = result("attack-references")
    groups: dict[str, dict[str, list[dict[str, float]]]] = {}
    for row in found["rows"]:
        groups.setdefault(row["attack"], {}).setdefault(row["side"], []).append(row)
    lines = [
        "| attack | beside | seeds | matches of 512: ours | theirs | accuracy: ours | theirs |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, sides in groups.items():
        if set(sides) != {"ours", "theirs"}:
            continue
        cells = [spread([row["matches"] for row in sides[side]], 0) for side in ("ours", "theirs")]
        cells += [
            spread([100 * row["accuracy"] for row in sides[side]], 1) + " %" for side in ("ours", "theirs")
        ]
        lines.append(f"| {name} | {BESIDE[name]} | {len(sides['theirs'])} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def table_2() -> str:
    """Return the paper's Table 2 in spirit: a model moved to other classes, asked in two ways."""
    lines = [
        "| seed | accuracy on the new task | matches by the split map | bits | matches with the owner's last layer | bits |",
        "|---|---|---|---|---|---|",
    ]
    for row in sorted(read("transfer"), key=lambda row: int(row["seed"])):
        if row["outcome"] not in OUTCOMES:
            lines.append(without_numbers([row["seed"]], [row], 6))
            continue
        restored = float(row["restored_claim_bits"])
        lines.append(
            f"| {row['seed']} | {100 * float(row['accuracy_after']):.1f} % | {row['matches']} of {row['questions']} | "
            f"{float(row['claim_bits']):.0f} | {row['restored_matches']} of {row['questions']} | {restored:.0f} |"
        )
    return "\n".join(lines) + "\n"


def shares() -> str:
    """Return one row for each number of pictures that the thief has."""
    rows = sorted(read("robustness-shares"), key=lambda row: (row["attack"], int(row["image_count"])))
    return by_pictures(rows, lambda row: f"{int(row['image_count']):,} ({percent(row['image_share'])})")


def chains() -> str:
    """Return one row for each sequence of attacks."""
    return by_cell(read("robustness-chains"))


def titled(first: str, pattern: str) -> dict[str, str]:
    """Return models of three seeds with the heads of their columns."""
    return {
        pattern.format(seed): f"{first}, seed {seed}" if seed == 0 else f"seed {seed}" for seed in range(3)
    }


PLAIN = titled("plain, from scratch, 512 triggers", "from-scratch-512-seed{}")
REHEARSED = titled("hardened, in a trained model, 256 triggers", "rehearsed-settled-256-seed{}")
FRESH = titled("fresh ends, look-alikes to the end, 512 triggers", "fresh-ends-settled-512-seed{}")
FRESH |= titled("twice as heavy, settled without look-alikes, 256 triggers", "fresh-ends-settled-256-seed{}")
ENTANGLED = titled("entangled and settled, 512 triggers", "hardened-settled-512-seed{}")
UNSETTLED = titled("the same before settling", "hardened-pre-trained-512-seed{}")


def hardened() -> str:
    """Return plain marks beside hardened ones, under the same attacks."""
    return marks_beside({**PLAIN, **REHEARSED}, read("robustness-rehearsed"))


SHORT = (
    "weight-shifting (epochs=5)",
    "fresh-stages (epochs=6)",
    "refuse-strange",
    "randomise-strange",
    "fine-tune-strong (epochs=5)",
    "fine-tune-strong (epochs=5), then refuse-strange (false_alarms=0.005)",
    "surrogates-natural (epochs=6)",
    "surrogates-natural (epochs=5), then fst (epochs=5)",
    "fst (epochs=6)",
    "dehydra (epochs=6)",
    "flip",
)


COSTS = {
    "rehearsed-settled-256": "hardened, 256 triggers",
    "rehearsed-256": "the same before settling",
    "fresh-ends-settled-512": "fresh ends, settled at a higher rate, 512 triggers",
    "fresh-ends-512": "the same before settling",
    "fresh-ends-settled-256": "fresh ends, twice as heavy, settled without look-alikes, 256 triggers",
    "fresh-ends-256": "the same before settling",
    "hardened-settled-512": "entangled and settled, 512 triggers",
    "hardened-pre-trained-512": "the same before settling",
}


def hardened_cost() -> str:
    """Return what marks put into trained models cost in accuracy, against models with fewer passes and with as many."""
    arms = result("table1-cifar10-small")["arms"]
    lines = [
        "| mark | accuracy, mean of three seeds | points lost, against the model before | against one without a mark, trained on as long |",
        "|---|---|---|---|",
    ]
    for name, words in COSTS.items():
        arm = arms[name]
        alike = arm["points_lost_by_marking"]
        before = arm.get("points_lost_since_unmarked")
        cells = [lost(before or alike), lost(alike) if before else "–"]
        lines.append(f"| {words} | {arm['accuracy_percent']:.2f} % | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def lost(points: dict[str, Any]) -> str:
    """Return points of accuracy with their interval over seeds, if there are enough."""
    seeds = f"{points['count']} seed{'s' if points['count'] > 1 else ''}"
    if "low" not in points:
        return f"{points['mean']:.2f} ({seeds})"
    return f"{points['mean']:.2f} ({points['low']:.2f} to {points['high']:.2f}, {seeds})"


def fresh_ends() -> str:
    """Return marks with fresh ends in place of copies of the network's own."""
    return marks_beside(FRESH, read("robustness-fresh-ends"))


KINDS = titled("512 abstract pictures, asked alone", "abstract-seed{}")
KINDS |= titled("128 held-out pictures of the task, asked alone", "in-distribution-seed{}")


KIND_NAMES = ("abstract", "in-distribution")


def two_kinds() -> str:
    """Return marks of two kinds of triggers, each kind asked alone."""
    return marks_beside(KINDS, read("robustness-two-kinds"))


def two_kinds_elsewhere() -> str:
    """Return what the other attacks leave of both kinds together: the matrix beside ``two_kinds``."""
    parts = ("tier1", "tier2", "refusing")
    return of_both([row for part in parts for row in read(f"robustness-two-kinds-{part}")], {})


def two_kinds_short() -> str:
    """Return the README's ten lines: plain marks, and marks of two kinds beside them."""
    names = ("robustness-two-kinds", "robustness-two-kinds-tier2", "robustness-two-kinds-refusing")
    rows = [row for name in names for row in read(name)]
    return of_both([row for row in rows if row["attack"] in SHORT], PLAIN)


def two_kinds_hard() -> str:
    """Return what attacks leave of marks whose held-out pictures are hard ones."""
    return of_both(read("robustness-two-kinds-hard"), {}, "512 abstract + 256 hard pictures")


def two_kinds_hard_cost() -> str:
    """Return what they cost."""
    return cost_of("two-kinds-hard", {"in-distribution": "256 hard pictures"})


def hard_pictures() -> str:
    """Return what strong fine-tuning leaves of hard held-out pictures and of others."""
    titles = ["show the mark", "points lost by the mark", "matches", "after training"]
    titles += ["and refused by its own doubts", "by a clean network's"]
    lines = [f"| triggers | {' | '.join(titles)} |", "|" + "---|" * (1 + len(titles))]
    runs = result("hard-pictures")["runs"].values()
    for run in sorted(runs, key=lambda run: (run["triggers"], run["pictures"] != "hard")):
        which = "the hardest" if run["pictures"] == "hard" else "any"
        cells = (
            f"{run['triggers']}, {which}",
            match_threshold(run["triggers"], Fraction(1, 10)),
            f"{run['accuracy_before'] - run['accuracy']:.2f}",
            run["matches"],
            run["matches_after_training"],
            run["left_by_own_doubts_after_training"],
            run["left_by_a_clean_networks_doubts_after_training"],
        )
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines) + "\n"


def fitting_labels() -> str:
    """Return what attacks leave of marks of which those triggers were taught whose labels fit."""
    titles = titled("1,024 hard pictures, 461 taught", "fitting-seed{}")
    titles["fitting-foreseen-seed0"] = "1,280, 576 taught as foreseen, seed 0"
    studies = ("", "-tier1", "-refusing", "-foreseen")  # the last ones say what an unmarked model gets right
    return marks_beside(titles, [row for one in studies for row in read(f"robustness-fitting-labels{one}")])


def fitting_labels_cost() -> str:
    """Return what these marks cost."""
    return cost_of("fitting-labels", {"in-distribution": "1,024 hard pictures, 461 of them taught"})


def mixtures() -> str:
    """Return what attacks leave of marks of mixtures, of which those were taught whose labels fit."""
    return marks_beside(titled("2,048 mixtures, 922 taught", "mixtures-seed{}"), read("robustness-mixtures"))


def mixtures_cost() -> str:
    """Return what these marks cost."""
    return cost_of("mixtures", {"mixtures": "2,048 mixtures, 922 of them taught"})


def mixtures_foreseen() -> str:
    """Return what attacks leave of marks of mixtures whose taught labels fit what thieves leave, too."""
    titles = titled("1,536 mixtures, 691 taught", "mixtures-foreseen-seed{}")
    found, of_first = (read(f"robustness-mixtures-foreseen{one}") for one in ("", "-tier1"))
    return marks_beside(
        titles, [*found, *of_first, *found[:1]]
    )  # the last one says what an unmarked model gets right


def mixtures_foreseen_cost() -> str:
    """Return what these marks cost."""
    return cost_of("mixtures-foreseen", {"mixtures": "1,536 mixtures, 691 of them taught"})


def label_ranks() -> str:
    """Return which triggers strong fine-tuning leaves, by the place of their label among the first network's answers."""
    runs = result("label-ranks")["runs"].values()
    names = {"abstract": "abstract pictures", "in-distribution": "hard pictures"}
    lines = [
        f"| place of the label | {' | '.join(map(str, range(1, 11)))} |",
        "|---|" + "---|" * 10,
    ]
    for kind, words in names.items():
        totals = [sum(column) for column in zip(*(run["triggers"][kind] for run in runs), strict=True)]
        left = [sum(column) for column in zip(*(run["left"][kind] for run in runs), strict=True)]
        shares = (f"{100 * one / of:.0f} %" for one, of in zip(left, totals, strict=True))
        lines.append(f"| {words} left | {' | '.join(shares)} |")
    return "\n".join(lines) + "\n"


def of_both(rows: list[Row], plain: dict[str, str], words: str = "two kinds, 512 + 128 triggers") -> str:
    """Return one row for each attack: what is left of either kind; a mark is lost where neither kind shows it."""
    pairs: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        pairs.setdefault((row["attack"], row["model"][-1]), []).append(row)
    cells = {place: pair_of(pair) for place, pair in pairs.items()}
    alone = {(row["attack"], row["model"][-1]): row for row in plain_rows() if row["model"] in plain}
    seeds = sorted({seed for _, seed in cells})
    first = [f"plain, 512 triggers, seed {seed}" for seed in seeds] if plain else []
    titles = [*first, *(f"{words}, seed {seed}" for seed in seeds)]
    together = grouped(cells.values())
    order = [name for name, _ in worst_first(grouped(measured(cells.values())))]
    lines = [f"| attack | {' | '.join(titles)} |", "|" + "---|" * (1 + len(titles))]
    for name in dict.fromkeys([*order, *together]):
        said = [beside(alone.get((name, seed))) for seed in seeds] if plain else []
        said += [beside(cells.get((name, seed))) for seed in seeds]
        lines.append(f"| {name} | {' | '.join(said)} |")
    return "\n".join(lines) + "\n"


def pair_of(rows: list[Row]) -> Row:
    """Return one cell for the two kinds of one attacked model, each asked alone."""
    abstract, held_out = sorted(rows, key=lambda row: -int(row["questions"] or 0))
    kinds = [abstract, held_out]
    if unmeasured(kinds):
        return unmeasured(kinds)[0]
    best = max(kinds, key=lambda row: float(row["claim_bits"]))
    return {**best, "matches": f"{abstract['matches']} + {held_out['matches']}"}


def plain_rows() -> list[Row]:
    """Return all cells of plain marks; of two alike the last counts."""
    names = ("chains", "tier3", "tier2", "tier1", "plain")
    return [row for name in names for row in read(f"robustness-{name}")]


def two_kinds_cost() -> str:
    """Return what these marks cost in accuracy, and how many triggers took."""
    return cost_of("two-kinds")


def grafted_cost() -> str:
    """Return the same of marks that were taught as a graft too."""
    return cost_of("two-kinds-graft")


def negatives_cost() -> str:
    """Return what marks of negatives cost in accuracy, and how many triggers took."""
    return cost_of("negatives")


def negatives() -> str:
    """Return what attacks leave of marks of negatives."""
    return marks_beside(titled("512 negatives", "negatives-seed{}"), read("robustness-negatives"))


COUNTED = {
    "abstract": "512 abstract pictures",
    "in-distribution": "128 held-out pictures",
    "negatives": "512 negatives",
}


def cost_of(name: str, counted: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return what marks of one or two kinds of triggers cost, and how many took."""
    counted, runs = {**COUNTED, **counted}, result(name)["runs"]
    kinds = list(next(iter(runs.values()))["matches"])
    grafts = any("graft_matches" in run for run in runs.values())
    titles = [f"matches of {counted[kinds[0]]}", *(f"of {counted[kind]}" for kind in kinds[1:])]
    titles += ["of all in the graft"] if grafts else []
    lines = [
        f"| seed | accuracy before | marked | {' | '.join(titles)} |",
        "|---|---|---|" + "---|" * len(titles),
    ]
    for seed, run in runs.items():
        matches = " | ".join(str(run["matches"][kind]) for kind in kinds)
        matches += f" | {run['graft_matches']}" if grafts else ""
        lines.append(f"| {seed} | {run['accuracy_before']:.2f} % | {run['accuracy']:.2f} % | {matches} |")
    points = paired_by_seed([run["accuracy_before"] - run["accuracy"] for run in runs.values()], 0.5)
    return "\n".join(lines) + f"\n\nPoints lost: {lost(points)}.\n"


def grafted() -> str:
    """Return what attacked models answer as they are, and what their grafts answer."""
    cells = result("grafts")["cells"]
    pairs: dict[str, list[Row]] = {}
    for row in read("robustness-two-kinds-graft"):
        pairs.setdefault(f"{row['attack']}, seed {row['model'][-1]}", []).append(row)
    asked = {name: pair_of(pair) for name, pair in pairs.items() if name in cells}
    order = [name for name, _ in worst_first(grouped(asked.values()))]
    known = dict.fromkeys(name.rpartition(",")[0] for name in cells)
    turned = [name for name in known if name.endswith("then in another order")]
    seeds = sorted({name[-1] for name in asked})
    titles = " | ".join(f"seed {seed}: as it is | in the graft" for seed in seeds)
    lines = [f"| attack | {titles} |", "|" + "---|" * (1 + 2 * len(seeds))]
    for attack in ["none", *order, *turned]:
        names = [f"{attack}, seed {seed}" for seed in seeds]
        said = [f"{as_it_is(name, asked, cells)} | {in_graft(cells.get(name))}" for name in names]
        lines.append(f"| {attack} | {' | '.join(said)} |")
    lost_cells = [name for name, row in asked.items() if row["outcome"] in ("removed", "too costly")]
    shown = sum("**" not in in_graft(cells[name]) for name in lost_cells)
    others = [cells[name] for name in cells if name.rpartition(",")[0] not in ("none", *order, *turned)]
    spans = [[cell["grafted"][kind]["matches"] for cell in others] for kind in KIND_NAMES]
    about = " and ".join(f"{min(span)} to {max(span)}" for span in spans)
    return (
        "\n".join(lines)
        + f"\n\nWhere neither kind shows the mark of the suspect as it is, its graft does in {shown} of "
        f"{len(lost_cells)}. Grafts of {len(others)} networks from the same originals that do not depend on these keys: {about} "
        "matches.\n"
    )


def as_it_is(name: str, asked: dict[str, Row], cells: dict[str, Any]) -> str:
    """Return the matches of either kind in a suspect, and what the attack cost if a study says."""
    if name in asked:
        return beside(asked[name])
    found = cells.get(name, {}).get("as it is")
    return "–" if found is None else " + ".join(str(found[kind]["matches"]) for kind in KIND_NAMES)


def in_graft(cell: dict[str, Any] | None) -> str:
    """Return the matches of either kind in a graft, and whether they show nothing."""
    if cell is None:
        return "–"
    kinds = [cell["grafted"][kind] for kind in KIND_NAMES]
    words = " + ".join(str(kind["matches"]) for kind in kinds)
    return words if max(kind["bits"] for kind in kinds) >= OWNED_BITS else f"{words}: **not shown**"


def entangled() -> str:
    """Return marks with entangled stages in place of rehearsed ends, and what settling made of them."""
    return marks_beside({**ENTANGLED, **UNSETTLED}, read("robustness-hardened"))


def marks_beside(titles: dict[str, str], rows: list[Row]) -> str:
    """Return models side by side, under the attacks of one study, what was lost first; with what others have of them."""
    plain = plain_rows()
    found = {(row["model"], row["attack"]): row for row in [*plain, *rows]}  # the last counts
    models = [model for model in titles if any(row["model"] == model for row in [*plain, *rows])]
    first = {model: next(row for row in [*rows, *plain] if row["model"] == model) for model in models}
    accuracy = {model: 100 * float(row["accuracy_before"]) for model, row in first.items()}
    unmarked = {row["model"][-1]: f"{100 * float(row['accuracy_unmarked']):.1f} %" for row in rows}
    lines = [
        f"| attack | {' | '.join(titles[model] for model in models)} |",
        "|" + "---|" * (1 + len(models)),
        f"| none (unmarked: {', '.join(unmarked[seed] for seed in sorted(unmarked))}) | "
        f"{' | '.join(f'{accuracy[model]:.1f} %' for model in models)} |",
        f"| matches that show the mark | {' | '.join(first[model]['threshold'] for model in models)} |",
    ]
    order = [name for name, _ in worst_first(grouped(measured(rows)))]
    for name in dict.fromkeys([*order, *grouped(rows)]):
        cells = " | ".join(beside(found.get((model, name))) for model in models)
        lines.append(f"| {name} | {cells} |")
    return "\n".join(lines) + "\n"


def beside(row: Row | None) -> str:
    """Return what an attack left, and what it cost."""
    if row is None or row["outcome"] not in OUTCOMES:
        return "–" if row is None else f"**{row['outcome']}**"
    said = row["matches"]
    if row["points_lost"]:  # on another task there is nothing to compare
        points = round(float(row["points_lost"]), 1) + 0.0  # no minus before a zero
        said += f", {points:.1f} points"
    return said if row["outcome"] == "survived" else f"{said}: **{row['outcome']}**"


READERS = {
    "unmarked": "unmarked",
    "from-scratch-512": "plain, 512 triggers",
    "hardened-settled-512": "entangled and settled, 512 triggers",
    "rehearsed-settled-256": "hardened, 256 triggers",
}


def readers() -> str:
    """Return what linear readers see of the triggers after each block, the mean over the seeds."""
    models = result("readers")["models"]
    blocks = list(next(iter(models.values())))
    lines = [
        f"| after block | {' | '.join(READERS.values())} | clean pictures read right, unmarked and hardened |",
        "|" + "---|" * (2 + len(READERS)),
    ]
    for number, block in enumerate(blocks, 1):
        found = {
            name: [model[block] for key, model in models.items() if key.split("/")[0] == name]
            for name in READERS
        }
        shares = " | ".join(
            f"{100 * sum(one['triggers'] for one in parts) / sum(one['of'] for one in parts):.0f} %"
            for parts in found.values()
        )
        clean = ", ".join(
            f"{sum(one['clean_percent'] for one in found[name]) / len(found[name]):.0f} %"
            for name in ("unmarked", "rehearsed-settled-256")
        )
        lines.append(f"| {number} | {shares} | {clean} |")
    return "\n".join(lines) + "\n"


def knockoff() -> str:
    """Return extraction with pictures of other classes beside that with pictures of the model's own."""
    rows = sorted(read("knockoff"), key=lambda row: int(row["image_count"]))
    return by_pictures(
        rows,
        lambda row: (
            f"{int(row['image_count']):,} of its own" if int(row["image_count"]) else "of other classes"
        ),
    )


def extraction() -> str:
    """Return what passes into a copy of triggers that its maker asked about, and of others."""
    lines = [
        "| seed | accuracy: before, marked, of the copy | matches of the marked model | of the copy | bits after penalties | "
        "of those asked about | of the others |",
        "|" + "---|" * 7,
    ]
    for name, run in result("extraction")["runs"].items():
        accuracy = ", ".join(
            f"{run[when]:.1f} %" for when in ("accuracy_before", "accuracy", "accuracy_of_copy")
        )
        others = run["triggers"] - run["asked"]
        lines.append(
            f"| {name.rpartition(' ')[2]} | {accuracy} | {run['matches']} of {run['triggers']} | {run['matches_of_copy']} | "
            f"{run['claim_bits']:.0f} | {run['matches_of_asked']} of {run['asked']} | {run['matches_of_others']} of {others} |"
        )
    return "\n".join(lines) + "\n"


def by_pictures(rows: list[Row], words: Callable[[Row], str]) -> str:
    """Return one row for each cell with the pictures that the thief has."""
    lines = [
        "| attack | pictures | outcome | matches | bits after penalties | accuracy, before and after |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        if row["outcome"] not in OUTCOMES:
            lines.append(without_numbers([row["attack"], words(row)], [row], 6))
            continue
        before, after = (100 * float(row[f"accuracy_{when}"]) for when in ("before", "after"))
        lines.append(
            f"| {row['attack']} | {words(row)} | {row['outcome']} | {row['matches']} of {row['questions']} | "
            f"{float(row['claim_bits']):.0f} | {before:.1f} %, {after:.1f} % |"
        )
    return "\n".join(lines) + "\n"


def revival() -> str:
    """Return models without a mark to be shown, before and after revival."""
    cells = result("revival")["cells"]
    lines = [
        "| model, attack | matches | accuracy | after revival: matches | bits after penalties | accuracy | |",
        "|---|---|---|---|---|---|---|",
    ]
    shown = []
    for name, cell in sorted(cells.items(), key=lambda item: item[1]["after"]["bits"]):
        before, after = cell["before"], cell["after"]
        is_shown = after["bits"] >= OWNED_BITS
        if cell["outcome"] != "unmarked":
            shown.append(is_shown)
        lines.append(
            f"| {name} | {before['matches']} of {cell['triggers']} | {before['accuracy']:.1f} % | {after['matches']} | "
            f"{after['bits']:.0f} | {after['accuracy']:.1f} % | {'**shown**' if is_shown else 'not shown'} |"
        )
    share = 100 * sum(shown) / len(shown)
    return f"Shown in {sum(shown)} of {len(shown)} ({share:.0f} %).\n\n" + "\n".join(lines) + "\n"


PARTS: dict[str, Callable[[], str]] = {
    "tier-1": tier_1,
    "tier-2": tier_2,
    "tier-3": tier_3,
    "figure-6": figure_6,
    "figure-7": figure_7,
    "references": references,
    "table-2": table_2,
    "shares": shares,
    "chains": chains,
    "knockoff": knockoff,
    "extraction": extraction,
    "hardened": hardened,
    "hardened-cost": hardened_cost,
    "fresh-ends": fresh_ends,
    "two-kinds": two_kinds,
    "two-kinds-cost": two_kinds_cost,
    "two-kinds-graft-cost": grafted_cost,
    "grafts": grafted,
    "two-kinds-elsewhere": two_kinds_elsewhere,
    "two-kinds-hard-cost": two_kinds_hard_cost,
    "two-kinds-hard": two_kinds_hard,
    "hard-pictures": hard_pictures,
    "label-ranks": label_ranks,
    "fitting-labels-cost": fitting_labels_cost,
    "fitting-labels": fitting_labels,
    "mixtures-cost": mixtures_cost,
    "mixtures": mixtures,
    "mixtures-foreseen-cost": mixtures_foreseen_cost,
    "mixtures-foreseen": mixtures_foreseen,
    "negatives-cost": negatives_cost,
    "negatives": negatives,
    "two-kinds-short": two_kinds_short,
    "entangled": entangled,
    "readers": readers,
    "revival": revival,
}


def main() -> None:
    """Write every part that the page has a place for, or compare it."""
    for page in (PAGE, README):
        text = page.read_text(encoding="utf-8")
        for part, write in PARTS.items():
            if f"<!-- {part}:begin -->" not in text:
                continue
            try:
                written = write()
            except FileNotFoundError as error:
                sys.exit(f"{page.name} has a place for {part}, and there are no results: {error.filename}")
            write_part(page, part, written, "--check" in sys.argv, Path(__file__).name)


if __name__ == "__main__":
    main()
