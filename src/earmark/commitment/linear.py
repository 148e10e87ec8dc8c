"""Linear commitments c = A t + B s mod p: statistically hiding, binding while short vectors are hard to find.

t holds the bytes of a trigger's value and s as many random bytes as make c nearly uniform whatever t is
(leftover hash lemma). Two openings of one commitment differ by a vector of entries below 256 in absolute
value that [A B] sends to zero: a solution of the short-integer-solution problem. Both bounds are computed in
docs/mathematics/zero-knowledge.md. Being linear is what makes an opening cheap inside a proof.

A and B are fixed constants, expanded from nothing but their name and size: nobody chose them.
"""

import hashlib
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from earmark.commitment.canonical import Json
from earmark.commitment.hashing import digest, frame
from earmark.fields import PRIME

MATRIX_LABEL = "earmark/sis/v1"
ROW_COUNT = 320
RANDOM_BYTES = 1272
# More bytes make a short vector longer, and therefore easier to find; 4,096 keep the estimate at 2^138.
VALUE_BYTES_LIMIT = 4096
LEAF_BYTES = 4 * ROW_COUNT
SIDECAR_LABEL = "earmark/linear-commitments/v1"

Matrix = npt.NDArray[np.int64]


@lru_cache(maxsize=4)
def commitment_matrix(value_bytes: int) -> Matrix:
    """Return [A B] for values of this many bytes, int64 ``(320, value_bytes + 1272)``, read-only.

    The SHAKE-256 stream of the framed tuple (``earmark/sis/v1``, rows, value bytes, random bytes) is read in
    words of 4 bytes, little-endian; the top bit is cleared and words of at least p are passed over.

    Raises:
        ValueError: The size is not 1 to 4096.
    """
    if not 1 <= value_bytes <= VALUE_BYTES_LIMIT:
        raise ValueError(f"linear commitments hold 1 to {VALUE_BYTES_LIMIT} bytes, not {value_bytes}")
    shape = (ROW_COUNT, value_bytes + RANDOM_BYTES)
    seed = frame(MATRIX_LABEL, ROW_COUNT, value_bytes, RANDOM_BYTES)
    matrix = field_words(seed, shape[0] * shape[1]).astype(np.int64).reshape(shape)
    matrix.setflags(write=False)
    return matrix


def field_words(seed: bytes, count: int) -> npt.NDArray[np.uint32]:
    """Return the first ``count`` elements of F_p in the SHAKE-256 stream of ``seed``.

    Words of 4 bytes, little-endian, top bit cleared; those of at least p are passed over, so that every
    element is exactly uniform.
    """
    shake = hashlib.shake_256(seed)
    word_count = count * 16 // 15 + 8 * int(count**0.5) + 32
    while True:
        words = np.frombuffer(shake.digest(4 * word_count), "<u4") & np.uint32(0x7FFFFFFF)
        accepted = words[words < PRIME]
        if len(accepted) >= count:
            return accepted[:count].astype(np.uint32)
        word_count *= 2


def commit_linear(value: bytes, randomness: bytes) -> npt.NDArray[np.uint32]:
    """Return the commitment to a value.

    Args:
        value: 1 to 4096 bytes: a trigger's pixels, row by row, channels innermost.
        randomness: 1,272 bytes, uniform and never used for another value.

    Returns:
        320 elements of F_p, uint32.

    Raises:
        ValueError: A size is wrong.

    Source:
        Ajtai 1996 (binding); Impagliazzo, Levin, Luby 1989 (hiding); sizes ours
        (docs/mathematics/zero-knowledge.md)
    """
    if len(randomness) != RANDOM_BYTES:
        raise ValueError(
            f"the randomness of a linear commitment has {RANDOM_BYTES} bytes, not {len(randomness)}"
        )
    opening: Any = np.frombuffer(value + randomness, np.uint8).astype(np.int64)
    # Entries below 2^31 times bytes, at most 5,368 of them: below 2^52, exact in 64 bits.
    return np.asarray(commitment_matrix(len(value)) @ opening % PRIME).astype(np.uint32)


def open_linear(commitment: npt.NDArray[np.uint32], value: bytes, randomness: bytes) -> bool:
    """Say whether value and randomness open the commitment."""
    return bool(np.array_equal(commitment, commit_linear(value, randomness)))


def linear_leaf(value: bytes, randomness: bytes) -> bytes:
    """Return the commitment as the leaf of a set's tree: 320 words of 4 bytes, little-endian."""
    return commit_linear(value, randomness).astype("<u4").tobytes()


def linear_scheme(leaves: bytes) -> dict[str, Json]:
    """Return what a transcript says of linear commitments.

    Args:
        leaves: All of them joined, set after set and place after place: the content of the sidecar.
    """
    return {
        "scheme": "sis",
        "prime": PRIME,
        "rows": ROW_COUNT,
        "random_bytes": RANDOM_BYTES,
        "sidecar": digest(SIDECAR_LABEL, leaves).hex(),
    }
