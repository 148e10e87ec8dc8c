"""The command ``earmark prove``: an ownership proof in zero knowledge."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earmark.cli import keys
from earmark.cli.output import AsJson, Output, Quiet
from earmark.cli.passphrase import PassphraseFile
from earmark.cli.provable import NOT_REVIEWED, claim_from, in_words, value_of

if TYPE_CHECKING:
    from earmark.formats.journal_v1 import Journal
    from earmark.keys import MarkingKey
    from earmark.zero_knowledge.ownership import OwnershipClaim

METHOD = "ownership-proof"


def prove(
    model: Annotated[
        Path, typer.Argument(help="The suspect, an ONNX file; whoever checks needs the same file.")
    ],
    key: keys.KeyPath,
    out: Annotated[Path, typer.Option("-o", "--output", help="Proof to write, e.g. ownership.proof.")],
    journal: Annotated[Path | None, typer.Option(help="Journal; default beside the key.")] = None,
    despite_opened: Annotated[
        bool,
        typer.Option(
            "--despite-opened",
            help="Prove although a set was opened: whoever has it could have made this model.",
        ),
    ] = False,
    passphrase_file: PassphraseFile = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Prove ownership without showing a trigger: nothing is opened, and the key does not wear out.

    The proof says that the model gives enough triggers of the key their label, and not which. That there is
    a proof, or is none, tells whoever made the model one bit: each is written to the journal first.

    Not yet reviewed by cryptographers outside the project.

    Example: earmark prove --key acme.key suspect.onnx -o ownership.proof
    """
    from earmark.files import write_new
    from earmark.zero_knowledge.checker import check_proof
    from earmark.zero_knowledge.ownership import openings_of
    from earmark.zero_knowledge.prover import prove as make

    output = Output(quiet, as_json)
    keys.refuse_existing(out)
    marking_key = keys.read_key(key, passphrase_file)
    openings = openings_of(marking_key)
    opened = keys.open_journal(key, journal, marking_key)
    _refuse_opened(opened, marking_key, despite_opened)
    claim = claim_from(marking_key.verification_key, keys.key_paths(key).commitments, model, output)
    number = _write_down(opened, claim)
    output.remark(
        f"{claim.statement.input_count} triggers, {claim.statement.network.value_count} values each: "
        f"about {_rounded(claim.expected_seconds)} on two cores and {claim.expected_bytes / 1e9:.1f} GB"
    )
    with output.progress("proving") as on_progress:
        done = iter(range(1, _STAGES))
        proof = make(
            claim.statement, openings, on_progress=lambda _: on_progress(next(done, _STAGES), _STAGES)
        ).to_bytes()
        on_progress(_STAGES, _STAGES)
    # A fault of ours is better found here than before a court.
    check_proof(claim.statement, proof)
    write_new(out, proof)
    output.result(
        f"{out}: {len(proof) / 1e6:.1f} MB; it shows: {in_words(claim)}\n"
        f"proofs and refusals so far, by the journal: {number}; each tells its model's maker one bit\n"
        f"anyone checks it: earmark check {out} --vk KEY.vk.json --suspect {model.name}\n{NOT_REVIEWED}",
        {"proof": str(out), "bytes": len(proof), "proofs_so_far": number, **value_of(claim)},
    )


_STAGES = 5


def _refuse_opened(journal: "Journal", key: "MarkingKey", despite_opened: bool) -> None:
    from earmark.errors import JournalError

    found = [set_id for set_id in key.triggers if journal.opening(set_id) is not None]
    if found and not despite_opened:
        raise JournalError(
            f"set {found[0].stratum}:{found[0].number} was opened, and whoever has it could have made this "
            "model; "
            "--despite-opened proves all the same"
        )


def _write_down(journal: "Journal", claim: "OwnershipClaim") -> int:
    """Journal the proof before it is tried, and return how many there were for all models."""
    journal.record_method(
        claim.suspect_identity,
        {"statistic": METHOD, "label_map": claim.label_map, "statement": claim.statement.digest.hex()},
    )
    return journal.method_count(METHOD)


def _rounded(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
