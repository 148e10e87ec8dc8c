import json
from dataclasses import replace

import pytest

from earmark.errors import EarmarkError, FormatError, InvalidKeyError, UnsupportedVersionError
from earmark.formats.verification_key_v1 import FORMAT, SIZE_LIMIT_BYTES, read, write
from vectors.tiny_key import tiny_key

KEY = tiny_key().verification_key
FILE = write(KEY)


def changed(change, file=FILE):
    value = json.loads(file)
    change(value)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def test_what_was_written_is_read_and_written_again_byte_for_byte():
    assert read(FILE) == KEY
    assert write(read(FILE)) == FILE


def test_timestamps_are_kept_in_their_order():
    stamped = replace(KEY, timestamps=(b"\xff" * 65_536, b"\x00", *[b"token"] * 14))
    assert read(write(stamped)).timestamps == stamped.timestamps


def test_the_file_states_its_format_and_ends_with_one_line_feed():
    assert json.loads(FILE)["format"] == FORMAT == "earmark/verification-key/v1"
    assert FILE.endswith(b"}\n")
    assert FILE.count(b"\n") == 1


def test_every_single_altered_bit_is_noticed_and_reported_on_one_line():
    for place in range(len(FILE)):
        for bit in range(8):
            altered = FILE[:place] + bytes([FILE[place] ^ 1 << bit]) + FILE[place + 1 :]
            with pytest.raises(EarmarkError) as caught:
                read(altered)
            message = str(caught.value)
            assert message
            assert len(message) < 500
            assert "\n" not in message


def test_every_truncation_and_any_addition_is_noticed():
    for size in range(len(FILE)):
        with pytest.raises(FormatError):
            read(FILE[:size])
    for more in (b"\n", b" ", b"\0", b"{}", b"\r\n", FILE):
        with pytest.raises(FormatError):
            read(FILE + more)


@pytest.mark.parametrize(
    "rewrite",
    [
        lambda file: json.dumps(json.loads(file)).encode() + b"\n",
        lambda file: json.dumps(json.loads(file), indent=1).encode() + b"\n",
        lambda file: file.replace(b"\n", b"\r\n"),
        lambda file: b"\xef\xbb\xbf" + file,
        lambda file: file.decode().encode("utf-16"),
        lambda file: file.replace("ü".encode(), b"\\u00fc"),
        lambda file: file.rstrip(),
    ],
)
def test_another_spelling_of_the_same_key_is_refused(rewrite):
    with pytest.raises(FormatError):
        read(rewrite(FILE))


def test_another_version_is_reported_as_such():
    with pytest.raises(UnsupportedVersionError, match="earmark/verification-key/v2"):
        read(changed(lambda value: value.update(format="earmark/verification-key/v2")))
    with pytest.raises(UnsupportedVersionError, match="earmark/transcript/v2"):
        read(changed(lambda value: value["transcript"].update(format="earmark/transcript/v2")))


@pytest.mark.parametrize(
    "change",
    [
        lambda value: value.update(format="earmark/transcript/v1"),
        lambda value: value.update(extra=None),
        lambda value: value.pop("timestamps"),
        lambda value: value.pop("signature"),
        lambda value: value.update(timestamps=None),
        lambda value: value.update(timestamps=[""]),
        lambda value: value.update(timestamps=["0"]),
        lambda value: value.update(timestamps=["000"]),
        lambda value: value.update(timestamps=["AA"]),
        lambda value: value.update(timestamps=["zz"]),
        lambda value: value.update(timestamps=[1]),
        lambda value: value.update(timestamps=["00" * 65_537]),
        lambda value: value.update(timestamps=["00"] * 17),
        lambda value: value.update(signature="00" * 63),
        lambda value: value.update(signature=value["signature"].upper()),
        lambda value: value["transcript"].update(extra=None),
        lambda value: value.update(transcript=[]),
    ],
)
def test_a_malformed_field_is_refused(change):
    with pytest.raises(FormatError):
        read(changed(change))


def test_a_signature_by_another_owner_is_refused():
    with pytest.raises(InvalidKeyError):
        read(changed(lambda value: value.update(signature="00" * 64)))


def test_a_key_that_could_not_be_read_is_not_written():
    with pytest.raises(InvalidKeyError):
        write(replace(KEY, signature=bytes(64)))
    for timestamps in ((b"",), (b"\0" * 65_537,), (b"\0",) * 17):
        with pytest.raises(ValueError, match="timestamps"):
            write(replace(KEY, timestamps=timestamps))


def test_a_huge_file_is_refused_at_once():
    with pytest.raises(FormatError, match="larger than"):
        read(b"[" * (SIZE_LIMIT_BYTES + 1) + b"\n")
