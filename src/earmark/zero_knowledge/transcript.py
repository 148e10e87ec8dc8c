"""The prover's questions to himself: everything said so far is hashed, and the challenge is the hash.

One state, labelled and length-framed. A challenge is drawn after all that it must not be known before, so
a prover who changes anything gets other challenges.
"""

import numpy as np
import numpy.typing as npt

from earmark.commitment.hashing import Stream, digest, frame
from earmark.commitment.linear import field_words
from earmark.fields import EXTENSION_DEGREE
from earmark.fields.compiling import Words

LABEL = "earmark/ownership-transcript/v1"
CHALLENGE_LABEL = "earmark/ownership-challenge/v1"


class ProofTranscript:
    """What was said, as one hash.

    Args:
        statement_digest: Hash of what is stated: absorbed before everything else.

    Source:
        Fiat and Shamir 1986; framing ours (docs/formats/ownership-proof-v1.md)
    """

    def __init__(self, statement_digest: bytes) -> None:
        self._state = digest(LABEL, statement_digest)

    def absorb(self, name: str, data: bytes) -> None:
        """Hash a message under its name."""
        self._state = digest(LABEL, self._state, name, data)

    def elements(self, name: str, count: int) -> Words:
        """Return uniform elements of K, uint32 ``(count, 5)``."""
        words = field_words(frame(CHALLENGE_LABEL, self._state, name), EXTENSION_DEGREE * count)
        return words.reshape(count, EXTENSION_DEGREE)

    def columns(self, name: str, count: int, length: int) -> npt.NDArray[np.int64]:
        """Return distinct column numbers, in increasing order: a uniformly drawn set."""
        stream = Stream(CHALLENGE_LABEL, self._state, name)
        chosen: set[int] = set()
        while len(chosen) < count:
            chosen.add(stream.uniform(length))
        return np.array(sorted(chosen), np.int64)
