"""What a checker derives by himself: the statement is bound to the file, to how it is read, and to the key."""

import hashlib
from dataclasses import replace
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("numba")

from earmark.commitment.linear import commit_linear  # noqa: E402 - after the skip
from earmark.errors import FormatError, InvalidKeyError, ProofError  # noqa: E402 - after the skip
from earmark.formats import linear_commitments_v1  # noqa: E402 - after the skip
from earmark.keys import OwnerKey, Task, VerificationKey, keygen  # noqa: E402 - after the skip
from earmark.models.preprocessing import Preprocessing, for_channels  # noqa: E402 - after the skip
from earmark.triggers.abstract import AbstractSampler  # noqa: E402 - after the skip
from earmark.triggers.image import ImageGeometry  # noqa: E402 - after the skip
from earmark.zero_knowledge.ownership import affine, claim_about, openings_of  # noqa: E402 - after the skip
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
    public = public or key().verification_key
    return claim_about(public, commitments, found or suspect(data), data, public.set_ids)


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


@cache
def three_sets():
    return keygen(
        OWNER,
        Task(ImageGeometry(8, 8, 1), DIGITS),
        AbstractSampler(),
        triggers_per_set=100,
        set_count=3,
        provable=True,
        random_bytes=np.random.default_rng(1).bytes,
    )


def claim_of(places):
    """About the sets in these places of the key of three."""
    own, data = three_sets(), network()
    public = own.verification_key
    commitments = linear_commitments_v1.read(linear_commitments_v1.write(own), public)
    chosen = tuple(public.set_ids[place] for place in places)
    return claim_about(public, commitments, suspect(data), data, chosen), commitments, chosen


@pytest.mark.parametrize("places", [(0,), (2,), (1, 2), (0, 2), (0, 1, 2)])
def test_the_statement_is_about_the_sets_given_and_no_others(places):
    """Commitments, labels and openings of the same triggers, in the same order."""
    found, commitments, chosen = claim_of(places)
    public, statement = three_sets().verification_key, found.statement
    rows = [row for place in places for row in range(100 * place, 100 * place + 100)]
    assert found.set_ids == chosen
    assert np.array_equal(statement.commitments, commitments[rows])
    assert statement.labels.tolist() == [label for set_id in chosen for label in public.labels(set_id)]
    openings = openings_of(three_sets(), chosen)
    for commitment, value, randomness in zip(
        statement.commitments, openings.values, openings.randomness, strict=True
    ):
        assert np.array_equal(commit_linear(value.tobytes(), randomness.tobytes()), commitment)


def test_other_sets_are_another_statement():
    digests = {claim_of(places)[0].statement.digest for places in [(0,), (1,), (0, 1), (0, 2), (0, 1, 2)]}
    assert len(digests) == 5


def test_sets_with_a_gap_pay_for_the_choice_of_runs_as_a_verdict_does():
    def paid(places):
        return {item.name: item.alternatives for item in claim_of(places)[0].penalties}

    assert "sets" not in paid((0, 1, 2))
    assert "sets" not in paid((1, 2))
    assert paid((0, 2))["sets"] == 1 * 2 * 3  # C(4, 4) ways to pick two runs of three sets, and r(r + 1)
    gap, run = claim_of((0, 2))[0], claim_of((0, 1))[0]
    assert gap.statement.input_count == run.statement.input_count
    assert gap.claim_bits < 40 + 8
    assert gap.tail <= run.tail


def test_a_claim_says_what_a_cheat_for_each_hash_is_worth():
    """At least 126 bits, so that 2^80 hashes leave less than the 2^-40 of a verdict."""
    assert 126 <= claim().soundness_bits < 200


def test_too_few_triggers_are_refused():
    small = keygen(
        OWNER,
        Task(ImageGeometry(8, 8, 1), DIGITS),
        AbstractSampler(),
        triggers_per_set=44,
        set_count=3,
        provable=True,
        random_bytes=np.random.default_rng(2).bytes,
        survival=1.0,
    )
    public, data = small.verification_key, network()
    leaves = linear_commitments_v1.read(linear_commitments_v1.write(small), public)
    with pytest.raises(ProofError, match="step 0: the 44 triggers .* too few"):
        claim_about(public, leaves, suspect(data), data, public.set_ids[:1])
