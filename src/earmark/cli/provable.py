"""What proving and checking a proof have in common: the statement, derived from files, and its words."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earmark.cli.output import Output

if TYPE_CHECKING:
    from earmark.keys import SetId, VerificationKey
    from earmark.suspects.onnx import OnnxSuspect
    from earmark.zero_knowledge.ownership import OwnershipClaim

_HASHES_BITS = 80  # as many as every verdict reckons with


def not_reviewed(claim: "OwnershipClaim") -> str:
    """Return what whoever makes or checks a proof has to know of it."""
    from earmark.statistics import OWNED_BITS

    left = math.floor(claim.soundness_bits) - _HASHES_BITS
    asked = f"2^-{OWNED_BITS} that a verdict asks for"
    against = f"less than the {asked}" if left > OWNED_BITS else f"not below the {asked}"
    return (
        "ownership proofs are not yet reviewed by cryptographers outside the project; with "
        f"2^{_HASHES_BITS} hash evaluations one can be forged with a chance of up to 2^-{left}, {against}"
    )


def claim_from(
    key: "VerificationKey", commitments: Path, model: Path, set_ids: "Sequence[SetId]", output: Output
) -> "OwnershipClaim":
    """Derive the claim about a model and some sets from files."""
    suspect, data = open_provable(key, model)
    return derive(key, commitments, (suspect, data), set_ids, output)


def open_provable(key: "VerificationKey", model: Path) -> "tuple[OnnxSuspect, bytes]":
    """Return an ONNX file as a suspect, and its bytes."""
    from earmark.errors import FormatError
    from earmark.files import read_bounded
    from earmark.models.preprocessing import Preprocessing
    from earmark.suspects.onnx import open_onnx
    from earmark.zero_knowledge.onnx_graph import SIZE_LIMIT_BYTES

    if model.suffix != ".onnx":
        raise FormatError(f"{model}: proofs are about ONNX files; export the model to one")
    data = read_bounded(model, SIZE_LIMIT_BYTES, "model")
    fixed = key.transcript.experiment.preprocessing
    return open_onnx(model, fallback=None if fixed is None else Preprocessing.from_json(fixed)), data


def derive(
    key: "VerificationKey",
    commitments: Path,
    model: "tuple[OnnxSuspect, bytes]",
    set_ids: "Sequence[SetId]",
    output: Output,
) -> "OwnershipClaim":
    """Derive the claim, with progress: larger networks take seconds to convert."""
    from earmark.files import read_bounded
    from earmark.formats import linear_commitments_v1
    from earmark.zero_knowledge.ownership import claim_about

    leaves = linear_commitments_v1.read(
        read_bounded(commitments, linear_commitments_v1.SIZE_LIMIT_BYTES, "commitments"), key
    )
    with output.progress("converting the network") as on_progress:
        claim = claim_about(key, leaves, *model, set_ids)
        on_progress(1, 1)
    return claim


def in_words(claim: "OwnershipClaim") -> str:
    """Return what a proof of this claim shows."""
    statement = claim.statement
    return (
        f"at least {statement.needed} of {statement.input_count} triggers; "
        f"chance 2^-{claim.strength_bits:.0f} for a model that does not depend on this key, "
        f"2^-{claim.claim_bits:.0f} after penalties"
    )


def about_sets(claim: "OwnershipClaim") -> str:
    """Return which sets of its key a proof of this claim is about, and which were left out."""
    every = claim.verification_key.set_ids
    if claim.set_ids == every:
        return f"it is about every set of the key: {set_names(every, every)}"
    left_out = tuple(set_id for set_id in every if set_id not in frozenset(claim.set_ids))
    return (
        f"it is about set {set_names(claim.set_ids, every)}; left out, as opened or shown to somebody: "
        f"{set_names(left_out, every)}"
    )


def set_names(set_ids: "Sequence[SetId]", every: "Sequence[SetId]") -> str:
    """Return sets of a key in words, neighbours taken together, e.g. ``0:0 to 0:9, 0:12``.

    Args:
        set_ids: The sets, in the order of the key.
        every: All sets of the key.

    Returns:
        Their names.
    """
    wanted = frozenset(set_ids)
    runs: list[list[SetId]] = []
    for before, set_id in zip((None, *every), every, strict=False):
        if set_id in wanted:
            if before not in wanted:
                runs.append([])
            runs[-1].append(set_id)
    return ", ".join(" to ".join(dict.fromkeys(f"{s}:{n}" for s, n in (run[0], run[-1]))) for run in runs)


def value_of(claim: "OwnershipClaim") -> dict[str, Any]:
    """Return the claim as JSON values."""
    return {
        "at_least": claim.statement.needed,
        "triggers": claim.statement.input_count,
        "strength_bits": claim.strength_bits,
        "claim_bits": claim.claim_bits,
        "sets": [list(set_id) for set_id in claim.set_ids],
        "sets_of_the_key": len(claim.verification_key.set_ids),
        "proof_soundness_bits_per_hash_query": claim.soundness_bits,
        "penalties": [
            {"name": item.name, "alternatives": hex(item.alternatives), "reason": item.reason}
            for item in claim.penalties
        ],
        "suspect": claim.suspect_identity,
        "preprocessing": claim.preprocessing,
        "label_map": claim.label_map,
        "root": claim.verification_key.transcript.root.hex(),
        "reviewed": False,
    }
