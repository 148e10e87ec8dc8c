"""One proof of one inference by EZKL, the best-known package for proofs of ONNX networks: a yardstick for measuring only.

    python benchmarks/zero_knowledge_yardstick.py [network]      (cnn-137k unless named)

Needs ``pip install ezkl==23.0.5`` where this script runs (it carries no licence, so nothing of Earmark uses it). The
picture is private and not even committed to, weights are fixed, answers public: less than an ownership proof states, and
for one picture of the hundred. Scale 7 bits, four inner columns, 2^18 rows; the reference string is made here, so its
maker could forge: in use it would come from a ceremony. Each step is measured in one process; the peak is its peak so far.
"""

import inspect
import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from measuring import save
from zero_knowledge import networks

SCALE, COLUMNS, LOGROWS = 7, 4, 18


def export(name: str, folder: Path) -> int:
    """Write a network's ONNX file and one random picture; return the count of parameters."""
    import torch

    torch.manual_seed(0)
    module, shape = networks()[name]
    module.eval()
    torch.onnx.export(
        module, (torch.zeros(1, *shape),), folder / "model.onnx", dynamo=False, opset_version=14
    )
    picture = np.random.default_rng(0).integers(0, 256, int(np.prod(shape))) / 127.5 - 1
    (folder / "input.json").write_text(json.dumps({"input_data": [picture.tolist()]}), "utf-8")
    return sum(item.numel() for item in module.parameters())


def measured(work: Any, *parts: Any, **named: Any) -> tuple[Any, dict[str, float]]:
    """Return what a step returns, with its seconds and the memory that the process has had at most."""
    wall, cpu = time.perf_counter(), time.process_time()
    value = work(*parts, **named)
    if inspect.isawaitable(value):
        raise TypeError("this version of ezkl has steps that wait: use 23.0.5")
    return value, {
        "seconds": round(time.perf_counter() - wall, 1),
        "core_seconds": round(time.process_time() - cpu, 1),
        "peak_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def main() -> None:
    """Measure every step of one proof."""
    import ezkl

    name = sys.argv[1] if len(sys.argv) > 1 else "cnn-137k"
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        parameters = export(name, folder)
        here = {
            key: str(folder / key)
            for key in ("model.onnx", "input.json", "settings", "circuit", "srs", "vk", "pk")
        }
        here |= {key: str(folder / key) for key in ("witness", "proof")}
        options = ezkl.PyRunArgs()
        options.input_visibility, options.param_visibility, options.output_visibility = (
            "private",
            "fixed",
            "public",
        )
        options.input_scale = options.param_scale = SCALE
        options.num_inner_cols, options.logrows = COLUMNS, LOGROWS
        ezkl.gen_settings(here["model.onnx"], here["settings"], py_run_args=options)
        ezkl.compile_circuit(here["model.onnx"], here["circuit"], here["settings"])
        steps: dict[str, Any] = {}

        def step(label: str, work: Any, *parts: Any, **named: Any) -> Any:
            value, steps[label] = measured(work, *parts, **named)
            print(label, steps[label], flush=True)
            return value

        step("reference string", ezkl.gen_srs, here["srs"], LOGROWS)
        step("set up", ezkl.setup, here["circuit"], here["vk"], here["pk"], srs_path=here["srs"])
        step("witness", ezkl.gen_witness, here["input.json"], here["circuit"], here["witness"])
        step(
            "prove",
            ezkl.prove,
            here["witness"],
            here["circuit"],
            here["pk"],
            here["proof"],
            srs_path=here["srs"],
        )
        accepted = step(
            "check", ezkl.verify, here["proof"], here["settings"], here["vk"], srs_path=here["srs"]
        )
        found = {
            "package": "ezkl 23.0.5",
            "network": name,
            "parameters": parameters,
            "settings": {"scale": SCALE, "inner_columns": COLUMNS, "logrows": LOGROWS},
            "load_average": round(os.getloadavg()[0], 1),
            "accepted": bool(accepted),
            "steps": steps,
            "proof_bytes": Path(here["proof"]).stat().st_size,
            "proving_key_megabytes": Path(here["pk"]).stat().st_size // 10**6,
        }
    save("zero-knowledge-yardstick", found)


if __name__ == "__main__":
    main()
