"""The five games. A challenger plays the world; whoever breaks the promise is entered as an adversary.

correctness                 the marked model is accepted with its own key
functionality-preserving    it is as accurate as the unmarked one
non-trivial ownership       nobody makes a key in advance that claims a model he does not know
unremovability              nobody makes, from the marked model and much more cheaply than by training anew,
                            a good model that is no longer accepted
unforgeability              nobody who knows the model and vk opens vk

In doubt the adversary wins: what cannot be told apart on the held-out sample is decided against the promise.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from earmark.games.definitions import Classify, Comparison
from earmark.games.rules import Judgement, Rule, exact_rule
from earmark.games.world import MarkedModel, Oracle, Seen, World, marked_model, seen_by_adversary
from earmark.keys import MarkingKey, SetId

TOO_MUCH_WORK = "too much work"
TOO_INACCURATE = "too inaccurate"
ACCEPTED, NOT_ACCEPTED = "accepted", "not accepted"
AS_ACCURATE = "as accurate"


@dataclass(frozen=True)
class Outcome:
    """How a game ended.

    Attributes:
        lost_because: Every reason why the promise stands, in words; none if it is broken.
        judgement: What the rule said of the model in question.
        comparison: The accuracy of that model against the unmarked one; None where it plays no part.
        work: What the adversary worked.
        training_work: What Train worked.
    """

    lost_because: tuple[str, ...]
    judgement: Judgement
    comparison: Comparison | None = None
    work: float = 0.0
    training_work: float = 0.0

    @property
    def broken(self) -> bool:
        """Whether the adversary won; in the two games that have none, whether the promise failed."""
        return not self.lost_because


class Claimant(Protocol):
    """Plays against non-trivial ownership."""

    def claim(self, oracle: Oracle, seen: Seen | None) -> MarkingKey:
        """Return a key: (m̃k, ṽk).

        Args:
            oracle: O^f. With it and the public algorithms the claimant can train models of his own.
            seen: None in the paper's game, where keys come before the model; else the model and its vk.
        """
        ...


class Remover(Protocol):
    """Plays against unremovability."""

    def remove(self, seen: Seen) -> Classify:
        """Return M̃: as good as the unmarked model, and no longer accepted."""
        ...


class Forger(Protocol):
    """Plays against unforgeability."""

    def forge(self, seen: Seen) -> tuple[Classify, MarkingKey]:
        """Return (M̃, m̃k) that is accepted together with the owner's vk."""
        ...


def correctness(world: World, seed: int, rule: Rule = exact_rule) -> Outcome:
    """Is the honestly marked model accepted with its own key?

    Args:
        world: The world; Mark is what is on trial, and there is no adversary.
        seed: The challenger's randomness.
        rule: Verify.

    Source:
        Adi et al. 2018, Section 3 (Correctness)
    """
    made = marked_model(world, seed)
    judgement = _judged(rule, made, made.marked)
    return Outcome((ACCEPTED,) if judgement.accepted else (), judgement)


def functionality_preserving(world: World, seed: int, rule: Rule = exact_rule) -> Outcome:
    """Is the marked model about as accurate as the unmarked one?

    Args:
        world: The world; Mark is what is on trial, and there is no adversary.
        seed: The challenger's randomness.
        rule: Verify; its judgement of the marked model is reported and does not decide.

    Returns:
        Broken unless the sample shows, but for ``World.doubt``, that the loss is at most
        ``World.accuracy_loss``.

    Source:
        Adi et al. 2018, Section 3 (Functionality-preserving)
    """
    made = marked_model(world, seed)
    found = world.compare(made.plain, made.marked)
    is_shown = found.at_most(world.doubt) <= world.accuracy_loss
    return Outcome((AS_ACCURATE,) if is_shown else (), _judged(rule, made, made.marked), found)


def non_trivial_ownership(
    world: World, claimant: Claimant, seed: int, rule: Rule = exact_rule, *, key_comes_first: bool = True
) -> Outcome:
    """Can somebody claim a model that he did not mark?

    1. The claimant makes a key.
    2. Only then the challenger plays MModel().
    3. The claimant wins if the rule accepts his key for the marked model.

    Args:
        world: The world.
        claimant: The adversary.
        seed: The challenger's randomness.
        rule: Verify.
        key_comes_first: False to exchange steps 1 and 2 and show the claimant model and vk: the paper's
            definition excludes it, and a court cannot.

    Source:
        Adi et al. 2018, Section 3 (Non-trivial ownership)
    """
    if key_comes_first:
        key = claimant.claim(world.oracle(), None)
        made = marked_model(world, seed)
    else:
        made = marked_model(world, seed)
        seen = seen_by_adversary(world, made)
        key = claimant.claim(seen.oracle, seen)
    judgement = rule(key, key.verification_key, made.marked)
    return Outcome(() if judgement.accepted else (NOT_ACCEPTED,), judgement)


def unremovability(
    world: World,
    remover: Remover,
    seed: int,
    rule: Rule = exact_rule,
    *,
    work_share: Fraction | None = None,
    budget: int | None = None,
) -> Outcome:
    """Can somebody who has the marked model and vk get rid of the mark and keep a good model?

    1. The challenger plays MModel().
    2. The adversary makes M̃ from O^f, M̂ and vk.
    3. He wins if M̃ is about as accurate as M, the rule refuses it, and he worked much less than Train.

    Args:
        world: The world.
        remover: The adversary.
        seed: The challenger's randomness.
        rule: Verify.
        work_share: Share of the work of Train that the adversary may do. Without a limit he trains anew, and
            no mark in the world can be in what he never took from the owner. None sets none.
        budget: Labelled inputs that he may take; None for all that the owner has. The paper limits time.

    Returns:
        Broken if he won; that M̃ is less accurate by more than ``World.accuracy_loss`` must be shown by the
        sample, but for ``World.doubt``.

    Raises:
        ValueError: A share of work is asked for, and the world does not measure work.

    Source:
        Adi et al. 2018, Section 3 (Unremovability)
    """
    if work_share is not None and world.work is None:
        raise ValueError("the world does not measure work, so that none can be limited")
    made = marked_model(world, seed)
    seen = seen_by_adversary(world, made, budget)
    start = world.work_so_far()
    stolen = remover.remove(seen)
    work = world.work_so_far() - start
    found, judgement = world.compare(made.plain, stolen), _judged(rule, made, stolen)
    conditions = {
        TOO_MUCH_WORK: work_share is not None and work > work_share * Fraction(made.training_work),
        TOO_INACCURATE: found.at_least(world.doubt) > world.accuracy_loss,
        ACCEPTED: judgement.accepted,
    }
    lost_because = tuple(reason for reason, holds in conditions.items() if holds)
    return Outcome(lost_because, judgement, found, work, made.training_work)


def unforgeability(
    world: World, forger: Forger, seed: int, rule: Rule = exact_rule, *, opened: Sequence[SetId] = ()
) -> Outcome:
    """Can somebody who knows the model and vk open vk?

    1. The challenger plays MModel().
    2. The adversary makes M̃ and m̃k from O^f, M̂ and vk.
    3. He wins if the rule accepts m̃k for M̃ together with the owner's vk.

    Args:
        world: The world.
        forger: The adversary.
        seed: The challenger's randomness.
        rule: Verify.
        opened: Sets whose triggers and secrets the adversary is given as well: the owner opened them in
            earlier disputes. The paper has one set and gives none.

    Source:
        Adi et al. 2018, Section 3 (Unforgeability)
    """
    made = marked_model(world, seed)
    model, key = forger.forge(seen_by_adversary(world, made, None, opened))
    judgement = rule(key, made.key.verification_key, model)
    return Outcome(() if judgement.accepted else (NOT_ACCEPTED,), judgement)


def _judged(rule: Rule, made: MarkedModel, model: Classify) -> Judgement:
    return rule(made.key, made.key.verification_key, model)
