"""Names to attacks. Resolved when used, so that naming them needs no framework."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from earmark.attacks.protocol import ModelAttack, SuspectAttack

ATTACKS: dict[str, str] = {
    # fine-tuning
    "ftll": "earmark.attacks.fine_tuning:FTLL",
    "ftal": "earmark.attacks.fine_tuning:FTAL",
    "rtll": "earmark.attacks.fine_tuning:RTLL",
    "rtal": "earmark.attacks.fine_tuning:RTAL",
    "fine-tune-strong": "earmark.attacks.fine_tuning:STRONG",
    "mixup": "earmark.attacks.mixup:MIXUP",
    "transfer": "earmark.attacks.fine_tuning:TRANSFER",
    "regularise-first": "earmark.attacks.regularised:REGULARISED",
    "refit": "earmark.attacks.regularised:REFIT",
    # pruning
    "prune-magnitude": "earmark.attacks.pruning:MAGNITUDE",
    "prune-random": "earmark.attacks.pruning:RANDOM",
    "fine-pruning": "earmark.attacks.pruning:FINE_PRUNING",
    "anp": "earmark.attacks.pruning:ANP",
    # weights
    "int8": "earmark.attacks.weight_changes:INT8",
    "int4": "earmark.attacks.weight_changes:INT4",
    "weight-noise": "earmark.attacks.weight_changes:NOISE",
    "weight-shifting": "earmark.attacks.weight_changes:SHIFTING",
    # repair
    "nad": "earmark.attacks.repair:NAD",
    "fst": "earmark.attacks.repair:FST",
    "wrk": "earmark.attacks.repair:WRK",
    "adversarial-training": "earmark.attacks.repair:ADVERSARIAL_TRAINING",
    # invert and unlearn
    "neural-cleanse": "earmark.attacks.inversion:NEURAL_CLEANSE",
    "laundering": "earmark.attacks.inversion:LAUNDERING",
    "i-bau": "earmark.attacks.inversion:I_BAU",
    "dehydra": "earmark.attacks.inversion:DEHYDRA",
    # extraction
    "extract-soft": "earmark.attacks.extraction:SOFT",
    "extract-hard": "earmark.attacks.extraction:HARD",
    "distil": "earmark.attacks.extraction:DISTILLATION",
    "extract-other-architecture": "earmark.attacks.extraction:CROSS_ARCHITECTURE",
    "knockoff": "earmark.attacks.extraction:KNOCKOFF",
    # piracy
    "piracy": "earmark.attacks.piracy:PIRACY",
    # adaptive
    "surrogates-uniform": "earmark.attacks.adaptive:UNIFORM",
    "surrogates-natural": "earmark.attacks.adaptive:NATURAL",
    "surrogates-other": "earmark.attacks.adaptive:OTHER_SAMPLER",
    "refuse-sampled": "earmark.attacks.adaptive:SAMPLED",
    "fresh-stages": "earmark.attacks.fine_tuning:FRESH_STAGES",
    # query time
    "jpeg": "earmark.attacks.query_time:JPEG",
    "blur": "earmark.attacks.query_time:BLUR",
    "input-noise": "earmark.attacks.query_time:NOISE",
    "flip": "earmark.attacks.query_time:FLIP",
    "flip-averaging": "earmark.attacks.query_time:FLIP_AVERAGING",
    "fewer-colours": "earmark.attacks.query_time:COLOURS",
    "median": "earmark.attacks.query_time:MEDIAN",
    "feature-squeezing": "earmark.attacks.query_time:SQUEEZING",
    "refuse-unsure": "earmark.attacks.query_time:CONFIDENCE",
    "refuse-strange": "earmark.attacks.query_time:STRANGE_PICTURES",
    "randomise-strange": "earmark.attacks.query_time:STRANGE_RANDOM",
    "refuse-outliers": "earmark.attacks.outliers:OUTLIERS",
    "answer-noise": "earmark.attacks.query_time:ANSWER_NOISE",
    "ensemble": "earmark.attacks.ensemble:ENSEMBLE",
}


def attack_named(name: str, **changes: Any) -> ModelAttack | SuspectAttack:
    """Return the attack of that name.

    Args:
        name: An entry of the table.
        **changes: Attributes with other values than the defaults; those of nested settings by their own
            name, e.g. ``epochs=5``.

    Returns:
        The configured value.

    Raises:
        ValueError: There is no such name, or the attack has no such attribute, or the value does not fit.
    """
    if name not in ATTACKS:
        raise ValueError(f"unknown attack {name!r}; known: {', '.join(ATTACKS)}")
    module, _, attribute = ATTACKS[name].partition(":")
    attack: Any = getattr(import_module(module), attribute)
    for key, value in changes.items():
        attack = _changed(attack, name, key, value)
    return attack  # type: ignore[no-any-return]  # the contract tests hold the table to its protocols


def configuration(attack: Any) -> dict[str, Any]:
    """Return every number of an attack, nested settings included, without its card.

    Returns:
        Values that JSON can hold.
    """
    values: dict[str, Any] = {}
    for item in fields(attack):
        value = getattr(attack, item.name)
        if item.name == "card":
            continue
        values[item.name] = configuration(value) if is_dataclass(value) else value
    return values


def _changed(attack: Any, name: str, key: str, value: Any) -> Any:
    own = {item.name for item in fields(attack)} - {"card"}
    if key in own:
        return replace(attack, **{key: value})
    for inner in sorted(own):
        settings = getattr(attack, inner)
        if is_dataclass(settings) and key in {item.name for item in fields(settings)}:
            return replace(attack, **{inner: replace(settings, **{key: value})})  # type: ignore[type-var]
    raise ValueError(f"the attack {name} has no {key!r}; it has {', '.join(sorted(_names(attack)))}")


def _names(attack: Any) -> set[str]:
    names: set[str] = set()
    for item in fields(attack):
        value = getattr(attack, item.name)
        if item.name != "card":
            names |= _names(value) if is_dataclass(value) else {item.name}
    return names
