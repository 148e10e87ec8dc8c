"""One root for many commitments, in the shape of RFC 6962.

A tree over n > 1 leaves splits at the largest power of two below n. Leaves and nodes have labels of
their own: without them, an inner node could be shown as a leaf (a second preimage).
"""

from collections.abc import Sequence

from earmark.commitment.hashing import digest

_LEAF = "earmark/merkle-leaf/v1"
_NODE = "earmark/merkle-node/v1"
_DIGEST_BYTES = 32


def _split(leaf_count: int) -> int:
    return 1 << ((leaf_count - 1).bit_length() - 1)


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    """Return the root of the tree over the leaves.

    Args:
        leaves: At least one byte string, in order.

    Returns:
        32 bytes that bind to every leaf, its place and their number (see ``path_root``).

    Raises:
        ValueError: There are no leaves: an empty tree would be vacuously true.

    Source:
        RFC 6962 section 2.1, with framed labels (docs/formats/hashing-v1.md)
    """
    if not leaves:
        raise ValueError("a Merkle tree needs at least one leaf")
    if len(leaves) == 1:
        return digest(_LEAF, leaves[0])
    middle = _split(len(leaves))
    return digest(_NODE, merkle_root(leaves[:middle]), merkle_root(leaves[middle:]))


def merkle_path(leaves: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """Return the siblings from leaf ``index`` up to the root.

    Args:
        leaves: All leaves of the tree.
        index: The leaf's place, 0 to len(leaves) - 1.

    Returns:
        At most ceil(log2 n) digests, the leaf's neighbour first.

    Raises:
        IndexError: There is no such leaf.

    Source:
        RFC 6962 section 2.1.1
    """
    if not 0 <= index < len(leaves):
        raise IndexError(f"no leaf {index} in a tree of {len(leaves)}")
    if len(leaves) == 1:
        return ()
    middle = _split(len(leaves))
    if index < middle:
        return (*merkle_path(leaves[:middle], index), merkle_root(leaves[middle:]))
    return (*merkle_path(leaves[middle:], index - middle), merkle_root(leaves[:middle]))


def path_root(leaf: bytes, index: int, leaf_count: int, path: Sequence[bytes]) -> bytes:
    """Return the root that a leaf and its path lead to; compare it with the published one.

    The shape is recomputed from ``index`` and ``leaf_count``, which the verifier takes from the
    signed transcript and never from the claimant: a path of another length is refused.

    Args:
        leaf: The leaf's bytes.
        index: Its place, 0 to leaf_count - 1.
        leaf_count: Number of leaves of the tree.
        path: The siblings, as from ``merkle_path``.

    Returns:
        32 bytes.

    Raises:
        IndexError: There is no such place.
        ValueError: The path does not have the length that this place needs, or a sibling is no digest.

    Source:
        RFC 6962 section 2.1.1

    Example:
        >>> leaves = [b"a", b"b", b"c"]
        >>> path_root(b"b", 1, 3, merkle_path(leaves, 1)) == merkle_root(leaves)
        True
    """
    if not 0 <= index < leaf_count:
        raise IndexError(f"no leaf {index} in a tree of {leaf_count}")
    if leaf_count == 1:
        if path:
            raise ValueError("the Merkle path is longer than the tree is deep")
        return digest(_LEAF, leaf)
    if not path:
        raise ValueError("the Merkle path is shorter than the tree is deep")
    if len(path[-1]) != _DIGEST_BYTES:
        raise ValueError(f"a sibling on a Merkle path has {_DIGEST_BYTES} bytes, not {len(path[-1])}")
    middle = _split(leaf_count)
    if index < middle:
        return digest(_NODE, path_root(leaf, index, middle, path[:-1]), path[-1])
    right = path_root(leaf, index - middle, leaf_count - middle, path[:-1])
    return digest(_NODE, path[-1], right)
