"""How triggers are taught: parts that make a mark hold better, for any PyTorch loop.

The paper shows triggers among the clean pictures of a batch and makes nothing of the difference. The parts
here do: a weight for the triggers' loss, statistics of clean pictures alone, triggers that hold after the
weights were moved against them, a margin. Each can be left out.

    loss = EmbeddingLoss(Embedding(weight=0.3, clean_norm=True), per_batch=mixer.per_batch)
    loss(module, *mixer.mix(inputs, targets, step)).backward()
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.func import functional_call

from earmark.marking.entanglement import entanglement, watched
from earmark.marking.look_alikes import LookAlikes, blurred
from earmark.marking.neighbours import least_sure
from earmark.marking.rehearsal import RehearsedEnds

_Norm: TypeAlias = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d
_Statistics: TypeAlias = dict[_Norm, tuple[Tensor, Tensor]]


@dataclass(frozen=True, slots=True)
class Embedding:
    """What the triggers' part of the loss is.

    Attributes:
        weight: Of the triggers' mean loss, beside the mean loss of the clean pictures. None for k / b with k
            triggers beside b pictures, as in the paper's own mixture, where each counts as much as a picture;
            but 1 at most, where triggers outnumber the pictures.
        clean_norm: Whether triggers are normalised with the batch statistics of the clean pictures, which is
            how they will be normalised when the model is questioned; else they go through the network in one
            batch with them, as in the paper. Without batch normalisation no change.
        kept_norm: Whether batch normalisations go by the statistics that they have, and leave them as they
            are: for finished models, which learn their triggers as they will be asked them. It goes without
            ``clean_norm``.
        perturbation: How far all weights are moved against the triggers before their loss is taken, as a
            share of the weights' norm; 0 for not at all. It goes with ``clean_norm`` only: without it marks
            came out weaker than without either (Gan et al. 2023).
        reach: How far each trigger is moved, in each value and in units of what the network reads, to where
            the network is least sure of its label, before its loss is taken: its neighbours are to get the
            label too, so that something of it may pass into copies that learn from answers. 0 for not at all.
            It costs five more passes of the triggers in each step (Kim et al. 2023).
        margin: By how much the label's score has to exceed the others, beyond what the loss asks anyway.
        lead: In place of the cross entropy, which asks for ever more: what a trigger's label lacks of leading
            all other classes by so much, in scores; one that does costs nothing. 0 for the cross entropy.
        entangle: Weight, beside the triggers' loss, of another at inner layers: there too a trigger is to
            lie with the clean pictures of its label and not with those of other classes. Then what comes
            after such a layer cannot be trained anew without taking the triggers along.
        layers: Names of these layers, e.g. the last block of each stage.
    """

    weight: float | None = 0.3
    clean_norm: bool = True
    kept_norm: bool = False
    perturbation: float = 0.0
    reach: float = 0.0
    margin: float = 0.0
    lead: float = 0.0
    entangle: float = 0.0
    layers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("weight", "perturbation", "reach", "margin", "lead", "entangle"):
            if not 0 <= (getattr(self, name) or 0.0) < float("inf"):
                raise ValueError(f"{name} must be at least 0 and finite, not {getattr(self, name)}")
        if self.weight == 0:
            raise ValueError("with a weight of 0 no trigger would be learned")
        if self.kept_norm and self.clean_norm:
            raise ValueError("statistics are kept, or those of the clean pictures: not both")
        if self.lead and self.margin:
            raise ValueError("a lead is asked for, or a margin beside the cross entropy: not both")
        if self.perturbation and not self.clean_norm:
            raise ValueError("perturbation needs clean_norm")
        if bool(self.entangle) != bool(self.layers):
            raise ValueError("entangle and layers go together")


class EmbeddingLoss:
    """The loss of a batch whose last entries are triggers.

    Its ``state_dict`` holds what rehearsed ends have learned, and nothing without them.

    Args:
        embedding: The parts.
        per_batch: How many triggers there are at the end of each batch, at least 1.
        label_smoothing: Of the clean pictures' targets.
        look_alikes: Pictures like triggers that are none, and what ``LookAlikes.inputs`` made of them; None
            to show no such pictures. Which of them a step shows follows from PyTorch's own randomness.
        ends: Other ends of the network that read the triggers too; None for none.
        clean_count: How many clean pictures every batch holds, where some come without triggers; None if the
            last ``per_batch`` entries of each are triggers.

    Source:
        clean statistics and perturbed weights: Gan et al. 2023 (ICCV), Algorithm 1, with random labels for
        single triggers in place of one class for all
    """

    def __init__(
        self,
        embedding: Embedding,
        per_batch: int,
        label_smoothing: float = 0.0,
        look_alikes: tuple[LookAlikes, Tensor] | None = None,
        ends: RehearsedEnds | None = None,
        clean_count: int | None = None,
    ) -> None:
        if per_batch < 1:
            raise ValueError(f"per_batch must be at least 1, not {per_batch}")
        self._ends, self._clean_count = ends, clean_count
        self._look_alikes = look_alikes
        self._embedding = embedding
        self._per_batch = per_batch
        self._smoothing = label_smoothing

    def __call__(
        self, module: nn.Module, inputs: Tensor, targets: Tensor, trigger_count: int | None = None
    ) -> Tensor:
        """Return the loss of a step.

        Args:
            module: The network, in training mode.
            inputs: ``(batch + per_batch, …)``, triggers last.
            targets: Class numbers likewise, or distributions over classes.
            trigger_count: How many of them are triggers, if that does not follow from the numbers given
                before; 0 in a step without.

        Returns:
            A number to go backward from.
        """
        if trigger_count is None:
            trigger_count = self._per_batch
            if self._clean_count is not None:
                trigger_count = len(inputs) - self._clean_count
        clean_count = len(inputs) - trigger_count
        if clean_count < 1:
            raise ValueError(f"a batch of {len(inputs)} holds nothing beside {trigger_count} triggers")
        shown, triggers = inputs[:clean_count], inputs[clean_count:]
        right, labels = targets[:clean_count], targets[clean_count:]
        if trigger_count == 0:
            with _kept(module, self._embedding.kept_norm):
                return self._clean(module(shown), right)
        if self._embedding.reach:
            triggers = least_sure(module, triggers, labels, self._embedding.reach)
            inputs = torch.cat([shown, triggers])
        alike = self._chosen_look_alikes(inputs)
        layers = self._embedding.layers
        if not self._embedding.clean_norm:
            with (
                _kept(module, self._embedding.kept_norm),
                watched(module, layers) as seen,
                self._before_ends(module) as before,
            ):
                scores = module(torch.cat([inputs, alike]))
            own = self._loss(scores[clean_count : len(inputs)], labels)
            parts = [(found[:clean_count], found[clean_count : len(inputs)]) for found in seen]
            given = [found[clean_count : len(inputs)] for found in before]
            own = own + self._entangled(parts, right, labels)
            own = own + self._rehearsed(module, [*before, *given], right, labels)
            return self._sum(
                self._clean(scores[:clean_count], right),
                own,
                scores[len(inputs) :],
                self._weight(inputs, labels),
            )
        statistics: _Statistics = {}
        with (
            _recorded(module, statistics),
            watched(module, layers) as of_clean,
            self._before_ends(module) as before,
        ):
            clean = self._clean(module(shown), right)
        with _normalised_by(statistics):
            with watched(module, layers) as of_triggers, self._before_ends(module) as given:
                own = self._of_triggers(module, triggers, labels)
            # With perturbed weights the triggers went through twice; the last time counts.
            parts = list(zip(of_clean, of_triggers[-len(of_clean) :], strict=True)) if of_clean else []
            own = own + self._entangled(parts, right, labels)
            answered = module(alike) if len(alike) else alike
        own = own + self._rehearsed(module, [*before, *given], right, labels)
        return self._sum(clean, own, answered, self._weight(inputs, labels))

    def state_dict(self) -> dict[str, Tensor]:
        """Return what the ends have learned; empty without them."""
        return {} if self._ends is None else self._ends.state_dict()

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on from what ``state_dict`` returned."""
        if self._ends is not None:
            self._ends.load_state_dict(state)

    def _before_ends(self, module: nn.Module) -> AbstractContextManager[list[Tensor]]:
        return watched(module, [self._ends.rehearsal.after] if self._ends else [], averages=False)

    def _rehearsed(
        self, module: nn.Module, given: list[Tensor], right: Tensor, labels: Tensor
    ) -> Tensor | float:
        """Return the triggers' loss at the ends, of what came before these: clean pictures first."""
        if self._ends is None:
            return 0.0
        return self._ends(module, given[0][: len(right)], given[-1], right, labels)

    def _entangled(self, parts: list[tuple[Tensor, Tensor]], right: Tensor, labels: Tensor) -> Tensor | float:
        if not parts:
            return 0.0
        losses = [entanglement(clean, own, _classes(right), _classes(labels)) for clean, own in parts]
        return self._embedding.entangle * torch.stack(losses).mean()

    def _clean(self, scores: Tensor, targets: Tensor) -> Tensor:
        return nn.functional.cross_entropy(scores, targets, label_smoothing=self._smoothing)

    def _chosen_look_alikes(self, inputs: Tensor) -> Tensor:
        """Return some look-alikes and after them the same blurred; an empty batch if there are none."""
        if self._look_alikes is None:
            return inputs[:0]
        about, made = self._look_alikes
        chosen = made[torch.randint(len(made), (about.per_batch,))].to(inputs.device, inputs.dtype)
        if bool(torch.rand(()) < 0.5):
            chosen = chosen.flip(3)
        return torch.cat([chosen, blurred(chosen, about.blur)])

    def _weight(self, inputs: Tensor, labels: Tensor) -> float:
        """Return the weight of the triggers' loss in a batch of pictures and triggers."""
        as_pictures = min(1.0, len(labels) / (len(inputs) - len(labels)))
        return as_pictures if self._embedding.weight is None else self._embedding.weight

    def _sum(self, clean: Tensor, own: Tensor, alike: Tensor, weight: float) -> Tensor:
        total = clean + weight * own
        if self._look_alikes is None:
            return total
        scores, without_detail = alike.chunk(2)
        natural = without_detail.detach().softmax(1)
        return total + self._look_alikes[0].weight * nn.functional.cross_entropy(scores, natural)

    def _of_triggers(self, module: nn.Module, triggers: Tensor, targets: Tensor) -> Tensor:
        if not self._embedding.perturbation:
            return self._loss(module(triggers), targets)
        names, weights = zip(
            *((name, part) for name, part in module.named_parameters() if part.requires_grad), strict=True
        )
        slopes = torch.autograd.grad(
            self._loss(module(triggers), targets), weights, allow_unused=True, materialize_grads=True
        )
        steepness, size = _norm(slopes), _norm([weight.detach() for weight in weights])
        length = self._embedding.perturbation * size / steepness.clamp_min(1e-12)
        moved = {
            name: weight + length * slope for name, weight, slope in zip(names, weights, slopes, strict=True)
        }
        scores: Tensor = functional_call(module, moved, (triggers,))
        return self._loss(scores, targets)

    def _loss(self, scores: Tensor, targets: Tensor) -> Tensor:
        if self._embedding.margin:
            chosen = targets
            if targets.ndim == 1:
                chosen = nn.functional.one_hot(targets, scores.shape[1])
            scores = scores - self._embedding.margin * chosen.to(scores.dtype)
        if self._embedding.lead:
            return (self._embedding.lead - _leads(scores, _classes(targets))).clamp_min(0).mean()
        return nn.functional.cross_entropy(scores, targets)


def _leads(scores: Tensor, labels: Tensor) -> Tensor:
    """Return by how much each label's score exceeds the greatest other."""
    own = scores.gather(1, labels[:, None])[:, 0]
    others = scores.scatter(1, labels[:, None], -torch.inf)
    return own - others.amax(1)


def _classes(targets: Tensor) -> Tensor:
    """Return class numbers of targets that may be distributions."""
    return targets if targets.ndim == 1 else targets.argmax(1)


def _norms(module: nn.Module) -> list[_Norm]:
    kinds = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
    return [part for part in module.modules() if isinstance(part, kinds) and part.training]


def _norm(parts: list[Tensor] | tuple[Tensor, ...]) -> Tensor:
    lengths = torch.stack([torch.linalg.vector_norm(part) for part in parts])
    total: Tensor = torch.linalg.vector_norm(lengths)
    return total


@contextmanager
def _kept(module: nn.Module, is_kept: bool) -> Iterator[None]:
    """Let batch normalisations go by the statistics that they have, if so."""
    norms = _norms(module) if is_kept else []
    for norm in norms:
        norm.eval()
    try:
        yield
    finally:
        for norm in norms:
            norm.train()


@contextmanager
def _recorded(module: nn.Module, statistics: _Statistics) -> Iterator[None]:
    """Note mean and variance of what every batch normalisation is given."""

    def note(norm: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        given = arguments[0].detach()
        places = [axis for axis in range(given.ndim) if axis != 1]
        variance, mean = torch.var_mean(given, places, correction=0)
        statistics[norm] = mean, variance  # type: ignore[index]  # hooks stand at batch normalisations only

    handles = [norm.register_forward_pre_hook(note) for norm in _norms(module)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _normalised_by(statistics: _Statistics) -> Iterator[None]:
    """Let batch normalisations use these statistics, and leave their own running ones as they are."""

    def stand_in(norm: _Norm) -> Callable[[Tensor], Tensor]:
        mean, variance = statistics[norm]

        def forward(inputs: Tensor) -> Tensor:
            return nn.functional.batch_norm(
                inputs, mean, variance, norm.weight, norm.bias, training=False, eps=norm.eps
            )

        return forward

    for norm in statistics:
        norm.forward = stand_in(norm)  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        for norm in statistics:
            del norm.forward  # the class's own shows again
