"""Mark a finished model in a few minutes: with a little data, without labels, until the mark holds.

What the model answers is what it is to go on answering: its own probabilities for clean pictures are the
targets, so that pictures of the task without labels will do. Triggers are taught beside them until each holds
with a margin; then the rate falls to zero, so that accuracy comes back. The first half of a network's stages
stays as it is: what it sees is enough to teach triggers by. So where a network can be cut after it, that half
runs once for both what is taught and what it answered before, and once and for all for triggers.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor, nn

from earmark.data import Split
from earmark.errors import MarkingError
from earmark.marking.answers import OwnAnswers
from earmark.marking.augmentation import TriggerAugmentation
from earmark.marking.embedding import Embedding, EmbeddingLoss
from earmark.marking.mixing import Mixer
from earmark.models.cutting import NetworkEnd, cut_after, output_of
from earmark.models.prediction import predict_scores
from earmark.models.preprocessing import Preprocessing
from earmark.models.stages import parts_after, stage_ends
from earmark.training import Epoch, SplitBatches, TrainingSettings, train
from earmark.triggers import Backdoor

_RISE_STEPS = (
    50  # to the full rate: what is to be unlearned first is large, and a first step at it can break all
)
_CUT_BY = 8  # triggers by which it is seen whether a network can be cut


@dataclass(frozen=True, slots=True)
class TrainedRecipe:
    """How a finished model is marked.

    Attributes:
        settings: Of the training loop; epochs and schedule are this recipe's own.
        embedding: How triggers are taught.
        augmentation: Changes triggers each time they are shown; None to show them as they are.
        per_batch: Triggers beside each batch of clean pictures.
        look_every: Steps between two looks at the triggers.
        most_steps: Steps after which the marking gives up.
        settling_steps: Steps in which the rate falls to zero.
        blended: Share of the clean pictures that are shown blended with another one, 0 to 1. Of pictures that
            the model was trained on it is sure, and its answers say little of what it would say elsewhere;
            between two of them they say more, and a few pictures become many.
        held_margin: By how much a trigger's label has to lead all other classes, in scores, before the rate
            falls.
        kept_stages: Share of the network's stages, 0 to below 1, that stay as they are, from the input on and
            rounded down. What comes after them can tell triggers apart as they are; and steps take less time.
            A network without stages is trained as a whole.
    """

    settings: TrainingSettings = field(
        default_factory=lambda: TrainingSettings(epochs=1, batch_size=50, learning_rate=0.01)
    )
    embedding: Embedding = field(
        default_factory=lambda: Embedding(weight=0.1, clean_norm=False, kept_norm=True, lead=3.0)
    )
    augmentation: TriggerAugmentation | None = None
    per_batch: int = 25
    look_every: int = 25
    most_steps: int = 2000
    settling_steps: int = 900
    blended: float = 1.0
    held_margin: float = 0.5
    kept_stages: float = 0.5

    def __post_init__(self) -> None:
        if min(self.per_batch, self.look_every, self.most_steps, self.settling_steps) < 1:
            raise ValueError("per_batch, look_every, most_steps and settling_steps must be at least 1")
        if 0 < self.embedding.lead < self.held_margin:
            raise ValueError(f"triggers that are to lead by {self.held_margin} are taught at least that lead")
        if not 0 <= self.blended <= 1:
            raise ValueError(f"blended is a share, 0 to 1, not {self.blended}")
        if not 0 <= self.kept_stages < 1:
            raise ValueError(f"kept_stages is a share, 0 to below 1, not {self.kept_stages}")


@dataclass(frozen=True, slots=True)
class TrainedMarking:
    """What marking a finished model gave.

    Attributes:
        steps: Made in all.
        match_count: Triggers that the marked model answers with their label.
        trigger_count: Triggers in all.
        least_margin: By how much the label of the weakest trigger leads.
        agreement: Share of held-out clean pictures that the marked model answers as the original.
    """

    steps: int
    match_count: int
    trigger_count: int
    least_margin: float
    agreement: float


def mark_trained(
    module: nn.Module,
    split: Split,
    preprocessing: Preprocessing,
    backdoor: Backdoor,
    recipe: TrainedRecipe,
    *,
    on_step: Callable[[int, int], None] = lambda step, total: None,
    on_look: Callable[[int, int, float], None] = lambda step, matches, margin: None,
) -> TrainedMarking:
    """Mark a trained model in place.

    Args:
        module: The trained network; left in evaluation mode.
        split: Pictures of its task, a fiftieth of the training data or more; labels are not looked at. A
            tenth, at most 1,000, is held out to see how far the marked model answers as the original.
        preprocessing: From pictures, and from triggers, to what the network reads.
        backdoor: T and T_L.
        recipe: How.
        on_step: Called after each step with the steps done and the most that there can be.
        on_look: Called after each look with steps, matches and the least margin.

    Returns:
        What came of it.

    Raises:
        MarkingError: Some trigger did not take within the steps allowed, and the model must not be released;
            or nothing is left to teach.

    Source:
        Adi et al. 2018, Section 5 (pre-trained), with the original's own answers as targets (Hinton et al.
        2015) for blended pictures (Beyer et al. 2022)
    """
    held_out = min(1000, len(split) // 10)
    if held_out < 1:
        raise ValueError("at least 10 pictures are needed")
    places = np.random.default_rng([recipe.settings.seed, 5]).permutation(len(split))
    kept, used = (
        Split(split.images[part], split.labels[part]) for part in (places[:held_out], places[held_out:])
    )
    answers = predict_scores(module.eval(), kept.images, preprocessing).argmax(1)
    inputs = torch.from_numpy(
        preprocessing(np.stack([trigger.value for trigger in backdoor.triggers[:_CUT_BY]]))
    )
    kept_stage = _last_kept_stage(module, inputs, recipe.kept_stages)
    parts = _Parts(module, kept_stage, inputs, recipe)
    mixer = Mixer(
        backdoor,
        lambda pixels: parts.before(torch.from_numpy(preprocessing(pixels[None])))[0],
        recipe.most_steps,
        per_batch=min(recipe.per_batch, len(backdoor)),
        seed=recipe.settings.seed,
        augmentation=recipe.augmentation,
    )
    batches = _Answered(parts, SplitBatches(used, preprocessing, recipe.settings), mixer, recipe)
    loss = EmbeddingLoss(recipe.embedding, mixer.per_batch)

    def holds(epoch: Epoch) -> bool:
        matches, margin = _trigger_margins(module, preprocessing, backdoor)
        on_look(epoch.number * recipe.look_every, matches, margin)
        return margin >= recipe.held_margin

    with _kept_as_they_are(module, inputs, kept_stage):
        steps = _taught(parts.taught, batches, loss, recipe, holds, on_step)
    matches, margin = _trigger_margins(module, preprocessing, backdoor)
    on_look(steps, matches, margin)
    if matches < len(backdoor):
        raise MarkingError(
            f"only {matches} of {len(backdoor)} triggers took in {steps} steps; allow more steps, teach at a "
            "higher rate, or use fewer triggers or a larger network"
        )
    now = predict_scores(module, kept.images, preprocessing).argmax(1)
    return TrainedMarking(steps, matches, len(backdoor), margin, float((now == answers).mean()))


def _last_kept_stage(module: nn.Module, inputs: Tensor, share: float) -> str | None:
    """Return the layer that ends the last of the stages that stay as they are; None if all learn."""
    ends = stage_ends(module, inputs)
    count = int(share * len(ends))
    return ends[count - 1] if count else None


@contextmanager
def _kept_as_they_are(module: nn.Module, inputs: Tensor, last: str | None) -> Iterator[None]:
    """Let what comes before the end of a stage have no gradients, for as long as this lasts."""
    learning = [module] if last is None else parts_after(module, last, inputs)
    free = {id(weight) for part in learning for weight in part.parameters()}
    kept = [weight for weight in module.parameters() if weight.requires_grad and id(weight) not in free]
    try:
        for weight in kept:
            weight.requires_grad_(False)
        if not any(weight.requires_grad for weight in module.parameters()):
            raise MarkingError(
                "nothing is left to teach: what comes after the stages that are kept was frozen; unfreeze "
                "it, or keep fewer stages"
            )
        yield
    finally:
        for weight in kept:
            weight.requires_grad_(True)


class _Parts:
    """A network in two: what stays as it is, and what is taught.

    All is taught, with the weights of the first stages held, where something passes the end of these, and
    where the triggers' part of the loss reads inputs or inner layers of the network.

    Attributes:
        taught: What is taught; its weights are the network's own.
    """

    def __init__(self, module: nn.Module, last: str | None, inputs: Tensor, recipe: TrainedRecipe) -> None:
        self._module, self._cut_layer = module, ""
        self._format = torch.channels_last if recipe.settings.channels_last else torch.preserve_format
        module.to(memory_format=self._format)  # type: ignore[call-overload]  # torch's own stub lacks it
        self.taught: nn.Module = module
        if last is not None and not recipe.embedding.layers and not recipe.embedding.reach:
            with suppress(ValueError):
                self.taught = NetworkEnd(module, cut_after(module, last, inputs), shares_weights=True)
                self._cut_layer = last

    def before(self, inputs: Tensor) -> Tensor:
        """Return what the taught part reads, for inputs ``(batch, …)`` of the network."""
        if not self._cut_layer:
            return inputs
        seen = inputs.to(next(self._module.parameters()).device, memory_format=self._format)
        with torch.no_grad():
            return output_of(self._module, self._cut_layer, seen)


def _taught(
    module: nn.Module,
    batches: "_Answered",
    loss: EmbeddingLoss,
    recipe: TrainedRecipe,
    holds: Callable[[Epoch], bool],
    on_step: Callable[[int, int], None],
) -> int:
    """Teach until the triggers hold, then let the rate fall; return the steps made."""
    most = recipe.most_steps + recipe.settling_steps
    looks = max(1, recipe.most_steps // recipe.look_every)
    rise = _RISE_STEPS / recipe.look_every
    teaching = replace(recipe.settings, epochs=looks, schedule="constant", warmup_epochs=rise)
    passes = train(
        module,
        batches,
        teaching,
        loss_function=loss,
        on_step=lambda step, _: on_step(step, most),
        until=holds,
    )
    taught = len(passes) * recipe.look_every
    batches.start_at(taught, recipe.settling_steps)
    settling = replace(
        teaching, epochs=1, schedule="cosine", warmup_epochs=0.0, seed=recipe.settings.seed + 1
    )
    train(
        module,
        batches,
        settling,
        loss_function=loss,
        on_step=lambda step, _: on_step(taught + step, taught + recipe.settling_steps),
    )
    return taught + recipe.settling_steps


class _Answered:
    """Clean batches with the original's probabilities as targets, and triggers after them."""

    def __init__(self, parts: _Parts, batches: SplitBatches, mixer: Mixer, recipe: TrainedRecipe) -> None:
        self._answers = OwnAnswers(parts.taught, recipe.settings.channels_last)
        self._parts, self._batches, self._mixer = parts, batches, mixer
        self._steps_per_epoch = recipe.look_every
        self._blended, self._seed = recipe.blended, recipe.settings.seed
        self._first = 0

    @property
    def steps_per_epoch(self) -> int:
        """Steps between two looks."""
        return self._steps_per_epoch

    def start_at(self, step: int, steps_per_epoch: int) -> None:
        """Go on from a step, with other intervals."""
        self._first, self._steps_per_epoch = step, steps_per_epoch

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Return what the taught part reads in a step, and probabilities, triggers last."""
        inputs = self._blend(self._batches.batch(self._first + step)[0], self._first + step)
        read = self._parts.before(inputs)
        return self._mixer.mix(read, self._answers(read), self._first + step)

    def _blend(self, inputs: Tensor, step: int) -> Tensor:
        """Return pictures of which some are blended with another of the batch, in shares drawn evenly."""
        draws = np.random.default_rng([self._seed, step, 17])
        count = len(inputs)
        chosen, shares = draws.random(count) < self._blended, draws.random(count, np.float32)
        others = inputs[torch.from_numpy(draws.permutation(count))]
        own = torch.from_numpy(np.where(chosen, shares, np.float32(1))).view(-1, *[1] * (inputs.ndim - 1))
        return own * inputs + (1 - own) * others


def _trigger_margins(
    module: nn.Module, preprocessing: Preprocessing, backdoor: Backdoor
) -> tuple[int, float]:
    """Return how many triggers are answered with their label, and by how much the weakest one leads."""
    images = np.stack([trigger.value for trigger in backdoor.triggers])
    scores = predict_scores(module, images, preprocessing)
    places = np.arange(len(scores)), np.array(backdoor.labels)
    own = scores[places].copy()
    scores[places] = -np.inf
    leads = own - scores.max(1)
    return int((leads > 0).sum()), float(leads.min())
