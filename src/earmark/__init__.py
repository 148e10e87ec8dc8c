"""Earmark: mark a classifier as yours, and prove it later.

An owner commits to secret trigger inputs (``keygen``); only then do their labels exist, derived from the
commitment. A model trained with them (``mark``, or ``MarkedLoader`` in any PyTorch loop) answers the
triggers with those labels. A suspect that does so far more often than chance depends on the key, and
``verify`` says how exactly:

    >>> import earmark
    >>> earmark.match_threshold(100, earmark.Fraction(1, 10))
    69

69 of 100 matches would come about by chance with probability below 2^-144: 40 bits after every freedom
that a false claimant could have used is paid for.

The method is Adi, Baum, Cisse, Pinkas and Keshet, "Turning Your Weakness Into a Strength: Watermarking
Deep Neural Networks by Backdooring" (USENIX Security 2018); what is ours is said where it stands.

Names are loaded when they are used, so that ``import earmark`` needs no framework.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from fractions import Fraction

    from earmark.errors import EarmarkError
    from earmark.keys import MarkingKey, OwnerKey, Task, VerificationKey, keygen
    from earmark.marking.mixing import MarkedLoader, Mixer
    from earmark.marking.recipes import FROM_SCRATCH, PRE_TRAINED, mark
    from earmark.statistics import match_tail, match_threshold, triggers_needed
    from earmark.suspects import Suspect
    from earmark.suspects.opening import open_suspect
    from earmark.triggers import Backdoor, Trigger
    from earmark.triggers.abstract import AbstractSampler
    from earmark.triggers.image import ImageGeometry
    from earmark.verification import Verdict, measure, verify

_HOMES = {
    "AbstractSampler": "earmark.triggers.abstract",
    "Backdoor": "earmark.triggers",
    "EarmarkError": "earmark.errors",
    "FROM_SCRATCH": "earmark.marking.recipes",
    "Fraction": "fractions",
    "ImageGeometry": "earmark.triggers.image",
    "MarkedLoader": "earmark.marking.mixing",
    "MarkingKey": "earmark.keys",
    "Mixer": "earmark.marking.mixing",
    "OwnerKey": "earmark.keys",
    "PRE_TRAINED": "earmark.marking.recipes",
    "Suspect": "earmark.suspects",
    "Task": "earmark.keys",
    "Trigger": "earmark.triggers",
    "VerificationKey": "earmark.keys",
    "Verdict": "earmark.verification",
    "keygen": "earmark.keys",
    "mark": "earmark.marking.recipes",
    "match_tail": "earmark.statistics",
    "match_threshold": "earmark.statistics",
    "measure": "earmark.verification",
    "open_suspect": "earmark.suspects.opening",
    "triggers_needed": "earmark.statistics",
    "verify": "earmark.verification",
}

__all__ = [
    "FROM_SCRATCH",
    "PRE_TRAINED",
    "AbstractSampler",
    "Backdoor",
    "EarmarkError",
    "Fraction",
    "ImageGeometry",
    "MarkedLoader",
    "MarkingKey",
    "Mixer",
    "OwnerKey",
    "Suspect",
    "Task",
    "Trigger",
    "Verdict",
    "VerificationKey",
    "__version__",
    "keygen",
    "mark",
    "match_tail",
    "match_threshold",
    "measure",
    "open_suspect",
    "triggers_needed",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'earmark' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
