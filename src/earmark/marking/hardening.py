"""The hardened recipe: parts put together so that marks survive more, at a cost in time."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from earmark.marking.augmentation import TriggerAugmentation
from earmark.marking.embedding import Embedding
from earmark.marking.grafts import Graft
from earmark.marking.look_alikes import LookAlikes
from earmark.marking.recipes import Recipe
from earmark.marking.rehearsal import Rehearsal, RehearsedEnds
from earmark.models.preprocessing import Preprocessing
from earmark.models.stages import stage_ends
from earmark.triggers import Backdoor, Sampler
from earmark.triggers.abstract import AbstractSampler

# Measured by benchmarks/table1.py and studies/robustness-rehearsed.toml.
_HARDENED_EXPOSURES = 60
_TRIGGERS_IN_A_SHOWN_ONE = 32
_LOOK_ALIKES_PER_BATCH = 8
_SETTLING_EXPOSURES = 16
_SETTLING_RATE, _SETTLING_RATE_AFTER_FRESH_ENDS = 0.2, 0.8  # of the rate before
_SETTLING_ANSWERS = 0.5
_HELD_OUT_EXPOSURES, _HELD_OUT_SHIFT = 120, 0.125  # of held-out pictures alone; benchmarks/fitting_labels.py
_MIRRORED = TriggerAugmentation(share=1.0, shift=0.0, colour=0.0, noise=0.0, jpeg=0)


def harden(
    recipe: Recipe,
    module: nn.Module,
    backdoor: Backdoor,
    preprocessing: Preprocessing,
    *,
    like_the_task: Sequence[int] = (),
    fresh_ends: bool = False,
    sampler: Sampler | None = None,
) -> Recipe:
    """Return a recipe whose marks are to survive more than the plain mixture's, at a cost in accuracy.

    Mirrored triggers, so that mirroring every question removes nothing; look-alikes, against thieves who have
    the sampler; other ends of the network that read the triggers too, against new last layers. Each trigger
    is shown 60 times or more, one in 32 in every batch, and counts as much as a clean picture. From scratch
    the first quarter of the training goes without triggers. A trained model settles afterwards, in as many
    passes at a fifth of the rate, with mirrored triggers alone: most of the accuracy comes back. A graft is
    taught then, and once more in as many passes, in which it counts for less. What it is worth, measured in a
    trained model: docs/robustness.md.

    Where all triggers are held-out pictures of the task none of these parts is of use. They are shown in the
    plain mixture, 120 times, mirrored and shifted like the clean pictures, in twice as many passes at four
    fifths of the rate.

    Args:
        recipe: One of the paper's; its numbers stay where these parts have none of their own.
        module: What is to be marked; it is looked at, and left as it is.
        backdoor: Whose triggers it gets.
        preprocessing: From triggers to what the network reads.
        like_the_task: Places of triggers that are held-out pictures of the task, or mixtures of such. To an
            end that never saw them they are what they show, whatever their label: no end is to read them, and
            they are left to the settling, in which all triggers are then shown as often as before it.
        fresh_ends: Whether the other ends begin with new weights throughout, against thieves who draw the
            last stage anew. What they cost in accuracy comes back more slowly: a trained model then settles
            in twice as many passes, at four fifths of the rate, with the look-alikes and as many showings.
        sampler: Makes the look-alikes, as a thief would (``sampler_of_a_thief``); None for abstract pictures.

    Returns:
        The recipe.

    Raises:
        ValueError: The triggers are no pictures; some are like the task and there is no settling; or all are,
            and fresh ends would have nothing to read.
    """
    first = backdoor.triggers[0]
    if first.kind != "image":
        raise ValueError(f"only marks of pictures are hardened, not of {first.kind}")
    inputs = torch.from_numpy(preprocessing(first.value[None]))
    hardened_count = len(backdoor) - len(set(like_the_task))
    if like_the_task and not recipe.needs_trained_model:
        raise ValueError(
            "held-out pictures of the task are taught while a model settles, and only a trained model does"
        )
    if hardened_count == 0:
        if fresh_ends:
            raise ValueError(
                "all triggers are held-out pictures of the task, or mixtures: fresh ends have none to read"
            )
        return _held_out_alone(recipe)
    shown = replace(
        recipe,
        graft=None,
        embedding=Embedding(weight=None, clean_norm=False),
        augmentation=_MIRRORED,
        look_alikes=LookAlikes(sampler or AbstractSampler(), per_batch=_LOOK_ALIKES_PER_BATCH),
    )
    is_trained = recipe.needs_trained_model
    return replace(
        shown,
        name=f"hardened-{recipe.name}",
        exposures=_HARDENED_EXPOSURES,
        least_per_batch=-(-hardened_count // _TRIGGERS_IN_A_SHOWN_ONE),
        rehearsal=_rehearsal(module, inputs, _ends(is_trained, fresh_ends)),
        start=0.0 if is_trained else 0.25,
        settling=_settling(shown, recipe.graft, fresh_ends, bool(like_the_task)) if is_trained else None,
        left_out=tuple(like_the_task),
    )


def _held_out_alone(recipe: Recipe) -> Recipe:
    """Return what held-out pictures of the task are taught by where there are no others."""
    settings = recipe.settings
    rate = _SETTLING_RATE_AFTER_FRESH_ENDS * settings.learning_rate
    return replace(
        recipe,
        name=f"hardened-{recipe.name}",
        settings=replace(settings, epochs=2 * settings.epochs, learning_rate=rate),
        augmentation=replace(_MIRRORED, shift=_HELD_OUT_SHIFT),
        exposures=_HELD_OUT_EXPOSURES,
        own_answers=_SETTLING_ANSWERS,
    )


def _ends(is_trained: bool, fresh: bool) -> Rehearsal:
    """Return which ends there are, after a layer yet to be found.

    From scratch one alone keeps to the target of time (benchmarks/mixing_cost.py), and each of the fresh ones
    has the weight that it has beside another.
    """
    count = 2 if is_trained else 1
    if not fresh:
        return Rehearsal("", ends=count)
    return Rehearsal("", float(count), count, fresh=True, steps=400, silent_steps=40, learning_rate=0.05)


def _rehearsal(module: nn.Module, inputs: Tensor, ends: Rehearsal) -> Rehearsal | None:
    """Return that of ends after the last stage but one; after an earlier one where it is not to be had.

    None for a network without stages, or one that does not end in a linear layer.
    """
    for name in reversed(stage_ends(module, inputs)[:-1]):
        about = replace(ends, after=name)
        try:
            RehearsedEnds(about, module, inputs)
        except ValueError:
            continue
        return about
    return None


def _settling(shown: Recipe, graft: Graft | None, after_fresh_ends: bool, teaches: bool) -> Recipe:
    """Return as many passes with few triggers at a lower rate, half of the targets own answers.

    After fresh ends twice as many, with look-alikes to the end: without them, at that rate, two marks of
    three fell to the thief who has the sampler (studies/robustness-fresh-ends.toml). There, and where it
    teaches triggers that were left to it, each is shown as often as before.
    """
    settings = shown.settings
    if after_fresh_ends:
        passes, share = 2 * settings.epochs, _SETTLING_RATE_AFTER_FRESH_ENDS
    else:
        passes, share = settings.epochs, _SETTLING_RATE
        shown = replace(shown, embedding=None, look_alikes=None)
    settled = replace(
        shown,
        name="settling",
        settings=replace(settings, epochs=passes, learning_rate=share * settings.learning_rate),
        exposures=_HARDENED_EXPOSURES if teaches or after_fresh_ends else _SETTLING_EXPOSURES,
        per_batch=None,
        own_answers=_SETTLING_ANSWERS,
        graft=graft,
    )
    return settled if graft is None else replace(settled, settling=_again(settled, graft))


def _again(settled: Recipe, graft: Graft) -> Recipe:
    """Return the same at half of the rate, in which the graft counts for a tenth.

    Most of what a graft costs while it is learned comes back in it, and most of what it shows after attacks
    stays (docs/adr/0014-grafts.md).
    """
    settings = settled.settings
    return replace(
        settled,
        name="settling again",
        settings=replace(settings, learning_rate=settings.learning_rate / 2),
        graft=replace(graft, weight=graft.weight / 10),
    )
