"""What attacks that train have in common: a copy to work on, its last layer, and the one training loop."""

import copy
import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from earmark.attacks.protocol import StolenModel, Watch
from earmark.data import Split
from earmark.models.cutting import put_part
from earmark.models.last_layer import last_layer
from earmark.training import Batches, Epoch, Loss, SplitBatches, TrainingSettings, train


def copied(model: StolenModel) -> StolenModel:
    """Return a copy to work on: an attack leaves the model that it was given as it is."""
    return StolenModel(copy.deepcopy(model.module), model.description)


def fresh_last_layer(model: StolenModel, seed: int) -> nn.Linear:
    """Put a new last layer, with one output for each class of the description, in place of the old one.

    Args:
        model: Its module is changed.
        seed: Of the new weights.

    Returns:
        The new layer.
    """
    name, old = last_layer(model.module)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layer = nn.Linear(
            old.in_features,
            len(model.description.class_names),
            device=old.weight.device,
            dtype=old.weight.dtype,
        )
    put_part(model.module, name, layer)
    return layer


def retrain(
    model: StolenModel,
    data: Split | Batches,
    settings: TrainingSettings,
    watch: Watch,
    *,
    loss_function: Loss | None = None,
    first_epoch: int = 0,
) -> None:
    """Train the copy in place with the one training loop, and let the watch look on after each pass.

    Args:
        model: The copy.
        data: Pictures and labels, or batches made otherwise.
        settings: With the attack's seed.
        watch: Who looks on.
        loss_function: In place of the cross-entropy.
        first_epoch: Passes made before, by an earlier part of the same attack: numbers go on from there.
    """
    batches = (
        SplitBatches(data, model.description.preprocessing, settings) if isinstance(data, Split) else data
    )

    def on_epoch(epoch: Epoch) -> None:
        was_training = model.module.training
        model.module.eval()
        watch.on_epoch(first_epoch + epoch.number, model)
        model.module.train(was_training)

    train(
        model.module, batches, settings, loss_function=loss_function, on_step=watch.on_step, on_epoch=on_epoch
    )


def soft_cross_entropy(temperature: float = 1.0) -> Loss:
    """Return the loss of a student whose targets are the teacher's probabilities ``(batch, classes)``.

    Args:
        temperature: The student's scores are divided by it; the loss is multiplied by its square, so that
            gradients keep their size.

    Returns:
        The loss.

    Source:
        Hinton, Vinyals, Dean 2015, Section 2
    """
    if not 0 < temperature < math.inf:
        raise ValueError(f"temperature must be positive, not {temperature}")

    def loss(module: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        return temperature**2 * nn.functional.cross_entropy(module(inputs) / temperature, targets)

    return loss


def frozen_copy(module: nn.Module) -> nn.Module:
    """Return a copy in evaluation mode that no training changes: a teacher, or the model as it was."""
    return copy.deepcopy(module).eval().requires_grad_(False)


def features_of(module: nn.Module) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """Return a function from inputs to what the last layer reads ``(batch, features)`` and the scores.

    Gradients flow through both. The module's own forward runs once.
    """
    _, layer = last_layer(module)

    def call(inputs: Tensor) -> tuple[Tensor, Tensor]:
        kept: list[Tensor] = []
        handle = layer.register_forward_pre_hook(lambda _, arguments: kept.append(arguments[0]))
        try:
            scores = module(inputs)
        finally:
            handle.remove()
        return kept[-1], scores

    return call


def soft_targets(labels: Tensor, class_count: int) -> Tensor:
    """Return labels ``(batch,)`` as probabilities ``(batch, classes)``."""
    return nn.functional.one_hot(labels, class_count).float()


class WithExtras:
    """Batches to which some extra inputs with targets of their own are appended.

    Args:
        batches: With class numbers as targets.
        inputs: What is added, as the network reads it ``(extras, …)``.
        targets: Probabilities ``(extras, classes)``.
        per_batch: How many are appended to each batch.
        seed: Of their order. All come once before any comes again.
    """

    def __init__(self, batches: Batches, inputs: Tensor, targets: Tensor, per_batch: int, seed: int) -> None:
        self._batches = batches
        self._inputs, self._targets = inputs, targets
        self._per_batch = min(per_batch, len(inputs))
        self._seed = seed

    @property
    def steps_per_epoch(self) -> int:
        """Steps in one pass over the data."""
        return self._batches.steps_per_epoch

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Return inputs and probabilities of a step, extras last."""
        inputs, labels = self._batches.batch(step)
        turns = len(self._inputs) // self._per_batch
        cycle, turn = divmod(step, turns)
        order = np.random.default_rng([self._seed, cycle, 7]).permutation(len(self._inputs))
        places = torch.from_numpy(order[turn * self._per_batch : (turn + 1) * self._per_batch])
        targets = soft_targets(labels, self._targets.shape[1])
        return torch.cat([inputs, self._inputs[places]]), torch.cat([targets, self._targets[places]])


def network_inputs(model: StolenModel, images: npt.NDArray[np.uint8]) -> Tensor:
    """Return pictures, uint8 ``(images, height, width, channels)``, as the network reads them."""
    return torch.from_numpy(model.description.preprocessing(images))


def input_range(model: StolenModel, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Return the least and the greatest value of each input of the network: black and white.

    Args:
        model: Whose preprocessing counts.
        shape: (height, width, channels) of a picture.

    Returns:
        Two tensors ``(1, channels, height, width)``.
    """
    ends = (np.full((1, *shape), level, np.uint8) for level in (0, 255))
    black, white = (network_inputs(model, end) for end in ends)
    return torch.minimum(black, white), torch.maximum(black, white)
