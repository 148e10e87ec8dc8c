"""keygen(): sample triggers, commit to them, sign; only then do labels exist."""

import secrets as system_randomness
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import islice
from typing import TypeAlias

from earmark.commitment import Stream, merkle_root
from earmark.commitment.canonical import Json
from earmark.commitment.linear import RANDOM_BYTES, linear_scheme
from earmark.errors import SimilarTriggersError, TriggerSetTooSmallError
from earmark.keys.owner import OwnerKey
from earmark.keys.pair import (
    MarkingKey,
    SetId,
    VerificationKey,
    label_commitments,
    leaf_of,
    trigger_salt,
    trigger_stream,
)
from earmark.keys.transcript import Experiment, Stratum, Task, Transcript
from earmark.statistics import match_threshold, triggers_needed
from earmark.triggers import FiniteSampler, Sampler, Trigger, kind_named

_SECRET_BYTES = 32
_REDRAW_LIMIT = 64
_CHOICE_LABEL = "earmark/label-choice/v1"
LabelChooser: TypeAlias = Callable[[Sequence[Trigger]], Sequence[int]]
DEFAULT_SURVIVAL = Fraction(7, 10)


@dataclass(frozen=True, slots=True)
class StratumPlan:
    """Trigger sets of one kind that a key is to have.

    Attributes:
        sampler: Makes their triggers.
        triggers_per_set: At least 1.
        set_count: At least 1.
    """

    sampler: Sampler
    triggers_per_set: int
    set_count: int = 1

    def __post_init__(self) -> None:
        if self.triggers_per_set < 1 or self.set_count < 1:
            raise ValueError("a key needs at least one set of at least one trigger")

    @property
    def trigger_count(self) -> int:
        """Triggers in all of its sets."""
        return self.triggers_per_set * self.set_count


def keygen(  # noqa: PLR0913 - each is a choice of its own, and all but three have defaults
    owner: OwnerKey,
    task: Task,
    sampler: Sampler,
    *,
    triggers_per_set: int,
    set_count: int = 1,
    further_strata: Sequence[StratumPlan] = (),
    survival: Fraction = DEFAULT_SURVIVAL,
    experiment: Experiment | None = None,
    choose_labels: LabelChooser | None = None,
    provable: bool = False,
    revival: Mapping[str, Json] | None = None,
    random_bytes: Callable[[int], bytes] = system_randomness.token_bytes,
    on_trigger: Callable[[int], None] = lambda _: None,
) -> MarkingKey:
    """Make a key pair: KeyGen() → (mk, vk).

    1. Draw a 256-bit secret for every trigger, and make the trigger from it.
    2. Commit to every trigger; one Merkle tree per set.
    3. Write the transcript and sign its hash, the root.

    The labels follow from the root and did not exist before: nobody, the owner included, could choose
    triggers to suit them except by starting over, and starting over is what the grinding penalty pays.

    Args:
        owner: Who signs.
        task: Inputs and classes.
        sampler: Makes the triggers.
        triggers_per_set: At least what ``survival`` needs for one set alone.
        set_count: Number of sets, at least 1.
        further_strata: Sets of other kinds, in the order of use: e.g. held-out pictures for services that
            refuse strange ones. Their triggers are marked and asked like all others.
        survival: Planned share of triggers that still match after attacks.
        experiment: What is tested, and how; None for the suspect's own release.
        choose_labels: Returns the labels of a set's triggers, which are then committed to one by one as in
            the paper; such a key proves nothing by the exact rule. None to derive them.
        provable: Commit linearly, so that ownership can be proven in zero knowledge.
        revival: What may be done to a suspect before it is questioned (``RevivalPlan.to_json``), or None.
        random_bytes: Source of secrets and nonce; only tests pass another.
        on_trigger: Called with the number of triggers made so far.

    Returns:
        The marking key; its ``verification_key`` is to be published.

    Raises:
        TriggerSetTooSmallError: A set could not show the mark at the planned survival.
        SimilarTriggersError: The sampler keeps making triggers that are nearly alike, or its pool has
            too few that are not.
        ValueError: A count is below 1, or no linear commitment holds such triggers.

    Source:
        Adi et al. 2018, Section 4, KeyGen; labels after the commitment are ours
        (docs/mathematics/verdict.md)
    """
    if provable and choose_labels is not None:
        raise ValueError("nothing is proven in zero knowledge with chosen labels: leave them derived")
    plans = (StratumPlan(sampler, triggers_per_set, set_count), *further_strata)
    for plan in plans:
        _check_size(plan.triggers_per_set, len(task.class_names), survival)
    made = iter(_sample_all(plans, task, random_bytes, on_trigger))
    scheme: dict[str, Json] = {"scheme": "sis" if provable else "salted-sha256"}
    secrets, triggers, leaves = {}, {}, {}
    randomness: dict[SetId, tuple[bytes, ...]] | None = {} if provable else None
    for set_id, count in _sets_of(plans):
        part = list(islice(made, count))
        secrets[set_id] = tuple(secret for secret, _ in part)
        triggers[set_id] = tuple(trigger for _, trigger in part)
        openings = tuple(
            random_bytes(RANDOM_BYTES) if provable else trigger_salt(secret) for secret in secrets[set_id]
        )
        if randomness is not None:
            randomness[set_id] = openings
        pairs = zip(triggers[set_id], openings, strict=True)
        leaves[set_id] = [leaf_of(scheme, trigger, opening) for trigger, opening in pairs]
    if provable:
        scheme = linear_scheme(b"".join(leaf for part in leaves.values() for leaf in part))
    chosen = None if choose_labels is None else {i: tuple(choose_labels(t)) for i, t in triggers.items()}
    transcript = Transcript(
        owner=owner.owner,
        task=task,
        experiment=experiment or Experiment(),
        strata=_strata(plans, leaves),
        nonce=random_bytes(_SECRET_BYTES),
        commitment=scheme,
        labels=_label_rule(chosen, secrets),
        revival=revival,
    )
    # Read back what others will read: a name too long or a class twice is found now, not in court.
    transcript = Transcript.from_bytes(transcript.canonical_bytes)
    verification_key = VerificationKey(transcript, owner.sign(transcript.root))
    key = MarkingKey(verification_key, secrets, triggers, chosen, randomness)
    key.check()
    return key


def random_labels(
    class_count: int, random_bytes: Callable[[int], bytes] = system_randomness.token_bytes
) -> LabelChooser:
    """Return the paper's way of choosing labels: uniformly at random.

    Args:
        class_count: Number of classes.
        random_bytes: Source of randomness; only tests pass another.

    Source:
        Adi et al. 2018, Section 5 (labels of the trigger set)
    """

    def choose(triggers: Sequence[Trigger]) -> Sequence[int]:
        draws = Stream(_CHOICE_LABEL, random_bytes(_SECRET_BYTES))
        return [draws.uniform(class_count) for _ in triggers]

    return choose


def _sets_of(plans: Sequence[StratumPlan]) -> Iterator[tuple[SetId, int]]:
    """Yield every set with its number of triggers, in the order of use."""
    for place, plan in enumerate(plans):
        for number in range(plan.set_count):
            yield SetId(place, number), plan.triggers_per_set


def _strata(plans: Sequence[StratumPlan], leaves: Mapping[SetId, Sequence[bytes]]) -> tuple[Stratum, ...]:
    strata: list[Stratum] = []
    for place, plan in enumerate(plans):
        name = plan.sampler.name
        before = sum(earlier.sampler == name for earlier in strata)
        strata.append(
            Stratum(
                f"{name}-{before + 1}" if before else name,
                name,  # each sampler of this release is a stratum kind of its own
                name,
                plan.sampler.parameters(),
                plan.triggers_per_set,
                tuple(merkle_root(leaves[SetId(place, number)]) for number in range(plan.set_count)),
            )
        )
    return tuple(strata)


def _label_rule(
    chosen: Mapping[SetId, tuple[int, ...]] | None, secrets: Mapping[SetId, tuple[bytes, ...]]
) -> dict[str, Json]:
    if chosen is None:
        return {"rule": "derived"}
    roots = (merkle_root(label_commitments(chosen[set_id], secrets[set_id])) for set_id in chosen)
    return {"rule": "chosen", "roots": [root.hex() for root in roots]}


def _check_size(triggers_per_set: int, class_count: int, survival: Fraction) -> None:
    chance = Fraction(1, class_count)
    threshold = match_threshold(triggers_per_set, chance)
    if threshold is None or threshold > survival * triggers_per_set:
        least = triggers_needed(chance, survival)
        alone = "cannot show" if threshold is None else f"needs {threshold} matches to show"
        raise TriggerSetTooSmallError(
            f"with {class_count} classes a set of {triggers_per_set} triggers {alone} the mark, more than "
            f"the planned survival of {float(survival):.0%} leaves; use at least {least} triggers per set, "
            "or plan a higher survival"
        )


def _sample_all(
    plans: Sequence[StratumPlan],
    task: Task,
    random_bytes: Callable[[int], bytes],
    on_trigger: Callable[[int], None],
) -> list[tuple[bytes, Trigger]]:
    """Make triggers until no two are nearly alike; redrawing is free before the commitment."""
    # Strata of one sampler draw from one pool, or both would deal the same pictures.
    samplers: list[Sampler] = []
    for plan in plans:
        if plan.sampler not in samplers:
            samplers.append(plan.sampler)
    of_sampler = [_drawer(sampler, task, random_bytes) for sampler in samplers]
    drawers = [of_sampler[samplers.index(plan.sampler)] for plan in plans for _ in range(plan.trigger_count)]
    made = []
    for number, draw in enumerate(drawers, start=1):
        made.append(draw())
        on_trigger(number)
    kind = kind_named(task.geometry.kind)
    for _ in range(_REDRAW_LIMIT):
        _, second, distance = kind.nearest([trigger.canonical_bytes for _, trigger in made])
        if distance >= kind.too_near:
            return made
        made[second] = drawers[second]()
    raise SimilarTriggersError(
        f"two of {len(made)} triggers stayed nearly alike after {_REDRAW_LIMIT} redraws; use fewer triggers "
        "or larger inputs"
    )


def _drawer(
    sampler: Sampler, task: Task, random_bytes: Callable[[int], bytes]
) -> Callable[[], tuple[bytes, Trigger]]:
    make: Callable[[Stream], Trigger] = partial(sampler.sample, task.geometry)
    if isinstance(sampler, FiniteSampler):
        make = sampler.deal(task.geometry)

    def draw() -> tuple[bytes, Trigger]:
        secret = random_bytes(_SECRET_BYTES)
        return secret, make(trigger_stream(secret))

    return draw
