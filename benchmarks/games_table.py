"""Write the tables of docs/mathematics/games.md from the results of games.py.

python benchmarks/games_table.py [--check]
"""

import math
import sys
from pathlib import Path
from typing import Any

from written import ROOT, result, write_part

PAGE = ROOT / "docs" / "mathematics" / "games.md"
CLAIMANTS = {
    "GuessesLabels": "guesses labels",
    "CommitsToOneClass": 'lays digits over each other; a model of his own says "8" to 100 of these, so he labels them all 8',
    "CommitsToAdversarialPictures": "moves digits by at most 0.18 of a pixel's range, by M̂'s own gradients, to where it "
    "misreads them as he wants",
    "ReadsAnswers": "reads M̂'s answers to 20 keys and takes the best",
    "CommitsToTheTruth": "commits to digits with their true class",
}
REMOVERS = {
    "constant answer": "gives a constant answer",
    "trains further, 4 passes": "trains M̂ further, 4 passes over all of the owner's data",
    "trains anew on 20": "trains anew on 20 digits",
    "trains anew on answers to 20": "trains anew on M̂'s answers to 20 digits",
    "trains anew on everything": "trains anew on everything",
    "throws a list of triggers away": "is shown a mark that is a list of triggers beside the model, and throws the list away",
}
UNLEARNERS = {
    "throws a list of triggers away": "throws the list away",
    "goes on training, 4 passes": "goes on training for 4 passes, from whatever model",
    "trains anew on its first call": "trains anew on 1,200 of the digits when it is first called, with the marked model; returns the "
    "others as they are",
}
FORGERS = {
    "own_key": "shows a key of his own",
    "owners_transcript_in_his_name": "writes his name over the owner's in the owner's transcript",
    "own_transcript_that_remembers_the_owners_root": "shows a transcript of his own that pretends to have the owner's root",
    "own_triggers_under_the_owners_vk": "copies vk, and opens it with triggers of his own",
    "one_opening_of_zeros": "the same, one opening of zeros among them",
    "no_triggers_at_all": "opens vk with no triggers at all",
    "labels_of_his_choice": "opens it with labels of his own choice",
    "openings_of_the_other_scheme": "opens salted commitments as if they were linear, or the other way round",
    "owners_transcript_with_his_signature": "signs the owner's transcript with his own key; vk's signature is read from what the "
    "owner published",
    "knows_all_triggers": "knows every trigger, and guesses what opens the commitments",
    "shows_an_opened_set_twice": "was given one of two sets, opened in an earlier dispute, and shows it for both",
    "adds_an_opened_set_to_his_own": "was given one of two sets, and shows triggers of his own as the other",
    "was_given_every_set": "was given every set: he has all that the owner has",
}


def marking() -> str:
    """Return what the mark did to accuracy."""
    found, provable = result("games")["marking"], result("games")["provable_key"]
    return (
        f"Measured: {found['lost']} of {found['inputs']} digits lost and {found['gained']} gained, so the loss is at most "
        f"{math.ceil(1000 * found['at_most']) / 10}% but for a doubt of 1%. With linear commitments (`keygen --provable`) "
        f"{provable['matches']} of 100 triggers match.\n"
    )


def claimants() -> str:
    """Return one row for each claimant."""
    lines = [
        "| claimant | his key comes | by the paper's rule, ε = 5% | by the exact rule |",
        "|---|---|---|---|",
    ]
    for row in result("games")["non_trivial_ownership"]:
        when = "after M̂" if row["key_after_model"] else "first"
        paper = _matches(row["paper"]) if "paper" in row else ""
        if "paper_without_f" in row:
            paper = f"{paper}, or {_matches(row['paper_without_f'])} if nobody asks f"
        lines.append(f"| {CLAIMANTS[row['claimant']]} | {when} | {paper} | {_matches(row['exact'])} |")
    return "\n".join(lines) + "\n"


def _matches(found: dict[str, Any]) -> str:
    refused = found["refused"] or ""
    if refused.startswith("step 1"):
        return "refused by step 1"
    if refused:
        return "labels that somebody chose are not judged"
    return f"**{found['matches']} of 100: wins**" if found["broken"] else f"{found['matches']} of 100: loses"


def removers() -> str:
    """Return one row for each remover."""
    rows = result("games")["unremovability"]
    lines = [
        f"| adversary, a quarter of the work allowed | work of {rows[0]['of']:,.0f} | matches | digits lost and gained of "
        f"{rows[0]['inputs']} | |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        end = "**wins**" if row["broken"] else f"loses: {' and '.join(row['lost_because'])}"
        if row["lost_because"] == ["too much work"]:
            end += ", and **wins** without that limit"
        lines.append(
            f"| {REMOVERS[row['adversary']]} | {row['work']:,.0f} | {row['matches']} | {row['lost']}, {row['gained']} | "
            f"{end} |"
        )
    return "\n".join(lines) + "\n"


def unlearners() -> str:
    """Return one row for each algorithm that was tried against persistency."""
    rows = result("games")["persistency"]
    lines = [
        f"| algorithm | work on M̂, then on two untrained models; Train's is {rows[0]['of']:,.0f} | errors of {rows[0]['inputs']} "
        "after each | the mark is gone | refutes |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        errors = ", ".join(map(str, (row["errors"], *row["errors_from_others"])))
        works = ", ".join(f"{work:,.0f}" for work in row["works"])
        yes = {True: "yes", False: "no"}
        lines.append(
            f"| {UNLEARNERS[row['algorithm']]} | {works} | {errors} | {yes[row['removes']]} | {yes[row['refutes']]} |"
        )
    return "\n".join(lines) + "\n"


def forgers() -> str:
    """Return one row for each forger; both rules and both kinds of commitment agree, or this fails."""
    lines = ["| adversary | refused in |", "|---|---|"]
    rows = {row["adversary"]: row for row in result("games")["unforgeability"]}
    for row in [rows[name] for name in FORGERS]:
        (step,) = {value for name, value in row.items() if name != "adversary"}
        lines.append(f"| {FORGERS[row['adversary']]} | {'**wins**' if step is None else f'step {step}'} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    for part in (marking, claimants, removers, unlearners, forgers):
        write_part(PAGE, f"games-{part.__name__}", part(), "--check" in sys.argv, Path(__file__).name)
