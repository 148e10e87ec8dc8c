"""What a checker derives by himself: the statement is bound to the file, to how it is read, and to the key."""

import hashlib
from dataclasses import replace
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("numba")

from earmark.errors import FormatError, InvalidKeyError  # noqa: E402 - after the skip
from earmark.formats import linear_commitments_v1  # noqa: E402 - after the skip
from earmark.keys import OwnerKey, Task, VerificationKey, keygen  # noqa: E402 - after the skip
from earmark.models.preprocessing import Preprocessing, for_channels  # noqa: E402 - after the skip
from earmark.triggers.abstract import AbstractSampler  # noqa: E402 - after the skip
from earmark.triggers.image import ImageGeometry  # noqa: E402 - after the skip
from earmark.zero_knowledge.ownership import affine, claim_about  # noqa: E402 - after the skip
from small import DIGITS  # noqa: E402 - after the skip

OWNER = OwnerKey("Test owner", bytes(range(32)))


@cache
def key():
    draws = np.random.default_rng(0)
    task = Task(ImageGeometry(8, 8, 1), DIGITS)
    return keygen(
        OWNER, task, AbstractSampler(), triggers_per_set=100, provable=True, random_bytes=draws.bytes
    )


@cache
def network(seed=0):
    """One dense layer from 8x8 pixels to ten scores."""
    weights = np.random.default_rng(seed).normal(size=(64, 10)).astype(np.float32)
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [
            onnx.helper.make_node("Flatten", ["input"], ["flat"]),
            onnx.helper.make_node("Gemm", ["flat", "weights", "bias"], ["scores"]),
        ],
        "dense",
        [value("input", onnx.TensorProto.FLOAT, ["batch", 1, 8, 8])],
        [value("scores", onnx.TensorProto.FLOAT, ["batch", 10])],
        [
            onnx.numpy_helper.from_array(weights, "weights"),
            onnx.numpy_helper.from_array(np.zeros(10, np.float32), "bias"),
        ],
    )
    return onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8
    ).SerializeToString()


def suspect(data, **changes):
    found = {
        "name": "a file",
        "identity": f"sha256:{hashlib.sha256(data).hexdigest()}",
        "reads": for_channels(1),
        "preprocessing": "as the file says",
        "class_names": DIGITS,
        "class_count": 10,
    }
    return SimpleNamespace(**{**found, **changes})


def claim(found=None, data=None, public=None):
    data = data or network()
    commitments = linear_commitments_v1.read(linear_commitments_v1.write(key()), key().verification_key)
    return claim_about(public or key().verification_key, commitments, found or suspect(data), data)


def test_the_statement_is_about_this_file_as_it_is_read_and_no_other():
    own = claim().statement.digest
    assert claim().statement.digest == own
    # The same integers may come of another file; what is proven about one is not proven about the other.
    same_network = onnx.load_from_string(network())
    same_network.doc_string = "a copy"
    copy = same_network.SerializeToString()
    assert claim(data=copy, found=suspect(copy)).statement.digest != own
    assert claim(suspect(network(), reads=replace(for_channels(1), divisor="254"))).statement.digest != own
    renamed = (*DIGITS[1:], DIGITS[0])
    assert claim(suspect(network(), class_names=renamed)).statement.digest != own


def test_how_it_is_read_is_bound_though_the_network_comes_out_the_same():
    """An interpolation that is never used changes no integer, and still is another suspect."""
    other = replace(for_channels(1), interpolation="nearest")
    if other == for_channels(1):
        other = replace(for_channels(1), interpolation="bilinear")
    one, two = claim(), claim(suspect(network(), reads=other))
    assert np.array_equal(one.statement.network.scores.bias, two.statement.network.scores.bias)
    assert one.statement.digest != two.statement.digest


def test_a_file_that_changed_while_it_was_read_is_refused():
    with pytest.raises(FormatError, match="changed while it was read"):
        claim(suspect(network(1)))


def test_nothing_is_proven_about_chosen_labels():
    transcript = key().transcript
    chosen = replace(transcript, labels={"rule": "chosen", "roots": ["00" * 32]})
    public = VerificationKey(chosen, OWNER.sign(chosen.root))
    with pytest.raises(InvalidKeyError, match="chose its labels"):
        claim(public=public)


@pytest.mark.parametrize(
    ("reads", "message"),
    [
        (Preprocessing(mean=("0",) * 3, std=("1",) * 3, channels=3, channel_order="BGR"), "another order"),
        (Preprocessing(mean=("0",) * 3, std=("1",) * 3, channels=3, layout="NHWC"), "another order"),
        (Preprocessing(mean=("0",) * 3, std=("1",) * 3, channels=3, size=(16, 16)), "resizes"),
        (Preprocessing(mean=("0",), std=("1",), channels=1), "converts"),
    ],
)
def test_inputs_that_are_changed_before_the_network_reads_them_are_refused(reads, message):
    with pytest.raises(FormatError, match=message):
        affine(reads, ImageGeometry(8, 8, 3))


def test_inputs_as_they_are_committed_are_taken():
    scale, shift = affine(Preprocessing(mean=("0.5",), std=("0.25",), channels=1), ImageGeometry(8, 8, 1))
    assert scale.tolist() == [4 / 255]
    assert shift.tolist() == [-2.0]
