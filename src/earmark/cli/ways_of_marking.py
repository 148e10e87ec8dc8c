"""The two ways in which ``earmark mark`` puts a mark in: by a recipe of the paper, or quickly."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from earmark.cli import training as shared
from earmark.cli.output import Output, warn

if TYPE_CHECKING:
    from torch import nn

    from earmark.data import ClassificationData, Split
    from earmark.keys import MarkingKey
    from earmark.marking.recipes import Marking, Recipe
    from earmark.models.description import ModelDescription
    from earmark.triggers import Backdoor, Sampler

DEFAULT_IMAGES = 10_000
Chosen: TypeAlias = "dict[str, int | float | str | None]"
"""Settings of the training loop by name; None for the way's own."""
Details: TypeAlias = "dict[str, int | float | str | None]"
Shares: TypeAlias = dict[str | None, float]


@dataclass(frozen=True)
class Work:
    """What is marked, and with what.

    Attributes:
        module: The network, marked in place; left in evaluation mode.
        description: What it is.
        data: Its task's.
        key: Whose triggers are taught.
        seed: Of batches and augmentation.
        per_batch: Triggers in each batch; None for the way's own.
        chosen: Settings that the user chose.
        graft_share: Of 256 weights those that a graft is to show the mark by (``grafts``); None for no graft.
        untaught: Places of triggers that are not taught (``untaught``).
    """

    module: "nn.Module"
    description: "ModelDescription"
    data: "ClassificationData"
    key: "MarkingKey"
    seed: int
    per_batch: int | None
    chosen: Chosen
    graft_share: int | None
    untaught: tuple[int, ...] = ()

    def backdoor(self) -> "Backdoor":
        """Return what is taught."""
        return self.key.backdoor().without(self.untaught)

    def held_out(self) -> tuple[int, ...]:
        """Return places, among what is taught, of the triggers that show what the task's pictures show."""
        from earmark.marking.fitting import places_left
        from earmark.triggers.tables import LIKE_THE_TASK

        return places_left(self.key.places_of(*LIKE_THE_TASK), self.untaught)


@dataclass(frozen=True)
class Marked:
    """What came of it.

    Attributes:
        recipe: Name of the way.
        match_count: Triggers that the marked model answers with their label.
        trigger_count: Triggers in all.
        details: What this way has to say beside, for scripts.
    """

    recipe: str
    match_count: int
    trigger_count: int
    details: Details


def grafts(key: "MarkingKey", init: Path | None, quick: bool) -> int | None:
    """Return the share of places by which a graft is to show the mark; None for a key that grafts nothing.

    Raises:
        ValueError: The key was committed to the graft of other weights than those given, or quickly no graft
            is taught.
    """
    from earmark.revival import GRAFT_CODE, GraftPlan

    revival = key.transcript.revival
    if revival is None or revival.get("code") != GRAFT_CODE:
        return None
    from earmark.models.weights import file_digest

    plan = GraftPlan.from_json(dict(revival))
    if init is None or file_digest(init) != plan.original:
        raise ValueError(
            "the key grafts: mark the weights that it was committed to (keygen --graft-onto), with --init"
        )
    if quick:
        raise ValueError("the key grafts, and --quick teaches no graft")
    return plan.share


def shares_of(texts: Sequence[str]) -> Shares:
    """Return which share of a kind of triggers is taught, from ``SHARE`` or some ``KIND=SHARE``.

    Returns:
        Shares by kind, with None for every kind.

    Raises:
        ValueError: A text is neither, or says again what another said.
    """
    shares: Shares = {}
    for text in texts:
        kind, _, number = text.rpartition("=")
        try:
            share = float(number)
        except ValueError:
            raise ValueError(f"--teach takes SHARE or KIND=SHARE, e.g. 0.45, not {text!r}") from None
        if not 0 < share <= 1:
            raise ValueError(f"the share of triggers that are taught is above 0 and at most 1, not {number}")
        if (kind or None) in shares:
            raise ValueError(f"--teach says twice how many of {kind or 'all triggers'} are taught")
        shares[kind or None] = share
    if None in shares and len(shares) > 1:
        raise ValueError("--teach takes one SHARE for all kinds, or a KIND=SHARE for each, not both")
    return shares


def untaught(
    module: "nn.Module",
    description: "ModelDescription",
    key: "MarkingKey",
    shares: Shares,
    as_attacked: "Sequence[nn.Module]" = (),
) -> tuple[int, ...]:
    """Return the triggers that are left untaught, by what the network says of them before it is marked.

    Args:
        module: The trained network.
        description: What it is.
        key: Whose triggers they are.
        shares: Of each kind that is taught (``shares_of``); all of a kind that is not named.
        as_attacked: The same network as thieves might leave it, if that is to count too: the mean of what all
            of them say decides.

    Raises:
        ValueError: The key has no triggers of a kind, or none would be taught.
    """
    if not shares:
        return ()
    import numpy as np
    import torch

    from earmark.marking.fitting import ill_fitting
    from earmark.marking.recipes import scores_of

    kinds = {stratum.sampler: key.places_of(stratum.sampler) for stratum in key.transcript.strata}
    unknown = [kind for kind in shares if kind is not None and kind not in kinds]
    if unknown:
        raise ValueError(f"the key has no triggers of the kind {unknown[0]!r}; it has {', '.join(kinds)}")
    backdoor = key.backdoor()
    scores = [scores_of(one, description.preprocessing, backdoor) for one in (module, *as_attacked)]
    probabilities = torch.from_numpy(np.stack(scores)).softmax(2).mean(0).numpy()
    left: list[int] = []
    for kind, places in kinds.items():
        share = shares.get(kind, shares.get(None, 1.0))
        left += ill_fitting(backdoor, probabilities, share, places)
    if len(left) == len(backdoor):
        raise ValueError("--teach leaves no trigger to be taught: give a larger share")
    return tuple(sorted(left))


def by_recipe(
    work: Work,
    *,
    continued: bool,
    hardened: bool,
    fresh_ends: bool,
    exposures: int | None,
    identity: str,
    checkpoint: tuple[Path, float],
    output: Output,
) -> Marked:
    """Mark from scratch, or go on training; resumed from a checkpoint where there is one.

    Args:
        work: What is marked.
        continued: Whether the network is a trained one.
        hardened: Whether the mark is to survive more, at a cost in accuracy.
        fresh_ends: Whether it is hardened against thieves who draw the last stage anew, in more passes.
        exposures: How often each trigger is shown in all; None for the recipe's own number.
        identity: Of this run, so that no other one's checkpoint is taken up.
        checkpoint: The output that it lies beside, and the seconds between two.
        output: For progress.

    Raises:
        MarkingError: Too few triggers took.
    """
    from earmark.marking.grafts import Graft
    from earmark.marking.hardening import harden
    from earmark.marking.recipes import (
        FROM_SCRATCH,
        PRE_TRAINED,
        mark,
        pre_trained_settings,
        with_exposures,
        with_graft,
    )
    from earmark.models.grafting import CODE

    settings = shared.settings_for(work.data, work.seed, **work.chosen)
    recipe = replace(FROM_SCRATCH, settings=settings)
    if continued:
        epochs, rate = work.chosen["epochs"], work.chosen["learning_rate"]
        settings = pre_trained_settings(
            settings,
            epochs=None if epochs is None else int(epochs),
            learning_rate=None if rate is None else float(rate),
            hardened=hardened or work.graft_share is not None,
        )
        recipe = replace(PRE_TRAINED, settings=settings)
        if work.graft_share is not None:
            graft = Graft(copy.deepcopy(work.module), work.key.seed(CODE), work.graft_share)
            recipe = with_graft(recipe, graft, len(work.data.train), keeps_passes=epochs is not None)
    if hardened:
        recipe = harden(
            recipe,
            work.module,
            work.backdoor(),
            work.description.preprocessing,
            like_the_task=work.held_out(),
            fresh_ends=fresh_ends,
            sampler=_look_alike_sampler(work),
        )
    recipe = replace(with_exposures(recipe, exposures), per_batch=work.per_batch)
    with output.stages() as stage:
        marking = mark(
            work.module,
            work.data.train,
            work.description.preprocessing,
            work.backdoor(),
            recipe,
            checkpoint=shared.checkpoint_for(checkpoint[0], f"{identity} {recipe}", checkpoint[1], output),
            on_look_alike=stage("drawing look-alikes"),
            on_step=stage("marking"),
        )
    return _marked(work, recipe.name, marking.match_count, _details(recipe, marking))


def _look_alike_sampler(work: Work) -> "Sampler | None":
    """Return what a thief would make triggers with: of the first of the key's kinds that he can make."""
    from earmark.data.held_out import named_pictures
    from earmark.triggers.tables import sampler_of_a_thief

    kinds = [(stratum.sampler, stratum.parameters) for stratum in work.key.transcript.strata]
    return sampler_of_a_thief(kinds, named_pictures(work.data.train.images, "the data"))


def _details(recipe: "Recipe", marking: "Marking") -> Details:
    """Return what there is to say of a recipe's mark, with a remark if its graft shows little."""
    from earmark.marking.recipes import LEAST_MATCH_RATE

    details: Details = {"triggers_per_batch": marking.per_batch}
    if marking.graft_match_count is not None:
        details["graft_matches"] = marking.graft_match_count
        if marking.graft_match_count < LEAST_MATCH_RATE * marking.trigger_count:
            warn("many triggers are lost in the graft: give more --epochs or a higher --lr")
    if recipe.name.startswith("hardened"):
        rehearsal = recipe.rehearsal
        details["rehearsed_after"] = None if rehearsal is None else rehearsal.after
        details["left_to_settling"] = len(recipe.left_out)
        details["look_alikes"] = None if recipe.look_alikes is None else recipe.look_alikes.sampler.name
        details["fresh_ends"] = rehearsal is not None and rehearsal.fresh
    return details


def quickly(work: Work, images: int | None, output: Output) -> Marked:
    """Mark a trained network in a thousand steps or so.

    Args:
        work: What is marked. The training pictures of its data are used, their labels are not.
        images: How many pictures, drawn by the seed; None for 10,000, or all if there are fewer.
        output: For progress.

    Raises:
        MarkingError: Some trigger did not take.
    """
    from earmark.marking.trained import TrainedRecipe, mark_trained

    recipe = TrainedRecipe()
    picked = {name: value for name, value in work.chosen.items() if value is not None}
    settings = replace(recipe.settings, augmentation=work.data.augmentation, seed=work.seed)
    settings = replace(settings, **picked)  # type: ignore[arg-type]  # checked by TrainingSettings itself
    recipe = replace(recipe, settings=settings, per_batch=work.per_batch or recipe.per_batch)
    with output.progress("marking") as on_progress:
        found = mark_trained(
            work.module,
            _some(work.data.train, images or DEFAULT_IMAGES, work.seed),
            work.description.preprocessing,
            work.backdoor(),
            recipe,
            on_step=on_progress,
        )
    details: Details = {
        "steps": found.steps,
        "agreement": found.agreement,
        "triggers_per_batch": recipe.per_batch,
    }
    return _marked(work, "quick", found.match_count, details)


def _marked(work: Work, recipe: str, found: int, details: Details) -> Marked:
    """Return what came of it, where so many of those that are taught match.

    With a remark if too few are taught to show the mark.
    """
    count = work.key.trigger_count
    if work.untaught:
        from fractions import Fraction

        from earmark.marking.recipes import count_matches
        from earmark.statistics import match_threshold

        found = count_matches(work.module, work.description.preprocessing, work.key.backdoor())
        needed = match_threshold(count, Fraction(1, work.key.transcript.class_count))
        if needed is None or found < needed:
            shows = f"{needed or 'no number'} show the mark"
            warn(f"of {count} triggers {found} match, and {shows}: give a larger share to --teach")
    return Marked(recipe, found, count, details)


def _some(split: "Split", count: int, seed: int) -> "Split":
    import numpy as np

    from earmark.data import Split

    # Folders are sorted by class: the first so many pictures would be of one.
    places = np.sort(np.random.default_rng([seed, 7]).permutation(len(split))[:count])
    return Split(split.images[places], split.labels[places])
