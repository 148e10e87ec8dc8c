"""Write the golden files of stamps and releases. Run by hand, never by a test: released files do not change.

    PYTHONPATH=src:tests python -m vectors.generate_stamps tests/vectors/v1/stamps

Tokens are OpenSSL's, of two authorities that were made for this and whose keys are thrown away.
"""

import json
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from authority import new_authority
from earmark.claims.certificates import TrustedRoots, read_roots
from earmark.claims.key_stamps import check_key_stamps, key_digest, request_for_key
from earmark.claims.release_record import ReleasedModel, sign_release
from earmark.claims.timestamps import check_response
from earmark.formats import in_toto, release_record_v1, verification_key_v1
from vectors.tiny_key import TESTING_ONLY_OWNER, tiny_key

MODEL = ReleasedModel("marked.safetensors", "file", bytes(range(32)), 12345)


def stamped(request, authority, roots):
    return check_response(request, authority.reply(request.der), roots, datetime.now(UTC))[0]


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        first = new_authority(Path(scratch, "first"), "First")
        second = new_authority(Path(scratch, "second"), "Second", accuracy=None)
        trusted = read_roots(first.root_pem)
        key = tiny_key().verification_key
        tokens = (
            stamped(request_for_key(key), first, trusted),
            stamped(request_for_key(key), second, TrustedRoots()),
        )
        key = replace(key, timestamps=tokens)
        time.sleep(4)
        stamps = check_key_stamps(key, trusted, datetime.now(UTC))
        record = sign_release(key, MODEL, stamps, TESTING_ONLY_OWNER)
        record = replace(record, timestamps=(stamped(record.request(), first, trusted),))
    (folder / "first-root.pem").write_bytes(first.root_pem)
    (folder / "second-root.pem").write_bytes(second.root_pem)
    (folder / "stamped.vk.json").write_bytes(verification_key_v1.write(key))
    (folder / "marked.release.json").write_bytes(release_record_v1.write(record))
    (folder / "marked.intoto.json").write_bytes(in_toto.write(record, {".": MODEL.digest}))
    expected = {
        "now": (datetime.now(UTC) + timedelta(days=1)).isoformat(timespec="seconds"),
        "key_digest": key_digest(key).hex(),
        "release_root": record.release.root.hex(),
        "record_digest": record.digest.hex(),
        "key_times": [stamp.time.isoformat() for stamp in stamps],
        "accuracy_seconds": [1, 60],
    }
    (folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
