"""A marked scikit-learn classifier behind MLServer, questioned by the Open Inference Protocol.

MLServer pins packages that do not go with ours, so it gets an environment of its own, which this script makes if it
is not there (a few hundred megabytes). The model is trained and served there; here it is only an address.

    python benchmarks/mlserver.py FOLDER
"""

import json
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import venv
from pathlib import Path
from typing import Any

import numpy as np

import earmark
from earmark.data import load_data
from earmark.formats.api_record_v1 import ApiRecord
from earmark.formats.journal_v1 import Journal
from earmark.models.preprocessing import Preprocessing, catalogue
from earmark.suspects.http import Terms
from earmark.verification import SEQUENTIAL, Method, evidence_needed
from measuring import save

START_SECONDS = 120
TRAIN = """
import joblib, numpy, sys
from sklearn.svm import SVC
data = numpy.load("train.npz")
joblib.dump(SVC(C=1000).fit(data["inputs"], data["labels"]), "model.joblib")
"""


def environment(folder: Path) -> Path:
    """Return the Python of MLServer's own environment."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        subprocess.run(
            [python, "-m", "pip", "install", "--quiet", "mlserver", "mlserver-sklearn"], check=True
        )
    return python


def train(python: Path, folder: Path, key: earmark.MarkingKey, preprocessing: Preprocessing) -> None:
    """Train a marked classifier in MLServer's environment and write its settings."""
    data, backdoor = load_data("digits"), key.backdoor()
    images = np.concatenate([data.train.images[:], [trigger.value for trigger in backdoor.triggers]])
    labels = np.concatenate([data.train.labels, backdoor.labels])
    np.savez(folder / "train.npz", inputs=preprocessing(images).reshape(len(images), -1), labels=labels)
    subprocess.run([python, "-c", TRAIN], cwd=folder, check=True)
    settings = {
        "name": "digits",
        "implementation": "mlserver_sklearn.SKLearnModel",
        "inputs": [{"name": "images", "datatype": "FP32", "shape": [-1, 64]}],
        "outputs": [{"name": "predict", "datatype": "INT64", "shape": [-1, 1]}],
        "parameters": {"uri": "./model.joblib"},
    }
    (folder / "model-settings.json").write_text(json.dumps(settings))


def serve(python: Path, folder: Path, ports: list[int]) -> "subprocess.Popen[bytes]":
    """Start MLServer and wait until its model is ready."""
    names = ("http_port", "grpc_port", "metrics_port")
    settings = {"host": "127.0.0.1", "parallel_workers": 0, **dict(zip(names, ports, strict=True))}
    (folder / "settings.json").write_text(json.dumps(settings))
    with (folder / "log").open("wb") as log:
        command = [python.with_name("mlserver"), "start", "."]
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{ports[0]}/v2/models/digits/ready"
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return process
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    process.kill()
    raise SystemExit((folder / "log").read_text())


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def question(url: str, key: earmark.MarkingKey, folder: Path, picked: Preprocessing) -> dict[str, Any]:
    """Return the verdict on the service."""
    root, choices = key.transcript.root, len(catalogue(1)) + 2
    Journal.create(folder / "k.journal", root)
    with ApiRecord(folder / "k.api-record", root) as record:
        terms = Terms(class_names=key.transcript.task.class_names, record=record)
        suspect = earmark.open_suspect(url, preprocessing=picked, terms=terms)
        measured = earmark.measure(
            key,
            suspect,
            Journal(folder / "k.journal", root),
            method=Method(SEQUENTIAL),
            stop_at=lambda before: evidence_needed(before, preprocessing_choices=choices),
        )
        requests = record.query_count(suspect.identity)
        suspect.close()  # type: ignore[attr-defined]  # a service's
    verdict = earmark.verify(measured, preprocessing_choices=choices)
    return {
        "verdict": str(verdict),
        "owned": verdict.owned,
        "matches": measured.match_count,
        "questions": measured.question_count,
        "misses": {miss.value: count for miss, count in measured.miss_counts.items()},
        "requests": requests,
        "preprocessing": suspect.preprocessing,
    }


def main(folder: Path) -> None:
    """Make, serve, question, save."""
    python = environment(folder)
    picked = catalogue(1)["unit-rgb-nhwc"]
    task = earmark.Task(earmark.ImageGeometry(8, 8, 1), load_data("digits").class_names)
    owner = earmark.OwnerKey.generate("Benchmark")
    key = earmark.keygen(owner, task, earmark.AbstractSampler(), triggers_per_set=100)
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        train(python, place, key, picked)
        ports = free_ports(3)
        process = serve(python, place, ports)
        try:
            found = question(f"http://127.0.0.1:{ports[0]}/v2/models/digits", key, place, picked)
        finally:
            process.terminate()
            process.wait(30)
    show = "import mlserver, sklearn; print(mlserver.__version__, sklearn.__version__)"
    versions = subprocess.run([python, "-c", show], capture_output=True, text=True, check=True).stdout.split()
    save("mlserver", {"mlserver": versions[0], "scikit-learn": versions[1], **found})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
