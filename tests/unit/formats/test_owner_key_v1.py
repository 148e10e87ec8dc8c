import pytest

from earmark.commitment.canonical import canonical_json
from earmark.errors import FormatError, PassphraseError, UnsupportedVersionError
from earmark.formats import envelope
from earmark.formats.owner_key_v1 import FORMAT, SIZE_LIMIT_BYTES, read, write
from earmark.keys import OwnerKey

OWNER = OwnerKey("Prüfstelle №1", bytes(range(32)))
ABOUT = {"owner": OWNER.name, "public_key": OWNER.owner.public_key.hex()}
SECRET = OWNER.secret.hex()


def sealed(content, about=ABOUT, file_format=FORMAT):
    return envelope.seal(file_format, about, content, "pass", TESTING_ONLY_scrypt_n=2)


def test_what_was_written_is_read():
    data = write(OWNER, "pass", TESTING_ONLY_scrypt_n=2)
    assert read(data, "pass") == OWNER
    assert len(data) < SIZE_LIMIT_BYTES


def test_the_largest_owner_key_fits_the_limit():
    owner = OwnerKey("\U0001f511" * 200, bytes(32))
    data = write(owner, "pass", TESTING_ONLY_scrypt_n=2)
    assert read(data, "pass") == owner
    assert len(data) < SIZE_LIMIT_BYTES


def test_name_and_public_key_are_shown_and_the_secret_is_not():
    data = write(OWNER, "pass", TESTING_ONLY_scrypt_n=2)
    assert envelope.read_header(data).about == ABOUT
    assert SECRET.encode() not in data
    assert OWNER.secret not in data


def test_a_wrong_passphrase_does_not_open():
    with pytest.raises(PassphraseError):
        read(write(OWNER, "pass", TESTING_ONLY_scrypt_n=2), "other")


def test_an_owner_without_a_usable_name_is_not_written():
    for name in ("", "x" * 201):
        with pytest.raises(ValueError, match="owner"):
            write(OwnerKey(name, bytes(32)), "pass", TESTING_ONLY_scrypt_n=2)


@pytest.mark.parametrize(
    "about", [{}, {**ABOUT, "owner": "another"}, {**ABOUT, "public_key": "00" * 32}, {**ABOUT, "more": "x"}]
)
def test_a_file_that_shows_another_owner_than_it_holds_is_refused(about):
    content = canonical_json({"name": OWNER.name, "secret": SECRET})
    with pytest.raises(FormatError, match="shows another name or public key"):
        read(sealed(content, about), "pass")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        canonical_json({"name": OWNER.name}),
        canonical_json({"name": OWNER.name, "secret": SECRET[2:]}),
        canonical_json({"name": "", "secret": SECRET}),
        canonical_json({"name": OWNER.name, "secret": SECRET, "more": 1}),
    ],
)
def test_a_malformed_content_is_refused(content):
    with pytest.raises(FormatError):
        read(sealed(content), "pass")


def test_another_version_is_reported_as_such():
    with pytest.raises(UnsupportedVersionError):
        read(sealed(b"", file_format="earmark/owner-key/v2"), "pass")
