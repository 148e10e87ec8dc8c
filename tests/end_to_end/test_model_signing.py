"""A release record inside a signature of OpenSSF model signing, by the real package.

It brings sigstore and twenty packages more, so it has an environment of its own; CONTRIBUTING.md says how.
"""

import base64
import json
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from earmark.claims.certificates import TrustedRoots
from earmark.claims.release_record import check_release
from earmark.cli.released_model import read_model
from earmark.errors import FormatError
from earmark.formats import in_toto, release_record_v1, verification_key_v1
from earmark.keys import OwnerKey
from end_to_end.commands import PASSPHRASE, earmark
from end_to_end.documentation import ROOT, blocks_of
from other_python import python_with
from small import small_key

SCRIPTS = {
    block.title: block.body for block in blocks_of(ROOT / "docs/how-to/publish-and-release.md") if block.title
}


@pytest.fixture(scope="module")
def signing_python():
    return python_with("EARMARK_TEST_MODEL_SIGNING", "model_signing")


@pytest.fixture
def folder(tmp_path):
    """A model that is a file, one that is a folder, their owner's keys, and the key of whoever signs models."""
    from earmark.formats import envelope, owner_key_v1

    owner = OwnerKey("Test owner", bytes(range(32)))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(envelope, "SCRYPT_N", 2)
        (tmp_path / "owner.key").write_bytes(owner_key_v1.write(owner, PASSPHRASE["EARMARK_PASSPHRASE"]))
    (tmp_path / "acme.vk.json").write_bytes(verification_key_v1.write(small_key().verification_key))
    (tmp_path / "model.onnx").write_bytes(b"weights")
    for name in (
        "config.json",
        "deep.txt",
        "deep/a",
        ".hidden",
        "deep/.git",
        ".cache/x",
        ".gitignore",
        ".git/c",
    ):
        path = tmp_path / "net" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    private = ec.generate_private_key(ec.SECP256R1())
    (tmp_path / "signing-key.pem").write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    (tmp_path / "signing-key.pub").write_bytes(
        private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    for title, body in SCRIPTS.items():
        (tmp_path / title).write_text(body)
    return tmp_path


def ran(*command, cwd, is_good=True):
    found = subprocess.run(
        [str(word) for word in command], cwd=cwd, capture_output=True, text=True, timeout=120, check=False
    )
    assert (found.returncode == 0) is is_good, found.stdout + found.stderr
    return found.stdout + found.stderr


def release(folder, model):
    options = ("--vk", "acme.vk.json", "-o", "released.json", "--in-toto", "intoto.json", "-q")
    earmark("release", model, *options, cwd=folder)
    return release_record_v1.read((folder / "released.json").read_bytes())


def verify(python, folder, model, *, is_good=True):
    return ran(
        python, "-m", "model_signing", "verify", "key", model, "--signature", "model.sig",
        "--public_key", "signing-key.pub",
        cwd=folder, is_good=is_good,
    )  # fmt: skip


def statement_in(path):
    return json.loads(base64.b64decode(json.loads(path.read_bytes())["dsseEnvelope"]["payload"]))


@pytest.mark.parametrize("model", ["model.onnx", "hf:net"])
def test_a_signed_statement_verifies_as_the_model_s_signature_and_carries_the_record(
    signing_python, folder, model
):
    record, path = release(folder, model), model.removeprefix("hf:")
    ran(signing_python, "sign_statement.py", "intoto.json", "signing-key.pem", "model.sig", cwd=folder)
    assert "succeeded" in verify(signing_python, folder, path)
    ran(sys.executable, "carried_record.py", "model.sig", "carried.json", cwd=folder)
    assert (folder / "carried.json").read_bytes() == (folder / "released.json").read_bytes()
    carried = release_record_v1.read((folder / "carried.json").read_bytes())
    found = check_release(carried, small_key().verification_key, TrustedRoots(), datetime.now(UTC))
    assert found.model.digest == record.release.model.digest
    changed = folder / path if path == model else folder / path / "deep" / "a"
    changed.write_bytes(b"other")
    assert "Hash mismatch" in verify(signing_python, folder, path, is_good=False)


@pytest.mark.parametrize("model", ["model.onnx", "hf:net"])
def test_the_statement_is_model_signing_s_own_but_for_the_record(signing_python, folder, model):
    release(folder, model)
    ran(
        signing_python, "-m", "model_signing", "sign", "key", model.removeprefix("hf:"),
        "--private_key", "signing-key.pem", "--signature", "model.sig",
        cwd=folder,
    )  # fmt: skip
    theirs, ours = statement_in(folder / "model.sig"), json.loads((folder / "intoto.json").read_bytes())
    assert ours["predicate"].pop(in_toto.RECORD_FIELD)
    theirs["predicate"]["serialization"]["ignore_paths"].sort()  # a set of theirs, in any order
    assert ours == theirs


def test_whoever_alters_the_record_that_is_carried_breaks_the_signature(signing_python, folder):
    release(folder, "model.onnx")
    ran(signing_python, "sign_statement.py", "intoto.json", "signing-key.pem", "model.sig", cwd=folder)
    bundle = json.loads((folder / "model.sig").read_bytes())
    payload = base64.b64decode(bundle["dsseEnvelope"]["payload"]).replace(b"Test owner", b"Best owner")
    bundle["dsseEnvelope"]["payload"] = base64.b64encode(payload).decode()
    (folder / "model.sig").write_text(json.dumps(bundle))
    verify(signing_python, folder, "model.onnx", is_good=False)


def test_a_record_can_lie_in_a_signed_folder_under_a_hidden_name(signing_python, folder):
    record = release(folder, "hf:net")
    (folder / "released.json").rename(folder / "net" / ".earmark.release.json")
    assert (
        read_model(f"hf:{folder / 'net'}", lambda done, total: None)[0].digest == record.release.model.digest
    )
    ran(
        signing_python, "-m", "model_signing", "sign", "key", "net",
        "--private_key", "signing-key.pem", "--signature", "model.sig",
        cwd=folder,
    )  # fmt: skip
    verify(signing_python, folder, "net")
    (folder / "net" / ".earmark.release.json").write_text("{}")
    assert "Hash mismatch" in verify(signing_python, folder, "net", is_good=False)


@pytest.mark.parametrize("link", ["link.onnx", "net/link", "linked"])
def test_links_are_refused_by_us_as_by_model_signing(folder, link):
    (folder / link).symlink_to({"link.onnx": "model.onnx", "net/link": "deep.txt", "linked": "net"}[link])
    name = link if link == "link.onnx" else "hf:net" if link == "net/link" else "hf:linked"
    options = ("--vk", "acme.vk.json", "-o", "released.json", "--in-toto", "intoto.json")
    found = earmark("release", name, *options, cwd=folder, code=3)
    assert "is a link, which OpenSSF model signing does not sign" in found.stderr
    assert not (folder / "released.json").exists()
    with pytest.raises(FormatError, match="is a link"):
        read_model(name.replace("hf:", f"hf:{folder}/") if ":" in name else str(folder / name),
                   lambda done, total: None, for_model_signing=True)  # fmt: skip
    read_model(
        name.replace("hf:", f"hf:{folder}/") if ":" in name else str(folder / name), lambda done, total: None
    )
