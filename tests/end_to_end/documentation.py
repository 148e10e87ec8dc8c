"""Pages of documentation, read as what they ask their reader to do, and done.

A fenced block's language says what becomes of it; CONTRIBUTING.md has the list. Comments directly above a
block say more: ``<!-- varies: REGEX -->`` what no two runs print alike, ``<!-- not run: REASON -->``.
"""

import contextlib
import csv
import doctest
import io
import json
import os
import re
import runpy
import shlex
import subprocess
import sys
import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

from earmark.cli import main
from earmark.suspects.http.mapping import read_mapping

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(
    r"(?P<notes>(?:^ *<!-- [^\n]* -->\n)*)^(?P<indent> *)```(?P<info>[^\n]*)\n(?P<body>.*?)^(?P=indent)```$",
    re.DOTALL | re.MULTILINE,
)
_NOTE = re.compile(r"<!-- (varies|not run): (.*?) -->")
_ANY_LINES = "…"
_COMMAND_SECONDS = 300


@dataclass(frozen=True)
class Block:
    page: str
    line: int
    language: str
    title: str
    body: str
    varies: str
    not_run: str

    def __str__(self):
        return f"{self.page}:{self.line}"


def blocks_of(path):
    text = path.read_text("utf-8")
    return [
        Block(
            str(path.relative_to(ROOT)),
            text.count("\n", 0, found.start("indent")) + 1,
            found["info"].partition(" ")[0],
            "".join(re.findall(r'title="([^"]+)"', found["info"])),
            textwrap.dedent(found["body"]),
            notes.get("varies", ""),
            notes.get("not run", ""),
        )
        for found in _FENCE.finditer(text)
        for notes in [dict(_NOTE.findall(found["notes"]))]
    ]


def outside_of_blocks(path):
    return _FENCE.sub("", path.read_text("utf-8"))


@dataclass
class Reader:
    """Does what pages say, in one folder, with one memory."""

    folder: Path
    names: dict = field(default_factory=lambda: {"__name__": "page"})
    environment: dict = field(default_factory=dict)
    _last_code: int = 0

    def read(self, blocks):
        with contextlib.chdir(self.folder), patch.dict(os.environ, self.environment):
            for block in blocks:
                if not block.not_run:
                    getattr(self, f"_{block.language}")(block)

    def _python(self, block):
        if block.title:
            Path(block.title).write_text(block.body, "utf-8")
        elif block.body.startswith(">>>"):
            self._doctest(block)
        else:
            code = compile("\n" * block.line + block.body, str(ROOT / block.page), "exec")
            exec(code, self.names)  # noqa: S102 - our own pages

    def _doctest(self, block):
        lines = doctest.DocTestParser().get_doctest(
            block.body, self.names, str(block), block.page, block.line
        )
        said = io.StringIO()
        results = doctest.DocTestRunner(_Checker(block.varies)).run(lines, out=said.write, clear_globs=False)
        self.names.update(lines.globs)
        assert results.attempted, f"{block}: no example"
        assert results.failed == 0, said.getvalue()

    def _console(self, block):
        turns = _turns(block)
        for turn, (command, expected) in enumerate(turns):
            found = self._run(command, block)
            code_is_asked_for = turn + 1 < len(turns) and turns[turn + 1][0] == "echo $?"
            assert self._last_code == 0 or code_is_asked_for, (
                f"{block}: {command}\nexit code {self._last_code}\n{found}"
            )
            if expected:
                assert_printed(expected, found, block.varies, f"{block}: {command}")

    def _json(self, block):
        value = json.loads(block.body)
        kind = value.get("format") if isinstance(value, dict) else None
        if kind is not None:
            page = ROOT / "docs/formats" / (kind.removeprefix("earmark/").replace("/", "-") + ".md")
            assert page.is_file(), f"{block}: {kind} has no page"

    def _toml(self, block):
        """A mapping of a service; with a title it is written to a file of that name."""
        read_mapping(block.body.encode(), is_toml=True, check_name=lambda name: None)
        if block.title:
            Path(block.title).write_text(block.body, "utf-8")

    def _csv(self, block):
        rows = list(csv.reader(io.StringIO(block.body)))
        assert len({len(row) for row in rows}) == 1, f"{block}: rows of different lengths"

    def _text(self, block):
        """Notation, bytes, drawings: to be looked at."""

    def _run(self, command, block):
        if command == "echo $?":
            code, self._last_code = self._last_code, 0
            return f"{code}\n"
        program, *arguments = shlex.split(re.sub(r"\s#.*", "", command))
        if program == "export":
            os.environ.update(argument.split("=", 1) for argument in arguments)
        elif program == "pip":
            _check_installation(arguments, block)
        elif program == "earmark" and not set(command) & set("|<>&"):
            return self._in_this_process(lambda: main(arguments))
        elif program == "python":
            with patch.object(sys, "path", [str(self.folder), *sys.path]), patch.dict(sys.modules):
                return self._in_this_process(lambda: runpy.run_path(arguments[0], run_name="__main__"))
        else:
            return self._in_shell(command)
        return ""

    def _in_this_process(self, work):
        """What a process of its own would do, without importing PyTorch a hundred times."""
        said = io.StringIO()
        self._last_code = 0
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            try:
                work()
            except SystemExit as ended:
                self._last_code = ended.code or 0
        return said.getvalue()

    def _in_shell(self, command):
        result = subprocess.run(
            ["bash", "-c", command],
            env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_COMMAND_SECONDS,
            check=False,
        )
        self._last_code = result.returncode
        return result.stdout


LANGUAGES = ("python", "console", "json", "toml", "csv", "text")


def _turns(block):
    """Commands with the lines that are to come after them."""
    turns = []
    for line in block.body.splitlines():
        if turns and turns[-1][0].endswith("\\"):
            turns[-1][0] = turns[-1][0][:-1] + line.removeprefix(">").strip()
        elif line.startswith("$ "):
            turns.append([line[2:], []])
        else:
            assert turns, f"{block}: a console block begins with '$ '"
            turns[-1][1].append(line)
    return turns


def assert_printed(expected, found, varies, what):
    """Compare lines. Progress is not compared (on a terminal it is a bar), nor is what varies."""

    def masked(lines):
        return [re.sub(varies, "~", line.rstrip()) if varies else line.rstrip() for line in lines]

    lines = [line for line in found.splitlines() if not line.endswith(" …")]
    pattern = "\n".join(masked(expected))
    parts = [re.escape(part) for part in re.split(rf"^{_ANY_LINES}$", pattern, flags=re.MULTILINE)]
    printed = "\n".join(masked(lines))
    assert re.fullmatch(r"[^\0]*".join(parts), printed), (
        f"{what}\nthe page says:\n{pattern}\nit printed:\n{printed}"
    )


class _Checker(doctest.OutputChecker):
    def __init__(self, varies):
        self._varies = varies

    def check_output(self, want, got, optionflags):
        if self._varies:
            want, got = (re.sub(self._varies, "~", text) for text in (want, got))
        return super().check_output(want, got, optionflags)


def _check_installation(arguments, block):
    """Nothing is installed by a test, but what is named must exist."""
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    assert arguments[0] == "install", block
    for extra in re.findall(r"[\w-]+", "".join(re.findall(r"^(?:earmark|\.)\[(.*)\]$", arguments[-1]))):
        assert re.search(rf"^{extra} = \[", project, re.MULTILINE), f"{block}: no extra {extra}"
    assert re.match(r"(earmark|\.)(\[|$)", arguments[-1]), f"{block}: another package: say why it is not run"
