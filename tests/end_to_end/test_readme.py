"""What the README measures is what the results say; what it tells its reader to do runs in test_documentation."""

import subprocess
import sys
from pathlib import Path


def test_the_table_of_measurements_is_the_one_that_the_results_give():
    script = Path(__file__).parents[2] / "benchmarks" / "readme_table.py"
    result = subprocess.run(
        [sys.executable, str(script), "--check"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
