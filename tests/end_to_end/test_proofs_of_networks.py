"""Proofs about networks of the kinds that are promised, as PyTorch exports them: made, checked, and refused."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

pytest.importorskip("onnx")
pytest.importorskip("numba")

from earmark.commitment.linear import RANDOM_BYTES, commit_linear
from earmark.errors import ProofError
from earmark.models.description import ModelDescription
from earmark.models.onnx_export import export_onnx
from earmark.models.preprocessing import for_channels
from earmark.models.resnet import ResNet18
from earmark.triggers.image import ImageGeometry
from earmark.zero_knowledge.checker import check_proof
from earmark.zero_knowledge.network import infer
from earmark.zero_knowledge.onnx_graph import integer_network
from earmark.zero_knowledge.ownership import affine
from earmark.zero_knowledge.prover import Openings, prove
from earmark.zero_knowledge.statement import Statement
from small import DIGITS

pytestmark = pytest.mark.slow

TRIGGERS, NEEDED = 6, 4


def lenet():
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip


def cnn_137k():
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU(),
        nn.Flatten(), nn.Linear(2048, 64), nn.ReLU(), nn.Linear(64, 10),
    )  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")  # PyTorch's own exporter to ONNX
@pytest.mark.parametrize(
    ("make", "shape"),
    [(lenet, (28, 28, 1)), (cnn_137k, (32, 32, 3)), (lambda: ResNet18(10, width=4), (32, 32, 3))],
    ids=["LeNet", "137k parameters", "a narrow ResNet"],
)
def test_a_proof_about_an_exported_network_is_accepted_and_one_of_too_few_matches_cannot_be(
    make, shape, tmp_path
):
    torch.manual_seed(0)
    reads = for_channels(shape[2])
    path = tmp_path / "model.onnx"
    export_onnx(path, make().eval(), ModelDescription("exported", {}, shape, DIGITS, reads))
    by_channel = affine(reads, ImageGeometry(*shape))
    network = integer_network(path.read_bytes(), (shape[2], *shape[:2]), *by_channel)
    draw = np.random.default_rng(0)
    values = draw.integers(0, 256, (TRIGGERS, int(np.prod(shape))), np.uint8)
    randomness = draw.integers(0, 256, (TRIGGERS, RANDOM_BYTES), np.uint8)
    commitments = [commit_linear(v.tobytes(), s.tobytes()) for v, s in zip(values, randomness, strict=True)]
    labels = infer(network, values).scores.argmax(axis=1)
    labels[NEEDED:] = (labels[NEEDED:] + 1) % 10  # these do not match
    statement = Statement(network, np.stack(commitments), labels, NEEDED, b"test")
    proof = prove(statement, Openings(values, randomness), random_bytes=draw.bytes).to_bytes()
    check_proof(statement, proof)
    with pytest.raises(ProofError):
        check_proof(replace(statement, needed=NEEDED + 1), proof)
    with pytest.raises(ProofError):
        prove(replace(statement, needed=NEEDED + 1), Openings(values, randomness), random_bytes=draw.bytes)
