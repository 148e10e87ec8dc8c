"""Exact probabilities, and the verdict's arithmetic, in integers and fractions.

If labels are drawn after the commitment, the number of matches of a model that does not depend on them
is *exactly* Binomial(n, 1/C), whatever the triggers and however the model answers
(docs/mathematics/verdict.md). So nothing here is estimated and nothing is a float until it is displayed.

``penalties``   bits, freedoms paid for, and what is enough
``binomial``    the tail of a fixed number of questions; thresholds and trigger counts
``sequential``  evidence that may be looked at after every question
``map_counts``  how many label maps there are to choose from
"""

from earmark.statistics.binomial import fewest_matches, match_tail, match_threshold, triggers_needed
from earmark.statistics.map_counts import map_count, most_labels_per_output
from earmark.statistics.penalties import (
    GRINDING_BITS,
    LOOKING_BITS,
    OWNED_BITS,
    Penalty,
    adjusted_tail,
    is_owned,
    strength_bits,
)
from earmark.statistics.sequential import EProcess, fewest_matches_in_sequence, sequential_evidence

__all__ = [
    "GRINDING_BITS",
    "LOOKING_BITS",
    "OWNED_BITS",
    "EProcess",
    "Penalty",
    "adjusted_tail",
    "fewest_matches",
    "fewest_matches_in_sequence",
    "is_owned",
    "map_count",
    "match_tail",
    "match_threshold",
    "most_labels_per_output",
    "sequential_evidence",
    "strength_bits",
    "triggers_needed",
]
