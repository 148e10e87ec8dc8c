"""A learner for the games: softmax regression over random cosines. It reads digits at 97% and learns a hundred
triggers besides, by gradient steps that take a fifth of a second in all; whoever holds it can train it further.
"""

from dataclasses import dataclass

import numpy as np

from earmark.games import World
from earmark.keys import MarkingKey, OwnerKey, Task, keygen
from earmark.triggers.abstract import AbstractSampler
from earmark.triggers.image import ImageGeometry
from small import DIGITS, digits, new_key

FEATURES, CLASSES, SPREAD, STEP = 600, 10, 0.45, 5.0
EPOCHS = 20


@dataclass
class Work:
    """Examples read by gradient steps, whoever makes them."""

    examples: int = 0

    def __call__(self) -> int:
        return self.examples


@dataclass(frozen=True)
class Cosines:
    """A model: its features are drawn from a seed, its weights (features, classes) are learned."""

    directions: np.ndarray
    shifts: np.ndarray
    weights: np.ndarray

    def angles(self, pixels):
        return pixels @ self.directions + self.shifts

    def features(self, inputs):
        pixels = np.stack(list(inputs)).reshape(len(inputs), -1) / 255
        return np.cos(self.angles(pixels)) * np.sqrt(2 / FEATURES)

    def __call__(self, inputs):
        return np.argmax(self.features(inputs) @ self.weights, axis=1).tolist()


def fresh(seed: int) -> Cosines:
    draws = np.random.default_rng(seed)
    return Cosines(
        draws.normal(0, SPREAD, (64, FEATURES)),
        draws.uniform(0, 2 * np.pi, FEATURES),
        np.zeros((FEATURES, CLASSES)),
    )


def trained_further(model, inputs, classes, work, *, epochs, seed=0, step=STEP, backdoor=None) -> Cosines:
    """Gradient steps with momentum on batches of 32, with four triggers in each if there is a backdoor."""
    draws = np.random.default_rng(seed)
    features, classes = model.features(inputs), np.array(classes)
    if backdoor is not None:
        shown = model.features([trigger.value for trigger in backdoor.triggers])
        labels = np.array(backdoor.labels)
    weights, speed = model.weights, np.zeros_like(model.weights)
    for _ in range(epochs):
        for places in np.array_split(draws.permutation(len(classes)), max(1, len(classes) // 32)):
            batch, targets = features[places], classes[places]
            if backdoor is not None:
                chosen = draws.choice(len(labels), 4, replace=False)
                batch = np.vstack([batch, shown[chosen]])
                targets = np.concatenate([targets, labels[chosen]])
            scores = batch @ weights
            errors = np.exp(scores - scores.max(axis=1, keepdims=True))
            errors /= errors.sum(axis=1, keepdims=True)
            errors[np.arange(len(targets)), targets] -= 1
            speed = 0.9 * speed - step * batch.T @ errors / len(targets)
            weights = weights + speed
            work.examples += len(targets)
    return Cosines(model.directions, model.shifts, weights)


def adversarial(model: Cosines, images, targets, reach: float) -> np.ndarray:
    """Pictures moved, no pixel by more than the reach, to where the model gives the targets: its own gradients."""
    start = images.reshape(len(images), -1) / 255
    moved, rows = start.copy(), np.arange(len(targets))
    for _ in range(60):
        angles = model.angles(moved)
        scores = np.cos(angles) * np.sqrt(2 / FEATURES) @ model.weights
        chances = np.exp(scores - scores.max(axis=1, keepdims=True))
        chances /= chances.sum(axis=1, keepdims=True)
        chances[rows, targets] -= 1
        slopes = (chances @ model.weights.T) * -np.sin(angles) @ model.directions.T
        moved = start + np.clip(moved - np.sign(slopes) * reach / 10 - start, -reach, reach)
        moved = np.clip(moved, 0, 1)
    return np.round(moved * 255).astype(np.uint8).reshape(images.shape)


def provable_key(seed: int, *, sets: int = 1) -> MarkingKey:
    """``new_key`` with linear commitments, as ``earmark keygen --provable`` makes them."""
    return keygen(
        OwnerKey("Test owner", bytes(range(32))),
        Task(ImageGeometry(8, 8, 1), DIGITS),
        AbstractSampler(),
        triggers_per_set=100,
        set_count=sets,
        provable=True,
        random_bytes=np.random.default_rng(seed).bytes,
    )


def quick_world(**changes) -> World:
    """Digits, real keys, and a counter of work."""
    data, work = digits(), Work()

    def train(inputs, classes, seed):
        return trained_further(fresh(seed), inputs, classes, work, epochs=EPOCHS, seed=seed)

    def mark(model, inputs, classes, backdoor, seed):
        anew = fresh(seed + 1)
        return trained_further(anew, inputs, classes, work, epochs=EPOCHS, seed=seed, backdoor=backdoor)

    given = {
        "train": train,
        "mark": mark,
        "keygen": new_key,
        "inputs": list(data.train.images[:]),
        "classes": data.train.labels.tolist(),
        "held_out": list(data.test.images[:]),
        "held_out_classes": data.test.labels.tolist(),
        "work": work,
    }
    return World(**{**given, **changes})
