from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from earmark.commitment import frame
from earmark.errors import InvalidKeyError
from earmark.keys import Owner, OwnerKey
from earmark.keys.owner import check_signature
from vectors.tiny_key import TESTING_ONLY_OWNER

ROOT = bytes(range(32))


def test_a_new_owner_key_signs_and_its_public_half_checks():
    key = OwnerKey.generate("Acme")
    assert key.owner.name == "Acme"
    assert key.owner.rotation is None
    assert len(key.secret) == 32
    assert key.secret != OwnerKey.generate("Acme").secret
    check_signature(key.owner, ROOT, key.sign(ROOT))


def test_the_secret_is_not_shown():
    assert TESTING_ONLY_OWNER.secret.hex() not in repr(TESTING_ONLY_OWNER)
    assert str(TESTING_ONLY_OWNER.secret) not in repr(TESTING_ONLY_OWNER)


def test_what_is_signed_is_a_label_and_the_root():
    public = Ed25519PublicKey.from_public_bytes(TESTING_ONLY_OWNER.owner.public_key)
    public.verify(TESTING_ONLY_OWNER.sign(ROOT), frame("earmark/signature/v1", ROOT))


@pytest.mark.parametrize("signature", [b"", bytes(63), bytes(64), bytes(65)])
def test_a_signature_that_does_not_fit_is_refused(signature):
    with pytest.raises(InvalidKeyError, match="signature does not fit"):
        check_signature(TESTING_ONLY_OWNER.owner, ROOT, signature)


@pytest.mark.parametrize("public_key", [bytes([2]) + bytes(31), b"\x05" * 31, b"\x05" * 33])
def test_a_public_key_that_is_no_point_is_refused(public_key):
    owner = replace(TESTING_ONLY_OWNER.owner, public_key=public_key)
    with pytest.raises(InvalidKeyError):
        check_signature(owner, ROOT, TESTING_ONLY_OWNER.sign(ROOT))


@pytest.mark.parametrize("y", [0, 1, 2**255 - 20, 2**255 - 19, 2**255 - 18, 2**255 - 1])
@pytest.mark.parametrize("sign", [0, 1])
def test_a_weak_public_key_is_refused(y, sign):
    owner = Owner("weak", (y | sign << 255).to_bytes(32, "little"), None)
    with pytest.raises(InvalidKeyError, match="public key is weak"):
        check_signature(owner, ROOT, TESTING_ONLY_OWNER.sign(ROOT))
