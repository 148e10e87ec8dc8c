"""What scripts write into pages is what the results and the code say; pages' commands run in test_documentation."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from earmark.attacks import ATTACKS

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "script",
    [
        "readme_table.py",
        "attack_table.py",
        "frameworks_table.py",
        "games_table.py",
        "opened_set_table.py",
        "pictures_table.py",
        "proof_table.py",
        "quick_marking_table.py",
        "robustness_table.py",
        "recordings_table.py",
        "texts_table.py",
        "services_table.py",
        "survival.py",
        "table1_table.py",
        "tables_table.py",
    ],
)
def test_a_part_is_what_its_script_writes(script):
    command = [sys.executable, str(ROOT / "benchmarks" / script), "--check"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_the_table_of_attacks_has_them_all():
    page = (ROOT / "docs/reference/attacks.md").read_text("utf-8")
    assert re.findall(r"^\| `([\w-]+)` \|", page, re.MULTILINE) == list(ATTACKS)
