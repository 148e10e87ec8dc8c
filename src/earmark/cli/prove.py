"""The command ``earmark prove``: an ownership proof in zero knowledge, signed by the key's owner."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earmark.cli import keys
from earmark.cli.output import AsJson, Output, Quiet
from earmark.cli.passphrase import OwnerPassphraseFile, PassphraseFile
from earmark.cli.provable import about_sets, claim_from, in_words, not_reviewed, set_names, value_of

if TYPE_CHECKING:
    from earmark.formats.journal_v1 import Journal
    from earmark.keys import MarkingKey, SetId
    from earmark.zero_knowledge.ownership import OwnershipClaim

METHOD = "ownership-proof"
# Whoever makes the models could as well guess the outcomes of so many proofs and refusals: with a chance of
# 2^-32, for all triggers together (docs/how-to/prove-in-zero-knowledge.md, "A budget").
BUDGET = 32


def prove(
    model: Annotated[
        Path, typer.Argument(help="The suspect, an ONNX file; whoever checks needs the same file.")
    ],
    key: keys.KeyPath,
    out: Annotated[Path, typer.Option("-o", "--output", help="Proof to write, e.g. ownership.proof.")],
    owner_key: keys.OwnerKeyPath = None,
    journal: Annotated[Path | None, typer.Option(help="Journal; default beside the key.")] = None,
    budget: Annotated[
        int, typer.Option(min=1, help="At most so many proofs and refusals with this key, for all models.")
    ] = BUDGET,
    despite_opened: Annotated[
        bool,
        typer.Option(
            "--despite-opened",
            help="Prove about all sets, also those that were opened or shown to somebody: whoever has them "
            "could have made this model.",
        ),
    ] = False,
    passphrase_file: PassphraseFile = None,
    owner_passphrase_file: OwnerPassphraseFile = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Prove ownership without showing a trigger: nothing is opened, and the key does not wear out.

    The proof says that the model gives enough triggers their label, and not which; it is about the sets that
    were never opened nor shown to anybody, and the key's owner signs it. That there is a proof, or is none,
    tells whoever made the model one bit: each is written to the journal first, and --budget ends them.

    Not yet reviewed by cryptographers outside the project.

    Example: earmark prove --key acme.key suspect.onnx -o ownership.proof
    """
    from earmark.files import write_new
    from earmark.formats import signed_proof_v1
    from earmark.keys.owner import check_owner
    from earmark.zero_knowledge.checker import check_proof
    from earmark.zero_knowledge.ownership import openings_of
    from earmark.zero_knowledge.prover import prove as make
    from earmark.zero_knowledge.signed_proof import sign_proof

    output = Output(quiet, as_json)
    keys.refuse_existing(out)
    marking_key = keys.read_key(key, passphrase_file)
    public = marking_key.verification_key
    _check_provable(marking_key)
    owner = keys.read_owner(owner_key or keys.owner_path(key), owner_passphrase_file)
    check_owner(public.transcript.owner, owner)
    opened = keys.open_journal(key, journal, marking_key)
    set_ids = _sets(opened, marking_key, despite_opened)
    claim = claim_from(public, keys.key_paths(key).commitments, model, set_ids, output)
    number = _write_down(opened, claim, budget)
    output.remark(about_sets(claim))
    output.remark(
        f"{claim.statement.input_count} triggers, {claim.statement.network.value_count} values each: "
        f"about {_rounded(claim.expected_seconds)} on two cores and {claim.expected_bytes / 1e9:.1f} GB"
    )
    openings = openings_of(marking_key, set_ids)
    with output.progress("proving") as on_progress:
        argument = make(claim.statement, openings, on_progress=on_progress).to_bytes()
    # A fault of ours is better found here than before a court.
    check_proof(claim.statement, argument)
    signed = sign_proof(public, set_ids, claim.suspect_identity, argument, owner)
    proof = signed_proof_v1.write(signed)
    write_new(out, proof)
    output.result(
        f"{out}: {len(proof) / 1e6:.1f} MB; it shows: {in_words(claim)}\n"
        f"proofs and refusals so far, by the journal: {number} of {budget}; each tells its model's maker one "
        f"bit\nanyone checks it: earmark check {out} --vk KEY.vk.json --suspect {model.name}\n"
        f"{not_reviewed(claim)}",
        {
            "proof": str(out),
            "bytes": len(proof),
            "proofs_so_far": number,
            "budget": budget,
            **value_of(claim),
        },
    )


def _check_provable(key: "MarkingKey") -> None:
    from earmark.errors import InvalidKeyError

    if key.randomness is None:
        raise InvalidKeyError(
            "the commitments of this key are not linear: make a new one with 'earmark keygen --provable'"
        )


def _sets(journal: "Journal", key: "MarkingKey", despite_opened: bool) -> "tuple[SetId, ...]":
    """Return the sets that nobody was shown, as ``earmark verify`` takes them; or all of them."""
    from earmark.errors import JournalError

    every = key.verification_key.set_ids
    if despite_opened:
        return every
    shown = journal.exposed_sets()
    left = tuple(set_id for set_id in every if set_id not in shown)
    if not left:
        names = set_names(every, every)
        raise JournalError(
            f"every set of this key ({names}) was opened or shown to somebody, and whoever has one could "
            "have made this model; --despite-opened proves all the same"
        )
    return left


def _write_down(journal: "Journal", claim: "OwnershipClaim", budget: int) -> int:
    """Journal the proof before it is tried, and return how many there were for all models.

    The same statement again gives the same answer, so that it tells nobody anything new: it counts once.
    """
    from earmark.errors import JournalError

    method = {
        "statistic": METHOD,
        "label_map": claim.label_map,
        "sets": set_names(claim.set_ids, claim.verification_key.set_ids),
        "statement": claim.statement.digest.hex(),
    }
    try:
        return journal.record_within(claim.suspect_identity, method, budget)
    except JournalError as error:
        if (count := journal.method_count(METHOD)) < budget:
            raise
        raise JournalError(
            f"{count} proofs and refusals were made with this key, and the budget is {budget}: each tells a "
            f"model's maker one bit about the triggers; --budget {count + 1} allows one more"
        ) from error


def _rounded(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
