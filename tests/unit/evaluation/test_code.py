"""The digest of an attack's code: what it says counts, with all that it imports; how it is written does not."""

from pathlib import Path

import pytest

pytest.importorskip("torch")

from earmark.errors import EarmarkError
from earmark.evaluation import code
from earmark.evaluation.cells import Cell
from earmark.evaluation.code import spoken, step_code, study_code
from earmark.evaluation.run_cell import Setup, Worker
from earmark.evaluation.study import Step, read_study
from evaluation_stage import PASSPHRASE, STUDY, make_stage

SOURCE = """'''A module.'''

LIMIT = 3


class Thing:
    '''A thing.'''

    def size(self, factor):
        '''Return its size.'''
        return LIMIT * factor
"""


@pytest.mark.parametrize(
    "change",
    [
        ("A module.", "Another module,\n\nin many words."),
        ("        '''Return its size.'''\n", ""),
        ("LIMIT = 3\n", "# The reason.\nLIMIT = (\n    3  # three\n)\n"),
        ("LIMIT * factor", "(LIMIT  *  factor)"),
    ],
)
def test_comments_docstrings_and_layout_say_nothing(change):
    assert change[0] in SOURCE
    assert spoken(SOURCE.replace(*change)) == spoken(SOURCE)


@pytest.mark.parametrize(
    "change", [("LIMIT = 3", "LIMIT = 4"), ("LIMIT * factor", "LIMIT + factor"), ("factor)", "factor=2)")]
)
def test_what_a_module_does_counts(change):
    assert change[0] in SOURCE
    assert spoken(SOURCE.replace(*change)) != spoken(SOURCE)


def edited(monkeypatch, name):
    read = code._source
    monkeypatch.setattr(
        code, "_source", lambda module: read(module) + ("\nx = 1\n" if module == name else "")
    )


@pytest.mark.parametrize(
    ("module", "concerned"),
    [
        ("earmark.training", {"ftal", "piracy", "jpeg", "surrogates-natural", "knockoff"}),
        ("earmark.evaluation.thief", {"ftal", "piracy", "jpeg", "surrogates-natural", "knockoff"}),
        ("earmark.models.resnet", {"ftal", "piracy", "jpeg", "surrogates-natural", "knockoff"}),
        ("earmark.attacks.fine_tuning", {"ftal"}),
        ("earmark.attacks.deployed", {"jpeg", "surrogates-natural"}),  # whose blur is that of a deployer
        ("earmark.marking.mixing", {"piracy"}),
        ("earmark.triggers.noise", {"piracy", "surrogates-natural"}),
        ("earmark.models.prediction", {"piracy", "surrogates-natural", "knockoff"}),
        ("earmark.attacks.table", set()),
        ("earmark.attacks.repair", set()),
    ],
)
def test_an_edit_concerns_the_attacks_that_run_it(monkeypatch, module, concerned):
    names = ("ftal", "piracy", "jpeg", "surrogates-natural", "knockoff")
    before = {name: step_code(Step(name)) for name in names}
    edited(monkeypatch, module)
    assert {name for name in names if step_code(Step(name)) != before[name]} == concerned


def test_another_version_is_other_code(monkeypatch):
    before = step_code(Step("ftal"))
    monkeypatch.setattr(code, "version", lambda name: "another")
    assert step_code(Step("ftal")) != before


def test_a_worker_that_would_run_other_code_than_was_planned_gives_no_number(monkeypatch, tmp_path):
    study = read_study(STUDY.encode(), tmp_path)
    setup = Setup(study, tmp_path, Path("data"), {}, "d" * 64, 1, study_code(study))
    edited(monkeypatch, "earmark.attacks.fine_tuning")
    with pytest.raises(EarmarkError, match="edited after this study had begun"):
        Worker(setup).run(Cell("a" * 64, "marked", "tuned", 200, 0.2, 0))


def test_an_edit_while_a_worker_runs_moves_no_address(monkeypatch, tmp_path):
    """What it runs was loaded before; an address that followed the edit would name another model's weights."""
    study = read_study(make_stage(tmp_path).read_bytes(), tmp_path)
    (tmp_path / "attacked").mkdir()
    passphrases = {"marked": PASSPHRASE}
    worker = Worker(Setup(study, tmp_path, Path("data"), passphrases, "d" * 64, 1, study_code(study)))
    case = worker._case(Cell("a" * 64, "marked", "tuned", 200, 0.2, 0))
    before = worker._address("d" * 64, case.steps[0], case)
    edited(monkeypatch, "earmark.attacks.fine_tuning")
    assert study_code(study)[case.steps[0]] not in worker._setup.code.values()
    assert worker._address("d" * 64, case.steps[0], case) == before
