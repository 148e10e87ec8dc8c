import ast
import importlib
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import earmark
from earmark import errors

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src" / "earmark").rglob("*.py"))
FORBIDDEN_NAMES = {"utils", "helpers", "common", "core", "base", "manager"}


def run(*command):
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


def test_imports_only_point_down_and_the_threat_model_holds():
    result = run(
        sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_public_names_are_the_ones_that_load():
    assert sorted(earmark.__all__) == sorted([*earmark._HOMES, "__version__"])
    for name in earmark.__all__:
        assert getattr(earmark, name) is not None
    assert dir(earmark) == sorted(earmark.__all__)
    with pytest.raises(AttributeError):
        _ = earmark.nothing


def test_the_drawn_tree_of_errors_is_the_real_one():
    drawn, parents = {}, {}
    for line in errors.__doc__.splitlines():
        found = re.match(r"^    ([│ ]*)(?:├── |└── )?(\w+Error)\b", line)
        if found:
            depth = 0 if line.startswith("    EarmarkError") else 1 + len(found[1]) // 4
            parents[depth] = found[2]
            drawn[found[2]] = parents.get(depth - 1)
    real = {
        name: value.__bases__[0].__name__
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.EarmarkError)
    }
    real["EarmarkError"] = None
    assert drawn == real


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT / "src")))
def test_rooms_have_names_and_sizes(path):
    assert path.stem not in FORBIDDEN_NAMES
    text = path.read_text()
    assert len(text.splitlines()) <= 400
    tree = ast.parse(text)
    if text:
        assert ast.get_docstring(tree), "every module says what it is"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            length = (node.end_lineno or 0) - body[0].lineno + 1 if body else 0
            assert length <= 60, f"{node.name} has {length} lines"


@pytest.mark.parametrize(
    "module", ["earmark", "earmark.cli", "earmark.keys", "earmark.verification", "earmark.formats.journal_v1"]
)
def test_judging_and_the_command_line_start_without_a_framework(module):
    code = f"import sys, {module}; print([name for name in ('torch', 'onnxruntime', 'transformers', 'sklearn', 'keras', 'lightgbm', 'xgboost') if name in sys.modules])"
    result = run(sys.executable, "-c", code)
    assert result.stdout.strip() == "[]", result.stderr


def test_help_starts_without_even_numpy():
    code = "import sys; sys.argv = ['earmark', '--help']\nfrom earmark.cli import main\ntry: main()\nexcept SystemExit: pass\nprint('numpy' in sys.modules)"
    assert run(sys.executable, "-c", code).stdout.splitlines()[-1] == "False"


def command_names():
    from earmark.cli.app import app

    names = [(command.name,) for command in app.registered_commands]
    for group in app.registered_groups:
        names += [(group.name, command.name) for command in group.typer_instance.registered_commands]
    return names


@pytest.mark.parametrize("command", command_names(), ids=" ".join)
def test_every_help_has_an_example_and_the_common_options(command):
    text = run(sys.executable, "-m", "earmark", *command, "--help").stdout
    for word in ("Example", "--json", "--quiet", "-q"):
        assert word in text, f"{' '.join(command)} --help lacks {word}"


def test_every_plug_in_named_in_a_table_exists():
    from earmark.suspects.opening import SUSPECTS
    from earmark.triggers.tables import KINDS, SAMPLERS

    for table in (KINDS, SAMPLERS, SUSPECTS):
        for home in table.values():
            module, _, attribute = home.partition(":")
            assert hasattr(importlib.import_module(module), attribute)


def test_the_project_pins_torch_once_and_within_its_own_range():
    constraints = (ROOT / "constraints.txt").read_text()
    assert len(re.findall(r"^torch==", constraints, re.MULTILINE)) == 1


def test_the_least_versions_that_were_tried_are_those_that_are_allowed_and_they_passed():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    tried = json.loads((ROOT / "benchmarks/results/minimum-versions.json").read_text())["extras"]
    assert set(tried) == set(extras) - {"dev", "docs"}
    for extra, found in tried.items():
        assert found["asked"] == [requirement.replace(">=", "==") for requirement in extras[extra]]
        assert found["passed"], f"{extra}: {found}"


@pytest.mark.parametrize(
    "name", ["README.md", "ARCHITECTURE.md", "GLOSSARY.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"]
)
def test_links_between_pages_lead_somewhere(name):
    text = (ROOT / name).read_text()
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", text):
        if "://" not in target:
            assert (ROOT / target).exists(), f"{name} links to {target}"
