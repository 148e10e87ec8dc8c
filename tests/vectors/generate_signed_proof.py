"""Write the golden file of a signed proof. Run by hand, never by a test: released files do not change.

    PYTHONPATH=src:tests python -m vectors.generate_signed_proof tests/vectors/v1/signed-proofs

What stands in the place of the argument is none: the cover says nothing of what is in it.
"""

import sys
from pathlib import Path

from earmark.formats import signed_proof_v1, verification_key_v1
from earmark.zero_knowledge.signed_proof import sign_proof
from vectors.tiny_key import TESTING_ONLY_OWNER, tiny_key

ARGUMENT = b"TESTING ONLY, no argument\n" + bytes(range(256))
SUSPECT = "sha256:" + bytes(range(32)).hex()


def signed():
    """About the first and the last of three sets."""
    key = tiny_key().verification_key
    return sign_proof(key, (key.set_ids[0], key.set_ids[2]), SUSPECT, ARGUMENT, TESTING_ONLY_OWNER)


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "key.vk.json").write_bytes(verification_key_v1.write(tiny_key().verification_key))
    (folder / "signed.proof").write_bytes(signed_proof_v1.write(signed()))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
