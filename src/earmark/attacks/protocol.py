"""What an attack is: a frozen, configured value that turns a marked model into something less marked.

Two kinds. A *model attack* turns a model into a model: fine-tuning, pruning, extraction. A *suspect attack*
turns a suspect into a suspect: what whoever deploys a model does to questions and answers.

An attack never sees the owner's key and never judges itself: it is given a model and what the thief holds,
and gives back what the thief would then release. What it must report on the way goes through ``Watch``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

from torch import nn

from earmark.data.table import ImageArray, Split
from earmark.models.description import ModelDescription
from earmark.suspects import Suspect
from earmark.triggers import Backdoor, Sampler


class Need(StrEnum):
    """What a thief must hold for an attack, beside the model."""

    LABELLED = "labelled pictures of the task"
    UNLABELLED = "pictures of the task without labels"
    OTHER = "pictures of another kind"
    OTHER_CLASSES = "labelled pictures of another task"
    BACKDOOR = "a backdoor of the thief's own"
    SAMPLER = "our code, without the secrets: a sampler of triggers"


class Access(StrEnum):
    """How the thief reaches the marked model."""

    WEIGHTS = "weights"
    SCORES = "answers with probabilities"
    ANSWERS = "answers alone"


@dataclass(frozen=True, slots=True)
class Card:
    """What an attack is, for tables and for people.

    Attributes:
        title: A few words, e.g. ``"Fine-pruning"``.
        family: Attacks are grouped by it, e.g. ``"pruning"``.
        access: How the thief reaches the marked model.
        needs: What else he must hold.
        source: The publication, or "ours".
        defaults: Where the numbers come from, and what differs.
    """

    title: str
    family: str
    access: Access
    needs: frozenset[Need]
    source: str
    defaults: str


@dataclass(frozen=True)
class StolenModel:
    """A network with what its file says of it.

    Attributes:
        module: The network.
        description: Architecture, classes and preprocessing.
    """

    module: nn.Module
    description: ModelDescription


@dataclass(frozen=True)
class Thief:
    """What the adversary holds beside the model: never the owner's key, never a trigger.

    Attributes:
        split: Pictures of the task with their labels, as many as he has. An attack that needs no labels
            does not look at them.
        augmentation: What suits these pictures: ``"none"``, ``"crop"`` or ``"crop-flip"``.
        other: Pictures of another kind, uint8 ``(images, height, width, channels)`` of the model's size.
        other_task: Labelled pictures of another task, of the model's size.
        other_class_names: Its classes.
        backdoor: The pirate's own.
        sampler: For adaptive attacks: makes triggers as the owner's sampler does, or as another.
    """

    split: Split
    augmentation: str = "none"
    other: ImageArray | None = None
    other_task: Split | None = None
    other_class_names: tuple[str, ...] = ()
    backdoor: Backdoor | None = None
    sampler: Sampler | None = None

    def holds(self, need: Need) -> bool:
        """Say whether the thief holds what an attack needs."""
        return {
            Need.LABELLED: len(self.split) > 0,
            Need.UNLABELLED: len(self.split) > 0,
            Need.OTHER: self.other is not None,
            Need.OTHER_CLASSES: self.other_task is not None,
            Need.BACKDOOR: self.backdoor is not None,
            Need.SAMPLER: self.sampler is not None,
        }[need]


@dataclass(frozen=True)
class Watch:
    """Who looks on while an attack runs.

    Attributes:
        on_step: Called with the steps done and in all; for progress bars.
        on_epoch: Called after each pass with its number, from 1, and the network as the thief would release
            it then, in evaluation mode. It may look and must not change anything.
    """

    on_step: Callable[[int, int], None] = lambda step, total: None
    on_epoch: Callable[[int, StolenModel], None] = lambda number, model: None


SILENT = Watch()


@runtime_checkable
class ModelAttack(Protocol):
    """Model to Model. One frozen value per configuration."""

    @property
    def card(self) -> Card:
        """What it is."""
        ...

    def run(self, model: StolenModel, thief: Thief, seed: int, watch: Watch = SILENT) -> StolenModel:
        """Attack a model.

        Args:
            model: The marked model; it is left as it is.
            thief: What the adversary holds beside it.
            seed: All randomness follows from it: same arguments, same result.
            watch: Who looks on.

        Returns:
            What the thief would release, in evaluation mode.

        Raises:
            ValueError: The thief lacks what the attack needs.
            MarkingError: A training diverged.
        """
        ...


@runtime_checkable
class SuspectAttack(Protocol):
    """Suspect to Suspect. One frozen value per configuration."""

    @property
    def card(self) -> Card:
        """What it is."""
        ...

    def wrap(self, suspect: Suspect, thief: Thief, seed: int) -> Suspect:
        """Return a suspect that stands before another.

        Args:
            suspect: The marked model, deployed.
            thief: What the adversary holds beside it.
            seed: All randomness follows from it and from the questions in their order.

        Returns:
            What the thief would deploy.

        Raises:
            ValueError: The thief lacks what the attack needs.
        """
        ...


def require(thief: Thief, card: Card) -> None:
    """Refuse to run an attack for which the thief lacks something.

    Raises:
        ValueError: He does; the message names what.
    """
    lacking = sorted(need for need in card.needs if not thief.holds(need))
    if lacking:
        raise ValueError(f"{card.title} needs {' and '.join(lacking)}")
