"""Ownership proofs by the commands: a provable key, a marked model, a proof, and those who would like another."""

import json
import shutil

import pytest

pytest.importorskip("numba")
pytest.importorskip("onnxruntime")

from end_to_end.commands import earmark, one_line_error

SMALL = ("--model", "digits-cnn", "--data", "digits", "--epochs", "8")
PROVE = ("prove", "--key", "acme.key", "marked.onnx", "-o", "ownership.proof")
CHECK = ("check", "ownership.proof", "--vk", "acme.vk.json")
ASKED = (*CHECK, "--suspect", "marked.onnx")


@pytest.fixture(scope="module")
def proven(tmp_path_factory):
    """A key with linear commitments, a model with its mark, another without, and a proof."""
    folder = tmp_path_factory.mktemp("proven")
    earmark("keygen", "--data", "digits", "--triggers", "100", "--provable", "-o", "acme", cwd=folder)
    earmark("mark", "--key", "acme.key", *SMALL, "-o", "marked.onnx", cwd=folder)
    earmark("train", *SMALL, "--seed", "5", "-o", "clean.onnx", cwd=folder)
    made = earmark(*PROVE, "--json", cwd=folder)
    (folder / "made.json").write_text(made.stdout)
    return folder


@pytest.fixture
def folder(proven, tmp_path):
    return shutil.copytree(proven, tmp_path / "folder")


def test_a_stranger_checks_it(proven, tmp_path):
    """He has the two public files, the proof and the model, and learns no trigger."""
    for name in ("acme.vk.json", "acme.commitments", "ownership.proof", "marked.onnx"):
        shutil.copy(proven / name, tmp_path)
    text = earmark(*ASKED, "--data", "digits", cwd=tmp_path).stdout
    assert "proves at least 69 of 100 triggers" in text
    assert "not yet reviewed" in text
    found = json.loads(earmark(*ASKED, "--data", "digits", "--json", cwd=tmp_path).stdout)
    assert (found["verdict"], found["at_least"], found["triggers"]) == ("owned", 69, 100)
    assert found["claim_bits"] >= 40
    assert found["agreement"]["alike"] >= 0.97 * found["agreement"]["pictures"]
    assert found["reviewed"] is False


def test_what_the_owner_is_told(proven):
    found = json.loads((proven / "made.json").read_text())
    assert found["proofs_so_far"] == 1
    assert found["bytes"] == (proven / "ownership.proof").stat().st_size < 5_000_000


def test_verifying_works_with_a_provable_key_as_with_others(folder):
    assert earmark("verify", "--key", "acme.key", "marked.onnx", cwd=folder).stdout.startswith("owned")
    assert "sis" in earmark("inspect", "acme.vk.json", cwd=folder).stdout


@pytest.mark.parametrize("place", [10, 40, 70, 100, 1000, 100_000, 1_000_000, -1])
def test_an_altered_byte_is_refused(folder, place):
    data = bytearray((folder / "ownership.proof").read_bytes())
    data[place] ^= 1
    (folder / "ownership.proof").write_bytes(data)
    result = earmark(*ASKED, cwd=folder, code=3 if place == 10 else 1)
    assert "step" in one_line_error(result) or place == 10


@pytest.mark.parametrize(
    "change", [lambda data: data[:-1], lambda data: data + b"\0", lambda data: data[:40]], ids=range(3)
)
def test_another_length_is_refused(folder, change):
    path = folder / "ownership.proof"
    path.write_bytes(change(path.read_bytes()))
    assert "bytes" in one_line_error(earmark(*ASKED, cwd=folder, code=3))


def test_another_model_is_refused(folder):
    result = earmark(*CHECK, "--suspect", "clean.onnx", cwd=folder, code=1)
    assert "step 1: " in one_line_error(result)


def test_the_proof_of_another_key_is_refused(folder):
    """Replayed under the public files of somebody else."""
    earmark("keygen", "--data", "digits", "--triggers", "100", "--provable", "-o", "thief", cwd=folder)
    result = earmark(
        "check", "ownership.proof", "--vk", "thief.vk.json", "--suspect", "marked.onnx", cwd=folder, code=1
    )
    assert "step 1: " in one_line_error(result)
    mixed = earmark(*ASKED, "--commitments", "thief.commitments", cwd=folder, code=3)
    assert "not the commitments that the transcript names" in one_line_error(mixed)


def test_a_model_without_the_mark_has_no_proof_and_that_is_journalled(folder):
    before = (folder / "acme.journal").read_bytes()
    result = earmark("prove", "--key", "acme.key", "clean.onnx", "-o", "2.proof", cwd=folder, code=1)
    assert "step 0: fewer than 69 triggers" in one_line_error(result)
    assert not (folder / "2.proof").exists()
    after = (folder / "acme.journal").read_bytes()
    assert after.startswith(before)
    assert b"ownership-proof" in after[len(before) :], "a refusal tells its maker something too"


def test_a_key_without_linear_commitments(story, tmp_path, proven):
    for name in ("acme.key", "acme.vk.json", "acme.journal"):
        shutil.copy(story / name, tmp_path)
    shutil.copy(proven / "marked.onnx", tmp_path)
    assert "keygen --provable" in one_line_error(earmark(*PROVE, cwd=tmp_path, code=3))


def test_what_cannot_be_proven_about(folder):
    (folder / "marked.safetensors").write_bytes(b"")
    result = earmark("prove", "--key", "acme.key", "marked.safetensors", "-o", "2.proof", cwd=folder, code=3)
    assert "export the model" in one_line_error(result)
    (folder / "marked.onnx").write_bytes((folder / "marked.onnx").read_bytes()[:1000])
    earmark(*ASKED, cwd=folder, code=3)


def test_options_that_go_together(folder):
    assert "--suspect" in one_line_error(earmark(*CHECK, cwd=folder, code=2))
    (folder / "claim.zip").write_bytes(b"PK")
    wrong = earmark("check", "claim.zip", "--vk", "acme.vk.json", "--data", "digits", cwd=folder, code=2)
    assert "are for proofs" in one_line_error(wrong)


def test_an_opened_set_is_named_before_a_proof(folder):
    earmark("claim", "--key", "acme.key", "marked.onnx", "-o", "claim.zip", cwd=folder)
    result = earmark("prove", "--key", "acme.key", "marked.onnx", "-o", "2.proof", cwd=folder, code=3)
    assert "--despite-opened" in one_line_error(result)
    earmark(
        "check",
        "claim.zip",
        "--vk",
        "acme.vk.json",
        "--suspect",
        "marked.onnx",
        "--older-by",
        "J",
        cwd=folder,
    )
