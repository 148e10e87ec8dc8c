import json
import tracemalloc

import pytest

from earmark.errors import EarmarkError, FormatError, PassphraseError, UnsupportedVersionError
from earmark.formats import envelope
from earmark.formats.envelope import read_header, seal, unseal

FORMAT = "earmark/testing/v1"
ABOUT = {"owner": "Prüfstelle", "root": "00" * 32}
PASSPHRASE = "four random words here"


def sealed(content=b"content", passphrase=PASSPHRASE, about=ABOUT):
    return seal(FORMAT, about, content, passphrase, TESTING_ONLY_scrypt_n=2)


def with_header(data, change):
    line, _, rest = data.partition(b"\n")
    header = json.loads(line)
    change(header)
    return (
        json.dumps(header, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() + b"\n" + rest
    )


@pytest.mark.parametrize("content", [b"", b"content", bytes(10_000), b"\n\n{}"])
def test_what_was_sealed_is_unsealed(content):
    header, found = unseal(sealed(content), FORMAT, PASSPHRASE)
    assert found == content
    assert (header.format, header.about) == (FORMAT, ABOUT)


def test_the_default_cost_is_128_mebibytes_for_every_guess():
    header = read_header(seal(FORMAT, {}, b"", PASSPHRASE))
    n, r, p = header.scrypt
    assert (n, r, p) == (131072, 8, 1)
    assert 128 * n * r == 128 << 20


def test_the_same_content_never_gives_the_same_file():
    files = [sealed() for _ in range(20)]
    headers = [read_header(data) for data in files]
    assert len({header.salt for header in headers}) == len({header.nonce for header in headers}) == 20


def test_neither_content_nor_passphrase_stands_in_the_file():
    data = sealed(b"a very secret content")
    assert b"a very secret content" not in data
    assert PASSPHRASE.encode() not in data


def test_an_empty_passphrase_is_refused_when_writing_and_opens_nothing():
    with pytest.raises(ValueError, match="empty passphrase"):
        sealed(passphrase="")
    with pytest.raises(PassphraseError):
        unseal(sealed(), FORMAT, "")


@pytest.mark.parametrize("wrong", ["four random words her", "Four random words here", PASSPHRASE + " ", "x"])
def test_another_passphrase_does_not_open(wrong):
    with pytest.raises(PassphraseError, match="wrong passphrase, or the file was altered"):
        unseal(sealed(), FORMAT, wrong)


def test_a_passphrase_is_its_characters_however_they_were_typed():
    composed, decomposed = "Gr\u00fcn", "Gru\u0308n"
    assert unseal(sealed(passphrase=composed), FORMAT, decomposed)[1] == b"content"


def test_a_passphrase_may_hold_bytes_that_are_not_text():
    assert unseal(sealed(passphrase="a\udcff"), FORMAT, "a\udcff")[1] == b"content"


def test_every_altered_bit_is_noticed():
    data = sealed(b"short")
    for place in range(len(data)):
        for bit in range(8):
            altered = data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]
            with pytest.raises(FormatError):
                unseal(altered, FORMAT, PASSPHRASE)


def test_every_truncation_is_noticed():
    data = sealed(b"short")
    for size in range(len(data)):
        with pytest.raises(FormatError):
            unseal(data[:size], FORMAT, PASSPHRASE)
    with pytest.raises(PassphraseError):
        unseal(data + b"\0", FORMAT, PASSPHRASE)


def test_what_a_header_says_about_the_file_cannot_be_changed():
    altered = with_header(sealed(), lambda header: header["about"].update(owner="a pirate"))
    assert read_header(altered).about["owner"] == "a pirate", (
        "readable without a passphrase, but not believed"
    )
    with pytest.raises(PassphraseError):
        unseal(altered, FORMAT, PASSPHRASE)


def test_a_ciphertext_does_not_open_under_the_header_of_another_file():
    first, second = sealed(b"first"), sealed(b"second")
    moved = first.partition(b"\n")[0] + b"\n" + second.partition(b"\n")[2]
    with pytest.raises(PassphraseError):
        unseal(moved, FORMAT, PASSPHRASE)


def test_one_kind_of_file_does_not_pass_for_another():
    with pytest.raises(FormatError, match="expected earmark/other/v1, found 'earmark/testing/v1'"):
        unseal(sealed(), "earmark/other/v1", PASSPHRASE)
    with pytest.raises(UnsupportedVersionError, match="use a newer Earmark"):
        unseal(seal("earmark/testing/v2", {}, b"", "x", TESTING_ONLY_scrypt_n=2), FORMAT, "x")


@pytest.mark.parametrize(
    "cost",
    [
        {"n": 1 << 21},
        {"n": 1 << 20},
        {"n": 1 << 17, "p": 5},
        {"n": 1 << 17, "r": 32, "p": 16},
        {"n": 3},
        {"n": 1},
        {"n": 0},
        {"n": -2},
        {"n": 1 << 52},
        {"r": 7},
        {"r": 33},
        {"p": 0},
        {"p": 17},
        {"n": "2"},
        {"n": True},
    ],
    ids=str,
)
def test_a_header_that_asks_for_too_much_work_is_refused_before_any_is_done(cost, monkeypatch):
    hostile = with_header(sealed(), lambda header: header["kdf"].update(cost))
    monkeypatch.setattr(envelope, "Scrypt", lambda *args: pytest.fail("it worked for the attacker"))
    with pytest.raises(FormatError):
        unseal(hostile, FORMAT, PASSPHRASE)


def test_a_machine_without_enough_memory_is_told_how_much_it_needs(monkeypatch):
    def derive(*args):
        raise MemoryError

    data = with_header(sealed(), lambda header: header["kdf"].update(n=1 << 17))
    monkeypatch.setattr(envelope, "Scrypt", derive)
    with pytest.raises(FormatError, match="needs 128 MiB of free memory"):
        unseal(data, FORMAT, PASSPHRASE)


@pytest.mark.parametrize(
    "change",
    [
        lambda header: header.update(extra=1),
        lambda header: header["kdf"].update(extra=1),
        lambda header: header["cipher"].update(extra=1),
        lambda header: header["kdf"].update(name="pbkdf2"),
        lambda header: header["cipher"].update(name="none"),
        lambda header: header["cipher"].update(nonce="00"),
        lambda header: header["kdf"].update(salt=""),
        lambda header: header["kdf"].update(salt="AA" * 32),
        lambda header: header.update(format=1),
        lambda header: header.update(about=[]),
        lambda header: header.update(about={"owner": 1}),
        lambda header: header.update(about={"owner": "x" * 201}),
        lambda header: header.update(about={"x" * 201: "y"}),
        lambda header: header.update(about={str(number): "y" for number in range(17)}),
        lambda header: header.pop("kdf"),
        lambda header: header.pop("about"),
    ],
)
def test_a_malformed_header_is_refused(change):
    with pytest.raises(FormatError):
        read_header(with_header(sealed(), change))


def test_a_header_line_is_short():
    tracemalloc.start()
    with pytest.raises(FormatError, match="no header line"):
        read_header(b"{" * (64 << 20))
    assert tracemalloc.get_traced_memory()[1] < 80 << 20
    tracemalloc.stop()


@pytest.mark.parametrize("about", [{"owner": ""}, {"owner": "x" * 201}, {str(n): "x" for n in range(17)}])
def test_what_a_reader_would_refuse_is_not_written(about):
    with pytest.raises(ValueError, match="about"):
        seal(FORMAT, about, b"", PASSPHRASE, TESTING_ONLY_scrypt_n=2)


def test_messages_do_not_hold_the_passphrase():
    with pytest.raises(EarmarkError) as caught:
        unseal(sealed(), FORMAT, "my wrong secret")
    assert "secret" not in str(caught.value)
