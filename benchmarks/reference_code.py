"""Runs parts of other people's scripts as they stand, without the rest: their data, GPUs and models.

Nothing of theirs is part of this project. A function or class is named by its name, a loop by its variable
(``for epoch``), a block by its condition (``if args.x > 0``).
"""

import ast
import math
import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn


class Quiet:
    """A log, or a progress bar, that nobody reads."""

    def __getattr__(self, name: str) -> Any:
        return lambda *parts, **named: None


def room(**known: Any) -> dict[str, Any]:
    """Return the names that such code expects: modules, silent logs, and what is known beside."""
    silent = {"print": Quiet().write, "progress_bar": Quiet().write, "tqdm": lambda batches: batches}
    modules = {"torch": torch, "nn": nn, "F": nn.functional, "optim": torch.optim, "np": np}
    usual = {"math": math, "os": os, "random": random, "time": time, "logging": Quiet()}
    return {**modules, **usual, **silent, "__name__": "reference", **known}


def take(path: Path, names: tuple[str, ...], known: dict[str, Any]) -> dict[str, Any]:
    """Run the named parts of a file, in that order.

    Args:
        path: Python source.
        names: Of its parts; where one occurs more than once, the first.
        known: The room to run them in; they define their own names there.

    Returns:
        The room.
    """
    tree = ast.parse(path.read_text("utf-8").replace("device='cuda'", "device='cpu'"))
    parts: dict[str, ast.stmt] = {}
    for node in ast.walk(tree):
        name = _name(node)
        if name in names and isinstance(node, ast.stmt):
            parts.setdefault(name, node)
    if missing := [name for name in names if name not in parts]:
        raise SystemExit(f"{path}: no {', '.join(missing)}; is it the commit that this script names?")
    for part in parts.values():
        if isinstance(part, ast.ClassDef):  # bases that only look after files and data stay behind
            part.bases = [base for base in part.bases if ast.unparse(base).startswith("nn.")]
    module = ast.Module([parts[name] for name in names], [])
    exec(compile(module, str(path), "exec"), known)  # noqa: S102 - what this file is for
    return known


def _name(node: ast.AST) -> str:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return node.name
    if isinstance(node, ast.For):
        return f"for {ast.unparse(node.target)}"
    return f"if {ast.unparse(node.test)}" if isinstance(node, ast.If) else ""


@contextmanager
def without_gpu() -> Iterator[None]:
    """Let ``.cuda()`` mean nothing for a while."""
    before = torch.Tensor.cuda, nn.Module.cuda
    torch.Tensor.cuda = nn.Module.cuda = lambda self, *parts, **named: self  # type: ignore[assignment,method-assign]
    try:
        yield
    finally:
        torch.Tensor.cuda, nn.Module.cuda = before  # type: ignore[method-assign]
