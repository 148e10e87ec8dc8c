"""Packages that do not go with ours, or are too many for what they test: each in an environment of its own."""

import os
import subprocess

import pytest


def python_with(variable, module):
    """Return the Python that an environment variable names, if it has a module; else skip and say so."""
    python = os.environ.get(variable)
    if not python:
        pytest.skip(f"{variable} names no Python with {module}; CONTRIBUTING.md says how to make one")
    found = subprocess.run([python, "-c", f"import {module}"], capture_output=True, text=True, check=False)
    # Whoever sets the variable wants the test: a broken environment is no reason to leave it out.
    assert found.returncode == 0, f"{variable}: {python} has no {module}: {found.stderr[-500:]}"
    return python
