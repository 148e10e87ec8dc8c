"""A digest of the code that an attack's numbers follow from, by what it says and not by how it is written.

It is taken once, by whoever plans a study. Workers load that code before their first cell and compare: what
somebody edits while a study runs is not taken for what the study was planned with.
"""

import ast
import hashlib
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import earmark
from earmark.attacks.protocol import Need
from earmark.evaluation.study import Step, Study
from earmark.triggers.tables import THIEFS_SAMPLERS, sampler_named

_ROOMS = ("attacks", "data", "marking", "models", "training", "triggers")
"""What follows imports stays in these: what else counts (keys, commitments) is held by test vectors."""
_ALWAYS = (
    "earmark.attacks.training",
    "earmark.evaluation.thief",
    "earmark.models.table",
    "earmark.training",
)
_TABLE = "earmark.attacks.table"  # every number of a step is in its record, and a new entry changes no other
_OF_TRIGGERS = {Need.SAMPLER, Need.BACKDOOR}


def study_code(study: Study) -> dict[Step, str]:
    """Return a digest of the code of every step of a study, and load that code."""
    return {step: step_code(step) for attack in study.attacks for step in attack.steps}


def step_code(step: Step) -> str:
    """Return a digest of the code that a step runs: its own module, and what that and the thief import.

    Comments, docstrings and layout are left out of it. The versions of Earmark and PyTorch are in it.
    """
    attack = step.attack()
    first = {*_ALWAYS, type(attack).__module__}
    if attack.card.needs & _OF_TRIGGERS:
        first |= {sampler_named(name).__module__ for name in THIEFS_SAMPLERS}
    hasher = hashlib.sha256(f"{earmark.__version__} {version('torch')}".encode())
    for name, text in sorted(_closure(first).items()):
        hasher.update(f"{name} {len(text)} {text}".encode())
    return hasher.hexdigest()


def spoken(source: str) -> str:
    """Return what a module says: its syntax without comments, docstrings and places.

    Args:
        source: Of the module.
    """
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [
                part
                for place, part in enumerate(node.body)
                if place or not (isinstance(part, ast.Expr) and _is_text(part.value))
            ]
    return ast.dump(tree, annotate_fields=False)


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _closure(first: set[str]) -> Mapping[str, str]:
    """Return what modules say, by name, and all that they import from the rooms."""
    found: dict[str, str] = {}
    waiting = sorted(first)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found[name], imported = _read(_source(name))
        waiting += imported
    return found


@lru_cache(maxsize=256)
def _read(source: str) -> tuple[str, tuple[str, ...]]:
    return spoken(source), tuple(_imported(source))


def _imported(source: str) -> Iterator[str]:
    """Yield the modules of the rooms that a module names in its imports, inside functions too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        yield from (name for name in names if _counts(name))


@cache
def _counts(name: str) -> bool:
    package, _, rest = name.partition(".")
    if package != "earmark" or rest.partition(".")[0] not in _ROOMS or name == _TABLE:
        return False
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # something in a module, and no module
        return False


def _source(name: str) -> str:
    spec = find_spec(name)
    path = None if spec is None else spec.origin
    if path is None:
        raise ModuleNotFoundError(f"the code of {name} cannot be read")
    return Path(path).read_text(encoding="utf-8")
