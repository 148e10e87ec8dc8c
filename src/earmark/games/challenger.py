"""The five games. A challenger plays the world; whoever breaks the promise is entered as an adversary.

correctness                 the marked model is accepted with its own key
functionality-preserving    it is as accurate as the unmarked one
non-trivial ownership       nobody makes a key in advance that claims a model he does not know
unremovability              nobody makes, from the marked model, a good one that is no longer accepted,
                            with fewer labelled inputs than training anew takes
unforgeability              nobody who knows the model and vk opens vk in his own name
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

from earmark.games.definitions import Classify, ErrorCount, count_errors
from earmark.games.rules import Judgement, Rule, exact_rule
from earmark.keys import MarkingKey, VerificationKey
from earmark.triggers import Backdoor


@dataclass(frozen=True)
class World:
    """What every game needs: the paper's algorithms, and samples of D with f.

    Attributes:
        train: Train(O^f): labelled inputs and a seed to a model.
        mark: Mark(M, mk) from scratch: labelled inputs, a backdoor and a seed to a marked model.
        keygen: KeyGen: a seed to a marking key.
        inputs: Labelled inputs for training: what the oracle O^f gives.
        classes: f of each of them.
        held_out: Inputs on which accuracy is measured.
        held_out_classes: f of each of them.
        accuracy_loss: How much less accurate than the marked model a stolen one may be and still be good.
    """

    train: Callable[[Sequence[Any], Sequence[int], int], Classify]
    mark: Callable[[Sequence[Any], Sequence[int], Backdoor, int], Classify]
    keygen: Callable[[int], MarkingKey]
    inputs: Sequence[Any]
    classes: Sequence[int]
    held_out: Sequence[Any]
    held_out_classes: Sequence[int]
    accuracy_loss: Fraction = Fraction(1, 50)

    def errors(self, model: Classify) -> ErrorCount:
        """Return a model's errors on held-out inputs."""
        return count_errors(model, self.held_out, self.held_out_classes)


@dataclass(frozen=True)
class MarkedModel:
    """What MModel() returns.

    Attributes:
        plain: M, trained without the mark.
        marked: M̂.
        key: (mk, vk).
    """

    plain: Classify
    marked: Classify
    key: MarkingKey


@dataclass(frozen=True)
class Outcome:
    """How a game ended.

    Attributes:
        broken: Whether the promise was broken: the adversary won, or without one the property failed.
        judgement: What the rule said of the model in question.
        errors: Errors on held-out inputs: of the marked or stolen model.
        errors_before: The same of the model that it is compared with; None where none is.
        queries: Labelled inputs that the adversary took.
    """

    broken: bool
    judgement: Judgement
    errors: ErrorCount
    errors_before: ErrorCount | None = None
    queries: int = 0


class Claimant(Protocol):
    """Plays for non-trivial ownership."""

    def claim(self, world: World, seed: int, model: Classify | None) -> MarkingKey:
        """Return a key. The model is None unless the game is played without the rule that keys come first."""
        ...


class Remover(Protocol):
    """Plays against unremovability."""

    def remove(self, marked: Classify, verification_key: VerificationKey, oracle: "Oracle") -> Classify:
        """Return a model that is good and no longer accepted."""
        ...


class Forger(Protocol):
    """Plays against unforgeability."""

    def forge(
        self, marked: Classify, verification_key: VerificationKey, oracle: "Oracle"
    ) -> tuple[Classify, MarkingKey]:
        """Return a model and a marking key that is accepted together with the owner's vk."""
        ...


class OracleSpentError(Exception):
    """An adversary asked for more labelled inputs than he has."""


class Oracle:
    """O^f with a budget: labelled inputs, counted.

    Args:
        world: Where they come from.
        budget: How many may be taken.
    """

    def __init__(self, world: World, budget: int) -> None:
        self._world = world
        self._budget = budget
        self.taken = 0

    def draw(self, count: int) -> tuple[Sequence[Any], Sequence[int]]:
        """Return so many labelled inputs, new ones each time.

        Raises:
            OracleSpentError: Fewer are left.
        """
        start, self.taken = self.taken, self.taken + count
        if self.taken > min(self._budget, len(self._world.inputs)):
            raise OracleSpentError(f"{self._budget} labelled inputs are all there is")
        return self._world.inputs[start : self.taken], self._world.classes[start : self.taken]


def marked_model(world: World, seed: int) -> MarkedModel:
    """Play MModel(): train without and with the mark.

    Args:
        world: The world.
        seed: Of key and trainings.

    Source:
        Adi et al. 2018, Section 3 (MModel)
    """
    key = world.keygen(seed)
    plain = world.train(world.inputs, world.classes, seed)
    marked = world.mark(world.inputs, world.classes, key.backdoor(), seed)
    return MarkedModel(plain, marked, key)


def correctness(world: World, seed: int, rule: Rule = exact_rule) -> Outcome:
    """Is the honestly marked model accepted with its own key?

    Args:
        world: The world.
        seed: Of the model.
        rule: Verify.

    Source:
        Adi et al. 2018, Section 3 (Correctness)
    """
    made = marked_model(world, seed)
    judgement = rule(made.key, made.key.verification_key, made.marked)
    return Outcome(not judgement.accepted, judgement, world.errors(made.marked))


def functionality_preserving(world: World, seed: int, rule: Rule = exact_rule) -> Outcome:
    """Is the marked model as accurate as the unmarked one, up to ``World.accuracy_loss``?

    Args:
        world: The world.
        seed: Of the models.
        rule: Verify; its judgement of the marked model is reported and does not decide.

    Source:
        Adi et al. 2018, Section 3 (Functionality-preserving)
    """
    made = marked_model(world, seed)
    before, after = world.errors(made.plain), world.errors(made.marked)
    judgement = rule(made.key, made.key.verification_key, made.marked)
    return Outcome(after.rate - before.rate > world.accuracy_loss, judgement, after, before)


def non_trivial_ownership(
    world: World, claimant: Claimant, seed: int, rule: Rule = exact_rule, *, key_comes_first: bool = True
) -> Outcome:
    """Can somebody claim a model that he does not know?

    1. The claimant makes a key.
    2. Only then the challenger trains and marks a model, with a key of his own.
    3. The claimant wins if the rule accepts his key for it.

    Args:
        world: The world.
        claimant: The adversary.
        seed: Of the challenger's model.
        rule: Verify.
        key_comes_first: False to let the claimant see the model in step 1: what the paper's definition
            excludes, and a court cannot.

    Source:
        Adi et al. 2018, Section 3 (Non-trivial ownership)
    """
    made = marked_model(world, seed)
    key = claimant.claim(world, seed, None if key_comes_first else made.marked)
    judgement = rule(key, key.verification_key, made.marked)
    return Outcome(judgement.accepted, judgement, world.errors(made.marked))


def unremovability(
    world: World, remover: Remover, seed: int, rule: Rule = exact_rule, *, budget: int
) -> Outcome:
    """Can somebody who has the marked model and vk get rid of the mark and keep a good model?

    Args:
        world: The world.
        remover: The adversary.
        seed: Of the challenger's model.
        rule: Verify.
        budget: Labelled inputs that the adversary has. With as many as the owner he can train anew: the paper
            therefore bounds his time by that of training.

    Returns:
        Broken if the adversary's model is good and not accepted.

    Source:
        Adi et al. 2018, Section 3 (Unremovability)
    """
    made = marked_model(world, seed)
    oracle = Oracle(world, budget)
    stolen = remover.remove(made.marked, made.key.verification_key, oracle)
    before, after = world.errors(made.marked), world.errors(stolen)
    judgement = rule(made.key, made.key.verification_key, stolen)
    is_good = after.rate - before.rate <= world.accuracy_loss
    return Outcome(is_good and not judgement.accepted, judgement, after, before, oracle.taken)


def unforgeability(
    world: World, forger: Forger, seed: int, rule: Rule = exact_rule, *, budget: int = 0
) -> Outcome:
    """Can somebody who knows the model and vk open vk in his own name?

    Args:
        world: The world.
        forger: The adversary.
        seed: Of the challenger's model.
        rule: Verify.
        budget: Labelled inputs that the adversary has.

    Returns:
        Broken if the rule accepts his model and marking key together with the owner's vk.

    Source:
        Adi et al. 2018, Section 3 (Unforgeability)
    """
    made = marked_model(world, seed)
    oracle = Oracle(world, budget)
    model, key = forger.forge(made.marked, made.key.verification_key, oracle)
    judgement = rule(key, made.key.verification_key, model)
    return Outcome(judgement.accepted, judgement, world.errors(model), None, oracle.taken)
