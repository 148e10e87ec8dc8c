"""The golden signed proof: written again byte for byte, and checked once more without Earmark's own code."""

import hashlib
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from earmark.errors import FormatError, ProofError
from earmark.formats import signed_proof_v1, verification_key_v1
from vectors.generate_signed_proof import ARGUMENT, SUSPECT, signed

FOLDER = Path(__file__).parent / "v1" / "signed-proofs"
FILE, KEY_FILE = (FOLDER / "signed.proof").read_bytes(), (FOLDER / "key.vk.json").read_bytes()
KEY = verification_key_v1.read(KEY_FILE)


def framed(*parts):
    """Framing written once more, from docs/formats/hashing-v1.md."""
    return b"".join(len(part).to_bytes(8, "big") + part for part in parts)


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def test_it_is_read_and_written_again_byte_for_byte():
    found = signed_proof_v1.read(FILE)
    found.check_cover(KEY)
    found.check_suspect(SUSPECT)
    assert found == signed()
    assert signed_proof_v1.write(found) == FILE


def test_the_page_alone_is_enough_to_check_it():
    name, line, argument = FILE.split(b"\n", 2)
    value, key = json.loads(line), json.loads(KEY_FILE)
    assert (name.decode(), line) == (value["format"], canonical(value))
    root = hashlib.sha256(framed(b"earmark/transcript/v1", canonical(key["transcript"]))).hexdigest()
    assert value["proof"] == {
        "root": root,
        "sets": [[0, 0], [1, 0]],
        "suspect": SUSPECT.removeprefix("sha256:"),
        "argument": hashlib.sha256(argument).hexdigest(),
    }
    assert argument == ARGUMENT
    cover = hashlib.sha256(framed(b"earmark/signed-proof/v1", canonical(value["proof"]))).digest()
    public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key["transcript"]["owner"]["public_key"]))
    public.verify(bytes.fromhex(value["signature"]), framed(b"earmark/signature/v1", cover))


def step_of(data):
    try:
        found = signed_proof_v1.read(data)
        found.check_cover(KEY)
        found.check_suspect(SUSPECT)
    except FormatError:
        return 1
    except ProofError as error:
        return error.step
    return None


@pytest.mark.parametrize(
    ("old", "new", "step"),
    [
        (b"signed-proof/v1\n", b"signed-proof/v0\n", 1),
        (b'{"format"', b'{ "format"', 1),
        (b'"sets":[[0,0],[1,0]]', b'"sets":[[0,0],[0,1]]', 2),
        (b'"sets":[[0,0],[1,0]]', b'"sets":[[0,0]]', 2),
        (b'"sets":[[0,0],[1,0]]', b'"sets":[]', 1),
        (b'"signature":"', b'"signature":"0', 1),
        (b"TESTING ONLY", b"TESTING 0NLY", 3),
    ],
)
def test_each_layer_refuses_what_is_its_own(old, new, step):
    assert FILE.count(old) == 1
    assert step_of(FILE) is None
    assert step_of(FILE.replace(old, new)) == step
