"""MarkingKey, VerificationKey, keygen(): commit first, labels after.

``transcript``  everything that is fixed before any label is known; its hash is the root
``labels``      labels and the order of questions, both derived from the root
``owner``       the owner's signing key
``pair``        the marking key (secret) and the verification key (public)
``generation``  keygen(): sample, commit, sign
"""

from earmark.keys.generation import StratumPlan, keygen, random_labels
from earmark.keys.labels import derive_labels, question_order
from earmark.keys.owner import OwnerKey
from earmark.keys.pair import MarkingKey, SetId, VerificationKey
from earmark.keys.transcript import Experiment, Owner, Stratum, Task, Transcript

__all__ = [
    "Experiment",
    "MarkingKey",
    "Owner",
    "OwnerKey",
    "SetId",
    "Stratum",
    "StratumPlan",
    "Task",
    "Transcript",
    "VerificationKey",
    "derive_labels",
    "keygen",
    "question_order",
    "random_labels",
]
