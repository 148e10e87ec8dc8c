"""Ownership proofs by the commands: a provable key, a marked model, a proof, and those who would like another."""

import hashlib
import json
import shutil
from dataclasses import replace

import pytest

pytest.importorskip("numba")
pytest.importorskip("onnxruntime")

from earmark.formats import owner_key_v1, signed_proof_v1
from earmark.keys import SetId
from earmark.zero_knowledge.signed_proof import SignedProof
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
    assert "the owner signed it; it is about every set of the key: 0:0" in text
    assert "not yet reviewed" in text
    assert "2^80 hash evaluations" in text
    found = json.loads(earmark(*ASKED, "--data", "digits", "--json", cwd=tmp_path).stdout)
    assert (found["verdict"], found["at_least"], found["triggers"]) == ("owned", 69, 100)
    assert found["claim_bits"] >= 40
    assert found["proof_soundness_bits_per_hash_query"] >= 126
    assert found["sets"] == [[0, 0]]
    assert found["agreement"]["alike"] >= 0.97 * found["agreement"]["pictures"]
    assert found["reviewed"] is False


def test_what_the_owner_is_told(proven):
    found = json.loads((proven / "made.json").read_text())
    assert (found["proofs_so_far"], found["budget"]) == (1, 32)
    assert found["bytes"] == (proven / "ownership.proof").stat().st_size < 5_000_000


def test_verifying_works_with_a_provable_key_as_with_others(folder):
    assert earmark("verify", "--key", "acme.key", "marked.onnx", cwd=folder).stdout.startswith("owned")
    assert "sis" in earmark("inspect", "acme.vk.json", cwd=folder).stdout


@pytest.mark.parametrize(("place", "step"), [(10, None), (-1, 3), (-1_000_000, 3), (1000, 3)])
def test_an_altered_byte_is_refused(folder, place, step):
    data = bytearray((folder / "ownership.proof").read_bytes())
    data[place] ^= 1
    (folder / "ownership.proof").write_bytes(data)
    result = earmark(*ASKED, cwd=folder, code=3 if step is None else 1)
    assert step is None or f"step {step}: " in one_line_error(result)


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + b"\0"], ids=range(2))
def test_another_length_is_refused(folder, change):
    path = folder / "ownership.proof"
    path.write_bytes(change(path.read_bytes()))
    assert "step 3: " in one_line_error(earmark(*ASKED, cwd=folder, code=1))
    path.write_bytes(path.read_bytes()[:40])
    assert "cut" in one_line_error(earmark(*ASKED, cwd=folder, code=3))


def signed_again(folder, change, **fields):
    """The same file with another argument or cover, under the signature of the real owner."""
    path = folder / "ownership.proof"
    owner = owner_key_v1.read((folder / "acme.owner.key").read_bytes(), "correct horse")
    found = signed_proof_v1.read(path.read_bytes())
    argument = change(found.argument)
    cover = replace(found.cover, argument=hashlib.sha256(argument).digest(), **fields)
    path.write_bytes(signed_proof_v1.write(SignedProof(cover, owner.sign(cover.digest), argument)))


@pytest.mark.parametrize("place", [30, 100, 1000, 100_000, 1_000_000, -1])
def test_an_owner_who_signs_an_altered_argument_convinces_nobody(folder, place):
    def change(argument):
        data = bytearray(argument)
        data[place] ^= 1
        return bytes(data)

    signed_again(folder, change)
    assert "step 7: " in one_line_error(earmark(*ASKED, cwd=folder, code=1))


def test_an_owner_who_signs_a_cut_argument_or_none_convinces_nobody(folder):
    for change in (lambda argument: argument[:-1], lambda argument: b""):
        signed_again(folder, change)
        assert "step 7: there is no argument in it" in one_line_error(earmark(*ASKED, cwd=folder, code=1))


def test_an_owner_who_names_other_sets_convinces_nobody(folder):
    signed_again(folder, lambda argument: argument, set_ids=(SetId(0, 1),))
    assert "step 5: " in one_line_error(earmark(*ASKED, cwd=folder, code=1))


def test_a_bare_argument_is_refused(folder):
    """It shows that somebody knows the openings, perhaps a thief of the key."""
    path = folder / "ownership.proof"
    path.write_bytes(signed_proof_v1.read(path.read_bytes()).argument)
    assert "without its owner's signature" in one_line_error(earmark(*ASKED, cwd=folder, code=3))


def test_a_thief_of_the_key_makes_no_proof(folder):
    """He has the key and its passphrase, and signs as somebody of the same name."""
    (folder / "acme.owner.key").unlink()
    name = json.loads((folder / "acme.vk.json").read_bytes())["transcript"]["owner"]["name"]
    earmark("owner", "new", "--name", name, "-o", "thief.key", cwd=folder)
    before = (folder / "acme.journal").read_bytes()
    result = earmark(*PROVE[:-1], "2.proof", "--owner-key", "thief.key", cwd=folder, code=3)
    assert "--owner-key" in one_line_error(result)
    assert (folder / "acme.journal").read_bytes() == before
    earmark(*PROVE[:-1], "2.proof", cwd=folder, code=3)


def test_another_model_is_refused(folder):
    result = earmark(*CHECK, "--suspect", "clean.onnx", cwd=folder, code=1)
    assert "step 6: " in one_line_error(result)


def test_a_proof_signed_for_another_model_is_none_about_it(folder):
    """The signature names the model; so does the statement."""
    other = hashlib.sha256((folder / "clean.onnx").read_bytes()).digest()
    signed_again(folder, lambda argument: argument, suspect=other)
    result = earmark(*CHECK, "--suspect", "clean.onnx", cwd=folder, code=1)
    assert "step 7: the argument's step 1: " in one_line_error(result)


def test_the_proof_of_another_key_is_refused(folder):
    """Replayed under the public files of somebody else, and of the same owner."""
    keygen = ("keygen", "--data", "digits", "--triggers", "100", "--provable")
    earmark(*keygen, "-o", "thief", cwd=folder)
    earmark(*keygen, "--owner", "acme.owner.key", "-o", "other", cwd=folder)
    for name, step in (("thief", 2), ("other", 4)):
        replayed = ("check", "ownership.proof", "--vk", f"{name}.vk.json", "--suspect", "marked.onnx")
        assert f"step {step}: " in one_line_error(earmark(*replayed, cwd=folder, code=1))
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


def test_a_budget_ends_proofs_and_outlives_what_went_wrong(folder, monkeypatch):
    """One proof was made. A second try fails in the middle, and still is one: its maker may have learned it."""

    def fails(*_, **__):
        raise KeyboardInterrupt

    other = ("prove", "--key", "acme.key", "clean.onnx", "-o", "2.proof")
    refused = earmark(*other, "--budget", "1", cwd=folder, code=3)
    assert "--budget 2 allows one more" in one_line_error(refused)
    with monkeypatch.context() as patched:
        patched.setattr("earmark.zero_knowledge.prover.prove", fails)
        earmark(*other, "--budget", "2", cwd=folder, code=130)
    (folder / "third.onnx").write_bytes((folder / "clean.onnx").read_bytes() + b"\x72\x00")
    third = ("prove", "--key", "acme.key", "third.onnx", "-o", "3.proof")
    before = (folder / "acme.journal").read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr("earmark.zero_knowledge.prover.prove", fails)
        assert "budget is 2" in one_line_error(earmark(*third, "--budget", "2", cwd=folder, code=3))
    assert (folder / "acme.journal").read_bytes() == before
    # The same statement has the same answer, which is known: it costs nothing of the budget.
    assert "step 0" in one_line_error(earmark(*other, "--budget", "1", cwd=folder, code=1))
    assert (folder / "acme.journal").read_bytes() == before


def test_when_all_sets_were_opened_a_proof_is_refused_unless_that_is_wanted(folder):
    earmark("claim", "--key", "acme.key", "marked.onnx", "-o", "claim.zip", cwd=folder)
    again = ("prove", "--key", "acme.key", "marked.onnx", "-o", "2.proof")
    result = earmark(*again, cwd=folder, code=3)
    assert "every set of this key (0:0) was opened" in one_line_error(result)
    assert "--despite-opened" in one_line_error(result)
    made = json.loads(earmark(*again, "--despite-opened", "--json", cwd=folder).stdout)
    assert (made["sets"], made["proofs_so_far"]) == ([[0, 0]], 1)
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


def test_a_proof_leaves_out_what_was_opened_or_shown(tmp_path):
    """A key of four sets: one is opened by a claim, one is shown by hand; the others are proven about."""
    earmark(
        "keygen",
        "--data",
        "digits",
        "--triggers",
        "100",
        "--sets",
        "4",
        "--provable",
        "-o",
        "acme",
        cwd=tmp_path,
    )
    earmark("mark", "--key", "acme.key", *SMALL, "-o", "marked.onnx", cwd=tmp_path)
    earmark("claim", "--key", "acme.key", "marked.onnx", "-o", "claim.zip", cwd=tmp_path)
    earmark("ask", "--key", "acme.key", "--to", "a judge", "-o", "questions", cwd=tmp_path)
    made = earmark(*PROVE, cwd=tmp_path)
    said = "it is about set 0:2 to 0:3; left out, as opened or shown to somebody: 0:0 to 0:1"
    assert said in made.stderr
    assert said in earmark(*ASKED, cwd=tmp_path).stdout
    found = json.loads(earmark(*ASKED, "--json", cwd=tmp_path).stdout)
    assert (found["sets"], found["sets_of_the_key"], found["triggers"]) == ([[0, 2], [0, 3]], 4, 200)
    assert found["claim_bits"] >= 40
    signed_again(tmp_path, lambda argument: argument, set_ids=(SetId(0, 1), SetId(0, 3)))
    assert "step 7: the argument's step 1: " in one_line_error(earmark(*ASKED, cwd=tmp_path, code=1))
