"""What proving and checking a proof have in common: the statement, derived from files, and its words."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from earmark.cli.output import Output

if TYPE_CHECKING:
    from earmark.keys import VerificationKey
    from earmark.suspects.onnx import OnnxSuspect
    from earmark.zero_knowledge.ownership import OwnershipClaim

NOT_REVIEWED = (
    "ownership proofs are not yet reviewed by cryptographers outside the project; and with 2^80 hash "
    "evaluations one can be forged with a chance of up to 2^-28, however little the key leaves to chance"
)


def claim_from(key: "VerificationKey", commitments: Path, model: Path, output: Output) -> "OwnershipClaim":
    """Derive the claim about a model from files."""
    suspect, data = open_provable(key, model)
    return derive(key, commitments, suspect, data, output)


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
    key: "VerificationKey", commitments: Path, suspect: "OnnxSuspect", data: bytes, output: Output
) -> "OwnershipClaim":
    """Derive the claim, with progress: larger networks take seconds to convert."""
    from earmark.files import read_bounded
    from earmark.formats import linear_commitments_v1
    from earmark.zero_knowledge.ownership import claim_about

    leaves = linear_commitments_v1.read(
        read_bounded(commitments, linear_commitments_v1.SIZE_LIMIT_BYTES, "commitments"), key
    )
    with output.progress("converting the network") as on_progress:
        claim = claim_about(key, leaves, suspect, data)
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


def value_of(claim: "OwnershipClaim") -> dict[str, Any]:
    """Return the claim as JSON values."""
    from earmark.zero_knowledge.ownership import SOUNDNESS_BITS

    return {
        "at_least": claim.statement.needed,
        "triggers": claim.statement.input_count,
        "strength_bits": claim.strength_bits,
        "claim_bits": claim.claim_bits,
        "proof_soundness_bits_per_hash_query": SOUNDNESS_BITS,
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
