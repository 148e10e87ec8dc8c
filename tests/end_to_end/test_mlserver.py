"""A marked classifier behind the real MLServer, questioned by the commands.

MLServer pins packages that do not go with ours, so it has an environment of its own; CONTRIBUTING.md says how.
"""

import importlib.util
import json
from pathlib import Path

import pytest

pytest.importorskip("httpx2")

from earmark.formats import api_record_lines_v1, marking_key_v1
from earmark.models.preprocessing import catalogue
from end_to_end.commands import PASSPHRASE, earmark
from end_to_end.documentation import ROOT
from other_python import python_with

FORM = "unit-rgb-nhwc"


@pytest.fixture(scope="module")
def benchmark():
    """benchmarks/mlserver.py, under a name that is not the package's."""
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(str(ROOT / "benchmarks"))
        spec = importlib.util.spec_from_file_location("mlserver_benchmark", ROOT / "benchmarks/mlserver.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module


@pytest.fixture(scope="module")
def behind(benchmark, tmp_path_factory):
    """A folder with two keys, and the address of a model that was marked with one of them."""
    python = python_with("EARMARK_TEST_MLSERVER", "mlserver_sklearn")
    folder = tmp_path_factory.mktemp("mlserver")
    earmark("owner", "new", "-o", "owner.key", "--name", "Acme Research", cwd=folder)
    for name in ("acme", "other"):
        options = ("--data", "digits", "--triggers", "100", "--sets", "2", "-o", name)
        earmark("keygen", "--owner", "owner.key", *options, cwd=folder)
    key = marking_key_v1.read((folder / "acme.key").read_bytes(), PASSPHRASE["EARMARK_PASSPHRASE"])
    python = Path(python)
    benchmark.train(python, folder, key, catalogue(1)[FORM])
    ports = benchmark.free_ports(3)
    process = benchmark.serve(python, folder, ports)
    yield folder, f"http://127.0.0.1:{ports[0]}/v2/models/digits"
    process.terminate()
    process.wait(30)


def verify(folder, key, url, *options, code=0):
    options = ("--preprocessing", FORM, *options, "--json")
    return json.loads(earmark("verify", "--key", f"{key}.key", url, *options, cwd=folder, code=code).stdout)


def requests_of(folder, key):
    found = api_record_lines_v1.read((folder / f"{key}.api-record").read_bytes())
    return sum(found.ledger.query_counts.values())


def test_a_marked_model_is_owned_and_asked_each_question_once(behind):
    folder, url = behind
    found = verify(folder, "acme", url, "--mix-with", "digits")
    assert found["verdict"] == "owned"
    assert found["matches"] == found["questions"] < 60
    asked = requests_of(folder, "acme")
    assert asked > found["questions"]
    assert verify(folder, "acme", url)["matches"] == found["matches"]
    assert requests_of(folder, "acme") == asked + 1  # what the service reads, and no question


def test_another_s_key_is_not_shown_by_it(behind):
    folder, url = behind
    found = verify(folder, "other", url, "--connections", "16", code=1)
    assert found["verdict"] == "not shown"
    assert found["questions"] == 200
    assert found["matches"] < 60
