"""``earmark check`` of an ownership proof."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from earmark.cli.output import Output
from earmark.cli.provable import about_sets, derive, in_words, not_reviewed, open_provable, value_of

if TYPE_CHECKING:
    from earmark.keys import VerificationKey
    from earmark.suspects.onnx import OnnxSuspect
    from earmark.zero_knowledge.ownership import OwnershipClaim

FORMAT = "earmark/proof-check/v1"
_AGREEMENT_PICTURES = 1000


def check_proof_bytes(
    data: bytes,
    key: "VerificationKey",
    commitments: Path,
    suspect: Path,
    pictures: str | None,
    output: Output,
) -> None:
    """Check a signed proof and say what it shows; ProofError names the step that refuses."""
    from earmark.formats import signed_proof_v1
    from earmark.reports.wording import visible
    from earmark.zero_knowledge.checker import check_proof
    from earmark.zero_knowledge.signed_proof import check_argument, too_few_triggers

    proof = signed_proof_v1.read(data)
    proof.check_cover(key)
    opened, model = open_provable(key, suspect)
    proof.check_suspect(opened.identity)
    with too_few_triggers():
        claim = derive(key, commitments, (opened, model), proof.cover.set_ids, output)
    with output.progress("checking the proof") as on_progress:
        check_argument(partial(check_proof, claim.statement), proof.argument)
        on_progress(1, 1)
    agreed = None if pictures is None else _agreement(claim, opened, pictures, output)
    owner = visible(key.transcript.owner.name)
    lines = [
        f"owned: {owner!a} proves {in_words(claim)}",
        f"the owner signed it; {about_sets(claim)}",
        f"the suspect: {claim.suspect_identity}",
        "which triggers these are, nobody learns; the network was converted to integers here",
    ]
    if agreed is not None:
        lines.append(
            f"integers and original answer alike on {agreed[0]} of {agreed[1]} pictures of {pictures}"
        )
    output.result(
        "\n".join([*lines, not_reviewed(claim)]),
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

    images = list(load_data(name).test.spread(_AGREEMENT_PICTURES).images[:])
    with output.progress("comparing with the original") as on_progress:
        alike = agreement(claim.statement.network, suspect, images)
        on_progress(1, 1)
    return alike, len(images)
