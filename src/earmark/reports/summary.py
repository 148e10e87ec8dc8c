"""The verdict for programs: exact numbers, for ``--json``."""

from collections import Counter
from fractions import Fraction
from typing import Any

from earmark.reports.explanation import claim_bound, penalty_bits, verdict_word
from earmark.statistics import OWNED_BITS
from earmark.verification import Verdict

FORMAT = "earmark/verdict/v1"


def summary_json(verdict: Verdict) -> dict[str, Any]:
    """Return the verdict as a JSON value.

    What decides is exact: counts are integers, probabilities are pairs of hexadecimal texts such as
    ``"0x1f"``, which have no limit of length in any language. What ends in ``_bits`` is a float for
    display. Names are as foreign as they were handed in.

    Args:
        verdict: What ``verify`` returned.

    Returns:
        Only dictionaries, lists, texts, numbers, booleans and None.
    """
    measured = verdict.measurement
    key = measured.verification_key
    return {
        "format": FORMAT,
        "verdict": verdict_word(verdict),
        "owned": verdict.owned,
        "mark_shown": verdict.mark_shown,
        "rule": {
            "statistic": measured.statistic,
            "labels": key.transcript.labels["rule"],
            "owned_bits": OWNED_BITS,
            "threshold": verdict.threshold,
        },
        "matches": measured.match_count,
        "questions": measured.question_count,
        "misses": _misses(verdict),
        "chance": _fraction(verdict.chance),
        "tail": _fraction(verdict.tail),
        "bound": _fraction(claim_bound(verdict)),
        "strength_bits": verdict.strength_bits,
        "penalty_bits": penalty_bits(verdict),
        "claim_bits": verdict.claim_bits,
        "penalties": [
            {
                "name": penalty.name,
                "alternatives": hex(penalty.alternatives),
                "penalty_bits": penalty.bits,
                "reason": penalty.reason,
            }
            for penalty in verdict.penalties
        ],
        "recorded_by": verdict.recorded_by,
        "attested_by": verdict.attested_by,
        "restored_layer": verdict.restored_layer,
        "suspect": {
            "name": measured.suspect_name,
            "identity": measured.suspect_identity,
            "preprocessing": measured.preprocessing,
            "label_map": measured.label_map,
            "label_map_identity": measured.label_map_identity,
            "method_count": measured.method_count,
        },
        "key": {
            "owner": key.transcript.owner.name,
            "public_key": key.transcript.owner.public_key.hex(),
            "root": key.transcript.root.hex(),
            "class_count": key.transcript.class_count,
            "timestamp_count": len(key.timestamps),
        },
        "sets": _sets(verdict),
    }


def _misses(verdict: Verdict) -> dict[str, int]:
    measured = verdict.measurement
    counts = {miss.value: count for miss, count in measured.miss_counts.items()}
    other = measured.question_count - measured.match_count - sum(counts.values())
    return ({"another class": other} if other else {}) | counts


def _sets(verdict: Verdict) -> list[dict[str, Any]]:
    measured = verdict.measurement
    asked = Counter(question.set_id for question in measured.questions)
    matched = Counter(question.set_id for question in measured.questions if question.matches)
    strata = measured.verification_key.transcript.strata
    return [
        {
            "stratum": strata[set_id.stratum].name,
            "set": set_id.number,
            "questions": count,
            "matches": matched[set_id],
        }
        for set_id, count in asked.items()
    ]


def _fraction(value: Fraction) -> dict[str, str]:
    return {"numerator": hex(value.numerator), "denominator": hex(value.denominator)}
