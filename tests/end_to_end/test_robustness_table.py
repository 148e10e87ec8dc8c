"""The tables of robustness: what failed says so and has no number; a place on the page without results is an error."""

import csv
import importlib
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MEASURED = {
    "model": "from-scratch-512-seed0", "image_count": "10000", "image_share": "0.2", "seed": "0", "outcome": "survived",
    "accuracy_before": "0.84", "accuracy_after": "0.83", "points_lost": "1.0", "questions": "512", "matches": "500",
    "claim_bits": "1500.4", "restored_matches": "510", "restored_claim_bits": "1580.0", "share_of_training": "0.06",
}  # fmt: skip
NUMBERS = (
    "accuracy_before", "accuracy_after", "points_lost", "questions", "matches", "claim_bits", "restored_matches",
    "restored_claim_bits", "share_of_training",
)  # fmt: skip


def cell(attack, **changes):
    row = {**MEASURED, "attack": attack, **changes}
    if row["outcome"] in ("failed", "not run"):
        row |= dict.fromkeys(NUMBERS, "")
    return row


@pytest.fixture
def tables(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    module = importlib.import_module("robustness_table")
    monkeypatch.setattr(module, "RESULTS", tmp_path)
    yield module
    for name in ("robustness_table", "written"):
        sys.modules.pop(name, None)


def write(folder, study, rows):
    with (folder / f"{study}.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["attack", *MEASURED])
        writer.writeheader()
        writer.writerows(rows)


STUDIES = {
    "tier-1": "robustness-tier1",
    "tier-2": "robustness-tier2",
    "tier-3": "robustness-tier3",
    "table-2": "transfer",
    "shares": "robustness-shares",
    "chains": "robustness-chains",
    "knockoff": "knockoff",
}


@pytest.mark.parametrize("outcome", ["failed", "not run"])
@pytest.mark.parametrize("part", STUDIES)
def test_a_cell_without_numbers_has_a_row_that_says_so_and_no_number(tables, tmp_path, part, outcome):
    other = {"model": "from-scratch-512-seed1", "seed": "1", "image_count": "1000"}
    for rest in ("ensemble", "rehearsed", "rehearsed-tier1", "rehearsed-tier2"):  # of tiers 1 and 2
        write(tmp_path, f"robustness-{rest}", [])
    write(tmp_path, STUDIES[part], [cell("good"), cell("bad", outcome=outcome, **other)])
    lines = tables.PARTS[part]().splitlines()
    assert len({line.count("|") for line in lines}) == 1
    (bad,) = [line for line in lines if outcome in line]
    words = {word.strip() for word in bad.strip("|").split("|")}
    assert words - {"–", "bad", "1", "1,000 (20 %)", "1,000 of its own"} == {f"**{outcome}**"}
    assert any("500" in line or "good" in line for line in lines)


@pytest.mark.parametrize("outcome", ["failed", "not run"])
@pytest.mark.parametrize("tier", [1, 2])
def test_a_hardened_cell_without_numbers_says_so_beside_a_plain_one_with_some(
    tables, tmp_path, tier, outcome
):
    for name in ("ensemble", "rehearsed"):
        write(tmp_path, f"robustness-{name}", [])
    write(tmp_path, f"robustness-tier{tier}", [cell("a"), cell("b (epochs=5)")])
    write(tmp_path, f"robustness-rehearsed-tier{tier}", [cell("a", outcome=outcome), cell("b (epochs=5)")])
    lines = tables.PARTS[f"tier-{tier}"]().splitlines()
    assert len({line.count("|") for line in lines}) == 1
    (said,) = [line for line in lines if f"**{outcome}**" in line]
    assert said.startswith("| a")
    (plain,) = [line for line in lines if line.startswith("| a |")]
    assert "98 %" in plain or "500 of 512" in plain
    (both,) = [line for line in lines if line.startswith("| b")]
    assert both.count("98 %" if tier == 1 else "500 of 512") == 2


def test_what_was_lost_stands_first_whoever_lost_it(tables, tmp_path):
    for name in ("ensemble", "rehearsed"):
        write(tmp_path, f"robustness-{name}", [])
    write(tmp_path, "robustness-tier2", [cell("a"), cell("b"), cell("c", outcome="removed")])
    write(tmp_path, "robustness-rehearsed-tier2", [cell("b", outcome="removed")])
    names = [line.split("|")[1].strip() for line in tables.tier_2().splitlines()[2:]]
    assert names[-1] == "a"
    assert set(names) == {"a", "b", "c"}


def test_a_failed_model_of_an_attack_is_not_counted_among_those_that_kept_the_mark(tables, tmp_path):
    rows = [cell("a"), cell("a", model="from-scratch-512-seed1", outcome="failed")]
    write(tmp_path, "robustness-tier3", rows)
    assert tables.tier_3().splitlines()[-1] == "| a | 0 of 1 | 1.0 | 500: 1500 bits | **failed** |"


def test_a_failed_way_of_figure_6_says_so(tables, tmp_path):
    ways = ("ftll", "ftal", "rtll", "rtal")
    model = "from-scratch-100-seed0"
    write(tmp_path, "robustness-tier3", [cell(f"{way} (epochs=6)", model=model) for way in ways])
    failed = [cell(f"{way} (epochs=6)", outcome="failed" if way == "rtal" else "survived") for way in ways]
    write(tmp_path, "figure6", failed)
    assert tables.figure_6().splitlines()[-1] == "| pre-trained | RTAL | **failed** | – | – | – |"


def test_table_2_has_both_ways_of_asking(tables, tmp_path):
    write(tmp_path, "transfer", [cell("transfer (epochs=5)", seed=str(seed)) for seed in (2, 0)])
    found = tables.table_2().splitlines()
    assert found[2] == "| 0 | 83.0 % | 500 of 512 | 1500 | 510 of 512 | 1580 |"
    assert found[3].startswith("| 2 |")


def test_a_place_on_the_page_without_results_is_an_error_and_no_place_is_none(tables, tmp_path, monkeypatch):
    page = tmp_path / "robustness.md"
    monkeypatch.setattr(tables, "PAGE", page)
    monkeypatch.setattr(tables, "README", page)
    monkeypatch.setattr(sys, "argv", ["robustness_table.py"])
    page.write_text("# Nothing\n")
    tables.main()
    page.write_text("<!-- chains:begin -->\n<!-- chains:end -->\n")
    with pytest.raises(SystemExit, match="place for chains"):
        tables.main()
    write(tmp_path, "robustness-chains", [cell("a, then b")])
    tables.main()
    assert "| a, then b | survived | 500 of 512 | 1500 | 83.0 % | 6 % |" in page.read_text()
