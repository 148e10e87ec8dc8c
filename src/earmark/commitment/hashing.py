"""Hashes of tuples: every part is framed by its length, every use has a domain label.

Without frames, ("ab", "c") and ("a", "bc") would hash alike, and a claimant could move bytes from one
field to the next. Without labels, a hash made for one purpose could be shown as one made for another.
"""

import hashlib

_WORD_BYTES = 8
_FIRST_READ_BYTES = 64


def frame(*parts: bytes | str | int) -> bytes:
    """Return the parts as one byte string from which they can be read back.

    Each part is preceded by its length as 8 bytes, big-endian; text is UTF-8, and an integer in
    [0, 2^64) is 8 bytes, big-endian. The map is injective for a fixed sequence of part types, and
    each domain label fixes the types of what follows it.

    Args:
        parts: The parts, in order.

    Returns:
        The framed bytes.

    Raises:
        OverflowError: An integer is negative or does not fit 64 bits.

    Source:
        ours (docs/formats/hashing-v1.md)

    Example:
        >>> frame("ab", 1).hex()
        '0000000000000002616200000000000000080000000000000001'
    """
    framed = bytearray()
    for part in parts:
        if isinstance(part, str):
            data = part.encode()
        elif isinstance(part, int):
            data = part.to_bytes(_WORD_BYTES, "big")
        else:
            data = part
        framed += len(data).to_bytes(_WORD_BYTES, "big")
        framed += data
    return bytes(framed)


def digest(label: str, *parts: bytes | str | int) -> bytes:
    """Return SHA-256 over the framed tuple (label, parts…).

    Args:
        label: Domain label: the purpose and version of this hash, e.g. ``earmark/commitment/v1``.
        parts: What is hashed.

    Returns:
        32 bytes.

    Source:
        ours (docs/formats/hashing-v1.md)
    """
    return hashlib.sha256(frame(label, *parts)).digest()


class Stream:
    """An endless stream of bytes from SHAKE-256 over the framed tuple (label, parts…).

    In the random-oracle model the bytes are uniform and independent of every other tuple's.

    Args:
        label: Domain label.
        parts: What the stream depends on.

    Source:
        FIPS 202; framing ours (docs/formats/hashing-v1.md)

    Example:
        >>> Stream("example", 7).read(4) == Stream("example", 7).read(4)
        True
    """

    def __init__(self, label: str, *parts: bytes | str | int) -> None:
        self._shake = hashlib.shake_256(frame(label, *parts))
        self._buffer = b""
        self._position = 0

    def read(self, size_bytes: int) -> bytes:
        """Return the next bytes of the stream.

        Args:
            size_bytes: How many, at least 0.

        Returns:
            Exactly that many bytes.
        """
        end = self._position + size_bytes
        if end > len(self._buffer):
            # hashlib squeezes from the start each time; doubling keeps the total work linear.
            self._buffer = self._shake.digest(max(end, 2 * len(self._buffer), _FIRST_READ_BYTES))
        chunk = self._buffer[self._position : end]
        self._position = end
        return chunk

    def uniform(self, bound: int) -> int:
        """Return an integer drawn exactly uniformly from {0 … bound-1}.

        Rejection sampling: 8-byte big-endian words w are read until w < floor(2^64 / bound) * bound;
        then w mod bound. A plain remainder would favour small values, and with them whoever bets on
        them.

        Args:
            bound: Number of values, 1 to 2^64.

        Returns:
            The draw.

        Raises:
            ValueError: The bound is out of range.

        Example:
            >>> draws = Stream("example")
            >>> {draws.uniform(3) for _ in range(50)}
            {0, 1, 2}
        """
        if not 1 <= bound <= 2**64:
            raise ValueError(f"bound must be 1 to 2^64, not {bound}")
        limit = 2**64 // bound * bound
        while True:
            word = int.from_bytes(self.read(_WORD_BYTES), "big")
            if word < limit:
                return word % bound
