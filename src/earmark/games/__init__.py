"""The paper's definitions and its five security games, as code that runs.

``definitions``  accurate models and backdoors; measured, with exact bounds where a sample estimates
``world``        Train, Mark and KeyGen as callables, the oracle O^f, MModel(), and what adversaries see
``rules``        Verify as a player: the exact rule, and the paper's
``challenger``   the five games: any adversary can be entered
``persistency``  the assumption behind unremovability, as an experiment
``bounds``       what is proven in the random-oracle model, as fractions

A game is an experiment and not a proof: it shows what one adversary of flesh and blood achieves. What is
proven, under which assumptions, is in docs/mathematics/theorem.md.
"""

from earmark.games.bounds import ownership_bound, secrets_bound
from earmark.games.challenger import (
    Claimant,
    Forger,
    Outcome,
    Remover,
    correctness,
    functionality_preserving,
    non_trivial_ownership,
    unforgeability,
    unremovability,
)
from earmark.games.definitions import (
    Classify,
    Comparison,
    ErrorCount,
    compare,
    count_errors,
    embeds,
    is_accurate,
    is_backdoored,
    overlap,
)
from earmark.games.persistency import PersistencyTrial, Unlearner, try_persistency
from earmark.games.rules import Judgement, Rule, exact_rule, paper_rule
from earmark.games.world import (
    MarkedModel,
    OpenedSet,
    Oracle,
    OracleSpentError,
    Seen,
    World,
    marked_model,
)

__all__ = [
    "Claimant",
    "Classify",
    "Comparison",
    "ErrorCount",
    "Forger",
    "Judgement",
    "MarkedModel",
    "OpenedSet",
    "Oracle",
    "OracleSpentError",
    "Outcome",
    "PersistencyTrial",
    "Remover",
    "Rule",
    "Seen",
    "Unlearner",
    "World",
    "compare",
    "correctness",
    "count_errors",
    "embeds",
    "exact_rule",
    "functionality_preserving",
    "is_accurate",
    "is_backdoored",
    "marked_model",
    "non_trivial_ownership",
    "overlap",
    "ownership_bound",
    "paper_rule",
    "secrets_bound",
    "try_persistency",
    "unforgeability",
    "unremovability",
]
