"""Arithmetic in the prime field of linear commitments and proofs, and in its extension of degree 5.

``prime``   the prime, the extension, and their arithmetic in plain integers: what the others must agree with
``arrays``  the same on arrays, compiled (needs the extra ``zk``)
``transforms``  polynomials and their values, for many rows side by side
"""

from earmark.fields.prime import EXTENSION_DEGREE, PRIME, Element, add, inverse, multiply, root_of_unity

__all__ = ["EXTENSION_DEGREE", "PRIME", "Element", "add", "inverse", "multiply", "root_of_unity"]
