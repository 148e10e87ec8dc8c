"""ownership.proof: a proof under a cover that its owner signed (docs/formats/signed-proof-v1.md)."""

from earmark.commitment.canonical import Json, canonical_json, parse_canonical_json
from earmark.commitment.reading import Fields, read_version
from earmark.errors import FormatError
from earmark.zero_knowledge.signed_proof import SIGNED_PROOF_FORMAT, Cover, SignedProof

FORMAT = SIGNED_PROOF_FORMAT
MAGIC = FORMAT.encode() + b"\n"
SIZE_LIMIT_BYTES = 256 << 20
# 16,384 sets of at most 18 bytes, and the rest.
COVER_LIMIT_BYTES = 1 << 19
_NAME_LIMIT_BYTES = 100
_BARE_KIND = b"earmark/ownership-proof/"


def write(signed: SignedProof) -> bytes:
    """Return the one file of a signed proof.

    Args:
        signed: As from ``sign_proof``.

    Returns:
        A line that names the format, a line of canonical JSON, the argument.

    Raises:
        FormatError: A field of the cover is out of range.
        ValueError: The file would be too large.
    """
    Cover.from_json(signed.cover.to_json())
    value: Json = {
        "format": FORMAT,
        "proof": signed.cover.to_json(),
        "signature": signed.signature.hex(),
    }
    data = MAGIC + canonical_json(value) + b"\n" + signed.argument
    if len(data) > SIZE_LIMIT_BYTES:
        raise ValueError(f"the proof would be larger than {SIZE_LIMIT_BYTES} bytes")
    return data


def read(data: bytes) -> SignedProof:
    """Read a signed proof: step 1.

    Args:
        data: The file's bytes, hostile.

    Returns:
        What it holds. Nothing is checked but its form: see ``SignedProof.check_cover``.

    Raises:
        FormatError: The bytes are not the one file of a signed proof.
        UnsupportedVersionError: It is another version.
    """
    if len(data) > SIZE_LIMIT_BYTES:
        raise FormatError(f"the proof is larger than {SIZE_LIMIT_BYTES} bytes")
    if data.startswith(_BARE_KIND):
        raise FormatError(
            "this is an argument without its owner's signature: whoever came to know the triggers could have "
            "made it; ask the owner for the file that 'earmark prove' wrote"
        )
    _check_first_line(data[:_NAME_LIMIT_BYTES].partition(b"\n"))
    end = data.find(b"\n", len(MAGIC), len(MAGIC) + COVER_LIMIT_BYTES + 1)
    if end < 0:
        raise FormatError("the proof's second line does not end; the file was cut, or is none")
    value = parse_canonical_json(data[len(MAGIC) : end], "the proof's second line", COVER_LIMIT_BYTES)
    read_version(value, FORMAT)
    fields = Fields(value, "the proof")
    fields.skip("format")
    signed = SignedProof(Cover.from_json(fields.take("proof")), fields.hex("signature", 64), data[end + 1 :])
    fields.finish()
    return signed


def _check_first_line(parts: tuple[bytes, bytes, bytes]) -> None:
    """Raise unless the file begins with the name of its format and a line feed."""
    name, line_feed, _ = parts
    if line_feed:
        read_version({"format": name.decode("utf-8", "replace")}, FORMAT)
    else:
        raise FormatError("this is not a signed ownership proof")
