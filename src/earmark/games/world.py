"""What the games are played in: the paper's algorithms as callables, the oracle, and MModel().

Randomness of the challenger is a seed that no adversary is given: whoever has it could make the owner's
key. For the same reason adversaries are never handed the world, only what their game says they see.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from types import MappingProxyType
from typing import Any, Protocol

from earmark.games.definitions import Classify, Comparison, compare
from earmark.keys import MarkingKey, SetId, VerificationKey
from earmark.triggers import Backdoor, Trigger


class OracleSpentError(Exception):
    """An adversary asked for more labelled inputs than he has."""


class Oracle:
    """O^f as an adversary has it: labelled inputs, counted.

    Args:
        inputs: Labelled inputs, in the order in which they are given out.
        classes: f of each of them.
        budget: How many may be taken; None for all.
    """

    def __init__(self, inputs: Sequence[Any], classes: Sequence[int], budget: int | None = None) -> None:
        self._inputs = inputs
        self._classes = classes
        self.left = len(inputs) if budget is None else min(budget, len(inputs))
        self.taken = 0

    def draw(self, count: int) -> tuple[Sequence[Any], Sequence[int]]:
        """Return so many labelled inputs, new ones each time.

        Raises:
            OracleSpentError: Fewer are left.
            ValueError: The count is negative.
        """
        if count < 0:
            raise ValueError(f"{count} inputs cannot be drawn")
        if count > self.left:
            raise OracleSpentError(f"{count} labelled inputs are asked for, and {self.left} are left")
        start, self.taken = self.taken, self.taken + count
        self.left -= count
        return self._inputs[start : self.taken], self._classes[start : self.taken]


class Train(Protocol):
    """Train(O^f)."""

    def __call__(self, inputs: Sequence[Any], classes: Sequence[int], seed: int) -> Classify:
        """Return a model."""
        ...


class Mark(Protocol):
    """Mark(M, mk), which is Backdoor(O^f, b, M)."""

    def __call__(
        self, model: Classify, inputs: Sequence[Any], classes: Sequence[int], backdoor: Backdoor, seed: int
    ) -> Classify:
        """Return a marked model: from the given one, or from scratch. The given one stays as it is."""
        ...


@dataclass(frozen=True)
class World:
    """The paper's algorithms, and samples of the task.

    Attributes:
        train: Train(O^f). A model is anything that can be called with inputs and returns their classes;
            whatever else it has (weights, a ``torch`` module) adversaries who hold it may use.
        mark: Mark(M, mk).
        keygen: KeyGen() from the challenger's seed; a real owner's has no seed.
        inputs: Labelled inputs for training: what the oracle O^f gives.
        classes: f of each of them.
        held_out: Independent inputs on which accuracy is measured; no player sees them.
        held_out_classes: f of each of them.
        accuracy_loss: Two models are about equally accurate if they differ by no more than this: the sign
            ≈ in the paper's games.
        doubt: Chance that a measured comparison of accuracies misleads.
        work: Says how much work has been done since some moment: seconds of a clock, examples of a
            counter. None if work plays no part.
    """

    train: Train
    mark: Mark
    keygen: Callable[[int], MarkingKey]
    inputs: Sequence[Any]
    classes: Sequence[int]
    held_out: Sequence[Any]
    held_out_classes: Sequence[int]
    accuracy_loss: Fraction = Fraction(1, 20)
    doubt: Fraction = Fraction(1, 100)
    work: Callable[[], float] | None = None

    def compare(self, before: Classify, after: Classify) -> Comparison:
        """Compare two models on held-out inputs."""
        return compare(before, after, self.held_out, self.held_out_classes)

    def oracle(self, budget: int | None = None) -> Oracle:
        """Return O^f for an adversary."""
        return Oracle(self.inputs, self.classes, budget)

    def work_so_far(self) -> float:
        """Return the reading of ``work``; 0 without one."""
        return 0.0 if self.work is None else float(self.work())


@dataclass(frozen=True)
class MarkedModel:
    """What MModel() returns.

    Attributes:
        plain: M, trained without the mark.
        marked: M̂.
        key: mk, with vk as its ``verification_key``.
        training_work: Work that Train took: what removal must not come near.
    """

    plain: Classify
    marked: Classify
    key: MarkingKey
    training_work: float


def marked_model(world: World, seed: int) -> MarkedModel:
    """Play MModel().

    1. M ← Train(O^f).
    2. (mk, vk) ← KeyGen().
    3. M̂ ← Mark(M, mk). Mark is given the backdoor alone: salts and transcript are none of its business.

    Args:
        world: The world.
        seed: The challenger's randomness.

    Source:
        Adi et al. 2018, Section 3 (MModel)
    """
    start = world.work_so_far()
    plain = world.train(world.inputs, world.classes, seed)
    training_work = world.work_so_far() - start
    key = world.keygen(seed)
    marked = world.mark(plain, world.inputs, world.classes, key.backdoor(), seed)
    return MarkedModel(plain, marked, key, training_work)


@dataclass(frozen=True)
class OpenedSet:
    """A set that the owner opened earlier, and more than an opening tells: its secrets.

    Attributes:
        triggers: Its triggers.
        secrets: The secret of each.
        randomness: What opens each linear commitment; None where commitments are salted, for their salts
            come from the secrets.
    """

    triggers: tuple[Trigger, ...]
    secrets: tuple[bytes, ...]
    randomness: tuple[bytes, ...] | None = None


@dataclass(frozen=True)
class Seen:
    """What an adversary sees who comes after the model.

    Attributes:
        marked: M̂ itself, not only its answers.
        verification_key: vk. With derived labels it tells all labels.
        oracle: O^f, within the adversary's budget.
        opened: Sets that the owner opened.
    """

    marked: Classify
    verification_key: VerificationKey
    oracle: Oracle
    opened: Mapping[SetId, OpenedSet] = field(default_factory=lambda: MappingProxyType({}))


def seen_by_adversary(
    world: World, made: MarkedModel, budget: int | None = None, opened: Sequence[SetId] = ()
) -> Seen:
    """Return what an adversary sees of a marked model.

    Args:
        world: The world.
        made: The marked model and its key.
        budget: Labelled inputs that the adversary may take; None for all.
        opened: Sets that the owner opened.
    """
    key = made.key
    shown = {
        set_id: OpenedSet(
            key.triggers[set_id],
            key.secrets[set_id],
            None if key.randomness is None else key.randomness[set_id],
        )
        for set_id in opened
    }
    return Seen(made.marked, key.verification_key, world.oracle(budget), shown)
