"""Proofs about networks that were really marked: what the integers keep of accuracy and of the mark.

    python benchmarks/proof_of_marked.py benchmarks/studies/cifar10-small.json [--arms from-scratch-100 …]

The models are those of Table 1. For each, the ONNX file is converted, both networks answer the triggers and a part of the test
pictures, and a proof is made and checked for the triggers, under commitments made here: the keys of Table 1 have salted ones,
which cost the same to mark with. The result is written after every model; the script goes on where it was stopped.
"""

import argparse
import secrets
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from earmark.commitment.linear import RANDOM_BYTES, commit_linear
from earmark.data import ClassificationData, load_data
from earmark.models.onnx_export import export_onnx
from earmark.models.prediction import predict_scores
from earmark.models.weights import load_weights
from earmark.triggers.image import ImageGeometry
from earmark.zero_knowledge.checker import check_proof
from earmark.zero_knowledge.network import IntegerNetwork, infer, matches
from earmark.zero_knowledge.onnx_graph import integer_network
from earmark.zero_knowledge.ownership import affine
from earmark.zero_knowledge.prover import Openings, prove
from earmark.zero_knowledge.statement import Statement
from measuring import draw_alike_everywhere, save
from table1 import HERE, Arm, Study, key_of, read_study
from written import result
from zero_knowledge import timed

NAME = "proof-of-marked"
ARMS = ("from-scratch-100", "pre-trained-100")
PICTURES = 2_000


def integers_of(path: Path, arm: Arm, seed: int) -> tuple[Any, IntegerNetwork]:
    """Return a model and its network of integers."""
    loaded = load_weights(path / f"{arm.name}-seed{seed}.safetensors")
    reads = loaded.description.preprocessing
    geometry = ImageGeometry(32, 32, 3)
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "model.onnx"
        export_onnx(file, loaded.module.eval(), loaded.description)
        return loaded, integer_network(file.read_bytes(), (3, 32, 32), *affine(reads, geometry))


def one(study: Study, arm: Arm, seed: int, data: ClassificationData) -> dict[str, Any]:
    """Compare one model with its integers, and prove."""
    loaded, network = integers_of(HERE / "models" / study.name, arm, seed)
    key = key_of(study, arm, seed, data)
    triggers = [trigger.value for part in key.triggers.values() for trigger in part]
    labels = np.array(
        [label for set_id in key.verification_key.set_ids for label in key.verification_key.labels(set_id)]
    )
    part = data.test.spread(PICTURES)
    pictures, truth = part.images, np.asarray(part.labels)
    real = predict_scores(loaded.module, pictures, loaded.description.preprocessing).argmax(axis=1)
    own = infer(network, np.stack([np.asarray(image).reshape(-1) for image in pictures])).scores.argmax(
        axis=1
    )
    asked = np.stack([value.reshape(-1) for value in triggers])
    of_model = predict_scores(loaded.module, np.stack(triggers), loaded.description.preprocessing).argmax(
        axis=1
    )
    matching = int(matches(infer(network, asked), labels).sum())
    randomness = np.frombuffer(secrets.token_bytes(len(asked) * RANDOM_BYTES), np.uint8).reshape(
        len(asked), -1
    )
    commitments = np.stack(
        [commit_linear(v.tobytes(), s.tobytes()) for v, s in zip(asked, randomness, strict=True)]
    )
    statement = Statement(network, commitments, labels, min(matching, 69), b"benchmark")
    proof, proving = timed(lambda: prove(statement, Openings(asked, randomness)).to_bytes())
    _, checking = timed(lambda: check_proof(statement, proof))
    return {
        "study": study.name,
        "arm": arm.name,
        "seed": seed,
        "pictures": len(pictures),
        "alike": int((real == own).sum()),
        "accuracy_percent": {
            "original": 100 * float((real == truth).mean()),
            "integers": 100 * float((own == truth).mean()),
        },
        "triggers": len(labels),
        "matches": {"original": int((of_model == labels).sum()), "integers": matching},
        "proving": proving,
        "checking": checking,
        "proof_megabytes": round(len(proof) / 1e6, 2),
    }


def main() -> None:
    """Measure what is missing."""
    draw_alike_everywhere()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path)
    parser.add_argument("--arms", nargs="+", default=ARMS)
    arguments = parser.parse_args()
    study = read_study(arguments.study)
    data = load_data(study.data)
    try:
        rows: list[dict[str, Any]] = result(NAME)["rows"]
    except FileNotFoundError:
        rows = []
    for seed in study.seeds:
        for arm in study.arms:
            if arm.name in arguments.arms and not any(
                (row["study"], row["arm"], row["seed"]) == (study.name, arm.name, seed) for row in rows
            ):
                rows.append(one(study, arm, seed, data))
                save(NAME, {"rows": rows})


if __name__ == "__main__":
    main()
