"""(mk, vk): the marking key is secret, the verification key is public."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from earmark.commitment import Stream, commit, digest, frame, merkle_path, merkle_root
from earmark.commitment.canonical import Json
from earmark.commitment.linear import RANDOM_BYTES, linear_leaf, linear_scheme
from earmark.errors import InvalidKeyError
from earmark.keys.labels import derive_labels, question_order
from earmark.keys.owner import check_signature
from earmark.keys.transcript import Transcript
from earmark.triggers import Backdoor, Trigger, kind_named

_SECRET_LABEL = "earmark/trigger-secret/v1"  # noqa: S105 - a domain label, not a secret
_CHOSEN_LABEL = "earmark/chosen-label/v1"


class SetId(NamedTuple):
    """Which trigger set: place of the stratum, and of the set in it."""

    stratum: int
    number: int


@dataclass(frozen=True)
class VerificationKey:
    """vk: what the owner publishes before the model.

    Attributes:
        transcript: Everything fixed before the labels.
        signature: The owner's Ed25519 signature over the root, 64 bytes.
        timestamps: Tokens of time-stamping authorities over the signed file, in order.
    """

    transcript: Transcript
    signature: bytes
    timestamps: tuple[bytes, ...] = ()

    def check(self) -> None:
        """Raise unless the owner's signature covers the transcript.

        Raises:
            InvalidKeyError: It does not.
        """
        check_signature(self.transcript.owner, self.transcript.root, self.signature)

    @property
    def set_ids(self) -> tuple[SetId, ...]:
        """All trigger sets in the order of use."""
        return tuple(
            SetId(place, index)
            for place, stratum in enumerate(self.transcript.strata)
            for index in range(len(stratum.set_roots))
        )

    def labels(self, set_id: SetId) -> tuple[int, ...]:
        """Return T_L of one set, by place in the set (labels are public: they follow from the root).

        Raises:
            InvalidKeyError: The labels are chosen, or depend on a beacon whose value is not known.
        """
        transcript = self.transcript
        if transcript.labels["rule"] != "derived":
            raise InvalidKeyError("the labels of this key were chosen by its owner, not derived")
        if transcript.beacon is not None:
            raise InvalidKeyError("the labels of this key depend on a beacon whose value is missing")
        count = transcript.strata[set_id.stratum].triggers_per_set
        return derive_labels(transcript.root, *set_id, count, transcript.class_count)

    def order(self, set_id: SetId) -> tuple[int, ...]:
        """Return the places of a set's triggers in the order in which they are asked."""
        count = self.transcript.strata[set_id.stratum].triggers_per_set
        return question_order(self.transcript.root, *set_id, count)


@dataclass(frozen=True)
class MarkingKey:
    """mk: the backdoor and everything that opens its commitments. Secret.

    Attributes:
        verification_key: The public half.
        secrets: For every set, the 32-byte secret of each trigger.
        triggers: For every set, its triggers. They are kept and not made anew from the secrets, so that
            no later change of a sampler or of a library can lose them.
        chosen_labels: For every set the labels that the owner chose, as in the paper; None if they are
            derived from the root.
        randomness: For every set, the 1,272 random bytes of each linear commitment, fresh and expanded from
            nothing, or they would hide only as well as a hash does; None for salted ones.
    """

    verification_key: VerificationKey
    secrets: Mapping[SetId, tuple[bytes, ...]] = field(repr=False)
    triggers: Mapping[SetId, tuple[Trigger, ...]] = field(repr=False)
    chosen_labels: Mapping[SetId, tuple[int, ...]] | None = field(default=None, repr=False)
    randomness: Mapping[SetId, tuple[bytes, ...]] | None = field(default=None, repr=False)

    @property
    def transcript(self) -> Transcript:
        """The public transcript."""
        return self.verification_key.transcript

    @property
    def trigger_count(self) -> int:
        """Triggers in all sets."""
        return sum(len(triggers) for triggers in self.triggers.values())

    def labels(self, set_id: SetId) -> tuple[int, ...]:
        """Return T_L of one set, derived or chosen.

        Raises:
            InvalidKeyError: The labels depend on a beacon whose value is not known.
        """
        if self.chosen_labels is not None:
            return self.chosen_labels[set_id]
        return self.verification_key.labels(set_id)

    def backdoor(self, set_ids: Iterable[SetId] | None = None) -> Backdoor:
        """Return b = (T, T_L) of the given sets, or of all: what marking a model needs.

        Args:
            set_ids: Which sets; None for all.

        Returns:
            The triggers and labels, set after set.
        """
        chosen = tuple(self.triggers if set_ids is None else set_ids)
        triggers = tuple(trigger for set_id in chosen for trigger in self.triggers[set_id])
        labels = tuple(label for set_id in chosen for label in self.labels(set_id))
        return Backdoor(triggers, labels, self.transcript.class_count)

    def places_of(self, *samplers: str) -> tuple[int, ...]:
        """Return where, in the backdoor of all sets, the triggers stand that samplers of these names made."""
        strata = self.transcript.strata
        names = [strata[set_id.stratum].sampler for set_id, made in self.triggers.items() for _ in made]
        return tuple(place for place, name in enumerate(names) if name in samplers)

    @cached_property
    def leaves(self) -> dict[SetId, tuple[bytes, ...]]:
        """For every set the commitments to its triggers: the leaves of its tree."""
        return {
            set_id: tuple(
                leaf_of(self.transcript.commitment, trigger, self.opening(set_id, place))
                for place, trigger in enumerate(triggers)
            )
            for set_id, triggers in self.triggers.items()
        }

    def opening(self, set_id: SetId, place: int) -> bytes:
        """Return what opens the commitment to one trigger: its salt, or the randomness of a linear one."""
        if self.randomness is not None:
            return self.randomness[set_id][place]
        return trigger_salt(self.secrets[set_id][place])

    def seed(self, label: str) -> bytes:
        """Return 32 secret bytes for another use, fixed with the root: they follow from all openings.

        Args:
            label: Domain label of that use.
        """
        counts = {set_id: len(made) for set_id, made in self.triggers.items()}
        return digest(label, *(self.opening(each, place) for each in counts for place in range(counts[each])))

    def path(self, set_id: SetId, index: int) -> tuple[bytes, ...]:
        """Return the Merkle path of one trigger's commitment, for opening it."""
        return merkle_path(self.leaves[set_id], index)

    def label_path(self, set_id: SetId, index: int) -> tuple[bytes, ...]:
        """Return the Merkle path of the commitment to one chosen label, for opening it."""
        return merkle_path(label_commitments(self.labels(set_id), self.secrets[set_id]), index)

    def check(self) -> None:
        """Raise unless signature, counts, geometry and every commitment agree with the transcript.

        Steps 1 and 2 of the verification; also run whenever a key is read.

        Raises:
            InvalidKeyError: Something does not agree.
            FormatError: A trigger's bytes are malformed.
        """
        self.verification_key.check()
        transcript = self.transcript
        expected = self.verification_key.set_ids
        if tuple(self.triggers) != expected or tuple(self.secrets) != expected:
            raise InvalidKeyError("the marking key does not hold the sets that the transcript lists")
        self._check_randomness()
        kind = kind_named(transcript.task.geometry.kind)
        for set_id in expected:
            stratum = transcript.strata[set_id.stratum]
            triggers, secrets = self.triggers[set_id], self.secrets[set_id]
            if not len(triggers) == len(secrets) == stratum.triggers_per_set:
                raise InvalidKeyError(f"set {set_id.number} of {stratum.name!r} is incomplete")
            for trigger in triggers:
                if trigger.kind != kind.name or not kind.fits(
                    trigger.canonical_bytes, transcript.task.geometry
                ):
                    raise InvalidKeyError("a trigger does not have the geometry of the task")
            if merkle_root(self.leaves[set_id]) != stratum.set_roots[set_id.number]:
                raise InvalidKeyError(
                    f"the triggers of set {set_id.number} of {stratum.name!r} do not open its commitment"
                )
        if self.randomness is not None and self.transcript.commitment != linear_scheme(self.sidecar):
            raise InvalidKeyError("the linear commitments are not those that the transcript names")
        self._check_labels()

    @property
    def sidecar(self) -> bytes:
        """All linear commitments joined, set after set and place after place."""
        return b"".join(leaf for leaves in self.leaves.values() for leaf in leaves)

    def _check_randomness(self) -> None:
        is_linear = self.transcript.commitment["scheme"] == "sis"
        if is_linear != (self.randomness is not None):
            scheme = "linear" if is_linear else "salted"
            raise InvalidKeyError(f"the transcript's commitments are {scheme}, and the key opens others")
        if self.randomness is None:
            return
        if tuple(self.randomness) != self.verification_key.set_ids or any(
            len(self.randomness[set_id]) != len(self.triggers[set_id]) for set_id in self.triggers
        ):
            raise InvalidKeyError("the marking key does not hold the randomness of every commitment")
        if any(len(item) != RANDOM_BYTES for items in self.randomness.values() for item in items):
            raise InvalidKeyError(f"the randomness of a linear commitment has {RANDOM_BYTES} bytes")

    def _check_labels(self) -> None:
        rule, roots = self.transcript.labels["rule"], self.transcript.labels.get("roots", [])
        chosen = self.chosen_labels
        if (rule == "chosen") != (chosen is not None):
            raise InvalidKeyError(f"the transcript says that the labels are {rule}, and the key does not")
        if chosen is None:
            return
        if tuple(chosen) != self.verification_key.set_ids or not isinstance(roots, list):
            raise InvalidKeyError("the marking key does not hold the labels of the sets in the transcript")
        for set_id, root in zip(self.verification_key.set_ids, roots, strict=True):
            labels = chosen[set_id]
            if len(labels) != len(self.secrets[set_id]):
                raise InvalidKeyError(f"the labels of set {set_id.number} are incomplete")
            if not all(0 <= label < self.transcript.class_count for label in labels):
                raise InvalidKeyError(f"a label of set {set_id.number} is not a class of the task")
            if merkle_root(label_commitments(labels, self.secrets[set_id])).hex() != root:
                raise InvalidKeyError(f"the labels of set {set_id.number} do not open their commitments")


def trigger_stream(secret: bytes) -> Stream:
    """Return the randomness from which a sampler makes the trigger of this secret."""
    return Stream(_SECRET_LABEL, secret, "sampler")


def trigger_salt(secret: bytes) -> bytes:
    """Return the salt of the commitment to the trigger of this secret, 32 bytes."""
    return Stream(_SECRET_LABEL, secret, "salt").read(32)


def leaf_of(scheme: Mapping[str, Json], trigger: Trigger, opening: bytes) -> bytes:
    """Return the commitment to a trigger that an opening opens.

    Args:
        scheme: As in the transcript.
        trigger: What is committed to. A linear commitment holds the bytes of its pixels; the geometry is the
            transcript's.
        opening: The salt, or the randomness of a linear commitment.

    Returns:
        32 bytes, or 1,280 of a linear one.

    Raises:
        ValueError: The opening has another size, or there are no linear commitments to such triggers.
    """
    if scheme["scheme"] != "sis":
        return commit(trigger.canonical_bytes, opening)
    if trigger.kind != "image":
        raise ValueError(f"there are no linear commitments to {trigger.kind} triggers")
    return linear_leaf(trigger.value.tobytes(), opening)


def label_commitments(labels: Sequence[int], secrets: Sequence[bytes]) -> tuple[bytes, ...]:
    """Return the commitment to each chosen label, one by one as in the paper.

    Each has a salt of its own: a label alone is one of C values, and would be found by trying them.

    Source:
        Adi et al. 2018, Section 4 (KeyGen, step 2); derivation ours (docs/formats/transcript-v1.md)
    """
    return tuple(
        commit_label(label, label_salt(secret)) for label, secret in zip(labels, secrets, strict=True)
    )


def label_salt(secret: bytes) -> bytes:
    """Return the salt of the commitment to the chosen label of this secret's trigger, 32 bytes."""
    return Stream(_SECRET_LABEL, secret, "label-salt").read(32)


def commit_label(label: int, salt: bytes) -> bytes:
    """Return the commitment to one chosen label, 32 bytes."""
    return commit(frame(_CHOSEN_LABEL, label), salt)
