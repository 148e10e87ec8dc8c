"""acme.commitments: what a provable key is committed to; public (docs/formats/linear-commitments-v1.md)."""

import numpy as np
import numpy.typing as npt

from earmark.commitment import merkle_root
from earmark.commitment.linear import LEAF_BYTES, ROW_COUNT, SIDECAR_LABEL, linear_scheme
from earmark.errors import FormatError, InvalidKeyError
from earmark.fields import PRIME
from earmark.keys import MarkingKey, VerificationKey
from earmark.keys.transcript import TRIGGER_LIMIT

FORMAT = SIDECAR_LABEL
MAGIC = FORMAT.encode() + b"\n"
SIZE_LIMIT_BYTES = len(MAGIC) + TRIGGER_LIMIT * LEAF_BYTES


def write(key: MarkingKey) -> bytes:
    """Return the file of a provable key's commitments.

    Raises:
        InvalidKeyError: The key's commitments are not linear.
    """
    if key.randomness is None:
        raise InvalidKeyError("the commitments of this key are not linear")
    return MAGIC + key.sidecar


def read(data: bytes, key: VerificationKey) -> npt.NDArray[np.uint32]:
    """Read the commitments of a key.

    Args:
        data: The file's bytes.
        key: The public key file; its transcript binds to every commitment.

    Returns:
        uint32 ``(n, 320)``, set after set and place after place.

    Raises:
        InvalidKeyError: The key's commitments are not linear, or are others.
        FormatError: It is another kind of file, or of another size.
    """
    transcript = key.transcript
    if transcript.commitment["scheme"] != "sis":
        raise InvalidKeyError(
            "the commitments of this key are not linear: make a new one with 'earmark keygen --provable'"
        )
    if not data.startswith(MAGIC):
        raise FormatError("it is not a file of linear commitments of version 1")
    content = data[len(MAGIC) :]
    counts = [transcript.strata[set_id.stratum].triggers_per_set for set_id in key.set_ids]
    if len(content) != sum(counts) * LEAF_BYTES:
        raise FormatError(f"the file does not hold {sum(counts)} commitments")
    if linear_scheme(content) != transcript.commitment:
        raise InvalidKeyError("these are not the commitments that the transcript names")
    leaves = [content[start : start + LEAF_BYTES] for start in range(0, len(content), LEAF_BYTES)]
    start = 0
    for set_id, count in zip(key.set_ids, counts, strict=True):
        # One commitment per trigger: what is opened elsewhere and what is proven here are the same.
        root = transcript.strata[set_id.stratum].set_roots[set_id.number]
        if merkle_root(leaves[start : start + count]) != root:
            raise InvalidKeyError(f"the commitments of set {set_id.number} do not lead to its root")
        start += count
    values = np.frombuffer(content, "<u4").astype(np.uint32).reshape(-1, ROW_COUNT)
    if int(values.max()) >= PRIME:
        raise FormatError("a commitment holds a number outside the field")
    return values
