"""What ``earmark keygen --advise`` says."""

from earmark.cli.output import Output


def say_advice(class_names: tuple[str, ...], output: Output) -> None:
    """Say what each number of triggers would do."""
    from dataclasses import asdict
    from fractions import Fraction

    from earmark.evaluation.advice import advise, best, in_trained_models
    from earmark.keys.generation import DEFAULT_SURVIVAL
    from earmark.statistics import triggers_needed

    advice = advise(len(class_names))
    trained = in_trained_models()
    facts = {
        "classes": len(class_names),
        "advice": [asdict(one) for one in advice],
        "in_trained_models": [asdict(one) for one in trained],
    }
    if not advice:
        least = triggers_needed(Fraction(1, len(class_names)), DEFAULT_SURVIVAL)
        words = (
            f"With {len(class_names)} classes a set needs {least} triggers if {float(DEFAULT_SURVIVAL):.0%} "
            "are to suffice; nothing was measured with so many. earmark evaluate measures your own marks."
        )
        output.result(words, {**facts, "best": None})
        return
    chosen = best(advice)
    lines = [f"For {len(class_names)} classes, by attacks on plain marks of CIFAR-10 put in from scratch:"]
    for one in advice:
        attacks = len(one.survived) + len(one.removed_by)
        lines.append(
            f"  {one.triggers:5} triggers: {one.threshold} matches show the mark "
            f"({one.threshold / one.triggers:.0%}); survive {len(one.survived)} of {attacks} attacks"
        )
    each = chosen.triggers // chosen.sets
    lines += [
        f"Removed even from {chosen.triggers}: {'; '.join(chosen.removed_by) or 'by none'}.",
        f"Take --triggers {each} --sets {chosen.sets}. Measure your own task: earmark evaluate.",
        "Put into a trained CIFAR-10 model, each against attacks of its own (keygen …, mark --init MODEL …):",
    ]
    for way in trained:
        attacks = len(way.survived) + len(way.removed_by)
        lines += [
            f"  keygen {way.keygen}",
            f"    mark {way.mark}: {way.points_lost:.1f} points lost in {way.models} models; survive "
            f"{len(way.survived)} of {attacks} attacks; removed by {'; '.join(way.removed_by) or 'none'}",
        ]
    lines.append(
        "  MODEL is the trained model; ATTACKED what 'earmark attack fresh-stages MODEL --set epochs=3' "
        "makes of it, given three times, by three seeds."
    )
    output.result("\n".join(lines), {**facts, "best": chosen.triggers})
