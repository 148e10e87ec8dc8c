"""What a child process that questions a hostile file and its parent have agreed on.

They speak in frames over two pipes, never in pickles: an answer cannot become code.

    parent to child   4 dimensions as 32-bit integers, then float32 values of one input
    child to parent   a kind (one byte), the length as a 32-bit integer, the payload

All integers are big-endian, all floats little-endian; scores are float64. Both sides import this, and the
child must start fast: only the standard library is used here.
"""

import struct

FRAME = struct.Struct(">cI")
DIMENSIONS = struct.Struct(">4I")
HEADER, SCORES, QUESTION_ERROR, FORMAT_ERROR, SUSPECT_ERROR = b"H", b"S", b"E", b"F", b"X"
CLASS_LIMIT = 1 << 16
VALUE_LIMIT = 4096 * 4096 * 3
METADATA_LIMIT_BYTES = 8 << 20
HEADER_LIMIT_BYTES = 4 * METADATA_LIMIT_BYTES
METADATA_KEY = "earmark"  # a test compares it with earmark.models.description.METADATA_KEY
