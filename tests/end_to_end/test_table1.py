"""Table 1's script: every study file is read, and a run that was killed goes on to the same model."""

import importlib
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from earmark.data import Split
from earmark.errors import EarmarkError
from earmark.training import TrainingSettings
from small import digits as all_digits

ROOT = Path(__file__).parents[2]


def digits():
    """Six batches are enough to be killed in."""
    data = all_digits()
    return replace(data, train=Split(data.train.images[:600], data.train.labels[:600]))


STUDIES = sorted((ROOT / "benchmarks/studies").glob("*.json"))


@pytest.fixture(scope="module")
def table1():
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        yield importlib.import_module("table1")
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))


class KilledError(Exception):
    """The process ends."""


class Bars:
    """No bars; after so many steps of a run the process is killed."""

    steps_left = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def add_task(self, _):
        return 0

    def update(self, _, completed, total):
        if Bars.steps_left is not None:
            Bars.steps_left -= 1
            if Bars.steps_left < 0:
                raise KilledError


@pytest.fixture
def study(table1, tmp_path, monkeypatch):
    monkeypatch.setattr(table1, "HERE", tmp_path)
    monkeypatch.setattr(table1, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(table1, "Progress", Bars)
    monkeypatch.setattr(Bars, "steps_left", None)
    # One pass is too short for triggers to take; this is about going on.
    monkeypatch.setattr("earmark.marking.recipes.LEAST_MATCH_RATE", 0)
    make, keys = table1.key_of, {}

    def key_of(study, arm, seed, data):  # the same ones, made once
        size = (arm.triggers, arm.sets, seed)
        if size not in keys:
            keys[size] = make(study, arm, seed, data)
        return keys[size]

    monkeypatch.setattr(table1, "key_of", key_of)
    arms = (
        table1.Arm("unmarked", "none"),
        table1.Arm("unmarked-continued", "continued", epochs=1, learning_rate=0.01),
        table1.Arm("from-scratch-100", "from-scratch", 100, per_batch=4),
        table1.Arm("pre-trained-100", "pre-trained", 100, per_batch=4, epochs=1, learning_rate=0.01),
    )
    settings = TrainingSettings(epochs=1, batch_size=100, learning_rate=0.1)
    return table1.Study("tried", "digits", "digits-cnn", 8, settings, (0,), arms, 0.5)


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_every_study_is_read_and_begins_with_the_unmarked_arm(table1, path):
    study = table1.read_study(path)
    assert study.arms[0].recipe == "none"
    assert len({arm.name for arm in study.arms}) == len(study.arms)
    for arm in study.arms:
        assert arm.is_marked == (arm.triggers > 0)
        assert table1.settings_of(study, arm, 0).epochs >= 1
    # What the pre-trained arms are compared with has been trained as they were, but for the triggers.
    unmarked = {table1.passes_of(study, arm) for arm in study.arms if arm.recipe == "continued"}
    if unmarked:
        marked = {table1.passes_of(study, arm) for arm in study.arms if arm.recipe == "pre-trained"}
        assert marked == unmarked


def test_an_arm_is_trained_and_resumed_to_the_same_model(table1, study):
    unmarked, continued, scratch, later = study.arms
    first = table1.one_run(study, unmarked, 0, digits(), "cpu")
    assert set(first["matches"]) == {"from-scratch-100", "pre-trained-100"}
    Bars.steps_left = 3
    with pytest.raises(KilledError):
        table1.one_run(study, scratch, 0, digits(), "cpu")
    Bars.steps_left = 4  # of six: it goes on and does not begin anew
    resumed = table1.one_run(study, scratch, 0, digits(), "cpu")
    Bars.steps_left = None
    whole = table1.one_run(study, scratch, 0, digits(), "cpu")
    assert resumed["sha256"] == whole["sha256"]
    assert resumed["root"] == table1.key_of(study, later, 0, digits()).transcript.root.hex()

    for arm in (continued, later):
        went_on = table1.one_run(study, arm, 0, digits(), "cpu")
        assert went_on["sha256"] != first["sha256"]
        assert ("root" in went_on) == arm.is_marked


def test_a_checkpoint_of_another_key_or_another_start_is_refused(table1, study, monkeypatch):
    unmarked, _, scratch, later = study.arms
    table1.one_run(study, unmarked, 0, digits(), "cpu")
    for arm in (scratch, later):
        Bars.steps_left = 3
        with pytest.raises(KilledError):
            table1.one_run(study, arm, 0, digits(), "cpu")
    Bars.steps_left = None
    with monkeypatch.context() as other:
        key = table1.key_of(study, replace(scratch, sets=2), 0, digits())
        other.setattr(table1, "key_of", lambda *_: key)
        with pytest.raises(EarmarkError, match="checkpoint"):
            table1.one_run(study, scratch, 0, digits(), "cpu")
    table1.one_run(study, unmarked, 1, digits(), "cpu")
    start = table1.model_path(study, unmarked, 0)
    start.write_bytes(table1.model_path(study, unmarked, 1).read_bytes())
    with pytest.raises(EarmarkError, match="checkpoint"):
        table1.one_run(study, later, 0, digits(), "cpu")


def test_pre_trained_arms_are_compared_with_what_had_as_many_passes_where_it_was_run(table1, study):
    accuracy = {
        "unmarked": 80.0,
        "unmarked-continued": 82.0,
        "from-scratch-100": 79.0,
        "pre-trained-100": 81.0,
    }
    runs = {
        f"{arm.name}/0": {
            "accuracy_percent": accuracy[arm.name],
            **({"matches": 100, "triggers": 100, "k": 4} if arm.is_marked else {}),
        }
        for arm in study.arms
    }
    lost = {
        name: (row["baseline"], row["points_lost_by_marking"]["mean"])
        for name, row in table1.summary(study, runs).items()
        if "baseline" in row
    }
    assert lost == {"from-scratch-100": ("unmarked", 1.0), "pre-trained-100": ("unmarked-continued", 1.0)}
    # One that went on at another rate, or for longer, is none to compare with.
    for change in ({"learning_rate": 0.5}, {"epochs": 9}):
        arms = tuple(replace(arm, **change) if arm.recipe == "continued" else arm for arm in study.arms)
        row = table1.summary(replace(study, arms=arms), runs)["pre-trained-100"]
        assert row["baseline"] == "unmarked"
    # Nor one whose last training was alike, when what came before was not.
    arms = tuple(
        replace(arm, after="unmarked-continued") if arm.name == "pre-trained-100" else arm
        for arm in study.arms
    )
    assert table1.summary(replace(study, arms=arms), runs)["pre-trained-100"]["baseline"] == "unmarked"
    del runs["unmarked-continued/0"]
    without = table1.summary(study, runs)["pre-trained-100"]
    assert without["baseline"] == "unmarked"
    assert without["points_lost_by_marking"]["mean"] == -1.0
