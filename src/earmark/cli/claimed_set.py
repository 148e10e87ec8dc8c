"""Which set a claim opens, and questioning a suspect about it."""

from typing import TYPE_CHECKING

from earmark.cli import services
from earmark.cli.output import Output

if TYPE_CHECKING:
    from earmark.formats.journal_v1 import Journal
    from earmark.keys import MarkingKey, SetId, VerificationKey
    from earmark.suspects import Suspect
    from earmark.verification import Measurement


def purpose(identity: str) -> str:
    """Return the words by which the journal knows why a set was opened."""
    return f"a claim about {identity}"[:1000]


def choose_set(journal: "Journal", key: "VerificationKey", identity: str, which: str) -> "SetId":
    """Return the set to open: after an interruption the same one for the same suspect."""
    from earmark.errors import JournalError
    from earmark.keys import SetId

    openings = {set_id: journal.opening(set_id) for set_id in key.set_ids}
    if which == "auto":
        for set_id, opening in openings.items():
            if opening is not None and opening[0] == purpose(identity):
                return set_id
        shown = journal.sets_shown_to(identity)
        kept = [set_id for set_id in key.set_ids if set_id in shown and openings[set_id] is None]
        return kept[0] if kept else journal.next_set(key.set_ids)
    stratum, _, number = which.partition(":")
    if not (stratum.isdigit() and number.isdigit()):
        raise ValueError(f"--set is 'auto' or STRATUM:NUMBER, e.g. 0:1, not {which!r}")
    set_id = SetId(int(stratum), int(number))
    if set_id not in openings:
        raise ValueError(f"the key has no set {which}")
    opening = openings[set_id]
    if opening is not None and opening[0] != purpose(identity):
        raise JournalError(
            f"set {which} was opened before ({opening[0][:200]!a}): whoever has it could have made this "
            "suspect"
        )
    return set_id


def question_set(
    suspect: "Suspect",
    key: "MarkingKey",
    journal: "Journal",
    set_id: "SetId",
    chosen: tuple[str, str, int],
    output: Output,
) -> "Measurement":
    """Question the suspect: a file shows nothing to anybody, a service is journalled question by question."""
    from earmark.errors import JournalError
    from earmark.verification import Method, evidence_needed, measure
    from earmark.verification.measurement import CLAIM_LABEL_MAPS, METHOD_CHOICES

    statistic, label_map, looks = chosen
    if label_map not in CLAIM_LABEL_MAPS:
        raise ValueError("a claim's --label-map is auto or split: a stranger can make no other again")
    if getattr(suspect, "is_remote", False):
        services.check_class_names(suspect, key, label_map)
        is_new = set_id not in journal.sets_shown_to(suspect.identity)
        if is_new and set_id in journal.exposed_sets():
            raise JournalError(f"set {set_id.stratum}:{set_id.number} was shown to others; use the next one")
    forms = int(getattr(suspect, "form_count", 1))
    with output.progress("questioning") as on_progress:
        return measure(
            key,
            suspect,
            journal,
            method=Method(statistic, label_map),
            set_ids=(set_id,),
            stop_at=lambda before: (
                evidence_needed(before, looks=looks, preprocessing_choices=forms) * METHOD_CHOICES
            ),
            on_answer=lambda done: on_progress(done, len(key.triggers[set_id])),
        )
