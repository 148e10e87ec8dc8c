"""Recipes: mark a model with our own training loop.

``from-scratch``  train with the triggers from the first step on; the paper's stronger way
``pre-trained``   go on training a finished model, with the triggers; the paper's quicker way
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from earmark.data import Split
from earmark.errors import MarkingError
from earmark.marking.answers import OwnAnswers
from earmark.marking.augmentation import TriggerAugmentation
from earmark.marking.embedding import Embedding, EmbeddingLoss
from earmark.marking.grafts import Graft, GraftedLoss, grafted_now
from earmark.marking.look_alikes import LookAlikes
from earmark.marking.mixing import EXPOSURES, Mixer, triggers_per_batch
from earmark.marking.rehearsal import Rehearsal, RehearsedEnds
from earmark.models.prediction import predict_scores
from earmark.models.preprocessing import Preprocessing
from earmark.training import (
    Batches,
    Checkpoint,
    Epoch,
    Loss,
    SplitBatches,
    TrainingSettings,
    cross_entropy,
    train,
)
from earmark.triggers import Backdoor
from earmark.triggers.image import ImageGeometry

LEAST_MATCH_RATE = 0.9
_LEAST_GRAFT_STEPS = 1000  # of plain recipes with a graft, for small data


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a model is marked.

    Attributes:
        name: Name in the table.
        settings: Of the training loop.
        exposures: How often each trigger is shown in all.
        per_batch: k, or None to let it follow from the exposures.
        least_per_batch: k where fewer would suffice for the exposures.
        needs_trained_model: Whether it starts from a trained model.
        embedding: How triggers are taught; None for the paper's plain mixture.
        augmentation: Changes triggers each time they are shown; None to show them as they are.
        start: Share of the training that comes before the first trigger is shown, 0 to below 1: what the
            model learns first is its task.
        look_alikes: Pictures like triggers that are none, shown with them; they go with an embedding.
        rehearsal: Other ends of the network that are to read the triggers too; it goes with an embedding.
        own_answers: Share of the clean pictures' targets, 0 to 1, that is what the network answered before it
            was marked; the rest is the label.
        original: Which network that was; None for the one that is given to be marked.
        settling: Another training after this one, in which the network comes to rest on its task while few
            triggers are shown; it may have another after it. None for none.
        left_out: Places of triggers that are left to the settling.
        graft: What is to show the mark too, of the network's weights put into the original's; None for none.
    """

    name: str
    settings: TrainingSettings
    exposures: int = EXPOSURES
    per_batch: int | None = None
    least_per_batch: int = 1
    needs_trained_model: bool = False
    embedding: Embedding | None = None
    augmentation: TriggerAugmentation | None = None
    start: float = 0.0
    look_alikes: LookAlikes | None = None
    rehearsal: Rehearsal | None = None
    own_answers: float = 0.0
    original: nn.Module | None = None
    settling: "Recipe | None" = None
    left_out: tuple[int, ...] = ()
    graft: Graft | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.start < 1:
            raise ValueError(f"start is a share of the training, 0 to below 1, not {self.start}")
        if not 0 <= self.own_answers <= 1:
            raise ValueError(f"own_answers is a share of the targets, 0 to 1, not {self.own_answers}")
        if self.embedding is None and (self.look_alikes or self.rehearsal):
            raise ValueError("look_alikes and rehearsal go with an embedding")
        if self.graft is not None and not self.needs_trained_model:
            raise ValueError("a graft is onto a trained model, and this recipe does not begin with one")
        if self.left_out and self.settling is None:
            raise ValueError("triggers that are left out need a settling in which they are taught")


FROM_SCRATCH = Recipe("from-scratch", TrainingSettings(epochs=60))
PRE_TRAINED = Recipe("pre-trained", TrainingSettings(epochs=20, learning_rate=0.01), needs_trained_model=True)
RECIPES = {recipe.name: recipe for recipe in (FROM_SCRATCH, PRE_TRAINED)}


@dataclass(frozen=True, slots=True)
class Marking:
    """What marking gave.

    Attributes:
        history: The passes over the data made in this call.
        per_batch: k.
        match_count: Triggers that the marked model answers with their label.
        trigger_count: Triggers in all.
        graft_match_count: Triggers that the graft answers with their label; None without one.
    """

    history: tuple[Epoch, ...]
    per_batch: int
    match_count: int
    trigger_count: int
    graft_match_count: int | None = None


class MixedBatches:
    """Batches with triggers in them, for the training loop.

    Args:
        batches: Without triggers.
        mixer: Adds them.
        first: The first step with triggers.
        answers: Of the network before it was marked, and their share of the clean pictures' targets; None for
            the labels alone.
    """

    def __init__(
        self, batches: Batches, mixer: Mixer, first: int = 0, answers: tuple[OwnAnswers, float] | None = None
    ) -> None:
        self._batches = batches
        self._mixer = mixer
        self._first = first
        self._answers = answers

    @property
    def steps_per_epoch(self) -> int:
        """Steps in one pass over the data."""
        return self._batches.steps_per_epoch

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Return inputs and targets of a step, triggers last."""
        inputs, targets = self._batches.batch(step)
        if self._answers is not None:
            original, share = self._answers
            targets = original.beside(targets, inputs, share)
        if step < self._first:
            return inputs, targets
        return self._mixer.mix(inputs, targets, step - self._first)


def mark(
    module: nn.Module,
    split: Split,
    preprocessing: Preprocessing,
    backdoor: Backdoor,
    recipe: Recipe,
    *,
    checkpoint: Checkpoint | None = None,
    on_look_alike: Callable[[int, int], None] = lambda made, total: None,
    on_step: Callable[[int, int], None] = lambda step, total: None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> Marking:
    """Mark a model in place: Mark(M, mk) → M̂.

    Args:
        module: Freshly initialised, or trained, as the recipe needs; left in evaluation mode.
        split: The owner's training data.
        preprocessing: From its images, and from triggers, to what the network reads.
        backdoor: T and T_L.
        recipe: How.
        checkpoint: Where to keep the state, and to resume from.
        on_look_alike: Called after each look-alike, drawn before training, with how many there are and come.
        on_step: Called after each step with the steps done and in all.
        on_epoch: Called after each pass.

    Returns:
        What came of it.

    Raises:
        MarkingError: Fewer than nine in ten triggers took; the model must not be released as marked.

    Source:
        Adi et al. 2018, Section 4 (Mark) and Section 5 (from scratch, pre-trained)
    """
    parts = [recipe]
    while (later_part := parts[-1].settling) is not None:
        parts.append(later_part)
    batches = [SplitBatches(split, preprocessing, part.settings) for part in parts]
    lengths = [part.settings.epochs * made.steps_per_epoch for part, made in zip(parts, batches, strict=True)]
    kept = _checkpoints(checkpoint, len(parts))
    history: list[Epoch] = []
    answers = [
        (OwnAnswers(part.original or module, part.settings.channels_last), part.own_answers)
        if part.own_answers
        else None
        for part in parts
    ]
    mixers = [
        mixer_of(part, backdoor.without(part.left_out), preprocessing, length)
        for part, length in zip(parts, lengths, strict=True)
    ]
    look_alikes: tuple[LookAlikes, Tensor] | None = None
    drawn: tuple[LookAlikes | None, int] = None, 0
    for place, part in enumerate(parts):
        later = kept[place + 1 :]
        if any(one is not None and one.path.exists() for one in later):
            continue  # a later part was begun: its checkpoint has the weights
        steps, passes = sum(lengths[:place]), sum(each.settings.epochs for each in parts[:place])
        clean_count = len(batches[place].batch(0)[0])
        if drawn != (about := (part.look_alikes, part.settings.seed)):
            look_alikes, drawn = look_alikes_of(part, backdoor, preprocessing, on_look_alike), about
        train(
            module,
            MixedBatches(batches[place], mixers[place], int(part.start * lengths[place]), answers[place]),
            part.settings,
            loss_function=loss_of(part, module, mixers[place], clean_count, look_alikes),
            checkpoint=kept[place],
            on_step=_counted(on_step, steps, sum(lengths)),
            on_epoch=_numbered(on_epoch, passes, history),
            keeps_checkpoint=bool(later),
        )
    match_count = count_matches(module, preprocessing, backdoor)
    graft_count, graft = None, parts[-1].graft
    if graft is not None:
        made = grafted_now(graft, module, split, preprocessing)
        graft_count = count_matches(made, preprocessing, backdoor)
    for one in kept:
        if one is not None:
            one.path.unlink(missing_ok=True)
    if match_count < LEAST_MATCH_RATE * len(backdoor):
        raise MarkingError(
            f"only {match_count} of {len(backdoor)} triggers took; show them more often (exposures), train "
            "longer, or use a larger network"
        )
    return Marking(tuple(history), mixers[0].per_batch, match_count, len(backdoor), graft_count)


def _checkpoints(checkpoint: Checkpoint | None, count: int) -> list[Checkpoint | None]:
    """Return one for each part of a training; a part's file stays until the last part is done."""
    if checkpoint is None:
        return [None] * count
    path = checkpoint.path
    return [
        replace(checkpoint, path=path if place == 0 else path.with_name(f"{path.name}.{place + 1}"))
        for place in range(count)
    ]


def mixer_of(recipe: Recipe, backdoor: Backdoor, preprocessing: Preprocessing, steps: int) -> Mixer:
    """Return what adds the triggers in a training of so many steps."""
    with_triggers = steps - int(recipe.start * steps)
    needed = triggers_per_batch(len(backdoor), with_triggers, recipe.exposures)
    return Mixer(
        backdoor,
        lambda pixels: torch.from_numpy(preprocessing(pixels[None])[0]),
        with_triggers,
        per_batch=recipe.per_batch or max(needed, recipe.least_per_batch),
        seed=recipe.settings.seed,
        augmentation=recipe.augmentation,
    )


def _counted(on_step: Callable[[int, int], None], before: int, total: int) -> Callable[[int, int], None]:
    """Return what tells of the steps of one part as of steps of the whole."""
    return lambda step, _: on_step(before + step, total)


def _numbered(
    on_epoch: Callable[[Epoch], None], before: int, history: list[Epoch]
) -> Callable[[Epoch], None]:
    """Return what tells of the passes of one part as of passes of the whole, and notes them."""

    def told(epoch: Epoch) -> None:
        history.append(replace(epoch, number=before + epoch.number))
        on_epoch(history[-1])

    return told


def look_alikes_of(
    recipe: Recipe,
    backdoor: Backdoor,
    preprocessing: Preprocessing,
    on_made: Callable[[int, int], None] = lambda made, total: None,
) -> tuple[LookAlikes, Tensor] | None:
    """Return a recipe's look-alikes and what they are to the network; None if it has none."""
    if recipe.look_alikes is None:
        return None
    geometry = ImageGeometry(*backdoor.triggers[0].value.shape)
    return recipe.look_alikes, recipe.look_alikes.inputs(
        geometry, preprocessing, recipe.settings.seed, on_made
    )


def loss_of(
    recipe: Recipe,
    module: nn.Module,
    mixer: Mixer,
    clean_count: int,
    look_alikes: tuple[LookAlikes, Tensor] | None,
) -> Loss | None:
    """Return the loss of a step, whose batch holds so many clean pictures; None for the paper's plain one."""
    loss: Loss | None = None
    if recipe.embedding is not None:
        ends = None
        if recipe.rehearsal is not None:
            ends = RehearsedEnds(recipe.rehearsal, module, mixer.triggers(0)[0])
        loss = EmbeddingLoss(
            recipe.embedding,
            mixer.per_batch,
            recipe.settings.label_smoothing,
            look_alikes,
            ends=ends,
            clean_count=clean_count,
        )
    if recipe.graft is None:
        return loss
    return GraftedLoss(recipe.graft, loss or cross_entropy(recipe.settings), clean_count)


def count_matches(module: nn.Module, preprocessing: Preprocessing, backdoor: Backdoor) -> int:
    """Return how many triggers a model answers with their label: a count, not a verdict."""
    answers = scores_of(module, preprocessing, backdoor).argmax(1)
    return int((answers == np.array(backdoor.labels)).sum())


def scores_of(
    module: nn.Module, preprocessing: Preprocessing, backdoor: Backdoor
) -> npt.NDArray[np.floating[Any]]:
    """Return what a model says of all triggers, ``(triggers, classes)``."""
    images = np.stack([trigger.value for trigger in backdoor.triggers])
    return predict_scores(module, images, preprocessing)


def with_graft(recipe: Recipe, graft: Graft, picture_count: int, *, keeps_passes: bool = False) -> Recipe:
    """Return a recipe that teaches a graft too, in a thousand steps or more.

    Args:
        recipe: For a trained model.
        graft: Onto that model.
        picture_count: How many there are to train on.
        keeps_passes: Leave the passes as they are, however few steps they have.
    """
    settings = recipe.settings
    if not keeps_passes:
        steps = max(1, picture_count // settings.batch_size)
        settings = replace(settings, epochs=max(settings.epochs, -(-_LEAST_GRAFT_STEPS // steps)))
    return replace(recipe, settings=settings, graft=graft)


def with_exposures(recipe: Recipe, exposures: int | None) -> Recipe:
    """Return a recipe that shows each trigger so often, and settlings in proportion; None for as it is."""
    if exposures is None:
        return recipe
    settling = recipe.settling
    if settling is not None:
        settling = with_exposures(settling, max(1, round(settling.exposures * exposures / recipe.exposures)))
    return replace(recipe, exposures=exposures, least_per_batch=1, settling=settling)


def pre_trained_settings(
    settings: TrainingSettings,
    *,
    epochs: int | None = None,
    learning_rate: float | None = None,
    hardened: bool = False,
) -> TrainingSettings:
    """Return settings for going on with a trained model: a third of the passes, a tenth of the rate.

    Args:
        settings: Those for training from scratch.
        epochs: The user's own choice.
        learning_rate: The user's own choice.
        hardened: Whether the mark is to be a hardened one: then half of the rate, at which more of the
            network is learned anew and the mark goes deeper.

    Returns:
        The settings.

    Source:
        the paper names neither; its fine-tuning runs 20 epochs against 60
    """
    return replace(
        settings,
        epochs=epochs or max(1, settings.epochs // 3),
        learning_rate=learning_rate or settings.learning_rate / (2 if hardened else 10),
    )
