"""The plan: which cells there are, and what makes a cell another one."""

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")

from earmark.evaluation import cells
from earmark.evaluation.cells import Facts, ModelFacts, digest_of
from earmark.evaluation.code import study_code
from earmark.evaluation.study import read_study
from evaluation_stage import ATTACKS, HEAD, MODELS, STUDY

FACTS = Facts({"marked": ModelFacts("a" * 64, "b" * 64, "c" * 64, 100)}, "d" * 64, 1437)


def study(text=STUDY):
    return read_study(text.encode(), Path())


def plan(of, facts):
    return cells.plan(of, facts, study_code(of))


def test_one_cell_for_each_model_attack_number_and_seed():
    cells = plan(study(STUDY.replace("[200]", "[200, 400]")), FACTS)
    found = [(cell.attack, cell.image_count, cell.seed) for cell in cells]
    # Moving to another task needs no pictures of this one: one cell whatever their number.
    assert len(found) == len(set(found)) == 2 * (2 + 2 + 1)
    assert {count for attack, count, _ in found if attack == "needs another task"} == {0}
    assert cells[0].image_share == 200 / 1437


def test_shares_are_rounded_and_each_number_stands_once():
    shares = study(STUDY.replace("image_counts = [200]", "shares = [0.2, 0.2001, 1]"))
    assert sorted({cell.image_count for cell in plan(shares, FACTS)}) == [0, 287, 288, 1437]


def test_everything_that_changes_numbers_changes_the_cell():
    def ids(text=STUDY, facts=FACTS):
        return {cell.id for cell in plan(study(text), facts)}

    first = ids()
    for change in (
        ("epochs = 2", "epochs = 3"),
        ("[200]", "[201]"),
        ("test_images = 120", "test_images = 121"),
        ("epoch_images = 60", "epoch_images = 61"),
        ('"0.06"', '"0.07"'),
        ("seeds = [0, 1]", "seeds = [2]"),
        ('data = "digits"', 'data = "digits"\ndevice = "cuda"'),
        ('data = "digits"', 'data = "digits"\naugmentation = "none"'),
        ('key = "acme.key"', 'key = "acme.key"\nstratum = "abstract"'),
    ):
        assert change[0] in STUDY
        assert first - ids(STUDY.replace(*change)), change
    for facts in (
        replace(FACTS, data="e" * 64),
        replace(FACTS, models={"marked": replace(FACTS.models["marked"], marked="e" * 64)}),
        replace(FACTS, models={"marked": replace(FACTS.models["marked"], root="e" * 64)}),
        replace(FACTS, models={"marked": replace(FACTS.models["marked"], unmarked=None)}),
    ):
        assert not first & ids(facts=facts)


def test_what_changes_no_number_leaves_the_cell():
    before = [cell.id for cell in plan(study(), FACTS)]
    for change in (
        ("seeds = [0, 1]", "seeds = [0, 1]\ncell_seconds = 5"),
        ('"small"', '"other"'),
        ('"tuned"', '"t"'),
    ):
        assert [cell.id for cell in plan(study(STUDY.replace(*change)), FACTS)] == before


def test_other_code_of_a_step_makes_other_cells_of_whatever_has_that_step():
    code = study_code(study())
    before = {cell.id: cell.attack for cell in cells.plan(study(), FACTS, code)}
    (new_layer,) = [step for step in code if step.name == "rtll"]
    after = {cell.id: cell.attack for cell in cells.plan(study(), FACTS, {**code, new_layer: "another"})}
    assert {before[cell] for cell in before.keys() - after.keys()} == {"tuned, then a new last layer"}


def test_two_names_for_one_cell_are_refused():
    again = '\n[[attacks]]\nname = "again"\nsteps = [{attack = "ftal", epochs = 2}]\n'
    with pytest.raises(ValueError, match="the same"):
        plan(study(HEAD + MODELS + ATTACKS + again), FACTS)


def test_more_pictures_than_there_are_are_refused():
    with pytest.raises(ValueError, match="the training part has 100"):
        plan(study(), replace(FACTS, image_count=100))


def test_a_digest_does_not_depend_on_the_order_of_keys():
    assert digest_of({"a": 1, "b": [2.5, "x"]}) == digest_of({"b": [2.5, "x"], "a": 1})
