"""Whether the least versions that pyproject.toml allows for each extra pass the extra's tests.

Each extra gets an environment of its own, in a temporary folder that is thrown away: the least versions of its
packages and what they bring, the rest from the environment that runs this script, PyTorch above all. With --set
other versions are tried, to find the least that pass.

    python benchmarks/minimum_versions.py [EXTRA ...] [--set PACKAGE==VERSION ...]
"""

import argparse
import json
import os
import re
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
import venv
from importlib.metadata import version
from pathlib import Path
from typing import Any

from measuring import RESULTS, save

ROOT = Path(__file__).parents[1]
SECONDS = 1500
TESTS = {
    "hf": ("tests/unit/models/test_hf.py", "tests/contract/test_suspects.py"),
    "trainer": ("tests/end_to_end/test_frameworks.py", "-k", "trainer or batches_without"),
    "lightning": ("tests/end_to_end/test_frameworks.py", "-k", "lightning"),
    "keras": ("tests/end_to_end/test_frameworks.py", "-k", "keras"),
    "skops": ("tests/unit/suspects/test_skops.py", "tests/adversary/test_hostile_suspects.py"),
    "onnx": (
        "tests/unit/models/test_onnx_export.py",
        "tests/unit/suspects/test_onnx.py",
        "tests/unit/suspects/test_onnx_scan.py",
    ),
    "http": ("tests/unit/suspects/http", "tests/end_to_end/test_services.py"),
    "zk": ("tests/unit/zero_knowledge/test_proof.py", "tests/unit/zero_knowledge/test_ownership.py"),
    "parquet": ("tests/end_to_end/test_studies.py", "-k", "parquet"),
    "xgboost": ("tests/unit/suspects/test_xgboost.py", "tests/adversary/test_hostile_boosted_trees.py"),
    "lightgbm": ("tests/unit/suspects/test_lightgbm.py", "tests/adversary/test_hostile_boosted_trees.py"),
    "ray": ("tests/end_to_end/test_studies.py", "-k", "ray"),
    "timm": ("tests/end_to_end/test_images.py", "-k", "timm"),
    "torchvision": ("tests/end_to_end/test_images.py", "-k", "torchvision"),
    "plots": ("tests/unit/reports/test_study_page.py",),
}
# Their classifiers follow scikit-learn's changes: the least versions go with a scikit-learn of their time.
OF_THEIR_TIME = {extra: {"scikit-learn": "1.6.1"} for extra in ("xgboost", "lightgbm")}
OF_THEIR_TIME["plots"] = {"pyparsing": "3.1.4"}  # later ones warn of what matplotlib 3.8 calls
# timm imports torchvision, each release of which is built for one PyTorch.
OF_THEIR_TIME["torchvision"] = {"torch": "2.4.0"}
OF_THEIR_TIME["timm"] = {"torch": "2.14.1", "torchvision": "0.29.1"}


def least(extra: str) -> dict[str, str]:
    """Return packages and the least versions of them that an extra allows."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return dict(requirement.split(">=") for requirement in project["optional-dependencies"][extra])


def run(command: list[str], seconds: int = SECONDS, **environment: str) -> tuple[bool, str]:
    """Run a program; return whether it went well, and the end of what it said."""
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False, f"not finished in {seconds} s"
    return done.returncode == 0, (done.stdout + done.stderr)[-3000:]


def tried(extra: str, packages: dict[str, str]) -> dict[str, Any]:
    """Make the environment, run the tests in it, and throw it away."""
    wanted = [f"{name}=={number}" for name, number in packages.items()]
    beside = [f"{name}=={number}" for name, number in OF_THEIR_TIME.get(extra, {}).items()]
    with tempfile.TemporaryDirectory(prefix=f"min-{extra}-") as folder:
        venv.create(folder, with_pip=True)
        python = str(Path(folder, "bin/python"))
        own = sysconfig.get_path("purelib", vars={"base": folder})
        # After its own packages: what pip does not put there is taken from here.
        Path(own, "the-rest.pth").write_text(sysconfig.get_path("purelib") + "\n")
        well, said = run([python, "-m", "pip", "install", "--quiet", *wanted, *beside])
        if not well:
            return {"asked": wanted, "passed": None, "why": _last_line(said)}
        names = [*packages, "torch"]
        code = f"import importlib.metadata as m; print(*(m.version(n) for n in {names}))"
        _, numbers = run([python, "-c", code])
        well, said = run(
            [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS[extra]],
            PYTHONPATH=str(ROOT / "src"),
        )
    counts = re.findall(r"^(?:\d+ \w+(?:, )?)+ in ", said, re.MULTILINE)
    result = {
        "asked": wanted,
        "beside": beside,
        "versions": dict(zip(names, numbers.split(), strict=True)),
        "passed": well,
        "tests": counts[-1].removesuffix(" in ") if counts else _last_line(said),
    }
    return result if well else result | {"why": re.findall(r"^(?:FAILED|ERROR) .*", said, re.MULTILINE)[:5]}


def _last_line(said: str) -> str:
    return said.strip().splitlines()[-1][:300] if said.strip() else "nothing was said"


def main() -> None:
    """Try the extras that were named, or all, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("extras", nargs="*", choices=[[], *TESTS])
    parser.add_argument("--set", action="append", default=[], help="PACKAGE==VERSION in place of the least")
    arguments = parser.parse_args()
    changes = dict(text.split("==") for text in arguments.set)
    path = RESULTS / "minimum-versions.json"
    extras = json.loads(path.read_text())["extras"] if path.is_file() else {}
    for extra in arguments.extras or TESTS:
        packages = {name: changes.get(name, number) for name, number in least(extra).items()}
        found = tried(extra, packages)
        print(extra, json.dumps(found), flush=True)
        if packages == least(extra):
            extras[extra] = found
    if not changes:
        save(
            "minimum-versions",
            {"torch": version("torch"), "python": sys.version.split()[0], "extras": extras},
        )


if __name__ == "__main__":
    main()
