"""acme.key: the marking key, encrypted under a passphrase (docs/formats/marking-key-v1.md)."""

from typing import Any

from earmark.commitment.canonical import Json, canonical_json, parse_canonical_json
from earmark.commitment.linear import RANDOM_BYTES
from earmark.commitment.reading import Fields, hex_bytes
from earmark.errors import FormatError
from earmark.formats import envelope
from earmark.keys import MarkingKey, SetId, Transcript, VerificationKey
from earmark.triggers import Trigger

FORMAT = "earmark/marking-key/v1"
SIZE_LIMIT_BYTES = 1 << 30
_CONTENT_LIMIT_BYTES = SIZE_LIMIT_BYTES - (1 << 17)  # leaves room for header and tag
_JSON_LIMIT_BYTES = 128 << 20
_LENGTH_BYTES = 8
_SECRET_BYTES = 32


def write(
    key: MarkingKey,
    passphrase: str,
    *,
    TESTING_ONLY_scrypt_n: int = envelope.SCRYPT_N,  # noqa: N803 - what weakens security must catch the eye
) -> bytes:
    """Return an encrypted file of a marking key.

    Args:
        key: The key; it is checked, so that no file is written that cannot be read.
        passphrase: Any text but the empty one.
        TESTING_ONLY_scrypt_n: Cost of a guess, see ``envelope.seal``.

    Returns:
        The file's bytes. Timestamps are not part of them: they belong to the verification key.

    Raises:
        InvalidKeyError: The key contradicts itself.
        FormatError: The key does not fit a file of 1 GiB.
        ValueError: The passphrase is empty.
    """
    key.check()
    set_ids = key.verification_key.set_ids
    chosen = key.chosen_labels
    labels: dict[str, Json] = {} if chosen is None else {"labels": [list(chosen[i]) for i in set_ids]}
    linear: dict[str, Json] = (
        {}
        if key.randomness is None
        else {"randomness": [b"".join(key.randomness[set_id]).hex() for set_id in set_ids]}
    )
    json = canonical_json(
        {
            **labels,
            **linear,
            "transcript": key.transcript.to_json(),
            "signature": key.verification_key.signature.hex(),
            "secrets": [b"".join(key.secrets[set_id]).hex() for set_id in set_ids],
            "trigger_bytes": [
                [len(trigger.canonical_bytes) for trigger in key.triggers[set_id]] for set_id in set_ids
            ],
        }
    )
    parts = [len(json).to_bytes(_LENGTH_BYTES, "big"), json]
    parts += [trigger.canonical_bytes for set_id in set_ids for trigger in key.triggers[set_id]]
    size_bytes = sum(len(part) for part in parts)
    if size_bytes > _CONTENT_LIMIT_BYTES:
        raise FormatError(
            f"the marking key has {size_bytes} bytes and at most {_CONTENT_LIMIT_BYTES} fit a file; "
            "use fewer sets, fewer triggers or smaller inputs"
        )
    return envelope.seal(
        FORMAT,
        _about(key.transcript),
        b"".join(parts),
        passphrase,
        TESTING_ONLY_scrypt_n=TESTING_ONLY_scrypt_n,
    )


def read(data: bytes, passphrase: str) -> MarkingKey:
    """Open and check a marking key.

    Args:
        data: The file's bytes.
        passphrase: As given when it was written.

    Returns:
        The key: signature, counts, geometry and every commitment agree. It has no timestamps.

    Raises:
        PassphraseError: Wrong passphrase or altered bytes.
        UnsupportedVersionError: It is another version.
        FormatError: It is malformed, or shows another owner or root than it holds.
        InvalidKeyError: The key contradicts itself.
    """
    header, content = envelope.unseal(data, FORMAT, passphrase)
    json_end = _LENGTH_BYTES + int.from_bytes(content[:_LENGTH_BYTES], "big")
    # A length beyond the end gives JSON cut short, which the strict reader refuses.
    value = parse_canonical_json(content[_LENGTH_BYTES:json_end], "the marking key", _JSON_LIMIT_BYTES)
    fields = Fields(value, "marking key")
    transcript = Transcript.from_json(fields.take("transcript"))
    if header.about != _about(transcript):
        raise FormatError("the marking key shows another owner or root than it holds")
    verification_key = VerificationKey(transcript, fields.hex("signature", 64))
    set_count = len(verification_key.set_ids)
    secrets, triggers = {}, {}
    position = json_end
    for set_id, secret_text, lengths in zip(
        verification_key.set_ids,
        fields.list("secrets", set_count, set_count),
        fields.list("trigger_bytes", set_count, set_count),
        strict=True,
    ):
        count = transcript.strata[set_id.stratum].triggers_per_set
        secrets[set_id] = _read_secrets(secret_text, count)
        triggers[set_id], position = _cut_triggers(content, position, lengths, count, transcript)
    chosen = _read_labels(fields, verification_key) if transcript.labels["rule"] == "chosen" else None
    is_linear = transcript.commitment["scheme"] == "sis"
    randomness = _read_randomness(fields, verification_key) if is_linear else None
    fields.finish()
    if position != len(content):
        raise FormatError("marking key: bytes are left over after the last trigger")
    key = MarkingKey(verification_key, secrets, triggers, chosen, randomness)
    key.check()
    return key


def _about(transcript: Transcript) -> dict[str, str]:
    return {"owner": transcript.owner.name, "root": transcript.root.hex()}


def _read_secrets(value: Any, count: int) -> tuple[bytes, ...]:
    joined = hex_bytes(value, _SECRET_BYTES * count, "marking key: the secrets of a set")
    return tuple(joined[start : start + _SECRET_BYTES] for start in range(0, len(joined), _SECRET_BYTES))


def _read_randomness(fields: Fields, key: VerificationKey) -> dict[SetId, tuple[bytes, ...]]:
    texts = fields.list("randomness", len(key.set_ids), len(key.set_ids))
    found = {}
    for set_id, text in zip(key.set_ids, texts, strict=True):
        size = RANDOM_BYTES * key.transcript.strata[set_id.stratum].triggers_per_set
        joined = hex_bytes(text, size, "marking key: the randomness of a set")
        found[set_id] = tuple(joined[start : start + RANDOM_BYTES] for start in range(0, size, RANDOM_BYTES))
    return found


def _read_labels(fields: Fields, key: VerificationKey) -> dict[SetId, tuple[int, ...]]:
    lists: Any = fields.list("labels", len(key.set_ids), len(key.set_ids))
    for labels in lists:
        if not isinstance(labels, list) or not all(type(label) is int for label in labels):
            raise FormatError("marking key: the labels of a set are a list of class numbers")
    return {set_id: tuple(labels) for set_id, labels in zip(key.set_ids, lists, strict=True)}


def _cut_triggers(
    content: bytes, position: int, lengths: Any, count: int, transcript: Transcript
) -> tuple[tuple[Trigger, ...], int]:
    if not isinstance(lengths, list) or len(lengths) != count:
        raise FormatError(f"marking key: a set does not list the lengths of {count} triggers")
    triggers = []
    for length in lengths:
        if type(length) is not int or not 1 <= length <= len(content) - position:
            raise FormatError("marking key: a trigger's length does not fit the file")
        triggers.append(Trigger(transcript.task.geometry.kind, content[position : position + length]))
        position += length
    return tuple(triggers), position
