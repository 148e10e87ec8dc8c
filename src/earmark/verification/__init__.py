"""Verify: measure() counts, verify() judges. The steps are numbered alike here, in errors and in reports.

    1  the owner's signature covers the transcript, and the public key file is this key's
    2  every trigger opens its commitment
    3  the labels are derived from the root
    4  the method is fixed and journalled before the first question
    5  the suspect answers every question once, in the order derived from the root
    6  answers are compared with labels; refusals, errors and ties are misses
    7  the exact chance of as many matches
    8  every freedom is paid for
    9  the verdict

Steps 1 to 6 are ``measure``, steps 7 to 9 ``verify``.

``measurement``    steps 1 to 6
``label_maps``     how a suspect's classes are read as the key's
``interview``      step 5: each question once, through the journal where that matters
``probabilities``  answers that say how sure the suspect is
``verdict``        steps 7 to 9
``paper_rule``     the paper's own Verify, for comparison: it never shows a mark on its own
"""

from earmark.verification.interview import Reply
from earmark.verification.label_maps import AUTO, BEST, SPLIT, FixedMap, map_from_clean_data
from earmark.verification.measurement import (
    FIXED,
    PROBABILITIES,
    SEQUENTIAL,
    Journal,
    Measurement,
    Method,
    Question,
    check_key,
    measure,
)
from earmark.verification.verdict import Verdict, evidence_needed, penalties, verify

__all__ = [
    "AUTO",
    "BEST",
    "FIXED",
    "PROBABILITIES",
    "SEQUENTIAL",
    "SPLIT",
    "FixedMap",
    "Journal",
    "Measurement",
    "Method",
    "Question",
    "Reply",
    "Verdict",
    "check_key",
    "evidence_needed",
    "map_from_clean_data",
    "measure",
    "penalties",
    "verify",
]
