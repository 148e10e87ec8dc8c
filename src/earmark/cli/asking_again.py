"""A claim put to a suspect by whoever checks it, for the commands check and compare."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from earmark.cli import keys, services
from earmark.cli.output import Output

if TYPE_CHECKING:
    from earmark.claims.checking import ClaimFindings
    from earmark.formats.journal_v1 import Journal
    from earmark.keys import VerificationKey
    from earmark.reports.claim_check import AskedAgain


class CheckersJournal:
    """The checker's own journal of one claim: first answers count for him as well.

    Made at the first question. One that lies beside a claim may have come with it, full of answers that
    nobody gave: it is only gone on with if the checker names it.

    Args:
        claim: The claim's file.
        named: The journal that the checker named, or None.
    """

    def __init__(self, claim: Path, named: Path | None) -> None:
        self.path = named or claim.with_name(f"{claim.name}.journal")
        self._is_own = named is not None

    def check(self) -> None:
        """Raise ValueError if something is there that the checker has not named."""
        if self._is_own:
            return
        for path in (self.path, services.record_path(self.path)):
            if path.exists() or path.is_symlink():
                raise ValueError(
                    f"{path} is there already: if you began this check yourself, go on with --journal "
                    f"{self.path}; if it came with the claim, delete it"
                )

    def opened(self, root: bytes) -> "Journal":
        """Return the journal, made if need be; ValueError as ``check``."""
        from earmark.formats.journal_v1 import Journal

        self.check()
        if not self.path.exists():
            Journal.create(self.path, root)  # which refuses a file that has appeared meanwhile
        self._is_own = True
        return Journal(self.path, root, keys.now)


@dataclass(frozen=True)
class Terms:
    """How suspects are opened and asked.

    Attributes:
        services: For services.
        model: Code of an architecture, or None.
        trust_code: Whether code may run.
        data_root: Where data lies.
    """

    services: services.ServiceOptions
    model: str | None
    trust_code: bool
    data_root: Path


def ask_suspect(
    name: str,
    key: "VerificationKey",
    findings: "ClaimFindings",
    journal: CheckersJournal,
    terms: Terms,
    output: Output,
    *,
    is_claimed: bool = True,
) -> "AskedAgain":
    """Put the opened questions to a suspect; to a service through a journal of the checker's own.

    Args:
        name: Of the suspect, as for ``earmark verify``.
        key: The public key file that the checker has.
        findings: Of the claim.
        journal: The checker's own.
        terms: How it is asked.
        output: For progress.
        is_claimed: Whether it is to be the suspect that the claim names.

    Raises:
        ValueError: A journal is there that the checker has not named.
        ClaimError: It is another suspect, or a mapping's classes are not the key's.
    """
    from earmark.claims.asking_again import ask_again, held_key, put_questions
    from earmark.cli.questioning import open_named
    from earmark.errors import ClaimError
    from earmark.reports.claim_check import AskedAgain

    root, statement = key.transcript.root, findings.statement
    held = held_key(findings, key)
    is_service = services.is_service(name)
    if is_service:
        journal.opened(root)  # before its record is
    # Options for services are for the suspect in dispute; what somebody released is a file.
    options = terms.services if is_service or is_claimed else services.PLAIN
    terms_of = services.terms_for(name, options, held, journal.path, terms.data_root, output)
    with terms_of as service_terms, output.progress("questioning") as on_progress:
        found = open_named(name, held, None, terms.model, terms.trust_code, None, service_terms)
        # In a mapping that the claimant hands over, classes of other names are a dial that nobody pays for.
        if is_service and services.has_foreign_classes(found, held, statement.label_map):
            raise ClaimError(
                6, "the service's classes are not called like the key's, so no map says what they mean"
            )
        own = journal.opened(root) if getattr(found, "is_remote", False) else None
        before = set() if own is None else set(own.replies(found.identity))
        verdict = (ask_again if is_claimed else put_questions)(
            findings,
            key,
            found,
            own,
            int(getattr(found, "form_count", 1)),
            lambda done: on_progress(done, len(findings.triggers)),
        )
    asked = {(question.set_id, question.place) for question in verdict.measurement.questions}
    if own is None:
        return AskedAgain(verdict)
    return AskedAgain(verdict, len(asked & before), services.remarks_on(found, verdict.measurement))
