"""``earmark check`` of an ownership proof."""

from pathlib import Path
from typing import TYPE_CHECKING

from earmark.cli.output import Output
from earmark.cli.provable import NOT_REVIEWED, derive, in_words, open_provable, value_of

if TYPE_CHECKING:
    from earmark.keys import VerificationKey
    from earmark.suspects.onnx import OnnxSuspect
    from earmark.zero_knowledge.ownership import OwnershipClaim

FORMAT = "earmark/proof-check/v1"
_AGREEMENT_PICTURES = 1000


def check_proof_bytes(
    proof: bytes,
    key: "VerificationKey",
    commitments: Path,
    suspect: Path,
    data: str | None,
    output: Output,
) -> None:
    """Check a proof and say what it shows; ProofError names the step that refuses."""
    from earmark.reports.wording import visible
    from earmark.zero_knowledge.checker import check_proof

    opened, model = open_provable(key, suspect)
    claim = derive(key, commitments, opened, model, output)
    with output.progress("checking the proof") as on_progress:
        check_proof(claim.statement, proof)
        on_progress(1, 1)
    agreed = None if data is None else _agreement(claim, opened, data, output)
    owner = visible(key.transcript.owner.name)
    lines = [
        f"owned: {owner!a} proves {in_words(claim)}",
        f"the suspect: {claim.suspect_identity}",
        "which triggers these are, nobody learns; the network was converted to integers here",
    ]
    if agreed is not None:
        lines.append(f"integers and original answer alike on {agreed[0]} of {agreed[1]} pictures of {data}")
    output.result(
        "\n".join([*lines, NOT_REVIEWED]),
        {
            "format": FORMAT,
            "verdict": "owned",
            "owner": owner,
            **value_of(claim),
            "agreement": None if agreed is None else {"alike": agreed[0], "pictures": agreed[1]},
        },
    )


def _agreement(claim: "OwnershipClaim", suspect: "OnnxSuspect", name: str, output: Output) -> tuple[int, int]:
    """Compare the integer network with the original on the checker's own pictures."""
    from earmark.data import load_data
    from earmark.zero_knowledge.ownership import agreement

    images = load_data(name).test.images[:_AGREEMENT_PICTURES]
    with output.progress("comparing with the original") as on_progress:
        alike = agreement(claim.statement.network, suspect, list(images))
        on_progress(1, 1)
    return alike, len(images)
