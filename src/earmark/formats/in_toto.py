"""A release record as OpenSSF model signing carries it (docs/formats/release-record-v1.md).

The statement is the one that model signing makes of the same files, with the record as one field more in its
predicate. Its specification tells verifiers to ignore fields that they do not know, so whoever verifies the
model as ever need not know of Earmark. The statement is not signed here: the record inside is.
"""

import hashlib
from collections.abc import Mapping
from pathlib import PurePosixPath

from earmark.claims.release_record import ReleaseRecord
from earmark.commitment.canonical import canonical_json
from earmark.formats import release_record_v1

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://model_signing/signature/v1.0"
RECORD_FIELD = "earmark_release_record"
IGNORED_PATHS = (".git", ".gitattributes", ".github", ".gitignore")  # by model signing, at a folder's top


def write(record: ReleaseRecord, files: Mapping[str, bytes]) -> bytes:
    """Return a release record in the in-toto statement that OpenSSF model signing makes of the same model.

    Args:
        record: The record.
        files: SHA-256 of every file of the model by its path in the folder, with ``/``, hidden ones as well,
            but for ``IGNORED_PATHS``; of a model that is one file, under ``"."``.

    Returns:
        Canonical JSON and a line feed.

    Source:
        in-toto attestation framework, Statement v1; OpenSSF model signing, predicate v1.0
    """
    names = sorted(files, key=PurePosixPath)
    subject = hashlib.sha256(b"".join(files[name] for name in names)).hexdigest()
    return (
        canonical_json(
            {
                "_type": STATEMENT_TYPE,
                "subject": [{"name": record.release.model.name, "digest": {"sha256": subject}}],
                "predicateType": PREDICATE_TYPE,
                "predicate": {
                    "serialization": {
                        "method": "files",
                        "hash_type": "sha256",
                        "allow_symlinks": False,
                        "ignore_paths": list(IGNORED_PATHS),
                    },
                    "resources": [
                        {"name": name, "algorithm": "sha256", "digest": files[name].hex()} for name in names
                    ],
                    # As a text: model signing writes each number in a predicate as floating-point.
                    RECORD_FIELD: release_record_v1.write(record).decode(),
                },
            }
        )
        + b"\n"
    )
