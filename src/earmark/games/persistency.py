"""Persistency, the second half of a strong backdoor, as an experiment.

It is an assumption about training and not a theorem. An experiment can refute it for one world, by one
algorithm that removes a backdoor and does not train anything else as well; it cannot prove it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from earmark.games.definitions import Classify, ErrorCount, count_errors, embeds
from earmark.games.world import Oracle, World, marked_model


class Unlearner(Protocol):
    """A(O^f, M̂): is given any model and treats each alike, not knowing which one carries the backdoor.

    One that spares no work on the marked model and spends none on others is found out by its work; one that
    spoils others on purpose, at the same cost, is no algorithm in the sense of the definition.
    """

    def unlearn(self, model: Classify, oracle: Oracle, labels: tuple[int, ...] | None) -> Classify:
        """Return a model that is accurate and carries no backdoor.

        Args:
            model: The marked model, or any other.
            oracle: O^f.
            labels: T_L in the assumption that derived labels need; None in the paper's.
        """
        ...


@dataclass(frozen=True)
class PersistencyTrial:
    """What one algorithm did.

    Attributes:
        errors: Errors of the model that it made from the marked one.
        removed: Whether the backdoor is gone from that model.
        errors_from_others: Errors of the models that it made from other ones.
        works: Work on the marked model, then on each of the others.
        training_work: What Train worked.
        epsilon: The share of errors that an accurate model may make.
        doubt: Chance that a bound misleads.
    """

    errors: ErrorCount
    removed: bool
    errors_from_others: tuple[ErrorCount, ...]
    works: tuple[float, ...]
    training_work: float
    epsilon: Fraction
    doubt: Fraction

    @property
    def removes(self) -> bool:
        """Whether the algorithm is shown to remove the backdoor and to keep the model accurate."""
        return self.removed and self.errors.at_most(self.doubt) <= self.epsilon

    @property
    def needs_the_marked_model(self) -> bool:
        """Whether it is shown to fail on another model, with no less work than the marked one took.

        Then it is not training anew in disguise. Who worked less on the other model may fail by that alone.
        """
        spent, *on_others = self.works
        return any(
            errors.at_least(self.doubt) > self.epsilon and work >= spent
            for errors, work in zip(self.errors_from_others, on_others, strict=True)
        )

    @property
    def is_cheaper(self) -> bool:
        """Whether removing took less work than Train; never where work is not measured."""
        return self.works[0] < self.training_work

    @property
    def refutes(self) -> bool:
        """Whether this backdoor is not persistent."""
        return self.removes and self.is_cheaper and self.needs_the_marked_model


def try_persistency(
    world: World,
    unlearner: Unlearner,
    seed: int,
    *,
    others: Sequence[Classify],
    epsilon: Fraction,
    labels_known: bool = True,
) -> PersistencyTrial:
    """Try whether removing a backdoor is cheaper than training anew.

    The paper calls a backdoor persistent if every algorithm that makes, from O^f and M̂, an accurate model
    without the backdoor in some time also makes an accurate model from O^f and *any* model in that time.
    With derived labels the algorithm knows T_L as well, for they are public, and still not T.

    Args:
        world: The world; where it measures no work, nothing is refuted.
        unlearner: The algorithm.
        seed: The challenger's randomness.
        others: Models N, untrained ones for instance: "any model" as far as it can be tried.
        epsilon: The share of errors allowed, of the model off the triggers and of the backdoor on them.
        labels_known: Whether the algorithm is given T_L.

    Returns:
        What came of it.

    Source:
        Adi et al. 2018, Section 2.3 (strong backdoors: persistency); known labels are ours
        (docs/mathematics/theorem.md)
    """
    made = marked_model(world, seed)
    backdoor = made.key.backdoor()
    labels = backdoor.labels if labels_known else None
    results, works = [], []
    for model in (made.marked, *others):
        start = world.work_so_far()
        results.append(unlearner.unlearn(model, world.oracle(), labels))
        works.append(world.work_so_far() - start)
    errors = [count_errors(result, world.held_out, world.held_out_classes) for result in results]
    return PersistencyTrial(
        errors[0],
        not embeds(results[0], backdoor, epsilon),
        tuple(errors[1:]),
        tuple(works),
        made.training_work,
        epsilon,
        world.doubt,
    )
