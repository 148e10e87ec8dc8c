"""Com and Open: binding to a value now, revealing it later.

``hashing``   length-framed hashes with domain labels, and the SHAKE-256 stream
``canonical`` one byte string per JSON value (RFC 8785), and its strict reader
``reading``   strict reading of the fields of a JSON object
``salted``    Com(x, r) = SHA-256 over a domain label, r and x
``merkle``    one root for many commitments, and the path that opens one of them
"""

from earmark.commitment.hashing import Stream, digest, frame
from earmark.commitment.merkle import merkle_path, merkle_root, path_root
from earmark.commitment.salted import commit, open_commitment

__all__ = [
    "Stream",
    "commit",
    "digest",
    "frame",
    "merkle_path",
    "merkle_root",
    "open_commitment",
    "path_root",
]
