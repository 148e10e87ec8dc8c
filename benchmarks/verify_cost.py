"""What verifying 100 triggers costs beyond the bare forward passes of a local model.

Whole verification, from the opened key to the verdict: the suspect's file read (for ONNX: its process
started), signature, openings, labels, method in the journal on disk, questions, exact tail. Bare: the same inputs
through the same loaded network: in one batch in PyTorch, one at a time in ONNX Runtime, as the verification asks.

    python benchmarks/verify_cost.py [--runs 20]
"""

import argparse
import statistics
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np
import onnxruntime
import torch

from digits import CLASSES, new_key
from earmark.formats.journal_v1 import Journal
from earmark.keys import MarkingKey, OwnerKey, Task, keygen
from earmark.models.table import build, describe
from earmark.models.weights import save_weights
from earmark.suspects.opening import open_suspect
from earmark.triggers.abstract import AbstractSampler
from earmark.triggers.image import ImageGeometry
from earmark.verification import measure, verify
from measuring import save


def study(
    architecture: str, width: int, shape: tuple[int, int, int], key: MarkingKey, runs: int, kind: str
) -> dict:
    """Return the times and the target 1.2 times bare plus 0.3 s."""
    description = describe(architecture, shape, CLASSES, width)
    module = build(description).eval()
    images = np.stack([trigger.value for triggers in key.triggers.values() for trigger in triggers])
    inputs = torch.from_numpy(description.preprocessing(images))
    bare, whole = [], []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"model.{kind}"
        if kind == "onnx":
            from earmark.models.onnx_export import export_onnx

            export_onnx(path, module, description)
            session = onnxruntime.InferenceSession(path)
            name = session.get_inputs()[0].name

            # One at a time, as the verification asks an ONNX suspect, so that it cannot tell a judge from a
            # customer by the size of the batch.
            def forward() -> object:
                return [session.run(None, {name: one[None]}) for one in inputs.numpy()]
        else:
            save_weights(path, module, description)

            def forward() -> object:
                with torch.inference_mode():
                    return module(inputs)

        Journal.create(Path(folder) / "journal", key.transcript.root)
        for _ in range(runs + 1):
            start = perf_counter()
            forward()
            bare.append(perf_counter() - start)
            start = perf_counter()
            suspect = open_suspect(str(path))
            verify(measure(key, suspect, Journal(Path(folder) / "journal", key.transcript.root)))
            whole.append(perf_counter() - start)
    least = statistics.median(bare[1:])
    spent = statistics.median(whole[1:])
    target = 1.2 * least + 0.3
    return {"bare_seconds": least, "verify_seconds": spent, "target_seconds": target, "met": spent <= target}


def main() -> None:
    """Run the study."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    arguments = parser.parse_args()
    colour = keygen(
        OwnerKey("benchmark", bytes(32)),
        Task(ImageGeometry(32, 32, 3), CLASSES),
        AbstractSampler(),
        triggers_per_set=100,
    )
    rows = {}
    for kind in ("safetensors", "onnx"):
        rows[f"digits-cnn, {kind}"] = study("digits-cnn", 32, (8, 8, 1), new_key(0), arguments.runs, kind)
        rows[f"resnet18 width 16, {kind}"] = study("resnet18", 16, (32, 32, 3), colour, arguments.runs, kind)
        rows[f"resnet18 width 64, {kind}"] = study("resnet18", 64, (32, 32, 3), colour, arguments.runs, kind)
    save("verify-cost", {"runs": arguments.runs, "triggers": 100, "models": rows})


if __name__ == "__main__":
    main()
