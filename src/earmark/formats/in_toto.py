"""A release record as an in-toto Statement v1 (docs/formats/release-record-v1.md, "As an in-toto statement").

The subject is named by the digest that OpenSSF model signing gives the same files, so that a policy which
knows one finds the other. The statement is not signed again: the record inside is.
"""

import hashlib
from collections.abc import Mapping
from pathlib import PurePosixPath

from earmark.claims.release_record import ReleaseRecord
from earmark.commitment.canonical import canonical_json
from earmark.formats.release_record_v1 import to_json

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://earmark/release-record/v1"


def write(record: ReleaseRecord, files: Mapping[str, bytes]) -> bytes:
    """Return a release record as an in-toto Statement v1.

    Args:
        record: The record.
        files: SHA-256 of every file of the model by its path in the folder, with ``/``; of a model that is
            one file, under ``"."``.

    Returns:
        Canonical JSON and a line feed.

    Source:
        in-toto attestation framework, Statement v1; the subject's digest as in OpenSSF model signing v1
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
                    "record": to_json(record),
                    "resources": [
                        {"name": name, "algorithm": "sha256", "digest": files[name].hex()} for name in names
                    ],
                },
            }
        )
        + b"\n"
    )
