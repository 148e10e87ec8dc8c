"""What can go wrong, as one tree.

    EarmarkError
    ├── FormatError                 bytes are not what they say they are
    │   ├── UnsupportedVersionError     a newer or unknown version of a known kind
    │   └── PassphraseError             an encrypted file does not open
    ├── InvalidKeyError             a key contradicts itself: signature, root, opening or count
    ├── TriggerSetTooSmallError     the numbers cannot give the asked assurance
    ├── SimilarTriggersError        a sampler cannot make triggers that differ enough
    ├── VerificationError           a numbered step of the verification refuses the claim
    ├── ClaimError                  a numbered step of checking a claim refuses it
    ├── ProofError                  a numbered step of an ownership proof refuses it
    ├── JournalError                the journal is missing, altered, or forbids this use of a set
    ├── SuspectError                the suspect cannot be questioned
    │   └── BudgetError                 what it may cost is used up; what was answered is kept
    ├── TimestampError              a time-stamping authority cannot be asked, or its stamp shows nothing
    ├── MarkingError                training ended without a usable mark
    └── MissingExtraError           an optional dependency is not installed

A caller's mistake is a ``ValueError`` or ``TypeError``; the world's fault is one of these. Nothing
foreign leaks: a parser given foreign bytes raises only ``FormatError``. Messages say what is wrong
and what to do next, and never hold secret material.
"""


class EarmarkError(Exception):
    """Everything this package raises on account of the world outside."""


class FormatError(EarmarkError):
    """Bytes are not what they say they are."""


class UnsupportedVersionError(FormatError):
    """A file of a known kind in a version that this release does not read."""


class PassphraseError(FormatError):
    """An encrypted file does not open: wrong passphrase, or altered bytes."""


class InvalidKeyError(EarmarkError):
    """A key contradicts itself."""


class TriggerSetTooSmallError(EarmarkError):
    """The planned numbers cannot give the asked assurance."""


class SimilarTriggersError(EarmarkError):
    """A sampler did not make triggers that differ enough from each other."""


class VerificationError(EarmarkError):
    """A numbered step of the verification refuses to go on.

    Attributes:
        step: The step's number, as in ``earmark.verification``.
    """

    def __init__(self, step: int, message: str) -> None:
        super().__init__(f"step {step}: {message}")
        self.step = step


class ClaimError(EarmarkError):
    """A numbered step of checking a claim refuses to go on.

    Attributes:
        step: The step's number, as in ``earmark.claims.checking``.
    """

    def __init__(self, step: int, message: str) -> None:
        super().__init__(f"step {step}: {message}")
        self.step = step


class ProofError(EarmarkError):
    """A numbered step of making or checking an ownership proof refuses to go on.

    Attributes:
        step: The step's number, as in ``earmark.zero_knowledge.signed_proof`` for a whole file and in
            ``earmark.zero_knowledge.checker`` for the argument in it; 0 while it is made.
    """

    def __init__(self, step: int, message: str) -> None:
        super().__init__(f"step {step}: {message}")
        self.step = step


class JournalError(EarmarkError):
    """The journal is missing, altered, locked, or forbids this use of a set."""


class SuspectError(EarmarkError):
    """The suspect cannot be questioned."""


class TimestampError(EarmarkError):
    """A time-stamping authority cannot be asked, or its stamp does not show what it should."""


class BudgetError(SuspectError):
    """What questioning may cost is used up; what was answered is kept."""


class MarkingError(EarmarkError):
    """Training ended without a usable mark."""


class MissingExtraError(EarmarkError):
    """An optional dependency is not installed.

    Attributes:
        extra: The name of the extra that installs it.
    """

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed; run: pip install 'earmark[{extra}]'")
        self.extra = extra
