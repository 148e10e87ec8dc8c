"""A study of attacks as it is run: killed and resumed, with failures, mistakes and a second driver."""

import csv
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest

from earmark.formats import marking_key_v1
from end_to_end.commands import PASSPHRASE, earmark, one_line_error
from evaluation_stage import ATTACKS, HEAD, MODELS, make_stage, stage_key
from evaluation_stage import PASSPHRASE as STAGE_PASSPHRASE
from small import two_kinds

DEADLINE_SECONDS = 240
VARIES = {
    "wall_seconds",
    "processor_seconds",
    "share_of_training",
    "processor_share_of_training",
    "questioning_seconds",
    "peak_memory_bytes",
}


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    make_stage(folder)
    return folder


@pytest.fixture(scope="module")
def uninterrupted(stage):
    result = earmark("evaluate", "study.toml", "--workers", "2", "-o", "whole", "--json", cwd=stage, code=1)
    return stage / "whole", json.loads(result.stdout)


def start(stage, *options):
    return subprocess.Popen(
        [sys.executable, "-m", "earmark", "evaluate", "study.toml", "--workers", "2", *options],
        cwd=stage,
        env={**os.environ, **PASSPHRASE},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def rows(folder):
    with (folder / "cells.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def numbers(folder):
    return [{name: value for name, value in row.items() if name not in VARIES} for row in rows(folder)]


def ended(folder):
    path = folder / "cells.sqlite"
    if not path.exists():
        return {}
    with (
        closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as store,
        suppress(sqlite3.OperationalError),
    ):
        return dict(store.execute("SELECT id, finished_at FROM cells"))
    return {}


def workers(folder):
    """Numbers of the processes that wrote logs, those of cells that have ended included."""
    found = {}
    for log in (folder / "logs").glob("*.log"):
        if first := re.match(r"process (\d+):", log.read_text("utf-8", "replace")):
            found[log.stem] = int(first[1])
    return found


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def until(condition, what):
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)
    return found


def test_a_study_gives_numbers_and_shows_failures_as_failures(uninterrupted):
    folder, said = uninterrupted
    assert said["format"] == "earmark/evaluation/v1"
    assert said["cells"] == 6
    assert said["outcomes"]["failed"] == 2
    table = rows(folder)
    assert {row["attack"] for row in table if row["outcome"] == "failed"} == {"needs another task"}
    for row in table:
        if row["outcome"] == "failed":
            assert "needs labelled pictures of another task" in row["message"]
            assert row["matches"] == row["claim_bits"] == row["accuracy_after"] == ""
            assert "Traceback" in (folder / "logs" / f"{row['id']}.log").read_text()
        else:
            assert row["root"] == stage_key().transcript.root.hex()
            assert 0 < float(row["wall_seconds"]) < DEADLINE_SECONDS
            assert float(row["share_of_training"]) == pytest.approx(float(row["wall_seconds"]) / 10)
            processor = float(row["processor_seconds"])
            assert float(row["processor_share_of_training"]) == pytest.approx(processor / 10)
            assert int(row["peak_memory_bytes"]) > 50 << 20
            assert len(row["digest_attacked"]) == 64 != row["digest_model"]
    tuned = [row for row in table if row["attack"] == "tuned"]
    assert all(int(row["matches_before"]) >= 90 and int(row["matches_unmarked"]) < 30 for row in tuned)
    (whole,) = [float(row["accuracy_before"]) for row in tuned[:1]]
    assert whole >= 0.85
    page = (folder / "report.html").read_text("utf-8")
    assert page.index("Failed: 2 cells") < page.index("Survived")


def test_a_chain_begins_with_the_model_that_another_cell_made(uninterrupted):
    folder, _ = uninterrupted
    assert len(list((folder / "attacked").glob("*.safetensors"))) == 4  # 2 seeds: tuned, and its new layer
    with closing(sqlite3.connect(folder / "cells.sqlite")) as store:
        results = [
            json.loads(text) for (text,) in store.execute("SELECT result FROM cells WHERE state='done'")
        ]
    chains = [result for result in results if len(result["configuration"]) == 2]
    assert [result["costs"]["reused_steps"] for result in chains] == [1, 1]
    assert [found["pass"] for found in chains[0]["passes"]] == [1, 2, 3]
    assert chains[0]["verdicts"]["restored last layer"]["owned"] is False


def test_killed_at_any_time_it_goes_on_and_gives_the_same_numbers(stage, uninterrupted):
    whole, _ = uninterrupted
    folder = stage / "killed"
    driver = start(stage, "-o", "killed")
    before = until(lambda: ended(folder), "a cell that ended")
    second = earmark("evaluate", "study.toml", "-o", "killed", "--resume", cwd=stage, code=2)
    assert "another earmark evaluate is at work" in one_line_error(second)
    driver.send_signal(signal.SIGKILL)
    driver.communicate()
    orphans = set(workers(folder).values())
    until(lambda: not any(is_alive(pid) for pid in orphans), "workers to end with their driver")
    before |= ended(folder)
    assert len(before) < 6, "it was not killed in the middle"
    assert not (folder / "report.html").exists()

    kept = earmark("evaluate", "study.toml", "-o", "killed", cwd=stage, code=2)
    assert "--resume" in one_line_error(kept)
    driver = start(stage, "-o", "killed", "--resume")
    new = until(lambda: set(workers(folder).values()) - orphans, "a new worker")
    os.kill(new.pop(), signal.SIGKILL)
    _, said = driver.communicate(timeout=DEADLINE_SECONDS)
    assert driver.returncode == 1, said
    assert f"6 cells, {len(before)} of them ended before" in said
    assert {cell: at for cell, at in ended(folder).items() if cell in before} == before
    assert numbers(folder) == numbers(whole)


@pytest.fixture
def heard():
    """Ctrl-C is heard by what is started here: tests in the background of a shell ignore it, and so would that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_stops_cleanly_and_leaves_what_ended(stage, heard):
    folder = stage / "interrupted"
    driver = start(stage, "-o", "interrupted")
    until(lambda: workers(folder), "a worker")
    driver.send_signal(signal.SIGINT)
    _, said = driver.communicate(timeout=DEADLINE_SECONDS)
    assert driver.returncode == 130, said
    assert "Traceback" not in said
    until(lambda: not any(is_alive(pid) for pid in workers(folder).values()), "workers to end")
    with closing(sqlite3.connect(folder / "cells.sqlite")) as store:
        assert store.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_cell_beyond_its_time_has_failed(stage):
    (stage / "slow.toml").write_text(
        HEAD.replace("seeds = [0, 1]", "seeds = [0]\ncell_seconds = 0.5")
        + MODELS
        + '[[attacks]]\nsteps = [{attack = "ftal", epochs = 100000}]\n'
    )
    earmark("evaluate", "slow.toml", "-o", "slow", cwd=stage, code=1)
    (row,) = rows(stage / "slow")
    assert row["outcome"] == "failed"
    assert row["message"] == "it took longer than 0.5 seconds"


def test_the_owners_journal_is_neither_read_nor_written(uninterrupted):
    folder, _ = uninterrupted
    assert not list(folder.parent.glob("*.journal"))


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (("acme.key", "missing.key"), 3, "key of marked: missing.key does not exist"),
        (("acme.key", "marked.safetensors"), 3, ""),
        (("clean.safetensors", "missing.safetensors"), 3, "there is no file"),
        (('data = "digits"', 'data = "magic"'), 2, "unknown data 'magic'"),
        (("image_counts = [200]", "image_counts = [2000]"), 2, "the training part has 1437"),
        (
            ('"ftal", epochs = 2}]', '"ftal", epoch = 2}]'),
            3,
            "attack 1, step 1: the attack ftal has no 'epoch'",
        ),
        (("format", "form"), 3, "study"),
        (("seeds = [0, 1]", "seeds = [0, 1"), 3, "line"),
        (('name = "small"', 'name = "small"\nother_task = "digits"'), 2, "has classes of digits"),
    ],
    ids=lambda value: value[1] if isinstance(value, tuple) else str(value),
)
def test_mistakes_are_found_before_anything_runs(stage, change, code, words):
    text = HEAD + MODELS + ATTACKS
    assert change[0] in text
    (stage / "mistaken.toml").write_text(text.replace(*change, 1))
    result = earmark("evaluate", "mistaken.toml", "-o", "mistaken", cwd=stage, code=code)
    assert words in one_line_error(result).replace(f"{stage}/", "")
    assert not (stage / "mistaken").exists()


def test_a_wrong_passphrase_is_one_line(stage):
    result = earmark(
        "evaluate", "study.toml", "-o", "locked", cwd=stage, code=3, env={"EARMARK_PASSPHRASE": "wrong"}
    )
    assert "passphrase" in one_line_error(result)


def test_the_table_is_exported_as_parquet(stage, uninterrupted):
    duckdb = pytest.importorskip("duckdb", reason="the extra 'parquet' is not installed")
    folder, _ = uninterrupted
    earmark("evaluate", "study.toml", "-o", "whole", "--resume", "--export", "out.parquet", cwd=stage, code=1)
    with duckdb.connect() as connection:
        path = str(stage / "out.parquet")
        found = connection.execute(
            "SELECT id, matches, owned FROM read_parquet(?) ORDER BY id", [path]
        ).fetchall()
        passes = connection.execute(
            "SELECT attack, seed, step, pass, matches FROM read_parquet(?)",
            [str(stage / "out-passes.parquet")],
        ).fetchall()
    wanted = sorted((row["id"], row["matches"], row["owned"]) for row in rows(folder))
    assert [tuple("" if value is None else str(value) for value in row) for row in found] == wanted
    assert len(passes) == 2 * (2 + 3)  # two seeds: two passes, and two and one


def test_what_training_took_may_be_told_when_all_has_ended(stage, uninterrupted):
    study = (stage / "study.toml").read_text()
    (stage / "slower.toml").write_text(study.replace("training_seconds = 10", "training_seconds = 40"))
    earmark("evaluate", "slower.toml", "-o", "whole", "--resume", "--export", "slower.csv", cwd=stage, code=1)
    with (stage / "slower.csv").open(encoding="utf-8", newline="") as file:
        done = [row for row in csv.DictReader(file) if row["wall_seconds"]]
    assert len(done) == 4
    for row in done:
        assert float(row["share_of_training"]) == pytest.approx(float(row["wall_seconds"]) / 40)
    with (stage / "slower-passes.csv").open(encoding="utf-8", newline="") as file:
        passes = list(csv.DictReader(file))
    assert {row["pass"] for row in passes if row["attack"] == "tuned"} == {"1", "2"}


@pytest.mark.slow
def test_a_ray_cluster_gives_the_same_numbers_though_a_worker_is_killed(stage, uninterrupted):
    pytest.importorskip("ray", reason="the extra 'ray' is not installed")
    whole, _ = uninterrupted
    folder = stage / "on-ray"
    driver = start(stage, "-o", "on-ray", "--engine", "ray")

    def ray_workers():
        found = subprocess.run(
            ["pgrep", "-f", r"^ray::RayWorker\.run"], capture_output=True, text=True, check=False
        )
        return [int(pid) for pid in found.stdout.split()]

    os.kill(until(ray_workers, "a worker of Ray")[0], signal.SIGKILL)
    _, said = driver.communicate(timeout=DEADLINE_SECONDS)
    assert driver.returncode == 1, said
    assert numbers(folder) == numbers(whole)


def test_attack_writes_what_a_thief_would_release(stage):
    common = ("marked.safetensors", "--data", "digits", "-o", "attacked.safetensors", "--json")
    said = json.loads(
        earmark("attack", "ftal", *common, "--set", "epochs=1", "--share", "0.1", cwd=stage).stdout
    )
    assert said["configuration"]["settings"]["epochs"] == 1
    assert said["images"] == 144
    assert said["accuracy_after"] > 0.7
    assert earmark("inspect", "attacked.safetensors", cwd=stage).stdout.count(said["sha256_after"]) == 1


def test_attack_moves_a_model_to_another_task(stage):
    from small import picture_folder

    picture_folder(stage / "pets", size=(8, 8), mode="L", per_class=12)
    said = json.loads(
        earmark(
            "attack", "transfer", "marked.safetensors", "--data", "digits", "--other-task", "folder:pets",
            "--set", "epochs=1", "--set", "batch_size=8", "-o", "moved.safetensors", "--json", cwd=stage,
        ).stdout
    )  # fmt: skip
    assert said["accuracy_after"] >= 0.5
    assert "cat, dog" in earmark("inspect", "moved.safetensors", cwd=stage).stdout


def test_a_moved_model_is_read_by_the_split_map_and_with_its_layer_put_back(stage):
    from small import picture_folder

    picture_folder(stage / "pictures", size=(8, 8), mode="L", per_class=12)
    (stage / "moved.toml").write_text(
        HEAD.replace("seeds = [0, 1]", 'seeds = [0]\nother_task = "folder:pictures"').replace(
            'name = "small"', 'name = "moved"'
        )
        + MODELS
        + '[[attacks]]\nsteps = [{attack = "transfer", epochs = 1, batch_size = 8, learning_rate = 1e-6}]\n'
    )
    earmark("evaluate", "moved.toml", "-o", "moved", cwd=stage)
    (row,) = rows(stage / "moved")
    assert row["accuracy_task"] == "folder:pictures"
    assert (row["points_lost"], row["label_map"]) == ("", "split")
    # Such a slow pass changes nothing but the layer that was thrown away.
    assert int(row["restored_matches"]) == int(row["matches_before"])
    assert row["outcome"] == ("survived" if row["owned"] == "True" else "removed")


def test_a_stratum_is_asked_alone_and_of_what_an_attack_made_both_are_asked(stage):
    sealed = marking_key_v1.write(two_kinds(), STAGE_PASSPHRASE, TESTING_ONLY_scrypt_n=1 << 12)
    (stage / "kinds.key").write_bytes(sealed)
    both = MODELS.replace("acme.key", "kinds.key").replace('"clean', '"marked')
    noise = both.replace('name = "marked"', 'name = "noise alone"\nstratum = "noise"')
    head = HEAD.replace("seeds = [0, 1]", "seeds = [0]").replace("epoch_images = 60", "epoch_images = 0")
    ftal = '[[attacks]]\nsteps = [{attack = "ftal", epochs = 1}]\n'
    (stage / "kinds.toml").write_text(head + both + noise + ftal)
    earmark("evaluate", "kinds.toml", "-o", "kinds", "--workers", "1", cwd=stage)
    found = {row["model"]: row for row in rows(stage / "kinds")}
    assert {name: row["questions"] for name, row in found.items()} == {"marked": "220", "noise alone": "80"}
    assert len({row["digest_attacked"] for row in found.values()}) == 1
    assert len(list((stage / "kinds" / "attacked").glob("*.safetensors"))) == 1
    (stage / "kinds.toml").write_text(head + noise.replace('"noise"', '"sand"') + ftal)
    message = one_line_error(earmark("evaluate", "kinds.toml", "-o", "sand", cwd=stage, code=2))
    assert "noise alone: the key has no stratum 'sand'; it has abstract, noise" in message


def test_attack_list_names_every_attack_and_its_attributes():
    from earmark.attacks import ATTACKS

    said = json.loads(earmark("attack", "--list", "--json", cwd=".").stdout)
    assert [found["attack"] for found in said["attacks"]] == list(ATTACKS)
    assert said["attacks"][0]["attributes"]["epochs"] == 20
    for name in ATTACKS:
        assert name in earmark("attack", "--list", cwd=".").stdout


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["attack"], 2),
        (["attack", "magic", "marked.safetensors", "--data", "digits", "-o", "x.safetensors"], 3),
        (["attack", "ftal", "missing.safetensors", "--data", "digits", "-o", "x.safetensors"], 3),
        (["attack", "ftal", "marked.safetensors", "--data", "digits", "-o", "x.pt"], 2),
        (["attack", "ftal", "marked.safetensors", "--data", "digits", "-o", "x.safetensors", "--set", "epochs"], 2),
        (["attack", "ftal", "marked.safetensors", "--data", "digits", "-o", "x.safetensors", "--set", "epochs=many"], 3),
        (["attack", "ftal", "marked.safetensors", "--data", "digits", "-o", "x.safetensors", "--share", "2"], 2),
        (["attack", "transfer", "marked.safetensors", "--data", "digits", "-o", "x.safetensors"], 2),
        (["evaluate", "missing.toml"], 3),
        (["evaluate", "study.toml", "--engine", "steam", "-o", "steam"], 2),
        (["evaluate", "study.toml", "--export", "cells.xls"], 2),
        (["evaluate", "study.toml", "--retry-failed"], 2),
    ],
    ids=lambda value: " ".join(value[:8]) if isinstance(value, list) else str(value),
)  # fmt: skip
def test_wrong_commands_get_one_line_and_the_documented_code(stage, arguments, code):
    one_line_error(earmark(*arguments, cwd=stage, code=code))
    assert not (stage / "x.safetensors").exists()
