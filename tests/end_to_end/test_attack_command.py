"""Every attack on models, as a person types it: each must be able to run, and say what it did."""

import json

import pytest

pytest.importorskip("torch")

from earmark.attacks import ATTACKS, attack_named
from earmark.attacks.protocol import ModelAttack
from earmark.evaluation.study import attributes
from end_to_end.commands import earmark, one_line_error
from evaluation_stage import make_stage
from small import picture_folder

SHORT = {
    "epochs": 1,
    "strong_epochs": 1,
    "batch_size": 40,
    "steps": 5,
    "rounds": 1,
    "surrogates": 20,
    "per_class": 2,
}
NAMES = [name for name in ATTACKS if isinstance(attack_named(name), ModelAttack)]


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    folder = tmp_path_factory.mktemp("attacks")
    make_stage(folder)
    picture_folder(folder / "pets", size=(8, 8), mode="L", per_class=12)
    return folder


def attack(stage, name, *options, code=0):
    known = attributes(attack_named(name))
    changes = [word for key, value in SHORT.items() if key in known for word in ("--set", f"{key}={value}")]
    return earmark(
        "attack", name, "marked.safetensors", "--data", "digits", "--share", "0.06", *changes,
        "--other-task", "folder:pets", "--other-pictures", "folder:pets", *options, "-o", f"{name}.safetensors", "--json",
        cwd=stage, code=code,
    )  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_it_runs_and_writes_another_model(stage, name):
    said = json.loads(attack(stage, name).stdout)
    assert said["attack"] == name
    assert said["sha256_after"] != said["sha256_before"]
    assert (stage / f"{name}.safetensors").stat().st_size > 1000
    assert said["accuracy_after"] is not None


def test_a_pirate_makes_a_key_of_his_own_with_as_many_triggers_as_he_is_told(stage):
    before, after = (
        json.loads(attack(stage, "piracy", "--pirate-triggers", count).stdout) for count in ("100", "150")
    )
    assert before["sha256_after"] != after["sha256_after"]
    assert "at least" in one_line_error(attack(stage, "piracy", "--pirate-triggers", "2", code=2))
