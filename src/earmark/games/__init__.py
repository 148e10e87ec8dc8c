"""The paper's definitions and its five security games, as code that runs.

``definitions``  accurate models, backdoors, strong backdoors; measured, with exact bounds where estimated
``rules``        Verify as a player: the exact rule, and the paper's
``challenger``   the five games: any adversary can be entered

A game is an experiment and not a proof: it shows what one adversary of flesh and blood achieves. What is
proven, under which assumptions, is in docs/mathematics/games.md.
"""

from earmark.games.challenger import (
    MarkedModel,
    Outcome,
    World,
    correctness,
    functionality_preserving,
    marked_model,
    non_trivial_ownership,
    unforgeability,
    unremovability,
)
from earmark.games.definitions import (
    Classify,
    ErrorCount,
    count_errors,
    embeds,
    is_accurate,
    overlap,
)
from earmark.games.rules import Judgement, Rule, exact_rule, paper_rule

__all__ = [
    "Classify",
    "ErrorCount",
    "Judgement",
    "MarkedModel",
    "Outcome",
    "Rule",
    "World",
    "correctness",
    "count_errors",
    "embeds",
    "exact_rule",
    "functionality_preserving",
    "is_accurate",
    "marked_model",
    "non_trivial_ownership",
    "overlap",
    "paper_rule",
    "unforgeability",
    "unremovability",
]
