import pytest

from earmark.commitment import commit, digest, open_commitment

SALT = bytes(range(32))


def test_a_commitment_is_a_digest_over_salt_and_message():
    assert commit(b"message", SALT) == digest("earmark/commitment/v1", SALT, b"message")


def test_message_and_salt_open_it_and_nothing_else_does():
    commitment = commit(b"message", SALT)
    assert open_commitment(commitment, b"message", SALT)
    assert not open_commitment(commitment, b"massage", SALT)
    assert not open_commitment(commitment, b"message", SALT[::-1])
    assert not open_commitment(commitment[:31], b"message", SALT)
    assert not open_commitment(b"", b"message", SALT)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_salt_of_another_length_is_refused(size):
    with pytest.raises(ValueError, match="a salt has 32 bytes"):
        commit(b"message", bytes(size))
    with pytest.raises(ValueError, match="a salt has 32 bytes"):
        open_commitment(bytes(32), b"message", bytes(size))
