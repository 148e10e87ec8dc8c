"""Running commands as a person types them."""

import contextlib
import io
import os
import subprocess
import sys
from unittest.mock import patch

import pytest

from earmark.cli import main

PASSPHRASE = {"EARMARK_PASSPHRASE": "correct horse", "OMP_NUM_THREADS": "2"}


def earmark(*arguments, cwd, code=0, env=None):
    """Run a command in this process: the same code, without importing PyTorch a hundred times."""
    out, err = io.StringIO(), io.StringIO()
    with (
        patch.dict(os.environ, {**PASSPHRASE, **(env or {})}),
        contextlib.chdir(cwd),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.raises(SystemExit) as ended,
    ):
        main([str(argument) for argument in arguments])
    found = ended.value.code or 0
    return checked(subprocess.CompletedProcess(arguments, found, out.getvalue(), err.getvalue()), code)


def earmark_process(*arguments, cwd, code=0):
    """Run a command as a process of its own."""
    command = [sys.executable, "-m", "earmark", *map(str, arguments)]
    environment = {**os.environ, **PASSPHRASE}
    result = subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    return checked(result, code)


def checked(result, code):
    assert result.returncode == code, f"{result.args}: {result.returncode}\n{result.stdout}\n{result.stderr}"
    assert "Traceback" not in result.stderr
    return result


def one_line_error(result):
    lines = [line for line in result.stderr.splitlines() if line.startswith("earmark: error: ")]
    assert len(lines) == 1, result.stderr
    return lines[0]
