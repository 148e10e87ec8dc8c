"""The hardened recipe: parts put together so that marks survive more, at a cost in time."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from earmark.marking.augmentation import TriggerAugmentation
from earmark.marking.embedding import Embedding
from earmark.marking.look_alikes import LookAlikes
from earmark.marking.recipes import Recipe
from earmark.marking.rehearsal import Rehearsal, RehearsedEnds
from earmark.models.preprocessing import Preprocessing
from earmark.models.stages import stage_ends
from earmark.triggers import Backdoor
from earmark.triggers.abstract import AbstractSampler

# Measured by benchmarks/table1.py and studies/robustness-rehearsed.toml.
_HARDENED_EXPOSURES = 60
_TRIGGERS_IN_A_SHOWN_ONE = 32
_LOOK_ALIKES_PER_BATCH = 8
_SETTLING_EXPOSURES = 16
_SETTLING_ANSWERS = 0.5


def harden(recipe: Recipe, module: nn.Module, backdoor: Backdoor, preprocessing: Preprocessing) -> Recipe:
    """Return a recipe whose marks are to survive more than the plain mixture's, at a cost in accuracy.

    Mirrored triggers, so that mirroring every question removes nothing; look-alikes, against thieves who have
    the sampler; other ends of the network that read the triggers too, against new last layers. Each trigger
    is shown 60 times or more, one in 32 in every batch, and counts as much as a clean picture. From scratch
    the first quarter of the training goes without triggers. A trained model settles afterwards, in as many
    passes at a fifth of the rate, without these parts: most of the accuracy comes back. What it is worth,
    measured in a trained model: docs/robustness.md.

    Args:
        recipe: One of the paper's; its numbers stay where these parts have none of their own.
        module: What is to be marked; it is looked at, and left as it is.
        backdoor: Whose triggers it gets. Look-alikes are abstract pictures: for triggers of other kinds a
            recipe of one's own names their sampler.
        preprocessing: From triggers to what the network reads.

    Returns:
        The recipe.

    Raises:
        ValueError: The triggers are no pictures.
    """
    first = backdoor.triggers[0]
    if first.kind != "image":
        raise ValueError(f"only marks of pictures are hardened, not of {first.kind}")
    inputs = torch.from_numpy(preprocessing(first.value[None]))
    mirrored = TriggerAugmentation(share=1.0, shift=0.0, colour=0.0, noise=0.0, jpeg=0)
    return replace(
        recipe,
        name=f"hardened-{recipe.name}",
        exposures=_HARDENED_EXPOSURES,
        least_per_batch=-(-len(backdoor) // _TRIGGERS_IN_A_SHOWN_ONE),
        embedding=Embedding(weight=None, clean_norm=False),
        augmentation=mirrored,
        look_alikes=LookAlikes(AbstractSampler(), per_batch=_LOOK_ALIKES_PER_BATCH),
        # From scratch one end alone keeps to the target of time (benchmarks/mixing_cost.py).
        rehearsal=_rehearsal(module, inputs, 2 if recipe.needs_trained_model else 1),
        start=0.0 if recipe.needs_trained_model else 0.25,
        settling=_settling(recipe, mirrored) if recipe.needs_trained_model else None,
    )


def _rehearsal(module: nn.Module, inputs: Tensor, ends: int) -> Rehearsal | None:
    """Return that of ends after the last stage but one; after an earlier one where it is not to be had.

    None for a network without stages, or one that does not end in a linear layer.
    """
    for name in reversed(stage_ends(module, inputs)[:-1]):
        about = Rehearsal(name, ends=ends)
        try:
            RehearsedEnds(about, module, inputs)
        except ValueError:
            continue
        return about
    return None


def _settling(recipe: Recipe, augmentation: TriggerAugmentation) -> Recipe:
    """Return the paper's mixture with few triggers: as many passes, a fifth of the rate, half own answers."""
    settings = recipe.settings
    return Recipe(
        "settling",
        replace(settings, learning_rate=settings.learning_rate / 5, warmup_epochs=0.0),
        exposures=_SETTLING_EXPOSURES,
        needs_trained_model=True,
        augmentation=augmentation,
        own_answers=_SETTLING_ANSWERS,
    )
