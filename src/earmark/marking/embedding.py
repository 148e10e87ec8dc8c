"""How triggers are taught: parts that make a mark hold better, for any PyTorch loop.

The paper shows triggers among the clean pictures of a batch and makes nothing of the difference. The parts
here do: a weight for the triggers' loss, statistics of clean pictures alone, triggers that hold after the
weights were moved against them, a margin. Each can be left out.

    loss = EmbeddingLoss(Embedding(weight=0.3, clean_norm=True), per_batch=mixer.per_batch)
    loss(module, *mixer.mix(inputs, targets, step)).backward()
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.func import functional_call

_Norm: TypeAlias = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d
_Statistics: TypeAlias = dict[_Norm, tuple[Tensor, Tensor]]


@dataclass(frozen=True, slots=True)
class Embedding:
    """What the triggers' part of the loss is.

    Attributes:
        weight: Of the triggers' mean loss, beside the mean loss of the clean pictures. In the paper's own
            mixture of k triggers among b pictures it is k / b.
        clean_norm: Whether triggers are normalised with the batch statistics of the clean pictures, which is
            how they will be normalised when the model is questioned; without batch normalisation no change.
        perturbation: How far all weights are moved against the triggers before their loss is taken, as a
            share of the weights' norm; 0 for not at all. It goes with ``clean_norm`` only: without it marks
            came out weaker than without either (Gan et al. 2023).
        margin: By how much the label's score has to exceed the others, beyond what the loss asks anyway.
    """

    weight: float = 0.3
    clean_norm: bool = True
    perturbation: float = 0.0
    margin: float = 0.0

    def __post_init__(self) -> None:
        for name in ("weight", "perturbation", "margin"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name} must be at least 0 and finite, not {getattr(self, name)}")
        if self.weight == 0:
            raise ValueError("with a weight of 0 no trigger would be learned")
        if self.perturbation and not self.clean_norm:
            raise ValueError("perturbation needs clean_norm")


class EmbeddingLoss:
    """The loss of a batch whose last entries are triggers.

    Args:
        embedding: The parts.
        per_batch: How many triggers there are at the end of each batch, at least 1.
        label_smoothing: Of the clean pictures' targets.

    Source:
        clean statistics and perturbed weights: Gan et al. 2023 (ICCV), Algorithm 1, with random labels for
        single triggers in place of one class for all
    """

    def __init__(self, embedding: Embedding, per_batch: int, label_smoothing: float = 0.0) -> None:
        if per_batch < 1:
            raise ValueError(f"per_batch must be at least 1, not {per_batch}")
        self._embedding = embedding
        self._per_batch = per_batch
        self._smoothing = label_smoothing

    def __call__(self, module: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of a step.

        Args:
            module: The network, in training mode.
            inputs: ``(batch + per_batch, …)``, triggers last.
            targets: Class numbers likewise, or distributions over classes.

        Returns:
            A number to go backward from.
        """
        clean_count = len(inputs) - self._per_batch
        if clean_count < 1:
            raise ValueError(f"a batch of {len(inputs)} holds nothing beside {self._per_batch} triggers")
        shown, triggers = inputs[:clean_count], inputs[clean_count:]
        statistics: _Statistics = {}
        if self._embedding.clean_norm:
            with _recorded(module, statistics):
                scores = module(shown)
        else:
            scores = module(shown)
        clean = nn.functional.cross_entropy(scores, targets[:clean_count], label_smoothing=self._smoothing)
        with _normalised_by(statistics):
            own = self._of_triggers(module, triggers, targets[clean_count:])
        return clean + self._embedding.weight * own

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
        return nn.functional.cross_entropy(scores, targets)


def _norms(module: nn.Module) -> list[_Norm]:
    kinds = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
    return [part for part in module.modules() if isinstance(part, kinds) and part.training]


def _norm(parts: list[Tensor] | tuple[Tensor, ...]) -> Tensor:
    lengths = torch.stack([torch.linalg.vector_norm(part) for part in parts])
    total: Tensor = torch.linalg.vector_norm(lengths)
    return total


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
