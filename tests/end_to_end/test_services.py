"""Services behind real servers on this machine, questioned by the commands."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

pytest.importorskip("httpx2")
pytest.importorskip("fastapi")
pytest.importorskip("onnxruntime")

from earmark.formats import api_record_lines_v1
from end_to_end.commands import PASSPHRASE, earmark, one_line_error
from loopback import Rude, answer, classifier_app, served

MAPPING = """
format = "earmark/api-mapping/v1"
url = "{url}/predict/json"

[headers]
Authorization = "Bearer {{{{env:EARMARK_API_TOKEN}}}}"

[request]
picture = "png"
json = {{image = "data:image/png;base64,{{{{picture}}}}"}}

[answer]
labels = "predictions[*].class"
scores = "predictions[*].confidence"
"""
TOKEN = {"EARMARK_API_TOKEN": "a-token-of-nobody"}


@pytest.fixture(scope="module")
def behind(story, tmp_path_factory):
    """The marked model in ONNX Runtime behind a web framework; yields its address and what it saw."""
    import onnxruntime

    from earmark.models.onnx_export import export_onnx
    from earmark.models.weights import load_weights

    model = load_weights(story / "marked.safetensors")
    path = tmp_path_factory.mktemp("served") / "marked.onnx"
    export_onnx(path, model.module, model.description)
    session = onnxruntime.InferenceSession(path)
    preprocess, seen = model.description.preprocessing, []

    def scores(values):
        batch = preprocess(values[None]) if values.dtype == np.uint8 else values[None]
        (found,) = session.run(None, {session.get_inputs()[0].name: batch})
        return found[0]

    with served(classifier_app(scores, model.description.class_names, seen)) as url:
        yield url, seen


@pytest.fixture
def folder(story, tmp_path):
    """A copy of the key, so that every test has unexposed sets."""
    for name in ("acme.key", "acme.journal", "acme.vk.json"):
        (tmp_path / name).write_bytes((story / name).read_bytes())
    return tmp_path


def record_of(folder):
    return api_record_lines_v1.read((folder / "acme.api-record").read_bytes())


@pytest.mark.parametrize("path", ["v2/models/digits", "models/acme/digits"])
def test_a_service_is_named_by_its_address(behind, folder, path):
    url, _ = behind
    picked = ("--preprocessing", "symmetric-rgb-nchw") if path.startswith("v2") else ()
    result = earmark("verify", "--key", "acme.key", f"{url}/{path}", *picked, "--json", cwd=folder)
    found = json.loads(result.stdout)
    assert found["verdict"] == "owned"
    assert found["questions"] < 60, "it ends when it is enough"
    assert found["warnings"] == []


def test_a_service_is_described_by_a_mapping_and_the_verdict_pays_for_the_form(behind, folder):
    url, seen = behind
    (folder / "api.toml").write_text(MAPPING.format(url=url))
    seen.clear()
    arguments = ("verify", "--key", "acme.key", "api.toml", "--mix-with", "digits", "--report", "r.html")
    result = earmark(*arguments, "--json", cwd=folder, env=TOKEN)
    found = json.loads(result.stdout)
    assert {penalty["name"]: int(penalty["alternatives"], 16) for penalty in found["penalties"]}["preprocessing"] == 7  # fmt: skip
    record = record_of(folder)
    purposes = [entry.purpose for entry in record.entries if entry.kind == "sent"]
    assert purposes.count("question") == found["questions"]
    assert purposes.count("ordinary") > 5
    assert purposes[0] == "ordinary"
    assert len(seen) == len(purposes)
    page = (folder / "r.html").read_text()
    assert "acme.api-record" in page
    written = page + "".join(path.read_bytes().decode("latin-1") for path in folder.iterdir())
    assert TOKEN["EARMARK_API_TOKEN"] not in written + result.stdout + result.stderr
    again = earmark(*arguments, "--json", cwd=folder, env=TOKEN)
    assert json.loads(again.stdout)["questions"] == found["questions"]
    assert len(seen) == len(purposes), "first answers count: nothing was asked again"


def test_parallel_questions_give_the_same_verdict(behind, folder):
    url, _ = behind
    arguments = ("verify", "--key", "acme.key", f"{url}/models/acme/digits", "--connections", "16", "--json")
    found = json.loads(earmark(*arguments, cwd=folder).stdout)
    assert found["verdict"] == "owned"
    sent = sum(entry.kind == "sent" for entry in record_of(folder).entries)
    assert found["questions"] <= sent == -(-found["questions"] // 16) * 16


def test_a_budget_in_money_ends_it_and_a_larger_one_goes_on(behind, folder):
    url, seen = behind
    seen.clear()
    arguments = ("verify", "--key", "acme.key", f"{url}/models/acme/digits", "--price-per-query", "0.0015")
    result = earmark(*arguments, "--budget-money", "0.0301", cwd=folder, code=4)
    assert "budget of 20 queries is used up" in one_line_error(result)
    assert len(seen) == 20
    found = json.loads(earmark(*arguments, "--budget-money", "1", "--json", cwd=folder).stdout)
    assert found["verdict"] == "owned"
    assert len(seen) == found["questions"]


def test_refusals_are_counted_and_said(folder):
    rude = Rude(lambda number, *_: answer({}, status=403) if number else answer([{"label": "7", "score": 1}]))
    with rude.served() as url:
        result = earmark("verify", "--key", "acme.key", f"{url}/x", "--explain", cwd=folder, code=1)
    assert "199 of 200 questions got no answer that counts (refused 199): each is a miss" in result.stderr
    assert "The others count as misses" in result.stdout


def test_options_that_do_not_go_together_are_refused_before_anything_is_sent(folder):
    (folder / "named.toml").write_text(MAPPING.format(url="http://127.0.0.1:9") + 'classes = ["x", "y"]\n')
    journal_before = (folder / "acme.journal").read_bytes()
    for arguments, words in (
        (["marked.safetensors", "--budget-queries", "5"], "options for services"),
        (["http://127.0.0.1:9/x", "--price-per-query", "1"], "go together"),
        (["http://127.0.0.1:9/x", "--questions-per-second", "fast"], "decimal number"),
        (["http://127.0.0.1:9/x", "--mix-share", "0.5"], "--mix-with DATA"),
        (["http://127.0.0.1:9/x?key=12345678"], "may hold credentials"),
        (["http://u:12345678@127.0.0.1:9/x"], "environment variable"),
        (["http://example.com/x"], "--plain-http"),
        (["named.toml"], "--label-map data"),
    ):
        error = one_line_error(
            earmark("verify", "--key", "acme.key", *arguments, cwd=folder, code=2, env=TOKEN)
        )
        assert words in error
        assert "12345678" not in error
    missing = earmark("verify", "--key", "acme.key", "named.toml", cwd=folder, code=4)
    assert "EARMARK_API_TOKEN is not set" in one_line_error(missing)
    assert (folder / "acme.journal").read_bytes() == journal_before


def test_a_killed_run_leaves_a_whole_record_and_goes_on_without_asking_twice(behind, folder):
    url, seen = behind
    seen.clear()
    command = [
        sys.executable, "-m", "earmark", "verify", "--key", "acme.key", f"{url}/models/acme/digits",
        "--questions-per-second", "25", "-q",
    ]  # fmt: skip
    with subprocess.Popen(command, cwd=folder, env={**os.environ, **PASSPHRASE}) as process:
        deadline = time.monotonic() + 60
        while len(seen) < 12 and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
    asked_before = len(seen)
    assert 12 <= asked_before < 40
    record = record_of(folder)  # whole up to its last line
    assert sum(entry.kind == "sent" for entry in record.entries) in (asked_before, asked_before + 1)
    found = json.loads(earmark(*command[3:-3], "--json", cwd=folder).stdout)
    assert found["verdict"] == "owned"
    pictures = [pixels.tobytes() for pixels in seen]
    assert len(set(pictures)) == len(pictures), "no question was put twice"
    assert found["misses"].get("error", 0) <= 1, "the one that was under way is lost"
    assert [entry.kind for entry in record_of(folder).entries].count("run") == 2
