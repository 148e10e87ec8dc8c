"""Time, memory and size of ownership proofs: 100 triggers, 69 needed, networks with random weights.

    python benchmarks/zero_knowledge.py [network …]

The cost depends on the network's shape and not on its weights; labels are what the original answers, so the
agreement of integers and original is printed too. Proving and checking are processes of their own, without
PyTorch: first with no machine code compiled before (cold), then with it (warm). The table in
docs/mathematics/zero-knowledge.md is written from the result (proof_table.py).
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from earmark.commitment.linear import RANDOM_BYTES, commit_linear

RESULTS = Path(__file__).parent / "results" / "zero-knowledge.json"
TRIGGERS, NEEDED = 100, 69


def networks() -> dict[str, tuple[Any, tuple[int, int, int]]]:
    """Return networks and the shapes of their inputs."""
    import torch
    from torch import nn

    from earmark.models.digits_cnn import DigitsCNN
    from earmark.models.resnet import ResNet18

    class Block(nn.Module):
        """Two convolutions and a shortcut."""

        def __init__(self, before: int, after: int, stride: int) -> None:
            super().__init__()
            self.first = nn.Conv2d(before, after, 3, stride, 1)
            self.second = nn.Conv2d(after, after, 3, 1, 1)
            self.short = nn.Conv2d(before, after, 1, stride)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            """Return the block's result."""
            return torch.relu(self.second(torch.relu(self.first(x))) + self.short(x))

    lenet = nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip
    cnn = nn.Sequential(
        nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU(),
        nn.Flatten(), nn.Linear(2048, 64), nn.ReLU(), nn.Linear(64, 10),
    )  # fmt: skip
    resnet = nn.Sequential(
        nn.Conv2d(3, 8, 3, 1, 1), nn.ReLU(), Block(8, 8, 1), Block(8, 16, 2), Block(16, 32, 2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10),
    )  # fmt: skip
    return {
        "digits-cnn": (DigitsCNN(10), (1, 8, 8)),
        "lenet": (lenet, (1, 28, 28)),
        "cnn-137k": (cnn, (3, 32, 32)),
        "resnet-8": (resnet, (3, 32, 32)),
        **{f"resnet18-{width}": (ResNet18(10, width=width), (3, 32, 32)) for width in (8, 16, 32, 64)},
    }


SMALL = ("digits-cnn", "lenet", "cnn-137k", "resnet-8")


def prepare(name: str, folder: Path, triggers: int = TRIGGERS) -> None:
    """Write a network's ONNX file, and triggers with the labels that it gives them."""
    import torch

    torch.manual_seed(0)
    module, shape = networks()[name]
    module.eval()
    channels, height, width = shape
    torch.onnx.export(
        module,
        (torch.zeros(1, *shape),),
        folder / "model.onnx",
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    draw = np.random.default_rng(0)
    values = draw.integers(0, 256, (triggers, channels * height * width), np.uint8)
    pixels = values.reshape(-1, height, width, channels).transpose(0, 3, 1, 2)
    with torch.no_grad():
        labels = module(torch.from_numpy(pixels / np.float32(127.5) - np.float32(1))).argmax(1).numpy()
    randomness = draw.integers(0, 256, (triggers, RANDOM_BYTES), np.uint8)
    commitments = [commit_linear(v.tobytes(), s.tobytes()) for v, s in zip(values, randomness, strict=True)]
    np.savez(
        folder / "triggers.npz",
        values=values,
        labels=labels,
        randomness=randomness,
        commitments=np.stack(commitments),
        shape=shape,
        parameters=sum(item.numel() for item in module.parameters()),
    )


def timed(work: Any) -> tuple[Any, dict[str, float]]:
    """Return what work returns, and its seconds by the clock and of all cores."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = work()
    return found, {
        "seconds": round(time.perf_counter() - wall, 2),
        "core_seconds": round(time.process_time() - cpu, 2),
    }


def run(what: str, folder: Path) -> dict[str, Any]:
    """Prove or check in this process, which has done nothing else."""
    from earmark.zero_knowledge.checker import check_proof
    from earmark.zero_knowledge.network import infer, matches
    from earmark.zero_knowledge.onnx_graph import integer_network
    from earmark.zero_knowledge.prover import Openings, prove
    from earmark.zero_knowledge.statement import Statement

    given = np.load(folder / "triggers.npz")
    shape = tuple(int(side) for side in given["shape"])
    affine = np.full(shape[0], 1 / 127.5), np.full(shape[0], -1.0)
    data = (folder / "model.onnx").read_bytes()
    network, converting = timed(lambda: integer_network(data, shape, *affine))  # type: ignore[arg-type]
    needed = -(-NEEDED * len(given["labels"]) // TRIGGERS)
    statement = Statement(network, given["commitments"], given["labels"], needed, b"benchmark")
    found: dict[str, Any] = {"converting": converting}
    if what == "prove":
        openings = Openings(given["values"], given["randomness"])
        proof, found["proving"] = timed(lambda: prove(statement, openings).to_bytes())
        (folder / "proof").write_bytes(proof)
        found |= {
            "parameters": int(given["parameters"]),
            "values_per_input": network.value_count,
            "alike": int(matches(infer(network, given["values"]), given["labels"]).sum()),
            "degree_bound": statement.degree_bound,
            "committed_values": committed_values(statement),
            "proof_megabytes": round(len(proof) / 1e6, 2),
        }
    else:
        proof = (folder / "proof").read_bytes()
        _, found["checking"] = timed(lambda: check_proof(statement, proof))
    found["peak_megabytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return found


def committed_values(statement: Any) -> int:
    """Return how many field elements both matrices hold, randomness included."""
    from earmark.zero_knowledge.statement import Layout

    layout = Layout(statement)
    return (layout.first_rows + layout.second_rows) * layout.degree_bound


def in_a_process(what: str, folder: Path, environment: dict[str, str] | None = None) -> dict[str, Any]:
    """Prove or check in a process of its own."""
    command = [sys.executable, __file__, "--run", what, str(folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def measure(name: str) -> dict[str, Any]:
    """Prove and check, cold and then warm, each in a process of its own."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        prepare(name, folder)
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder / "code")}
        found: dict[str, Any] = {"load_average": round(os.getloadavg()[0], 1)}
        for state in ("cold", "warm"):
            for what in ("prove", "check"):
                found[f"{what}, {state}"] = in_a_process(what, folder, environment)
        return found


def main() -> None:
    """Measure each network; or, as a child, do one thing."""
    if sys.argv[1:2] == ["--run"]:
        sys.stdout.write(json.dumps(run(sys.argv[2], Path(sys.argv[3]))))
        return
    known = json.loads(RESULTS.read_text("utf-8"))["networks"] if RESULTS.exists() else {}
    from measuring import save

    for name in sys.argv[1:] or SMALL:
        known[name] = measure(name)
        save(RESULTS.stem, {"triggers": TRIGGERS, "needed": NEEDED, "networks": known})


if __name__ == "__main__":
    main()
