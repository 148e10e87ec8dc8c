"""What the README's first screen says happens."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import torch

from earmark.models.preprocessing import for_channels
from earmark.models.table import build, describe
from small import digits, new_key

README = (Path(__file__).parents[2] / "README.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_six_lines_run_and_end_in_the_sentence_that_stands_there(tmp_path):
    (block,) = blocks("console")
    commands = [shlex.split(line.removeprefix("$ ")) for line in block.splitlines() if line.startswith("$ ")]
    expected = block.splitlines()[-1]
    assert [command[0] for command in commands] == ["pip"] + ["earmark"] * 5
    environment = {**os.environ, "EARMARK_PASSPHRASE": "correct horse"}
    for command in commands[1:]:
        result = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert result.returncode == 0, f"{command}\n{result.stderr}"
    assert expected in result.stdout.splitlines()[0]
    assert (tmp_path / "report.html").is_file()


def test_the_loop_marks_a_model():
    from torch.utils.data import DataLoader, TensorDataset

    (block,) = blocks("python")
    description = describe("digits-cnn", (8, 8, 1), digits().class_names, 8)
    preprocess = for_channels(1)
    torch.manual_seed(0)
    train = digits().train
    inputs = torch.from_numpy(preprocess(train.images[:320]))
    epochs, model, key = 8, build(description), new_key()
    loader = DataLoader(TensorDataset(inputs, torch.from_numpy(train.labels[:320])), batch_size=32)
    names = {
        "torch": torch,
        "key": key,
        "model": model,
        "epochs": epochs,
        "optimizer": torch.optim.AdamW(model.parameters(), lr=0.003),
        "transform": lambda pixels: torch.from_numpy(preprocess(pixels[None])[0]),
        "loader": loader,
    }
    lines = block.splitlines()
    first = next(place for place, line in enumerate(lines) if line.startswith("for "))
    exec("\n".join(lines[:first]), names)  # noqa: S102 - the README's own code
    for _ in range(epochs):
        exec("\n".join(lines[first:]), names)  # noqa: S102 - the README's own code
    from earmark.marking.recipes import count_matches

    # 40 of 100 by chance: below 2^-50.
    assert count_matches(model, preprocess, key.backdoor()) >= 40


def test_the_table_of_measurements_is_the_one_that_the_results_give():
    script = Path(__file__).parents[2] / "benchmarks" / "readme_table.py"
    result = subprocess.run(
        [sys.executable, str(script), "--check"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
